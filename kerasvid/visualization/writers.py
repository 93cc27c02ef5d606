"""Images and animations to PNG, GIF and MP4 files, which appear whole or not at all."""

import os
import pathlib
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image

from kerasvid.io import atomic_write, check_unicode_name
from kerasvid.visualization.grids import BACKGROUND


def write_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes an image `[H, W, 3]` atomically."""
    with atomic_write(path) as temporary:
        # OpenCV writes BGR. It gets no name, which it may take for another.
        encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1]
        pathlib.Path(temporary).write_bytes(encoded.tobytes())  # `tofile` does not say why it fails


def write_gif(path: str | os.PathLike, frames: np.ndarray, fps: float = 8.0) -> None:
    """Writes an endless animation of `[T, H, W, 3]` atomically; each frame has its own palette."""
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        encode_gif(file, frames, fps)


def encode_gif(file: IO[bytes], frames: np.ndarray, fps: float) -> None:
    """As `write_gif`, into an open file."""
    images = [Image.fromarray(frame).quantize(256) for frame in np.ascontiguousarray(frames)]
    animation: dict[str, Any] = {
        "save_all": True,
        "duration": max(20, round(1000 / fps)),  # players show shorter frames for 100 ms
        "loop": 0,
        "optimize": False,
    }
    images[0].save(file, "GIF", append_images=images[1:], **animation)


def write_mp4(
    path: str | os.PathLike, frames: np.ndarray, fps: float = 8.0, repeats: int = 1
) -> None:
    """Writes `[T, H, W, 3]`, `repeats` times, atomically; as VP9 if OpenCV has it.

    Raises:
        OSError: the file cannot be written, or its name is not Unicode, on which OpenCV crashes.
    """
    check_unicode_name(path)
    height, width = (side + side % 2 for side in frames.shape[1:3])  # codecs need even sides
    pad = ((0, height - frames.shape[1]), (0, width - frames.shape[2]), (0, 0))
    with atomic_write(path) as temporary:
        pathlib.Path(temporary).touch()  # OpenCV does not say why it cannot
        for codec in ("vp09", "mp4v"):  # browsers play the first
            code = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(temporary, cv2.CAP_FFMPEG, code, fps, (width, height))
            if writer.isOpened():
                break
        else:
            raise OSError(f"{path}: OpenCV cannot write MP4. Install opencv-python-headless again.")
        for frame in list(frames) * repeats:
            padded = np.pad(frame, pad, constant_values=BACKGROUND)
            writer.write(np.ascontiguousarray(padded[..., ::-1]))
        writer.release()
        if not cv2.VideoCapture(temporary, cv2.CAP_FFMPEG).isOpened():
            raise OSError(f"{path}: cannot be written. Check that the disk is not full.")
