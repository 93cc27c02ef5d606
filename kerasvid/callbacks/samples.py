"""Pictures of what a model has learned so far."""

import os
import pathlib
import time
from collections.abc import Mapping

import keras
import numpy as np

from kerasvid.callbacks import pictures
from kerasvid.callbacks.best_weights import best_weights
from kerasvid.callbacks.step_callback import StepCallback

FIRST_PICTURE_STEP = 100
FIRST_PICTURE_SECONDS = 45.0


def sample_panel(
    model: keras.Model,
    held_out: np.ndarray,
    count: int,
    seed: int,
    rows: Mapping[str, np.ndarray] | None = None,
) -> dict:
    """Real clips, their reconstructions and samples of the prior, by name; what the model has.

    Args:
        model: with the public verbs of a video generator.
        held_out: uint8 `[B, T, H, W, C]`.
        count: samples.
        seed: of the samples.
        rows: of those clips, for a model that recalls videos from learned codes.
    """
    panel = {"real": held_out, "samples": model.generate(count, held_out.shape[1], seed=seed)}
    if hasattr(model, "reconstruct"):
        panel["reconstructions"] = again(model, held_out, rows)
    if hasattr(model, "summary_frames"):
        panel["real_summaries"] = model.summary_frames(held_out)
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


def panel_picture(panel: dict, pairs: int = 4) -> np.ndarray:
    """The panel as one picture: pairs of real clip and reconstruction, then the samples."""
    blocks = []
    if "reconstructions" in panel:
        summaries = panel.get("real_summaries")
        real = pictures.clip_rows(panel["real"][:pairs])
        again = pictures.clip_rows(panel["reconstructions"][:pairs])
        if summaries is not None:
            real = [[None, *row] for row in real]
            again = [[frame, *row] for frame, row in zip(summaries, again, strict=False)]
        rows = [row for pair in zip(real, again, strict=True) for row in pair]
        note = ", summary frame first" if summaries is not None else ""
        caption = f"real above, reconstruction below{note}"
        blocks.append(pictures.captioned(pictures.grid(rows), caption))
    summaries = panel.get("sample_summaries")
    rows = pictures.clip_rows(panel["samples"], summaries)
    caption = "samples of the prior" + (", summary frame first" if summaries is not None else "")
    blocks.append(pictures.captioned(pictures.grid(rows), caption))
    return pictures.stacked(blocks)


def panel_animation(panel: dict) -> np.ndarray:
    """The panel in motion: a row of real clips, a row of reconstructions, then the samples."""
    width = len(panel["real"])
    rows = [list(panel["real"]), list(panel.get("reconstructions", ()))]
    samples = list(panel["samples"])
    rows += [samples[i : i + width] for i in range(0, len(samples), width)]
    return pictures.mosaic([row for row in rows if row])


class SampleWriter(StepCallback):
    """Writes `step-000500.png` and `.gif` each `every` steps.

    The first comes after 100 steps or 45 seconds, whichever is first.

    Args:
        folder: where they go; made if absent.
        held_out: uint8 `[B, T, H, W, C]`, clips to reconstruct.
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
        self._written = any(self.folder.glob("step-*.png"))

    def on_step_end(self, step: int, logs: dict) -> None:
        waited = time.monotonic() - self._started > FIRST_PICTURE_SECONDS
        early = not self._written and (step >= FIRST_PICTURE_STEP or waited)
        if self.every and (early or self.due(step)):
            print(f"\npictures: {self.write(step)}", flush=True)

    def write(self, step: int) -> pathlib.Path:
        """Writes the pictures now; the path of the PNG."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with best_weights(self.model):
            panel = sample_panel(self.model, self.held_out, self.count, self.seed, self.rows)
        path = self.folder / f"step-{step:06d}.png"
        pictures.write_gif(path.with_suffix(".gif"), panel_animation(panel), self.fps)
        pictures.write_png(path, panel_picture(panel))
        self._written = True
        return path
