import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.spectral_convolution import (
    SpectralConvolution,
    iterate_spectra,
)


def gaussian(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def made(kernel_size=3, stride=1, spectral=True, filters=5, **kwargs):
    """A convolution over frames of 4x6x2 with random weights."""
    layer = SpectralConvolution(filters, kernel_size, stride, spectral, **kwargs)
    layer.build([None, 4, 6, 2])
    layer.kernel.assign(gaussian(*layer.kernel.shape, seed=1))
    layer.bias.assign(gaussian(filters, seed=2))
    return layer


def singular_values(kernel):
    """Those of the kernel as a matrix of outputs by inputs, largest first, in float64."""
    kernel = np.asarray(kernel, "float64")
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).T, compute_uv=False)


def settle(layer):
    """Lets the power step arrive, from close by."""
    kernel = layer.kernel.numpy()
    outputs = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[2][0]
    layer.singular.assign(0.9 * outputs + 0.1 * layer.singular.numpy())
    for _ in range(30):
        layer.iterate()


# === Convolutions ===


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3, 4])
def test_without_normalisation_it_is_the_convolution_of_keras(kernel_size, stride):
    layer, frames = made(kernel_size, stride, spectral=False), gaussian(3, 4, 6, 2)
    reference = keras.layers.Conv2D(5, kernel_size, stride, padding="same")
    reference.build([None, 4, 6, 2])
    reference.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(frames), reference(frames), atol=1e-5)
    assert [w.name for w in layer.weights] == ["kernel", "bias"]


