"""Which frames of a video a training step sees: indices, chosen before anything is decoded.

Every function works in a graph and is stateless: the same seed gives the same frames.
"""

import tensorflow as tf

PICKS = ("window", "frame", "ends", "start")


def window_span(frames: int, stride: int = 1) -> int:
    """Length of video that a window needs: 8 frames with stride 2 span 15."""
    return (frames - 1) * stride + 1


def pick_window(length: tf.Tensor, frames: int, stride: int, seed: tf.Tensor) -> tf.Tensor:
    """A random window: `frames` indices, `stride` apart, every start equally likely.

    Args:
        length: int scalar, frames in the video, at least `window_span(frames, stride)`.
        frames, stride: of the window.
        seed: int [2].

    Returns:
        int32 [frames].

    Example:
        >>> pick_window(20, frames=4, stride=2, seed=[0, 1])  # e.g. [9, 11, 13, 15]
    """
    starts = tf.cast(length, tf.int32) - window_span(frames, stride) + 1
    start = tf.random.stateless_uniform([], seed, 0, starts, tf.int32)
    return start + stride * tf.range(frames)  # [T]


def pick_frame(length: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One random frame: int32 [1]."""
    return pick_window(length, 1, 1, seed)


def pick_ends(length: tf.Tensor) -> tf.Tensor:
    """The first and the last frame: int32 [2]."""
    return tf.stack([0, tf.cast(length, tf.int32) - 1])


def pick_start(frames: int, stride: int = 1) -> tf.Tensor:
    """The window at the start of the video, for evaluation: int32 [frames]."""
    return stride * tf.range(frames)  # [T]


def picked_frames(pick: str, frames: int) -> int:
    """Number of frames that a way of picking gives.

    Raises:
        ValueError: there is no such way.
    """
    if pick not in PICKS:
        raise ValueError(f"pick {pick!r}: use one of {', '.join(PICKS)}.")
    return {"frame": 1, "ends": 2}.get(pick, frames)


def pick_indices(
    pick: str, length: tf.Tensor, frames: int, stride: int, seed: tf.Tensor
) -> tf.Tensor:
    """Frame indices by the name of the way: "window", "frame", "ends" or "start".

    Returns:
        int32 [T], T as `picked_frames` tells.
    """
    if pick == "window":
        return pick_window(length, frames, stride, seed)
    if pick == "frame":
        return pick_frame(length, seed)
    return pick_ends(length) if pick == "ends" else pick_start(frames, stride)
