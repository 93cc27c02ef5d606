"""The training step of every model: gradients in a compiled function, optimizers outside.

Keras's `compile(jit_compile=True)` would compile the optimizer, too, where a replica cannot merge
its update with the others. Noise is drawn outside, statelessly from (seed, step, replica): replicas
differ, and a resumed run draws the same noise as an uninterrupted one.

A step may decode some frames of a clip, chosen at random: decoding costs most of a step, and a mean
over some frames has the expectation of the mean over all.
"""

import contextlib
import functools
import inspect
import itertools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data.pixels import as_float_frames, check_range
from kerasvid.io import one_line
from kerasvid.layers.compilation import traced_function
from kerasvid.models.base.categories import checked_labels, label_code
from kerasvid.naming import KeepsArguments

JIT_CHOICES = ("auto", True, False)
EVALUATION_SEED = 0x5EED  # of the noise of every evaluation
COMPILE_ARGUMENTS = ("run_eagerly", "steps_per_execution", "auto_scale_loss")  # of Keras
CHECKED_ROWS = 32  # of arrays that `fit` is given


def resolve_jit(jit_compile: str | bool) -> bool:
    """Whether to compile by XLA: `"auto"` means on GPU and TPU, not on CPU, where it is slower."""
    if jit_compile not in JIT_CHOICES:
        raise ValueError(f"jit_compile={jit_compile!r} is unknown: use 'auto', True or False.")
    if jit_compile == "auto":
        return any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))
    return bool(jit_compile)


def replica_key(seed: int, step: tf.Tensor) -> tf.Tensor:
    """A stateless random key `[2]` of this replica at this step."""
    context = tf.distribute.get_replica_context()
    replica = context.replica_id_in_sync_group if context is not None else 0
    key = tf.stack([tf.cast(seed, tf.int32), tf.cast(step, tf.int32)])
    return tf.random.experimental.stateless_fold_in(key, tf.cast(replica, tf.int32))


def draw_noise(shapes: Mapping[str, Sequence[int]], batch: tf.Tensor, key: tf.Tensor) -> dict:
    """A standard Gaussian `[batch, *shape]` float32 for each name, stateless in `key`."""
    fold_in, normal = tf.random.experimental.stateless_fold_in, tf.random.stateless_normal
    return {
        name: normal(tf.stack([batch, *shape]), fold_in(key, position))
        for position, (name, shape) in enumerate(sorted(shapes.items()))
    }


def over_replicas(operation: tf.distribute.ReduceOp, values: Any) -> Any:
    """The sum or mean of structures of tensors over all replicas, in replica context."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        # TensorFlow gives `all_reduce` a gradient, which keeps its graph as long as the process.
        return values
    return context.all_reduce(operation, values)


def clip_across_replicas(
    gradients: Sequence[tf.Tensor], clip_norm: float, loss_scale: tf.Tensor | float = 1.0
) -> list[tf.Tensor]:
    """Gradients whose sum over the replicas has at most the norm `clip_norm`.

    Optimizers would clip each replica's share, which depends on how the batch was divided.
    """
    total = over_replicas(tf.distribute.ReduceOp.SUM, list(gradients))
    norm = tf.linalg.global_norm(total) / loss_scale
    factor = clip_norm / tf.maximum(norm, clip_norm)
    return [gradient * tf.cast(factor, gradient.dtype) for gradient in gradients]


def share_overflow(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients NaN on every replica if not finite on one: loss scaling asks only the first."""
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
    not_finite = tf.where(finite, 0.0, float("nan"))
    spread = over_replicas(tf.distribute.ReduceOp.SUM, not_finite)
    return [gradient + tf.cast(spread, gradient.dtype) for gradient in gradients]


def batch_norm_layers(layer: keras.layers.Layer) -> list[keras.layers.BatchNormalization]:
    """All batch norm within a layer or model."""
    kind = keras.layers.BatchNormalization
    return [each for each in layer._flatten_layers() if isinstance(each, kind)]


