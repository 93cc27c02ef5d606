"""Training: how a run starts or resumes, `fit` with its callbacks, and what it ends with.

Of several workers each does the same, because what reads or changes a variable may wait for the
others. Only the chief's files are the run's: the others write to a folder that is removed.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasvid.data import DatasetError, load_info, with_images
from kerasvid.io import described
from kerasvid.layers.code_table import CodeTable
from kerasvid.models.base.averaging import apply_ema
from kerasvid.models.base.code_priors import CodePriors
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.base.vae import VariationalModel
from kerasvid.training.backup import Backup
from kerasvid.training.callbacks import checkpoints
from kerasvid.training.callbacks.metrics_log import HeldOutEvaluation, MetricsLog, restore_rows
from kerasvid.training.callbacks.samples import SampleWriter
from kerasvid.training.callbacks.step_callback import AtSteps, Failed, FiniteLoss, global_step
from kerasvid.training.callbacks.stopping import DivergenceLimit, GracefulStop
from kerasvid.training.callbacks.trackers import Tracking
from kerasvid.training.clips import (
    compared_training_batches,
    frame_rate,
    held_out_batches,
    shown_batch,
)
from kerasvid.training.config import RunConfig, training_split
from kerasvid.training.devices import is_lost_worker, of_all_workers, texts_of_all_workers
from kerasvid.training.run_folder import RunError, RunFolder
from kerasvid.training.summary import describe_run

# Settings that a resumed run may change, but that all workers must act on at the same step.
ACTED_ON = ("steps", "log_every", "sample_every", "checkpoint_every", "keep_at")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How `train` ended."""

    step: int  # updates made, over all resumptions
    trained: int  # updates made by this call
    signal: int | None  # number of the signal that ended it early
    saved: pathlib.Path  # the file with the result, which the chief writes


def train(
    config: RunConfig,
    run: RunFolder,
    strategy: tf.distribute.Strategy,
    track: Sequence[str] = (),
    backup: Backup | None = None,
) -> Outcome:
    """Starts or resumes a run and trains until its last step or a signal.

    A resumed run computes what an uninterrupted one would have: to the bit if `deterministic` is
    set or the device is deterministic anyway. The model is built before anything is written, but
    for what the backup of a later step brings.

    Args:
        config: of the run.
        run: its folder, within `run.lock()`.
        strategy: of `make_strategy(config.strategy)`.
        track: of `check_trackers`: where the chief sends metrics, samples and the model, too.
        backup: where the chief copies the run, and restores it from first.

    Raises:
        ValueError: the model cannot be built with these settings.
        RunError: the run was started with other settings, the loss became NaN, the backup cannot be
            read or written at the start, or another worker was lost or differs from the chief.
        CheckpointError: a checkpoint cannot be written or read.
    """
    try:
        with _written_folder(run) as written:
            own = (track, backup) if run.chief else ((), None)
            try:
                outcome = _train(config, run, written, strategy, *own)
            finally:
                if backup is not None:
                    backup.finish()
            of_all_workers(strategy, [outcome.step])  # one that ends early would count as lost
            return outcome
    except tf.errors.OpError as error:
        if not is_lost_worker(error):
            raise
        raise RunError("Another worker was lost: it ended or cannot be reached. Read its output. "
                       f"{_last(run)} Run the same command again on every worker to "
                       "resume.") from error  # fmt: skip


@contextlib.contextmanager
def _written_folder(run: RunFolder) -> Iterator[RunFolder]:
    """The folder that this process writes to: the run's, or another that the end removes."""
    if run.chief:
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="kerasvid-worker-") as folder:
        yield RunFolder(folder, chief=False)


