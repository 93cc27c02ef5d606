"""Converts a folder of your own videos into a data set.

    kerasvid data folder --source_dir=my_videos --out_dir=data/mine

It reads MP4, AVI, MOV, MKV, WEBM, MPEG, MTS, 3GP, WMV, FLV, GIF and further files, image sequences
(a subfolder of images is one video) and strips (one wide image of frames side by side). Images in a
folder that holds videos, itself or in subfolders, are left out. The first folder level below
--source_dir is the class of a video:

    my_videos/walking/anna.mp4          class "walking"
    my_videos/walking/bob/frame2.png    class "walking", bob's images are one video
    my_videos/bob/frame2.png            one video without a class
    my_videos/clip.gif                  one video without a class

Cut long videos into clips: --clip_frames=64 makes clips of 64 frames, one after the other, and
--clip_stride=32 lets them overlap by half. All clips of a video are in the same split.
"""

import collections
import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasvid.data.records import ENCODINGS, DatasetInfo, Video
from kerasvid.io import is_unicode, shown_name
from tfrecords_tools import media
from tfrecords_tools.beam_conversion import RUNNERS, write_dataset_on_beam
from tfrecords_tools.conversion import (
    ConversionError,
    UnreadableMedia,
    is_one_rate,
    reserve_memory,
    write_dataset,
)
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, split_clips, walk_folders

IMAGE_MODES = ("auto", "sequences", "strips", "single")
_LISTED = 3  # of the files that are left out
_LONG = 500  # frames, from which on reading takes longer than decoding a clip


