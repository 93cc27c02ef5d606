"""Reads classes of Moments in Time (Monfort et al. 2019): videos of three seconds.

    kerasvid data moments --source_dir=Moments_in_Time_Raw --out_dir=data/moments
    kerasvid data moments --classes=diving,surfing ...

--source_dir is the folder of the release, or the one above it:

    Moments_in_Time_Raw/training/<class>/<name>.mp4      trainingSet.csv
    Moments_in_Time_Raw/validation/<class>/<name>.mp4    validationSet.csv

A line of the CSV files is <class>/<name>.mp4,<class>,<agreeing>,<disagreeing annotators>, without
a header, as the README.txt of the release explains. Where such a file is there, it tells the
videos of its folder; else all in the folder count. moments_categories.txt, the classes with their
numbers, is not needed: here labels are the places in --classes.

"Generating Video from Images" (Penington, Teo and Wang) takes erupting and skiing, the default, at
30 frames of 64x64. Of each video, 30 frames spread evenly are resized and cropped to the centre.
The release's training folder is the split "train" and validation, 100 videos a class by the paper,
as many as in the tests of that work, is "test".
"""

import csv
import dataclasses
import difflib
import os
from collections.abc import Sequence

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import run_with_options

SIDE = 64
SPLITS = {"train": "training", "test": "validation"}  # the folder of each
LAYOUT = "expected training/<class>/<name>.mp4 and validation/<class>/<name>.mp4"
SOURCE = "http://moments.csail.mit.edu/"
LICENCE = f"under the licence of the data set, granted on application ({SOURCE})"
CITATION = (
    "M. Monfort, A. Andonian, B. Zhou et al. Moments in Time Dataset: One Million Videos for Event "
    "Understanding. PAMI 2019. arXiv:1801.03150."
)


