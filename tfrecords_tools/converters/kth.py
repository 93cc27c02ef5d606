"""Reads the KTH actions (Schuldt, Laptev and Caputo 2004): 25 persons in six actions, grey, 64x64.

    kerasvid data kth --source_dir=VIDEOS --out_dir=data/kth
    kerasvid data kth --split=prediction ...

--source_dir has the unpacked archives, at any depth, and the list of the release:

    person01_boxing_d1_uncomp.avi    person 01 to 25, action, scenario d1 to d4, 160x120
    00sequences.txt                  person01_boxing_d1  frames  1-95, 96-185, 186-245, 246-360

A video shows an action several times. 00sequences.txt gives the frames of each time, counted from 1
and with the last one. Each is a clip, for instance person01_boxing_d1_2: 2,391 in all. Without the
list, a whole video is a clip, with the frames in which nobody is seen. Frames are resized and
cropped to the centre.

--split=official has the persons of the paper: 8 in "train", 8 in "validation", 9 in "test".
--split=prediction is the one of Villegas et al. (ICLR 2017), which papers on prediction follow:
persons 1 to 16 in "train", 17 to 25 in "test". (The code of Denton and Fergus, "Stochastic Video
Generation with a Learned Prior", has persons 1 to 20 and 21 to 25.)

The release lacks person13_handclapping_d3, and of person01_boxing_d4 only 304 of 370 frames can be
read (`READABLE_FRAMES`): its fourth clip is shorter than in the list.
"""

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import cv2

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, walk_folders

SIDE = 64
PERSONS = tuple(f"person{number:02d}" for number in range(1, 26))
ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
SCENARIOS = 4  # outdoors, with a change of scale, in other clothes, indoors
SPLITS = {
    "official": {
        "train": (11, 12, 13, 14, 15, 16, 17, 18),
        "validation": (19, 20, 21, 23, 24, 25, 1, 4),
        "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
    },
    "prediction": {"train": tuple(range(1, 17)), "test": tuple(range(17, 26))},
}  # numbers of the persons
INDEX = "00sequences.txt"
READABLE_FRAMES = {"person01_boxing_d4": 304}  # the file of the release is cut short
SOURCE = "https://www.csc.kth.se/cvap/actions/"
LICENCE = "publicly available; its page has the terms"
CITATION = (
    "C. Schuldt, I. Laptev and B. Caputo. Recognizing Human Actions: A Local SVM Approach. "
    "ICPR 2004."
)
ORIGIN: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": CITATION}
_VIDEO = re.compile(rf"((person(?:0[1-9]|1[0-9]|2[0-5]))_({'|'.join(ACTIONS)})_d([1-{SCENARIOS}]))")
_FILE = re.compile(rf"{_VIDEO.pattern}_uncomp[.]avi", re.IGNORECASE)
# "frames" without numbers and "*missing*" stand for a video that the release lacks.
_LINE = re.compile(
    r"(person\w+_d\d)\s+(?:frames(?:\s+(\d+-\d+(?:\s*,\s*\d+-\d+)*)\s*,?)?|\*missing\*)"
)
_NEEDS = (
    f"the folder of the AVI files and {INDEX}; unpack the archives of {SOURCE} there "
    f"({LICENCE}: {CITATION})"
)


