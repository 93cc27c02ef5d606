"""A run on disk: its folder, how it begins or resumes, and `fit` with everything around it."""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from kerasvid.callbacks.best_weights import adopt_average
from kerasvid.callbacks.checkpoints import (
    CheckpointError,
    Checkpoints,
    latest,
    restore,
    save_model,
    saved_steps,
)
from kerasvid.callbacks.files import replaced_when_complete
from kerasvid.callbacks.finite_loss import FiniteLoss, NotFinite
from kerasvid.callbacks.held_out import HeldOutEvaluation
from kerasvid.callbacks.metrics_log import MetricsLog
from kerasvid.callbacks.samples import SampleWriter
from kerasvid.callbacks.stopping import GracefulStop, StopAtStep
from kerasvid.data import DatasetError, load_info, make_pipeline
from kerasvid.runs.plan import TrainingPlan, held_out_split, training_split
from kerasvid.runs.strategy import is_chief

HELD_OUT_VIDEOS = 128
PICTURED_VIDEOS = 8


class RunError(RuntimeError):
    """A run cannot begin or go on; the message says why and what to do."""


class RunFolder:
    """The files of a run: `config.json model.keras checkpoints/ samples/ metrics.csv events/`.

    Example:
        >>> RunFolder("runs/rjvae-sprites").plan().model
        'rjvae'
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config, self.model = self.path / "config.json", self.path / "model.keras"
        self.checkpoints, self.samples = self.path / "checkpoints", self.path / "samples"
        self.metrics, self.events = self.path / "metrics.csv", self.path / "events"

    def exists(self) -> bool:
        """Whether a run has begun here."""
        return self.config.exists()

    def plan(self) -> TrainingPlan:
        """What the run was begun with.

        Raises:
            RunError: there is no run, or its configuration is broken.
        """
        try:
            return TrainingPlan.from_json(self.config.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{self.path}: no run is there; train one first.") from error
        except ValueError as error:
            raise RunError(f"{self.config}: {error}; use another --run_dir.") from error

    def keep_precision(self, precision: str) -> str:
        """What `"auto"` meant when the run began, so that it resumes on another machine too."""
        return self.plan().precision if precision == "auto" and self.exists() else precision

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder and holds it for this process.

        Raises:
            RunError: the folder is not writable, or another process trains there.
        """
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
            yield

    def begin(self, plan: TrainingPlan) -> None:
        """Writes `config.json`, after comparing with the one that is there.

        Raises:
            RunError: the run was begun with other settings, or the file cannot be written.
                Nothing is changed then.
        """
        if self.exists() and (differences := self.plan().differences(plan)):
            raise RunError(
                f"{self.path} was begun with other settings: {'; '.join(differences)}. Use the "
                "same, or another --run_dir."
            )
        try:
            with replaced_when_complete(self.config) as temporary:
                pathlib.Path(temporary).write_text(plan.to_json(), encoding="utf-8")
        except OSError as error:
            why = error.strerror or error
            raise RunError(f"{self.config}: not writable ({why}); free space or rights.") from error

    def load_model(self) -> tuple[keras.Model, pathlib.Path]:
        """The model of the finished run, or of its newest checkpoint, with averaged weights.

        Raises:
            RunError: the run has saved nothing yet.
        """
        plan = self.plan()
        source = self.model if self.model.exists() else latest(self.checkpoints)
        if source is None:
            raise RunError(f"{self.path}: nothing is saved yet; let it train for longer.")
        model = plan.make_model()
        plan.compile(model)
        restore(model, source)
        if source != self.model:
            adopt_average(model)
        return model, source


