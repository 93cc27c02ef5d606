"""Videos in a notebook: Jupyter, Colab and others that show HTML."""

import base64
import functools
import io
import os

import numpy as np

from kerasvid.data.pixels import check_range
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.visualization import grids, writers


class ShownVideos:
    """Videos side by side that a notebook plays when it is the last value of a cell.

    Made by `show`. Outside of a notebook, `save` writes the animation.
    """

    def __init__(self, videos: np.ndarray, fps: float, scale: int | None, columns: int):
        self._videos, self._fps = videos, fps
        self._scale, self._columns = scale, columns

    def save(self, path: str | os.PathLike) -> None:
        """Writes the animation into a file that ends with .gif or .mp4."""
        rows = grids.wrapped(self._videos, self._columns)
        frames = grids.mosaic(rows, self._scale)
        write = writers.write_mp4 if os.fspath(path).lower().endswith(".mp4") else writers.write_gif
        write(path, frames, self._fps)

    @functools.cached_property
    def gif(self) -> bytes:
        """The animation as the content of a GIF file."""
        rows = grids.wrapped(self._videos, self._columns)
        content = io.BytesIO()
        writers.encode_gif(content, grids.mosaic(rows, self._scale), self._fps)
        return content.getvalue()

    def _repr_html_(self) -> str:
        text = base64.b64encode(self.gif).decode("ascii")
        return f'<img src="data:image/gif;base64,{text}" alt="{self!r}">'

    def __repr__(self) -> str:
        count, frames, height, width, _ = self._videos.shape
        return f"{count} videos of {frames} frames, {height}x{width}"


def show(
    videos: np.ndarray, fps: float = 8.0, scale: int | None = None, columns: int = 8
) -> ShownVideos:
    """Plays videos in a notebook, side by side and without end.

    Args:
        videos: `[B, T, H, W, C]` or one `[T, H, W, C]`, uint8 or float in [-1, 1].
        fps: frames a second.
        scale: integer enlargement; by default to at least 64 pixels a frame.
        columns: videos of a row, 1 or more.

    Returns:
        What the notebook shows as the last value of a cell, or through `display`.

    Raises:
        ValueError: the videos have other axes or channels, or floats beyond [-1, 1]; or a number is
            not positive.

    Example:
        >>> show(model.generate(8))
    """
    videos = np.asarray(videos)
    videos = videos[None] if videos.ndim == 4 else videos
    if videos.ndim != 5 or not videos.size or videos.shape[-1] not in (1, 3):
        raise ValueError(f"videos of shape {videos.shape}: give [B, T, H, W, 1 or 3].")
    if not fps > 0 or columns < 1:
        raise ValueError(f"fps={fps} and columns={columns} must be positive.")
    if videos.dtype != np.uint8:
        check_range(videos)
        videos = np.asarray(as_pixels(videos))
    return ShownVideos(videos, fps, scale, columns)
