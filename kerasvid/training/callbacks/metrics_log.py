"""Metrics over the steps: those of held-out videos, a CSV file and TensorBoard events."""

import contextlib
import csv
import errno
import io
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasvid.io import atomic_write, check_is_file, readable_os_errors
from kerasvid.models.base.averaging import best_weights
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.training.callbacks.step_callback import StepCallback

_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR
)


def restore_rows(path: str | os.PathLike, rows: Sequence[Mapping[str, str]]) -> None:
    """Makes a metrics file have exactly the rows that a checkpoint repeats.

    Later rows are dropped. A file that begins with other rows is damaged: it is renamed to
    `metrics.csv.damaged`, and a line on stderr says so.

    Raises:
        OSError: the file cannot be written; one line.
    """
    path, rows = pathlib.Path(path), list(rows)
    found: list | None
    try:
        check_is_file(path)
        content = path.read_bytes()
        if content == _text(rows).encode():
            return
        found, why = _parsed(content), "it differs from the checkpoint"
    except FileNotFoundError:
        found, why = rows, ""
    except (OSError, ValueError, csv.Error) as error:
        found, why = None, getattr(error, "strerror", None) or str(error)
    if found is None or found[: len(rows)] != rows:
        names = (f"{path.name}.damaged{number}" for number in ["", *range(2, 1000)])
        damaged = next(each for each in map(path.with_name, names) if not each.exists())
        with readable_os_errors(damaged):
            os.replace(path, damaged)
        print(f"{path}: damaged ({why}). It is renamed to {damaged.name} and written again from "
              "the checkpoint.", file=sys.stderr)  # fmt: skip
    _write_rows(path, rows)


def _parsed(content: bytes) -> list[dict[str, str]]:
    """The rows of a metrics file, without empty cells."""
    reader = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
    return [{name: value for name, value in row.items() if value} for row in reader]


def _write_rows(path: pathlib.Path, rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        pathlib.Path(temporary).write_bytes(_text(rows).encode())


def _text(rows: Sequence[Mapping[str, str]]) -> str:
    """The text of a metrics file."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, _columns(rows))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _columns(rows: Iterable[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _means(model: keras.Model) -> list[keras.Variable]:
    """The variables that the running means of a model's metrics are made of."""
    return [variable for metric in model.metrics for variable in metric.variables]


class HeldOutEvaluation(StepCallback):
    """Evaluates averaged weights on held-out batches and adds `val_` metrics to the logs.

    With `training`, an adversarial model also reports by how much its discriminators tell these
    clips from held-out ones, such as `val_video_discriminator_divergence`.

    Args:
        dataset: finite batches, the same each time.
        every: steps between evaluations.
        last_step: last step of the run, which is evaluated in any case.
        training: as many batches of training clips, or `None`.

    Example:
        >>> model.fit(batches, callbacks=[HeldOutEvaluation(test.take(8), 500), MetricsLog(path)])
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        every: int = 500,
        last_step: int | None = None,
        training: tf.data.Dataset | None = None,
    ):
        super().__init__(every, last_step)
        self.dataset, self.training = dataset, training

    def on_step_end(self, step: int, logs: dict) -> None:
        if not self.due(step):
            return
        # Training and evaluation share their trackers, and the means of training go on.
        trackers = _means(self.model)
        means = [variable.numpy() for variable in trackers]
        try:
            with best_weights(self.model):
                found = self.model.evaluate(self.dataset, verbose=0, return_dict=True)
                divergences: dict[str, float] = {}
                if self.training is not None and isinstance(self.model, AdversarialModel):
                    others = self.model.evaluate(self.training, verbose=0, return_dict=True)
                    divergences = self.model.divergences(others, found)
        finally:
            for variable, value in zip(trackers, means, strict=True):
                variable.assign(value)
        found |= divergences
        logs.update({f"val_{name}": float(value) for name, value in found.items()})
        listing = ", ".join(f"{name} {float(value):.4g}" for name, value in found.items())
        print(f"\nheld out at step {step}: {listing}", flush=True)


class MetricsLog(StepCallback):
    """Writes a row each `every` steps: means of the metrics, learning rate, seconds of training.

    The means are over the steps since the row before. A resumed run with the `state` of its
    checkpoint writes the rows of an uninterrupted one.

    Args:
        path: of the CSV file. Its columns are `step`, `seconds`, `learning_rate` and the metrics.
        every: steps between rows.
        events: folder for TensorBoard events, or `None`.
        last_step: last step of the run, which gets a row in any case.
        resumed: what `state` returned at the step where training goes on; `None` for a new file.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        every: int = 50,
        events: str | os.PathLike | None = None,
        last_step: int | None = None,
        resumed: Mapping[str, Any] | None = None,
    ):
        super().__init__(every, last_step)
        self.path, self.events = pathlib.Path(path), events
        resumed = resumed or {"rows": [], "held_out": {}, "means": None}
        self._rows: list[dict[str, str]] = list(resumed["rows"])
        self._held_out: dict[str, float] = dict(resumed["held_out"])  # since the last row
        self._kept_means: list[float] | None = resumed["means"]  # over a reset by `fit`
        self._columns: list[str] = []
        self._reset_due = False
        self._writer = None

    @property
    def rows(self) -> Sequence[Mapping[str, str]]:
        """The rows so far, as they stand in the file."""
        return self._rows

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from, in types of JSON: the rows, and what is not in one."""
        return {"rows": self._rows, "held_out": self._held_out, "means": self._read_means()}

    def _read_means(self) -> list[float] | None:
        if self._reset_due:
            return None
        return [float(variable.numpy()) for variable in _means(self.model)]

    def on_train_begin(self, logs=None) -> None:
        restore_rows(self.path, self._rows)
        self._columns = _columns(self._rows)
        earlier = float(self._rows[-1].get("seconds") or 0.0) if self._rows else 0.0
        self._started = time.monotonic() - earlier
        if self.events is not None:
            with _readable_errors(self.events):
                self._writer = tf.summary.create_file_writer(os.fspath(self.events))

    def on_epoch_begin(self, epoch, logs=None) -> None:
        if self._kept_means is not None:  # `fit` has just reset them
            for variable, value in zip(_means(self.model), self._kept_means, strict=True):
                variable.assign(value)

    def on_epoch_end(self, epoch, logs=None) -> None:
        self._kept_means = self._read_means()

    def on_step_end(self, step: int, logs: dict) -> None:
        self._held_out |= {
            name: float(value) for name, value in logs.items() if name.startswith("val_")
        }
        if not self.due(step):
            return
        row = {
            "seconds": round(time.monotonic() - self._started, 2),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            **{name: float(value) for name, value in {**logs, **self._held_out}.items()},
        }
        self._held_out = {}
        self._append({"step": str(step), **{name: f"{value:.6g}" for name, value in row.items()}})
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

    def _append(self, row: dict[str, str]) -> None:
        self._rows.append(row)
        if not row.keys() <= set(self._columns):
            self._columns = _columns(self._rows)
            return _write_rows(self.path, self._rows)
        with readable_os_errors(self.path), open(self.path, "a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)
            file.flush()
            os.fsync(file.fileno())  # before the checkpoint that repeats it


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
