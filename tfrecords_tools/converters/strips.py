"""Reads the sample data of MoCoGAN: strips, wide images of 64x64 frames side by side."""

import os
import re
from collections.abc import Mapping

import numpy as np

from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, file_names

SIDE = 64


def find_strips(
    source_dir: Folder | None, classes: Mapping[str, str], suffix: str, source: str
) -> dict[int, Clip]:
    """Lists the strips of all classes by number, which is unique among all folders.

    `classes` has the class name by subfolder of `source_dir`, `suffix` is the ending of the strips,
    and `source` says in messages where they come from. Other and hidden files are ignored. An id is
    for instance "bend/00000006".
    """
    needs = f"a folder with the folders {', '.join(classes)} of {source}"
    source_dir = check_source_dir(source_dir, "MoCoGAN's data", needs)
    strips: dict[int, Clip] = {}
    for folder, class_name in classes.items():
        where = os.path.join(source_dir, folder)
        names = file_names(where, suffix) if os.path.isdir(where) else []
        if not names:
            raise ConversionError(f"{where}: no strips (*{suffix}) found; give {needs}.")
        for name in names:
            path = os.path.join(where, name)
            stem = os.path.splitext(name)[0]
            if not re.fullmatch(r"[0-9]+", stem):
                what = f"expected a number as name, for instance 00000042{suffix}"
                raise ConversionError(f"{path}: {what}; rename or remove it.")
            if other := strips.get(int(stem)):
                what = f"{other.paths[0]} has the same number"
                raise ConversionError(f"{path}: {what}; remove one of them.")
            strips[int(stem)] = Clip(f"{class_name}/{int(stem):08d}", class_name, (path,))
    return {number: strips[number] for number in sorted(strips)}


def read_strip(strip: Clip, frames: int | None = None) -> np.ndarray:
    """The frames of a strip, unchanged: uint8 RGB [T, 64, 64, 3].

    Raises:
        UnreadableMedia: the file is broken, or has frames of another size or number.
    """
    video = np.stack(list(media.iterate_strip(strip.paths[0])))  # [T, H, W, C]
    if video.shape[1] != SIDE or frames not in (None, len(video)):
        count = "" if frames is None else f"{frames} "
        raise UnreadableMedia(
            f"{strip.paths[0]}: {len(video)} frames of {video.shape[1]}x{video.shape[2]}, expected "
            f"{count}frames of {SIDE}x{SIDE}"
        )
    return video
