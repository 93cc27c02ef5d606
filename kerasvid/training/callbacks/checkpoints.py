"""Checkpoints: the model with its optimizers, each file complete at every moment.

A file is a `.keras` archive with one more member, `run.json`: the `Record` of the run. It ends with
the SHA-256 of all bytes before it, as the archive's comment, so that no change goes unnoticed.
"""

import dataclasses
import json
import os
import pathlib
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from kerasvid.io import DIGEST_SIZE, atomic_write, end_digests
from kerasvid.models.base.code_priors import CodePriors
from kerasvid.training.callbacks.step_callback import NotFinite, StepCallback, global_step
from kerasvid.training.config import RunConfig

RECORD = "run.json"


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message names the file and what to do."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What a file says of the run that saved it.

    Args:
        step: updates made.
        config: fields of the run's `RunConfig`; `None` if no run saved the file.
        metrics: state of `MetricsLog`, or `None`.
    """

    step: int
    config: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None


def save_model(
    model: keras.Model,
    path: str | os.PathLike,
    config: RunConfig | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Saves a `.keras` file atomically, with its record and a checksum.

    Raises:
        CheckpointError: the disk is full or the path is not writable. Older files remain.
    """
    fields = None if config is None else config.as_dict()
    record = Record(global_step(model), fields, metrics)
    try:
        with atomic_write(path) as temporary:
            model.save(temporary)
            with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(RECORD, json.dumps(dataclasses.asdict(record)))
                archive.comment = b"0" * DIGEST_SIZE
            digest, _ = end_digests(temporary)
            with open(temporary, "r+b") as file:
                file.seek(-DIGEST_SIZE, os.SEEK_END)
                file.write(digest)
    except OSError as error:
        raise CheckpointError(str(error)) from error


def read_record(path: str | os.PathLike, config: RunConfig | None = None) -> Record:
    """The record in a file of `save_model`, after a check of all its bytes.

    Args:
        path: of the file.
        config: settings that the file must have been saved with, if given.

    Raises:
        CheckpointError: the file is missing, is not as it was written, is of an earlier version,
            or is of other settings.
    """
    try:
        check_whole(path)
        with zipfile.ZipFile(path) as archive:
            record = Record(**json.loads(archive.read(RECORD)))
    except Exception as error:  # the archive and its member raise many kinds
        older = not isinstance(error, OSError) and _is_of_earlier_version(path)
        why = "written by an earlier version of kerasvid" if older else f"damaged ({_line(error)})"
        raise CheckpointError(f"{path}: {why}") from error
    if config and (differences := _differences(record, config)):
        raise CheckpointError(f"{path}: saved with other settings ({differences})")
    return record


