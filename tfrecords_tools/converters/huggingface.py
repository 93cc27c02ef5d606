"""Converts a data set of the Hugging Face Hub with videos or sequences of images.

    kerasvid data huggingface --name=anna/walks --out_dir=data/walks
    kerasvid data huggingface --name=anna/walks --config=small --column=clip --label=action \\
        --splits=train,validation --height=64 --width=64 --out_dir=data/walks

--name is a repository of the Hub, or a local folder that the package `datasets` reads. It is
streamed, file by file, and of a data set of many files several are read at once. The records of a
file lie on the disk twice until all of it has been read.
The column of the videos is the only one of videos or of sequences of images, or --column. The
classes are those of the only column of class labels, or of --label. Frames are resized until they
cover height x width, then cropped to the centre. Splits, licence and citation are taken over.
"""

import contextlib
import dataclasses
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from kerasvid.data.records import ENCODINGS, DatasetInfo, Video
from kerasvid.io import cause_of
from kerasvid.naming import nearest_names
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import (
    chosen_part,
    chosen_videos,
    describe_dataset,
    run_command,
    writing_flags,
)

HUB = "https://huggingface.co/datasets/"


@dataclasses.dataclass(frozen=True)
class HubOptions:
    """Which columns become videos, and how.

    Args:
        height, width: of a frame in pixels.
        column: of the videos; `None` for the only one that fits.
        label: column of the classes; `None` for the only one of class labels, if there is one.
        fps: of sequences of images; -1 where unknown.
        max_frames, min_frames: the rest of longer videos is cut off; shorter ones are unreadable.
        encoding: of the frames, "png", "jpeg" or "raw".
        jpeg_quality: 1..100, for "jpeg"; `None` for 95.
    """

    height: int = 64
    width: int = 64
    column: str | None = None
    label: str | None = None
    fps: float = -1.0
    max_frames: int | None = None
    min_frames: int = 1
    encoding: str = "png"
    jpeg_quality: int | None = None


def convert(
    name: str,
    out_dir: str | os.PathLike,
    options: HubOptions | None = None,
    *,
    config: str | None = None,
    splits: Sequence[str] = (),
    skip_unreadable: bool = False,
    **writing: Any,
) -> DatasetInfo:
    """Writes a data set of the Hub, or of a local folder, as records.

    Args:
        name: "user/repository" or a folder.
        out_dir: folder of the new data set.
        options: of the columns and frames.
        config: name of the subset, where there are several.
        splits: to convert; by default all.
        skip_unreadable: leave out videos that cannot be read, with a line for each on stderr.
        **writing: of `write_dataset`.

    Raises:
        ConversionError: `datasets` is not installed, the data set cannot be read, a column or split
            is unknown or there are several that fit, or as in `write_dataset`.

    Example:
        >>> convert("anna/walks", "data/walks", HubOptions(column="clip"))
    """
    options = options or HubOptions()
    found = _loaded(name, config)
    if unknown := [each for each in splits if each not in found]:
        raise ConversionError(
            f"{name}: no split {unknown[0]!r}; {nearest_names(unknown[0], found)}."
        )
    chosen = {each: found[each] for each in (splits or found)}
    first = next(iter(chosen.values()))
    features = first.features
    if features is None:
        raise ConversionError(
            f"{name}: states no columns. Convert its files by kerasvid data folder."
        )
    column = _video_column(name, features, options.column)
    label, classes = _label_column(name, features, options.label)
    about = first.info
    info = DatasetInfo(
        f"huggingface/{name}" if not os.path.isdir(name) else os.path.basename(name.rstrip("/")),
        "1", options.height, options.width, encoding=options.encoding, class_names=classes,
        licence=str(about.license or ""), citation=str(about.citation or "").strip(),
        source=str(about.homepage or "") or (name if os.path.isdir(name) else f"{HUB}{name}"),
    )  # fmt: skip
    items = {
        split: [_Part(split, number, rows.num_shards, _undecoded(rows, column, label))
                for number in range(rows.num_shards)]
        for split, rows in chosen.items()
    }  # fmt: skip

    def load(part: "_Part") -> Iterator[Video]:
        rows = part.rows
        if part.count > 1:
            rows = rows.shard(num_shards=part.count, index=part.number)
        try:
            for number, row in enumerate(rows):
                place = f"{part.split}/{part.number:05d}-{number:06d}"
                own = -1 if label is None or row[label] is None else int(row[label])
                try:
                    frames, fps = _frames(row[column], f"{name}: {place}", options)
                except UnreadableMedia as error:
                    if not skip_unreadable:  # without the others of its part
                        raise
                    print(f"skipped {error}", file=sys.stderr)
                    continue
                yield Video(frames, place, fps, own)
        except (ConversionError, UnreadableMedia):
            raise
        except Exception as error:  # of the store and of its many formats
            raise ConversionError(
                f"{name}: {part.split} cannot be read ({cause_of(error)})."
            ) from error

    writing |= {"own_rates": True, "jpeg_quality": options.jpeg_quality}
    return write_dataset(out_dir, info, items, load, **writing)


@dataclasses.dataclass(frozen=True)
class _Part:
    """A file of a split, or one of the equal parts that `datasets` reads it in."""

    split: str
    number: int
    count: int
    rows: Any