def optimizers_by_network(networks: Sequence[str], given: Any) -> dict[str, Any]:
    """One optimizer a network: those of a mapping by name, or copies of the given one."""
    if isinstance(given, Mapping):
        if set(given) != set(networks):
            raise ValueError(
                f"optimizer has the keys {', '.join(given) or 'none'}: give one to each of "
                f"{', '.join(networks)}."
            )
        optimizers = {name: keras.optimizers.get(given[name]) for name in networks}
    else:
        first = keras.optimizers.get(given)
        copies = {name: type(first).from_config(first.get_config()) for name in networks[1:]}
        optimizers = {networks[0]: first, **copies}
    inner = getattr(optimizers[networks[0]], "inner_optimizer", optimizers[networks[0]])
    end_of_fit = keras.optimizers.Optimizer.finalize_variable_values
    overwrites = inner.use_ema and type(inner).finalize_variable_values is end_of_fit
    if len(networks) > 1 and overwrites:
        raise ValueError(
            f"optimizer: {type(inner).__name__} with use_ema=True averages one network, but ends "
            "fit by writing to all. Use kerasvid.models.base.averaging.AveragedAdam or "
            "use_ema=False."
        )
    return optimizers


class Trainer(KeepsArguments, keras.Model):
    """A Keras model with the training step of this library.

    A model defines `noise_shapes`, `term_names` and `compute_losses`. A family whose networks have
    different losses (`AdversarialModel`) names them in `network_variables`, each with an optimizer
    of its own. A subclass keeps its constructor's arguments as `KeepsArguments` describes.

    The batches of `fit` are dicts with a `"video"` of uint8 `[B, T, H, W, C]` (the pipeline's), or
    that tensor alone; float videos are in [-1, 1]. A model with `categories` also reads a
    `"label"`, int64 `[B]`: the class of each video, -1 where unknown. Without it all are unknown.
    `fit` and the other methods of Keras check the first batch before they trace a graph, and the
    range of floats in every batch.

    Attributes:
        image_shape: `(H, W, C)` of the videos; `None` for any.
        categories: K, the number of classes that the model tells apart; 0 for none.
        term_names: the reported terms, `"loss"` among them, which is what is minimised.
        evaluation_names: what evaluations report beside the terms.
        optimizers: by network, after `compile`.
    """

    term_names: tuple[str, ...] = ("loss",)
    evaluation_names: tuple[str, ...] = ()
    image_shape: Any = None
    categories: int = 0
    noise_methods = ""  # what to call in place of `predict`, where `call` takes noise

    def __init__(self, **kwargs) -> None:
        super().__init__(autocast=False, **kwargs)  # noise and latents stay float32
        names = (*self.term_names, *self.evaluation_names)
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self._compiled: Any = None
        self._fitting = False
        self.optimizers: dict[str, keras.optimizers.Optimizer] = {}
        # Not the optimizer's count of updates: loss scaling skips some, and a skipped step has
        # used up its batch and its noise.
        self.steps_taken = self.add_weight(
            (), "zeros", "int64", trainable=False, autocast=False, name="steps_taken"
        )

    def add_term(self, name: str) -> None:
        """Reports one more term, which a hyper-parameter of the constructor asks for."""
        self.term_names = (*self.term_names, name)
        self._trackers[name] = keras.metrics.Mean(name=name)

    def build(self, input_shape=None) -> None:
        """Does nothing: the constructor ends by making every layer's variables."""
        self.built = True

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer | Mapping[str, Any] = "adam",
        jit_compile: str | bool = "auto",
        clip_norm: float | None = None,
        seed: int = 0,
        **kwargs,
    ) -> None:
        """Sets the optimizer and how gradients are computed.

        Args:
            optimizer: a Keras optimizer or its name; for several networks a dictionary by name, or
                one that each gets a copy of. The first network's may keep averaged weights:
                `averaging.AveragedAdam` until `apply_ema`, an optimizer of Keras with
                `use_ema=True` until the end of `fit`.
            jit_compile: `"auto"`, `True` or `False`: compile the gradients by XLA.
            clip_norm: the largest global norm of a gradient summed over replicas, or `None`.
            seed: of the training noise.
            **kwargs: `run_eagerly`, `steps_per_execution`, `auto_scale_loss`, as in Keras.

        Raises:
            ValueError: `jit_compile` is unknown, `clip_norm` not positive, a network has no
                optimizer, or another argument of Keras is given, such as a loss.
        """
        if clip_norm is not None and clip_norm <= 0:
            raise ValueError(f"clip_norm={clip_norm} must be positive, or None for no clipping.")
        for name in kwargs:
            if name not in COMPILE_ARGUMENTS:
                raise ValueError(
                    f"{name}={kwargs[name]!r}: the model brings its own loss and metrics. Leave it "
                    f"out; of Keras's arguments, compile takes {', '.join(COMPILE_ARGUMENTS)}."
                )
        jit = resolve_jit(jit_compile)
        first, *others = self.network_variables()
        optimizers = optimizers_by_network([first, *others], optimizer)
        super().compile(optimizer=optimizers[first], jit_compile=False, **kwargs)
        optimizers[first], scaling = self.optimizer, keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaling):
            for name in others:
                if not isinstance(optimizers[name], scaling):
                    optimizers[name] = scaling(optimizers[name])
        self.optimizers = optimizers
        own = {"jit_compile": jit_compile, "clip_norm": clip_norm, "seed": seed}
        self._compile_arguments = {**own, **kwargs}
        self._clip_norm, self._noise_seed = clip_norm, seed
        self.make_compiled_functions(jit)
        if self.built:
            with self.distribute_strategy.scope():
                for name, variables in self.network_variables().items():
                    self.optimizer_of(name).build(variables)

    def get_compile_config(self) -> dict | None:
        """The arguments of `compile`, for `.keras` files."""
        if not self.compiled:
            return None
        names = self.network_variables()
        serialized = [keras.saving.serialize_keras_object(self.optimizer_of(n)) for n in names]
        optimizer = dict(zip(names, serialized, strict=True)) if len(names) > 1 else serialized[0]
        return {"optimizer": optimizer, **self._compile_arguments}

    def compile_from_config(self, config: dict) -> None:
        """Compiles as a saved model was, with its optimizer's variables in place."""
        self.compile(
            **{**config, "optimizer": keras.saving.deserialize_keras_object(config["optimizer"])}
        )

    # === Networks ===

    def network_variables(self) -> dict[str, list]:
        """The variables by network, the generator first; by default one network, the model."""
        return {"model": self.trainable_variables}

    def optimizer_of(self, network: str) -> keras.optimizers.Optimizer:
        """The optimizer that updates a network's variables."""
        return self.optimizers[network]

    def make_compiled_functions(self, jit: bool) -> None:
        """Makes the compiled functions of a step; called by `compile`."""
        self._compiled = traced_function(self.compute_gradients, jit)

    # === What a family of models defines ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """The named Gaussians of one video of `frames` frames: shapes without the batch axis."""
        raise NotImplementedError

    def updates_per_step(self) -> dict[str, int]:
        """The networks that a step updates several times, and how often."""
        return {}

    def has_gaussian_prior(self) -> bool:
        """Whether codes are drawn from Gaussians, so that less noise means more typical ones."""
        return True

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """The Gaussians that a training step draws for one video; those of generation, or more."""
        return self.noise_shapes(frames)

    def compute_losses(
        self, batch: Mapping, noise: Mapping | None, step: tf.Tensor, training: bool
    ) -> tuple[dict[str, tf.Tensor], dict[str, Any]]:
        """The losses of a batch.

        Args:
            batch: of `batch_of`: `"video"`, `[B, T, H, W, C]` float32 in [-1, 1], and perhaps
                `"label"`.
            noise: of `training_noise_shapes`; in an evaluation, of `noise_shapes`.
            step: of the schedules, a float32 scalar.
            training: as in Keras.

        Returns:
            Named terms, each `[B]`, of which `"loss"` is minimised; and statistics of the batch for
            `update_running_statistics`, means over its videos.
        """
        raise NotImplementedError

    def compute_gradients(self, batch, noise, step):
        """Mean terms, gradients of `self.scaled(loss)` and statistics; compiled."""
        with tf.GradientTape() as tape:
            terms, statistics = self.compute_losses(batch, noise, step, training=True)
            loss = self.scaled(tf.reduce_mean(terms["loss"]))
        means = {name: tf.reduce_mean(value) for name, value in terms.items()}
        return means, tape.gradient(loss, self.trainable_variables), statistics

    def check_training_length(self, frames: int) -> None:
        """Raises ValueError for clips of a length that the model cannot learn from."""

    def update_running_statistics(self, statistics: Mapping[str, Any]) -> None:
        """Updates running statistics by the mean over replicas; by default there are none."""

    # === The step ===

    def scaled(self, loss: tf.Tensor, network: str = "model") -> tf.Tensor:
        """A replica's share of a network's loss, times the loss scale of mixed_float16."""
        share = 1.0 / self.distribute_strategy.num_replicas_in_sync
        return self.optimizer_of(network).scale_loss(loss * share)

    def video_of(self, batch: Any) -> tf.Tensor:
        """The float32 video `[B, T, H, W, C]` in [-1, 1] of a batch of the pipeline or `fit`.

        Raises:
            ValueError: the dict has no `"video"`, the video not five axes, frames that are not of
                `image_shape`, floats outside [-1, 1], or an unknown length, as where a second `fit`
                brings clips of another length.
            InvalidArgumentError: a replica has no video of the batch, or floats in a graph are
                outside [-1, 1].
        """
        video = as_float_frames(_video_in(batch), "B, T, H, W, C", self.image_shape)
        if video.shape[1] is None:
            raise ValueError(
                "The number of frames is unknown. Give clips of equal length or call compile again."
            )
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas == 1 or video.shape[0] is not None:
            return video
        message = f"The last batch has fewer videos than the {replicas} replicas. Batch with "
        message += "drop_remainder=True, or leave some videos out."
        enough = tf.debugging.Assert(tf.shape(video)[0] > 0, [message])
        with tf.control_dependencies([enough]):
            return tf.identity(video)

    def batch_of(self, data: Any) -> dict[str, tf.Tensor]:
        """What the losses take of a batch of `fit`: `"video"`, and `"label"` if it is used.

        Raises:
            ValueError: as `video_of`, the model cannot learn from clips of that length, or labels
                are not whole numbers, one for each video, from -1 to below `categories`.
            InvalidArgumentError: as `video_of`, or a label in a graph is out of that range.
        """
        batch = {"video": self.video_of(data)}
        self.check_training_length(batch["video"].shape[1])
        given = data[0] if isinstance(data, tuple | list) else data
        if self.categories and isinstance(given, Mapping) and "label" in given:
            label = tf.convert_to_tensor(given["label"])
            batch["label"] = checked_labels(label, batch["video"].shape[0], self.categories)
        return batch

    def category_in(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor | None:
        """The one-hot class of each video of `batch_of`, `[B, K]`; `None` without classes."""
        return label_code(batch.get("label"), tf.shape(batch["video"])[0], self.categories)

    def check_batch(self, data: Any) -> None:
        """Raises ValueError for a batch that the model cannot learn from."""
        self.batch_of(data)

    def checked_data(self, data: Any, batch_size: int | None, steps: int | None) -> Any:
        """The data of `fit`, `evaluate` or `predict`, after `check_batch` of its first batch.

        Data of bytes in a `tf.data.Dataset` is not read: its shapes tell enough. Floats in memory
        are all checked here, those of other data again in each step.

        Raises:
            ValueError: as `check_batch`, or a data set without end comes without a number of steps.
        """
        if isinstance(data, tf.data.Dataset):
            if steps is None and int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
                raise ValueError(
                    "The data set repeats without end. Give the number of steps (steps_per_epoch, "
                    "validation_steps or steps), or a data set that ends."
                )
            with tf.Graph().as_default():
                self.check_batch(tf.nest.map_structure(_placeholder, data.element_spec))
            if any(spec.dtype.is_floating for spec in tf.nest.flatten(data.element_spec)):
                for batch in data.take(1):
                    self.check_batch(batch)
        elif isinstance(data, types.GeneratorType):
            for batch in data:
                self.check_batch(batch)
                return (each for each in itertools.chain([batch], data))
        elif isinstance(data, keras.utils.PyDataset):
            self.check_batch(data[0])
        elif isinstance(data, Mapping | list | tuple | np.ndarray | tf.Tensor):
            rows, video = batch_size or CHECKED_ROWS, _video_in(data)
            self.check_batch(tf.nest.map_structure(functools.partial(_first, rows), data))
            if isinstance(video, np.ndarray | tf.Tensor) and tf.as_dtype(video.dtype).is_floating:
                check_range(video)
        return data

    def fit(self, *args, **kwargs):
        """As in Keras, after a check of the first batches of both data sets."""
        bound = _bound(super().fit, *args, **kwargs)
        given = bound.arguments
        size = given.get("batch_size")
        given["x"] = self.checked_data(given.get("x"), size, given.get("steps_per_epoch"))
        if (validation := given.get("validation_data")) is not None:
            size, steps = given.get("validation_batch_size") or size, given.get("validation_steps")
            given["validation_data"] = self.checked_data(validation, size, steps)
        self._fitting = True
        try:
            with _one_line_assertions():
                return super().fit(*bound.args, **bound.kwargs)
        finally:
            self._fitting = False

    def evaluate(self, *args, **kwargs):
        """As in Keras, after a check of the first batch."""
        bound = _bound(super().evaluate, *args, **kwargs)
        if not self._fitting:  # `fit` has checked its validation data
            self._check_bound(bound)
        with _one_line_assertions():
            return super().evaluate(*bound.args, **bound.kwargs)

    def predict(self, *args, **kwargs):
        """As in Keras, where `call` takes videos; a model whose `call` takes noise refuses them."""
        bound = _bound(super().predict, *args, **kwargs)
        if not self.noise_methods:
            self._check_bound(bound)
        elif not isinstance(x := bound.arguments["x"], Mapping) or "video" in x:
            raise ValueError(
                f"{type(self).__name__}: predict takes noise, not videos. Use {self.noise_methods}."
            )
        with _one_line_assertions():
            return super().predict(*bound.args, **bound.kwargs)

    def _check_bound(self, bound: inspect.BoundArguments) -> None:
        """Checks the data among the arguments of `evaluate` or `predict`."""
        given = bound.arguments
        given["x"] = self.checked_data(given.get("x"), given.get("batch_size"), given.get("steps"))

    def export(self, *args, **kwargs):
        """As in Keras, where `call` takes videos; a model whose `call` takes noise refuses it."""
        if self.noise_methods:
            raise ValueError(
                f"{type(self).__name__}: Keras exports only the call, which takes noise here. Use "
                "kerasvid.export.saved_model.save_signatures(served_signatures(model), folder)."
            )
        return super().export(*args, **kwargs)

    def train_on_batch(self, x, *args, **kwargs):
        """As in Keras, after a check of the batch."""
        self.check_batch(x)
        with _one_line_assertions():
            return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        """As in Keras, after a check of the batch."""
        self.check_batch(x)
        with _one_line_assertions():
            return super().test_on_batch(x, *args, **kwargs)

    def train_step(self, data) -> dict:
        """One update, in replica context."""
        batch = self.batch_of(data)
        video, step = batch["video"], tf.convert_to_tensor(self.steps_taken)
        key = replica_key(self._noise_seed, step)
        # The static batch size is lost between workers.
        noise = draw_noise(self.training_noise_shapes(video.shape[1]), tf.shape(video)[0], key)
        terms, gradients, statistics = self._compiled(batch, noise, tf.cast(step, tf.float32))
        self.update("model", gradients)
        self.sync_batch_norm()
        self.steps_taken.assign_add(1)
        if statistics:
            means = over_replicas(tf.distribute.ReduceOp.MEAN, statistics)
            self.update_running_statistics(means)
        return self.tracked(terms)

    def update(self, network: str, gradients: Sequence[tf.Tensor]) -> None:
        """Applies the gradients of a network's scaled loss, in replica context."""
        optimizer, variables = self.optimizer_of(network), self.network_variables()[network]
        if not variables:  # frozen
            return
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = share_overflow(gradients)
        if self._clip_norm is not None:
            loss_scale = tf.convert_to_tensor(getattr(optimizer, "dynamic_scale", 1.0))
            gradients = clip_across_replicas(gradients, self._clip_norm, loss_scale)
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if scales or tf.distribute.has_strategy():
            optimizer.apply(gradients, variables)
            return
        # Outside of replica context Keras does not call `all_reduce`, see `over_replicas`.
        context = tf.distribute.get_replica_context()
        context.merge_call(lambda strategy: optimizer.apply(gradients, variables))

    def sync_batch_norm(self) -> None:
        """Averages batch norm's statistics over the replicas: only those of the first are saved."""
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return
        for layer in batch_norm_layers(self):
            for running in (layer.moving_mean, layer.moving_variance):
                value = tf.convert_to_tensor(running)
                running.assign(context.all_reduce(tf.distribute.ReduceOp.MEAN, value))

    def measure_batch_norm(self) -> None:
        """Gives batch norm the statistics of the weights that the model has now.

        By default it does nothing: a model that cannot draw its own inputs keeps the running ones.
        """

    def tracked(self, terms: Mapping[str, tf.Tensor]) -> dict:
        """Running means of the terms, in a shape that the strategy can reduce."""
        for name, value in terms.items():
            self._trackers[name].update_state(value)
        results = {name: self._trackers[name].result() for name in terms}
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras reduces the logs of several workers over axis 0.
            return {name: tf.reshape(value, [1]) for name, value in results.items()}
        return results

    @property
    def metrics(self) -> list:
        return list(self._trackers.values())

    def _maybe_symbolic_build(self, iterator=None, data_batch=None) -> None:
        """Does nothing: constructors make every variable. Keras would average over workers."""


def _video_in(batch: Any) -> Any:
    """The video of a batch as it was given."""
    video = batch[0] if isinstance(batch, tuple | list) else batch
    if not isinstance(video, Mapping):
        return video
    if "video" not in video:
        raise ValueError(
            f'The batch has no "video", only {", ".join(sorted(video))}. Add the videos.'
        )
    return video["video"]


def _first(rows: int, values: Any) -> Any:
    """The first rows of an array; anything else as it is."""
    return values[:rows] if isinstance(values, np.ndarray | tf.Tensor) else values


def _bound(method: Callable, *args, **kwargs) -> inspect.BoundArguments:
    """The arguments of a call by name, whether they were given by name or by position."""
    return inspect.signature(method).bind(*args, **kwargs)


def _placeholder(spec: tf.TensorSpec) -> tf.Tensor:
    return tf.compat.v1.placeholder(spec.dtype, spec.shape)


@contextlib.contextmanager
def _one_line_assertions() -> Iterator[None]:
    """Leaves the assertion's own text in an error of a graph, without the stack of its nodes."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if "assertion failed" not in error.message:
            raise
        raise tf.errors.InvalidArgumentError(None, None, one_line(error.message)) from error


DECODED = "decoded_frames"  # the noise whose order chooses the frames


def checked_count(decoded_frames: int | None) -> int | None:
    """The number of frames to decode, at least 1, or `None` for all of them."""
    whole = isinstance(decoded_frames, int) and not isinstance(decoded_frames, bool)
    if decoded_frames is not None and not (whole and decoded_frames >= 1):
        raise ValueError(f"decoded_frames={decoded_frames!r} must be 1 or more, or None.")
    return decoded_frames


def choice_shapes(decoded_frames: int | None, frames: int) -> dict[str, tuple[int, ...]]:
    """The noise that `decoded_part` needs by name; none where all `frames` are decoded."""
    return {DECODED: (frames,)} if decoded_frames and decoded_frames < frames else {}


def decoded_part(
    noise: Mapping[str, tf.Tensor], count: int | None, *sequences: tf.Tensor
) -> list[tf.Tensor]:
    """The frames to decode of sequences `[B, T, ...]`: `[B, count, ...]` each.

    The order of the Gaussians `[B, T]` in `noise[DECODED]` chooses; without them all are decoded.
    """
    if DECODED not in noise:
        return list(sequences)
    chosen = tf.argsort(noise[DECODED], axis=1)[:, :count]
    return [tf.gather(sequence, chosen, batch_dims=1) for sequence in sequences]