def _train(
    config: RunConfig,
    run: RunFolder,
    written: RunFolder,
    strategy: tf.distribute.Strategy,
    track: Sequence[str],
    backup: Backup | None,
) -> Outcome:
    """As `train`; reads `run` and writes to `written`."""
    _as_one(strategy, functools.partial(backup.restore, config) if backup is not None else None)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    saved, finished_step = checkpoints.saved_steps(run.checkpoints), _finished_step(config, run)
    _check_workers_agree(config, run, [*saved], finished_step, strategy)
    with strategy.scope():
        model = config.make_model()
        config.compile(model)
    print(describe_run(config, model, run.path), flush=True)
    run.check_unchanged(config)
    found = run.restore(model, config, reversed(saved.values()))
    start = found[1].step if found else 0
    _check_same_step(run, start, strategy)
    finished = None if found else _finished_without_checkpoints(config, run, finished_step)
    _as_one(strategy, functools.partial(backup.start, config) if backup is not None else None)
    run.begin(config)
    if finished is not None:
        if track:
            record = checkpoints.read_record(run.model)
            rows = record.metrics["rows"] if record.metrics else []
            Tracking(track, run.path, config.flat(), lambda: rows).finish(run.model)
        return finished
    metrics = None
    if found is not None:
        newest, record = found
        metrics = record.metrics
        print(f"resuming at step {start} from {newest}", flush=True)
    elif config.init_from:
        _start_from(config.init_from, model)
    tracking = None
    if start < config.steps:
        stop, metrics, tracking = _fit(config, run, written, model, start, metrics, track, backup)
        if stop.received is not None:
            tracking.finish(None)
            step = global_step(model)
            saved_as = run.checkpoints / stop.saved.name if stop.saved else run.path
            return Outcome(step, step - start, stop.received, saved_as)
    elif metrics is not None:
        restore_rows(written.metrics, metrics["rows"])
        rows = metrics["rows"]
        tracking = Tracking(track, written.path, config.flat(), lambda: rows)
    step = global_step(model)
    # A run may have been killed between its last checkpoint and this file.
    if finished_step < step:
        apply_ema(model)
        fits_priors = _fit_priors(config, model)
        if config.training.encoder_steps and isinstance(model, LatentCodeModel):
            _fit_encoder(config, model)
        if written.model.exists():  # of fewer steps, or damaged
            print(f"{run.model}: written again at step {step}", flush=True)
        checkpoints.save_model(model, written.model, config, metrics)
        # No sample of a step has these priors.
        if fits_priors and config.sample_every and written.chief:
            _sample_writer(config, written).write("final", model)
    if tracking is not None:
        tracking.finish(run.model)
    return Outcome(step, step - start, None, run.model)


def _as_one(strategy: tf.distribute.Strategy, work: Callable[[], None] | None) -> None:
    """Does what the chief has to do for the backup; the others wait, and all fail together."""
    error = None
    if work is not None:
        try:
            work()
        except (RunError, DatasetError, OSError) as fault:
            error = described(fault)
    error, *_ = map(json.loads, texts_of_all_workers(strategy, json.dumps(error)))
    if error is not None:
        raise RunError(error)


def _check_workers_agree(
    config: RunConfig,
    run: RunFolder,
    saved: Sequence[int],
    finished_step: int,
    strategy: tf.distribute.Strategy,
) -> None:
    """Raises `RunError` on every worker if one has other settings, data or files of the run."""
    found = {"steps of checkpoints": saved, "step of model.keras": finished_step}
    texts = texts_of_all_workers(strategy, json.dumps([config.as_dict(), found]))
    (settings, files), *others = map(json.loads, texts)
    chief = RunConfig.from_dict(settings)
    for number, (settings, seen) in enumerate(others, start=1):
        other = RunConfig.from_dict(settings)
        acted_on = [(name, getattr(other, name), getattr(chief, name)) for name in ACTED_ON]
        if differences := other.differences(chief) + _differences(acted_on):
            raise RunError(f"Worker {number} differs from worker 0: {'; '.join(differences)}. Use "
                           "the same flags and data on every worker.")  # fmt: skip
        if differences := _differences((name, seen[name], files[name]) for name in files):
            raise RunError(f"{run.path}: worker {number} sees other files than worker 0: "
                           f"{'; '.join(differences)}. Use a --run_dir on a disk that all workers "
                           "share.")  # fmt: skip


def _differences(values: Iterable[tuple[str, Any, Any]]) -> list[str]:
    return [f"{name} is {own}, not {other}" for name, own, other in values if own != other]


def _check_same_step(run: RunFolder, start: int, strategy: tf.distribute.Strategy) -> None:
    """Raises `RunError` on every worker if one read another checkpoint."""
    steps = of_all_workers(strategy, [start])[:, 0]
    if min(steps) != max(steps):
        raise RunError(f"{run.checkpoints}: the workers can read different checkpoints, of the "
                       f"steps {', '.join(map(str, steps))}. Use a --run_dir on a disk that all "
                       "workers share.")  # fmt: skip