@dataclasses.dataclass(frozen=True)
class KthOptions(Options):
    """Which persons are in which split."""

    split: str = option(
        "official",
        "Division of the persons: official (8 train, 8 validation, 9 test) or prediction (16 "
        "train, 9 test).",
        choices=tuple(SPLITS),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class KthVideo(Clip):
    """A video and the (first, last) frames of its clips, counted from 1; none: one clip, whole."""

    scenario: int = 0
    ranges: tuple[tuple[int, int], ...] = ()


def parse_name(path: str) -> KthVideo:
    """The video of a file, for instance person01_boxing_d1_uncomp.avi, without its ranges."""
    match = _FILE.fullmatch(os.path.basename(path))
    if not match:
        raise ConversionError(
            f"{path}: expected person<01 to 25>_<action>_d<1 to {SCENARIOS}>_uncomp.avi with an "
            f"action of {', '.join(ACTIONS)}; rename it or move it elsewhere."
        )
    name, person, action = (match[group].lower() for group in (1, 2, 3))
    return KthVideo(name, action, (path,), person, scenario=int(match[4]) - 1)


def read_index(path: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """The ranges of frames of each video in 00sequences.txt, in its order; none: it is missing.

    Ranges may overlap and need not be in the order of time, as in the release.

    Raises:
        ConversionError: a line of a video has another format, or no line is of a video.
    """
    ranges: dict[str, tuple[tuple[int, int], ...]] = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(map(str.strip, lines), 1):
            if not re.match(r"person\d+_", line):  # the text above the list
                continue
            match = _LINE.fullmatch(line)
            pairs = re.findall(r"(\d+)-(\d+)", match[2] or "") if match else []
            found = tuple((int(first), int(last)) for first, last in pairs)
            if not match or not all(1 <= first <= last for first, last in found):
                raise ConversionError(
                    f"{path}: line {number} is not <video> frames <first>-<last>, ...; get the "
                    f"file again at {SOURCE}, or remove it to take whole videos."
                )
            ranges[match[1]] = found
    if not ranges:
        raise ConversionError(
            f"{path}: lists no videos; get the file again at {SOURCE}, or remove it to take whole "
            "videos."
        )
    return ranges


def find_videos(source_dir: Folder | None) -> list[KthVideo]:
    """Lists the AVI files in a folder, at any depth, by name, with their ranges of frames.

    Reports on stderr that there is no 00sequences.txt, or how many of its videos are missing.

    Raises:
        ConversionError: the folder is missing, cannot be listed or has no AVI files, a name does
            not follow the database, a video is there twice or is not in 00sequences.txt, or this
            file has another format.
    """
    source_dir = check_source_dir(source_dir, "kth", _NEEDS)
    videos: dict[str, KthVideo] = {}
    index = None
    for folder, names in walk_folders(source_dir):
        if INDEX in names:
            index = index or os.path.join(folder, INDEX)
        for name in (name for name in names if name.lower().endswith(".avi")):
            video = parse_name(os.path.join(folder, name))
            if other := videos.get(video.id):
                raise ConversionError(
                    f"{video.paths[0]}: {other.paths[0]} is the same video; remove one of them."
                )
            videos[video.id] = video
    if not videos:
        raise ConversionError(f"{source_dir}: no AVI files found; give {_NEEDS}.")
    found = [videos[name] for name in sorted(videos)]
    if index is None:
        print(f"{source_dir}: no {INDEX} found; whole videos are read, with the frames in which "
              "nobody is seen", file=sys.stderr)  # fmt: skip
        return found
    ranges = read_index(index)
    for video in found:
        if not ranges.get(video.id):
            raise ConversionError(
                f"{video.paths[0]}: {index} lists no frames of it; get the list again at {SOURCE}, "
                "or remove it to take whole videos."
            )
    listed = [name for name in ranges if ranges[name]]
    if missing := [name for name in listed if name not in videos]:
        print(f"left out {len(missing)} of {len(listed)} videos of {INDEX} that are not there, the "
              f"first is {missing[0]}", file=sys.stderr)  # fmt: skip
    return [dataclasses.replace(video, ranges=ranges[video.id]) for video in found]


def split_videos(videos: Sequence[KthVideo], split: str) -> dict[str, list[KthVideo]]:
    """Divides videos by person as `SPLITS` says; a split without videos is left out."""
    splits = {
        name: [video for video in videos if PERSONS.index(video.identity) + 1 in persons]
        for name, persons in SPLITS[split].items()
    }
    if not splits["train"]:
        persons = ", ".join(map(str, SPLITS[split]["train"]))
        raise ConversionError(f"No video shows a person of the split 'train' ({persons}); add one.")
    return {name: found for name, found in splits.items() if found}


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: KthOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "kth" (see `tfrecords_tools.converters`)."""
    options = options or KthOptions()
    splits = split_videos(find_videos(source_dir), options.split)
    shorter: dict[str, int] = {}  # number of frames of the clips that lack some

    def load(video: KthVideo) -> Iterator[Video]:
        path = video.paths[0]
        found = media.open_video(path)
        last = max((last for _, last in video.ranges), default=None)
        limits = [limit for limit in (last, READABLE_FRAMES.get(video.id)) if limit is not None]
        fitted = media.fit_frames(found, path, SIDE, SIDE, min(limits, default=None))
        grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None] for frame in fitted)
        frames = media.stack_frames(grey, path)  # [T, 64, 64, 1]
        about: dict[str, Any] = {
            "fps": found.rate,
            "label": ACTIONS.index(video.class_name),
            "identity": PERSONS.index(video.identity),
            "attributes": (video.scenario,),
        }
        if not video.ranges:
            yield Video(frames, video.id, **about)
        for number, (first, last) in enumerate(video.ranges, 1):
            clip = frames[first - 1 : last]
            if not len(clip):
                raise UnreadableMedia(
                    f"{path}: {len(frames)} frames, but {INDEX} lists the frames {first} to {last}"
                )
            if len(clip) < last - first + 1:
                shorter[f"{video.id}_{number}"] = len(clip)
            yield Video(clip, f"{video.id}_{number}", **about)

    info = DatasetInfo(
        "kth" if options.split == "official" else f"kth/{options.split}",
        "1",
        SIDE,
        SIDE,
        channels=1,
        class_names=ACTIONS,
        identity_names=PERSONS,
        attribute_names=("scenario",),
        attribute_sizes=(SCENARIOS,),
        **ORIGIN,
    )
    info = write_dataset(out_dir, info, splits, load, **writing)
    if shorter:
        names = sorted(shorter)
        listed = ", ".join(f"{name} ({shorter[name]} frames)" for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"clips that end before the frames of {INDEX}: {listed}{more}", file=sys.stderr)
    return info


main = functools.partial(
    run_converter, __doc__, prepare, f"Folder of the videos and {INDEX}.", options=KthOptions
)
