"""Checkpoints: the model with its optimizers, each file complete at every moment."""

import os
import pathlib
import re
import sys
import warnings
import zipfile

import keras
import numpy as np

from kerasvid.io import atomic_write
from kerasvid.training.callbacks.step_callback import NotFinite, StepCallback, global_step


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message names the file and what to do."""


def save_model(model: keras.Model, path: str | os.PathLike) -> None:
    """Saves a `.keras` file atomically, with its step as the archive's comment.

    Raises:
        CheckpointError: the disk is full or the path is not writable. Older files remain.
    """
    try:
        with atomic_write(path) as temporary:
            model.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.comment = b"step %d" % global_step(model)
    except OSError as error:
        raise CheckpointError(str(error)) from error


def saved_step(path: str | os.PathLike) -> int:
    """The step at which `save_model` wrote a file; -1 if there is none or it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            match = re.fullmatch(rb"step (\d+)", archive.comment)
    except (OSError, zipfile.BadZipFile):
        return -1
    return int(match[1]) if match else -1


def saved_steps(folder: str | os.PathLike) -> dict[int, pathlib.Path]:
    """The checkpoints of a folder by step, oldest first, readable or not."""
    matches = {path: re.fullmatch(r"step-(\d+)", path.stem)
               for path in pathlib.Path(folder).glob("step-*.keras")}  # fmt: skip
    return dict(sorted((int(match[1]), path) for path, match in matches.items() if match))


def latest(folder: str | os.PathLike) -> pathlib.Path | None:
    """The newest checkpoint that can be read, or `None`; warns of damaged ones on stderr."""
    for path in reversed(saved_steps(folder).values()):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
        except (OSError, zipfile.BadZipFile) as error:
            damaged = str(error)
        if damaged is None:
            return path
        print(f"{path}: skipped, the file is damaged ({damaged}).", file=sys.stderr)
    return None


def restore(model: keras.Model, path: str | os.PathLike) -> int:
    """Loads weights, optimizers and loss scale of a checkpoint into a compiled model.

    Returns:
        The step at which it was saved.

    Raises:
        CheckpointError: the file is damaged or is of another architecture.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    try:
        with warnings.catch_warnings():
            # Keras would continue with a new optimizer.
            warnings.filterwarnings("error", message="Skipping variable loading")
            model.load_weights(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, UserWarning) as error:
        why = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path}: cannot be restored ({why}). Delete it to continue from the one before."
        ) from error
    return global_step(model)


class Checkpoints(StepCallback):
    """Writes `step-000500.keras` each `every` steps and keeps the newest files.

    Args:
        folder: where the files go; made if missing.
        every: steps between checkpoints.
        keep: number of files to keep, at least 1.
        last_step: last step of the run, which gets a checkpoint in any case.

    Example:
        >>> model.fit(batches, callbacks=[Checkpoints("run/checkpoints", every=500)])
        >>> restore(model, latest("run/checkpoints"))
        500
    """

    def __init__(
        self, folder: str | os.PathLike, every: int, keep: int = 3, last_step: int | None = None
    ):
        super().__init__(every, last_step)
        self.folder, self.keep = pathlib.Path(folder), keep

    def on_train_begin(self, logs=None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_step_end(self, step: int, logs: dict) -> None:
        if self.due(step):
            self.save()

    def save(self) -> pathlib.Path:
        """Writes a checkpoint now and returns its path.

        Raises:
            NotFinite: a weight is NaN or infinite. Nothing is written then.
            CheckpointError: the file cannot be written.
        """
        step = global_step(self.model)
        for variable in self.model.variables:
            if not np.isfinite(np.sum(variable.numpy(), dtype=np.float64)):
                raise NotFinite(f"The weight {variable.path} is not finite", step)
        path = self.folder / f"step-{step:06d}.keras"
        save_model(self.model, path)
        # After a complete new file only older ones are deleted, and none of later steps.
        older = [old for number, old in saved_steps(self.folder).items() if number < step]
        for old in older[: max(0, len(older) - self.keep + 1)]:
            old.unlink(missing_ok=True)
        return path
