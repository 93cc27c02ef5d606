"""Training: how a run starts or resumes, `fit` with its callbacks, and what it ends with."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.data import load_info, with_images
from kerasvid.layers.code_table import CodeTable
from kerasvid.models.base.averaging import apply_ema
from kerasvid.models.base.vae import VariationalModel
from kerasvid.training.callbacks import checkpoints
from kerasvid.training.callbacks.metrics_log import HeldOutEvaluation, MetricsLog, restore_rows
from kerasvid.training.callbacks.samples import SampleWriter
from kerasvid.training.callbacks.step_callback import FiniteLoss, NotFinite, global_step
from kerasvid.training.callbacks.stopping import GracefulStop
from kerasvid.training.clips import frame_rate, held_out_batches, shown_batch
from kerasvid.training.config import RunConfig, training_split
from kerasvid.training.run_folder import RunError, RunFolder
from kerasvid.training.summary import describe_run


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How `train` ended."""

    step: int  # updates made, over all resumptions
    trained: int  # updates made by this call
    signal: int | None  # number of the signal that ended it early
    saved: pathlib.Path  # the file with the result; for a process that writes none, the folder


def train(config: RunConfig, run: RunFolder, strategy: tf.distribute.Strategy) -> Outcome:
    """Starts or resumes a run and trains until its last step or a signal.

    A resumed run computes what an uninterrupted one would have: to the bit if `deterministic` is
    set or the device is deterministic anyway. The model is built before anything is written.

    Args:
        config: of the run.
        run: its folder, within `run.lock()`.
        strategy: of `make_strategy(config.strategy)`.

    Raises:
        ValueError: the model cannot be built with these settings.
        RunError: the run was started with other settings, or the loss became NaN.
        CheckpointError: a checkpoint cannot be written or read.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = config.make_model()
        config.compile(model)
    print(describe_run(config, model, run.path), flush=True)
    run.begin(config)
    saved = checkpoints.saved_steps(run.checkpoints)
    found = run.restore(model, config, reversed(saved.values()))
    if found is None and (finished := _finished_without_checkpoints(config, run)):
        return finished
    start, metrics = 0, None
    if found is not None:
        newest, record = found
        start, metrics = record.step, record.metrics
        print(f"resuming at step {start} from {newest}", flush=True)
    elif config.init_from:
        _start_from(config.init_from, model)
    if start < config.steps:
        stop, metrics = _fit(config, run, model, start, metrics)
        if stop.received is not None:
            step = global_step(model)
            return Outcome(step, step - start, stop.received, stop.saved or run.path)
    elif run.chief and metrics is not None:
        restore_rows(run.metrics, metrics["rows"])
    step = global_step(model)
    # A run may have been killed between its last checkpoint and this file.
    if run.chief and not _has_model(config, run, step):
        apply_ema(model)
        fits_priors = config.training.prior_steps and isinstance(model, VariationalModel)
        if fits_priors:
            _fit_priors(config, model)
        checkpoints.save_model(model, run.model, config, metrics)
        if fits_priors and config.sample_every:  # no sample of a step has these priors
            _sample_writer(config, run).write("final", model)
    return Outcome(step, step - start, None, run.model if run.chief else run.path)


def _has_model(config: RunConfig, run: RunFolder, step: int) -> bool:
    """Whether the finished model of a step is there and whole; names a damaged one on stderr."""
    paths = [run.model] if run.model.exists() else []
    found = checkpoints.first_readable(paths, lambda path: checkpoints.read_record(path, config))
    return found is not None and found[1].step >= step


def _fit_priors(config: RunConfig, model: VariationalModel) -> None:
    """Fits the priors to the posteriors. The finished file has them, checkpoints do not."""
    steps = config.training.prior_steps
    print(f"\nfitting the priors to the posteriors, {steps:,} updates", flush=True)
    fits = model.fit_priors(config.clips(repeat=False), steps, config.seed)
    for name, fit in fits.items():
        print(f"{name}: fitted to posteriors, {fit.before:.1f} -> {fit.after:.1f} nats", flush=True)


def _start_from(run_dir: str, model: keras.Model) -> None:
    """Gives a new model the weights of the parts that it has in common with another run's model."""
    source, path = RunFolder(run_dir).load_model()
    try:
        copied, rest = copy_weights(model, source)
    except ValueError as error:
        raise RunError(f"--init_from={run_dir}: {error}") from error
    others = f"; new weights for {', '.join(rest)}" if rest else ""
    print(f"weights of {', '.join(copied)} from {path}{others}", flush=True)