@dataclasses.dataclass(frozen=True)
class ClipOptions(Options):
    """Sizes and lengths of the clips that are made of videos.

    Frames are resized with the aspect ratio kept until they cover height x width, then cropped
    to the centre.
    """

    height: int = option(64, "Height of a frame in pixels.", 1)
    width: int = option(64, "Width of a frame in pixels.", 1)
    min_frames: int = option(1, "Minimal number of frames; shorter videos are unreadable.", 1)
    max_frames: int | None = option(None, "Maximal number of frames; the rest is cut off.", 1)
    clip_frames: int | None = option(
        None, "Number of frames of the clips into which videos are cut; by default none is cut.", 1
    )
    clip_stride: int | None = option(
        None, "Distance of the first frames of two clips; by default --clip_frames.", 1
    )
    encoding: str = option(
        "png", "Encoding of the frames: png (lossless), jpeg (smaller) or raw.", choices=ENCODINGS
    )
    jpeg_quality: int | None = option(
        None, "Quality of the frames, for --encoding=jpeg; by default 95.", 1, 100
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip_stride and not self.clip_frames:
            raise ConversionError(f"clip_stride={self.clip_stride}: give clip_frames too.")
        if self.clip_frames and self.max_frames and self.clip_frames > self.max_frames:
            raise ConversionError(
                f"clip_frames={self.clip_frames}: must be {self.max_frames} (max_frames) or less."
            )


@dataclasses.dataclass(frozen=True)
class FolderOptions(ClipOptions):
    """How the files of a folder become videos."""

    fps: float | None = option(
        None,
        "Frames per second, to which videos are resampled; by default every frame is kept.",
        0.01,
        1000,
    )
    test_fraction: float = option(0.1, "Share of the videos in the test split; 0 makes none.")
    seed: int = option(0, "Seed for the division into splits.", 0)
    images: str = option(
        "auto",
        "Meaning of the images in a folder: sequences (together one video), strips (each a video "
        "of frames side by side) or single (each a video of one frame); auto tells strips from "
        "sequences by the size and the content of the images, and reads each image as a video if "
        "the first one is animated.",
        choices=IMAGE_MODES,
    )
    strip_frame_width: int | None = option(
        None, "Width of a frame in a strip; by default its height.", 1
    )
    runner: str = option(
        "local",
        "Where the conversion runs: local (this process), or Apache Beam on this machine (direct) "
        "or on a cluster.",
        choices=RUNNERS,
    )
    runner_options: str = option(
        "", 'Options of the Beam runner in quotes, as "--project=p --region=r"; by default none.'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runner_options and self.runner == "local":
            raise ConversionError(
                f"runner_options={self.runner_options!r}: give a runner other than local too."
            )


@dataclasses.dataclass(frozen=True, slots=True)
class FolderClip(Clip):
    """A clip of the kind "video", "sequence" or "strip"; its id is its path in the folder."""

    kind: str = "video"


def find_clips(
    source_dir: Folder, options: FolderOptions | None = None
) -> tuple[list[FolderClip], list[str]]:
    """Lists the videos in a folder, and its other files, in natural order.

    Images are read as far as it takes to tell strips from sequences; videos are not. They are left
    out where they stand beside or above videos: in a folder that holds video files, itself or in
    subfolders, unless they are animations. Above a folder of images, only a sequence is read.

    Raises:
        ConversionError: the folder cannot be listed or has no videos.
    """
    options = options or FolderOptions()
    clips, others = [], []
    found = [
        (folder, os.path.relpath(folder, source_dir).replace(os.sep, "/"), names)
        for folder, names in walk_folders(source_dir)
    ]
    above_images, above_videos = (
        {
            str(parent)
            for _, below, names in found
            if _with_suffix(names, suffixes)
            for parent in pathlib.PurePosixPath(below).parents
        }
        for suffixes in (media.IMAGE_SUFFIXES, media.VIDEO_SUFFIXES)
    )
    for folder, below, names in found:
        prefix = "" if below == "." else f"{below}/"
        images = _with_suffix(names, media.IMAGE_SUFFIXES)
        videos = _with_suffix(names, media.VIDEO_SUFFIXES)
        if (videos or below in above_videos) and options.images == "auto":
            videos += [name for name in images if media.is_animation(os.path.join(folder, name))]
            images = []
        files = dict.fromkeys(videos, "video")
        paths = tuple(os.path.join(folder, name) for name in images)
        mode = _image_mode(paths, below in above_images, options) if images else "none"
        if mode == "sequences":
            clip_id = os.path.basename(os.path.abspath(folder)) if below == "." else below
            class_name = below.split("/")[0] if "/" in below else ""
            clips.append(FolderClip(clip_id, class_name, paths, kind="sequence"))
        elif mode != "none":
            kinds = {"strips": "strip", "animations": "video"}
            files |= dict.fromkeys(images, kinds.get(mode, "sequence"))
        for name, kind in files.items():
            path = os.path.join(folder, name)
            clips.append(FolderClip(prefix + name, prefix.split("/")[0], (path,), kind=kind))
        read = {*videos, *(() if mode == "none" else images)}
        others += [prefix + name for name in names if name not in read]
    if not clips:
        what = "video files (MP4, AVI and so on), strips or subfolders of images"
        raise ConversionError(f"{source_dir}: no videos found; put {what} there.")
    return sorted(clips, key=lambda clip: media.natural_key(clip.id)), others


def _with_suffix(names: Iterable[str], suffixes: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.lower().endswith(suffixes)]


def _image_mode(paths: Sequence[str], above_images: bool, options: FolderOptions) -> str:
    """How to read the images of a folder: one of `IMAGE_MODES`, "animations" or "none"."""
    if options.images != "auto":
        return options.images
    # The first image that can be read tells; reading its frames will name one that cannot.
    for number, path in enumerate(paths):
        if media.is_animation(path):
            return "animations"
        if above_images and len(paths) == 1:  # a poster
            return "none"
        try:
            strips = media.is_strip(path, options.strip_frame_width)
        except UnreadableMedia:
            continue
        if strips and _are_strips(paths[number:], options.strip_frame_width):
            return "strips"
        break
    return "none" if above_images and not _are_same(_sizes(paths)) else "sequences"


def _are_strips(paths: Sequence[str], frame_width: int | None) -> bool:
    """Whether images, the first of which is two or more frames wide, are strips.

    Images of one size are the frames of a wide video, unless they look like strips.
    """
    if len(paths) == 1 or frame_width:
        return True
    if not _are_same(sizes := _sizes(paths)):
        return _are_same([height for _, height in sizes])
    for path in paths[1:]:
        try:
            return media.is_row_of_frames(paths[0], path)
        except UnreadableMedia:
            continue
    return True


def _sizes(paths: Sequence[str]) -> list[tuple[int, int]]:
    return [*filter(None, map(media.image_size, paths))]


def _are_same(values: Sequence) -> bool:
    return all(value == values[0] for value in values)


def describe_clips(clips: Sequence[FolderClip], others: Sequence[str]) -> str:
    """Describes the result of `find_clips` in one line."""
    kinds = collections.Counter(clip.kind for clip in clips)
    line = f"found {' and '.join(_count(kinds[kind], kind) for kind in sorted(kinds))}"
    images = _with_suffix(others, media.IMAGE_SUFFIXES)
    files = [name for name in others if not name.lower().endswith(media.IMAGE_SUFFIXES)]
    left = [f"{_count(len(images), 'image')} beside videos"] if images else []
    left += map(shown_name, files[:_LISTED])
    if left:
        rest = f" and {len(files) - _LISTED} more" if len(files) > _LISTED else ""
        line += f"; left out: {', '.join(left)}{rest}"
    return line


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def cut_clips(
    frames: Iterable[np.ndarray], length: int, stride: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Cuts a video into clips of one length; no more frames than that are in memory.

    Args:
        frames: [H, W, C] each.
        length: of a clip in frames.
        stride: distance of the first frames of two clips.

    Yields:
        The number of the first frame in the video, and the frames [length, H, W, C].

    Example:
        >>> [start for start, _ in cut_clips(np.zeros([9, 4, 4, 3], np.uint8), 4, 2)]
        [0, 2, 4]
    """
    window: collections.deque[np.ndarray] = collections.deque(maxlen=length)
    for number, frame in enumerate(frames, 1):
        window.append(frame)
        start = number - length
        if start >= 0 and start % stride == 0:
            yield start, np.stack(window)


def count_frames(
    frames: Iterable[np.ndarray], clip_id: str, lengths: dict[str, int]
) -> Iterator[np.ndarray]:
    """The same frames; their number is put into `lengths` after the last one."""
    count = 0
    for frame in frames:
        yield frame
        count += 1
    lengths[clip_id] = count


def clips_of(
    frames: Iterable[np.ndarray],
    path: str,
    video_id: str,
    options: ClipOptions,
    lengths: dict[str, int],
) -> Iterator[tuple[str, np.ndarray]]:
    """Resizes a video and cuts it, if the options say so.

    Args:
        frames: uint8 [H, W, 3] each.
        path: for error messages.
        video_id: of the video.
        options: sizes and lengths.
        lengths: the number of frames of a video that is cut is put into it.

    Yields:
        The id of a clip and its frames uint8 [T, height, width, 3].

    Raises:
        UnreadableMedia: as `media.fit_frames` and `media.stack_frames`.
    """
    cut = options.clip_frames or 0
    fitted = media.fit_frames(
        frames, path, options.height, options.width, options.max_frames,
        max(cut, options.min_frames),
        "--clip_frames" if cut > options.min_frames else "--min_frames",
    )  # fmt: skip
    if not cut:
        yield video_id, media.stack_frames(fitted, path)
        return
    reserve_memory(2 * cut * options.height * options.width * 3)  # the frames, and stacked
    stream = count_frames(fitted, video_id, lengths)
    for start, clip in cut_clips(stream, cut, options.clip_stride or cut):
        yield f"{video_id}@{start}", clip


def describe_cut(lengths: Mapping[str, int], length: int, stride: int) -> str:
    """Describes in one line what `cut_clips` made of videos of these lengths."""
    clips = sum((frames - length) // stride + 1 for frames in lengths.values())
    rest = sum((frames - length) % stride for frames in lengths.values())
    line = f"cut {_count(len(lengths), 'video')} into {_count(clips, 'clip')} of {length} frames"
    return line + (f"; left out: the last {_count(rest, 'frame')} of videos" if rest else "")


def describe_timing(
    timing: Mapping[str, tuple[float, bool]], with_gaps: Iterable[str] = ()
) -> list[str]:
    """Warnings of videos whose frames are not evenly spaced, or not as those of other videos.

    Args:
        timing: of each video by id: frames per second, -1 where unknown, and whether they vary.
        with_gaps: ids of the videos with long gaps in their times, which were closed.
    """
    lines, remedy = [], "give --fps to resample to one rate"
    uneven = [name for name in timing if timing[name][1]]
    for found, start, end in (
        (with_gaps, "the times of", "have long gaps; the frames before them are not held"),
        (uneven, "the frame rate of", f"is variable; {remedy}"),
    ):
        if ordered := sorted(found, key=media.natural_key):
            names = ", ".join(map(shown_name, ordered[:_LISTED]))
            names += f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
            lines.append(f"warning: {start} {names} {end}")
    rates = [rate for rate, _ in timing.values() if rate > 0]
    if rates and not is_one_rate(rates):
        lines.append(
            f"warning: the videos have {min(rates):g} to {max(rates):g} frames per second; {remedy}"
        )
    return lines


@dataclasses.dataclass
class FolderReader:
    """Reads the clips of a folder, and notes what is reported of them at the end.

    Args:
        options: how files become videos.
        labels: the number of each class by name.

    Attributes:
        lengths: the number of frames of each video that is cut, by id.
        timing, with_gaps: as `describe_timing` takes them.

    Example:
        >>> reader = FolderReader(FolderOptions(), {"walking": 0})
        >>> write_dataset("data/mine", info, {"train": clips}, load=reader)
    """

    options: FolderOptions
    labels: Mapping[str, int]
    lengths: dict[str, int] = dataclasses.field(default_factory=dict)
    timing: dict[str, tuple[float, bool]] = dataclasses.field(default_factory=dict)
    with_gaps: set[str] = dataclasses.field(default_factory=set)

    def __call__(self, clip: FolderClip) -> Iterator[Video]:
        """Yields the videos of a clip, one or those that it is cut into."""
        options, path = self.options, clip.paths[0]
        found: Iterable[np.ndarray]
        if clip.kind == "video":
            found = media.open_video(path, options.fps)
        elif clip.kind == "strip":
            found = media.iterate_strip(path, options.strip_frame_width)
        else:
            found = map(media.read_image, clip.paths)
        path = path if len(clip.paths) == 1 else os.path.dirname(path)
        label = self.labels.get(clip.class_name, -1)

        def rate() -> float:  # of the frames that have been read
            return found.rate if isinstance(found, media.VideoFrames) else options.fps or -1.0

        for clip_id, frames in clips_of(found, path, clip.id, options, self.lengths):
            yield Video(frames, clip_id, rate(), label)
        if isinstance(found, media.VideoFrames):
            self.timing[clip.id] = (found.rate, found.is_variable and options.fps is None)
            if found.closed_gaps:
                self.with_gaps.add(clip.id)

    def notes(self) -> dict[str, Any]:
        """What it has noted, for JSON."""
        gaps = sorted(self.with_gaps)
        return {"lengths": self.lengths, "timing": self.timing, "with_gaps": gaps}

    def add_notes(self, notes: Mapping[str, Any]) -> None:
        """Adds the notes of another reader."""
        self.lengths |= notes["lengths"]
        self.timing |= {name: tuple(timing) for name, timing in notes["timing"].items()}
        self.with_gaps |= set(notes["with_gaps"])


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: FolderOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Converts a folder of videos into a data set (see `tfrecords_tools.converters`)."""
    options = options or FolderOptions()
    source_dir = check_source_dir(source_dir, "folder", "the folder of your videos")
    if options.runner != "local":
        source_dir = os.path.abspath(source_dir)  # its workers have another working folder
    clips, others = find_clips(source_dir, options)
    print(describe_clips(clips, others), file=sys.stderr)
    splits = split_clips(clips, options.test_fraction, options.seed)
    names = {clip.class_name for clip in clips if is_unicode(clip.class_name)}  # others: unreadable
    classes = sorted(names - {""}, key=media.natural_key)
    labels = {name: number for number, name in enumerate(classes)}

    reader = FolderReader(options, labels)
    info = DatasetInfo(
        os.path.basename(os.path.abspath(out_dir)),
        "1",
        options.height,
        options.width,
        fps=options.fps or -1.0,
        encoding=options.encoding,
        class_names=tuple(classes),
        source=os.path.basename(os.path.abspath(source_dir)),
    )
    quality = options.jpeg_quality
    if options.runner == "local":
        info = write_dataset(out_dir, info, splits, reader, jpeg_quality=quality, **writing)
    else:
        flags = {"source_dir": os.path.realpath(source_dir), **dataclasses.asdict(options)}
        del flags["runner"], flags["runner_options"]
        info = write_dataset_on_beam(
            out_dir,
            info,
            splits,
            reader,
            runner=options.runner,
            runner_options=options.runner_options,
            flags=flags,
            jpeg_quality=quality,
            **writing,
        )
    if cut := options.clip_frames:
        print(describe_cut(reader.lengths, cut, options.clip_stride or cut), file=sys.stderr)
    elif (longest := max(clips.max_length for clips in info.splits.values())) > _LONG:
        print(f"the longest video has {longest} frames, and training reads a whole video for each "
              "clip: cut long videos with --clip_frames", file=sys.stderr)  # fmt: skip
    for line in describe_timing(reader.timing, reader.with_gaps):
        print(line, file=sys.stderr)
    return info


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of your videos.", options=FolderOptions
)