def _finished_step(config: RunConfig, run: RunFolder) -> int:
    """The step of the finished model; -1 without one. Names a damaged one on stderr."""
    paths = [run.model] if run.model.exists() else []
    found = checkpoints.first_readable(paths, lambda path: checkpoints.read_record(path, config))
    return found[1].step if found else -1


def _fit_priors(config: RunConfig, model: keras.Model) -> bool:
    """Fits priors to the codes if the run asks for it: the finished file has them, no checkpoint.

    Returns:
        Whether it did.
    """
    kind, steps = config.training.prior, config.training.prior_steps
    if steps and isinstance(model, VariationalModel) and kind is None:
        print(f"\nfitting the priors to the posteriors, {steps:,} updates", flush=True)
        fits = model.fit_aggregate_priors(config.clips(), steps, config.seed)
        for name, fit in fits.items():
            line = f"{name}: fitted to posteriors, {fit.before:.1f} -> {fit.after:.1f} nats"
            print(line, flush=True)
        return True
    if kind is not None and isinstance(model, CodePriors):
        fit_prior(config, model)
        return True
    return False


def fit_prior(config: RunConfig, model: Any) -> None:
    """Fits the prior of `config.training` to the codes of the training videos, and says how well.

    Args:
        config: of the run, with the folder of its data.
        model: trained, with codes that a prior can be fitted to.
    """
    kind, steps = config.training.prior, config.training.prior_steps or 4_000
    print(f"\nfitting a {kind} prior to the codes, {steps:,} updates", flush=True)
    if isinstance(model, VariationalModel):
        options = {"drop_remainder": False, "frames": model.frames}
        arguments: tuple = (config.clips("train", **options),)
    else:
        arguments = ()
    fits = model.fit_prior(kind, *arguments, steps=steps, seed=config.seed)
    for name, fit in fits.items():
        if fit is not None:
            near, far = fit.precision_distance, fit.coverage_distance
            print(f"{name}: samples are {near:.2f} times as far from codes as held-out codes are, "
                  f"and held-out codes {far:.2f} times as far from samples as from codes",
                  flush=True)  # fmt: skip


def _fit_encoder(config: RunConfig, model: LatentCodeModel) -> None:
    """Trains the encoder of learned codes that `encode` starts from."""
    steps = config.training.encoder_steps
    print(f"\ntraining an encoder on the learned codes, {steps:,} updates", flush=True)
    loss = model.fit_encoder(config.clips(repeat=True), steps=steps)
    print(f"encoder: error {loss:.3f}; codes of 0 have at most {len(model.tables())}", flush=True)


def copy_with_prior(source: RunFolder, written: RunFolder, config: RunConfig) -> None:
    """Writes a copy of a finished run whose model has another prior.

    Args:
        source: the run.
        written: folder of the copy.
        config: of the copy: that of the run with another `prior` or `prior_steps`.

    Raises:
        RunError: the run is not finished, or the folder holds another run.
    """
    if written.path.resolve() == source.path.resolve():
        raise RunError(
            f"{source.path}: the copy needs a folder of its own. Give another --out_dir."
        )
    written.check_unchanged(config)
    model, path = source.load_model()
    if path != source.model:  # a checkpoint is newer
        raise RunError(f"{source.path}: the run is not finished. Train it to its end first.")
    print(f"{config.model} on {config.dataset}, weights of {path}", flush=True)
    record = checkpoints.read_record(source.model)
    with written.lock():
        fit_prior(config, model)
        written.begin(config)
        checkpoints.save_model(model, written.model, config, record.metrics)


def _start_from(run_dir: str, model: keras.Model) -> None:
    """Gives a new model the weights of the parts that it has in common with another run's model."""
    source, path = RunFolder(run_dir).load_model()
    try:
        copied, rest = copy_weights(model, source)
    except ValueError as error:
        raise RunError(f"--init_from={run_dir}: {error}") from error
    others = f"; new weights for {', '.join(rest)}" if rest else ""
    print(f"weights of {', '.join(copied)} from {path}{others}", flush=True)


