"""Reads the golf scenes of the tiny videos of Vondrick, Pirsiavash and Torralba (NIPS 2016).

    kerasvid data golf --source_dir=TINYVIDEO --out_dir=data/golf

--source_dir holds golf.tar.bz2 unpacked, and golf.txt in it or in frames-stable-many:

    frames-stable-many/<video>/<clip>.jpg    the frames of a clip, 128x128, one below the other
    golf.txt                                 <video>/<clip>.jpg of one clip a line

So the authors' code writes and reads it (extra/stabilize_videos_many.py and data/donkey_video2.lua
of https://github.com/cvondrick/videogan): a folder, possibly below others, for each Flickr video,
in it the stabilized clips that follow one another, of 16 to 34 frames; only the first word of a
line of the list counts. Hence the identity of a clip is its folder. There are no labels.

A record holds the first 32 frames, shrunk to 64x64, of one of 500 clips that are drawn by seed.
That serves both papers: VGAN trains on all 32 frames, "Non-Adversarial Video Synthesis with
Learned Priors" (CVPR 2020) on 16 of 500 random videos, for which training takes windows of 16.
Clips of fewer than --frames, written where a video ends or the camera leaves the scene, are passed
over in the draw, and counted. --frames=16 stores 16 frames and has hardly any to pass over;
--clips=0 takes all clips.

Neither paper divides the clips, so there is one split, "train". The second paper narrows its clips
down to those "pertaining to golf action as close as possible"; no list of them is known.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import run_with_options

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
_HEAD = 1 << 17  # bytes of a JPEG within which its size stands
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NAMED = 20  # clips that are left out and named; the others are counted


@dataclasses.dataclass(frozen=True)
class GolfOptions:
    """Which clips become videos.

    Args:
        clips: how many, 0 for all.
        frames: of a clip, the first ones; shorter clips are passed over.
        seed: of the draw: with one seed, fewer clips are the first of more.

    Raises:
        ConversionError: a number is out of range.
    """

    clips: int = 500
    frames: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("clips", 0), ("frames", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConversionError(f"{name}={getattr(self, name)}: must be {least} or more.")


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One strip: the folder frames-stable-many and the strip's path below it."""

    root: str
    name: str

    @property
    def path(self) -> str:
        """Of the file."""
        return os.path.join(self.root, self.name)

    @property
    def id(self) -> str:
        """For instance "1234567890.mp4/0003"."""
        return os.path.splitext(self.name)[0]

    @property
    def video(self) -> str:
        """The folder, which stands for the source video; empty where there is none."""
        return os.path.dirname(self.name)


def find_clips(source_dir: str | os.PathLike) -> list[Clip]:
    """Lists the clips that golf.txt names, in its order, each once, without looking for them.

    Args:
        source_dir: the folder of frames-stable-many, or frames-stable-many with golf.txt in it.

    Raises:
        ConversionError: the folder or golf.txt is absent, or it names no JPEG files.

    Example:
        >>> find_clips("TINYVIDEO")[0].id
        '1234567890.mp4/0000'
    """
    source_dir = os.fspath(source_dir)
    if not os.path.isdir(source_dir):
        raise ConversionError(f"{source_dir}: no such folder; {LAYOUT} of {SOURCE} in it.")
    root = os.path.join(source_dir, ROOT)
    root = root if os.path.isdir(root) else source_dir
    places = [os.path.join(folder, INDEX) for folder in (source_dir, root)]
    index = next((path for path in places if os.path.isfile(path)), None)
    if not index:
        raise ConversionError(f"{source_dir}: no {INDEX} in it; {LAYOUT} of {SOURCE}.")
    with open(index, encoding="utf-8", errors="replace") as file:
        words = [line.split()[0] for line in file if line.strip()]
    names = [word.removeprefix(f"{ROOT}/") for word in words if word.lower().endswith(".jpg")]
    if not names:
        raise ConversionError(f"{index}: names no JPEG files; {LAYOUT} of {SOURCE}.")
    if len(names) < len(words):
        others = len(words) - len(names)
        print(f"{index}: {others} of {len(words)} lines name no JPEG files", file=sys.stderr)
    return [Clip(root, name) for name in dict.fromkeys(names)]


