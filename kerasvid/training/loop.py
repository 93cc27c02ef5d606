"""How a run begins or resumes, and `fit` with everything around it.

Beginning a run with what another has learned.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from kerasvid.data import load_info, make_pipeline, with_images
from kerasvid.layers.code_table import CodeTable
from kerasvid.models.base.averaging import apply_ema
from kerasvid.training.callbacks.checkpoints import (
    Checkpoints,
    latest,
    restore,
    save_model,
    saved_step,
    saved_steps,
)
from kerasvid.training.callbacks.held_out import HeldOutEvaluation
from kerasvid.training.callbacks.metrics_log import MetricsLog
from kerasvid.training.callbacks.samples import SampleWriter
from kerasvid.training.callbacks.step_callback import FiniteLoss, NotFinite, global_step
from kerasvid.training.callbacks.stopping import GracefulStop, StopAtStep
from kerasvid.training.clips import frame_rate, held_out_batches, pictured_batch
from kerasvid.training.config import RunConfig, training_split
from kerasvid.training.run_folder import RunError, RunFolder


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


def train(config: RunConfig, run: RunFolder, strategy: tf.distribute.Strategy) -> Outcome:
    """Begins or resumes a run and trains until its last step or a signal.

    A resumed run computes what an uninterrupted one would have, to the bit where `deterministic`
    is on or the device is deterministic anyway.

    Args:
        config: what to do.
        run: where; after `run.begin(config)`, within `run.lock()`.
        strategy: of `make_strategy(config.strategy)`.

    Raises:
        RunError: the loss became NaN.
        CheckpointError: a checkpoint cannot be written or read.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = config.make_model()
        config.compile(model)
    newest = latest(run.checkpoints)
    if newest is None and (finished := _finished_without_checkpoints(config, run)):
        return finished
    start = restore(model, newest) if newest else 0
    if start:
        print(f"resuming at step {start} from {newest}", flush=True)
    elif config.init_from:
        begin_from(config.init_from, model)
    if start < config.steps:
        stop = _fit(config, run, model, start)
        if stop.received is not None:
            step, saved = global_step(model), stop.saved or run.path
            return Outcome(step, step - start, stop.received, saved)
    step = global_step(model)
    # A run may have been killed between its last checkpoint and this file.
    if run.chief and saved_step(run.model) < step:
        apply_ema(model)
        fitted = fit_priors(config, model)
        save_model(model, run.model)
        if fitted and config.sample_every:  # no picture of a step has these priors
            print(f"pictures: {_sample_writer(config, run).write_as('final', model)}", flush=True)
    return Outcome(step, step - start, None, run.model if run.chief else run.path)


def fit_priors(config: RunConfig, model: keras.Model) -> bool:
    """Moves the priors to the posteriors of the training videos, where the training says so.

    The file of the finished run has them; checkpoints, from which a longer run goes on, do not.

    Returns:
        Whether it does say so.
    """
    if not config.training.prior_steps or not hasattr(model, "fit_priors"):
        return False
    training = config.training
    print(f"\nfitting the priors to the posteriors, {training.prior_steps:,} updates", flush=True)
    batches = make_pipeline(
        config.data_folder,
        "train",
        training.batch_size,
        config.frames,
        training.stride,
        training.pick,
        seed=config.seed,
        repeat=False,
    )
    for name, fit in model.fit_priors(batches, training.prior_steps, config.seed).items():
        print(f"{name}: fitted to posteriors, {fit.before:.1f} -> {fit.after:.1f} nats", flush=True)
    return True


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


def _finished_without_checkpoints(config: RunConfig, run: RunFolder) -> Outcome | None:
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
    if step >= config.steps:
        return Outcome(step, 0, None, run.model)
    raise RunError(
        f"{run.path}: model.keras is there (step {step}), but no checkpoint to go on from; begin "
        "anew with another --run_dir."
    )


