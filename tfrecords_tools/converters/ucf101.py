"""Reads UCF101 (Soomro, Zamir and Shah 2012): 13,320 videos of 101 actions, as JPEG frames.

    kerasvid data ucf101 --source_dir=UCF --out_dir=data/ucf101
    kerasvid data ucf101 --fold=2 --height=128 --width=128 ...

--source_dir has the folders of the classes, in it or in UCF-101, and the lists of the release, in
it or in ucfTrainTestlist:

    UCF-101/Archery/v_Archery_g01_c01.avi     clip 1 of group 1 of a class, 320x240
    ucfTrainTestlist/classInd.txt             3 Archery
    ucfTrainTestlist/trainlist01.txt          Archery/v_Archery_g08_c01.avi 3
    ucfTrainTestlist/testlist01.txt           Archery/v_Archery_g01_c01.avi

--fold says which of the three pairs of lists makes the splits "train" and "test". The label is the
number in classInd.txt less 1. The clips of a group show the same persons at the same place: the
identity is the group, for instance Archery_g08, and no group is in both splits. Names are compared
without upper and lower case, as the release writes both HandstandPushups and HandStandPushups.
"""

import dataclasses
import functools
import os
import re
from typing import Any

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, file_names, subfolders

SPLITS = {"train": "trainlist", "test": "testlist"}  # the list of each
INDEX = "classInd.txt"
VIDEOS, LISTS = "UCF-101", "ucfTrainTestlist"  # the folders of the release
SOURCE = "https://www.crcv.ucf.edu/data/UCF101.php"
LICENCE = "its page has the terms; the videos are those of YouTube's users"
CITATION = (
    "K. Soomro, A. R. Zamir and M. Shah. UCF101: A Dataset of 101 Human Actions Classes From "
    "Videos in The Wild. CRCV-TR-12-01, 2012. arXiv:1212.0402."
)
ORIGIN: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": CITATION}
_LINE = re.compile(r"(\w+)/(v_(\w+)_(g\d+)_c\d+)[.]avi(?:\s+(\d+))?", re.IGNORECASE)
_NEEDS = (
    f"the folder of {VIDEOS} and {LISTS}; unpack the videos and the lists for action recognition "
    f"of {SOURCE} there ({LICENCE}: {CITATION})"
)


@dataclasses.dataclass(frozen=True)
class UcfOptions(Options):
    """Which lists are read, and the size of the frames."""

    fold: int = option(1, "Number of the lists that divide the videos: 1, 2 or 3.", 1, 3)
    height: int = option(64, "Height of a frame in pixels.", 1)
    width: int = option(64, "Width of a frame in pixels.", 1)


def read_classes(path: str) -> list[str]:
    """The names of the classes in classInd.txt, by their numbers from 1 on.

    Raises:
        ConversionError: a line is not a number and a name, or the numbers have a gap.
    """
    names: dict[int, str] = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            match = re.fullmatch(r"(\d+)\s+(\w+)", line.strip())
            if match:
                names[int(match[1])] = match[2]
            elif line.strip():
                raise ConversionError(
                    f"{path}: line {number} is not <number> <class>; get the lists again at "
                    f"{SOURCE}."
                )
    if not names or sorted(names) != list(range(1, len(names) + 1)):
        raise ConversionError(
            f"{path}: the numbers of the classes are not 1, 2, 3, ...; get the lists again at "
            f"{SOURCE}."
        )
    return [names[number] for number in sorted(names)]


def find_clips(
    source_dir: Folder | None, fold: int = 1, skip_missing: bool = False
) -> tuple[dict[str, list[Clip]], list[str]]:
    """Lists the videos of both splits in the order of their lists, and the names of the classes.

    An id is for instance "Archery/v_Archery_g08_c01".

    Args:
        source_dir: the folder of the release.
        fold: number of the lists.
        skip_missing: also return clips whose file is missing; reading names each of them.

    Raises:
        ConversionError: a folder or a list is missing or has another format, or a file is missing.
    """
    source_dir = check_source_dir(source_dir, "ucf101", _NEEDS)
    lists = _find_lists(source_dir)
    class_names = read_classes(os.path.join(lists, INDEX))
    finder = _VideoFinder(_find_root(source_dir, class_names))
    splits, missing = {}, []
    for split, start in SPLITS.items():
        path = os.path.join(lists, f"{start}{fold:02d}.txt")
        if not os.path.isfile(path):
            raise ConversionError(f"{path}: no such file; get the lists again at {SOURCE}.")
        splits[split] = _read_list(path, class_names, finder)
        missing += [(c.paths[0], path) for c in splits[split] if not os.path.isfile(c.paths[0])]
    if missing and not skip_missing:
        file, path = missing[0]
        others = f", and so are {len(missing) - 1} more files" if len(missing) > 1 else ""
        raise ConversionError(
            f"{file}: missing, but listed in {path}{others}; unpack the videos again, or skip "
            "missing files with --skip_unreadable."
        )
    return splits, class_names


