"""Ends a run whose loss is not a number any more."""

import math

from kerasvid.callbacks.step_callback import StepCallback


class NotFinite(RuntimeError):
    """The loss or a weight is NaN or infinite."""


class FiniteLoss(StepCallback):
    """Raises `NotFinite` out of `fit` at the step whose loss is NaN or infinite.

    It comes first in the list of callbacks: then nothing is written from broken weights.

    Example:
        >>> model.fit(batches, callbacks=[FiniteLoss(), Checkpoints("run/checkpoints", 500)])
    """

    def on_step_end(self, step: int, logs: dict) -> None:
        for name, value in logs.items():
            if not math.isfinite(float(value)):
                raise NotFinite(
                    f"{name} became {float(value)} at step {step}: lower the learning rate or set "
                    "training.clip_norm, in a new run."
                )
