"""Converts a folder of your own videos into a data set.

    kerasvid data folder --source_dir=my_videos --out_dir=data/mine

It reads MP4, AVI, MOV, MKV, WEBM, MPEG, WMV, FLV and GIF files, image sequences (a subfolder of
images is one video) and strips (one wide image of frames side by side). The first folder level
below --source_dir is the class of a video:

    my_videos/walking/anna.mp4          class "walking"
    my_videos/walking/bob/frame2.png    class "walking", bob's images are one video
    my_videos/bob/frame2.png            one video without a class
    my_videos/clip.gif                  one video without a class
"""

import collections
import dataclasses
import functools
import os
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from kerasvid.data.records import ENCODINGS, DatasetInfo, Video
from kerasvid.io import is_unicode, shown_name
from tfrecords_tools import media
from tfrecords_tools.conversion import (
    ConversionError,
    UnreadableMedia,
    is_one_rate,
    write_dataset,
)
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, split_clips, walk_folders

IMAGE_MODES = ("auto", "sequences", "strips", "single")
_LISTED = 3  # of the files that are left out


@dataclasses.dataclass(frozen=True)
class FolderOptions(Options):
    """How the files of a folder become videos.

    Frames are resized with the aspect ratio kept until they cover height x width, then cropped
    to the centre.
    """

    height: int = option(64, "Height of a frame in pixels.", 1)
    width: int = option(64, "Width of a frame in pixels.", 1)
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
        "of frames side by side) or single (each a video of one frame); auto means strips if the "
        "first image is two or more frames wide, a video each if it is animated, else sequences.",
        choices=IMAGE_MODES,
    )
    strip_frame_width: int | None = option(
        None, "Width of a frame in a strip; by default its height.", 1
    )
    min_frames: int = option(1, "Minimal number of frames; shorter videos are unreadable.", 1)
    max_frames: int | None = option(None, "Maximal number of frames; the rest is cut off.", 1)
    encoding: str = option(
        "png", "Encoding of the frames: png (lossless), jpeg (smaller) or raw.", choices=ENCODINGS
    )


@dataclasses.dataclass(frozen=True, slots=True)
class FolderClip(Clip):
    """A clip of the kind "video", "sequence" or "strip"; its id is its path in the folder."""

    kind: str = "video"


def find_clips(
    source_dir: Folder, options: FolderOptions | None = None
) -> tuple[list[FolderClip], list[str]]:
    """Lists the videos in a folder, and its other files, in natural order, without reading them.

    Raises:
        ConversionError: the folder cannot be listed or has no videos.
    """
    options = options or FolderOptions()
    clips, others = [], []
    for folder, names in walk_folders(source_dir):
        below = os.path.relpath(folder, source_dir).replace(os.sep, "/")
        images = [name for name in names if name.lower().endswith(media.IMAGE_SUFFIXES)]
        videos = [name for name in names if name.lower().endswith(media.VIDEO_SUFFIXES)]
        files = {name: "video" for name in videos}
        if images:
            mode = _image_mode(os.path.join(folder, images[0]), options)
            if mode == "sequences":
                clip_id = os.path.basename(os.path.abspath(folder)) if below == "." else below
                class_name = below.split("/")[0] if "/" in below else ""
                paths = tuple(os.path.join(folder, name) for name in images)
                clips.append(FolderClip(clip_id, class_name, paths, kind="sequence"))
            else:
                kinds = {"strips": "strip", "animations": "video"}
                files |= dict.fromkeys(images, kinds.get(mode, "sequence"))
        prefix = "" if below == "." else f"{below}/"
        for name, kind in files.items():
            path = os.path.join(folder, name)
            clips.append(FolderClip(prefix + name, prefix.split("/")[0], (path,), kind=kind))
        others += [prefix + name for name in names if name not in images and name not in videos]
    if not clips:
        what = "video files (MP4, AVI and so on), strips or subfolders of images"
        raise ConversionError(f"{source_dir}: no videos found; put {what} there.")
    return sorted(clips, key=lambda clip: media.natural_key(clip.id)), others


def _image_mode(first_image: str, options: FolderOptions) -> str:
    if options.images != "auto":
        return options.images
    try:
        if media.is_animation(first_image):
            return "animations"
        strips = media.is_strip(first_image, options.strip_frame_width)
    except UnreadableMedia:
        strips = False  # reading its frames will name it
    return "strips" if strips else "sequences"


def describe_clips(clips: Sequence[FolderClip], others: Sequence[str]) -> str:
    """Describes the result of `find_clips` in one line."""
    kinds = collections.Counter(clip.kind for clip in clips)
    found = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in sorted(kinds.items())]
    line = f"found {' and '.join(found)}"
    if others:
        rest = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
        line += f"; left out: {', '.join(others[:_LISTED])}{rest}"
    return line


def describe_timing(timing: Mapping[str, tuple[float, bool]]) -> list[str]:
    """Warnings of videos whose frames are not evenly spaced, or not as those of other videos.

    Args:
        timing: of each video by id: frames per second, -1 where unknown, and whether they vary.
    """
    lines, remedy = [], "give --fps to resample to one rate"
    if uneven := sorted((name for name in timing if timing[name][1]), key=media.natural_key):
        names = ", ".join(map(shown_name, uneven[:_LISTED]))
        names += f" and {len(uneven) - _LISTED} more" if len(uneven) > _LISTED else ""
        lines.append(f"warning: the frame rate of {names} is variable; {remedy}")
    rates = [rate for rate, _ in timing.values() if rate > 0]
    if rates and not is_one_rate(rates):
        lines.append(
            f"warning: the videos have {min(rates):g} to {max(rates):g} frames per second; {remedy}"
        )
    return lines


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: FolderOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Converts a folder of videos into a data set (see `tfrecords_tools.converters`)."""
    options = options or FolderOptions()
    source_dir = check_source_dir(source_dir, "folder", "the folder of your videos")
    clips, others = find_clips(source_dir, options)
    print(describe_clips(clips, others), file=sys.stderr)
    splits = split_clips(clips, options.test_fraction, options.seed)
    names = {clip.class_name for clip in clips if is_unicode(clip.class_name)}  # others: unreadable
    classes = sorted(names - {""}, key=media.natural_key)
    labels = {name: number for number, name in enumerate(classes)}

    timing: dict[str, tuple[float, bool]] = {}

    def load(clip: FolderClip) -> Video:
        path, rate = clip.paths[0], options.fps or -1.0
        found: Iterable[np.ndarray]
        if clip.kind == "video":
            found = media.open_video(path, options.fps)
        elif clip.kind == "strip":
            found = media.iterate_strip(path, options.strip_frame_width)
        else:
            found = map(media.read_image, clip.paths)
        frames = media.stack_frames(
            found, path, options.height, options.width, options.max_frames, options.min_frames
        )
        if isinstance(found, media.VideoFrames):
            rate = found.rate
            timing[clip.id] = (rate, found.is_variable and options.fps is None)
        return Video(frames, clip.id, rate, labels.get(clip.class_name, -1))

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
    info = write_dataset(out_dir, info, splits, load, **writing)
    for line in describe_timing(timing):
        print(line, file=sys.stderr)
    return info


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of your videos.", options=FolderOptions
)
