"""Batches of clips as metrics take them: so many, of one shape, of finite pixels.

Metrics stream: a batch is looked at once, and their memory does not grow with the number of clips.
A set that is too short is refused, as one that was made up by repeating clips has another spread.
"""

from collections.abc import Iterable, Iterator

import numpy as np


def checked_clips(clips: np.ndarray, what: str, least_frames: int = 1) -> np.ndarray:
    """The clips as they are, if they are some.

    Args:
        clips: `[B, T, H, W, C]`, uint8, or float in [-1, 1].
        what: how they are called in errors, e.g. `"real"`.
        least_frames: that a metric needs.

    Raises:
        ValueError: other axes or types, too few frames, or pixels that are not finite or outside
            of [-1, 1]; one line that tells which clip.
    """
    clips = np.asarray(clips)
    if clips.ndim != 5:
        raise ValueError(f"{what} clips of the shape {clips.shape}: give [B, T, H, W, C].")
    if clips.shape[1] < least_frames:
        raise ValueError(
            f"{what} clips of {clips.shape[1]} frames: this needs {least_frames} or more."
        )
    if clips.dtype == np.uint8:
        return clips
    if not np.issubdtype(clips.dtype, np.floating):
        raise ValueError(f"{what} clips of {clips.dtype}: give uint8, or floats in [-1, 1].")
    flat = clips.reshape(len(clips), -1)
    for bad, fault in (
        (~np.isfinite(flat), "not finite"),
        (np.abs(flat) > 1.001, "not in [-1, 1]"),
    ):
        if bad.any():
            row = int(bad.any(axis=1).argmax())
            remedy = "find out where they come from" if fault == "not finite" else "rescale them"
            raise ValueError(
                f"{what} clips: pixels of clip {row} of a batch are {fault}: {remedy}."
            )
    return clips


def counted_clips(
    batches: Iterable[np.ndarray], count: int | None, what: str, least_frames: int = 1
) -> Iterator[np.ndarray]:
    """Batches of `count` clips in all, checked; what comes after is not looked at.

    Args:
        batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1], all of the same T, H, W, C.
        count: clips in all; every clip where `None`.
        what: how they are called in errors.
        least_frames: that a metric needs.

    Raises:
        ValueError: there are fewer, or none, or as `checked_clips`; clips are never repeated.

    Example:
        >>> for clips in counted_clips(batches, 624, "real"):
        ...     moments.update(features(clips))
    """
    if count is not None and count < 1:
        raise ValueError(f"{count} {what} clips: ask for 1 or more.")
    seen, shape = 0, None
    for clips in batches:
        clips = checked_clips(clips, what, least_frames)
        if shape is not None and clips.shape[1:] != shape:
            raise ValueError(
                f"{what} clips of {clips.shape[1:]} after some of {shape}: give clips of one shape."
            )
        shape = clips.shape[1:]
        clips = clips if count is None else clips[: count - seen]
        seen += len(clips)
        if len(clips):
            yield clips
        if seen == count:
            return
    if count is not None:
        raise ValueError(
            f"{seen} {what} clips where {count} are asked for: give more or ask for fewer; none "
            "are repeated to fill up."
        )
    if not seen:
        raise ValueError(f"There are no {what} clips.")


def as_signed(clips: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] of checked clips."""
    return (
        clips.astype(np.float32) / 127.5 - 1.0
        if clips.dtype == np.uint8
        else (clips.astype(np.float32))
    )


def as_bytes(clips: np.ndarray) -> np.ndarray:
    """uint8 of checked clips."""
    if clips.dtype == np.uint8:
        return clips
    return np.round((np.clip(clips.astype(np.float32), -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
