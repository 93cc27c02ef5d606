"""The model of a run as it leaves the package: in float32, with averaged weights.

Converters write much to stderr, from C++ too, that says nothing to who exports.
"""

import contextlib
import dataclasses
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasvid.models.base.averaging import ema_ready, inner_optimizer
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.config import RunConfig
from kerasvid.training.run_folder import RunError, RunFolder

AVERAGED, TRAINED = WEIGHTS = ("averaged", "trained")


@dataclasses.dataclass(frozen=True)
class ExportedRun:
    """What an export is made of.

    Args:
        model: in float32.
        config: what the run was begun with.
        folder: of the run.
        weights: the file that the weights are from.
        step: at which they were saved.
        averaged: whether they are the moving average of the trained ones.
    """

    model: keras.Model
    config: RunConfig
    folder: pathlib.Path
    weights: pathlib.Path
    step: int
    averaged: bool


def load_for_export(run_dir: str | os.PathLike, weights: str | None = None) -> ExportedRun:
    """The model of a finished run, or of the newest checkpoint of one that goes on.

    Whatever it was trained in, it computes in float32: other programs have no bfloat16 kernels
    for all operations, and a generator is quick enough.

    Args:
        run_dir: the run's folder.
        weights: "averaged" or "trained"; where `None`, averaged ones if the run has them and they
            are ripe (`ema_ready`).

    Raises:
        RunError: there is no run, it has saved nothing yet, or not these weights.
        CheckpointError: the weights cannot be read.
        ValueError: `weights` is another word.

    Example:
        >>> run = load_for_export("runs/rjvae-sprites")
        >>> run.model.generate(2).shape
        (2, 8, 64, 64, 3)
    """
    if weights not in (None, *WEIGHTS):
        raise ValueError(f"weights={weights!r}: give {' or '.join(WEIGHTS)}.")
    run = RunFolder(run_dir)
    config = run.load_config()
    trained, source = run.load_model(averaged=weights != TRAINED)
    # Keras has a momentum even where it keeps no average.
    ripe = inner_optimizer(trained).use_ema and ema_ready(trained)
    if weights == AVERAGED and not ripe:
        raise RunError(
            f"{run.path}: has no averaged weights, or not for long enough; leave --weights out."
        )
    if weights == TRAINED and ripe and source == run.model:
        raise RunError(
            f"{run.path}: is finished, and {source.name} has the averaged weights alone; leave "
            "--weights out."
        )
    model = dataclasses.replace(config, precision="float32").make_model()
    for own, value in zip(model.weights, trained.weights, strict=True):
        own.assign(value)
    if hasattr(model, "refresh_gaussians"):
        model.refresh_gaussians()
    averaged = ripe and weights != TRAINED
    return ExportedRun(model, config, run.path, source, max(saved_step(source), 0), averaged)


@contextlib.contextmanager
def quiet_unless_failing() -> Iterator[None]:
    """Hides what is written to stderr within the block; shows it if the block fails otherwise
    than by a ValueError, an ImportError or an OSError, which say enough themselves.

    Example:
        >>> with quiet_unless_failing():
        ...     content = converter.convert()
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, (ValueError, ImportError, OSError, tf.errors.OpError)):
                hidden.seek(0)
                os.write(terminal, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
