"""Speed of the folder converter beside `ffmpeg`, which decodes and scales the same files to PNG.

Both shrink by averaging over areas until the frame is covered, and crop the centre. ffmpeg runs as
many processes as the converter has threads. One decodes, scales and encodes a file with one thread,
which takes less time than one process of several threads.
"""

import concurrent.futures
import contextlib
import io
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from kerasvid.data.records import DatasetInfo
from kerasvid.data.shards import read_split
from kerasvid.io import one_line
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters.folder import FolderOptions, find_clips, prepare

SIZE, FRAMES, RATE = (360, 640), 90, 30  # of a drawn video
SHAPES, GRAIN = 8, 6.0  # its shapes, and the standard deviation of its grain in grey levels


def measure_conversion(
    source_dir: str | os.PathLike | None = None,
    height: int = 64,
    width: int = 64,
    repeats: int = 3,
    videos: int = 24,
) -> dict[str, Any]:
    """Converts the videos of a folder by kerasvid and by ffmpeg, in turns.

    Args:
        source_dir: folder of video files; by default H.264 files that are drawn.
        height, width: of the frames in pixels.
        repeats: number of conversions by each.
        videos: number of videos to draw.

    Returns:
        `videos`, `frames` and `threads`, the medians of `converter_frames_per_second` and
        `ffmpeg_frames_per_second`, the median of their `ratio`, and the ratio of each repeat in
        `ratios`. `cpu_ratio` is the median ratio of frames per second of processor time, which
        other programs on the machine disturb less.

    Raises:
        ConversionError: ffmpeg is not installed or cannot read or draw a file, or the folder holds
            anything but video files or cannot be converted.

    Example:
        >>> measure_conversion("my_videos")["ratio"]
        1.1
    """
    if not shutil.which("ffmpeg"):
        raise ConversionError(
            "ffmpeg: the program is not installed; install it, for instance with apt-get install "
            "ffmpeg."
        )
    with tempfile.TemporaryDirectory(prefix="kerasvid-") as place:
        if source_dir is None:
            source_dir = os.path.join(place, "drawn")
            os.makedirs(source_dir)
            for number in range(videos):
                draw_footage(os.path.join(source_dir, f"{number:03d}.mp4"), number)
        clips, _ = find_clips(source_dir)
        if other := next((clip for clip in clips if clip.kind != "video"), None):
            raise ConversionError(
                f"{other.paths[0]}: not a video file; give a folder of video files alone."
            )
        files = [clip.paths[0] for clip in clips]
        frames, times, processor = {}, [], []
        for _ in range(repeats):
            for convert in (_by_ffmpeg, _by_converter):
                out = os.path.join(place, "out")
                started, before = time.perf_counter(), os.times()
                found = convert(out, str(source_dir), files, height, width)
                times.append(time.perf_counter() - started)
                used = [new - old for new, old in zip(os.times()[:4], before[:4], strict=True)]
                processor.append(sum(used))
                frames[convert] = found if isinstance(found, int) else count_frames(out, found)
                shutil.rmtree(out)
    of_ffmpeg, of_converter = frames[_by_ffmpeg], frames[_by_converter]
    rates, cpu_rates = (
        ([of_ffmpeg / s for s in seconds[::2]], [of_converter / s for s in seconds[1::2]])
        for seconds in (times, processor)
    )
    ratios = [ours / theirs for theirs, ours in zip(*rates, strict=True)]
    return {
        "videos": len(files),
        "frames": of_converter,
        "threads": os.cpu_count() or 1,
        "height": height,
        "width": width,
        "converter_frames_per_second": round(statistics.median(rates[1]), 1),
        "ffmpeg_frames_per_second": round(statistics.median(rates[0]), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "cpu_ratio": round(statistics.median(
            ours / theirs for theirs, ours in zip(*cpu_rates, strict=True)
        ), 3),
    }  # fmt: skip


def count_frames(folder: str, info: DatasetInfo) -> int:
    """The number of frames in the split "train" of a data set."""
    lengths = read_split(folder, info, "train").map(lambda record: record["length"])
    return int(sum(lengths.as_numpy_iterator()))


def _by_converter(
    out: str, source_dir: str, files: Sequence[str], height: int, width: int
) -> DatasetInfo:
    """Makes a data set of all videos."""
    options = FolderOptions(height=height, width=width, test_fraction=0)
    with contextlib.redirect_stderr(io.StringIO()):  # what it found, again and again
        return prepare(out, source_dir, options, progress=False)


def _by_ffmpeg(out: str, source_dir: str, files: Sequence[str], height: int, width: int) -> int:
    """Makes a folder of PNG images of each video; the number of all images."""
    cores = os.cpu_count() or 1
    threads = str(max(1, cores // min(cores, len(files))))
    size = f"{width}:{height}"
    scaling = f"scale={size}:force_original_aspect_ratio=increase:flags=area,crop={size}"

    def convert(number: int) -> int:
        images = os.path.join(out, f"{number:05d}")
        os.makedirs(images)
        path = os.path.abspath(files[number])
        _run_ffmpeg(
            path, "-threads", threads, "-i", path, "-filter_threads", threads, "-vf", scaling,
            "-threads", threads, os.path.join(images, "%06d.png"),
        )  # fmt: skip
        return len(os.listdir(images))

    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(convert, range(len(files))))


def _run_ffmpeg(path: str, *arguments: str, pixels: bytes | None = None) -> None:
    """Runs ffmpeg; `pixels` are its input. A fault raises a ConversionError that names `path`."""
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", *arguments]
    source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if pixels is None else {"input": pixels}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **source)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = one_line(lines[0]) if lines else f"status {done.returncode}"
        remedy = "remove the file" if pixels is None else "give a folder of videos as --source_dir"
        raise ConversionError(f"{path}: ffmpeg fails ({why}); {remedy}.")


def draw_footage(path: str, seed: int, frames: int = FRAMES) -> None:
    """Draws an H.264 video: a background that moves, shapes in front of it, and grain over both.

    Args:
        path: of the file, which ends in .mp4.
        seed: of the video.
        frames: their number.

    Raises:
        ConversionError: ffmpeg cannot encode H.264.

    Example:
        >>> draw_footage("drawn/000.mp4", seed=0)
    """
    generator, (height, width) = np.random.default_rng(seed), SIZE
    noise = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 9)
    background = cv2.normalize(blurred, np.empty(0), 30, 220, cv2.NORM_MINMAX)
    places = generator.uniform(0, [width, height], (SHAPES, 2))
    speeds = generator.normal(0, 4, (SHAPES, 2))  # pixels a frame
    colors = generator.integers(0, 256, (SHAPES, 3)).tolist()
    radii = generator.integers(15, 70, SHAPES).tolist()
    grain = generator.normal(0, GRAIN, (2 * height, 2 * width, 1)).astype(np.float32)
    pixels = []
    for time_step in range(frames):
        image = np.roll(background, time_step, axis=1)
        for place, speed, color, radius in zip(places, speeds, colors, radii, strict=True):
            x, y = ((place + speed * time_step) % [width, height]).astype(int).tolist()
            cv2.circle(image, (x, y), radius, color, -1, cv2.LINE_AA)
        top, left = generator.integers(0, [height, width])
        noisy = image + grain[top : top + height, left : left + width]
        pixels.append(np.clip(noisy, 0, 255).astype(np.uint8).tobytes())
    _run_ffmpeg(
        path, "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(RATE),
        "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", path, pixels=b"".join(pixels),
    )  # fmt: skip
