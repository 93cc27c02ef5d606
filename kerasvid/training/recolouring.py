"""Clips in other colours, for a posterior that is to see how things move and not what they are."""

import tensorflow as tf

MIXED = "mixed_colours"  # the noise that mixes them, `[C, C]` a clip


def recoloured(video: tf.Tensor, chances: tf.Tensor, deviation: float) -> tf.Tensor:
    """Clips whose colours are mixed, each clip's by a matrix of its own: x' = x + s / sqrt(C) A x.

    The contents of a clip then look otherwise, and move as they did: the augmentation by which Bai
    et al., "Contrastively Disentangled Sequential Variational Autoencoder", NeurIPS 2021, tell what
    motion is. Grey of level 0 stays itself.

    Args:
        video: `[B, T, H, W, C]`.
        chances: A, Gaussians `[B, C, C]`.
        deviation: s.

    Returns:
        The same shape, not clipped.
    """
    colors = video.shape[-1]
    pixels = tf.reshape(video, [tf.shape(video)[0], -1, colors])  # [B, T * H * W, C]
    mixed = pixels + deviation / colors**0.5 * tf.matmul(pixels, chances, transpose_b=True)
    return tf.reshape(mixed, tf.shape(video))
