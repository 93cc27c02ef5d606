"""How fast the input pipeline, a step, generation and evaluation are, beside what is possible.

The operations of a step are counted on the graph of the step as it is executed, matrix products
and convolutions only, two for each multiplication with its addition; those of the backward pass
are in the graph and need no rule of thumb, and neither do several turns of discriminators.
"""

import contextlib
import dataclasses
import itertools
import math
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data import make_pipeline
from kerasvid.evaluation.classifiers.networks import ClipClassifier
from kerasvid.evaluation.generated_clips import generated_clips
from kerasvid.evaluation.metrics.fvd import frechet_video_distance
from kerasvid.evaluation.metrics.intervals import GROUPS
from kerasvid.models.base.latent_codes import ROW_KEYS
from kerasvid.models.base.trainer import draw_noise
from kerasvid.models.registry import model_class
from kerasvid.training.clips import with_fixed_buffers
from kerasvid.training.config import RunConfig
from kerasvid.training.summary import parameter_count

FORWARD = ("Conv2D", "Conv3D")
BY_INPUT = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")  # transposed convolutions, too
BY_FILTER = ("Conv2DBackpropFilter", "Conv3DBackpropFilterV2")
PRODUCT = re.compile("Conv|MatMul|Einsum")  # in the name of every kind that multiplies and adds

WARM_UP = 3
PEAK_SIZE = 2048  # side of the matrices whose product measures the machine


