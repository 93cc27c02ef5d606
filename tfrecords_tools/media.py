"""Reads videos, animations, images and strips, frame by frame, as RGB of one size.

Transparent pixels show `BACKGROUND`, whatever colours they hide. Frames lie as they are to be
shown: rotated as the file says, and with square pixels once they are resized.
"""

import collections
import contextlib
import itertools
import json
import math
import os
import re
import statistics
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from PIL import Image, ImageOps

from kerasvid.data.records import MAX_RECORD_BYTES
from kerasvid.io import check_is_file, check_unicode_name, one_line, shown_name
from tfrecords_tools.conversion import UnreadableMedia, decoder_threads, reserve_memory

VIDEO_SUFFIXES = (
    ".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".gif",
    ".3gp", ".3g2", ".asf", ".f4v", ".m2ts", ".mts", ".ts", ".mxf", ".ogv", ".vob",
)  # fmt: skip
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
BACKGROUND = 0  # black, as behind the characters of `sprites`
_ANIMATIONS = ("GIF", "PNG", "WEBP", "TIFF")
_IMAGES = (*_ANIMATIONS, "JPEG", "BMP", "DIB", "PPM")
# FFmpeg's codes of pixel formats with transparency: letters, or two and two numbers.
_TRANSPARENT = re.compile(
    rb"BGRA|RGBA|ARGB|ABGR|RBA@|BRA@|AYUV|VUYA|(?:Y4|G4|Y2)[\0-\x1f]", re.DOTALL
)
# A cover picture in a file of sound: an image at the rate of a clock.
_COVER_CODECS, _COVER_RATE = (b"MJPG", b"MPNG", b"jpeg", b"png "), 90000
_ORIENTATION = 0x0112  # of EXIF
_WHOLE = 0.9  # of the stated frames: with fewer, a file is cut short
_TOLERANCE = 1e-3  # s, to which some containers round times
_TICK = 0.01  # s, to which GIFs round times
_MAX_GAP, _MAX_SHOWN = 2.0, 60.0  # s, between frames, and of a frame whose file states its duration
_MAX_ASPECT = 10.0  # of a pixel; beyond it, or below its inverse, the file is wrong

# Broken files get one line, ours.
warnings.filterwarnings("ignore", module=r"PIL\.")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
getattr(cv2.utils, "logging", cv2).setLogLevel(2)  # errors; versions have it in either place


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def resize_and_crop(
    image: np.ndarray, height: int, width: int, pixel_aspect: float = 1.0
) -> np.ndarray:
    """Resizes an image until it covers a size, then crops the centre: uint8 [height, width, C].

    `pixel_aspect` is the width of a pixel of the image over its height; the result's are square.
    """
    rows, columns = image.shape[0], image.shape[1] * pixel_aspect
    scale = max(height / rows, width / columns)
    size = (max(width, round(columns * scale)), max(height, round(rows * scale)))
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    # Averaging over areas shrinks without aliasing, but does not enlarge.
    if size[0] > image.shape[1] or size[1] > image.shape[0]:
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    elif size != image.shape[1::-1]:
        image = _shrunk(image, size, left + width, top + height)
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _shrunk(image: np.ndarray, size: tuple[int, int], columns: int, rows: int) -> np.ndarray:
    """The first columns and rows, or more, of an image that is shrunk to (width, height).

    What lies right of them and below is not read. The pixels are those of the whole image.
    """
    across, along = size[0] / image.shape[1], size[1] / image.shape[0]
    used = image[: math.floor(rows / along) + 1, : math.floor(columns / across) + 1]
    return cv2.resize(used, None, fx=across, fy=along, interpolation=cv2.INTER_AREA)


# === Images ===


def read_image(path: str) -> np.ndarray:
    """One image as uint8 RGB [H, W, 3], turned as its EXIF orientation says.

    16 bits become 8. Transparent pixels show `BACKGROUND`.

    Raises:
        UnreadableMedia: the file cannot be read, is not an image, is broken, has floating-point
            pixels, or is an animation or has several pages.
    """
    with _image(path, _IMAGES) as image:
        if pages := len(_pages(image)) - 1:
            raise UnreadableMedia(
                f"{shown_name(path)}: holds {pages + 1} images, not one; convert it to a video "
                "or to single images"
            )
        return _rgb(image, path)