@dataclasses.dataclass(frozen=True)
class MomentsOptions:
    """Which videos are read, and how.

    Args:
        classes: their names, in the order of the labels.
        frames: of a record; shorter videos count as unreadable.

    Raises:
        ConversionError: there is no class, one is there twice, or frames is below 1.
    """

    classes: tuple[str, ...] = ("erupting", "skiing")
    frames: int = 30

    def __post_init__(self) -> None:
        if not all(self.classes) or len(set(self.classes)) < max(1, len(self.classes)):
            raise ConversionError(
                f"classes={','.join(self.classes)}: name one class or more, each once."
            )
        if self.frames < 1:
            raise ConversionError(f"frames={self.frames}: must be 1 or more.")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video: its id, e.g. "training/skiing/yt-abc_3", its class and its file."""

    id: str
    class_name: str
    path: str


def find_clips(source_dir: str | os.PathLike, classes: Sequence[str]) -> dict[str, list[Clip]]:
    """Lists the videos of some classes, without looking for those that the CSV files name.

    Args:
        source_dir: the folder of training and validation, or the one above it.
        classes: their names.

    Returns:
        The splits "train" and "test", each by class and name.

    Raises:
        ConversionError: a folder is absent, a class is unknown or has no videos, or a CSV file
            is in another format.

    Example:
        >>> find_clips("Moments_in_Time_Raw", ["skiing"])["test"][0].class_name
        'skiing'
    """
    root = _find_root(os.fspath(source_dir))
    return {
        split: [clip for name in classes for clip in _class_clips(root, folder, name)]
        for split, folder in SPLITS.items()
    }


def _find_root(source_dir: str) -> str:
    """The folder of training and validation."""
    if not os.path.isdir(source_dir):
        raise ConversionError(f"{source_dir}: no such folder; {LAYOUT} in it.")
    below = [os.path.join(source_dir, name) for name in _subfolders(source_dir)]
    for root in (source_dir, *below):
        there = [os.path.isdir(os.path.join(root, folder)) for folder in SPLITS.values()]
        if all(there):
            return root
        if any(there):
            missing = list(SPLITS.values())[there.index(False)]
            raise ConversionError(f"{root}: no folder {missing} in it; {LAYOUT}.")
    raise ConversionError(f"{source_dir}: no folders training and validation in it; {LAYOUT}.")


def _subfolders(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")


def _class_clips(root: str, folder: str, class_name: str) -> list[Clip]:
    home = os.path.join(root, folder)
    there = _subfolders(home)
    if class_name not in there:
        nearest = difflib.get_close_matches(class_name, there, cutoff=0.4) or there[:5]
        raise ConversionError(
            f"{home}: no class {class_name!r} in it; "
            + (f"nearest: {', '.join(nearest)}." if there else "it holds no folders of classes.")
        )
    index = os.path.join(root, f"{folder}Set.csv")
    if os.path.isfile(index):
        files = _listed(index, class_name)
    else:
        names = sorted(os.listdir(os.path.join(home, class_name)))
        files = [f"{class_name}/{n}" for n in names if n.lower().endswith(".mp4") and n[0] != "."]
    if not files:
        where = index if os.path.isfile(index) else os.path.join(home, class_name)
        raise ConversionError(f"{where}: no videos (*.mp4) of the class {class_name!r} in it.")
    return [
        Clip(f"{folder}/{os.path.splitext(file)[0]}", class_name, os.path.join(home, file))
        for file in files
    ]


def _listed(index: str, class_name: str) -> list[str]:
    """The files of a class that a CSV file names, each once, sorted."""
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
    """Which `frames` of `count` to take: the middle one of each of as many equal parts.

    Returns:
        Ascending int64 [frames]; no frame twice where `count` is `frames` or more.

    Example:
        >>> spread(9, 3).tolist()
        [1, 4, 7]
    """
    return (2 * np.arange(frames) + 1) * count // (2 * frames)


def read_clip(clip: Clip, frames: int, label: int) -> Video:
    """Frames spread evenly over a video, resized and cropped to the centre.

    Returns:
        The video, frames uint8 RGB [frames, 64, 64, 3], at its own rate, -1 where unknown.

    Raises:
        UnreadableMedia: the file cannot be read, or has fewer frames.
    """
    path = clip.path
    video = media.stack_frames(media.iterate_video(path), path, SIDE, SIDE, None)  # [T, H, W, C]
    if len(video) < frames:
        raise UnreadableMedia(f"{path}: {len(video)} frames of {frames} at least")
    rate = media.frame_rate(path)
    rate = rate * frames / len(video) if rate > 0 else -1.0
    return Video(video[spread(len(video), frames)], clip.id, rate, label)


def prepare(
    out_dir: str | os.PathLike,
    source_dir: str | os.PathLike | None = None,
    options: MomentsOptions | None = None,
    *,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> DatasetInfo:
    """Writes the data set "moments", or "moments/diving-surfing" and the like.

    Args:
        out_dir: folder of the data set, which appears when it is complete.
        source_dir: the folder of training and validation, or the one above it.
        options: which videos are read, and how, by default `MomentsOptions()`.
        skip_unreadable: leave out videos that cannot be read or are too short, with a line each.
        overwrite: replace a data set that is already there.
        progress: show a line of progress on stderr.

    Returns:
        The description of the data set.

    Raises:
        ConversionError: no source_dir, see `find_clips`, videos unreadable or too short (each
            named), or out_dir exists.

    Example:
        prepare("data/diving", "Moments_in_Time_Raw", MomentsOptions(classes=("diving",)))
    """
    if not source_dir:
        raise ConversionError(
            "moments needs --source_dir, the folder of training and validation: Moments in Time "
            f"needs an application, the form is at {SOURCE} ({CITATION})"
        )
    options = options or MomentsOptions()
    splits = find_clips(source_dir, options.classes)
    default = options.classes == MomentsOptions().classes

    def load(clip: Clip) -> Video:
        return read_clip(clip, options.frames, options.classes.index(clip.class_name))

    info = DatasetInfo(
        "moments" if default else f"moments/{'-'.join(options.classes)}",
        "1", height=SIDE, width=SIDE, channels=3, fps=-1.0,  # the files tell their rate
        class_names=options.classes,
        licence=LICENCE, source=SOURCE, citation=CITATION,
    )  # fmt: skip
    return write_dataset(
        os.fspath(out_dir), info, splits, load,
        skip_unreadable=skip_unreadable, overwrite=overwrite, progress=progress,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line on stderr and status 1."""
    texts = {
        "classes": "Names of the classes, in the order of the labels.",
        "frames": "How many frames to take of each video, spread evenly.",
    }
    source_help = "Folder of training and validation."
    run_with_options(__doc__, prepare, MomentsOptions, texts, source_help, arguments)


if __name__ == "__main__":
    main()
