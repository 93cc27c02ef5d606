"""Clips made a little worse, for networks that must not take sharpness for content."""

import numpy as np
import tensorflow as tf

from kerasvid.pixels import as_floats

BLUR = np.float32([1, 4, 6, 4, 1]) / 16


def softened(
    clips: tf.Tensor,
    seed: tf.Tensor,
    blur: float = 0.0,
    noise: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
) -> tf.Tensor:
    """Clips as a generator may make them: blurred, noisy, darker or brighter, each differently.

    Half of the clips are not blurred, and half are not noisy; all frames of a clip are changed
    alike, but for the noise, which every pixel has its own of.

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        seed: int `[2]`, of which everything follows.
        blur: largest share of the clip that is blurred by the kernel 1-4-6-4-1.
        noise: largest deviation of Gaussian noise.
        brightness: largest that is added or taken away.
        contrast: largest part of a pixel's value that is added or taken away.

    Returns:
        float32 in [-1, 1].
    """
    clips = as_floats(clips)
    shape, channels = tf.shape(clips), clips.shape[-1]
    some = tf.random.stateless_uniform([2, shape[0], 1, 1, 1, 1], seed, -1.0, 1.0)
    either = tf.random.stateless_uniform([2, shape[0], 1, 1, 1, 1], seed + 1, -1.0, 1.0)
    kernel = np.tile(np.outer(BLUR, BLUR)[:, :, None, None], [1, 1, channels, 1])
    flat = tf.reshape(clips, [-1, *clips.shape[2:]])  # [B * T, H, W, C]
    padded = tf.pad(flat, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    blurred = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    blurred = tf.reshape(blurred, [-1, *clips.shape[1:]])  # [B, T, H, W, C]
    clips += blur * tf.nn.relu(some[0]) * (blurred - clips)
    clips += noise * tf.nn.relu(some[1]) * tf.random.stateless_normal(shape, seed + 2)
    clips = clips * (1.0 + contrast * either[0]) + brightness * either[1]
    return tf.clip_by_value(clips, -1.0, 1.0)
