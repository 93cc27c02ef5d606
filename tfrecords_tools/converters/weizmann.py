"""Makes the Weizmann data sets: people in front of a wall, each in the same actions, 64x64.

    kerasvid data weizmann --variant=avi --source_dir=VIDEOS --out_dir=data/weizmann
    kerasvid data weizmann --variant=strips --source_dir=STRIPS \\
        --out_dir=data/weizmann-strips

`avi` reads <person>_<action>[number].avi at any depth below --source_dir: nine persons in ten
actions, 180x144. Frames are resized and cropped to the centre. The papers train on all videos; here
the test split has one person of each action, by seed, who stays in training with other actions.

`strips` reads the sample data of MoCoGAN: 72 strips, nine persons in four actions, each video
followed by its mirror image. The strips 8n to 8n + 7 show the same person, as seen by looking. The
test split has one person of each action (`STRIP_TEST_PERSONS`): 8 strips.
"""

import functools
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import run_converter
from tfrecords_tools.converters.strips import find_strips, read_strip
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, named_splits, walk_folders

SIDE = 64
PERSONS = ("daria", "denis", "eli", "ido", "ira", "lena", "lyova", "moshe", "shahar")
ACTIONS = (
    "bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2",
)  # fmt: skip
PATTERN = re.compile(f"({'|'.join(PERSONS)})_({'|'.join(ACTIONS)})([0-9]*)[.]avi", re.IGNORECASE)
SPLIT_SEED = 0
SOURCE = "http://www.wisdom.weizmann.ac.il/~vision/SpaceTimeActions.html"
LICENCE = "for research, with citation; its page has the terms"
CITATION = (
    "L. Gorelick, M. Blank, E. Shechtman, M. Irani and R. Basri. Actions as Space-Time Shapes. "
    "PAMI 29(12), 2007."
)
ORIGIN: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": CITATION}
STRIP_CLASSES = {"0": "wave1", "1": "wave2", "3": "jack", "4": "bend"}
STRIP_ORDER = ("wave2", "wave1", "jack", "bend")  # actions of a person's eight strips
STRIP_PERSONS = 9
STRIP_TEST_PERSONS = {"wave1": 1, "wave2": 3, "jack": 5, "bend": 7}
STRIP_FPS = 25.0
STRIP_SOURCE = "data/actions of https://github.com/sergeytulyakov/mocogan"
_NEEDS = f"the folder of the AVI files; unpack those of {SOURCE} there ({LICENCE}: {CITATION})"


def parse_name(path: str) -> Clip:
    """The clip of a file, for instance lena_walk2.avi: its id, action and person."""
    match = PATTERN.fullmatch(os.path.basename(path))
    if not match:
        raise ConversionError(
            f"{path}: expected <person>_<action>[number].avi with a person of {', '.join(PERSONS)} "
            f"and an action of {', '.join(ACTIONS)}; rename it or move it elsewhere."
        )
    person, action = match[1].lower(), match[2].lower()
    return Clip(f"{person}_{action}{match[3]}", action, (path,), person)


def find_clips(source_dir: Folder | None) -> list[Clip]:
    """Lists the AVI files in a folder, at any depth, by person, action and take.

    Raises:
        ConversionError: the folder is missing, cannot be listed or has no AVI files, a name does
            not follow the database, or a video is there twice.
    """
    source_dir = check_source_dir(source_dir, "weizmann", _NEEDS)
    clips: dict[str, Clip] = {}
    for folder, names in walk_folders(source_dir):
        for name in (name for name in names if name.lower().endswith(".avi")):
            clip = parse_name(os.path.join(folder, name))
            if other := clips.get(clip.id):
                # Else one copy could be in each split.
                raise ConversionError(
                    f"{clip.paths[0]}: {other.paths[0]} is the same video; remove one of them."
                )
            clips[clip.id] = clip
    if not clips:
        raise ConversionError(f"{source_dir}: no AVI files found; give {_NEEDS}.")
    return [clips[name] for name in sorted(clips)]


def split_clips(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """The splits; "test" has one person of each action, by turns as far as possible.

    An action of a single person stays in the training split.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(PERSONS))
    held_out = set()
    for number, action in enumerate(ACTIONS):
        found = {clip.identity for clip in clips if clip.class_name == action}
        turns = [PERSONS[k] for k in np.roll(order, -number)]
        if len(found) > 1:
            held_out.add((next(person for person in turns if person in found), action))
    return named_splits(clips, [(clip.identity, clip.class_name) in held_out for clip in clips])


def prepare_avi(out_dir: Folder, source_dir: Folder | None, **writing: bool) -> DatasetInfo:
    """Writes the data set "weizmann" from the AVI files (see `tfrecords_tools.converters`)."""
    splits = split_clips(find_clips(source_dir))

    def load(clip: Clip) -> Video:
        found = media.open_video(clip.paths[0])
        path = clip.paths[0]
        frames = media.stack_frames(media.fit_frames(found, path, SIDE, SIDE), path)
        label, identity = ACTIONS.index(clip.class_name), PERSONS.index(clip.identity)
        return Video(frames, clip.id, found.rate, label, identity)

    names: dict[str, Any] = {"class_names": ACTIONS, "identity_names": PERSONS}
    info = DatasetInfo("weizmann", "1", SIDE, SIDE, **names, **ORIGIN)
    return write_dataset(out_dir, info, splits, load, **writing)


def person_of(number: int, strip: Clip) -> int:
    """Number of the person in a strip, 0..8; ConversionError if it is not a known strip."""
    person, place = divmod(number, 2 * len(STRIP_ORDER))
    if person >= STRIP_PERSONS or STRIP_ORDER[place // 2] != strip.class_name:
        raise ConversionError(
            f"{strip.paths[0]}: not one of {STRIP_SOURCE}. Its numbers 0 to 71 are two strips each "
            f"of {', '.join(STRIP_ORDER)}, then the strips of the next person; remove the file."
        )
    return person


def prepare_strips(out_dir: Folder, source_dir: Folder | None, **writing: bool) -> DatasetInfo:
    """Writes the data set "weizmann/strips" of MoCoGAN (see `tfrecords_tools.converters`)."""
    strips = find_strips(source_dir, STRIP_CLASSES, ".jpg", STRIP_SOURCE)
    persons = {strip.id: person_of(number, strip) for number, strip in strips.items()}
    splits: dict[str, list[Clip]] = {"train": [], "test": []}
    for strip in strips.values():
        held_out = STRIP_TEST_PERSONS[strip.class_name] == persons[strip.id]
        splits["test" if held_out else "train"].append(strip)
    class_names = tuple(STRIP_CLASSES.values())

    def load(strip: Clip) -> Video:
        label = class_names.index(strip.class_name)
        return Video(read_strip(strip), strip.id, STRIP_FPS, label, persons[strip.id])

    people = tuple(f"person-{number}" for number in range(STRIP_PERSONS))
    licence = f"sample data of MoCoGAN, for non-commercial use; the videos {LICENCE}"
    about: dict[str, Any] = {"class_names": class_names, "identity_names": people}
    about |= {"licence": licence, "source": STRIP_SOURCE, "citation": CITATION}
    info = DatasetInfo("weizmann/strips", "1", SIDE, SIDE, 3, STRIP_FPS, **about)
    return write_dataset(out_dir, info, splits, load, **writing)


main = functools.partial(
    run_converter,
    __doc__,
    {"avi": prepare_avi, "strips": prepare_strips},
    "Folder of the videos, or of the strips.",
)
