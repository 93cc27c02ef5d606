"""A run on disk: its folder, how it begins or resumes, and `fit` with everything around it."""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasvid.callbacks.best_weights import adopt_average, trained_weights_kept
from kerasvid.callbacks.checkpoints import (
    CheckpointError,
    Checkpoints,
    latest,
    restore,
    save_model,
    saved_step,
    saved_steps,
)
from kerasvid.callbacks.files import replaced_when_complete
from kerasvid.callbacks.finite_loss import FiniteLoss, NotFinite
from kerasvid.callbacks.held_out import HeldOutEvaluation
from kerasvid.callbacks.metrics_log import MetricsLog
from kerasvid.callbacks.samples import SampleWriter
from kerasvid.callbacks.step_callback import global_step
from kerasvid.callbacks.stopping import GracefulStop, StopAtStep
from kerasvid.data import DatasetError, load_info, make_pipeline, with_images
from kerasvid.runs.evaluation_data import frame_rate, held_out_batches, pictured_batch
from kerasvid.runs.initial_weights import adopt_weights
from kerasvid.runs.plan import TrainingPlan, training_split

NOTHING_SAVED = "nothing is saved yet; let it train for longer."


class RunError(RuntimeError):
    """A run cannot begin or go on; the message says why and what to do."""


class RunFolder:
    """The files of a run: `config.json model.keras checkpoints/ samples/ metrics.csv events/`.

    Args:
        path: of the folder.
        chief: whether this process writes there; of several machines, one does.

    Example:
        >>> RunFolder("runs/rjvae-sprites").plan().model
        'rjvae'
    """

    def __init__(self, path: str | os.PathLike, chief: bool = True):
        self.path, self.chief = pathlib.Path(path), chief
        self.config, self.model = self.path / "config.json", self.path / "model.keras"
        self.checkpoints, self.samples = self.path / "checkpoints", self.path / "samples"
        self.metrics, self.events = self.path / "metrics.csv", self.path / "events"

    def exists(self) -> bool:
        """Whether a run has begun here and saved weights."""
        saved = self.model.exists() or saved_steps(self.checkpoints)
        return self.config.exists() and bool(saved)

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
        """Makes the folder and holds it for this process, if it is the chief.

        Raises:
            RunError: the folder is not writable, or another process trains there.
        """
        if not self.chief:
            yield
            return
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

    def check_source(self, plan: TrainingPlan) -> None:
        """Sees whether the run whose weights a new run is to begin with has any; writes nothing.

        Raises:
            RunError: there is no such run, or it has saved nothing yet. A run that has begun
                itself needs it no more.
        """
        if not plan.init_from or self.exists():
            return
        source = RunFolder(plan.init_from)
        try:
            source.plan()
        except RunError as error:
            raise RunError(f"--init_from={error}") from error
        if not source.exists():
            raise RunError(f"--init_from={source.path}: {NOTHING_SAVED}")

    def begin(self, plan: TrainingPlan) -> None:
        """Writes `config.json`, after comparing with the one that is there.

        A run that has saved no weights yet may be begun anew with other settings.

        Raises:
            RunError: the run was begun with other settings, or the file cannot be written.
                Nothing is changed then.
        """
        if not self.chief:
            return
        if self.exists() and (differences := self.plan().differences(plan)):
            raise RunError(
                f"{self.path} was begun with other settings: {'; '.join(differences)}. Use the "
                "same, or another --run_dir."
            )
        try:
            with replaced_when_complete(self.config) as temporary:
                pathlib.Path(temporary).write_text(plan.to_json(), encoding="utf-8")
        except OSError as error:
            raise RunError(str(error)) from error

    def load_model(self) -> tuple[keras.Model, pathlib.Path]:
        """The model of the finished run or of a newer checkpoint, with averaged weights.

        Raises:
            RunError: the run has saved nothing yet.
        """
        plan = self.plan()
        newest = latest(self.checkpoints)
        finished = self.model.exists() and saved_step(self.model) >= _step_of(newest)
        source = self.model if finished else newest
        if source is None:
            raise RunError(f"{self.path}: {NOTHING_SAVED}")
        model = plan.make_model()
        plan.compile(model)
        restore(model, source)
        if source != self.model:
            adopt_average(model)
        return model, source


def _step_of(checkpoint: pathlib.Path | None) -> int:
    """The step in a checkpoint's name, -1 where there is none."""
    return -1 if checkpoint is None else int(checkpoint.stem.rpartition("-")[2])


