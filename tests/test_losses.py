import numpy as np
import pytest
import tensorflow as tf

from kerasvid import losses


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    target, prediction = generator.uniform(-1, 1, size=[2, 3, 2, 4, 4, 3]).astype("float32")
    return target, prediction


def test_squared_error_sums_everything_but_the_batch(pair):
    target, prediction = pair
    expected = [np.sum((t.astype("float64") - p) ** 2) for t, p in zip(*pair, strict=True)]
    error = losses.squared_error(tf.constant(target), tf.constant(prediction))
    assert error.shape == (3,)
    np.testing.assert_allclose(error, expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 3.0])
def test_gaussian_energy_is_the_negative_log_density_without_its_constant(pair, scale):
    target, prediction = pair
    size = target[0].size
    deviation = target.astype("float64") - prediction
    log_density = -0.5 * (deviation / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))
    expected = -log_density.reshape(3, -1).sum(axis=1) - size * np.log(scale * np.sqrt(2 * np.pi))
    energy = losses.gaussian_energy(tf.constant(target), tf.constant(prediction), scale)
    np.testing.assert_allclose(energy, expected, rtol=1e-4)


def test_a_perfect_reconstruction_has_no_energy(pair):
    target = tf.constant(pair[0])
    np.testing.assert_array_equal(losses.gaussian_energy(target, target, 0.1), np.zeros(3))


def test_psnr_of_a_uniform_error_is_twenty_log_of_the_range_over_it():
    target = tf.zeros([2, 1, 4, 4, 1])
    off = tf.concat([target[:1] + 0.2, target[1:] + 0.02], axis=0)
    # The range of pixels in [-1, 1] is 2: errors of a tenth and a hundredth of it.
    np.testing.assert_allclose(losses.psnr(target, off), [20.0, 40.0], rtol=1e-4)


def test_psnr_agrees_with_the_definition_over_255_levels(pair):
    levels = [np.round((video + 1.0) * 127.5) for video in pair]
    error = ((levels[0] - levels[1]) ** 2).reshape(3, -1).mean(axis=1)
    pixels = [tf.constant(video / 127.5 - 1.0, tf.float32) for video in levels]
    np.testing.assert_allclose(losses.psnr(*pixels), 10 * np.log10(255.0**2 / error), rtol=1e-4)


def test_psnr_of_equal_videos_is_finite():
    assert np.isfinite(losses.psnr(tf.zeros([1, 2]), tf.zeros([1, 2])).numpy()).all()
