"""Pixels as bytes and as floats in [-1, 1]."""

import tensorflow as tf


def as_floats(pixels: tf.Tensor) -> tf.Tensor:
    """float32 in [-1, 1] of uint8 pixels; of float ones, which are there already, float32.

    Raises:
        ValueError: another type, of which the range of pixels is not known.

    Example:
        >>> as_floats(tf.constant([0, 255], tf.uint8)).numpy()
        array([-1.,  1.], dtype=float32)
    """
    if pixels.dtype != tf.uint8 and not pixels.dtype.is_floating:
        raise ValueError(f"Pixels of {pixels.dtype.name}: give uint8, or floats in [-1, 1].")
    floats = tf.cast(pixels, tf.float32)
    return floats / 127.5 - 1.0 if pixels.dtype == tf.uint8 else floats