def median_seconds(run: Callable[[], object], repeats: int, warm_up: int = WARM_UP) -> float:
    """The median time of a call, after a few that do not count."""
    times = []
    for number in range(warm_up + repeats):
        start = time.perf_counter()
        run()
        if number >= warm_up:
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def matmul_peak(precision: str, size: int = PEAK_SIZE) -> float:
    """Operations a second of a large matrix product in the compute dtype of a policy."""
    dtype = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}.get(precision, tf.float32)
    a = tf.cast(tf.random.stateless_normal([size, size], [0, 1]), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    return 2.0 * size**3 / median_seconds(lambda: product().numpy(), 7)


def count_operations(graph: tf.Graph) -> float:
    """Operations of the matrix products and convolutions of a graph with static shapes.

    Raises:
        ValueError: a shape is not known, a product is of a kind that there is no rule for, or it is
            within a function that the graph calls.
    """
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            if PRODUCT.search(node.op):
                raise ValueError(f"{node.name}: a {node.op} within the function "
                                 f"{function.signature.name} cannot be counted.")  # fmt: skip
    return float(sum(_operations(node) for node in graph.get_operations()))


def _operations(node: tf.Operation) -> float:
    kind = node.type
    if kind == "MatMul":
        a, transposed = node.inputs[0].shape, node.get_attr("transpose_a")
        return 2.0 * _size(node.outputs[0]) * _known(a[0] if transposed else a[1], node)
    if kind in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        a, transposed = node.inputs[0].shape, node.get_attr("adj_x")
        return 2.0 * _size(node.outputs[0]) * _known(a[-2] if transposed else a[-1], node)
    if kind == "Einsum":
        return _contraction(node)
    if kind in (*FORWARD, *BY_INPUT, *BY_FILTER):
        # All three visit each pair of an output position and a filter weight once for each channel.
        positions = node.outputs[0] if kind in FORWARD else node.inputs[2]
        kernel = node.outputs[0] if kind in BY_FILTER else node.inputs[1]
        *weights, _ = (_known(side, node) for side in _static(kernel, node))  # of one output
        return 2.0 * _size(positions) * math.prod(weights)
    if PRODUCT.search(kind):
        raise ValueError(f"{node.name}: there is no rule to count the operations of a {kind}.")
    return 0.0


def _contraction(node: tf.Operation) -> float:
    """Of `bij,bjk->bik`: a multiplication with its addition for each b, i, j and k."""
    terms = node.get_attr("equation").decode().partition("->")[0].split(",")
    if len(terms) == 1:  # moves or adds numbers, multiplies none
        return 0.0
    if any("." in term for term in terms):
        raise ValueError(f"{node.name}: there is no rule to count an Einsum with an ellipsis.")
    sides = {
        letter: _known(side, node)
        for term, tensor in zip(terms, node.inputs, strict=True)
        for letter, side in zip(term, tensor.shape, strict=True)
    }
    return 2.0 * math.prod(sides.values())


def _static(tensor: tf.Tensor, node: tf.Operation) -> list:
    """The shape of a tensor; of a gradient of a filter, from the constant that asks for it."""
    if tensor.shape.rank is not None and tensor.shape.is_fully_defined():
        return tensor.shape.as_list()
    sizes = tf.get_static_value(node.inputs[1])
    if sizes is None:
        raise ValueError(f"{node.name}: the shape is not static, operations cannot be counted.")
    return list(sizes)


def _size(tensor: tf.Tensor) -> float:
    if not tensor.shape.is_fully_defined():
        raise ValueError(f"{tensor.name}: the shape is not static, operations cannot be counted.")
    return float(math.prod(tensor.shape.as_list()))


def _known(side: int | None, node: tf.Operation) -> float:
    if side is None:
        raise ValueError(f"{node.name}: the shape is not static, operations cannot be counted.")
    return float(side)


def step_operations(config: RunConfig) -> float:
    """Operations of one training step: every player's turns, each on its share of the batch."""
    model = config.make_model()
    config.compile(model)
    rows = config.training.batch_size
    shape = [rows, config.frames, *config.hyperparameters["image_shape"]]
    batch = {"video": tf.TensorSpec(shape, tf.uint8)}
    if hasattr(model, "tables"):
        batch |= {key: tf.TensorSpec([rows], tf.int64) for key in ROW_KEYS}
    with _functions_inlined():
        step = tf.function(model.train_step).get_concrete_function(batch)
    return count_operations(step.graph)


@contextlib.contextmanager
def _functions_inlined() -> Iterator[None]:
    """Within, what a traced function calls becomes part of its own graph, where it is seen."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def measure_data(config: RunConfig, steps: int) -> dict:
    """The input pipeline alone."""
    batches = iter(_batches(config))
    return _rates(config, median_seconds(lambda: next(batches)["video"].numpy(), steps))


def measure_training(config: RunConfig, steps: int, rows: int | None = None) -> dict:
    """A training step on batches that lie ready, and its share of the machine's peak.

    Args:
        config: what would be trained.
        steps: to measure.
        rows: of the codes that are looked up by index, in place of one a video; every step then
            looks up others, at random, which no cache has at hand.

    Raises:
        ValueError: there are no such codes.
    """
    sized = config if rows is None else with_rows(config, rows)
    model = sized.make_model()
    sized.compile(model)
    batch = next(iter(_batches(config)))
    batches = itertools.repeat(batch)
    if rows is not None:
        batches = iter(batches_of_random_rows(batch, rows, WARM_UP + steps))
    step = tf.function(model.train_step)
    seconds = median_seconds(lambda: step(next(batches))["loss"].numpy(), steps)
    operations, peak = step_operations(config), matmul_peak(config.precision)
    return {
        **_rates(config, seconds),
        "parameters": parameter_count(model),
        **(code_sizes(model) if hasattr(model, "tables") else {}),
        "gflop_per_step": round(operations / 1e9, 3),
        "matmul_peak_gflops": round(peak / 1e9, 1),
        "share_of_peak": round(operations / seconds / peak, 4),
    }


def with_rows(config: RunConfig, rows: int) -> RunConfig:
    """The config for a data set of so many videos, as far as the model's codes go.

    Raises:
        ValueError: the model has no codes that are looked up by index.
    """
    keys = model_class(config.model).code_keys(config.hyperparameters)
    if "index" not in keys:
        found = f"codes by {' and '.join(sorted(keys))} alone" if keys else "no learned codes"
        raise ValueError(
            f"--rows={rows}: {config.model} has {found}; measure a model with codes by index, such "
            "as navsynth or glo."
        )
    return dataclasses.replace(config, hyperparameters={**config.hyperparameters, "videos": rows})


def batches_of_random_rows(batch: dict, rows: int, count: int, seed: int = 0) -> list[dict]:
    """A batch so many times, each with indices of its own below `rows`, told by the seed."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(rows, size=[count, len(batch["index"])])  # [count, B]
    return [{**batch, "index": tf.constant(index, tf.int64)} for index in drawn]


def code_sizes(model: keras.Model) -> dict:
    """Rows of the tables of codes, and the bytes of what training keeps beside the networks."""
    tables = model.tables()
    optimizers = [model.optimizer_of(player) for player in model.network_variables()]
    return {
        "rows": {name: table.rows for name, table in tables.items()},
        "code_bytes": _bytes(table.codes for table in tables.values()),
        "momentum_bytes": _bytes(table.momentum for table in tables.values()),
        "optimizer_bytes": _bytes(v for optimizer in optimizers for v in optimizer.variables),
    }


def _bytes(variables: Iterable[keras.Variable]) -> int:
    return sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in variables)