# What ends a run for reasons outside the code.
ERRORS = (RunError, CheckpointError, DatasetError, OSError, tf.errors.OpError)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How `train` ended.

    Args:
        step: updates made, over all resumptions.
        trained: updates made by this call.
        signal: that ended it early, or `None`.
        saved: the file that holds the result; for a process that writes none, the run's folder.
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
        RunError: the loss became NaN.
        CheckpointError: a checkpoint cannot be written or read.
    """
    keras.utils.set_random_seed(plan.seed)
    if plan.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = plan.make_model()
        plan.compile(model)
    newest = latest(run.checkpoints)
    if newest is None and (finished := _finished_without_checkpoints(plan, run)):
        return finished
    start = restore(model, newest) if newest else 0
    if start:
        print(f"resuming at step {start} from {newest}", flush=True)
    elif plan.init_from:
        begin_from(plan.init_from, model)
    if start < plan.steps:
        stop = _fit(plan, run, model, start)
        if stop.received is not None:
            step, saved = global_step(model), stop.saved or run.path
            return Outcome(step, step - start, stop.received, saved)
    step = global_step(model)
    # A run may have been killed between its last checkpoint and this file.
    if run.chief and saved_step(run.model) < step:
        adopt_average(model)
        fit_priors(plan, model)
        save_model(model, run.model)
    return Outcome(step, step - start, None, run.model if run.chief else run.path)


def fit_priors(plan: TrainingPlan, model: keras.Model) -> None:
    """Moves the priors to the posteriors of the training videos, where the recipe says so.

    The file of the finished run has them; checkpoints, from which a longer run goes on, do not.
    """
    if not plan.recipe.prior_steps or not hasattr(model, "fit_priors"):
        return
    recipe = plan.recipe
    batches = make_pipeline(
        plan.data_folder,
        "train",
        recipe.batch_size,
        plan.frames,
        recipe.stride,
        recipe.pick,
        seed=plan.seed,
        repeat=False,
    )
    for name, fit in model.fit_priors(batches, recipe.prior_steps, plan.seed).items():
        print(f"{name}: fitted to posteriors, {fit.before:.1f} -> {fit.after:.1f} nats", flush=True)


def begin_from(run_dir: str, model: keras.Model) -> None:
    """Gives a new model the weights of the parts that another run's model has, too; tells which.

    Raises:
        RunError: there is no such run, or it has no part in common.
    """
    source, path = RunFolder(run_dir).load_model()
    try:
        taken, own = adopt_weights(model, source)
    except ValueError as error:
        raise RunError(f"--init_from={run_dir}: {error}") from error
    rest = f"; {', '.join(own)} begin anew" if own else ""
    print(f"weights of {', '.join(taken)} from {path}{rest}", flush=True)


def _finished_without_checkpoints(plan: TrainingPlan, run: RunFolder) -> Outcome | None:
    """What to say of a run that has no readable checkpoint; `None` where it is to begin.

    Raises:
        RunError: there is something that training from the start would overwrite.
    """
    if damaged := saved_steps(run.checkpoints):
        raise RunError(
            f"{run.checkpoints}: none of the {len(damaged)} checkpoints can be read; put them back "
            "from a copy, or begin anew with another --run_dir."
        )
    if not run.model.exists():
        return None
    step = saved_step(run.model)
    if step >= plan.steps:
        return Outcome(step, 0, None, run.model)
    raise RunError(
        f"{run.path}: model.keras is there (step {step}), but no checkpoint to go on from; begin "
        "anew with another --run_dir."
    )


def _fit(plan: TrainingPlan, run: RunFolder, model: keras.Model, start: int) -> GracefulStop:
    """One call of `fit` over the endless stream of batches, from where it stood."""
    count = training_split(load_info(plan.data_folder)).count
    # A display of progress, at least `log_every` steps long where the data is small.
    steps_per_epoch = max(plan.log_every, round(count / plan.recipe.batch_size), 1)
    steps_per_epoch = min(steps_per_epoch, plan.steps)
    epoch = start // steps_per_epoch
    callbacks, stop = _make_callbacks(plan, run)
    batches = make_pipeline(
        plan.data_folder,
        "train",
        plan.recipe.batch_size,
        plan.frames,
        plan.recipe.stride,
        plan.recipe.pick,
        seed=plan.seed,
        start_step=start,
    )
    if plan.images_folder:
        folder, size = plan.images_folder, plan.image_batch
        batches = with_images(batches, folder, size, seed=plan.seed, start_step=start)
    try:
        with trained_weights_kept(model):
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


def _make_callbacks(plan: TrainingPlan, run: RunFolder) -> tuple[list, GracefulStop]:
    """In the order in which they act after a step; only the chief writes files."""
    last = plan.steps
    checkpoints = Checkpoints(run.checkpoints, plan.checkpoint_every, last_step=last)
    stop = GracefulStop(checkpoints if run.chief else None)
    callbacks: list[keras.callbacks.Callback] = [FiniteLoss()]
    if held_out := held_out_batches(plan):
        callbacks.append(HeldOutEvaluation(held_out, plan.sample_every, last))
    if run.chief:
        pictured = pictured_batch(plan)
        callbacks += [
            MetricsLog(run.metrics, plan.log_every, run.events, last),
            checkpoints,
            SampleWriter(
                run.samples,
                pictured["video"],
                plan.sample_every,
                rows=pictured,
                fps=frame_rate(plan),
                last_step=last,
            ),
        ]
    return [*callbacks, stop, StopAtStep(plan.steps)], stop
