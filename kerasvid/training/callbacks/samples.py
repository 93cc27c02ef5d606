"""Images and animations of what a model has learned so far."""

import os
import pathlib
import time
from collections.abc import Mapping

import keras

from kerasvid.models.base.averaging import best_weights
from kerasvid.training.callbacks.step_callback import StepCallback, global_step
from kerasvid.visualization import writers
from kerasvid.visualization.panels import panel_animation, panel_image, sample_panel

FIRST_STEP = 100
FIRST_SECONDS = 45.0


class SampleWriter(StepCallback):
    """Writes `step-000500.png` and `.gif` each `every` steps, of the same noise each time.

    The first are written after 100 steps or 45 seconds, whichever comes first.

    Args:
        folder: where the files go; made if missing.
        held_out: a batch of the pipeline; `"video"` is uint8 `[B, T, H, W, C]`, clips to
            reconstruct or to take endpoints from. Learned codes need the other fields.
        every: steps between files; 0 for never.
        fps: of the GIF.
        last_step: last step of the run, which gets files in any case.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        held_out: Mapping,
        every: int = 500,
        fps: float = 8.0,
        last_step: int | None = None,
    ):
        super().__init__(every, last_step)
        self.folder, self.held_out, self.fps = pathlib.Path(folder), held_out, fps

    def on_train_begin(self, logs=None) -> None:
        self._started = time.monotonic()
        start = global_step(self.model)
        for path in self.folder.glob("step-*.*"):  # of a run that stopped after its checkpoint
            if path.stem[5:].isdigit() and int(path.stem[5:]) > start:
                path.unlink()
        self._has_first = any(self.folder.glob("step-*.png"))

    def on_step_end(self, step: int, logs: dict) -> None:
        waited = time.monotonic() - self._started > FIRST_SECONDS
        first = not self._has_first and (step >= FIRST_STEP or waited)
        if self.every and (first or self.due(step)):
            with best_weights(self.model):
                self.write(f"step-{step:06d}", self.model)
            self._has_first = True

    def write(self, name: str, model: keras.Model) -> None:
        """Writes `name.png` and `name.gif` of a model with the weights that it has now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        panel = sample_panel(model, self.held_out["video"], count=8, seed=0, rows=self.held_out)
        path = self.folder / f"{name}.png"
        writers.write_gif(path.with_suffix(".gif"), panel_animation(panel), self.fps)
        writers.write_png(path, panel_image(panel))
        print(f"\nsamples: {path}", flush=True)
