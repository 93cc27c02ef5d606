"""Finds the files of a source folder and divides clips into training and test splits."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import NoReturn, TypeVar

import numpy as np

from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.media import IMAGE_SUFFIXES, natural_key

Folder = str | os.PathLike
T = TypeVar("T")
# What systems and network storage put beside files, in lower case; hidden names are not listed.
LITTER = frozenset({
    "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "icon\r",
    "$recycle.bin", "recycler", "recycled", "system volume information", "found.000",
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "lost+found",
    "@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot",
    "@recycle", "@recently-snapshot", "thmbnl",
})  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One video before it is read.

    Args:
        id: unique name in the data set.
        class_name: empty if there is none.
        paths: one file, or the images of the video in order.
        identity: name of the person or object, empty if there is none.
    """

    id: str
    class_name: str
    paths: tuple[str, ...]
    identity: str = ""


def check_source_dir(source_dir: Folder | None, name: str, needs: str) -> str:
    """Returns --source_dir as a string.

    Raises:
        ConversionError: it is not given, or no such folder exists; `needs` says what it is.
    """
    if not source_dir:
        raise ConversionError(f"{name} needs --source_dir, {needs}.")
    if not os.path.isdir(source_dir):
        raise ConversionError(f"{os.fspath(source_dir)}: no such folder; give {needs}.")
    return os.fspath(source_dir)


def refuse_folder(error: OSError) -> NoReturn:
    """Raises ConversionError for a folder that cannot be listed: its videos must not be missed."""
    raise ConversionError(
        f"{error.filename}: cannot be listed ({error.strerror}); check its permissions."
    )


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden or made by a system or network storage.

    Example:
        >>> is_litter("._anna.mp4"), is_litter("@eaDir"), is_litter("anna.mp4")
        (True, True, False)
    """
    return name.startswith(".") or name.lower() in LITTER


def subfolders(folder: str) -> list[str]:
    """Names of the folders in a folder, in natural order, without litter."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        refuse_folder(error)
    return sorted(itertools.filterfalse(is_litter, names), key=natural_key)


def file_names(folder: str, suffixes: str | tuple[str, ...]) -> list[str]:
    """Names of the files in a folder with one of some endings, in natural order, no litter."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        refuse_folder(error)
    names = [name for name in names if name.lower().endswith(suffixes) and not is_litter(name)]
    return sorted(names, key=natural_key)


def image_paths(folder: str) -> tuple[str, ...]:
    """The images in a folder, as `file_names`."""
    return tuple(os.path.join(folder, name) for name in file_names(folder, IMAGE_SUFFIXES))


def walk_folders(source_dir: Folder) -> Iterator[tuple[str, list[str]]]:
    """Every folder below a folder once, with its files in natural order; no litter.

    Links are followed, except to folders that the walk finds without them.
    """
    top = os.fspath(source_dir)
    seen, source = set(), os.path.realpath(top)

    def is_found_without(link: str) -> bool:
        parts = os.path.relpath(os.path.realpath(link), source).split(os.sep)
        return not any(map(is_litter, parts))  # or by ".." out of it

    for folder, below, names in os.walk(top, onerror=refuse_folder, followlinks=True):
        paths = {name: os.path.join(folder, name) for name in below if not is_litter(name)}
        below[:] = sorted(
            name
            for name, path in paths.items()
            if not (os.path.islink(path) and is_found_without(path))
        )
        real = os.path.realpath(folder)
        if real in seen:  # a link back
            below.clear()
            continue
        seen.add(real)
        yield folder, sorted(itertools.filterfalse(is_litter, names), key=natural_key)


def split_clips(clips: Sequence[Clip], test_fraction: float, seed: int) -> dict[str, list[Clip]]:
    """Divides clips into train and test: disjoint, by seed, each class in the same proportion.

    Returns:
        The splits "train" and, unless it would be empty, "test", each in a random order.

    Raises:
        ConversionError: the fraction is not from 0 to below 1, or leaves nothing to train on.
    """
    if not 0 <= test_fraction < 1:
        raise ConversionError(f"test_fraction={test_fraction}: must be from 0 to below 1.")
    wanted = max(1, round(test_fraction * len(clips))) if test_fraction else 0
    if wanted >= len(clips):
        raise ConversionError(
            f"{len(clips)} video(s) cannot be divided into train and test; add videos or give "
            "--test_fraction=0."
        )
    shuffled = [clips[k] for k in np.random.default_rng(seed).permutation(len(clips))]
    sizes = collections.Counter(clip.class_name for clip in clips)
    seen: collections.Counter[str] = collections.Counter()
    places = []  # place of a clip in its class, from 0 to 1: the lowest of all make the test split
    for name in (clip.class_name for clip in shuffled):
        places.append((seen[name] + 0.5) / sizes[name])
        seen[name] += 1
    in_test = set(np.argsort(places, kind="stable")[:wanted].tolist())
    return named_splits(shuffled, [k in in_test for k in range(len(shuffled))])


def named_splits(clips: Sequence[T], in_test: Sequence[bool]) -> dict[str, list[T]]:
    """The splits "train" and, unless it would be empty, "test", in the order of `clips`."""
    train = [clip for clip, held_out in zip(clips, in_test, strict=True) if not held_out]
    test = [clip for clip, held_out in zip(clips, in_test, strict=True) if held_out]
    return {"train": train, "test": test} if test else {"train": train}
