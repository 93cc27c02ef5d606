"""Turns a folder of your own videos into a data set.

    kerasvid data folder --source_dir=my_videos --out_dir=data/mine

It reads MP4, AVI, MOV, MKV, WEBM, MPEG, WMV, FLV and GIF files, image sequences (a subfolder of
images a video) and strips (one wide image of frames side by side). The first folder level below
--source_dir names the class of a video:

    my_videos/walking/anna.mp4          class "walking"
    my_videos/walking/bob/frame2.png    class "walking", bob's images are one video
    my_videos/bob/frame2.png            one video without a class
    my_videos/clip.gif                  one video without a class
"""

import collections
import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from kerasvid.data.records import ENCODINGS, DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import describe_dataset, run_command

NAMED = 3  # of the files that are left alone
IMAGE_MODES = ("auto", "sequences", "strips", "stills")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video to be: its id, its class and the files that hold its frames.

    Args:
        id: path below the source folder.
        class_name: first folder level, empty where there is none.
        kind: "video", "sequence" or "strip".
        paths: one file, or the images of a sequence in order.
    """

    id: str
    class_name: str
    kind: str
    paths: tuple[str, ...]


def find_clips(
    source_dir: str, images: str = "auto", strip_frame_width: int | None = None
) -> list[Clip]:
    """Lists the videos in a folder, in natural order, without reading them.

    Args:
        source_dir: folder of videos, at any depth.
        images: what the images of a folder are: one "sequences" clip, a "strips" clip each, a
            "stills" clip of length 1 each, or "auto": strips if the first image is two or more
            whole frames wide, else a sequence.
        strip_frame_width: width of a frame in a strip, by default its height.

    Raises:
        ConversionError: the folder is absent, cannot be listed or holds no videos.
    """
    if images not in IMAGE_MODES:
        raise ConversionError(f"images={images!r}: use one of {', '.join(IMAGE_MODES)}.")
    if not os.path.isdir(source_dir):
        raise ConversionError(f"{source_dir}: no such folder; give the folder of your videos.")
    clips = []
    for folder, names in _folders(source_dir):
        below = os.path.relpath(folder, source_dir).replace(os.sep, "/")
        clips += _video_clips(folder, below, names)
        clips += _image_clips(folder, below, names, images, strip_frame_width)
    if not clips:
        raise ConversionError(
            f"{source_dir}: no videos found; put video files (MP4, AVI and so on), strips or "
            "subfolders of images there."
        )
    return sorted(clips, key=lambda clip: media.natural_key(clip.id))


def describe_source(
    source_dir: str, images: str = "auto", strip_frame_width: int | None = None
) -> str:
    """What `find_clips` finds, and what it leaves alone, as a line.

    Example:
        >>> describe_source("my_videos")
        'found 12 videos and 1 sequence; left alone: notes.txt, walking/a.xyz'
    """
    kinds = collections.Counter(c.kind for c in find_clips(source_dir, images, strip_frame_width))
    found = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in sorted(kinds.items())]
    suffixes = (*media.VIDEO_SUFFIXES, *media.IMAGE_SUFFIXES)
    others = [
        os.path.relpath(os.path.join(folder, name), source_dir)
        for folder, names in _folders(source_dir)
        for name in names
        if not name.lower().endswith(suffixes)
    ]
    line = f"found {' and '.join(found)}"
    if others:
        rest = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        line += f"; left alone: {', '.join(others[:NAMED])}{rest}"
    return line


def _folders(source_dir: str) -> Iterator[tuple[str, list[str]]]:
    """Every folder once, with its files in natural order; none that is hidden.

    Links are followed, unless to what is found within the folder without them.
    """
    seen, source = set(), os.path.realpath(source_dir)
    for folder, subfolders, names in os.walk(source_dir, onerror=_refuse_folder, followlinks=True):
        subfolders[:] = sorted(
            name
            for name, path in ((each, os.path.join(folder, each)) for each in subfolders)
            if not name.startswith(".")
            and not (os.path.islink(path) and _is_found_within(source, os.path.realpath(path)))
        )
        real = os.path.realpath(folder)
        if real in seen:  # a link back
            subfolders.clear()
            continue
        seen.add(real)
        yield folder, sorted((n for n in names if not n.startswith(".")), key=media.natural_key)


def _is_found_within(source: str, path: str) -> bool:
    """Whether a walk through `source` comes by a path; both without links."""
    parts = os.path.relpath(path, source).split(os.sep)
    return not any(part.startswith(".") for part in parts)  # hidden, or by ".." out of it


def _refuse_folder(error: OSError) -> None:
    # Left out silently, its videos would be missing from the data set.
    raise ConversionError(
        f"{error.filename}: cannot be listed ({error.strerror}); check its rights."
    )


def _video_clips(folder: str, below: str, names: Sequence[str]) -> list[Clip]:
    files = [name for name in names if name.lower().endswith(media.VIDEO_SUFFIXES)]
    return [_file_clip(folder, below, name, "video") for name in files]


def _image_clips(
    folder: str, below: str, names: Sequence[str], images: str, strip_frame_width: int | None
) -> list[Clip]:
    files = [name for name in names if name.lower().endswith(media.IMAGE_SUFFIXES)]
    if not files:
        return []
    if images == "auto":
        try:
            strips = media.is_strip(os.path.join(folder, files[0]), strip_frame_width)
        except UnreadableMedia:
            strips = False  # named when its frames are read
        images = "strips" if strips else "sequences"
    if images != "sequences":
        kind = "strip" if images == "strips" else "sequence"
        return [_file_clip(folder, below, name, kind) for name in files]
    paths = tuple(os.path.join(folder, name) for name in files)
    clip_id = os.path.basename(os.path.abspath(folder)) if below == "." else below
    class_name = below.split("/")[0] if "/" in below else ""
    return [Clip(clip_id, class_name, "sequence", paths)]


def _file_clip(folder: str, below: str, name: str, kind: str) -> Clip:
    path = (os.path.join(folder, name),)
    if below == ".":
        return Clip(name, "", kind, path)
    return Clip(f"{below}/{name}", below.split("/")[0], kind, path)


def split_clips(
    clips: Sequence[Clip], test_fraction: float, seed: int
) -> tuple[list[Clip], list[Clip]]:
    """Divides clips into train and test: disjoint, by seed, each class in the same proportion.

    Returns:
        Train and test clips, both in a random order that follows from the seed.

    Raises:
        ConversionError: the fraction is out of range, or leaves nothing to train on.
    """
    if not 0 <= test_fraction < 1:
        raise ConversionError(f"test_fraction={test_fraction}: must be from 0 to below 1.")
    wanted = max(1, round(test_fraction * len(clips))) if test_fraction else 0
    if wanted >= len(clips):
        raise ConversionError(
            f"{len(clips)} video(s) cannot be divided into train and test; add videos or give "
            "--test_fraction=0."
        )
    order = np.random.default_rng(seed).permutation(len(clips))
    shuffled = [clips[k] for k in order]
    sizes = collections.Counter(clip.class_name for clip in clips)
    seen: collections.Counter[str] = collections.Counter()
    places = []  # place of a clip in its class, from 0 to 1: the lowest of all make the test split
    for clip in shuffled:
        places.append((seen[clip.class_name] + 0.5) / sizes[clip.class_name])
        seen[clip.class_name] += 1
    in_test = set(np.argsort(places, kind="stable")[:wanted].tolist())
    train = [clip for k, clip in enumerate(shuffled) if k not in in_test]
    return train, [clip for k, clip in enumerate(shuffled) if k in in_test]


def convert_folder(
    source_dir: str,
    out_dir: str,
    *,
    height: int = 64,
    width: int = 64,
    fps: float | None = None,
    test_fraction: float = 0.1,
    seed: int = 0,
    images: str = "auto",
    strip_frame_width: int | None = None,
    min_frames: int = 1,
    max_frames: int | None = None,
    encoding: str = "png",
    skip_unreadable: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> DatasetInfo:
    """Converts a folder of videos into a data set with the splits train and test.

    Frames are resized with the aspect ratio kept until they cover height x width, then cropped
    to the centre.

    Args:
        source_dir: folder of videos, image sequences and strips; its first level names classes.
        out_dir: folder of the data set.
        height, width: of a frame, in pixels.
        fps: frames a second to state, in place of what the files say.
        test_fraction: share of the videos in the split "test"; 0 makes none.
        seed: of the division into splits.
        images, strip_frame_width: as `find_clips` explains.
        min_frames: shorter videos count as unreadable.
        max_frames: only so many first frames of each video.
        encoding: of the frames: "png" (lossless), "jpeg" (smaller) or "raw".
        skip_unreadable: leave unreadable files out, with a line for each, instead of refusing.
        overwrite: replace a data set in `out_dir`.
        progress: show a line of progress on stderr.

    Returns:
        The description of the data set.

    Raises:
        ConversionError: nothing to convert, unreadable files (each named), or out_dir exists.

    Example:
        >>> convert_folder("my_videos", "data/mine", height=64, width=64)
    """
    clips = find_clips(source_dir, images, strip_frame_width)
    train, test = split_clips(clips, test_fraction, seed)
    classes = sorted({clip.class_name for clip in clips} - {""}, key=media.natural_key)
    labels = {name: number for number, name in enumerate(classes)}

    def load(clip: Clip) -> Video:
        frames, rate = _read_clip(clip, height, width, strip_frame_width, max_frames)
        if len(frames) < min_frames:
            raise UnreadableMedia(f"{clip.paths[0]}: {len(frames)} frames of {min_frames} at least")
        return Video(frames, clip.id, fps or rate, labels.get(clip.class_name, -1))

    name = os.path.basename(os.path.abspath(out_dir))
    info = DatasetInfo(
        name, "1", height, width, channels=3, fps=fps or -1.0, encoding=encoding,
        class_names=tuple(classes), source=os.path.basename(os.path.abspath(source_dir)),
    )  # fmt: skip
    return write_dataset(
        out_dir,
        info,
        {"train": train, "test": test} if test else {"train": train},
        load,
        overwrite=overwrite,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )


def _read_clip(
    clip: Clip, height: int, width: int, strip_frame_width: int | None, max_frames: int | None
) -> tuple[np.ndarray, float]:
    path, rate = clip.paths[0], -1.0
    if clip.kind == "video":
        frames, rate = media.iterate_video(path), media.frame_rate(path)
    elif clip.kind == "strip":
        frames = media.iterate_strip(path, strip_frame_width)
    else:
        frames = media.iterate_images(clip.paths)
    return media.stack_frames(frames, path, height, width, max_frames), rate


def _define_flags() -> flags.FlagValues:
    # Flags of their own: importing this module must not add to those of another program.
    values = flags.FlagValues()
    own = {"flag_values": values}
    flags.DEFINE_string("source_dir", None, "Folder of your videos.", **own)
    flags.DEFINE_string("out_dir", None, "Folder of the data set to make.", **own)
    flags.DEFINE_integer("height", 64, "Height of a frame in pixels.", 1, **own)
    flags.DEFINE_integer("width", 64, "Width of a frame in pixels.", 1, **own)
    flags.DEFINE_float("fps", None, "Frames a second to state, whatever the files say.", **own)
    flags.DEFINE_float("test_fraction", 0.1, "Share of the videos for the test split.", **own)
    flags.DEFINE_integer("seed", 0, "Seed of the division into splits.", 0, **own)
    flags.DEFINE_enum("images", "auto", IMAGE_MODES, "What the images of a folder are.", **own)
    flags.DEFINE_integer(
        "strip_frame_width", None, "Width of a frame in a strip; its height if not given.", 1, **own
    )
    flags.DEFINE_integer("min_frames", 1, "Refuse videos with fewer frames.", 1, **own)
    flags.DEFINE_integer("max_frames", None, "Only so many first frames of each.", 1, **own)
    flags.DEFINE_enum("encoding", "png", ENCODINGS, "Of the frames on disk.", **own)
    flags.DEFINE_bool("skip_unreadable", False, "Leave unreadable files out.", **own)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --out_dir.", **own)
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line."""
    values = _define_flags()

    def work() -> list[str]:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # broken files get one line, ours
        options = {name: values[name].value for name in values if name != "help"}
        print(describe_source(values.source_dir, values.images, values.strip_frame_width))
        return describe_dataset(convert_folder(**options), values.out_dir)

    run_command(__doc__, values, ("source_dir", "out_dir"), work, arguments)


if __name__ == "__main__":
    main()
