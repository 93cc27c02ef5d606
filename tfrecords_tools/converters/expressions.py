"""What the data sets of facial expressions share: clips of a face, split and written."""

import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import Options, option
from tfrecords_tools.converters import faces
from tfrecords_tools.source_files import Clip, Folder, split_clips, subfolders

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


@dataclasses.dataclass(frozen=True)
class ClipOptions(Options):
    """How clips become videos."""

    size: int = option(64, "Height and width of a frame in pixels.", 1)
    min_frames: int = option(16, "Minimal number of frames; shorter clips are left out.", 1)
    stride: int = option(1, "Distance of two frames that are kept.", 1)
    margin: float = option(
        faces.MARGIN, "Margin on each side of the face, as a share of the face.", 0, 10
    )
    crop_faces: bool = option(True, "Cropping to the face; else the middle of the frame is kept.")
    test_fraction: float = option(
        0.1, "Share of the clips of each expression in the test split; 0 makes none."
    )
    seed: int = option(0, "Seed for the division into splits.", 0)


def expression_folders(folder: str) -> Iterator[tuple[str, str]]:
    """Pairs of an expression and its folder; the case of the folder's name does not matter."""
    for name in subfolders(folder):
        if name.lower() in EXPRESSIONS:
            yield name.lower(), os.path.join(folder, name)


def write_clips(
    out_dir: Folder, info: DatasetInfo, clips: Sequence[Clip], options: ClipOptions, **writing: bool
) -> DatasetInfo:
    """Writes clips as a data set with the splits train and test.

    Args:
        info: name, version, origin and frame rate; the rest follows from clips and options.
        clips: one or more, with a person as identity.
        out_dir, options, **writing: as of `tfrecords_tools.converters`.

    Raises:
        ConversionError: no clip is long enough, files are unreadable or show no face (each
            named), out_dir exists, or OpenCV has no face detector.
    """
    if options.crop_faces:
        faces.face_detector()  # before an hour of work, not within
    people = sorted({clip.identity for clip in clips}, key=media.natural_key)
    needed = (options.min_frames - 1) * options.stride + 1
    kept = [clip for clip in clips if len(clip.paths) >= needed]
    wanted = f"{options.min_frames} frames"
    if options.stride > 1:
        wanted += f" at --stride={options.stride}"
    if not kept:
        raise ConversionError(
            f"None of {len(clips)} clips has {wanted}; the longest has "
            f"{max(len(clip.paths) for clip in clips)} images: lower --min_frames."
        )
    if short := len(clips) - len(kept):
        line = f"left out {short} of {len(clips)} clips with fewer than {wanted}; see --min_frames"
        print(line, file=sys.stderr)
    rate = info.fps / options.stride

    def load(clip: Clip) -> Video:
        paths = clip.paths[:: options.stride]
        return Video(
            faces.read_face_clip(paths, options.size, options.margin, options.crop_faces),
            clip.id,
            rate,
            label=EXPRESSIONS.index(clip.class_name),
            identity=people.index(clip.identity),
        )

    splits = split_clips(kept, options.test_fraction, options.seed)
    names: dict[str, Any] = {"class_names": EXPRESSIONS, "identity_names": tuple(people)}
    info = dataclasses.replace(info, height=options.size, width=options.size, fps=rate, **names)
    return write_dataset(out_dir, info, splits, load, **writing)
