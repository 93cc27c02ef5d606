"""Pictures of what a model has learned so far."""

import os
import pathlib
import time
from collections.abc import Mapping

import keras
import numpy as np

from kerasvid.models.base.averaging import best_weights
from kerasvid.training.callbacks.step_callback import StepCallback, global_step
from kerasvid.visualization import grids

FIRST_PICTURE_STEP = 100
FIRST_PICTURE_SECONDS = 45.0


def sample_panel(
    model: keras.Model,
    held_out: np.ndarray,
    count: int,
    seed: int,
    rows: Mapping[str, np.ndarray] | None = None,
) -> dict:
    """Real clips, and what the model can make: reconstructions, clips in between, samples; by name.

    Args:
        model: with the public verbs of a video generator, or of one between two frames.
        held_out: uint8 `[B, T, H, W, C]`.
        count: samples.
        seed: of the samples.
        rows: of those clips, for a model that recalls videos from learned codes.
    """
    panel, frames = {"real": held_out}, held_out.shape[1]
    if hasattr(model, "reconstruct"):
        panel["reconstructions"] = again(model, held_out, rows)
    if hasattr(model, "summary_frames"):
        panel["real_summaries"] = model.summary_frames(held_out)
    if hasattr(model, "between"):
        panel["between"] = model.between(held_out[:, 0], held_out[:, -1], frames, seed=seed)
    if hasattr(model, "generate"):
        panel["samples"] = model.generate(count, frames, seed=seed)
    if hasattr(model, "generate_images"):
        panel["sample_summaries"] = model.generate_images(count, seed=seed)
    return panel


def again(
    model: keras.Model, videos: np.ndarray, rows: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    """The clips as the model has them: from their learned codes, or else encoded and decoded."""
    if rows is not None and hasattr(model, "recall"):
        return model.recall(**{key: rows[key] for key in ("index", "identity", "label")})
    return model.reconstruct(videos)


# What stands below a real clip, and what it is called.
BELOW_REAL = {"reconstructions": "reconstruction", "between": "between its ends"}


def panel_picture(panel: dict, pairs: int = 4) -> np.ndarray:
    """The panel as one picture: real clips with what was made of each below, then the samples."""
    blocks, summaries = [], panel.get("real_summaries")

    def rows_of(name: str) -> list[list]:
        rows = grids.clip_rows(panel[name][:pairs])
        if summaries is None:
            return rows
        heads = summaries if name == "reconstructions" else [None] * len(rows)
        return [[head, *row] for head, row in zip(heads, rows, strict=False)]

    if below := [name for name in BELOW_REAL if name in panel]:
        groups = zip(*map(rows_of, ("real", *below)), strict=True)
        note = ", summary frame first" if summaries is not None else ""
        caption = f"real above, {', '.join(BELOW_REAL[name] for name in below)} below{note}"
        grid = grids.grid([row for group in groups for row in group])
        blocks.append(grids.captioned(grid, caption))
    if "samples" in panel:
        heads = panel.get("sample_summaries")
        rows = grids.clip_rows(panel["samples"], heads)
        note = ", summary frame first" if heads is not None else ""
        blocks.append(grids.captioned(grids.grid(rows), f"samples of the prior{note}"))
    return grids.stacked(blocks)


def panel_animation(panel: dict) -> np.ndarray:
    """The panel in motion: real clips, a row of each thing made of them, then the samples."""
    width = len(panel["real"])
    rows = [list(panel[name]) for name in ("real", *BELOW_REAL) if name in panel]
    samples = list(panel.get("samples", ()))
    rows += [samples[i : i + width] for i in range(0, len(samples), width)]
    return grids.mosaic(rows)


class SampleWriter(StepCallback):
    """Writes `step-000500.png` and `.gif` each `every` steps.

    The first comes after 100 steps or 45 seconds, whichever is first.

    Args:
        folder: where they go; made if absent.
        held_out: uint8 `[B, T, H, W, C]`, clips to reconstruct or to fill in between their ends.
        rows: their `"index"`, `"identity"` and `"label"`, for a model with learned codes.
        every: steps; 0 for never.
        count: samples.
        seed: of the samples, the same each time so that pictures can be compared.
        fps: of the GIF.
        last_step: of the run, which gets pictures in any case.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        held_out: np.ndarray,
        every: int = 500,
        count: int = 8,
        seed: int = 0,
        fps: float = 8.0,
        last_step: int | None = None,
        rows: Mapping[str, np.ndarray] | None = None,
    ):
        super().__init__(every, last_step)
        self.folder, self.held_out, self.rows = pathlib.Path(folder), held_out, rows
        self.count, self.seed, self.fps = count, seed, fps
        self._written = False

    def on_train_begin(self, logs=None) -> None:
        self._started = time.monotonic()
        start = global_step(self.model)
        for path in self.folder.glob("step-*.*"):  # of a run that stopped after its checkpoint
            if path.stem[5:].isdigit() and int(path.stem[5:]) > start:
                path.unlink()
        self._written = any(self.folder.glob("step-*.png"))

    def on_step_end(self, step: int, logs: dict) -> None:
        waited = time.monotonic() - self._started > FIRST_PICTURE_SECONDS
        early = not self._written and (step >= FIRST_PICTURE_STEP or waited)
        if self.every and (early or self.due(step)):
            print(f"\npictures: {self.write(step)}", flush=True)

    def write(self, step: int) -> pathlib.Path:
        """Writes the pictures now; the path of the PNG."""
        with best_weights(self.model):
            path = self.write_as(f"step-{step:06d}", self.model)
        self._written = True
        return path

    def write_as(self, name: str, model: keras.Model) -> pathlib.Path:
        """Writes pictures of a model with the weights that it has; the path of the PNG."""
        self.folder.mkdir(parents=True, exist_ok=True)
        panel = sample_panel(model, self.held_out, self.count, self.seed, self.rows)
        path = self.folder / f"{name}.png"
        grids.write_gif(path.with_suffix(".gif"), panel_animation(panel), self.fps)
        grids.write_png(path, panel_picture(panel))
        return path
