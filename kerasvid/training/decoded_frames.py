"""Which frames of a clip a training step decodes: some, chosen at random, that stand for all.

Frames of one clip say much the same, and decoding them is most of what a step costs. A mean over
some of them has the expectation of that over all.
"""

from collections.abc import Mapping

import tensorflow as tf

DECODED = "decoded_frames"  # the noise whose order chooses the frames


def checked_count(decoded_frames: int | None) -> int | None:
    """The number of frames to decode, or `None` for all of them.

    Raises:
        ValueError: it is not a whole number from 1 on.
    """
    whole = isinstance(decoded_frames, int) and not isinstance(decoded_frames, bool)
    if decoded_frames is not None and not (whole and decoded_frames >= 1):
        raise ValueError(f"decoded_frames={decoded_frames!r} must be 1 or more, or None.")
    return decoded_frames


def choice_shapes(decoded_frames: int | None, frames: int) -> dict[str, tuple[int, ...]]:
    """The noise that `chosen_frames` needs by name; none where all `frames` are decoded."""
    return {DECODED: (frames,)} if decoded_frames and decoded_frames < frames else {}


def decoded_part(
    noise: Mapping[str, tf.Tensor], count: int | None, *sequences: tf.Tensor
) -> list[tf.Tensor]:
    """What sequences `[B, T, ...]` have of the frames to decode: `[B, count, ...]` each.

    All of it where the noise has nothing that chooses.
    """
    if DECODED not in noise:
        return list(sequences)
    chosen = chosen_frames(noise[DECODED], count)
    return [tf.gather(sequence, chosen, batch_dims=1) for sequence in sequences]


def chosen_frames(chances: tf.Tensor, count: int) -> tf.Tensor:
    """Numbers of different frames in random order, each equally likely: `[B, count]` int32.

    Args:
        chances: Gaussians `[B, T]`, whose order chooses.
        count: at most T.
    """
    return tf.argsort(chances, axis=1)[:, :count]