def _loaded(name: str, config: str | None) -> Mapping[str, Any]:
    """The splits, streamed."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise ConversionError(
            "huggingface needs the package datasets. Run pip install 'kerasvid[hf]'."
        ) from error
    try:
        return datasets.load_dataset(name, config, streaming=True)
    except Exception as error:  # of the hub, the network and many formats
        raise ConversionError(f"{name}: cannot be read ({cause_of(error)}).") from error


def _video_column(name: str, features: Mapping[str, Any], wanted: str | None) -> str:
    fitting = [
        key for key, feature in features.items() if _is_video(feature) or _of_images(feature)
    ]
    return chosen_videos(name, "column", wanted, fitting, [*features])


def _label_column(
    name: str, features: Mapping[str, Any], wanted: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The column of the classes and their names; `None` without one."""
    fitting = [key for key, feature in features.items() if hasattr(feature, "names")]
    found = chosen_part(name, "column", wanted, fitting, [*features], "class labels")
    return found, tuple(features[found].names) if found else ()


def _is_video(feature: Any) -> bool:
    return type(feature).__name__ == "Video"


def _of_images(feature: Any) -> bool:
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
    return type(inner).__name__ == "Image"


def _undecoded(rows: Any, column: str, label: str | None) -> Any:
    """The rows of two columns, with the bytes of their videos, which this package decodes."""
    datasets = importlib.import_module("datasets")
    feature = rows.features[column]
    rows = rows.select_columns([column, *([label] if label else [])])
    if _is_video(feature):
        return rows.cast_column(column, datasets.Video(decode=False))
    kind = list if isinstance(feature, list) else type(feature)
    image = datasets.Image(decode=False)
    return rows.cast_column(column, [image] if kind is list else kind(image))


def _frames(value: Any, place: str, options: HubOptions) -> tuple[Any, float]:
    """Frames uint8 `[T, H, W, 3]` of a row, and their rate."""
    limits = options.max_frames, options.min_frames
    with tempfile.TemporaryDirectory() as folder, _named(folder, place):
        if isinstance(value, Mapping):
            path = _stored(value, os.path.join(folder, "video"), place)
            found = media.open_video(path)
            fitted = media.fit_frames(found, place, options.height, options.width, *limits)
            return media.stack_frames(fitted, place), found.rate
        if not value:
            raise UnreadableMedia(f"{place}: has no frames")
        images: Iterable = (
            media.read_image(_stored(each, os.path.join(folder, f"{number:06d}"), place))
            for number, each in enumerate(value)
        )
        fitted = media.fit_frames(images, place, options.height, options.width, *limits)
        return media.stack_frames(fitted, place), options.fps


@contextlib.contextmanager
def _named(folder: str, place: str) -> Iterator[None]:
    """Names a row in place of its temporary files in messages about unreadable media."""
    try:
        yield
    except UnreadableMedia as error:
        text = re.sub(rf"{re.escape(folder)}[^:;,\s]*", lambda _: place, str(error))
        raise UnreadableMedia(text) from error


def _stored(value: Mapping[str, Any] | None, path: str, place: str) -> str:
    """A file with the content of a cell, which is bytes or the path of a file."""
    if value is None:
        raise UnreadableMedia(f"{place}: is empty")
    named = value.get("path") or ""
    path += os.path.splitext(named.partition("?")[0])[1]
    content = value.get("bytes")
    if content is None:
        if named and os.path.isfile(named):
            return named
        fsspec = importlib.import_module("fsspec")  # of the package datasets
        with fsspec.open(named, "rb") as file:
            content = file.read()
    with open(path, "wb") as file:
        file.write(content)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line, see the top of this file."""
    values = writing_flags("Folder of the new data set.")
    own: dict[str, Any] = {"flag_values": values}
    defaults = HubOptions()
    flags.DEFINE_string("name", None, "Repository of the Hub, or a local folder.", **own)
    flags.DEFINE_string("config", None, "Name of the subset, where there are several.", **own)
    flags.DEFINE_string("column", None, "Column of the videos; by default the only one.", **own)
    flags.DEFINE_string("label", None, "Column of the classes; by default the only one.", **own)
    flags.DEFINE_list("splits", [], "Splits to convert; by default all.", **own)
    for name in ("height", "width"):
        text = f"{name.capitalize()} of a frame in pixels."
        flags.DEFINE_integer(name, getattr(defaults, name), text, lower_bound=1, **own)
    text = "Frames per second of sequences of images; by default unknown."
    flags.DEFINE_float("fps", defaults.fps, text, **own)
    text = "Maximal number of frames; the rest is cut off."
    flags.DEFINE_integer("max_frames", None, text, lower_bound=1, **own)
    text = "Minimal number of frames; shorter videos are unreadable."
    flags.DEFINE_integer("min_frames", defaults.min_frames, text, lower_bound=1, **own)
    flags.DEFINE_enum("encoding", defaults.encoding, ENCODINGS, "Encoding of the frames.", **own)
    text = "Quality of the frames, for --encoding=jpeg; by default 95."
    flags.DEFINE_integer("jpeg_quality", None, text, lower_bound=1, upper_bound=100, **own)
    text = "Skipping of unreadable files, with a line for each; else they are an error."
    flags.DEFINE_bool("skip_unreadable", False, text, **own)

    def work() -> list[str]:
        fields = [field.name for field in dataclasses.fields(HubOptions)]
        given: dict[str, Any] = {name: values[name].value for name in fields}
        options = HubOptions(**given)
        with contextlib.suppress(ImportError):  # its bars would mix with ours
            importlib.import_module("datasets").disable_progress_bars()
        info = convert(
            values.name, values.out_dir, options, config=values.config, splits=values.splits,
            skip_unreadable=values.skip_unreadable, overwrite=values.overwrite,
        )  # fmt: skip
        return describe_dataset(info, values.out_dir)

    run_command(__doc__, values, ["name", "out_dir"], work, arguments)
