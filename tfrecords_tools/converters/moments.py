"""Reads classes of Moments in Time (Monfort et al. 2019): videos of three seconds.

    kerasvid data moments --source_dir=Moments_in_Time_Raw --out_dir=data/moments
    kerasvid data moments --classes=diving,surfing ...

--source_dir is the folder of the release, or the one above it:

    Moments_in_Time_Raw/training/<class>/<name>.mp4      trainingSet.csv
    Moments_in_Time_Raw/validation/<class>/<name>.mp4    validationSet.csv

A line of the CSV files is <class>/<name>.mp4,<class>,<agreeing>,<disagreeing annotators>, without
a header. Without a CSV file, all videos in the folder count. Labels are positions in --classes.

"Generating Video from Images" (Penington, Teo and Wang) takes erupting and skiing, the default, at
30 frames of 64x64. Of each video, 30 frames spread evenly are resized and cropped to the centre.
The folder training is the split "train". The folder validation is "test", 100 videos a class.
"""

import csv
import dataclasses
import difflib
import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, file_names, subfolders

SIDE = 64
SPLITS = {"train": "training", "test": "validation"}  # the folder of each
LAYOUT = "expected training/<class>/<name>.mp4 and validation/<class>/<name>.mp4"
SOURCE = "http://moments.csail.mit.edu/"
CITATION = (
    "M. Monfort, A. Andonian, B. Zhou et al. Moments in Time Dataset: One Million Videos for Event "
    "Understanding. PAMI 2019. arXiv:1801.03150."
)
LICENCE = f"under the licence of the data set, granted on application ({SOURCE})"
ORIGIN: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": CITATION}
_NEEDS = (
    f"the folder of training and validation, {LAYOUT}; Moments in Time needs an application, the "
    f"form is at {SOURCE} ({CITATION})"
)


@dataclasses.dataclass(frozen=True)
class MomentsOptions(Options):
    """Which videos are read, and how."""

    classes: tuple[str, ...] = option(
        ("erupting", "skiing"), "Names of the classes, in the order of the labels."
    )
    frames: int = option(30, "Number of frames of each video, spread evenly.", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(self.classes) or len(set(self.classes)) < max(1, len(self.classes)):
            raise ConversionError(
                f"classes={','.join(self.classes)}: give at least one class, each only once."
            )


def find_clips(source_dir: Folder | None, classes: Sequence[str]) -> dict[str, list[Clip]]:
    """Lists the videos of some classes by split, class and name, without opening them.

    An id is for instance "training/skiing/yt-abc_3".

    Raises:
        ConversionError: a folder is missing, a class is unknown or has no videos, or a CSV file
            has another format.
    """
    root = _find_root(check_source_dir(source_dir, "moments", _NEEDS))
    return {
        split: [clip for name in classes for clip in _class_clips(root, folder, name)]
        for split, folder in SPLITS.items()
    }


def _find_root(source_dir: str) -> str:
    """The folder of training and validation."""
    below = [os.path.join(source_dir, name) for name in subfolders(source_dir)]
    for root in (source_dir, *below):
        found = [os.path.isdir(os.path.join(root, folder)) for folder in SPLITS.values()]
        if all(found):
            return root
        if any(found):
            missing = list(SPLITS.values())[found.index(False)]
            raise ConversionError(f"{root}: no folder {missing} found; {LAYOUT}.")
    raise ConversionError(f"{source_dir}: no folders training and validation found; {LAYOUT}.")


def _class_clips(root: str, folder: str, class_name: str) -> list[Clip]:
    home = os.path.join(root, folder)
    known = subfolders(home)
    if class_name not in known:
        nearest = difflib.get_close_matches(class_name, known, cutoff=0.4) or known[:5]
        hint = f"nearest: {', '.join(nearest)}" if known else "the folder has no classes"
        raise ConversionError(f"{home}: no class {class_name!r} found; {hint}.")
    index = os.path.join(root, f"{folder}Set.csv")
    if os.path.isfile(index):
        where, files = index, _listed(index, class_name)
    else:
        where = os.path.join(home, class_name)
        files = [f"{class_name}/{name}" for name in file_names(where, ".mp4")]
    if not files:
        raise ConversionError(f"{where}: no videos (*.mp4) of the class {class_name!r} found.")
    return [
        Clip(f"{folder}/{os.path.splitext(file)[0]}", class_name, (os.path.join(home, file),))
        for file in files
    ]


def _listed(index: str, class_name: str) -> list[str]:
    """The files of a class in a CSV file, each once, sorted."""
    files = set()
    with open(index, newline="", encoding="utf-8", errors="replace") as lines:
        rows = csv.reader(lines)
        try:
            for row in rows:
                if row and (len(row) < 2 or not row[0].lower().endswith(".mp4")):
                    raise csv.Error
                if row and row[1].strip() == class_name:
                    files.add(row[0].strip())
        except csv.Error as error:
            raise ConversionError(
                f"{index}: line {rows.line_num} is not <class>/<name>.mp4,<class>,...; get the "
                "file of the release again, or remove it to take all videos in the folder."
            ) from error
    return sorted(files)


def spread(count: int, frames: int) -> np.ndarray:
    """Indices of `frames` frames of `count`, int64: the middle of each of as many equal parts.

    Example:
        >>> spread(9, 3).tolist()
        [1, 4, 7]
    """
    return (2 * np.arange(frames) + 1) * count // (2 * frames)


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: MomentsOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Writes "moments", or e.g. "moments/diving-surfing" (see `tfrecords_tools.converters`)."""
    options = options or MomentsOptions()
    splits = find_clips(source_dir, options.classes)
    frames = options.frames

    def load(clip: Clip) -> Video:
        found = media.open_video(clip.paths[0])
        path = clip.paths[0]
        fitted = media.fit_frames(found, path, SIDE, SIDE, min_frames=frames, flag="--frames")
        video = media.stack_frames(fitted, path)
        rate = found.rate * frames / len(video) if found.rate > 0 else -1.0
        label = options.classes.index(clip.class_name)
        return Video(video[spread(len(video), frames)], clip.id, rate, label)

    default = options.classes == MomentsOptions().classes
    name = "moments" if default else f"moments/{'-'.join(options.classes)}"
    info = DatasetInfo(name, "1", SIDE, SIDE, class_names=options.classes, **ORIGIN)
    return write_dataset(out_dir, info, splits, load, **writing)


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of training and validation.", options=MomentsOptions
)
