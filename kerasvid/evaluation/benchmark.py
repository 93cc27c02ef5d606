"""Speed of the input pipeline, a training step, generation and evaluation, and the machine's peak.

Operations of a step are counted in the graph of the executed step, with its backward pass and the
steps of all discriminators: only matrix products and convolutions, two operations for each
multiplication with its addition.
"""

import contextlib
import dataclasses
import itertools
import math
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.shards import read_split
from kerasvid.evaluation.classifiers.networks import ClipClassifier
from kerasvid.evaluation.generated_clips import generated_clips
from kerasvid.evaluation.metrics.fvd import frechet_video_distance
from kerasvid.evaluation.metrics.intervals import GROUPS
from kerasvid.evaluation.scaling import Rates
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.latent_codes import ROW_KEYS, LatentCodeModel
from kerasvid.models.base.preset_folder import read_metadata, read_preset
from kerasvid.models.base.preset_sources import local_preset
from kerasvid.models.base.trainer import draw_noise
from kerasvid.models.registry import model_class
from kerasvid.training.callbacks.checkpoints import save_model
from kerasvid.training.clips import with_fixed_buffers
from kerasvid.training.config import RunConfig, training_split
from kerasvid.training.summary import parameter_count

FORWARD = ("Conv2D", "Conv3D")
BY_INPUT = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")  # transposed convolutions, too
BY_FILTER = ("Conv2DBackpropFilter", "Conv3DBackpropFilterV2")
PRODUCT = re.compile("Conv|MatMul|Einsum")  # in the name of every operation that multiplies

WARM_UP = 3
PEAK_SIZE = 2048  # side of the matrices whose product measures the machine


