"""The folder of a run: its files, its configuration and the model that is saved in it."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasvid import io
from kerasvid.data.shards import DatasetError
from kerasvid.models.base.averaging import apply_ema
from kerasvid.training.callbacks import checkpoints
from kerasvid.training.config import RunConfig


class RunError(RuntimeError):
    """A run cannot start or continue; the message says why and what to do."""


# What ends a run for reasons outside the code.
ERRORS = (RunError, checkpoints.CheckpointError, DatasetError, OSError, tf.errors.OpError)


def default_folder(model: str, dataset: str) -> str:
    """The folder of a run if none is given.

    Example:
        >>> default_folder("rjvae", "sprites/lpc"), default_folder("dsa", "../data/mine")
        ('runs/rjvae-sprites-lpc', 'runs/dsa-data-mine')
    """
    return "-".join([f"runs/{model}", *re.findall(r"[\w-][\w.-]*", dataset)])


class RunFolder:
    """The files of a run.

    `config.json` is its `RunConfig`, `model.keras` the finished model, `checkpoints/` has what a
    resumed run continues from, `samples/` a PNG and a GIF of each time, `metrics.csv` and `events/`
    the metrics over the steps.

    Args:
        path: of the folder.
        chief: whether this process writes there. Of several machines, one does.

    Example:
        >>> RunFolder("runs/rjvae-sprites").load_config().model
        'rjvae'
    """

    def __init__(self, path: str | os.PathLike, chief: bool = True):
        self.path, self.chief = pathlib.Path(path), chief
        self.config_path, self.model = self.path / "config.json", self.path / "model.keras"
        self.checkpoints, self.samples = self.path / "checkpoints", self.path / "samples"
        self.metrics, self.events = self.path / "metrics.csv", self.path / "events"

    def exists(self) -> bool:
        """Whether a run was started here and has saved weights."""
        saved = self.model.exists() or checkpoints.saved_steps(self.checkpoints)
        return self.config_path.exists() and bool(saved)

    def load_config(self) -> RunConfig:
        """The configuration that the run was started with.

        Raises:
            RunError: there is no run, or its configuration is damaged.
        """
        try:
            return RunConfig.from_json(self.config_path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{self.path}: there is no run. Train one first.") from error
        except ValueError as error:
            raise RunError(f"{self.config_path}: {error}. Use another --run_dir.") from error

    def keep_precision(self, precision: str) -> str:
        """The run's own precision in place of "auto", so that any machine can resume it."""
        return self.load_config().precision if precision == "auto" and self.exists() else precision

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Makes the folder and locks it for this process, if it is the chief.

        New folders are removed again if the block writes nothing.

        Raises:
            RunError: the folder is not writable, or another process trains there.
        """
        if not self.chief:
            yield
            return
        lock, folders = self.path / ".lock", [self.path, *self.path.parents]
        new = [folder for folder in folders if not folder.exists()]
        with contextlib.ExitStack() as held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                held.enter_context(io.lock(lock))
            except BlockingIOError as error:
                raise RunError(f"{self.path}: another process is training there. Wait for it or "
                               "use another --run_dir.") from error  # fmt: skip
            except OSError as error:
                raise RunError(f"{self.path}: not writable ({error.strerror or error}). Use "
                               "another --run_dir.") from error  # fmt: skip
            try:
                yield
            finally:
                if new and os.listdir(self.path) == [lock.name]:
                    lock.unlink()
                    with contextlib.suppress(OSError):  # another process uses a parent
                        for folder in new:
                            folder.rmdir()

    def check_source(self, config: RunConfig) -> None:
        """Raises `RunError` if this run is new and the run that it starts from has no weights."""
        if config.init_from and not self.exists():
            source = RunFolder(config.init_from)
            try:
                source.load_config()
                source.newest()
            except RunError as error:
                raise RunError(f"--init_from={error}") from error

    def check_unchanged(self, config: RunConfig) -> None:
        """Raises `RunError` with the differences if the run was started with other settings."""
        if self.exists() and (differences := self.load_config().differences(config)):
            raise RunError(
                f"{self.path}: the run was started with other settings: {'; '.join(differences)}. "
                "Use the same settings or another --run_dir."
            )

    def begin(self, config: RunConfig) -> None:
        """Writes `config.json` and removes what a killed process left half-written.

        Raises:
            RunError: as `check_unchanged`, or the file cannot be written. Nothing is changed then.
        """
        if not self.chief:
            return
        self.check_unchanged(config)
        for leftover in self.path.rglob("partial-*"):
            leftover.unlink(missing_ok=True)
        try:
            with io.atomic_write(self.config_path) as temporary:
                pathlib.Path(temporary).write_text(config.to_json(), encoding="utf-8")
        except OSError as error:
            raise RunError(str(error)) from error

    def newest(self) -> pathlib.Path:
        """The file with the newest weights: the finished model, or a checkpoint of a later step.

        Raises:
            RunError: the run has saved nothing yet.
        """
        checkpoint = checkpoints.latest(self.checkpoints)
        step = checkpoints.saved_step(checkpoint) if checkpoint else -1
        if self.model.exists() and checkpoints.saved_step(self.model) >= step:
            return self.model
        if checkpoint is None:
            raise RunError(f"{self.path}: the run has saved nothing yet. Train it for longer.")
        return checkpoint

    def load_model(self, averaged: bool = True) -> tuple[keras.Model, pathlib.Path]:
        """The model with the newest weights, and the file that they are from.

        Args:
            averaged: whether a checkpoint's averaged weights are used. A finished file has no
                others.

        Raises:
            RunError: the run has saved nothing yet.
        """
        config, source = self.load_config(), self.newest()
        model = config.make_model()
        config.compile(model)
        checkpoints.restore(model, source)
        if averaged and source != self.model:
            apply_ema(model)
        return model, source