def _is_of_earlier_version(path: str | os.PathLike) -> bool:
    """Whether a file is an undamaged archive as earlier versions wrote it: the step is its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(re.fullmatch(rb"step \d+", archive.comment)) and archive.testzip() is None
    except Exception:  # a damaged archive raises many kinds
        return False


def saved_step(path: str | os.PathLike) -> int:
    """The step at which `save_model` wrote a file; -1 if there is none or it cannot be read."""
    try:
        return read_record(path).step
    except CheckpointError:
        return -1


def saved_steps(folder: str | os.PathLike) -> dict[int, pathlib.Path]:
    """The checkpoints of a folder by step, oldest first, readable or not."""
    steps = ((step_of(path.name), path) for path in pathlib.Path(folder).glob("step-*.keras"))
    return dict(sorted((step, path) for step, path in steps if step is not None))


def step_of(name: str) -> int | None:
    """The step in the name of a checkpoint; `None` for another name.

    Example:
        >>> step_of("step-000500.keras")
        500
    """
    match = re.fullmatch(r"step-(\d+)\.keras", name)
    return int(match[1]) if match else None


def check_whole(path: str | os.PathLike) -> None:
    """Raises a ValueError if a file is not as `save_model` wrote it."""
    found, stated = end_digests(path)
    if found != stated:
        raise ValueError("its SHA-256 differs from the one at its end")


def first_readable(
    paths: Iterable[pathlib.Path], read: Callable[[pathlib.Path], Record] = read_record
) -> tuple[pathlib.Path, Record] | None:
    """The first of some files that can be read, and its record; names the others on stderr.

    Args:
        paths: of the files, the best first.
        read: function that raises `CheckpointError` for a file that it cannot read.
    """
    for path in paths:
        try:
            return path, read(path)
        except CheckpointError as error:
            print(f"{error}. Skipped.", file=sys.stderr)
    return None


def latest(folder: str | os.PathLike) -> pathlib.Path | None:
    """The newest checkpoint that can be read, or `None`; names damaged ones on stderr."""
    found = first_readable(reversed(saved_steps(folder).values()))
    return found and found[0]


def restore(model: keras.Model, path: str | os.PathLike, config: RunConfig | None = None) -> Record:
    """Loads weights, optimizers and loss scale of a checkpoint into a compiled model.

    Args:
        model: the model.
        path: of the checkpoint.
        config: as in `read_record`.

    Returns:
        What the file says of its run, such as its `step`.

    Raises:
        CheckpointError: the file is damaged, is of another architecture or other settings, or has
            weights that are not finite. The model may have some of its weights.
    """
    record = read_record(path, config)
    if isinstance(model, CodePriors):
        _add_parts(model, path)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    try:
        with warnings.catch_warnings():
            # Keras would continue with a new optimizer.
            warnings.filterwarnings("error", message="Skipping variable loading")
            model.load_weights(path)
        if wrong := _weight_not_finite(model):
            raise ValueError(wrong)
    except Exception as error:  # Keras and HDF5 raise many kinds
        raise CheckpointError(f"{path}: cannot be restored ({_line(error)})") from error
    return record


def _add_parts(model: Any, path: str | os.PathLike) -> None:
    """Gives a model the prior and the encoder of codes that the model in a file has."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))["config"]
    with model.distribute_strategy.scope():
        model.add(config)


def _differences(record: Record, config: RunConfig) -> str:
    try:
        saved = RunConfig.from_dict(record.config)
    except ValueError as error:
        return str(error)
    return "; ".join(saved.differences(config))


def _weight_not_finite(model: keras.Model) -> str | None:
    """A message about a weight that is NaN or infinite, if there is one."""
    for variable in model.variables:
        if not np.isfinite(np.sum(variable.numpy(), dtype=np.float64)):
            return f"The weight {variable.path} is not finite"
    return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


class Checkpoints(StepCallback):
    """Writes `step-000500.keras` each `every` steps and keeps the newest files.

    Args:
        folder: where the files go; made if missing.
        every: steps between checkpoints.
        keep: number of files to keep, at least 1.
        last_step: last step of the run, which gets a checkpoint in any case.
        config: of the run, for the files' record.
        metrics: function that returns the state of the metrics, for the record.
        saved: function that is called after each checkpoint.

    Example:
        >>> model.fit(batches, callbacks=[Checkpoints("run/checkpoints", every=500)])
        >>> restore(model, latest("run/checkpoints")).step
        500
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        every: int,
        keep: int = 3,
        last_step: int | None = None,
        config: RunConfig | None = None,
        metrics: Callable[[], Mapping[str, Any]] | None = None,
        saved: Callable[[], None] = lambda: None,
    ):
        super().__init__(every, last_step)
        self.folder, self.keep = pathlib.Path(folder), keep
        self.config, self.metrics, self.saved = config, metrics, saved

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
        if wrong := _weight_not_finite(self.model):
            raise NotFinite(wrong, step)
        path = self.folder / f"step-{step:06d}.keras"
        save_model(self.model, path, self.config, self.metrics and self.metrics())
        # After a complete new file only older ones are deleted, and none of later steps.
        older = [old for number, old in saved_steps(self.folder).items() if number < step]
        for old in older[: max(0, len(older) - self.keep + 1)]:
            old.unlink(missing_ok=True)
        self.saved()
        return path
