"""Reads the golf scenes of the tiny videos of Vondrick, Pirsiavash and Torralba (NIPS 2016).

    kerasvid data golf --source_dir=TINYVIDEO --out_dir=data/golf

--source_dir is the unpacked golf.tar.bz2, with golf.txt in it or in frames-stable-many:

    frames-stable-many/<video>/<clip>.jpg    the frames of a clip, 128x128, one below the other
    golf.txt                                 <video>/<clip>.jpg of one clip a line

This is the layout of https://github.com/cvondrick/videogan: a folder for each Flickr video, with
its stabilized clips of 16 to 34 frames. Only the first word of a line of the list counts. The
identity of a clip is its folder. There are no labels.

A record holds the first 32 frames, shrunk to 64x64, of one of 500 clips, which are chosen by seed.
VGAN trains on all 32 frames, "Non-Adversarial Video Synthesis with Learned Priors" (CVPR 2020) on
16 frames of 500 random videos; its list of clips is not public. Clips of fewer than --frames are
left out and counted. --clips=0 takes all clips. Neither paper divides the clips, so there is one
split, "train".
"""

import dataclasses
import functools
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerasvid.data.records import DatasetInfo, Video
from kerasvid.io import check_is_file
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir

SIDE = 64
STRIP_SIDE = 128  # of a frame in a strip
INDEX, ROOT = "golf.txt", "frames-stable-many"
LAYOUT = f"expected {INDEX} and {ROOT}/<video>/<clip>.jpg"
SOURCE = "http://www.cs.columbia.edu/~vondrick/tinyvideo/"
LICENCE = "its page has the terms; the videos are those of Flickr's users"
CITATION = (
    "C. Vondrick, H. Pirsiavash and A. Torralba. Generating Videos with Scene Dynamics. "
    "NIPS 2016. arXiv:1609.02612."
)
_LISTED = 20  # clips that are left out and named; the others are counted
_NEEDS = (
    f"the folder of {ROOT} and {INDEX}; get golf.tar.bz2 and {INDEX} at {SOURCE} ({LICENCE}: "
    f"{CITATION})"
)


@dataclasses.dataclass(frozen=True)
class GolfOptions(Options):
    """Which clips become videos; with one seed, fewer clips are the first of more."""

    clips: int = option(500, "Number of clips, chosen by seed; 0 for all.", 0)
    frames: int = option(32, "Number of first frames; shorter clips are left out.", 1)
    seed: int = option(0, "Seed for the choice of clips.", 0)


def find_clips(source_dir: Folder | None) -> list[Clip]:
    """Lists the clips of golf.txt, in its order, each once, without opening them.

    An id is for instance "1234567890.mp4/0003". The identity is the folder, which stands for the
    source video.

    Raises:
        ConversionError: the folder or golf.txt is missing, or golf.txt lists no JPEG files.
    """
    source_dir = check_source_dir(source_dir, "golf", _NEEDS)
    root = os.path.join(source_dir, ROOT)
    root = root if os.path.isdir(root) else source_dir
    places = [os.path.join(folder, INDEX) for folder in (source_dir, root)]
    index = next((path for path in places if os.path.isfile(path)), None)
    if not index:
        raise ConversionError(f"{source_dir}: no {INDEX} found; {LAYOUT} of {SOURCE}.")
    with open(index, encoding="utf-8", errors="replace") as file:
        words = [line.split()[0] for line in file if line.strip()]
    names = [word.removeprefix(f"{ROOT}/") for word in words if word.lower().endswith(".jpg")]
    if not names:
        raise ConversionError(f"{index}: lists no JPEG files; {LAYOUT} of {SOURCE}.")
    if others := len(words) - len(names):
        line = f"{index}: {others} of {len(words)} lines are not names of JPEG files"
        print(line, file=sys.stderr)
    return [
        Clip(os.path.splitext(name)[0], "", (os.path.join(root, name),), os.path.dirname(name))
        for name in dict.fromkeys(names)
    ]


