"""Videos as grids of frames, single or in motion.

Frames are uint8 `[H, W, C]`, RGB or grey.
"""

from collections.abc import Sequence

import cv2
import numpy as np

GAP = 2  # pixels between frames
BACKGROUND = 32
CAPTION_HEIGHT = 18
MAX_COLUMNS = 16


def to_rgb(frames: np.ndarray) -> np.ndarray:
    """uint8 `[..., H, W, 3]` of frames with one or three channels."""
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.shape[-1] not in (1, 3):
        kind = f"{frames.dtype} of shape {frames.shape}"
        raise ValueError(f"Frames are {kind}. Give uint8 [..., H, W, 1 or 3].")
    return np.repeat(frames, 3, axis=-1) if frames.shape[-1] == 1 else frames


def grid(rows: Sequence[Sequence[np.ndarray | None]], scale: int | None = None) -> np.ndarray:
    """Frames in rows and columns, 2 pixels apart.

    Args:
        rows: of frames, all of one size; `None` leaves a cell empty.
        scale: integer enlargement; by default to at least 64 pixels a frame.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        ValueError: there is no frame.
    """
    first = next((frame for row in rows for frame in row if frame is not None), None)
    if first is None:
        raise ValueError("A grid has no frame. Give at least one.")
    scale = scale or max(1, -(-64 // first.shape[0]))  # 8 for 8x8, 1 for 64x64 and more
    height, width = first.shape[0] * scale, first.shape[1] * scale
    columns = max(map(len, rows))
    shape = (len(rows) * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3)
    image = np.full(shape, BACKGROUND, np.uint8)
    for r, row in enumerate(rows):
        for c, frame in enumerate(row):
            if frame is not None:
                top, left = GAP + r * (height + GAP), GAP + c * (width + GAP)
                cell = to_rgb(frame).repeat(scale, axis=0).repeat(scale, axis=1)
                image[top : top + height, left : left + width] = cell
    return image


def clip_rows(videos: np.ndarray, first: np.ndarray | None = None) -> list[list]:
    """A row a video, a column a frame; of a long video 16 frames from its start to its end.

    Args:
        videos: uint8 `[B, T, H, W, C]`.
        first: a frame to put before each row, `[B, H, W, C]`, or `None`.
    """
    columns = min(videos.shape[1], MAX_COLUMNS)
    shown = np.unique(np.linspace(0, videos.shape[1] - 1, columns).round().astype(int))
    rows = [[video[t] for t in shown] for video in videos]
    if first is None:
        return rows
    return [[frame, *row] for frame, row in zip(first, rows, strict=True)]


def wrapped(videos: np.ndarray, width: int = 8) -> list[list[np.ndarray]]:
    """Videos in rows of eight."""
    return [list(videos[i : i + width]) for i in range(0, len(videos), width)]


def captioned(image: np.ndarray, caption: str) -> np.ndarray:
    """The image below a line of small text, which is cut at the right if it is too long."""
    strip = np.full((CAPTION_HEIGHT, image.shape[1], 3), BACKGROUND, np.uint8)
    place, font = (4, CAPTION_HEIGHT - 5), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, caption, place, font, 0.42, (230, 230, 230), 1, cv2.LINE_AA)
    return np.concatenate([strip, image])


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images below each other, narrower ones padded at the right."""
    width = max(image.shape[1] for image in images)
    pads = [((0, 0), (0, width - image.shape[1]), (0, 0)) for image in images]
    return np.concatenate(
        [np.pad(i, pad, constant_values=BACKGROUND) for i, pad in zip(images, pads, strict=True)]
    )


def mosaic(rows: Sequence[Sequence[np.ndarray]], scale: int | None = None) -> np.ndarray:
    """As `grid`, of videos `[T, H, W, C]`: `[T, height, width, 3]`, as long as the shortest."""
    frames = min(len(video) for row in rows for video in row if video is not None)
    at = ([[None if v is None else v[t] for v in row] for row in rows] for t in range(frames))
    return np.stack([grid(frame, scale) for frame in at])