def _fit(config: RunConfig, run: RunFolder, model: keras.Model, start: int) -> GracefulStop:
    """One call of `fit` over the endless stream of batches, from where it stood."""
    count = training_split(load_info(config.data_folder)).count
    # A display of progress, at least `log_every` steps long where the data is small.
    steps_per_epoch = max(config.log_every, round(count / config.training.batch_size), 1)
    steps_per_epoch = min(steps_per_epoch, config.steps)
    epoch = start // steps_per_epoch
    callbacks, stop = _make_callbacks(config, run)
    batches = make_pipeline(
        config.data_folder,
        "train",
        config.training.batch_size,
        config.frames,
        config.training.stride,
        config.training.pick,
        seed=config.seed,
        start_step=start,
    )
    if config.images_folder:
        folder, size = config.images_folder, config.image_batch
        batches = with_images(batches, folder, size, seed=config.seed, start_step=start)
    try:
        with _ended(callbacks):
            model.fit(
                batches,
                initial_epoch=epoch,
                epochs=epoch - (start - config.steps) // steps_per_epoch,
                steps_per_epoch=steps_per_epoch,
                callbacks=callbacks,
                shuffle=False,
            )
    except NotFinite as error:
        kept = list(saved_steps(run.checkpoints).values())
        last = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint was due yet"
        raise RunError(f"{error} Stopped; {last}.") from error
    return stop


@contextlib.contextmanager
def _ended(callbacks: list[keras.callbacks.Callback]) -> Iterator[None]:
    """Lets callbacks let go of signals and files also where `fit` fails, which Keras does not."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            callback.on_train_end()
        raise


def _make_callbacks(config: RunConfig, run: RunFolder) -> tuple[list, GracefulStop]:
    """In the order in which they act after a step; only the chief writes files."""
    last = config.steps
    checkpoints = Checkpoints(run.checkpoints, config.checkpoint_every, last_step=last)
    stop = GracefulStop(checkpoints if run.chief else None)
    callbacks: list[keras.callbacks.Callback] = [FiniteLoss()]
    if held_out := held_out_batches(config):
        callbacks.append(HeldOutEvaluation(held_out, config.sample_every or last, last))
    if run.chief:
        log = MetricsLog(run.metrics, config.log_every, run.events, last)
        callbacks += [log, checkpoints, _sample_writer(config, run)]
    return [*callbacks, stop, StopAtStep(config.steps)], stop


def _sample_writer(config: RunConfig, run: RunFolder) -> SampleWriter:
    pictured = pictured_batch(config)
    return SampleWriter(
        run.samples,
        pictured["video"],
        config.sample_every,
        rows=pictured,
        fps=frame_rate(config),
        last_step=config.steps,
    )


def adopt_weights(model: keras.Model, source: keras.Model) -> tuple[list[str], list[str]]:
    """Copies the weights of the parts that two models have in common.

    A part is a layer that a model holds under a name, such as `decoder` (G_I) or
    `image_discriminator` (D_I); it is copied whole, where all its weights have the same shapes, or
    not at all. So an RJGAN begins with the image generator of an image GAN, or the reverse.
    Optimizers begin anew, and so does the momentum of learned codes.

    Args:
        model: whose weights are replaced.
        source: whose are copied.

    Returns:
        The names of the parts that were copied, and of the model's others.

    Raises:
        ValueError: the models have no part in common.

    Example:
        >>> adopt_weights(RJGAN.from_preset("base"), image_gan)
        (['decoder', 'image_discriminator'], ['residual', 'video_discriminator'])
    """
    own, theirs = parts_of(model), parts_of(source)
    alike = [name for name in own if name in theirs and _shapes(own[name]) == _shapes(theirs[name])]
    if not alike:
        differing = [name for name in own if name in theirs]
        why = f"{', '.join(differing)} of other sizes" if differing else "no part in common"
        raise ValueError(
            f"a {type(source).__name__} lends a {type(model).__name__} nothing: {why}."
        )
    for name in alike:
        own[name].set_weights(theirs[name].get_weights())
        if isinstance(own[name], CodeTable):
            own[name].forget_momentum()
    return alike, [name for name in own if name not in alike]


def parts_of(model: keras.Model) -> dict[str, keras.Layer]:
    """The layers with weights that a model holds under a name of its own, in alphabetical order."""
    held = {name: value for name, value in vars(model).items() if isinstance(value, keras.Layer)}
    return {name: held[name] for name in sorted(held) if held[name].weights}


def _shapes(layer: keras.Layer) -> list[tuple]:
    return [tuple(weight.shape) for weight in layer.weights]
