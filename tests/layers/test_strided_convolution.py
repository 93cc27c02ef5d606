import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.compilation import traced_function, tracing_for_xla
from kerasvid.layers.strided_convolution import (
    StridedConv2D,
    TransposedConv2D,
    strided_convolution,
    transposed_convolution,
)

SHAPES = [(4, 2), (3, 2), (5, 2), (1, 2), (2, 2), (4, 3), (3, 4)]


def gaussian(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


@pytest.fixture(params=[True, False], ids=["for-xla", "plain"])
def form(request):
    """How the sums are computed: as for XLA, or by TensorFlow's own kernels."""
    with tracing_for_xla(request.param):
        yield request.param


def with_gradients(operation, *sources):
    """The output, and the gradients of a sum that weighs every output differently."""
    with tf.GradientTape() as tape:
        tape.watch(sources)
        output = operation(*sources)
        loss = tf.reduce_sum(output * gaussian(*output.shape, seed=9))
    return [output, *tape.gradient(loss, sources)]


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=2e-4)


@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
@pytest.mark.parametrize(("side", "stride"), SHAPES)
def test_a_strided_convolution_has_the_values_and_gradients_of_the_plain_one(
    form, side, stride, size
):
    inputs, kernel = gaussian(2, *size, 9), gaussian(side, side, 9, 5, seed=1)
    ours = with_gradients(lambda x, w: strided_convolution(x, w, stride), inputs, kernel)
    theirs = with_gradients(lambda x, w: tf.nn.conv2d(x, w, stride, "SAME"), inputs, kernel)
    assert_equal(ours, theirs)


@pytest.mark.parametrize(("side", "stride"), SHAPES)
def test_a_transposed_convolution_has_the_values_and_gradients_of_the_plain_one(form, side, stride):
    inputs, kernel = gaussian(2, 4, 5, 3), gaussian(side, side, 9, 3, seed=1)
    shape = [2, 4 * stride, 5 * stride, 9]
    ours = with_gradients(lambda x, w: transposed_convolution(x, w, stride), inputs, kernel)
    theirs = with_gradients(
        lambda x, w: tf.nn.conv2d_transpose(x, w, shape, stride, "SAME"), inputs, kernel
    )
    assert_equal(ours, theirs)


@pytest.mark.parametrize("jit", [False, True])
def test_a_penalty_of_the_gradient_has_the_gradients_of_the_plain_convolution(jit):
    inputs, kernel = gaussian(2, 8, 8, 3), gaussian(4, 4, 3, 5, seed=1)

    def penalty_gradients(convolve):
        def slopes(inputs, kernel):
            with tf.GradientTape() as outer:
                outer.watch([inputs, kernel])
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    score = tf.reduce_sum(tf.tanh(0.1 * convolve(inputs, kernel)))
                penalty = tf.reduce_sum(tf.square(tape.gradient(score, inputs)))
            return outer.gradient(penalty, [inputs, kernel])

        return traced_function(slopes, jit)(inputs, kernel)

    ours = penalty_gradients(lambda x, w: strided_convolution(x, w, 2))
    assert_equal(ours, penalty_gradients(lambda x, w: tf.nn.conv2d(x, w, 2, "SAME")))
    assert float(tf.reduce_max(tf.abs(ours[1]))) > 0.01


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(StridedConv2D, keras.layers.Conv2D), (TransposedConv2D, keras.layers.Conv2DTranspose)],
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("extras", [{}, {"use_bias": False, "activation": "tanh"}])
def test_the_layers_are_keras_own_with_another_computation(ours, theirs, stride, extras):
    inputs = gaussian(2, 8, 8, 3)
    layer, plain = ours(5, 4, stride, **extras), theirs(5, 4, stride, padding="same", **extras)
    plain(inputs), layer(inputs)
    plain.set_weights([np.random.default_rng(2).normal(size=w.shape) for w in plain.get_weights()])
    layer.set_weights(plain.get_weights())
    np.testing.assert_allclose(layer(inputs), plain(inputs), atol=1e-4)
    again = ours.from_config(layer.get_config())
    again(inputs)
    again.set_weights(plain.get_weights())
    np.testing.assert_allclose(again(inputs), plain(inputs), atol=1e-4)


def strides_of_the_gradient(channels, jit_compile):
    """Strides of TensorFlow's own operations in the gradient of a strided convolution."""
    inputs, kernel = gaussian(1, 8, 8, channels), gaussian(4, 4, channels, 5, seed=1)
    step = lambda x: tf.gradients(strided_convolution(x, kernel, 2), x)  # noqa: E731
    graph = traced_function(step, jit_compile).get_concrete_function(inputs).graph
    found = [op for op in graph.get_operations() if op.type == "Conv2DBackpropInput"]
    return [op.get_attr("strides")[1] for op in found]


def test_the_gradient_is_tensorflows_own_where_that_is_quicker(monkeypatch):
    assert strides_of_the_gradient(16, jit_compile=False) == [2]
    assert strides_of_the_gradient(16, jit_compile=True) == [1]
    assert strides_of_the_gradient(3, jit_compile=False) == [1]  # of a picture
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    assert strides_of_the_gradient(3, jit_compile=True) == [2]


@pytest.mark.parametrize("layer", [StridedConv2D, TransposedConv2D])
@pytest.mark.parametrize(
    ("strides", "extras", "message"),
    [
        (2, {"padding": "valid"}, "padding='valid' is not supported. Use 'same'"),
        (1, {"dilation_rate": 2}, "dilation_rate="),
        (2, {"data_format": "channels_first"}, "data_format='channels_first'"),
        ((1, 2), {}, "give one number for both axes"),
    ],
)
def test_unsupported_arguments_are_refused(layer, strides, extras, message):
    with pytest.raises(ValueError, match=message) as error:
        layer(5, 4, strides, **extras)
    assert "\n" not in str(error.value)
