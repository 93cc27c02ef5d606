"""Reads videos, GIFs, images and strips, frame by frame, as RGB of one size."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import PIL.Image

from kerasvid.data.records import MAX_RECORD_BYTES
from tfrecords_tools.conversion import UnreadableMedia

VIDEO_SUFFIXES = (
    ".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".gif",
    ".3gp", ".3g2", ".asf", ".f4v", ".m2ts", ".mts", ".ts", ".mxf", ".ogv", ".vob",
)  # fmt: skip
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def resize_and_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image until it covers a size, then crops the centre: uint8 [height, width, C]."""
    scale = max(height / image.shape[0], width / image.shape[1])
    size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    # Averaging over areas shrinks without aliasing, but does not enlarge.
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    if size != image.shape[1::-1]:
        image = cv2.resize(image, size, interpolation=how)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def read_image(path: str) -> np.ndarray:
    """One image as uint8 RGB [H, W, 3].

    Raises:
        UnreadableMedia: the file cannot be read, is not an image or is broken.
    """
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        raise _unreadable(path, error) from error
    except cv2.error:  # for instance more pixels than OpenCV takes
        image = None
    if image is None:
        raise UnreadableMedia(f"{path}: cannot be read as an image")
    # The decoder fills the missing part of a truncated PNG with black.
    if data[:8].tobytes() == _PNG_START and _PNG_END not in data[-4096:].tobytes():
        raise UnreadableMedia(f"{path}: the end of the file is missing")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_frame(path: str, height: int, width: int, channels: int) -> np.ndarray:
    """A frame uint8 [height, width, channels], RGB or grey; UnreadableMedia as `read_image`."""
    frame = resize_and_crop(read_image(path), height, width)
    return frame if channels == 3 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]


def open_video(path: str) -> tuple[Iterator[np.ndarray], float]:
    """Frames of a video or GIF, each uint8 RGB [H, W, 3], and the rate, -1 where unknown.

    Raises:
        UnreadableMedia: the file cannot be opened; a broken video yields no frames.
    """
    try:
        open(path, "rb").close()  # OpenCV does not say why
    except OSError as error:
        raise _unreadable(path, error) from error
    capture = cv2.VideoCapture(os.path.abspath(path))
    rate = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0

    def frames() -> Iterator[np.ndarray]:
        try:
            while (read := capture.read())[0]:
                yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
        finally:
            capture.release()

    return frames(), round(rate, 3) if 0 < rate < 1000 else -1.0


def iterate_strip(path: str, frame_width: int | None = None) -> Iterator[np.ndarray]:
    """The frames of a strip, side by side in one image, each uint8 RGB [H, W, 3].

    Raises:
        UnreadableMedia: as `read_image`, or the image is not a multiple of the frame width, by
            default its height, wide.
    """
    image = read_image(path)
    step = frame_width or image.shape[0]
    if image.shape[1] % step:
        raise UnreadableMedia(
            f"{path}: the width {image.shape[1]} is not a multiple of the frame width {step}"
        )
    for left in range(0, image.shape[1], step):
        yield image[:, left : left + step]


def is_strip(path: str, frame_width: int | None = None) -> bool:
    """Whether an image is two or more whole frames wide; UnreadableMedia as `read_image`."""
    height, width = read_image(path).shape[:2]
    step = frame_width or height
    return width > step and width % step == 0


def is_row_of_frames(path: str, other: str, frame_width: int | None = None) -> bool:
    """Whether an image of the size of another is a strip rather than the frame before the other.

    The parts of a strip resemble each other more than they resemble another strip. Two parts tell
    nothing: they may be the views of a stereo camera.

    Raises:
        UnreadableMedia: as `read_image`.
    """
    image, following = (read_image(each).astype(np.int16) for each in (path, other))
    step = frame_width or image.shape[0]
    if image.shape != following.shape or image.shape[1] < 3 * step or image.shape[1] % step:
        return False
    within = np.abs(image[:, step:] - image[:, :-step]).mean()
    return 0 < within < 0.8 * np.abs(image - following).mean()


def image_size(path: str) -> tuple[int, int] | None:
    """Width and height of an image from the head of its file, or `None` if it is unreadable."""
    try:
        with PIL.Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return None


def fit_frames(
    frames: Iterable[np.ndarray],
    path: str,
    height: int,
    width: int,
    max_frames: int | None = None,
    min_frames: int = 1,
    flag: str = "--min_frames",
) -> Iterator[np.ndarray]:
    """Resizes frames one by one, each to uint8 [height, width, 3], and stops at `max_frames`.

    Raises:
        UnreadableMedia: there were no frames, or fewer than `min_frames`; the message names `path`
            and `flag`, which sets this number.
    """
    count = 0
    for count, frame in enumerate(itertools.islice(frames, max_frames), 1):  # noqa: B007
        yield resize_and_crop(frame, height, width)
    if not count:
        raise UnreadableMedia(f"{path}: cannot be read as a video")
    if count < min_frames:
        raise UnreadableMedia(f"{path}: {count} frames, expected {min_frames} or more ({flag})")


def stack_frames(
    frames: Iterable[np.ndarray],
    path: str,
    height: int,
    width: int,
    max_frames: int | None = None,
    min_frames: int = 1,
    flag: str = "--min_frames",
) -> np.ndarray:
    """All frames of `fit_frames`, uint8 [T, height, width, 3].

    Raises:
        UnreadableMedia: as `fit_frames`, or there are more frames than a record can hold; then the
            rest is not read.
    """
    pixels = bytearray()  # grows in place, so that a long video is in memory once
    for frame in fit_frames(frames, path, height, width, max_frames, min_frames, flag):
        if len(pixels) + frame.nbytes > MAX_RECORD_BYTES:
            most = MAX_RECORD_BYTES // frame.nbytes
            raise UnreadableMedia(
                f"{path}: more than {most} frames of {height}x{width}, too many for one record; "
                "cut it into clips (--clip_frames of kerasvid data folder)"
            )
        pixels += frame.tobytes()
    return np.frombuffer(pixels, np.uint8).reshape(-1, height, width, 3)


def _unreadable(path: str, error: OSError) -> UnreadableMedia:
    return UnreadableMedia(f"{path}: cannot be read ({error.strerror or error})")