def _finished_without_checkpoints(
    config: RunConfig, run: RunFolder, finished_step: int
) -> Outcome | None:
    """The outcome of a finished run; `None` for a new one. Refuses to overwrite any other."""
    if not run.exists():
        return None
    if finished_step >= config.steps:
        record = checkpoints.read_record(run.model)
        if run.chief and record.metrics is not None:
            restore_rows(run.metrics, record.metrics["rows"])
        return Outcome(record.step, 0, None, run.model)
    if damaged := checkpoints.saved_steps(run.checkpoints):
        raise RunError(
            f"{run.checkpoints}: none of the {len(damaged)} checkpoints can be read. Restore them "
            "from a copy, or start again with another --run_dir."
        )
    state = "is damaged" if finished_step < 0 else f"is there (step {finished_step})"
    raise RunError(
        f"{run.path}: model.keras {state}, but no checkpoint to continue from. "
        "Start again with another --run_dir."
    )


def _fit(
    config: RunConfig,
    run: RunFolder,
    written: RunFolder,
    model: keras.Model,
    start: int,
    metrics: Mapping[str, Any] | None,
    track: Sequence[str],
    backup: Backup | None,
) -> tuple[GracefulStop, Mapping[str, Any], Tracking]:
    """One call of `fit` over the endless stream of batches, from its position at step `start`.

    Args:
        metrics: state of `MetricsLog` at that step; `None` for a new run.

    Returns:
        Whether a signal came, the state of `MetricsLog`, and what tracks the run.
    """
    count = training_split(load_info(config.data_folder)).count
    # An epoch is one progress bar, at least `log_every` steps long for a small data set.
    steps_per_epoch = max(config.log_every, round(count / config.training.batch_size), 1)
    steps_per_epoch = min(steps_per_epoch, config.steps)
    epoch = start // steps_per_epoch
    callbacks, stop, log = _make_callbacks(config, written, metrics, backup)
    tracking = Tracking(track, written.path, config.flat(), lambda: log.rows)
    callbacks.insert(-1, tracking)  # before the one that may end the run
    repeats = config.training.batch_repeats
    flips = config.training.flips
    batches = config.clips(start_step=start, repeat=True, batch_repeats=repeats, flips=flips)
    if config.images_folder:
        batches = with_images(
            batches, config.images_folder, config.image_batch, seed=config.seed, start_step=start,
            flips=flips,
        )  # fmt: skip
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
        print(flush=True)  # ends the line of the progress bar
        for callback in callbacks:  # Keras does not do it: free signals and files
            callback.on_train_end()
        tracking.finish(None)
        if not isinstance(error, Failed):
            raise
        raise RunError(f"{error} {_last(run)}") from error
    return stop, log.state(), tracking


def _last(run: RunFolder) -> str:
    kept = list(checkpoints.saved_steps(run.checkpoints).values())
    return f"The last good checkpoint is {kept[-1]}." if kept else "There is no checkpoint yet."


def _make_callbacks(
    config: RunConfig,
    written: RunFolder,
    metrics: Mapping[str, Any] | None = None,
    backup: Backup | None = None,
) -> tuple[list, GracefulStop, MetricsLog]:
    """The callbacks in the order in which they act after a step."""
    last = config.steps
    log = MetricsLog(written.metrics, config.log_every, written.events, last, metrics)
    saver = checkpoints.Checkpoints(
        written.checkpoints,
        config.checkpoint_every,
        last_step=last,
        config=config,
        metrics=log.state,
        saved=backup.request if backup is not None else lambda: None,
    )
    stop = GracefulStop(saver, last)
    callbacks: list[keras.callbacks.Callback] = [FiniteLoss()]
    if held_out := held_out_batches(config):
        every, training = config.sample_every or last, compared_training_batches(config, held_out)
        callbacks.append(HeldOutEvaluation(held_out, every, last, training))

    def keep(step: int, model: keras.Model) -> None:
        kept, ended = written.kept(step), config.ended_at(step)
        kept.path.mkdir(parents=True, exist_ok=True)
        kept.begin(ended)
        saver = checkpoints.Checkpoints(kept.checkpoints, 1, config=ended, metrics=log.state)
        saver.set_model(model)
        saver.on_train_begin()
        saver.save()

    # Before the checkpoints: a run that was killed between the two keeps the weights of this step.
    callbacks += [log, AtSteps(config.keep_at, keep), saver]
    if written.chief:  # a clock decides when it writes, so nothing in it may wait for the others
        callbacks.append(_sample_writer(config, written))
    limit = DivergenceLimit(saver, config.training.max_divergence)
    return [*callbacks, limit, stop], stop, log


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