def is_animation(path: str) -> bool:
    """Whether a file is an animation or an image of several pages, which `open_video` reads."""
    with contextlib.suppress(UnreadableMedia), _image(path, _ANIMATIONS) as image:
        return len(_pages(image)) > 1
    return False


@contextlib.contextmanager
def _image(path: str, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """An open image; what goes wrong in the block becomes UnreadableMedia."""
    try:
        check_unicode_name(path)
        check_is_file(path)
        with open(path, "rb") as file, Image.open(file, formats=formats) as image:
            yield image
    except UnreadableMedia:
        raise
    except OSError as error:
        if error.errno is None:  # Pillow's own
            raise _broken(path, error) from error
        raise _unreadable(path, error) from error
    except Exception as error:  # Pillow raises what its parsers meet
        raise _broken(path, error) from error


def _broken(path: str, error: Exception) -> UnreadableMedia:
    if isinstance(error, Image.UnidentifiedImageError):
        return UnreadableMedia(f"{shown_name(path)}: cannot be read as an image")
    why = one_line(str(error)) or type(error).__name__
    return UnreadableMedia(f"{shown_name(path)}: cannot be read as an image ({why})")


def _pages(image: Image.Image) -> list[int]:
    """Numbers of the images in a file, without previews, masks and stand-ins for an animation."""
    if image.format not in _ANIMATIONS:  # such as a JPEG with a preview
        return [0]
    numbers = [*range(getattr(image, "n_frames", 1))]
    if image.format == "TIFF":
        kinds = []
        for number in numbers:
            image.seek(number)
            kinds.append(image.tag_v2.get(254, 0))  # type: ignore[attr-defined]
        image.seek(0)
        numbers = [n for n in numbers if not kinds[n] & 5] or [0]  # 1: reduced, 4: a mask
    return numbers[bool(image.info.get("default_image")) :]


def _rgb(image: Image.Image, path: str) -> np.ndarray:
    """The current page as uint8 RGB [H, W, 3]."""
    image.load()
    is_tiff = image.format == "TIFF"
    with contextlib.suppress(SyntaxError, ValueError, KeyError, TypeError, struct.error):
        image = ImageOps.exif_transpose(image)
    if image.mode == "F" or (image.mode == "I" and is_tiff):
        kind = "floating-point numbers" if image.mode == "F" else "32-bit numbers"
        raise UnreadableMedia(
            f"{shown_name(path)}: its pixels are {kind}; convert it to 8 or 16 bits"
        )
    if image.mode.startswith("I"):  # 16 bits
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if not image.has_transparency_data:
        return np.array(image.convert("RGB"))
    return as_rgb(np.asarray(image.convert("RGBA")))


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Pixels [H, W, C] as uint8 RGB [H, W, 3]; transparent ones show `BACKGROUND`.

    `pixels` are grey (C = 1), RGB (3) or RGBA (4), uint8 or uint16.
    """
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.shape[-1] < 4:
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    rgba = pixels.astype(np.uint16)
    weight = rgba[..., 3:]
    return ((rgba[..., :3] * weight + BACKGROUND * (255 - weight) + 127) // 255).astype(np.uint8)


def read_frame(path: str, height: int, width: int, channels: int) -> np.ndarray:
    """A frame uint8 [height, width, channels], RGB or grey; UnreadableMedia as `read_image`."""
    with _opencv_errors(path):
        frame = resize_and_crop(read_image(path), height, width)
        return frame if channels == 3 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]


@contextlib.contextmanager
def _opencv_errors(path: str) -> Iterator[None]:
    """Turns what OpenCV raises into UnreadableMedia."""
    try:
        yield
    except cv2.error as error:
        raise UnreadableMedia(
            f"{shown_name(path)}: cannot be read or resized ({one_line(error.err or str(error))})"
        ) from error


# === Videos ===


class VideoFrames:
    """The frames of a video, each uint8 RGB [H, W, 3], to be iterated once; see `open_video`.

    Attributes:
        pixel_aspect: width of a pixel over its height, for `resize_and_crop`.
        closed_gaps: number of gaps that were closed in the times of the frames read so far.
    """

    def __init__(
        self,
        timed: Iterator[tuple[np.ndarray, float | None, float | None]],
        stated_rate: float = -1.0,
        pixel_aspect: float = 1.0,
        fps: float | None = None,
        max_gap: float = _MAX_GAP,
        *,
        is_bgr: bool = False,
    ):
        """A frame comes with its time and duration in seconds, `None` where unknown.

        `is_bgr`: the frames are BGR, and each may be overwritten once the next but one is read.
        """
        self.pixel_aspect, self.closed_gaps, self._is_bgr = pixel_aspect, 0, is_bgr
        self._timed, self._stated, self._fps, self._max_gap = timed, stated_rate, fps, max_gap
        self._times: list[float] = []
        self._gaps: collections.deque[float] = collections.deque(maxlen=32)  # as in the file
        self._last_shown: float | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._as_rgb, self._shown())

    def fitted(self, height: int, width: int) -> Iterator[np.ndarray]:
        """The frames as `resize_and_crop` makes them of RGB, [height, width, 3]; this is faster."""
        for frame in self._shown():
            yield self._as_rgb(resize_and_crop(frame, height, width, self.pixel_aspect))

    def _as_rgb(self, frame: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if self._is_bgr else frame

    def _shown(self) -> Iterator[np.ndarray]:
        if self._fps is None:
            return (frame for frame, _ in self._with_times())
        return self._at_rate(self._fps)

    @property
    def is_variable(self) -> bool:
        """Whether the frames read so far were clearly not as long as each other in the file.

        That is, a tenth of the time would have to move between frames to make them even, and some
        frame is further from an even grid than times are rounded.
        """
        gaps = np.diff(self._times)
        if not gaps.size:
            return False
        grid = np.linspace(0, self._times[-1], len(self._times))
        off = np.abs(self._times - grid).max()
        uneven = np.abs(gaps - np.median(gaps)).sum() > 0.1 * gaps.sum()
        return bool(uneven and off > _TICK + _TOLERANCE)

    @property
    def rate(self) -> float:
        """Frames per second, -1 where unknown; of a variable rate, the mean of the frames read."""
        if self._fps is not None:
            return self._fps
        if len(self._times) < 2:
            return self._stated
        mean = (len(self._times) - 1) / (self._times[-1] - self._times[0])
        # Times may be rounded; a file of variable rate may state how often its clock ticks.
        fits = not self.is_variable and abs(mean / self._stated - 1) < 0.05
        return self._stated if fits else round(mean, 3)

    def _with_times(self) -> Iterator[tuple[np.ndarray, float | None]]:
        """The frames and their times in seconds, which increase from 0; None where unknown."""
        start = None
        for frame, time, shown in self._timed:
            self._last_shown = shown
            if time is None:
                self._times.clear()
            else:
                start = time if start is None else start
                time -= start
                if self._times:
                    gap, usual = time - self._times[-1], self._gap()
                    if gap <= 0:  # some files lack a few
                        time = self._times[-1] + usual
                    elif self._is_too_long(gap):
                        self.closed_gaps += 1
                        time, start = self._times[-1] + usual, start + gap - usual
                    if gap > 0:
                        self._gaps.append(gap)
                self._times.append(time)
            yield frame, time

    def _is_too_long(self, gap: float) -> bool:
        """Whether a gap is a fault of the times: it would fill a clip with copies of one frame."""
        # The first gaps do not tell yet what is usual: the file may be a slide show.
        least = self._max_gap if len(self._gaps) > 1 else _MAX_SHOWN
        return gap > least and gap > 10 * self._gap()

    def _gap(self) -> float:
        """Seconds from a frame to the next one, as a guess."""
        if self._gaps:
            return statistics.median(self._gaps)
        return 1 / self._stated if self._stated > 0 else 0.04

    def _at_rate(self, fps: float) -> Iterator[np.ndarray]:
        """At each time k / fps the frame that is shown then; all frames if times are unknown."""
        held, given = None, 0
        for frame, time in self._with_times():
            if time is None:
                if held is not None:
                    yield held
                    held = None
                yield frame
                continue
            while held is not None and given / fps < time - _TOLERANCE:
                yield held
                given += 1
            held = frame
        if held is None:
            return
        shown = self._last_shown or self._gap()
        if self._is_too_long(shown):
            self.closed_gaps += 1
            shown = self._gap()
        while given / fps < self._times[-1] + shown - _TOLERANCE:
            yield held
            given += 1


def open_video(path: str, fps: float | None = None) -> VideoFrames:
    """Opens a video, GIF, animated WebP or PNG, or TIFF of several pages.

    Args:
        path: of the file.
        fps: rate to resample to, by repeating and leaving out frames; by default all frames are
            given as they are.

    Raises:
        UnreadableMedia: the file cannot be opened, is a pipe or device, or has transparency that
            OpenCV would ignore. Iterating raises it where a file is cut short. A file that cannot
            be decoded yields no frames.
    """
    try:
        check_unicode_name(path)
        check_is_file(path)
        with open(path, "rb") as file:
            head = file.read(1 << 16)
    except OSError as error:
        raise _unreadable(path, error) from error
    if head[:4] in (b"GIF8", b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    ):
        return VideoFrames(_animation_frames(path), fps=fps, max_gap=_MAX_SHOWN)
    # A name alone could be taken for a pattern of image names, or for an option.
    threads = [cv2.CAP_PROP_N_THREADS, decoder_threads()]
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG, threads)
    if not capture.isOpened():
        return VideoFrames(iter(()))
    _check_interlacing(path)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # by default, versions differ
    kind = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) & 0xFFFFFFFF
    # The alpha of WebM is a second video: the track says so with the element AlphaMode.
    webm = head.startswith(b"\x1a\x45\xdf\xa3") and b"\x53\xc0\x81\x01" in head
    if webm or _TRANSPARENT.match(kind.to_bytes(4, "little")):
        capture.release()
        raise UnreadableMedia(
            f"{shown_name(path)}: has transparency, and the colours below it would show; convert "
            "it to a video without transparency or to PNG images"
        )
    across, along = (capture.get(p) for p in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
    aspect = across / along if across > 0 and along > 0 else 1.0
    aspect = aspect if 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT else 1.0
    if capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180:
        aspect = 1 / aspect
    rate, codec = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FOURCC))
    if rate == _COVER_RATE and codec.to_bytes(4, "little") in _COVER_CODECS:
        capture.release()
        raise UnreadableMedia(f"{shown_name(path)}: has a cover picture but no video")
    rate = round(rate, 3) if 0 < rate < 1000 else -1.0
    return VideoFrames(_capture_frames(capture, path, head, rate), rate, aspect, fps, is_bgr=True)


def _animation_frames(path: str) -> Iterator[tuple[np.ndarray, float | None, float | None]]:
    time: float | None = 0.0
    with _image(path, _ANIMATIONS) as image:
        # As players do: a GIF that states no time, or hardly any, shows a frame for 0.1 s. But 10
        # and 20 ms by turns are 60 frames a second.
        least = 0
        if image.format == "GIF":
            least = 10 if 20 in _gif_durations(path) else 20
        for number in _pages(image):
            image.seek(number)
            frame = _rgb(image, path)
            shown = image.info.get("duration") or 0  # ms
            shown = (100 if shown < least else shown) / 1000
            yield frame, time, shown or None
            time = None if time is None or not (shown or time) else time + shown


def _gif_durations(path: str) -> set[int]:
    """How long the frames of a GIF are shown, in ms; UnreadableMedia if its end is missing."""
    durations = set()
    with open(path, "rb") as file:

        def skip_colors(flags: bytes) -> None:
            if flags and flags[0] & 0x80:
                file.seek(3 << (flags[0] & 7) + 1, os.SEEK_CUR)

        head = file.read(13)
        skip_colors(head[10:11])
        while (kind := file.read(1)) != b";":
            if not kind:
                raise UnreadableMedia(f"{shown_name(path)}: the end of the file is missing")
            if kind == b",":  # an image
                skip_colors(file.read(9)[8:])
                file.read(1)
            elif kind == b"!":  # an extension
                kind += file.read(1)
            else:
                continue
            while size := file.read(1).strip(b"\0"):
                block = file.read(size[0])
                if kind == b"!\xf9":
                    durations.add(10 * int.from_bytes(block[1:3], "little"))
    return durations


def _capture_frames(
    capture: cv2.VideoCapture, path: str, head: bytes, rate: float
) -> Iterator[tuple[np.ndarray, float | None, float | None]]:
    stated, count, last = capture.get(cv2.CAP_PROP_FRAME_COUNT), 0, 0.0
    # Two frames take turns, so that no frame needs new memory.
    buffers: list[np.ndarray | None] = [None, None]
    try:
        while (read := capture.read(buffers[count % 2]))[0]:
            buffers[count % 2] = read[1]
            count += 1
            time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            last = max(last, time)
            yield read[1], time, None
    finally:
        capture.release()
    if count and _is_cut_short(path, head, stated, rate, count, last):
        missing = f"; {count} of {stated:.0f} frames are left" if stated > 0 else ""
        raise UnreadableMedia(f"{shown_name(path)}: the file is cut short{missing}")


# OpenCV from 4.13 on gives arbitrary memory as the frames of interlaced videos. It reports success,
# and FFmpeg a line on the stderr of the process: so a process of its own reads the first frames.
_READ_FIRST_FRAMES = """
import sys
sys.path[:] = sys.argv[1:]
import json, os, tempfile
log = tempfile.TemporaryFile()
os.dup2(log.fileno(), 2)
import cv2
for line in sys.stdin:
    video = cv2.VideoCapture(json.loads(line), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    for _ in range(3):
        video.read()
    os.lseek(2, 0, os.SEEK_SET)
    print(int(b"interlaced to progressive" in os.read(2, 1 << 20)), flush=True)
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
"""


class _InterlacingCheck:
    """Finds interlaced videos that the installed OpenCV cannot read, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None

    def __call__(self, path: str) -> None:
        """Raises UnreadableMedia if a video is interlaced, or if reading it kills a process."""
        if tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 12):
            return
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _READ_FIRST_FRAMES, *sys.path],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # With a log level of OpenCV, the lines would go to stdout.
                    env={k: v for k, v in os.environ.items() if k[:13] != "OPENCV_FFMPEG"},
                    text=True,
                )
            assert self._process.stdin and self._process.stdout
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(os.path.abspath(path)) + "\n")
                self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
            if not answer:
                self._process = None
        if not answer:
            raise UnreadableMedia(f"{shown_name(path)}: cannot be read (OpenCV crashes)")
        if answer == "1":
            raise UnreadableMedia(
                f"{shown_name(path)}: is interlaced, which OpenCV {cv2.__version__} cannot read; "
                "convert it, for instance with ffmpeg -i IN -vf yadif OUT"
            )


