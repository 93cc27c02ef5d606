"""The last layer of a posterior network."""

import keras
import tensorflow as tf

from kerasvid import distributions
from kerasvid.naming import KeepsArguments

NARROW = -2.0  # raw scale of an untrained posterior: a standard deviation of about 0.2


@keras.saving.register_keras_serializable(package="kerasvid")
class GaussianHead(KeepsArguments, keras.layers.Layer):
    """Features to a diagonal Gaussian posterior, by an optional hidden layer and a linear one.

    An untrained head gives means near 0 and standard deviations of about 0.2: posteriors as wide as
    the prior would collapse onto it.

    Args:
        latent_dim: D, the event size.
        hidden_units: width of the hidden layer; 0 for none.

    Call: `[..., F]` -> `[..., 2 * D]` float32, for `distributions.diagonal_normal`.
    """

    def __init__(self, latent_dim: int, hidden_units: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.hidden_units = latent_dim, hidden_units
        policy = self.dtype_policy
        self.hidden = keras.layers.Dense(hidden_units, dtype=policy) if hidden_units else None
        small = keras.initializers.VarianceScaling(0.1)
        self.linear = keras.layers.Dense(2 * latent_dim, kernel_initializer=small, dtype="float32")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        x = tf.cast(features, self.compute_dtype)
        if self.hidden is not None:
            x = tf.nn.leaky_relu(self.hidden(x))
        mean, raw = tf.split(self.linear(x), 2, axis=-1)
        return tf.concat([mean, raw + NARROW], axis=-1)

    def posterior(self, features: tf.Tensor):
        """The Gaussian itself: batch shape `[...]`, event shape `[D]`."""
        return distributions.diagonal_normal(self(features))
