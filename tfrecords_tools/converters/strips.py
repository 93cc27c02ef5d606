"""Reads MoCoGAN's sample data: folders of strips, wide images of 64x64 frames side by side."""

import dataclasses
import os
import re
from collections.abc import Mapping

import numpy as np

from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia

SIDE = 64


@dataclasses.dataclass(frozen=True)
class Strip:
    """One strip: its number, which counts over all folders, its class and its file."""

    number: int
    class_name: str
    path: str

    @property
    def id(self) -> str:
        """For instance "bend/00000006"."""
        return f"{self.class_name}/{self.number:08d}"


def find_strips(
    source_dir: str | os.PathLike | None, classes: Mapping[str, str], suffix: str, source: str
) -> list[Strip]:
    """Lists the strips of all classes, by number, without reading them.

    Args:
        source_dir: folder with a subfolder a class.
        classes: class name by subfolder.
        suffix: of the strips, e.g. ".png"; hidden files and those of other kinds are left alone.
        source: where the strips come from, for the messages.

    Raises:
        ConversionError: no source_dir, a subfolder is missing or holds no strips, a name is no
            number, or two strips have the same.
    """
    layout = f"--source_dir must hold the folders {', '.join(classes)} of {source}"
    if not source_dir:
        raise ConversionError(f"no --source_dir: {layout}")
    strips: dict[int, Strip] = {}
    for folder, class_name in classes.items():
        where = os.path.join(source_dir, folder)
        if not os.path.isdir(where):
            raise ConversionError(f"no folder {where}: {layout}")
        names = [n for n in sorted(os.listdir(where)) if n.lower().endswith(suffix) and n[0] != "."]
        if not names:
            raise ConversionError(f"{where}: no strips (*{suffix}) in it; {layout}")
        for name in names:
            strip = _strip(where, name, class_name)
            if other := strips.get(strip.number):
                raise ConversionError(
                    f"{strip.path}: {other.path} has the same number; remove one of them."
                )
            strips[strip.number] = strip
    return [strips[number] for number in sorted(strips)]


def _strip(where: str, name: str, class_name: str) -> Strip:
    path = os.path.join(where, name)
    stem, suffix = os.path.splitext(name)
    if not re.fullmatch(r"[0-9]+", stem):
        raise ConversionError(
            f"{path}: expected a number for a name, as 00000042{suffix}; rename or remove it."
        )
    return Strip(int(stem), class_name, path)


def read_strip(strip: Strip, frames: int | None = None) -> np.ndarray:
    """The frames of a strip, unchanged.

    Args:
        strip: which one.
        frames: how many there must be, by default any number.

    Returns:
        uint8 RGB [T, 64, 64, 3].

    Raises:
        UnreadableMedia: the file is broken, or frames have another size or number.
    """
    video = np.stack(list(media.iterate_strip(strip.path)))  # [T, H, W, C]
    if video.shape[1] != SIDE or frames not in (None, len(video)):
        count = "" if frames is None else f"{frames} "
        raise UnreadableMedia(
            f"{strip.path}: {len(video)} frames of {video.shape[1]}x{video.shape[2]}, expected "
            f"{count}frames of {SIDE}x{SIDE}"
        )
    return video
