"""An invertible map of vectors by affine couplings, which turns N(0, I) into a learned density.

Dinh, Sohl-Dickstein, Bengio: "Density estimation using Real NVP", ICLR 2017.
"""

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="kerasvid")
class CouplingFlow(keras.layers.Layer):
    """A chain of affine couplings, each after a fixed shuffle of the axes.

    A coupling scales and shifts one half of the axes by functions of the other half, so that both
    directions cost one pass through small dense layers. Untrained, the map is a shuffle of axes.

    Args:
        size: D, even.
        couplings: how many; each changes half of the axes.
        units: width of the two hidden layers of a coupling.

    Raises:
        ValueError: `size` is odd.

    Example:
        >>> flow = CouplingFlow(size=4, couplings=2, units=8)
        >>> noise, log_determinant = flow.inverse(flow.forward(noise))
    """

    def __init__(self, size: int, couplings: int = 8, units: int = 128, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if size % 2:
            raise ValueError(f"A flow over {size} axes cannot halve them: use an even size.")
        self.size, self.couplings, self.units = size, couplings, units
        dense = keras.layers.Dense
        self.hidden_1 = [dense(units, dtype="float32") for _ in range(couplings)]
        self.hidden_2 = [dense(units, dtype="float32") for _ in range(couplings)]
        self.heads = [
            dense(size, kernel_initializer="zeros", dtype="float32") for _ in range(couplings)
        ]
        orders = [np.random.RandomState(index).permutation(size) for index in range(couplings)]
        self._orders, self._restored = orders, [np.argsort(order) for order in orders]

    def build(self, input_shape=None) -> None:
        for index in range(self.couplings):
            self.hidden_1[index].build([None, self.size // 2])
            self.hidden_2[index].build([None, self.units])
            self.heads[index].build([None, self.units])
        self.built = True

    def _coupling(self, index: int, fixed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Log scale, within (-2, 2), and shift of one half, from the other."""
        x = tf.nn.leaky_relu(self.hidden_1[index](fixed))
        x = tf.nn.leaky_relu(self.hidden_2[index](x))
        log_scale, shift = tf.split(self.heads[index](x), 2, axis=-1)
        return 2.0 * tf.tanh(0.5 * log_scale), shift

    def forward(self, noise: tf.Tensor) -> tf.Tensor:
        """Noise to samples: `[B, D] -> [B, D]`."""
        x = noise
        for index in reversed(range(self.couplings)):
            fixed, moved = tf.split(x, 2, axis=-1)
            log_scale, shift = self._coupling(index, fixed)
            joined = tf.concat([fixed, moved * tf.exp(log_scale) + shift], axis=-1)
            x = tf.gather(joined, self._restored[index], axis=-1)
        return x

    def inverse(self, samples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Samples to noise, and log |det d noise / d samples|: `[B, D] -> [B, D], [B]`."""
        x, log_determinant = samples, tf.zeros(tf.shape(samples)[:-1])
        for index in range(self.couplings):
            fixed, moved = tf.split(tf.gather(x, self._orders[index], axis=-1), 2, axis=-1)
            log_scale, shift = self._coupling(index, fixed)
            x = tf.concat([fixed, (moved - shift) * tf.exp(-log_scale)], axis=-1)
            log_determinant -= tf.reduce_sum(log_scale, axis=-1)
        return x, log_determinant

    def call(self, noise: tf.Tensor) -> tf.Tensor:
        return self.forward(noise)

    def get_config(self) -> dict:
        own = {"size": self.size, "couplings": self.couplings, "units": self.units}
        return {**super().get_config(), **own}
