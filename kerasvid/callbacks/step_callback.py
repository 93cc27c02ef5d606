"""Callbacks that count in updates since the start of training, not in epochs."""

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

    def due(self, step: int) -> bool:
        """Whether this is one of the steps to act at."""
        return self.every > 0 and (step % self.every == 0 or step == self.last_step)

    def on_step_end(self, step: int, logs: dict) -> None:
        raise NotImplementedError

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.on_step_end(global_step(self.model), {} if logs is None else logs)
