"""A run on disk: its folder, what it was begun with, and the model that it has."""

import contextlib
import fcntl
import os
import pathlib
import re
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasvid.data.shards import DatasetError
from kerasvid.io import atomic_write
from kerasvid.models.base.averaging import apply_ema
from kerasvid.training.callbacks.checkpoints import (
    CheckpointError,
    latest,
    restore,
    saved_step,
    saved_steps,
)
from kerasvid.training.config import RunConfig

NOTHING_SAVED = "nothing is saved yet; let it train for longer."


class RunError(RuntimeError):
    """A run cannot begin or go on; the message says why and what to do."""


# What ends a run for reasons outside the code.
ERRORS = (RunError, CheckpointError, DatasetError, OSError, tf.errors.OpError)


def default_folder(model: str, dataset: str) -> str:
    """Where a run goes by default.

    Example:
        >>> default_folder("rjvae", "sprites/lpc"), default_folder("dsa", "../data/mine")
        ('runs/rjvae-sprites-lpc', 'runs/dsa-data-mine')
    """
    return "-".join([f"runs/{model}", *re.findall(r"[\w-][\w.-]*", dataset)])


class RunFolder:
    """The files of a run: `config.json model.keras checkpoints/ samples/ metrics.csv events/`.

    Args:
        path: of the folder.
        chief: whether this process writes there; of several machines, one does.

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
        """Whether a run has begun here and saved weights."""
        saved = self.model.exists() or saved_steps(self.checkpoints)
        return self.config_path.exists() and bool(saved)

    def load_config(self) -> RunConfig:
        """What the run was begun with.

        Raises:
            RunError: there is no run, or its configuration is broken.
        """
        try:
            return RunConfig.from_json(self.config_path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{self.path}: no run is there; train one first.") from error
        except ValueError as error:
            raise RunError(f"{self.config_path}: {error}; use another --run_dir.") from error

    def keep_precision(self, precision: str) -> str:
        """What `"auto"` meant when the run began, so that it resumes on another machine too."""
        return self.load_config().precision if precision == "auto" and self.exists() else precision

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Makes the folder and holds it for this process, if it is the chief.

        Raises:
            RunError: the folder is not writable, or another process trains there.
        """
        if not self.chief:
            yield
            return
        fresh = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lock", "w")  # noqa: SIM115
        except OSError as error:
            why = error.strerror or error
            raise RunError(f"{self.path}: not writable ({why}); give another --run_dir.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunError(
                    f"{self.path}: another process is training there; wait for it or give another "
                    "--run_dir."
                ) from error
            with self._removed_if_unused(fresh):  # by the holder alone
                yield

    @contextlib.contextmanager
    def _removed_if_unused(self, fresh: bool) -> Iterator[None]:
        """Takes a new folder away again that nothing but the lock was written to."""
        try:
            yield
        finally:
            if fresh and os.listdir(self.path) == [".lock"]:
                (self.path / ".lock").unlink()
                self.path.rmdir()

    def check_source(self, config: RunConfig) -> None:
        """Sees whether the run whose weights a new run is to begin with has any; writes nothing.

        Raises:
            RunError: there is no such run, or it has saved nothing yet. A run that has begun
                itself needs it no more.
        """
        if not config.init_from or self.exists():
            return
        source = RunFolder(config.init_from)
        try:
            source.load_config()
        except RunError as error:
            raise RunError(f"--init_from={error}") from error
        if not source.exists():
            raise RunError(f"--init_from={source.path}: {NOTHING_SAVED}")

    def check_settings(self, config: RunConfig) -> None:
        """Compares a config with the one that the run was begun with; writes nothing.

        A run that has saved no weights yet may be begun anew with other settings.

        Raises:
            RunError: they differ.
        """
        if self.exists() and (differences := self.load_config().differences(config)):
            raise RunError(
                f"{self.path} was begun with other settings: {'; '.join(differences)}. Use the "
                "same, or another --run_dir."
            )

    def _remove_leftovers(self) -> None:
        """Removes what a process left half-written that was killed."""
        for folder in (self.path, self.samples):
            for leftover in folder.glob("partial-*"):
                leftover.unlink(missing_ok=True)

    def begin(self, config: RunConfig) -> None:
        """Writes `config.json`, after comparing with the one that is there.

        Raises:
            RunError: the run was begun with other settings, or the file cannot be written.
                Nothing is changed then.
        """
        if not self.chief:
            return
        self.check_settings(config)
        self._remove_leftovers()
        try:
            with atomic_write(self.config_path) as temporary:
                pathlib.Path(temporary).write_text(config.to_json(), encoding="utf-8")
        except OSError as error:
            raise RunError(str(error)) from error

    def load_model(self, averaged: bool = True) -> tuple[keras.Model, pathlib.Path]:
        """The model of the finished run or of a newer checkpoint.

        Args:
            averaged: whether it has the averaged weights of a checkpoint, if they are ripe, or the
                trained ones. The file of a finished run has the averaged ones alone.

        Raises:
            RunError: the run has saved nothing yet.
        """
        config = self.load_config()
        newest = latest(self.checkpoints)
        finished = self.model.exists() and saved_step(self.model) >= _step_of(newest)
        source = self.model if finished else newest
        if source is None:
            raise RunError(f"{self.path}: {NOTHING_SAVED}")
        model = config.make_model()
        config.compile(model)
        restore(model, source)
        if averaged and source != self.model:
            apply_ema(model)
        return model, source


def _step_of(checkpoint: pathlib.Path | None) -> int:
    """The step in a checkpoint's name, -1 where there is none."""
    return -1 if checkpoint is None else int(checkpoint.stem.rpartition("-")[2])
