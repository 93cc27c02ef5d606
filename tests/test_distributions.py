import numpy as np
import pytest
import tensorflow as tf

from kerasvid import distributions


def parameters(mean, deviation, scale=1.0):
    """What a network must put out for this mean and deviation: the inverse, in float64."""
    unit = np.asarray(deviation, np.float64) / scale - distributions.SCALE_FLOOR
    raw = np.log(np.expm1(unit)) - np.log(np.expm1(1.0))
    return np.concatenate([np.asarray(mean, np.float64), raw], axis=-1).astype("float32")


def closed_form(m_q, s_q, m_p, s_p):
    terms = np.log(s_p / s_q) + (s_q**2 + (m_q - m_p) ** 2) / (2 * s_p**2) - 0.5
    return terms.sum(axis=-1)


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    mean_q, mean_p = generator.normal(size=[2, 5, 3])
    deviation_q, deviation_p = generator.uniform(0.2, 2.0, size=[2, 5, 3])
    return mean_q, deviation_q, mean_p, deviation_p


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_a_raw_output_of_zero_means_a_deviation_of_scale(scale):
    normal = distributions.diagonal_normal(tf.zeros([2, 6]), scale)
    expected = scale * (1.0 + distributions.SCALE_FLOOR)
    np.testing.assert_allclose(normal.stddev(), np.full([2, 3], expected), rtol=1e-6)
    np.testing.assert_array_equal(normal.mean(), np.zeros([2, 3]))


def test_the_deviation_never_falls_below_the_floor():
    normal = distributions.diagonal_normal(tf.constant([[0.0, -1000.0]]), scale=2.0)
    assert float(normal.stddev()[0, 0]) == pytest.approx(2.0 * distributions.SCALE_FLOOR)
    assert np.isfinite(normal.log_prob([[0.1]]).numpy()).all()


def test_mean_and_raw_scale_stand_side_by_side_and_the_last_axis_is_the_event():
    generator = np.random.default_rng(1)
    mean, deviation = generator.normal(size=[4, 2, 3]), generator.uniform(0.1, 3.0, [4, 2, 3])
    normal = distributions.diagonal_normal(parameters(mean, deviation, scale=0.5), scale=0.5)
    assert normal.batch_shape == (4, 2)
    assert normal.event_shape == (3,)
    np.testing.assert_allclose(normal.mean(), mean, rtol=1e-6)
    np.testing.assert_allclose(normal.stddev(), deviation, rtol=1e-4)


def test_half_precision_outputs_become_float32_distributions():
    normal = distributions.diagonal_normal(tf.zeros([1, 4], tf.bfloat16))
    assert normal.mean().dtype == tf.float32
    assert normal.stddev().dtype == tf.float32


def test_reparameterize_is_mean_plus_deviation_times_noise(pair):
    mean, deviation, noise, _ = pair
    normal = distributions.diagonal_normal(parameters(mean, deviation))
    drawn = distributions.reparameterize(normal, tf.constant(noise, tf.float32))
    np.testing.assert_allclose(drawn, mean + deviation * noise, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(distributions.reparameterize(normal, None), normal.mean())


def test_reparameterize_carries_gradients_to_mean_and_deviation():
    outputs = tf.Variable([[0.3, 0.0]])
    with tf.GradientTape() as tape:
        normal = distributions.diagonal_normal(outputs)
        drawn = distributions.reparameterize(normal, tf.constant([[2.0]]))
    # d deviation / d raw = sigmoid(raw + log(e - 1)) = 1 - 1/e at raw 0.
    np.testing.assert_allclose(
        tape.gradient(drawn, outputs), [[1.0, 2.0 * (1.0 - np.exp(-1.0))]], rtol=1e-5
    )


def test_kl_divergence_is_the_closed_form(pair):
    mean_q, deviation_q, mean_p, deviation_p = pair
    posterior = distributions.diagonal_normal(parameters(mean_q, deviation_q))
    prior = distributions.diagonal_normal(parameters(mean_p, deviation_p))
    kl = distributions.kl_divergence(posterior, prior)
    assert kl.shape == (5,)
    np.testing.assert_allclose(kl, closed_form(mean_q, deviation_q, mean_p, deviation_p), rtol=1e-4)
    np.testing.assert_allclose(distributions.kl_divergence(prior, prior), np.zeros(5), atol=1e-6)


def full_gaussian():
    """A mean and a covariance with correlations, and the covariance's triangular factor."""
    generator = np.random.default_rng(4)
    factor = np.tril(generator.normal(size=[3, 3]))
    np.fill_diagonal(factor, generator.uniform(0.5, 2.0, 3))
    return generator.normal(size=3), factor @ factor.T, factor


def test_kl_to_a_full_gaussian_is_the_closed_form(pair):
    mean_q, deviation_q, _, _ = pair
    mean_p, covariance, factor = full_gaussian()
    posterior = distributions.diagonal_normal(parameters(mean_q, deviation_q))
    kl = distributions.kl_to_gaussian(
        posterior, tf.constant(mean_p, tf.float32), tf.constant(factor, tf.float32)
    )
    precision, volume = np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]
    expected = [
        0.5 * (np.trace(precision @ np.diag(s**2)) + (m - mean_p) @ precision @ (m - mean_p))
        + 0.5 * (volume - np.log(s**2).sum() - 3)
        for m, s in zip(mean_q, deviation_q, strict=True)
    ]
    np.testing.assert_allclose(kl, expected, rtol=1e-4)


def test_kl_to_a_diagonal_gaussian_agrees_with_that_of_diagonal_ones(pair):
    mean, deviation, _, _ = pair
    posterior = distributions.diagonal_normal(parameters(mean, deviation))
    kl = distributions.kl_to_gaussian(posterior, tf.ones([3]), 1.5 * tf.eye(3))
    np.testing.assert_allclose(kl, closed_form(mean, deviation, 1.0, 1.5), rtol=1e-4)


def test_kl_to_the_standard_gaussian_is_the_closed_form(pair):
    mean, deviation, _, _ = pair
    kl = distributions.kl_to_standard(distributions.diagonal_normal(parameters(mean, deviation)))
    np.testing.assert_allclose(kl, closed_form(mean, deviation, 0.0, 1.0), rtol=1e-4)


def test_kl_divergence_is_the_mean_of_log_ratios_over_draws(pair):
    mean_q, deviation_q, mean_p, deviation_p = pair
    posterior = distributions.diagonal_normal(parameters(mean_q, deviation_q))
    prior = distributions.diagonal_normal(parameters(mean_p, deviation_p))
    noise = np.random.default_rng(2).normal(size=[50_000, 5, 3]).astype("float32")
    draws = distributions.reparameterize(posterior, noise)
    ratios = (posterior.log_prob(draws) - prior.log_prob(draws)).numpy()  # [draws, 5]
    error = ratios.std(axis=0) / np.sqrt(len(ratios))
    estimate = ratios.mean(axis=0)
    kl = distributions.kl_divergence(posterior, prior).numpy()
    assert (np.abs(estimate - kl) < 4 * error).all()
    assert (error < 0.05 * np.maximum(kl, 1.0)).all()


def test_a_shifted_gaussian_has_another_mean_alone(pair):
    mean, deviation, offset, _ = pair
    given = distributions.diagonal_normal(parameters(mean, deviation))
    moved = distributions.shifted(given, tf.constant(offset, tf.float32))
    np.testing.assert_allclose(moved.mean(), given.mean() + offset, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(moved.stddev(), given.stddev())
    assert moved.batch_shape == given.batch_shape and moved.event_shape == given.event_shape
