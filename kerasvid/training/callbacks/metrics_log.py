"""The terms of the loss over the steps: a CSV file and TensorBoard events."""

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
from kerasvid.training.callbacks.step_callback import StepCallback, global_step


def read_rows(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a metrics file; none where it is absent."""
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]


class MetricsLog(StepCallback):
    """A row each `every` steps: means, learning rate, seconds of training.

    The means are over the steps since the row before or, if it is later, the start of the epoch.

    On resuming, rows past the checkpoint are dropped, so that the file stays one clean series.

    Args:
        path: of the CSV file; its columns are `step`, `seconds`, `learning_rate` and what is in
            the logs.
        every: steps a row.
        events: folder for TensorBoard events, or `None`.
        last_step: of the run, which gets a row in any case.
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
        self._held: dict = {}
        self._fresh = False
        self._writer = None

    def on_train_begin(self, logs=None) -> None:
        start = global_step(self.model)
        rows = [row for row in read_rows(self.path) if int(row["step"]) <= start]
        self._columns = list(rows[0]) if rows else []
        earlier = float(rows[-1].get("seconds") or 0.0) if rows else 0.0
        self._started = time.monotonic() - earlier
        self._rewrite(rows)
        if self.events is not None:
            with readable_os_errors(self.events), _faults_of_files():
                self._writer = tf.summary.create_file_writer(os.fspath(self.events))

    def on_step_end(self, step: int, logs: dict) -> None:
        # Figures of a held-out evaluation between two rows go into the next one.
        self._held.update({name: v for name, v in logs.items() if name.startswith("val_")})
        if not self.due(step):
            return
        figures = {**{name: float(value) for name, value in logs.items()}, **self._held}
        self._held = {}
        row = {
            "step": step,
            "seconds": round(time.monotonic() - self._started, 2),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            **figures,
        }
        self._append({name: _short(value) for name, value in row.items()})
        self._write_events(step, row)
        self._fresh = True

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if self._fresh:  # only now: the progress bar still shows the means of the row
            self.model.reset_metrics()
            self._fresh = False

    def on_train_end(self, logs=None) -> None:
        if self._writer is not None:
            self._writer.close()

    def _append(self, row: dict) -> None:
        new = [name for name in row if name not in self._columns]
        if new:
            rows = read_rows(self.path)
            self._columns += new
            self._rewrite([*rows, row])
            return
        with (
            readable_os_errors(self.path),
            open(self.path, "a", newline="", encoding="utf-8") as file,
        ):
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self, rows: list[dict]) -> None:
        if not self._columns:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_write(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)

    def _write_events(self, step: int, row: dict) -> None:
        if self._writer is None:
            return
        with (
            readable_os_errors(self.events),
            _faults_of_files(),
            self._writer.as_default(step=step),
        ):
            for name, value in row.items():
                if name != "step":
                    _write_scalar(name, float(value))
            self._writer.flush()


@contextlib.contextmanager
def _faults_of_files() -> Iterator[None]:
    """What TensorFlow cannot write becomes the OSError that Python would raise."""
    try:
        yield
    except tf.errors.OpError as error:
        for number in (errno.ENOSPC, errno.EDQUOT):
            if os.strerror(number) in error.message:
                raise OSError(number, os.strerror(number)) from error
        raise OSError(error.message.strip()) from error


def _short(value: float | int) -> float | int | str:
    return f"{value:.6g}" if isinstance(value, float) else value


def _write_scalar(name: str, value: float) -> None:
    """What `tf.summary.scalar` writes, which needs the package tensorboard, which we do not."""
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
        data_class=1,  # DATA_CLASS_SCALAR
    )
    tf.summary.write(name, tf.constant(value), metadata=metadata)
