"""Diagonal Gaussians from network outputs, and their divergences.

Only here does a network's output become a scale, hence only here is a scale floor.
"""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

SCALE_FLOOR = 1e-3


def diagonal_normal(parameters: tf.Tensor, scale: float = 1.0) -> tfd.Distribution:
    """A diagonal Gaussian whose last axis is the event.

    Args:
        parameters: `[..., 2 * D]` float, the mean beside the raw scale; the standard deviation is
            `scale * (softplus(raw + 0.54...) + SCALE_FLOOR)`.
        scale: positive float, the standard deviation that a raw output of zero stands for.

    Returns:
        A `tfd.Independent` with batch shape `[...]` and event shape `[D]`, in float32.

    Example:
        >>> diagonal_normal(tf.zeros([4, 8, 32])).mean().shape
        TensorShape([4, 8, 16])
    """
    mean, raw = tf.split(tf.cast(parameters, tf.float32), 2, axis=-1)
    unit_raw = 0.5413248546129181  # softplus(unit_raw) = 1
    std = scale * (tf.nn.softplus(raw + unit_raw) + SCALE_FLOOR)
    return tfd.Independent(tfd.Normal(mean, std), reinterpreted_batch_ndims=1)


def reparameterize(distribution: tfd.Distribution, noise: tf.Tensor | None) -> tf.Tensor:
    """`mean + std * noise`, or the mean where `noise` is `None`.

    Args:
        distribution: of `diagonal_normal`.
        noise: float32, standard Gaussian, of the distribution's batch and event shape.
    """
    if noise is None:
        return distribution.mean()
    return distribution.mean() + distribution.stddev() * noise


def shifted(distribution: tfd.Distribution, offset: tf.Tensor) -> tfd.Distribution:
    """A diagonal Gaussian of `diagonal_normal` with `offset`, of its event shape, on its mean."""
    moved = tfd.Normal(distribution.mean() + offset, distribution.stddev())
    return tfd.Independent(moved, reinterpreted_batch_ndims=1)


def kl_divergence(posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
    """Analytic KL(posterior || prior) in nats, summed over the event: the batch shape remains.

    For Gaussians: sum_d log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2.
    """
    return tfd.kl_divergence(posterior, prior)


def kl_to_gaussian(
    posterior: tfd.Distribution, mean: tf.Tensor, scale_tril: tf.Tensor
) -> tf.Tensor:
    """KL(posterior || N(mean, L L^T)) in nats of diagonal Gaussians: batch shape `[B]`, so `[B]`.

    1/2 [ |L^-1 diag(s)|^2 + |L^-1 (m - mean)|^2 - D ] + log det L - sum_d log s_d.

    Args:
        posterior: of `diagonal_normal`, with batch shape `[B]` and event shape `[D]`.
        mean: `[D]`.
        scale_tril: L, `[D, D]` lower triangular with a positive diagonal.
    """
    size = scale_tril.shape[-1]
    whitening = tf.linalg.triangular_solve(scale_tril, tf.eye(size))  # L^-1, [D, D]
    std = posterior.stddev()
    spread = tf.matmul(tf.square(std), tf.square(whitening), transpose_b=True)  # [B, D]
    distance = tf.matmul(posterior.mean() - mean, whitening, transpose_b=True)  # [B, D]
    quadratic = tf.reduce_sum(spread + tf.square(distance), axis=-1) - size
    volume = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(scale_tril)))
    return 0.5 * quadratic + volume - tf.reduce_sum(tf.math.log(std), axis=-1)


def kl_to_standard(posterior: tfd.Distribution) -> tf.Tensor:
    """KL(posterior || N(0, I)) in nats of a diagonal Gaussian, summed over the event.

    sum_d (s_d^2 + m_d^2 - 1) / 2 - log s_d.
    """
    mean, std = posterior.mean(), posterior.stddev()
    squares = tf.square(mean) + tf.square(std) - 1.0
    return tf.reduce_sum(0.5 * squares - tf.math.log(std), axis=-1)