_check_interlacing = _InterlacingCheck()


def _is_cut_short(
    path: str, head: bytes, stated: float, rate: float, count: int, time: float
) -> bool:
    """Whether clearly fewer frames were read than a file states.

    Clearly is below 90 %, of the frames and of their time: a video of variable rate has fewer
    frames than its duration times its rate. Two kinds of file need a second look. In MP4 and AVI
    the count is exact, but an edit list may hide frames: what counts is how many are in the file.
    In others the count is a guess from the duration, which may be that of the sound: the file must
    be shorter than it states too.

    Args:
        path: of the video.
        head: its first bytes.
        stated: number of frames that it states, 0 or less where unknown.
        rate: frames per second, -1 where unknown.
        count: number of frames read.
        time: of the last one, in seconds.
    """
    enough = _WHOLE * stated
    if stated > 0 and (count >= enough or (rate > 0 and time * rate + 1 >= enough)):
        return False
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide") or head[:4] == b"RIFF":
        packets = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
        packets.set(cv2.CAP_PROP_FORMAT, -1)  # encoded frames
        found = 0
        while packets.grab():
            found += 1
        packets.release()
        return found < enough
    return _stated_size(head) > os.path.getsize(path)


def _stated_size(head: bytes) -> float:
    """Number of bytes that a Matroska, WebM, ASF (WMV) or FLV file says it has; 0 where unknown."""
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        start = head.find(b"\x18\x53\x80\x67") + 4  # the element Segment
        length = 9 - head[start].bit_length() if start > 3 else 9
        size = int.from_bytes(head[start : start + length], "big") & ((1 << 7 * length) - 1)
        unknown = length > 8 or size == (1 << 7 * length) - 1
        return 0 if unknown else start + length + size
    properties = head.find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    if properties >= 0:
        return int.from_bytes(head[properties + 40 : properties + 48], "little")
    size_at = head.find(b"filesize\0")
    if head.startswith(b"FLV") and size_at >= 0:
        return struct.unpack(">d", head[size_at + 9 : size_at + 17])[0]
    return 0


