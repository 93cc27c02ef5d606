"""What the data sets of facial expressions share: clips of a face, split, written, and flags."""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from absl import flags

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import describe_dataset, run_command
from tfrecords_tools.converters import faces
from tfrecords_tools.converters.folder import split_clips

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip to be: its id, expression, person and images in order."""

    id: str
    class_name: str
    person: str
    paths: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ClipOptions:
    """How clips become videos.

    Args:
        size: height and width of a frame.
        min_frames: clips that have fewer frames, after `stride`, are left out.
        stride: keep each so many-th frame, from the first on.
        margin: around the face, on each side, as a share of the face.
        crop_faces: otherwise the middle of the frame is kept.
        test_fraction: share of the clips in the split "test", of each expression alike; 0 makes
            none.
        seed: of the division into splits.

    Raises:
        ConversionError: a number is out of range.
    """

    size: int = 64
    min_frames: int = 16
    stride: int = 1
    margin: float = faces.MARGIN
    crop_faces: bool = True
    test_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("size", "min_frames", "stride"):
            if getattr(self, name) < 1:
                raise ConversionError(f"{name}={getattr(self, name)}: must be 1 or more.")
        if not 0 <= self.margin <= 10:
            raise ConversionError(f"margin={self.margin}: must be from 0 to 10.")


def subfolders(folder: str) -> list[str]:
    """Names of the folders in a folder, in natural order, without hidden ones."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    return sorted(names, key=media.natural_key)


def expression_folders(folder: str) -> Iterator[tuple[str, str]]:
    """Pairs of an expression and its folder, whichever way its name is capitalized."""
    for name in subfolders(folder):
        if name.lower() in EXPRESSIONS:
            yield name.lower(), os.path.join(folder, name)


def image_paths(folder: str) -> tuple[str, ...]:
    """The images in a folder, in natural order, without hidden ones."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(media.IMAGE_SUFFIXES)]
    names = sorted((name for name in names if name[0] != "."), key=media.natural_key)
    return tuple(os.path.join(folder, name) for name in names)


def write_clips(
    out_dir: str | os.PathLike,
    info: DatasetInfo,
    clips: Sequence[Clip],
    options: ClipOptions,
    *,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> DatasetInfo:
    """Writes clips as a data set with the splits train and test, and says what was left out.

    Args:
        out_dir: folder of the data set, which appears when it is complete.
        info: name, version, origin and frame rate of the clips; the rest follows from clips and
            options.
        clips: one or more.
        options: how they become videos.
        skip_unreadable: leave out what cannot be read or shows no face, with a line for each.
        overwrite: replace a data set that is already there.
        progress: show a line of progress on stderr.

    Returns:
        The description of the data set.

    Raises:
        ConversionError: no clip is long enough, files are unreadable or show no face (each
            named), out_dir exists, or OpenCV has no face detector.
    """
    if options.crop_faces:
        faces.require_detector()  # before an hour of work, not within
    people = sorted({clip.person for clip in clips}, key=media.natural_key)
    kept = _long_clips(clips, options)
    train, test = split_clips(kept, options.test_fraction, options.seed)
    rate = info.fps / options.stride

    def load(clip: Clip) -> Video:
        paths = clip.paths[:: options.stride]
        return Video(
            faces.read_face_clip(paths, options.size, options.margin, options.crop_faces),
            clip.id,
            rate,
            label=EXPRESSIONS.index(clip.class_name),
            identity=people.index(clip.person),
        )

    info = dataclasses.replace(
        info, height=options.size, width=options.size, fps=rate,
        class_names=EXPRESSIONS, identity_names=tuple(people),
    )  # fmt: skip
    return write_dataset(
        os.fspath(out_dir),
        info,
        {"train": train, "test": test} if test else {"train": train},
        load,
        skip_unreadable=skip_unreadable,
        overwrite=overwrite,
        progress=progress,
    )


def _long_clips(clips: Sequence[Clip], options: ClipOptions) -> list[Clip]:
    needed = (options.min_frames - 1) * options.stride + 1
    kept = [clip for clip in clips if len(clip.paths) >= needed]
    wanted = f"{options.min_frames} frames"
    if options.stride > 1:
        wanted += f" at --stride={options.stride}"
    if not kept:
        raise ConversionError(
            f"none of {len(clips)} clips has {wanted}; the longest has "
            f"{max(len(clip.paths) for clip in clips)} images: lower --min_frames."
        )
    if len(kept) < len(clips):
        print(
            f"left out {len(clips) - len(kept)} of {len(clips)} clips with fewer than {wanted}; "
            "see --min_frames",
            file=sys.stderr,
        )
    return kept


def _define_flags() -> flags.FlagValues:
    # Flags of their own: importing this module must not add to those of another program.
    values = flags.FlagValues()
    own = {"flag_values": values}
    given = ClipOptions()
    flags.DEFINE_string("source_dir", None, "Folder of the database.", **own)
    flags.DEFINE_string("out_dir", None, "Folder of the data set to make.", **own)
    flags.DEFINE_integer("size", given.size, "Height and width of a frame.", 1, **own)
    flags.DEFINE_integer("min_frames", given.min_frames, "Leave out shorter clips.", 1, **own)
    flags.DEFINE_integer("stride", given.stride, "Keep each so many-th frame.", 1, **own)
    flags.DEFINE_float("margin", given.margin, "On each side, as a share of the face.", 0, **own)
    flags.DEFINE_bool(
        "crop_faces", given.crop_faces, "Crop to the face, else to the frame's middle.", **own
    )
    flags.DEFINE_float(
        "test_fraction", given.test_fraction, "Share of the clips for the test split.", **own
    )
    flags.DEFINE_integer("seed", given.seed, "Seed of the division into splits.", 0, **own)
    flags.DEFINE_bool("skip_unreadable", False, "Leave out what shows no face.", **own)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --out_dir.", **own)
    return values


def run_command_line(
    description: str,
    prepare: Callable[..., DatasetInfo],
    variants: dict[str, Sequence[str]],
    arguments: Sequence[str] | None = None,
) -> None:
    """The command line of a converter; every mistake ends it with one line and status 1.

    Args:
        description: of the converter, for --help.
        prepare: called with out_dir, source_dir, options and further keywords as flags.
        variants: values of each further flag, the first of them the default.
        arguments: in place of those of the process.
    """
    values = _define_flags()
    for name, known in variants.items():
        flags.DEFINE_enum(name, known[0], known, f"The {name} to take.", flag_values=values)

    def work() -> list[str]:
        fields = [field.name for field in dataclasses.fields(ClipOptions)]
        options = ClipOptions(**{name: values[name].value for name in fields})
        more = (*variants, "skip_unreadable", "overwrite")
        given = {name: values[name].value for name in more}
        info = prepare(values.out_dir, values.source_dir, options, **given)
        return describe_dataset(info, values.out_dir)

    run_command(description, values, ("out_dir",), work, arguments)