# What ends a run for reasons outside the code.
ERRORS = (RunError, CheckpointError, DatasetError, OSError, tf.errors.OpError)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How `train` ended.

    Args:
        step: updates made, over all resumptions.
        trained: updates made by this call.
        signal: that ended it early, or `None`.
        saved: the file that holds the result.
    """

    step: int
    trained: int
    signal: int | None
    saved: pathlib.Path


def train(plan: TrainingPlan, run: RunFolder, strategy: tf.distribute.Strategy) -> Outcome:
    """Begins or resumes a run and trains until its last step or a signal.

    A resumed run computes what an uninterrupted one would have, to the bit where `deterministic`
    is on or the device is deterministic anyway.

    Args:
        plan: what to do.
        run: where; after `run.begin(plan)`, within `run.held()`.
        strategy: of `make_strategy(plan.strategy)`.

    Raises:
        RunError: the batch cannot be divided among the replicas, or the loss became NaN.
        CheckpointError: a checkpoint cannot be written or read.
    """
    replicas = strategy.num_replicas_in_sync
    if plan.recipe.batch_size % replicas:
        raise RunError(f"batch_size={plan.recipe.batch_size} cannot be shared by {replicas} "
                       f"replicas; use a multiple of {replicas}.")  # fmt: skip
    keras.utils.set_random_seed(plan.seed)
    if plan.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = plan.make_model()
        plan.compile(model)
    newest = latest(run.checkpoints)
    start = restore(model, newest) if newest else 0
    if start:
        print(f"resuming at step {start} from {newest}", flush=True)
    if start < plan.steps:
        stop = _fit(plan, run, model, start, is_chief(strategy))
        if stop.received is not None:
            return Outcome(_steps(model), _steps(model) - start, stop.received, stop.saved)
    if is_chief(strategy) and (start < plan.steps or not run.model.exists()):
        if start >= plan.steps:  # ended between its last checkpoint and this file
            adopt_average(model)
        save_model(model, run.model)
    return Outcome(_steps(model), _steps(model) - start, None, run.model)


def _steps(model: keras.Model) -> int:
    return int(model.optimizer.iterations.numpy())


def _fit(
    plan: TrainingPlan, run: RunFolder, model: keras.Model, start: int, chief: bool
) -> GracefulStop:
    """One call of `fit` over the endless stream of batches, from where it stood."""
    count = training_split(load_info(plan.data_folder)).count
    # A display of progress, at least `log_every` steps long where the data is small.
    steps_per_epoch = max(plan.log_every, round(count / plan.recipe.batch_size), 1)
    steps_per_epoch = min(steps_per_epoch, plan.steps)
    epoch = start // steps_per_epoch
    callbacks, stop = _make_callbacks(plan, run, chief)
    batches = make_pipeline(
        plan.data_folder,
        "train",
        plan.recipe.batch_size,
        plan.frames,
        plan.recipe.stride,
        seed=plan.seed,
        start_step=start,
    )
    try:
        model.fit(
            batches,
            initial_epoch=epoch,
            epochs=epoch - (start - plan.steps) // steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            shuffle=False,
        )
    except NotFinite as error:
        kept = list(saved_steps(run.checkpoints).values())
        last = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint was due yet"
        raise RunError(f"{error} Stopped; {last}.") from error
    return stop


def _make_callbacks(plan: TrainingPlan, run: RunFolder, chief: bool) -> tuple[list, GracefulStop]:
    """In the order in which they act after a step; only the chief writes files."""
    last = plan.steps
    checkpoints = Checkpoints(
        run.checkpoints, plan.checkpoint_every if chief else 0, last_step=last
    )
    stop = GracefulStop(checkpoints)
    callbacks: list[keras.callbacks.Callback] = [FiniteLoss()]
    if held_out := _held_out_batches(plan):
        callbacks.append(HeldOutEvaluation(held_out, plan.sample_every, last))
    if chief:
        fps = load_info(plan.data_folder).fps
        callbacks += [
            MetricsLog(run.metrics, plan.log_every, run.events, last),
            checkpoints,
            SampleWriter(
                run.samples,
                pictured_videos(plan),
                plan.sample_every,
                fps=fps if fps > 0 else 8.0,
                last_step=last,
            ),
        ]
    return [*callbacks, stop, StopAtStep(plan.steps)], stop


def _held_out_batches(plan: TrainingPlan) -> tf.data.Dataset | None:
    info = load_info(plan.data_folder)
    split = held_out_split(info)
    if split is None or info.splits[split].count < plan.recipe.batch_size:
        return None
    batches = make_pipeline(
        plan.data_folder,
        split,
        plan.recipe.batch_size,
        plan.frames,
        plan.recipe.stride,
        pick="start",
        repeat=False,
    )
    return batches.take(max(1, HELD_OUT_VIDEOS // plan.recipe.batch_size)).cache()


def pictured_videos(plan: TrainingPlan, count: int = PICTURED_VIDEOS) -> np.ndarray:
    """The same few held-out clips each time, uint8 `[B, T, H, W, C]`; of "train" if it must be."""
    info = load_info(plan.data_folder)
    split = held_out_split(info) or "train"
    batches = make_pipeline(
        plan.data_folder,
        split,
        min(count, info.splits[split].count),
        plan.frames,
        plan.recipe.stride,
        pick="start",
        seed=1,
        repeat=False,
    )
    return next(iter(batches))["video"].numpy()
