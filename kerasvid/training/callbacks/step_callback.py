"""Callbacks that count in updates since the start of training, not in epochs.

Ends a run whose loss is not a number any more.
"""

import math

import keras


def global_step(model: keras.Model) -> int:
    """Steps made so far, over all runs that were resumed.

    A model's own `steps_taken` counts; the optimizer's count leaves out what loss scaling skipped.
    """
    counter = getattr(model, "steps_taken", None)
    return int((model.optimizer.iterations if counter is None else counter).numpy())


class StepCallback(keras.callbacks.Callback):
    """Calls `on_step_end(step, logs)` after each update.

    What a callback adds to `logs`, the callbacks behind it in the list see.

    Args:
        every: `due` says yes each that many steps; 0 for never.
        last_step: and at this one.

    Raises:
        ValueError: `every` is negative.
    """

    def __init__(self, every: int = 1, last_step: int | None = None):
        super().__init__()
        if every < 0:
            raise ValueError(f"every={every} must be 0 or more steps.")
        self.every, self.last_step = every, last_step
        self._last_seen: int | None = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._last_seen = global_step(model)

    def due(self, step: int) -> bool:
        """Whether this is one of the steps to act at, or one was passed since the last call.

        With `steps_per_execution` Keras calls after several steps at once.
        """
        previous = step - 1 if self._last_seen is None else self._last_seen
        passed = self.every > 0 and step // self.every > previous // self.every
        return passed or (self.every > 0 and step == self.last_step)

    def on_step_end(self, step: int, logs: dict) -> None:
        raise NotImplementedError

    def on_train_batch_end(self, batch, logs=None) -> None:
        step = global_step(self.model)
        self.on_step_end(step, {} if logs is None else logs)
        self._last_seen = step


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
