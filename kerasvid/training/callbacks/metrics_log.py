"""Metrics over the steps: those of held-out videos, a CSV file and TensorBoard events."""

import contextlib
import csv
import errno
import os
import pathlib
import time
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasvid.io import atomic_write, readable_os_errors
from kerasvid.models.base.averaging import best_weights
from kerasvid.training.callbacks.step_callback import StepCallback, global_step

_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR
)


def read_rows(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a metrics file; none if it does not exist."""
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]


class HeldOutEvaluation(StepCallback):
    """Evaluates averaged weights on held-out batches and adds `val_` metrics to the logs.

    Args:
        dataset: finite batches, the same each time.
        every: steps between evaluations.
        last_step: last step of the run, which is evaluated in any case.

    Example:
        >>> model.fit(batches, callbacks=[HeldOutEvaluation(test.take(8), 500), MetricsLog(path)])
    """

    def __init__(self, dataset: tf.data.Dataset, every: int = 500, last_step: int | None = None):
        super().__init__(every, last_step)
        self.dataset = dataset

    def on_step_end(self, step: int, logs: dict) -> None:
        if not self.due(step):
            return
        # Training and evaluation share their trackers, and the means of training go on.
        trackers = [variable for metric in self.model.metrics for variable in metric.variables]
        means = [variable.numpy() for variable in trackers]
        try:
            with best_weights(self.model):
                found = self.model.evaluate(self.dataset, verbose=0, return_dict=True)
        finally:
            for variable, value in zip(trackers, means, strict=True):
                variable.assign(value)
        logs.update({f"val_{name}": float(value) for name, value in found.items()})
        listing = ", ".join(f"{name} {float(value):.4g}" for name, value in found.items())
        print(f"\nheld out at step {step}: {listing}", flush=True)


class MetricsLog(StepCallback):
    """Writes a row each `every` steps: means of the metrics, learning rate, seconds of training.

    The means are over the steps since the row before or, if it is later, the start of the epoch.
    On resuming, rows after the checkpoint are dropped.

    Args:
        path: of the CSV file. Its columns are `step`, `seconds`, `learning_rate` and the metrics.
        every: steps between rows.
        events: folder for TensorBoard events, or `None`.
        last_step: last step of the run, which gets a row in any case.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        every: int = 50,
        events: str | os.PathLike | None = None,
        last_step: int | None = None,
    ):
        super().__init__(every, last_step)
        self.path, self.events = pathlib.Path(path), events
        self._columns: list[str] = []
        self._held_out: dict = {}  # since the last row
        self._reset_due = False
        self._writer = None

    def on_train_begin(self, logs=None) -> None:
        start = global_step(self.model)
        rows = [row for row in read_rows(self.path) if int(row["step"]) <= start]
        self._columns = list(rows[0]) if rows else []
        earlier = float(rows[-1].get("seconds") or 0.0) if rows else 0.0
        self._started = time.monotonic() - earlier
        self._rewrite(rows)
        if self.events is not None:
            with _readable_errors(self.events):
                self._writer = tf.summary.create_file_writer(os.fspath(self.events))

    def on_step_end(self, step: int, logs: dict) -> None:
        self._held_out |= {name: v for name, v in logs.items() if name.startswith("val_")}
        if not self.due(step):
            return
        row = {
            "seconds": round(time.monotonic() - self._started, 2),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            **{name: float(value) for name, value in {**logs, **self._held_out}.items()},
        }
        self._held_out = {}
        self._append({"step": step, **{name: f"{value:.6g}" for name, value in row.items()}})
        if self._writer is not None:
            with _readable_errors(self.events), self._writer.as_default(step=step):
                for name, value in row.items():
                    # As tf.summary.scalar, which needs the package tensorboard.
                    tf.summary.write(name, tf.constant(value), metadata=_SCALAR)
                self._writer.flush()
        self._reset_due = True

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if self._reset_due:  # only now: the progress bar still shows the means of the row
            self.model.reset_metrics()
            self._reset_due = False

    def on_train_end(self, logs=None) -> None:
        if self._writer is not None:
            self._writer.close()

    def _append(self, row: dict) -> None:
        if new := [name for name in row if name not in self._columns]:
            rows = read_rows(self.path)
            self._columns += new
            return self._rewrite([*rows, row])
        with readable_os_errors(self.path), open(self.path, "a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self, rows: list[dict]) -> None:
        if not self._columns:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


@contextlib.contextmanager
def _readable_errors(path: str | os.PathLike) -> Iterator[None]:
    """An error of TensorFlow's writer becomes an OSError as of `readable_os_errors`."""
    with readable_os_errors(path):
        try:
            yield
        except tf.errors.OpError as error:
            for number in (errno.ENOSPC, errno.EDQUOT):
                if os.strerror(number) in error.message:
                    raise OSError(number, os.strerror(number)) from error
            raise OSError(error.message.strip()) from error