# === Strips and clips ===


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
            f"{shown_name(path)}: the width {image.shape[1]} is not a multiple of the frame width "
            f"{step}"
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
    with contextlib.suppress(UnreadableMedia), _image(path, _IMAGES) as image:
        # To look for the orientation, a PNG without one in its head would be read whole.
        known = image.format != "PNG" or "exif" in image.info
        turned = known and image.getexif().get(_ORIENTATION, 1) >= 5  # by 90 degrees
        return image.size[::-1] if turned else image.size
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

    Pixels of `VideoFrames` that are not square become so.

    Raises:
        UnreadableMedia: there were no frames, or fewer than `min_frames`; the message names `path`
            and `flag`, which sets this number.
    """
    if isinstance(frames, VideoFrames):
        fitted = frames.fitted(height, width)
    else:
        fitted = (resize_and_crop(frame, height, width) for frame in frames)
    count = 0
    with _opencv_errors(path):
        for count, frame in enumerate(itertools.islice(fitted, max_frames), 1):  # noqa: B007
            yield frame
    if not count:
        raise UnreadableMedia(f"{shown_name(path)}: cannot be read as a video")
    if count < min_frames:
        raise UnreadableMedia(
            f"{shown_name(path)}: {count} frames, expected {min_frames} or more ({flag})"
        )


def stack_frames(frames: Iterable[np.ndarray], path: str) -> np.ndarray:
    """All frames of a stream such as that of `fit_frames`, in one array.

    Args:
        frames: uint8 [H, W, 3] each, of one size; at least one.
        path: for the error message.

    Returns:
        uint8 [T, H, W, 3].

    Raises:
        UnreadableMedia: there are more frames than a record can hold; the rest is not read.
    """
    pixels = bytearray()  # grows in place, so that a long video is in memory once
    shape: tuple[int, ...] = ()
    for frame in frames:
        shape = frame.shape
        if len(pixels) + frame.nbytes > MAX_RECORD_BYTES:
            most = MAX_RECORD_BYTES // frame.nbytes
            raise UnreadableMedia(
                f"{shown_name(path)}: more than {most} frames of {shape[0]}x{shape[1]}, too many "
                "for one record; cut it into clips (--clip_frames of kerasvid data folder)"
            )
        reserve_memory(len(pixels) + frame.nbytes)
        pixels += frame.tobytes()
    return np.frombuffer(pixels, np.uint8).reshape(-1, *shape)


def _unreadable(path: str, error: OSError) -> UnreadableMedia:
    return UnreadableMedia(f"{shown_name(path)}: cannot be read ({error.strerror or error})")
