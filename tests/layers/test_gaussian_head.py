import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.gaussian_head import GaussianHead


@pytest.mark.parametrize("hidden_units", [0, 8])
def test_an_untrained_head_is_narrow_and_near_zero(hidden_units):
    keras.utils.set_random_seed(0)
    head = GaussianHead(16, hidden_units)
    features = np.random.default_rng(0).normal(size=[64, 32]).astype("float32")
    posterior = head.posterior(features)
    assert posterior.batch_shape == (64,)
    assert posterior.event_shape == (16,)
    assert 0.1 < float(tf.reduce_mean(posterior.stddev())) < 0.3
    assert float(tf.math.reduce_std(posterior.mean())) < 1.0


def test_the_head_is_linear_in_the_features_without_a_hidden_layer():
    head = GaussianHead(2)
    features = tf.constant([[1.0, 2.0, -1.0]])
    base = head(features * 0.0)
    np.testing.assert_allclose(
        head(2.0 * features) - base, 2.0 * (head(features) - base), atol=1e-5
    )
    kernel = head.linear.get_weights()[0]
    np.testing.assert_allclose(head(features) - base, features.numpy() @ kernel, atol=1e-5)


def test_the_hidden_layer_lies_between_features_and_output():
    head = GaussianHead(2, hidden_units=5)
    assert head(tf.ones([3, 4, 7])).shape == (3, 4, 4)
    assert [w.shape for w in head.get_weights()] == [(7, 5), (5,), (5, 4), (4,)]


def test_the_output_is_float32_under_mixed_precision():
    head = GaussianHead(2, hidden_units=5, dtype="mixed_bfloat16")
    assert head(tf.ones([3, 7])).dtype == tf.float32
    assert head.hidden.compute_dtype == "bfloat16"


def test_the_configuration_round_trips():
    head = GaussianHead(2, hidden_units=5)
    assert GaussianHead.from_config(head.get_config()).get_config() == head.get_config()
