"""What two latent vectors say alike over the data, and its removal from one of them."""

import keras
import tensorflow as tf

JITTER = 1e-4  # added to the diagonals of the running covariances


@keras.saving.register_keras_serializable(package="kerasvid")
class SharedInformation(keras.layers.Layer):
    """Linear dependence of one vector a on another b: half the sum of squared correlations.

        I = 1/2 |R|^2,  R = Cov[a]^(-1/2) Cov[a, b] Cov[b]^(-1/2)

    The singular values of R are the canonical correlations; to the lowest order I is the mutual
    information, in nats, of two Gaussians of these moments, which is -1/2 log det(1 - R R').

    A prior in which a and b are independent draws them so. Where the posteriors say something by
    both, such as the action of a video, the draws contradict each other; the bound hardly resists,
    as a decoder that uses both leaves neither. The gradient of this term makes a drop what b says,
    and leaves b alone.

    Correlations do not depend on scale: give draws of the posteriors, not their means, so that what
    drowns in their noise does not count. The moments are running ones, so that a small batch gives
    a gradient of little noise.

    Args:
        size: of a.
        other_size: of b.
        momentum: of the running moments, in (0, 1).

    Example:
        >>> shared = SharedInformation(24, 16)
        >>> loss += 30.0 * tf.reduce_mean(shared.term(content, motion))
        >>> shared.follow(shared.moments(content, motion))
    """

    def __init__(self, size: int, other_size: int, momentum: float = 0.99, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not 0 < momentum < 1:
            raise ValueError(f"momentum={momentum} of running moments must be between 0 and 1.")
        self.size, self.other_size, self.momentum = size, other_size, momentum
        self.build()

    def build(self, input_shape=None) -> None:
        if self.built:
            return
        both = self.size + self.other_size
        arguments = {"dtype": "float32", "trainable": False, "autocast": False}
        self.mean = self.add_weight((both,), "zeros", name="mean", **arguments)
        self.covariance = self.add_weight(
            (both, both),
            lambda shape, dtype=None: tf.eye(shape[0]),
            name="covariance",
            **arguments,
        )
        self.built = True

    def term(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """I by row, and its gradient by a: `[B, size]`, `[B, other_size]` -> `[B]` float32.

        Over a batch of the running moments the mean is I. Nothing flows back into b.
        """
        covariance, mean = tf.convert_to_tensor(self.covariance), tf.convert_to_tensor(self.mean)
        size = self.size
        first, second = (
            tf.linalg.cholesky(block + JITTER * tf.eye(block.shape[0]))
            for block in (covariance[:size, :size], covariance[size:, size:])
        )
        half = tf.linalg.triangular_solve(first, covariance[:size, size:])
        correlations = tf.transpose(tf.linalg.triangular_solve(second, tf.transpose(half)))  # R
        white_a = tf.linalg.triangular_solve(first, tf.transpose(a - mean[:size]))  # [size, B]
        centred = tf.transpose(tf.stop_gradient(b) - mean[size:])
        white_b = tf.linalg.triangular_solve(second, centred)  # [other_size, B]
        together = tf.reduce_sum(white_a * tf.matmul(correlations, white_b), axis=0)  # [B]
        return together - 0.5 * tf.reduce_sum(tf.square(correlations))

    def moments(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        """What `follow` needs of a batch: means over its rows, hence over replicas."""
        both = tf.stop_gradient(tf.concat([a, b], axis=-1))
        centred = both - self.mean
        size = tf.cast(tf.shape(both)[0], tf.float32)
        covariance = tf.matmul(centred, centred, transpose_a=True) / size
        return {"mean": tf.reduce_mean(both, axis=0), "covariance": covariance}

    def follow(self, moments: dict[str, tf.Tensor]) -> None:
        """Moves the running moments towards those of a batch, unless they are not finite."""
        finite = tf.reduce_all(tf.math.is_finite(moments["covariance"]))
        finite &= tf.reduce_all(tf.math.is_finite(moments["mean"]))
        rate = 1.0 - self.momentum
        for running, name in ((self.mean, "mean"), (self.covariance, "covariance")):
            moved = running + rate * (moments[name] - running)
            running.assign(tf.where(finite, moved, running))

    def call(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return self.term(a, b)

    def get_config(self) -> dict:
        own = {"size": self.size, "other_size": self.other_size, "momentum": self.momentum}
        return {**super().get_config(), **own}
