"""Pixels as bytes and as floats in [-1, 1]."""

import tensorflow as tf


def as_floats(pixels: tf.Tensor) -> tf.Tensor:
    """Converts uint8 pixels to float32 in [-1, 1]; float pixels keep their values.

    Raises:
        ValueError: the pixels have another type.

    Example:
        >>> as_floats(tf.constant([0, 255], tf.uint8)).numpy()
        array([-1.,  1.], dtype=float32)
    """
    if pixels.dtype != tf.uint8 and not pixels.dtype.is_floating:
        raise ValueError(f"Pixels of {pixels.dtype.name}: give uint8, or floats in [-1, 1].")
    floats = tf.cast(pixels, tf.float32)
    return floats / 127.5 - 1.0 if pixels.dtype == tf.uint8 else floats
