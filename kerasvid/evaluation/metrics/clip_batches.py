"""Batches of clips for metrics: of a fixed number, of one shape, with finite pixels.

Each batch is read once. A set with too few clips is an error: repeating clips changes its spread.
"""

import zlib
from collections.abc import Iterable, Iterator

import numpy as np


def checked_clips(clips: np.ndarray, what: str, min_frames: int = 1) -> np.ndarray:
    """The clips, unchanged, after a check.

    Args:
        clips: `[B, T, H, W, C]`, uint8, or float in [-1, 1].
        what: Kind of the clips in errors, e.g. `"real"`.
        min_frames: Smallest T.

    Raises:
        ValueError: Other axes or types, too few frames, or pixels that are not finite or outside
            [-1, 1].
    """
    clips = np.asarray(clips)
    if clips.ndim != 5:
        raise ValueError(f"{what} clips have the shape {clips.shape}. Use [B, T, H, W, C].")
    if clips.shape[1] < min_frames:
        raise ValueError(
            f"{what} clips have {clips.shape[1]} frames. Use {min_frames} frames or more."
        )
    if clips.dtype == np.uint8:
        return clips
    if not np.issubdtype(clips.dtype, np.floating):
        raise ValueError(f"{what} clips are {clips.dtype}. Use uint8, or floats in [-1, 1].")
    flat = clips.reshape(len(clips), -1)
    for bad, fault in (
        (~np.isfinite(flat), "not finite. Check their source"),
        (np.abs(flat) > 1.001, "not in [-1, 1]. Rescale them"),
    ):
        if bad.any():
            row = int(bad.any(axis=1).argmax())
            raise ValueError(f"{what} clips: pixels of clip {row} of a batch are {fault}.")
    return clips


def counted_clips(
    batches: Iterable[np.ndarray],
    count: int | None,
    what: str,
    min_frames: int = 1,
    shape: tuple[int, ...] | None = None,
) -> Iterator[np.ndarray]:
    """Batches of `count` clips in total, each after `checked_clips`. Later clips are not read.

    Args:
        batches: `[B, T, H, W, C]` each, with the same T, H, W, C.
        count: Number of clips; `None` for all.
        what, min_frames: As in `checked_clips`.
        shape: Required `(T, H, W, C)`; by default that of the first batch.

    Raises:
        ValueError: There are fewer clips, or none; as `checked_clips`.

    Example:
        >>> for clips in counted_clips(batches, 624, "real"):
        ...     moments.update(features(clips))
    """
    if count is not None and count < 1:
        raise ValueError(f"clips={count}: use 1 or more {what} clips.")
    seen = 0
    for clips in batches:
        clips = checked_clips(clips, what, min_frames)
        if shape is not None and clips.shape[1:] != shape:
            raise ValueError(
                f"{what} clips have the shape {clips.shape[1:]}, earlier clips {shape}. Use the "
                "same T, H, W and C for all."
            )
        shape = clips.shape[1:]
        clips = clips if count is None else clips[: count - seen]
        seen += len(clips)
        if len(clips):
            yield clips
        if seen == count:
            return
    if count is not None:
        raise ValueError(f"There are {seen} {what} clips, not {count}. Use {seen} or fewer.")
    if not seen:
        raise ValueError(f"There are no {what} clips.")


def as_signed(clips: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] of checked clips."""
    pixels = clips.astype(np.float32)
    return pixels / 127.5 - 1.0 if clips.dtype == np.uint8 else pixels


def as_bytes(clips: np.ndarray) -> np.ndarray:
    """uint8 of checked clips."""
    if clips.dtype == np.uint8:
        return clips
    return np.round((np.clip(clips.astype(np.float32), -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


def random_frames(clips: np.ndarray) -> np.ndarray:
    """One frame of each clip `[B, T, H, W, C]`, as clips `[B, 1, H, W, C]`.

    A checksum of the clip's pixels chooses it, so that it does not depend on the batch.
    """
    if clips.shape[1] == 1:
        return clips
    chosen = [zlib.crc32(clip.tobytes()) % len(clip) for clip in clips]
    return clips[np.arange(len(clips)), chosen][:, None]