def count_frames(clip: Clip) -> int:
    """Number of frames in a strip, from the head of its file.

    Raises:
        UnreadableMedia: the file is missing or no JPEG, or its size is no strip's.
    """
    try:
        with open(clip.path, "rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise UnreadableMedia(f"{clip.path}: missing, though {INDEX} names it") from error
    except OSError as error:
        raise UnreadableMedia(f"{clip.path}: cannot be read ({error.strerror})") from error
    height, width = _jpeg_size(head)
    if not height:
        raise UnreadableMedia(f"{clip.path}: cannot be read as a JPEG image")
    if width != STRIP_SIDE:
        raise UnreadableMedia(
            f"{clip.path}: {width} pixels wide and {height} high, expected frames of "
            f"{STRIP_SIDE}x{STRIP_SIDE}, one below the other"
        )
    if height % STRIP_SIDE:
        raise UnreadableMedia(
            f"{clip.path}: a strip {height} high is no multiple of its frames' {STRIP_SIDE}"
        )
    return height // STRIP_SIDE


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """Height and width that a JPEG states in its frame header (ITU T.81, B.2.2), else zeros."""
    place = 2 if head[:2] == b"\xff\xd8" else len(head)
    while place + 9 <= len(head) and head[place] == 0xFF:
        if head[place + 1] in _SIZE_MARKERS:
            size = head[place + 5 : place + 9]
            return int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
        place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    return 0, 0


def read_strip(clip: Clip, frames: int) -> np.ndarray:
    """The first frames of a strip, shrunk.

    Returns:
        uint8 RGB [frames, 64, 64, 3].

    Raises:
        UnreadableMedia: as `count_frames`, the file is broken, or it has fewer frames.
    """
    count = count_frames(clip)
    if count < frames:
        raise UnreadableMedia(f"{clip.path}: {count} frames of {frames} at least")
    strip = media.read_image(clip.path).reshape(count, STRIP_SIDE, STRIP_SIDE, 3)
    return media.stack_frames(strip, clip.path, SIDE, SIDE, frames)  # [T, H, W, C]


def draw_clips(
    clips: Sequence[Clip], options: GolfOptions, skip_unreadable: bool = False
) -> list[Clip]:
    """Draws clips by seed and says on stderr what was passed over.

    Args:
        clips: one or more.
        options: how many, and the frames and the seed.
        skip_unreadable: draw others for those that are no strips; else they are among the
            clips returned, so that reading refuses each by name.

    Returns:
        As many clips as wanted or, if there are not so many, all that are long enough.

    Raises:
        ConversionError: no clip is a strip and long enough.
    """
    wanted = options.clips or len(clips)
    drawn: list[Clip] = []
    counts: list[int] = []
    faults: list[str] = []
    for number in np.random.default_rng(options.seed).permutation(len(clips)):
        try:
            counts.append(count_frames(clips[number]))
            taken = counts[-1] >= options.frames
        except UnreadableMedia as error:
            faults.append(str(error))
            taken = not skip_unreadable
        if taken:
            drawn.append(clips[number])
        if len(drawn) == wanted:
            break
    _refuse_none(counts, faults, options)
    if short := sum(count < options.frames for count in counts):
        _say(f"passed over {short} clips of fewer than {options.frames} frames; see --frames")
    if skip_unreadable:
        _say(*(f"skipped {line}" for line in faults[:_NAMED]))
        if more := len(faults[_NAMED:]):
            _say(f"skipped {more} more such clips")
    if len(drawn) < options.clips:
        _say(f"took {len(drawn)} clips in place of {options.clips}: {INDEX} names no more")
    return drawn


def _refuse_none(counts: Sequence[int], faults: Sequence[str], options: GolfOptions) -> None:
    if not counts:
        raise ConversionError(
            f"none of {len(faults)} clips can be used, the first of them: {faults[0]}; {LAYOUT}."
        )
    if max(counts) < options.frames:
        raise ConversionError(
            f"none of {len(counts)} clips has {options.frames} frames; the longest has "
            f"{max(counts)}: lower --frames."
        )


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def prepare(
    out_dir: str | os.PathLike,
    source_dir: str | os.PathLike | None = None,
    options: GolfOptions | None = None,
    *,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> DatasetInfo:
    """Writes the data set "golf".

    Args:
        out_dir: folder of the data set, which appears when it is complete.
        source_dir: the folder of frames-stable-many and golf.txt.
        options: which clips become videos, by default `GolfOptions()`.
        skip_unreadable: leave out clips that are missing or no strips, with a line each, and
            draw others.
        overwrite: replace a data set that is already there.
        progress: show a line of progress on stderr.

    Returns:
        The description of the data set.

    Raises:
        ConversionError: no source_dir, see `find_clips` and `draw_clips`, clips unreadable
            (each named), or out_dir exists.

    Example:
        prepare("data/golf", "TINYVIDEO", GolfOptions(clips=2000))
    """
    if not source_dir:
        raise ConversionError(
            f"golf needs --source_dir, the folder of {ROOT} and {INDEX}: get golf.tar.bz2 and "
            f"{INDEX} at {SOURCE} ({LICENCE}: {CITATION})"
        )
    options = options or GolfOptions()
    clips = find_clips(source_dir)
    drawn = draw_clips(clips, options, skip_unreadable)
    videos = sorted({clip.video for clip in drawn} - {""}, key=media.natural_key)
    numbers = {video: number for number, video in enumerate(videos)}

    def load(clip: Clip) -> Video:
        return Video(
            read_strip(clip, options.frames), clip.id, identity=numbers.get(clip.video, -1)
        )

    info = DatasetInfo(
        "golf", "1", height=SIDE, width=SIDE, channels=3, fps=-1.0,
        identity_names=tuple(videos),
        licence=LICENCE,
        source=f"{SOURCE}, drawn with seed {options.seed} from {len(clips)} clips",
        citation=CITATION,
    )  # fmt: skip
    return write_dataset(
        os.fspath(out_dir), info, {"train": drawn}, load,
        skip_unreadable=skip_unreadable, overwrite=overwrite, progress=progress,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line on stderr and status 1."""
    texts = {
        "clips": "How many clips, drawn by seed; 0 for all.",
        "frames": "How many first frames of a clip; shorter clips are passed over.",
        "seed": "Seed of the draw.",
    }
    source_help = f"Folder of {ROOT} and {INDEX}."
    run_with_options(__doc__, prepare, GolfOptions, texts, source_help, arguments)


if __name__ == "__main__":
    main()