def count_frames(path: str) -> int:
    """Number of frames in a strip, from the head of its file; else UnreadableMedia."""
    try:
        check_is_file(path)
        with Image.open(path, formats=["JPEG"]) as image:
            width, height = image.size
    except FileNotFoundError as error:
        raise UnreadableMedia(f"{path}: missing, but listed in {INDEX}") from error
    except (Image.UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnreadableMedia(f"{path}: cannot be read as a JPEG image") from error
    except OSError as error:
        raise UnreadableMedia(f"{path}: cannot be read ({error.strerror or error})") from error
    if width != STRIP_SIDE or height % STRIP_SIDE:
        raise UnreadableMedia(
            f"{path}: {width} pixels wide and {height} high, expected frames of "
            f"{STRIP_SIDE}x{STRIP_SIDE}, one below the other"
        )
    return height // STRIP_SIDE


def draw_clips(
    clips: Sequence[Clip], options: GolfOptions, skip_unreadable: bool = False
) -> list[Clip]:
    """Chooses clips by seed and reports on stderr which clips are left out.

    Unreadable clips are replaced with `skip_unreadable`, else returned: reading names each of them.

    Raises:
        ConversionError: no clip is readable and long enough.
    """
    wanted = options.clips or len(clips)
    drawn, counts, faults = [], [], []
    for number in np.random.default_rng(options.seed).permutation(len(clips)):
        try:
            counts.append(count_frames(clips[number].paths[0]))
            taken = counts[-1] >= options.frames
        except UnreadableMedia as error:
            faults.append(str(error))
            taken = not skip_unreadable
        if taken:
            drawn.append(clips[number])
        if len(drawn) == wanted:
            break
    if not counts:
        raise ConversionError(
            f"None of {len(faults)} clips can be read, the first is {faults[0]}; {LAYOUT}."
        )
    if max(counts) < options.frames:
        raise ConversionError(
            f"None of {len(counts)} clips has {options.frames} frames; the longest has "
            f"{max(counts)}: lower --frames."
        )
    lines = []
    if short := sum(count < options.frames for count in counts):
        lines.append(f"left out {short} clips of fewer than {options.frames} frames; see --frames")
    if skip_unreadable:
        lines += [f"skipped {fault}" for fault in faults[:_LISTED]]
        if more := len(faults[_LISTED:]):
            lines.append(f"skipped {more} more such clips")
    if len(drawn) < options.clips:
        lines.append(f"took {len(drawn)} clips instead of {options.clips}: {INDEX} lists no more")
    for line in lines:
        print(line, file=sys.stderr)
    return drawn


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: GolfOptions | None = None,
    *,
    skip_unreadable: bool = False,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "golf" (see `tfrecords_tools.converters`).

    With `skip_unreadable`, other clips replace unreadable ones.
    """
    options = options or GolfOptions()
    clips = find_clips(source_dir)
    drawn = draw_clips(clips, options, skip_unreadable)
    videos = sorted({clip.identity for clip in drawn} - {""}, key=media.natural_key)
    numbers = {video: number for number, video in enumerate(videos)}

    def load(clip: Clip) -> Video:
        path = clip.paths[0]
        count = count_frames(path)
        strip = media.read_image(path).reshape(count, STRIP_SIDE, STRIP_SIDE, 3)
        fitted = media.fit_frames(
            strip, path, SIDE, SIDE, options.frames, options.frames, "--frames"
        )
        frames = media.stack_frames(fitted, path)
        return Video(frames, clip.id, identity=numbers.get(clip.identity, -1))

    source = f"{SOURCE}, drawn with seed {options.seed} from {len(clips)} clips"
    origin: dict[str, Any] = {"licence": LICENCE, "source": source, "citation": CITATION}
    info = DatasetInfo("golf", "1", SIDE, SIDE, identity_names=tuple(videos), **origin)
    writing["skip_unreadable"] = skip_unreadable
    return write_dataset(out_dir, info, {"train": drawn}, load, **writing)


main = functools.partial(
    run_converter, __doc__, prepare, f"Folder of {ROOT} and {INDEX}.", options=GolfOptions
)
