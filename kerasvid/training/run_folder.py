"""The folder of a run: its files, its configuration and the model that is saved in it."""

import contextlib
import functools
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator

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
    the metrics over the steps, `kept/` the runs of `kept`. Each file of weights repeats the config
    and the metrics.

    Args:
        path: of the folder.
        chief: whether this process writes there. Of several machines, one does.

    Raises:
        OSError: the path has a name that is not UTF-8; one line.

    Example:
        >>> RunFolder("runs/rjvae-sprites").load_config().model
        'rjvae'
    """

    def __init__(self, path: str | os.PathLike, chief: bool = True):
        io.check_unicode_name(path)
        self.path, self.chief = pathlib.Path(path), chief
        self.config_path, self.model = self.path / "config.json", self.path / "model.keras"
        self.checkpoints, self.samples = self.path / "checkpoints", self.path / "samples"
        self.metrics, self.events = self.path / "metrics.csv", self.path / "events"

    def weights(self) -> list[pathlib.Path]:
        """The files with weights, readable or not: the newest first.

        The finished model is before the checkpoint of its step. A damaged one is the first.
        """
        files = list(reversed(checkpoints.saved_steps(self.checkpoints).items()))
        if not self.model.exists():
            return [path for _, path in files]
        step = checkpoints.saved_step(self.model)
        later = [path for number, path in files if number > step >= 0]
        return [*later, self.model, *(path for _, path in files[len(later) :])]

    def kept(self, step: int) -> "RunFolder":
        """The folder with the weights of a step of `RunConfig.keep_at`.

        It is that of a run which ended at this step: it can be evaluated and shown, and training it
        again only writes its `model.keras`.
        """
        return RunFolder(self.path / "kept" / f"step-{step:06d}", self.chief)

    def exists(self) -> bool:
        """Whether a run was started here and has saved weights."""
        return self.model.exists() or bool(checkpoints.saved_steps(self.checkpoints))

    def load_config(self) -> RunConfig:
        """The configuration that the run was started with.

        Without `config.json`, it is that of the newest weights.

        Raises:
            RunError: there is no run, or its configuration is damaged.
        """
        try:
            return RunConfig.from_json(io.read_text(self.config_path))
        except (FileNotFoundError, NotADirectoryError) as error:
            if not self.exists():
                raise RunError(f"{self.path}: there is no run. Train one first.") from error
            return self._config_of_weights
        except OSError as error:
            raise RunError(io.described(error)) from error
        except ValueError as error:
            rest = "Delete it: the saved weights repeat it." if self.exists() else "Delete it."
            raise RunError(f"{self.config_path}: {error}. {rest}") from error

    @functools.cached_property
    def _config_of_weights(self) -> RunConfig:
        """The configuration in the newest weights."""
        found = checkpoints.first_readable(self.weights())
        if found is None:
            raise RunError(
                f"{self.config_path}: missing, and no saved weights can be read. Restore it from a "
                "copy or use another --run_dir."
            )
        path, record = found
        try:
            config = RunConfig.from_dict(record.config)
        except ValueError as error:
            raise RunError(f"{path}: {error}. Use another --run_dir.") from error
        print(f"{self.config_path}: missing. Using the settings in {path}.", file=sys.stderr)
        return config

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
            except RunError as error:
                raise RunError(f"--init_from={error}") from error
            if not source.exists():
                raise RunError(f"--init_from={source.nothing_saved()}")

    def check_unchanged(self, config: RunConfig) -> None:
        """Raises `RunError` with the differences if the run was started with other settings."""
        if self.exists() and (differences := self.load_config().differences(config)):
            raise RunError(
                f"{self.path}: the run was started with other settings: {'; '.join(differences)}. "
                "Use the same settings or another --run_dir."
            )

    def begin(self, config: RunConfig) -> None:
        """Writes `config.json` and removes what killed processes left half-written.

        Raises:
            RunError: as `check_unchanged`, or the file cannot be written. Nothing is changed then.
        """
        if not self.chief:
            return
        self.check_unchanged(config)
        for folder in (self.path, self.checkpoints, self.samples):
            io.remove_leftovers(folder)
        try:
            with io.atomic_write(self.config_path) as temporary:
                pathlib.Path(temporary).write_text(config.to_json(), encoding="utf-8")
        except OSError as error:
            raise RunError(str(error)) from error

    def nothing_saved(self) -> str:
        """The message about a run without weights."""
        return f"{self.path}: the run has saved nothing yet. Train it for longer."

    def restore(
        self, model: keras.Model, config: RunConfig, paths: Iterable[pathlib.Path]
    ) -> tuple[pathlib.Path, checkpoints.Record] | None:
        """Restores the first of some files that can be; names the others on stderr.

        Args:
            model: a compiled model of the run.
            config: of the run; a file of other settings is not restored.
            paths: of the files.
        """
        return checkpoints.first_readable(
            paths, lambda path: checkpoints.restore(model, path, config)
        )

    def load_model(self, averaged: bool = True) -> tuple[keras.Model, pathlib.Path]:
        """The model with the newest weights that can be read, and the file that they are from.

        Args:
            averaged: whether a checkpoint's averaged weights are used. A finished file has no
                others.

        Raises:
            RunError: the run has saved nothing yet, or nothing that can be read.
        """
        config = self.load_config()
        if not self.exists():
            raise RunError(self.nothing_saved())
        model = config.make_model()
        config.compile(model)
        found = self.restore(model, config, self.weights())
        if found is None:
            raise RunError(
                f"{self.path}: no saved weights can be read. Restore them from a copy or train "
                "again with another --run_dir."
            )
        source, _ = found
        if averaged and source != self.model:
            apply_ema(model)
        return model, source
