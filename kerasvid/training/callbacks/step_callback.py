"""Callbacks that count updates since the start of training, not epochs."""

import math

import keras

from kerasvid.models.base.trainer import Trainer


def global_step(model: keras.Model) -> int:
    """Updates made so far, over all resumptions of the run.

    A `Trainer` counts them; an optimizer leaves out those that loss scaling skipped.
    """
    own = isinstance(model, Trainer)
    return int((model.steps_taken if own else model.optimizer.iterations).numpy())


class StepCallback(keras.callbacks.Callback):
    """Calls `on_step_end(step, logs)` after each update.

    Later callbacks of the list see what a callback adds to `logs`.

    Args:
        every: number of steps after which `due` is true again; 0 for never.
        last_step: a step at which it is true in any case.

    Raises:
        ValueError: `every` is negative.
    """

    def __init__(self, every: int = 1, last_step: int | None = None):
        super().__init__()
        if every < 0:
            raise ValueError(f"every={every} is negative. Use 0 or more steps.")
        self.every, self.last_step = every, last_step
        self._last_seen = 0

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._last_seen = global_step(model)

    def due(self, step: int) -> bool:
        """Whether to act at this step, or at one that was passed since the last call.

        With `steps_per_execution` Keras calls once after several steps.
        """
        if not self.every:
            return False
        return step == self.last_step or step // self.every > self._last_seen // self.every

    def on_step_end(self, step: int, logs: dict) -> None:
        raise NotImplementedError

    def on_train_batch_end(self, batch, logs=None) -> None:
        step = global_step(self.model)
        self.on_step_end(step, {} if logs is None else logs)
        self._last_seen = step


class Failed(RuntimeError):
    """The training cannot go on; one line."""


class Diverged(Failed):
    """A discriminator knows its training clips."""


class NotFinite(Failed):
    """The loss or a weight is NaN or infinite."""

    def __init__(self, what: str, step: int):
        super().__init__(f"{what} at step {step}. Start a new run with a lower learning rate or "
                         "with training.clip_norm.")  # fmt: skip


class FiniteLoss(StepCallback):
    """Raises `NotFinite` at the step whose loss is NaN or infinite.

    As the first callback it keeps the others from writing broken weights.

    Example:
        >>> model.fit(batches, callbacks=[FiniteLoss(), Checkpoints("run/checkpoints", 500)])
    """

    def on_step_end(self, step: int, logs: dict) -> None:
        for name, value in logs.items():
            if not math.isfinite(float(value)):
                raise NotFinite(f"{name} became {float(value)}", step)
