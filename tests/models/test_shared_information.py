"""Shared information of two vectors: canonical correlations, and a gradient that removes them."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.dsa import SharedInformation


def correlated(rows, seed=0):
    """A vector of 4 axes and one of 2 that share a part, and the canonical correlations."""
    random = np.random.RandomState(seed)
    b = random.normal(size=(rows, 2))
    a = random.normal(size=(rows, 4)) + b @ random.normal(size=(2, 4))
    mixes = np.eye(4) + 0.3 * random.normal(size=(4, 4)), np.array([[2.0, 0.5], [0.0, 1.0]])
    a, b = a @ mixes[0] + 3.0, b @ mixes[1] - 1.0
    # Björck and Golub: the cosines between the subspaces that the centred columns span.
    bases = [np.linalg.qr(x - x.mean(axis=0))[0] for x in (a, b)]
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return a.astype("float32"), b.astype("float32"), correlations


def settled(a, b, **kwargs):
    """A layer whose running moments are those of the rows."""
    layer = SharedInformation(a.shape[1], b.shape[1], **kwargs)
    layer.mean.assign(np.concatenate([a.mean(axis=0), b.mean(axis=0)]))
    layer.covariance.assign(np.cov(np.concatenate([a, b], axis=1).T, bias=True))
    return layer


def test_the_mean_over_rows_is_half_the_squared_canonical_correlations():
    a, b, correlations = correlated(500)
    value = tf.reduce_mean(settled(a, b).term(a, b))
    assert correlations[0] > 0.8
    np.testing.assert_allclose(value, 0.5 * np.sum(correlations**2), rtol=2e-3)


def test_weak_dependence_is_the_mutual_information_of_gaussians():
    random = np.random.RandomState(1)
    b = random.normal(size=(20_000, 1)).astype("float32")
    a = random.normal(size=(20_000, 2)).astype("float32") + 0.2 * b
    covariance = np.cov(np.concatenate([a, b], axis=1).T)
    blocks = np.linalg.det(covariance[:2, :2]) * covariance[2, 2]
    information = 0.5 * np.log(blocks / np.linalg.det(covariance))
    np.testing.assert_allclose(
        tf.reduce_mean(settled(a, b).term(a, b)), information, rtol=0.1, atol=1e-3
    )


def test_the_gradient_is_that_of_the_measure_at_fixed_variances():
    a, b, _ = correlated(40)
    layer = settled(a, b)
    with tf.GradientTape() as tape:
        watched = tf.constant(a)
        tape.watch(watched)
        value = tf.reduce_mean(layer.term(watched, b))
    gradient = tape.gradient(value, watched).numpy()

    covariance = np.cov(np.concatenate([a, b], axis=1).T, bias=True).astype("float64")
    inverse_a, inverse_b = np.linalg.inv(covariance[:4, :4]), np.linalg.inv(covariance[4:, 4:])

    def measure(a):
        cross = (a - a.mean(axis=0)).T @ (b - b.mean(axis=0)).astype("float64") / len(a)
        return 0.5 * np.trace(inverse_a @ cross @ inverse_b @ cross.T)

    for row, axis in ((0, 0), (7, 2), (39, 3)):
        moved = np.zeros(a.shape)
        moved[row, axis] = 1e-4
        slope = (measure(a + moved) - measure(a - moved)) / 2e-4
        np.testing.assert_allclose(gradient[row, axis], slope, rtol=5e-3, atol=1e-6)


def test_nothing_flows_back_into_the_other_vector():
    a, b, _ = correlated(40)
    layer = settled(a, b)
    with tf.GradientTape() as tape:
        watched = tf.constant(b)
        tape.watch(watched)
        value = tf.reduce_sum(layer.term(a, watched))
    assert tape.gradient(value, watched) is None


def test_running_moments_arrive_at_those_of_the_data():
    a, b, correlations = correlated(256)
    layer = SharedInformation(4, 2, momentum=0.9)
    for _ in range(150):
        layer.update_moments(layer.moments(a, b))
    value = tf.reduce_mean(layer.term(a, b))
    np.testing.assert_allclose(value, 0.5 * np.sum(correlations**2), rtol=5e-3)


def test_moments_that_are_not_finite_are_left_out():
    layer = SharedInformation(4, 2)
    a, b, _ = correlated(8)
    layer.update_moments(layer.moments(np.full_like(a, np.nan), b))
    assert np.array_equal(layer.mean, np.zeros(6)) and np.array_equal(layer.covariance, np.eye(6))


def test_descent_removes_shared_information_and_keeps_the_rest():
    """a = A [label, own] + noise: the label drowns in the noise, the other stays."""
    random = np.random.RandomState(0)
    label, own = random.choice([-1.0, 1.0], (512, 1)), random.normal(size=(512, 1))
    inputs = np.concatenate([label, own], axis=1).astype("float32")
    noise = 0.3 * random.normal(size=(512, 2)).astype("float32")
    columns = tf.Variable([[1.0, 0.5], [0.3, 1.0]])
    layer = SharedInformation(2, 1, momentum=0.5)
    for _ in range(300):
        with tf.GradientTape() as tape:
            a = inputs @ columns + noise
            loss = tf.reduce_mean(layer.term(a, label.astype("float32")))
        columns.assign_sub(0.05 * tape.gradient(loss, columns))
        layer.update_moments(layer.moments(a, label.astype("float32")))
    assert np.max(np.abs(columns[0])) < 0.1  # at first 1.0
    assert np.max(np.abs(columns[1])) > 0.8


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_a_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum="):
        SharedInformation(4, 2, momentum=momentum)
