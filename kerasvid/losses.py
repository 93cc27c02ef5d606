"""Losses as pure functions over network outputs; every term keeps its batch axis."""

import tensorflow as tf


def squared_error(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """Squared error summed over everything but the batch: `[B, ...] -> [B]`."""
    axes = list(range(1, target.shape.rank))
    return tf.reduce_sum(tf.math.squared_difference(target, prediction), axis=axes)


def gaussian_energy(target: tf.Tensor, prediction: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """-log N(target; prediction, scale^2 I) without its normalising constant: `[B, ...] -> [B]`.

    The constant, D log(scale sqrt(2 pi)), does not depend on the networks. Left out, the term is 0
    for a perfect reconstruction and can be compared between scales.

    Args:
        target: `[B, ...]` pixels in [-1, 1].
        prediction: the same shape.
        scale: positive scalar, the deviation of an observed pixel.
    """
    return squared_error(target, prediction) / (2.0 * tf.square(scale))


def psnr(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """Peak signal-to-noise ratio in dB of `[B, ...]` pixels in [-1, 1], over each row: `[B]`."""
    axes = list(range(1, target.shape.rank))
    error = tf.reduce_mean(tf.math.squared_difference(target, prediction), axis=axes)
    return 10.0 * tf.math.log(4.0 / tf.maximum(error, 1e-10)) / tf.math.log(10.0)