def _finished_without_checkpoints(config: RunConfig, run: RunFolder) -> Outcome | None:
    """The outcome of a finished run; `None` for a new one. Refuses to overwrite any other."""
    if not run.exists():
        return None
    if _has_model(config, run, config.steps):
        record = checkpoints.read_record(run.model)
        if run.chief and record.metrics is not None:
            restore_rows(run.metrics, record.metrics["rows"])
        return Outcome(record.step, 0, None, run.model)
    if damaged := checkpoints.saved_steps(run.checkpoints):
        raise RunError(
            f"{run.checkpoints}: none of the {len(damaged)} checkpoints can be read. Restore them "
            "from a copy, or start again with another --run_dir."
        )
    step = checkpoints.saved_step(run.model)
    state = "is damaged" if step < 0 else f"is there (step {step})"
    raise RunError(
        f"{run.path}: model.keras {state}, but no checkpoint to continue from. "
        "Start again with another --run_dir."
    )


def _fit(
    config: RunConfig,
    run: RunFolder,
    model: keras.Model,
    start: int,
    metrics: Mapping[str, Any] | None,
) -> tuple[GracefulStop, Mapping[str, Any] | None]:
    """One call of `fit` over the endless stream of batches, from its position at step `start`.

    Args:
        metrics: state of `MetricsLog` at that step; `None` for a new run.

    Returns:
        Whether a signal came, and the state of `MetricsLog`, which only the chief has.
    """
    count = training_split(load_info(config.data_folder)).count
    # An epoch is one progress bar, at least `log_every` steps long for a small data set.
    steps_per_epoch = max(config.log_every, round(count / config.training.batch_size), 1)
    steps_per_epoch = min(steps_per_epoch, config.steps)
    epoch = start // steps_per_epoch
    callbacks, stop, log = _make_callbacks(config, run, metrics)
    batches = config.clips(start_step=start)
    if config.images_folder:
        folder, size = config.images_folder, config.image_batch
        batches = with_images(batches, folder, size, seed=config.seed, start_step=start)
    try:
        model.fit(
            batches,
            initial_epoch=epoch,
            epochs=epoch - (start - config.steps) // steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            shuffle=False,
        )
    except BaseException as error:
        for callback in callbacks:  # Keras does not do it: free signals and files
            callback.on_train_end()
        if not isinstance(error, NotFinite):
            raise
        kept = list(checkpoints.saved_steps(run.checkpoints).values())
        last = f"The last good checkpoint is {kept[-1]}." if kept else "There is no checkpoint yet."
        raise RunError(f"{error} {last}") from error
    return stop, log.state() if run.chief else None


def _make_callbacks(
    config: RunConfig, run: RunFolder, metrics: Mapping[str, Any] | None = None
) -> tuple[list, GracefulStop, MetricsLog]:
    """The callbacks in the order in which they act after a step; only the chief writes files."""
    last = config.steps
    log = MetricsLog(run.metrics, config.log_every, run.events, last, metrics)
    saver = checkpoints.Checkpoints(
        run.checkpoints, config.checkpoint_every, last_step=last, config=config, metrics=log.state
    )
    stop = GracefulStop(saver if run.chief else None, last)
    callbacks: list[keras.callbacks.Callback] = [FiniteLoss()]
    if held_out := held_out_batches(config):
        callbacks.append(HeldOutEvaluation(held_out, config.sample_every or last, last))
    if run.chief:
        callbacks += [log, saver, _sample_writer(config, run)]
    return [*callbacks, stop], stop, log


def _sample_writer(config: RunConfig, run: RunFolder) -> SampleWriter:
    held_out, last, fps = shown_batch(config), config.steps, frame_rate(config)
    return SampleWriter(run.samples, held_out, config.sample_every, last_step=last, fps=fps)


def copy_weights(model: keras.Model, source: keras.Model) -> tuple[list[str], list[str]]:
    """Gives `model` the weights of the parts that it has in common with `source`.

    A part is a layer that is an attribute of the model, such as `decoder` (the image generator) or
    `image_discriminator`. It is copied if all its weights have the same shapes. Optimizers and the
    momentum of learned codes start anew.

    Returns:
        The names of the parts that were copied, and of the model's other parts.

    Raises:
        ValueError: the models have no part in common.

    Example:
        >>> copy_weights(RJGAN.from_preset("base"), image_gan)
        (['decoder', 'image_discriminator'], ['residual', 'video_discriminator'])
    """
    own, theirs = parts_of(model), parts_of(source)
    shared = [name for name in own if name in theirs]
    alike = [name for name in shared if _shapes(own[name]) == _shapes(theirs[name])]
    if not alike:
        why = f"{', '.join(shared)} has other sizes" if shared else "they have no part in common"
        raise ValueError(
            f"no weights of the {type(source).__name__} fit the {type(model).__name__}: {why}. "
            "Use a run of a model with equal parts."
        )
    for name in alike:
        own[name].set_weights(theirs[name].get_weights())
        if isinstance(own[name], CodeTable):
            own[name].forget_momentum()
    return alike, [name for name in own if name not in alike]


def _shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def parts_of(model: keras.Model) -> dict[str, keras.Layer]:
    """The layers with weights that are attributes of a model, in alphabetical order."""
    layers = {name: value for name, value in vars(model).items() if isinstance(value, keras.Layer)}
    return {name: layers[name] for name in sorted(layers) if layers[name].weights}