@pytest.mark.parametrize("spectral", [False, True])
def test_a_kernel_as_large_as_the_input_weighs_every_value_once(spectral):
    layer, frames = made(None, spectral=spectral), gaussian(3, 4, 6, 2)
    kernel = layer.normalized_kernel().numpy().astype("float64")
    expected = np.einsum("nhwc,hwco->no", frames, kernel) + layer.bias.numpy()
    scores = layer(frames)
    assert scores.shape == (3, 1, 1, 5)
    np.testing.assert_allclose(scores[:, 0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("kernel_size", [3, None])
def test_half_precision_computes_with_float32_weights(kernel_size):
    frames = gaussian(3, 4, 6, 2)
    full, half = made(kernel_size), made(kernel_size, dtype="mixed_bfloat16")
    half.set_weights(full.get_weights())
    assert half(frames).dtype == tf.bfloat16
    assert {w.dtype for w in half.weights} == {"float32"}
    np.testing.assert_allclose(tf.cast(half(frames), tf.float32), full(frames), atol=0.1)


# === The spectral norm ===


@pytest.mark.parametrize("kernel_size", [3, None])
def test_after_many_iterations_the_kernel_in_use_has_spectral_norm_one(kernel_size):
    layer = made(kernel_size)
    settle(layer)
    before, after = singular_values(layer.kernel), singular_values(layer.normalized_kernel())
    assert before[0] > 2.0
    assert after[0] == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(after, before / before[0], rtol=1e-3)


@pytest.mark.parametrize("kernel_size", [3, None])
def test_fifteen_iterations_of_a_fresh_layer_come_near_the_norm(kernel_size):
    keras.utils.set_random_seed(0)
    layer = SpectralConvolution(16, kernel_size, spectral=True)
    layer.build([None, 8, 8, 8])
    assert singular_values(layer.normalized_kernel())[0] > 1.2
    iterate_spectra(layer, 15)
    assert 1.0 - 1e-5 < singular_values(layer.normalized_kernel())[0] < 1.03


@pytest.mark.parametrize("before", [0.0, 1e-9])
def test_a_kernel_of_zeros_stays_so_and_its_vector_is_kept_for_what_comes(before):
    layer, frames = made(3), gaussian(3, 4, 6, 2)
    kernel = layer.kernel.numpy()
    layer.kernel.assign(before * kernel)
    with tf.GradientTape() as tape:
        output = layer(frames) - layer.bias
    np.testing.assert_allclose(output, np.zeros(output.shape), atol=0.1)
    assert np.isfinite(tape.gradient(output, layer.kernel)).all()
    iterate_spectra(layer, 3)
    layer.kernel.assign(kernel)
    iterate_spectra(layer, 30)
    assert singular_values(layer.normalized_kernel())[0] == pytest.approx(1.0, abs=0.01)


def test_the_output_is_that_of_the_normalized_kernel():
    layer, frames = made(3), gaussian(3, 4, 6, 2)
    settle(layer)
    norm = np.float32(singular_values(layer.kernel)[0])
    plain = tf.nn.conv2d(frames, layer.kernel / norm, 1, "SAME") + layer.bias
    np.testing.assert_allclose(layer(frames), plain, atol=1e-4)


def test_an_estimate_never_exceeds_the_norm_and_grows_towards_it():
    layer, largest = made(3), singular_values(made(3).kernel)[0]
    estimates = []
    for _ in range(6):
        ratio = layer.kernel / layer.normalized_kernel()
        estimates.append(float(tf.reduce_mean(ratio)))
        layer.iterate()
    assert (np.diff(estimates) > -1e-5).all()
    assert estimates[-1] - estimates[0] > 0.1
    assert estimates[-1] <= largest + 1e-4


def test_calling_does_not_move_the_singular_vector():
    layer = made()
    before = layer.singular.numpy()
    for training in (True, False):
        layer(gaussian(3, 4, 6, 2), training=training)
    np.testing.assert_array_equal(layer.singular.numpy(), before)


def test_an_iteration_is_one_of_the_power_method_and_moves_nothing_else():
    layer = made()
    before = {w.name: w.numpy().astype("float64") for w in layer.weights}
    layer.iterate()
    matrix = before["kernel"].reshape(-1, 5)
    expected = matrix.T @ (matrix @ before["singular"])
    np.testing.assert_allclose(layer.singular, expected / np.linalg.norm(expected), atol=1e-5)
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(getattr(layer, name).numpy(), before[name])
    assert [w.name for w in layer.trainable_weights] == ["kernel", "bias"]


@pytest.mark.parametrize("kernel_size", [2, None])
def test_gradients_pass_through_the_norm_as_finite_differences_do(kernel_size):
    layer = made(kernel_size)
    settle(layer)
    weights = gaussian(*layer.kernel.shape, seed=5).numpy().astype("float64")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.normalized_kernel() * tf.constant(weights, tf.float32))
    gradient = tape.gradient(total, layer.kernel)

    def by_hand(kernel):
        return np.sum(kernel / singular_values(kernel)[0] * weights)

    kernel = layer.kernel.numpy().astype("float64")
    for position in [(0, 0, 0, 0), (1, 0, 1, 2), (1, 1, 0, 4), (0, 1, 1, 3)]:
        bump = np.zeros_like(kernel)
        bump[position] = 1e-5
        difference = (by_hand(kernel + bump) - by_hand(kernel - bump)) / 2e-5
        assert float(gradient[position]) == pytest.approx(difference, abs=1e-3)
    # Along the kernel itself nothing changes: its scale is divided out.
    assert float(tf.reduce_sum(gradient * layer.kernel)) == pytest.approx(0.0, abs=1e-3)


def test_without_normalisation_an_iteration_does_nothing():
    layer = made(spectral=False)
    before = layer.get_weights()
    layer.iterate()
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_all_normalized_convolutions_within_a_model_are_iterated_once():
    layers = [made(filters=2), made(spectral=False, filters=2), made(filters=2)]
    model = keras.Sequential([layers[0], keras.Sequential(layers[1:])])
    twins = [made(filters=2) for _ in range(2)]
    for twin, layer in zip(twins, (layers[0], layers[2]), strict=True):
        twin.set_weights(layer.get_weights())
        twin.iterate()
    iterate_spectra(model)
    for twin, layer in zip(twins, (layers[0], layers[2]), strict=True):
        np.testing.assert_array_equal(twin.singular.numpy(), layer.singular.numpy())


@pytest.mark.parametrize("kernel_size", [3, None])
def test_configurations_round_trip(kernel_size):
    layer = made(kernel_size, stride=2)
    restored = SpectralConvolution.from_config(layer.get_config())
    assert restored.get_config() == layer.get_config()