def _find_lists(source_dir: str) -> str:
    """The folder of the lists."""
    for folder in (source_dir, os.path.join(source_dir, LISTS)):
        if os.path.isfile(os.path.join(folder, INDEX)):
            return folder
    raise ConversionError(
        f"{source_dir}: no {INDEX} found, here or in {LISTS}; get the lists for action "
        f"recognition at {SOURCE}."
    )


def _find_root(source_dir: str, class_names: list[str]) -> str:
    """The folder of the classes."""
    known = {name.lower() for name in class_names}
    for root in (source_dir, os.path.join(source_dir, VIDEOS)):
        if os.path.isdir(root) and any(name.lower() in known for name in subfolders(root)):
            return root
    raise ConversionError(
        f"{source_dir}: no folder of a class of {INDEX} found, here or in {VIDEOS}; expected "
        f"{VIDEOS}/<class>/v_<class>_g<group>_c<clip>.avi."
    )


class _VideoFinder:
    """Finds files by class and name, without upper and lower case; lists each folder once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._folders = {name.lower(): name for name in subfolders(root)}
        self._files: dict[str, dict[str, str]] = {}

    def path(self, class_name: str, name: str) -> str:
        folder = os.path.join(self.root, self._folders.get(class_name.lower(), class_name))
        if folder not in self._files:
            names = file_names(folder, ".avi") if os.path.isdir(folder) else []
            self._files[folder] = {found.lower(): found for found in names}
        return os.path.join(folder, self._files[folder].get(name.lower(), name))


def _read_list(path: str, class_names: list[str], finder: _VideoFinder) -> list[Clip]:
    numbers = {name.lower(): number for number, name in enumerate(class_names, 1)}
    clips = []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line_number, line in enumerate(map(str.strip, lines), 1):
            if not line:
                continue
            match = _LINE.fullmatch(line)
            number = numbers.get(match[1].lower()) if match else None
            if not match or not number or match[1].lower() != match[3].lower():
                raise ConversionError(
                    f"{path}: line {line_number} is not <class>/v_<class>_g<group>_c<clip>.avi "
                    f"with a class of {INDEX}; get the lists again at {SOURCE}."
                )
            if match[5] and int(match[5]) != number:
                raise ConversionError(
                    f"{path}: line {line_number} has the class {match[5]}, but {INDEX} has "
                    f"{number} for {match[1]}; get the lists again at {SOURCE}."
                )
            name = class_names[number - 1]
            file = finder.path(name, f"{match[2]}.avi")
            clips.append(Clip(f"{name}/{match[2]}", name, (file,), f"{name}_{match[4].lower()}"))
    if not clips:
        raise ConversionError(f"{path}: lists no videos; get the lists again at {SOURCE}.")
    return clips


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: UcfOptions | None = None,
    *,
    skip_unreadable: bool = False,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "ucf101", or e.g. "ucf101/2" (see `tfrecords_tools.converters`)."""
    options = options or UcfOptions()
    splits, class_names = find_clips(source_dir, options.fold, skip_unreadable)
    groups = {clip.identity for clips in splits.values() for clip in clips}
    group_names = sorted(groups, key=media.natural_key)
    labels = {name: number for number, name in enumerate(class_names)}
    identities = {name: number for number, name in enumerate(group_names)}

    def load(clip: Clip) -> Video:
        path = clip.paths[0]
        found = media.open_video(path)
        fitted = media.fit_frames(found, path, options.height, options.width)
        frames = media.stack_frames(fitted, path)
        label, identity = labels[clip.class_name], identities[clip.identity]
        return Video(frames, clip.id, found.rate, label, identity)

    info = DatasetInfo(
        "ucf101" if options.fold == 1 else f"ucf101/{options.fold}",
        "1",
        options.height,
        options.width,
        encoding="jpeg",
        class_names=tuple(class_names),
        identity_names=tuple(group_names),
        **ORIGIN,
    )
    writing["skip_unreadable"] = skip_unreadable
    return write_dataset(out_dir, info, splits, load, **writing)


main = functools.partial(
    run_converter, __doc__, prepare, f"Folder of {VIDEOS} and {LISTS}.", options=UcfOptions
)
