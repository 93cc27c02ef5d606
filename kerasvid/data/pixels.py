"""Pixels as bytes and as floats in [-1, 1], and the checks of frames that a model is given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

LARGEST = 1.01  # of float pixels: 1 and what rounding or resizing adds


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


def as_float_frames(
    frames: np.ndarray | tf.Tensor,
    axes: str,
    image_shape: Sequence[int] | None,
    name: str = "videos",
) -> tf.Tensor:
    """float32 frames in [-1, 1] of uint8 frames, or of float ones already there.

    Args:
        frames: `[..., H, W, C]`.
        axes: their names, such as `"B, T, H, W, C"`.
        image_shape: `(H, W, C)` of the model; `None` for any.
        name: for the error messages.

    Raises:
        ValueError: other axes, frames that are not of `image_shape`, a type other than uint8 and
            floats, or float values outside [-1, 1]; while a graph is traced these are not known.
    """
    frames = tf.convert_to_tensor(frames)
    if frames.shape.rank != len(axes.split()):
        raise ValueError(f"{name}: frames need the axes [{axes}], not the shape {frames.shape}.")
    if not frames.shape[-3:].is_compatible_with(image_shape):
        raise ValueError(
            f"{name}: frames are {tuple(frames.shape[-3:])}, but the model takes "
            f"{tuple(image_shape or ())}. Resize them."
        )
    floats = as_floats(frames)
    if frames.dtype.is_floating and tf.executing_eagerly():
        _check_range(floats, name)
    return floats


def _check_range(floats: Any, name: str) -> None:
    largest = float(tf.reduce_max(tf.abs(floats)))
    if not largest <= LARGEST:  # also NaN
        raise ValueError(
            f"{name}: float pixels reach {largest:.4g} and must be in [-1, 1]. Give uint8, or "
            "divide 0..255 by 127.5 and subtract 1."
        )