def median_seconds(run: Callable[[], object], repeats: int, warm_up: int = WARM_UP) -> float:
    """The median time of a call, after some calls that are not measured."""
    times = []
    for number in range(warm_up + repeats):
        start = time.perf_counter()
        run()
        if number >= warm_up:
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def matmul_peak(precision: str, size: int = PEAK_SIZE) -> float:
    """Operations per second of a large matrix product in the compute dtype of a policy."""
    dtype = keras.DTypePolicy(precision).compute_dtype
    a = tf.cast(tf.random.stateless_normal([size, size], [0, 1]), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    return 2.0 * size**3 / median_seconds(lambda: product().numpy(), 7)


def count_operations(graph: tf.Graph) -> float:
    """Operations of the matrix products and convolutions of a graph with static shapes.

    Raises:
        ValueError: A shape is unknown, there is no rule for a product, or the product is inside a
            function that the graph calls.
    """
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            if PRODUCT.search(node.op):
                where = f"{node.op} in the function {function.signature.name}"
                raise ValueError(f"{node.name}: the {where} is not counted. Run functions eagerly.")
    return float(sum(_operations(node) for node in graph.get_operations()))


def _operations(node: tf.Operation) -> float:
    kind = node.type
    if kind == "MatMul" or kind.startswith("BatchMatMul"):
        transposed = node.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        inner = _static(node.inputs[0], node)[-2 if transposed else -1]
        return 2.0 * math.prod(_static(node.outputs[0], node)) * inner
    if kind == "Einsum":
        return _contraction(node)
    if kind in (*FORWARD, *BY_INPUT, *BY_FILTER):
        # All three combine each output position and each filter weight once for each channel.
        positions = node.outputs[0] if kind in FORWARD else node.inputs[2]
        kernel = node.outputs[0] if kind in BY_FILTER else node.inputs[1]
        *weights, _ = _static(kernel, node)  # of one output
        return 2.0 * math.prod(_static(positions, node)) * math.prod(weights)
    if PRODUCT.search(kind):
        raise ValueError(f"{node.name}: there is no rule to count the operations of {kind}.")
    return 0.0


def _contraction(node: tf.Operation) -> float:
    """Of `bij,bjk->bik`: a multiplication with its addition for each b, i, j and k."""
    terms = node.get_attr("equation").decode().partition("->")[0].split(",")
    if len(terms) == 1:  # moves or adds numbers, multiplies none
        return 0.0
    if any("." in term for term in terms):
        raise ValueError(f"{node.name}: there is no rule to count an Einsum with an ellipsis.")
    sides = {
        letter: side
        for term, tensor in zip(terms, node.inputs, strict=True)
        for letter, side in zip(term, _static(tensor, node), strict=True)
    }
    return 2.0 * math.prod(sides.values())


def _static(tensor: tf.Tensor, node: tf.Operation) -> list[int]:
    """The shape of a tensor; that of a filter's gradient may be a constant input of the node."""
    if tensor.shape.is_fully_defined():
        return tensor.shape.as_list()
    sizes = tf.get_static_value(node.inputs[1]) if node.type in BY_FILTER else None
    if sizes is None:
        raise ValueError(f"{node.name}: the shape is not static, so operations are not counted.")
    return list(sizes)


def step_operations(config: RunConfig) -> float:
    """Operations of one training step, with all networks and all steps of discriminators."""
    model = config.make_model()
    config.compile(model)
    rows = config.training.batch_size
    shape = [rows, config.frames, *config.hyperparameters["image_shape"]]
    batch = {"video": tf.TensorSpec(shape, tf.uint8)}
    if isinstance(model, LatentCodeModel):
        batch |= {key: tf.TensorSpec([rows], tf.int64) for key in ROW_KEYS}
    with functions_inlined():
        step = tf.function(model.train_step).get_concrete_function(batch)
    return count_operations(step.graph)


@contextlib.contextmanager
def functions_inlined() -> Iterator[None]:
    """Functions that are called while a graph is traced become part of it, to be counted."""
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(eager)


def measure_data(config: RunConfig, steps: int) -> dict:
    """Speed of the input pipeline alone."""
    batches = iter(config.clips(repeat=True))
    return _rates(config, median_seconds(lambda: next(batches)["video"].numpy(), steps))


def measure_training(config: RunConfig, steps: int, rows: int | None = None) -> dict:
    """Speed of a training step on a batch in memory, and its share of the machine's peak.

    Args:
        config: Config of the run.
        steps: Measured steps.
        rows: Rows of the codes that are looked up by index, instead of one for each video. Every
            step then uses other random rows, which are in no cache.

    Raises:
        ValueError: The model has no such codes.
    """
    sized = config if rows is None else with_rows(config, rows)
    batch = next(iter(config.clips()))
    each = [batch] if rows is None else batches_of_random_rows(batch, rows, WARM_UP + steps)
    batches = itertools.cycle(each)
    model = sized.make_model()
    sized.compile(model)
    step = tf.function(model.train_step)
    seconds = median_seconds(lambda: step(next(batches))["loss"].numpy(), steps)
    operations, peak = step_operations(config), matmul_peak(config.precision)
    return {
        **_rates(config, seconds),
        "parameters": parameter_count(model),
        **(code_sizes(model) if isinstance(model, LatentCodeModel) else {}),
        "gflop_per_step": round(operations / 1e9, 3),
        "matmul_peak_gflops": round(peak / 1e9, 1),
        "share_of_peak": round(operations / seconds / peak, 4),
    }


def measure_rates(config: RunConfig, steps: int) -> Rates:
    """What a training of a config needs of a machine, for `kerasvid.evaluation.scaling`.

    Args:
        config: Config of the run.
        steps: Batches that are decoded, after some that are not measured.
    """
    batches = iter(config.clips(repeat=True))
    for _ in range(WARM_UP):
        next(batches)
    start = time.perf_counter()
    for _ in range(steps):
        next(batches)["video"].numpy()
    seconds = time.perf_counter() - start
    decoded = steps * config.training.batch_size * config.frames / seconds
    model = config.make_model()
    config.compile(model)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        saving = median_seconds(lambda: save_model(model, path, config), 3, 1)
        size = os.path.getsize(path)
    videos = training_split(load_info(config.data_folder))
    lengths = read_split(config.data_folder, load_info(config.data_folder), "train")
    frames = sum(int(each["length"]) for each in lengths.as_numpy_iterator())
    return Rates(
        parameters=sum(math.prod(v.shape) for v in model.trainable_variables),
        gflop_per_clip=step_operations(config) / config.training.batch_size / 1e9,
        frames=config.frames,
        decoded_per_second=decoded / _usable_cores(),
        bytes_per_frame=sum(shard.bytes for shard in videos.shards) / frames,
        checkpoint_bytes=size,
        checkpoint_seconds=saving,
    )


def _usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def with_rows(config: RunConfig, rows: int) -> RunConfig:
    """The config with learned codes for so many videos; refuses a model without such codes."""
    keys = model_class(config.model).code_keys(config.hyperparameters)
    if "index" not in keys:
        found = f"only codes by {' and '.join(sorted(keys))}" if keys else "no learned codes"
        raise ValueError(
            f"--rows={rows}: {config.model} has {found}. Use a model with codes by index, such as "
            "navsynth or glo."
        )
    return dataclasses.replace(config, hyperparameters={**config.hyperparameters, "videos": rows})


def batches_of_random_rows(batch: dict, rows: int, count: int, seed: int = 0) -> list[dict]:
    """`count` copies of a batch, each with other random indices below `rows`."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(rows, size=[count, len(batch["index"])])  # [count, B]
    return [{**batch, "index": tf.constant(index, tf.int64)} for index in drawn]


def code_sizes(model: LatentCodeModel) -> dict:
    """Rows of the tables of codes, and the bytes of codes, momenta and optimizers."""
    tables = model.tables()
    optimizers = [model.optimizer_of(network) for network in model.network_variables()]
    return {
        "rows": {name: table.rows for name, table in tables.items()},
        "code_bytes": _bytes(table.codes for table in tables.values()),
        "momentum_bytes": _bytes(table.momentum for table in tables.values()),
        "optimizer_bytes": _bytes(v for optimizer in optimizers for v in optimizer.variables),
    }


def _bytes(variables: Iterable[keras.Variable]) -> int:
    return sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in variables)


def generation(model: Any, count: int, frames: int) -> Any:
    """The graph from a key to the pixels of clips, between grey frames if the model needs some."""
    shapes, grey = model.noise_shapes(frames), tf.zeros([count, *model.image_shape])

    @tf.function
    def generate(key: tf.Tensor) -> tf.Tensor:
        noise = draw_noise(shapes, count, key)
        if isinstance(model, InBetween):
            return model.infill(grey, grey, noise, frames)
        return model.decode(model.codes(noise, frames))

    return generate


def generation_seconds(model: Any, count: int, frames: int, repeats: int) -> float:
    """The median time of a call of `generation`."""
    generate, seeds = generation(model, count, frames), itertools.count()
    return median_seconds(lambda: generate(tf.constant([0, next(seeds)])).numpy(), repeats)


def measure_generation(config: RunConfig, steps: int) -> dict:
    """Speed from noise, and from grey endpoints if the model needs them, to pixels in one graph.

    Returns:
        The rates of the graph, `parameters`, and `method_ms`, the median time of the public method:
        `generate`, or `between` of a model that needs endpoints.
    """
    model = config.make_model()
    count, seeds = config.training.batch_size, itertools.count()
    seconds = generation_seconds(model, count, config.frames, steps)
    grey = np.full([count, *model.image_shape], 127, np.uint8)

    def method() -> None:
        if isinstance(model, InBetween):
            model.between(grey, grey, config.frames, seed=next(seeds))
        else:
            model.generate(count, config.frames, seed=next(seeds))

    rates, parameters = _rates(config, seconds), parameter_count(model)
    whole = median_seconds(method, steps)
    return {**rates, "parameters": parameters, "method_ms": round(1e3 * whole, 3)}


def measure_preset(name: str, repeats: int, count: int = 16) -> dict:
    """Size and speed of a preset with weights, in float32.

    Args:
        name: of a preset that comes with the package, or a folder.
        repeats: measured calls.
        count: clips in one call.

    Returns:
        `name`, `parameters`, `gflop_per_clip` of generation, `clips_per_second`, `megabytes` of the
        folder, and the preset's `metadata`.

    Example:
        >>> measure_preset("rjvae_sprites", 20)["parameters"]
        870448
    """
    with local_preset(name) as folder:
        metadata, model = read_metadata(folder), read_preset(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
    with functions_inlined():
        key = tf.TensorSpec([2], tf.int32)
        one = generation(model, 1, model.frames).get_concrete_function(key)
    seconds = generation_seconds(model, count, model.frames, repeats)
    return {
        "name": name,
        "parameters": parameter_count(model),
        "gflop_per_clip": count_operations(one.graph) / 1e9,
        "clips_per_second": count / seconds,
        "megabytes": size / 1e6,
        "metadata": metadata,
    }


def measure_evaluation(config: RunConfig, clips: int) -> dict:
    """Speed and memory of a Frechet distance of a clip classifier's features, with new weights.

    Args:
        config: Config of the run.
        clips: Number of real clips, in as many epochs of the split "train" as needed, and of
            generated ones. The memory is measured after a fourth, all and twice as many.

    Returns:
        `clips_per_second`, of pairs of a real and a generated clip, and `peak_mb`, the peak memory
        of the process in MB by the number of clips.
    """
    model, batch = config.make_model(), config.training.batch_size
    classifier = ClipClassifier({"label": 4}, model.image_shape, config.frames)
    real = (each["video"].numpy() for each in with_fixed_buffers(config.clips(repeat=True)))
    made = generated_clips(model, batch, config.frames)
    peaks, seconds = {}, 0.0
    for number in (2 * batch, clips // 4, clips, 2 * clips):  # the first warms up
        start = time.perf_counter()
        frechet_video_distance(real, made, classifier.features, number, GROUPS)
        if number == clips:
            seconds = time.perf_counter() - start
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        peaks[str(number)] = round(peak / 1e6, 1)
    return {
        "clips": clips,
        "clips_per_second": round(clips / seconds, 2),
        "peak_mb": peaks,
        "growth_mb": round(peaks[str(2 * clips)] - peaks[str(clips // 4)], 1),
    }


def _rates(config: RunConfig, seconds: float) -> dict:
    return {
        "median_step_ms": round(seconds * 1e3, 3),
        "clips_per_second": round(config.training.batch_size / seconds, 2),
    }