def measure_generation(config: RunConfig, steps: int) -> dict:
    """From noise, and grey ends where the model asks for ends, to pixels, as one graph."""
    model = config.make_model()
    shapes, count = model.noise_shapes(config.frames), config.training.batch_size
    grey = tf.zeros([count, *model.image_shape])

    @tf.function
    def generate(key: tf.Tensor) -> tf.Tensor:
        noise = draw_noise(shapes, count, key)
        if hasattr(model, "between"):
            return model.infill(grey, grey, noise, config.frames)
        return model.decode(model.codes(noise))

    seeds = iter(range(10**9))
    seconds = median_seconds(lambda: generate(tf.constant([0, next(seeds)])).numpy(), steps)
    return {**_rates(config, seconds), "parameters": parameter_count(model)}


def measure_evaluation(config: RunConfig, clips: int) -> dict:
    """The Frechet distance of a clip classifier's features, and whether its memory is bounded.

    Networks have new weights, which take as long as trained ones. Real clips come from the input
    pipeline, as many rounds of the split "train" as it takes.

    Args:
        config: of the model.
        clips: of each set, real and generated; then twice as many, after a fourth of them.

    Returns:
        `clips_per_second`, of pairs of a real and a generated clip, and by the number of clips the
        peak of the process's memory in MB after so many.
    """
    model = config.make_model()
    classifier = ClipClassifier({"label": 4}, model.image_shape, config.frames)
    real = (batch["video"].numpy() for batch in with_fixed_buffers(_batches(config)))
    made = generated_clips(model, config.training.batch_size, config.frames)
    peaks, seconds = {}, 0.0
    for number in (
        2 * config.training.batch_size,
        clips // 4,
        clips,
        2 * clips,
    ):  # the first warms up
        start = time.perf_counter()
        frechet_video_distance(real, made, classifier.features, number, "train", GROUPS)
        if number == clips:
            seconds = time.perf_counter() - start
        peaks[str(number)] = peak_memory_mb()
    return {
        "clips": clips,
        "clips_per_second": round(clips / seconds, 2),
        "peak_mb": peaks,
        "growth_mb": round(peaks[str(2 * clips)] - peaks[str(clips // 4)], 1),
    }


def peak_memory_mb() -> float:
    """The most memory that this process has held at once, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def _batches(config: RunConfig) -> tf.data.Dataset:
    batch, stride = config.training.batch_size, config.training.stride
    pick = config.training.pick
    return make_pipeline(config.data_folder, "train", batch, config.frames, stride, pick)


def _rates(config: RunConfig, seconds: float) -> dict:
    return {
        "median_step_ms": round(seconds * 1e3, 3),
        "clips_per_second": round(config.training.batch_size / seconds, 2),
    }
