"""Pixels as bytes and as floats in [-1, 1], and the checks of frames that a model is given."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

LARGEST = 2.0  # of float pixels: 1 and what bicubic resizing adds; far below 255
REMEDY = "in [-1, 1]. Give uint8, or divide 0..255 by 127.5 and subtract 1."


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
            floats, or float values that `check_range` refuses.
        InvalidArgumentError: such values in a graph, unless XLA compiles it.
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
    if not frames.dtype.is_floating:
        return floats
    if tf.executing_eagerly():
        check_range(floats, name)
        return floats
    message = f"{name}: float pixels are not {REMEDY}"
    within = tf.debugging.Assert(tf.reduce_all(tf.abs(floats) <= LARGEST), [message])  # false: NaN
    with tf.control_dependencies([within]):
        return tf.identity(floats)


def check_range(floats: np.ndarray | tf.Tensor, name: str = "videos") -> None:
    """Checks that float pixels are in [-1, 1], where values up to 2 count as overshoot.

    Resizing by bicubic or Lanczos kernels overshoots a little; pixels of 0..255 or NaN are refused.

    Args:
        floats: of any shape, not symbolic.
        name: for the error message.

    Raises:
        ValueError: a value is beyond.
    """
    values = np.asarray(floats)
    largest = max(-float(np.min(values, initial=0)), float(np.max(values, initial=0)))
    if not largest <= LARGEST:  # also NaN
        raise ValueError(f"{name}: float pixels reach {largest:.4g} and must be {REMEDY}")
