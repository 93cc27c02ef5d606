"""The figures on videos that training does not see."""

import tensorflow as tf

from kerasvid.models.base.averaging import best_weights
from kerasvid.training.callbacks.step_callback import StepCallback


class HeldOutEvaluation(StepCallback):
    """Evaluates on held-out batches, with averaged weights, and adds `val_` figures to the logs.

    Args:
        dataset: finite batches, the same each time.
        every: steps.
        last_step: of the run, which is evaluated in any case.

    Example:
        >>> model.fit(batches, callbacks=[HeldOutEvaluation(test.take(8), 500), MetricsLog(path)])
    """

    def __init__(self, dataset: tf.data.Dataset, every: int = 500, last_step: int | None = None):
        super().__init__(every, last_step)
        self.dataset = dataset

    def on_step_end(self, step: int, logs: dict) -> None:
        if not self.due(step):
            return
        figures = self.evaluate()
        logs.update({f"val_{name}": value for name, value in figures.items()})
        listing = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"\nheld out at step {step}: {listing}", flush=True)

    def evaluate(self) -> dict[str, float]:
        """The means over the held-out batches; running means of training stay as they are."""
        # Training and evaluation share their trackers.
        trackers = [variable for metric in self.model.metrics for variable in metric.variables]
        running = [variable.numpy() for variable in trackers]
        try:
            with best_weights(self.model):
                figures = self.model.evaluate(self.dataset, verbose=0, return_dict=True)
        finally:
            for variable, value in zip(trackers, running, strict=True):
                variable.assign(value)
        return {name: float(value) for name, value in figures.items()}
