import math

import pytest
import tensorflow as tf

from kerasvid.evaluation.benchmark import (
    count_operations,
    measure_evaluation,
    measure_training,
    median_seconds,
    step_operations,
)
from kerasvid.models.registry import MODELS
from kerasvid.training.config import make_config


def graph_of(function, *specs):
    return tf.function(function).get_concrete_function(*specs).graph


def gradients(forward):
    def run(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.reduce_sum(tf.square(forward(x, w)))
        return tape.gradient(y, [x, w])

    return run


def test_a_matrix_product_and_its_gradients():
    x, w = tf.TensorSpec([5, 7]), tf.TensorSpec([7, 11])
    assert count_operations(graph_of(tf.matmul, x, w)) == 2 * 5 * 7 * 11
    assert count_operations(graph_of(gradients(tf.matmul), x, w)) == 3 * 2 * 5 * 7 * 11


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_and_its_gradients(stride):
    x, w = tf.TensorSpec([2, 8, 8, 3]), tf.TensorSpec([3, 3, 3, 5])
    forward = lambda x, w: tf.nn.conv2d(x, w, stride, "SAME")  # noqa: E731
    expected = 2 * 2 * (8 // stride) ** 2 * 3 * 3 * 3 * 5
    assert count_operations(graph_of(forward, x, w)) == expected
    assert count_operations(graph_of(gradients(forward), x, w)) == 3 * expected


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_over_space_and_time_and_its_gradients(stride):
    x, w = tf.TensorSpec([2, 4, 8, 6, 3]), tf.TensorSpec([2, 3, 5, 3, 7])
    forward = lambda x, w: tf.nn.conv3d(x, w, [1, *[stride] * 3, 1], "SAME")  # noqa: E731
    positions = 2 * math.prod(side // stride for side in (4, 8, 6))
    expected = 2 * positions * (2 * 3 * 5) * 3 * 7
    assert count_operations(graph_of(forward, x, w)) == expected
    assert count_operations(graph_of(gradients(forward), x, w)) == 3 * expected


@pytest.mark.parametrize("axes", [2, 3])
def test_a_transposed_convolution_and_its_gradients(axes):
    transposed = {2: tf.nn.conv2d_transpose, 3: tf.nn.conv3d_transpose}[axes]
    x, w = tf.TensorSpec([2, *[4] * axes, 3]), tf.TensorSpec([*[5] * axes, 7, 3])
    forward = lambda x, w: transposed(x, w, [2, *[8] * axes, 7], 2)  # noqa: E731
    expected = 2 * 2 * 4**axes * 5**axes * 3 * 7  # each input position writes a kernel's pixels
    assert count_operations(graph_of(forward, x, w)) == expected
    assert count_operations(graph_of(gradients(forward), x, w)) == 3 * expected


def test_a_convolution_in_groups_sees_a_part_of_the_channels():
    x, w = tf.TensorSpec([2, 8, 8, 6]), tf.TensorSpec([3, 3, 2, 9])
    forward = lambda x, w: tf.nn.conv2d(x, w, 1, "SAME")  # noqa: E731
    assert count_operations(graph_of(forward, x, w)) == 2 * 2 * 64 * 9 * 2 * 9


def test_products_over_named_axes_and_their_gradients():
    x, w = tf.TensorSpec([5, 7, 3]), tf.TensorSpec([11, 3])
    forward = lambda x, w: tf.einsum("kbd,ed->kbe", x, w)  # noqa: E731
    assert count_operations(graph_of(forward, x, w)) == 2 * 5 * 7 * 3 * 11
    assert count_operations(graph_of(gradients(forward), x, w)) == 3 * 2 * 5 * 7 * 3 * 11


def test_a_product_without_a_rule_is_an_error():
    x, w = tf.TensorSpec([2, 8, 8, 3]), tf.TensorSpec([3, 3, 3, 2])
    depthwise = lambda x, w: tf.nn.depthwise_conv2d(x, w, [1] * 4, "SAME")  # noqa: E731
    with pytest.raises(ValueError, match=r"no rule .* DepthwiseConv2dNative"):
        count_operations(graph_of(depthwise, x, w))
    inner = tf.function(lambda x: tf.matmul(x, x))
    with pytest.raises(ValueError, match=r"the MatMul in the function .* is not counted"):
        count_operations(graph_of(lambda x: inner(x) + 1.0, tf.TensorSpec([4, 4])))


def small_config(model, values=None, batch=2):
    """Of clips of 16x16 pixels and, where a model has no length of its own, few frames."""
    values = {"frames": 4, "training.batch_size": batch, **(values or {})}
    return make_config(model, "none", "nowhere", None, "debug", values, precision="float32", seed=0)


QUICK = ("vgan", "navsynth")


@pytest.mark.parametrize(
    "model",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(MODELS)
    ],
)
def test_every_product_of_a_step_has_a_rule(model):
    eager = tf.config.functions_run_eagerly()
    config = small_config(model, batch=2)
    kernels = [v.shape for v in config.make_model().trainable_variables if "kernel" in v.name]
    if not kernels:  # a baseline without weights
        assert step_operations(config) == 0
        return
    least = sum(math.prod(shape) for shape in kernels)  # used by each row, at one position or more
    assert len(kernels) > 3 and step_operations(config) >= 2 * 2 * 2 * least  # there and back
    assert tf.config.functions_run_eagerly() == eager


@pytest.mark.parametrize("turns", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_discriminator_steps_divide_the_batch_and_the_generator_gets_the_last_part(turns):
    rows = 4 // turns
    config = small_config("vgan", {"objective.discriminator_steps": turns}, batch=4)
    model = config.make_model()
    config.compile(model)
    shape, frames = [rows, config.frames, *model.image_shape], config.frames
    noise = model.sample_noise(rows, config.frames)
    random_inputs = {
        n: tf.zeros([rows, *s]) for n, s in model.random_input_shapes(config.frames).items()
    }
    fakes = model.fakes(noise, frames, training=True)

    def generate_and_update(gradients_of_fakes):
        with tf.GradientTape() as tape:
            made = model.fakes(noise, frames, training=True)
        own = model.network_variables()["generator"]
        return tape.gradient(made, own, output_gradients=gradients_of_fakes)

    generation = count_operations(graph_of(lambda: model.fakes(noise, frames, training=True)))
    both = count_operations(graph_of(generate_and_update, specs_of(fakes)))
    discriminating = count_operations(
        graph_of(
            lambda v: model.discriminator_step({"video": v}, fakes, random_inputs),
            tf.TensorSpec(shape),
        )
    )
    generating = count_operations(
        graph_of(lambda f: model.generator_step({}, f, random_inputs), specs_of(fakes))
    )
    expected = turns * (generation + discriminating) + generating + (both - generation)
    assert step_operations(config) == expected


def specs_of(tensors):
    return {name: tf.TensorSpec(value.shape) for name, value in tensors.items()}


def test_a_batch_of_unknown_size_is_refused():
    x, w = tf.TensorSpec([None, 7]), tf.TensorSpec([7, 11])
    with pytest.raises(ValueError, match="not static"):
        count_operations(graph_of(tf.matmul, x, w))


@pytest.mark.parametrize(
    ("model", "preset", "message"),
    [
        ("rjvae", "debug", "--rows=9: rjvae has no learned codes. Use a model with codes by"),
        ("navsynth", "weizmann", "--rows=9: navsynth has only codes by identity and label. Use"),
    ],
)
def test_rows_need_a_model_with_codes_by_index(model, preset, message):
    config = make_config(model, "none", "nowhere", None, preset, precision="float32", seed=0)
    with pytest.raises(ValueError, match=message) as error:
        measure_training(config, 1, rows=9)
    assert "\n" not in str(error.value)


def test_the_median_leaves_the_warm_up_out(monkeypatch):
    from kerasvid.evaluation import benchmark

    clock = iter([0, 100, 200, 300, 301, 400, 403, 500, 502])  # one look a warm-up, then two
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    assert median_seconds(lambda: None, 3, warm_up=3) == 2


def test_an_evaluation_is_measured_in_clips_a_second_and_peaks_of_memory(config_of):
    found = measure_evaluation(config_of(model="rjvae"), 16)
    assert found["clips"] == 16 and found["clips_per_second"] > 0
    peaks = list(found["peak_mb"].values())
    assert list(found["peak_mb"]) == ["8", "4", "16", "32"]
    assert peaks == sorted(peaks) and peaks[0] > 50
    assert found["growth_mb"] == pytest.approx(peaks[3] - peaks[1], abs=0.2)
