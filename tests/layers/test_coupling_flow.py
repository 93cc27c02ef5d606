"""The flow: invertible, with the determinant of its Jacobian."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.aggregate_prior import CouplingFlow


@pytest.fixture
def flow() -> CouplingFlow:
    flow = CouplingFlow(size=6, couplings=3, units=8)
    for index, head in enumerate(flow.heads):
        head.kernel.assign(0.5 * tf.random.stateless_normal(head.kernel.shape, [1, index]))
    return flow


def test_the_inverse_undoes_the_map(flow):
    noise = tf.random.stateless_normal([16, 6], [3, 4])
    samples = flow.forward(noise)
    assert np.abs(samples.numpy() - noise.numpy()).max() > 0.5
    np.testing.assert_allclose(flow.inverse(samples)[0], noise, atol=1e-4)


def test_the_determinant_is_that_of_the_numerical_jacobian(flow):
    point = tf.random.stateless_normal([6], [5, 6]).numpy().astype("float64")
    columns = []
    for axis in range(6):
        step = np.zeros(6)
        step[axis] = 1e-2
        ends = np.stack([point + step, point - step]).astype("float32")
        high, low = flow.inverse(tf.constant(ends))[0].numpy().astype("float64")
        columns.append((high - low) / 2e-2)
    expected = np.linalg.slogdet(np.stack(columns, axis=1))[1]
    _, log_determinant = flow.inverse(tf.constant(point[None], tf.float32))
    np.testing.assert_allclose(log_determinant[0], expected, atol=5e-2)


def test_an_untrained_flow_keeps_lengths():
    noise = tf.random.stateless_normal([8, 6], [1, 1])
    flow = CouplingFlow(size=6, couplings=4, units=8)
    samples, (_, log_determinant) = flow.forward(noise), flow.inverse(noise)
    np.testing.assert_allclose(np.sort(samples, axis=1), np.sort(noise, axis=1), atol=1e-6)
    np.testing.assert_array_equal(log_determinant, np.zeros(8, "float32"))


def test_an_odd_size_is_refused_in_one_line():
    with pytest.raises(ValueError, match="even size"):
        CouplingFlow(size=5)
