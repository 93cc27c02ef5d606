"""Converts a data set of TensorFlow Datasets with videos or sequences of images.

    kerasvid data tfds --name=bair_robot_pushing_small --feature=image_main --out_dir=data/bair
    kerasvid data tfds --name=ucf101/ucf101_1:2.0.0 --tfds_dir=gs://bucket/tfds \\
        --splits=train,test --height=64 --width=64 --out_dir=data/ucf101

--name is written as TensorFlow Datasets writes it: NAME, NAME/CONFIG or NAME/CONFIG:VERSION. A data
set that is not prepared in --tfds_dir is downloaded and prepared there first. It is streamed, file
by file, and of a data set of many files several are read at once. The records of a file lie on the
disk twice until all of it has been read.
The feature of the videos is the only one of videos or of sequences of images, or --feature. An
image of the steps of an episode is written steps/observation/image. The classes are those of the
only class label of a video, or of --label_feature. Frames are resized until they cover
height x width, then cropped to the centre. Splits, licence and citation are taken over.
"""

import collections
import contextlib
import dataclasses
import difflib
import fractions
import importlib
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import absl.logging
import numpy as np
import tensorflow as tf
from absl import flags

from kerasvid.data.records import MAX_FPS, DatasetInfo, Video
from kerasvid.io import cause_of
from kerasvid.naming import nearest_names
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import (
    chosen_part,
    chosen_videos,
    describe_dataset,
    given_options,
    option,
    option_flags,
    run_command,
    writing_flags,
)
from tfrecords_tools.converters.folder import ClipOptions, clips_of, describe_cut

CATALOGUE = "https://www.tensorflow.org/datasets/catalog"
_NAME = re.compile(
    r"(?P<builder>(\w+:)?\w+)(/(?P<config>[\w.-]+))?(:(\d+|\*)(\.(\d+|\*)){2})?", re.ASCII
)


@dataclasses.dataclass(frozen=True)
class TfdsOptions(ClipOptions):
    """Which features become videos, and how."""

    feature: str | None = option(
        None, "Feature of the videos, such as steps/image; by default the only one."
    )
    label_feature: str | None = option(
        None, "Feature of the classes; by default the only class label of a video."
    )
    fps: float | None = option(
        None, "Frames per second where the data set states none; by default unknown.", 0.01, 1000
    )


def convert(
    name: str,
    out_dir: str | os.PathLike,
    options: TfdsOptions | None = None,
    *,
    tfds_dir: str | os.PathLike | None = None,
    splits: Sequence[str] = (),
    skip_unreadable: bool = False,
    **writing: Any,
) -> DatasetInfo:
    """Writes a data set of TensorFlow Datasets as records.

    Args:
        name: "name", "name/config" or "name/config:version".
        out_dir: folder of the new data set.
        options: of the features and frames.
        tfds_dir: folder of prepared data sets, by default that of TensorFlow Datasets. A data set
            that is missing there is downloaded and prepared.
        splits: to convert; by default all.
        skip_unreadable: leave out videos that cannot be read, with a line for each on stderr.
        **writing: of `write_dataset`.

    Raises:
        ConversionError: `tensorflow_datasets` is not installed, the data set is unknown or cannot
            be prepared or read, a feature or split is unknown or there are several that fit, or as
            in `write_dataset`.

    Example:
        >>> convert("bair_robot_pushing_small", "data/bair", TfdsOptions(feature="image_main"))
    """
    options = options or TfdsOptions()
    tfds = _package()
    builder = _prepared(tfds, name, tfds_dir)
    about = builder.info
    found = {split: about.splits[split].shard_lengths for split in about.splits}
    if unknown := [each for each in splits if each not in found]:
        raise ConversionError(
            f"{name}: no split {unknown[0]!r}; {nearest_names(unknown[0], found)}."
        )
    leaves = sorted(_leaves(tfds, about.features), key=lambda leaf: leaf.name)
    video = _video_leaf(name, leaves, options.feature)
    label = _label_leaf(name, leaves, options.label_feature)
    fps = _stated_rate(video, about.metadata) or options.fps or -1.0
    info = DatasetInfo(
        f"tfds/{about.full_name.removesuffix(f'/{about.version}')}", str(about.version),
        options.height, options.width, fps=fps, encoding=options.encoding,
        class_names=tuple(label.feature.names) if label else (),
        licence=str(about.redistribution_info.license or "").strip(),
        citation=str(about.citation or "").strip(), source=str(about.homepage or ""),
    )  # fmt: skip
    items = {
        split: [_Part(split, number) for number, count in enumerate(found[split]) if count]
        for split in splits or found
    }
    lengths: dict[str, int] = {}  # of the videos that are cut

    def load(part: "_Part") -> Iterator[Video]:
        try:
            for number, row in enumerate(_rows(tfds, builder, leaves, part)):
                video_id = f"{part.split}/{part.number:05d}-{number:06d}"
                place = f"{name}: {video_id}"
                own = -1 if label is None else int(_value(row, label.path))

                def clips(row=row, place=place, video_id=video_id):
                    frames = _frames(row, video, place)
                    return clips_of(frames, place, video_id, options, lengths)

                try:
                    if skip_unreadable and options.clip_frames:
                        # What is broken further on leaves out the clips before it.
                        collections.deque(clips(), maxlen=0)
                    for clip_id, frames in clips():
                        yield Video(frames, clip_id, fps, own)
                except UnreadableMedia as error:
                    if not skip_unreadable:  # without the others of its part
                        raise
                    print(f"skipped {error}", file=sys.stderr)
        except (ConversionError, UnreadableMedia):
            raise
        except Exception as error:  # of the store and of its many formats
            raise ConversionError(
                f"{name}: {part.split} cannot be read ({cause_of(error)})."
            ) from error

    writing["jpeg_quality"] = options.jpeg_quality
    info = write_dataset(out_dir, info, items, load, **writing)
    if cut := options.clip_frames:
        print(describe_cut(lengths, cut, options.clip_stride or cut), file=sys.stderr)
    return info


@dataclasses.dataclass(frozen=True)
class _Part:
    """A file of a split."""

    split: str
    number: int


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """A feature that has no others in it.

    `depth` is the number of sequences around it, and `video` the feature of videos that it is the
    frames of, if there is one.
    """

    path: tuple[str, ...]
    feature: Any
    depth: int
    video: Any
    is_image: bool

    @property
    def name(self) -> str:
        return "/".join(self.path)

    @property
    def is_video(self) -> bool:
        """Whether it is a sequence of images that are grey, RGB or RGBA, of 8 or 16 bits."""
        return (
            self.is_image
            and self.depth == 1
            and self.feature.np_dtype in (np.uint8, np.uint16)
            and self.feature.shape[-1] in (1, 3, 4)
        )

    @property
    def is_label(self) -> bool:
        return self.depth == 0 and bool(getattr(self.feature, "num_classes", None))


def _package() -> Any:
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise ConversionError(
            "tfds needs the package tensorflow-datasets. Run pip install 'kerasvid[tfds]'."
        ) from error


def _prepared(tfds: Any, name: str, tfds_dir: str | os.PathLike | None) -> Any:
    """The builder of a data set, which it prepares if need be."""
    if not (parts := _NAME.fullmatch(name)):
        raise ConversionError(f"{name}: is not written as NAME, NAME/CONFIG or NAME/CONFIG:1.0.0.")
    try:
        builder = tfds.builder(name, data_dir=tfds_dir)
    except Exception as error:  # of the network and many data sets
        raise ConversionError(
            f"{name}: {_why_unknown(tfds, parts['builder'], parts['config'], error)}."
        ) from error
    if not builder.is_prepared():
        try:
            builder.download_and_prepare()
        except Exception as error:  # of the network and many data sets
            raise ConversionError(
                f"{name}: is not prepared in {builder.data_dir} and cannot be ({cause_of(error)}). "
                "Give the folder of prepared data sets as --tfds_dir."
            ) from error
    return builder


def _why_unknown(tfds: Any, name: str, config: str | None, error: Exception) -> str:
    known = tfds.list_builders(with_community_datasets=False)
    if isinstance(error, tfds.core.DatasetNotFoundError) or (name not in known and ":" not in name):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? See" if close else "see"
        return (f"no data set {name!r}; {hint} {CATALOGUE}, or give the folder of prepared data "
                "sets as --tfds_dir")  # fmt: skip
    configs = tfds.builder_cls(name).builder_configs if name in known else {}
    if config and configs and config not in configs:
        return f"no configuration {config!r}; {nearest_names(config, configs)}"
    return f"cannot be read ({re.sub('^Failed to construct .*?}.: ', '', cause_of(error))})"


def _leaves(
    tfds: Any, feature: Any, path: tuple[str, ...] = (), depth: int = 0, video: Any = None
) -> Iterator[_Leaf]:
    """The features in a feature. Videos and the steps of an episode are sequences."""
    kinds = tfds.features
    if isinstance(feature, kinds.Sequence):
        video = feature if isinstance(feature, kinds.Video) else video
        yield from _leaves(tfds, feature.feature, path, depth + 1, video)
    elif isinstance(feature, kinds.FeaturesDict):
        for key, inner in feature.items():
            yield from _leaves(tfds, inner, (*path, key), depth, video)
    else:
        yield _Leaf(path, feature, depth, video, isinstance(feature, kinds.Image))


def _video_leaf(name: str, leaves: Sequence[_Leaf], wanted: str | None) -> _Leaf:
    by_name = {leaf.name: leaf for leaf in leaves}
    fitting = [leaf.name for leaf in leaves if leaf.is_video]
    return by_name[chosen_videos(name, "feature", wanted, fitting, [*by_name])]


def _label_leaf(name: str, leaves: Sequence[_Leaf], wanted: str | None) -> _Leaf | None:
    """The feature of the classes; `None` without one."""
    by_name = {leaf.name: leaf for leaf in leaves}
    fitting = [leaf.name for leaf in leaves if leaf.is_label]
    what = "class label of a video"
    found = chosen_part(name, "feature", wanted, fitting, [*by_name], what)
    return None if found is None else by_name[found]


def _stated_rate(leaf: _Leaf, metadata: Mapping[str, Any] | None) -> float | None:
    """Frames per second by the arguments of FFmpeg that made a video, or by the metadata."""
    given = [*leaf.video.to_json_content().ffmpeg_extra_args] if leaf.video else []
    stated: list[Any] = [after for flag, after in itertools.pairwise(given) if flag == "-r"]
    stated += re.findall(r"\bfps=(?:fps=)?([\d./]+)", " ".join(given))
    stated += [(metadata or {}).get(key) for key in ("fps", "frame_rate")]
    for each in stated:
        with contextlib.suppress(ValueError, TypeError, ZeroDivisionError):
            rate = float(fractions.Fraction(each))
            if 0 < rate < MAX_FPS:
                return rate
    return None


def _rows(tfds: Any, builder: Any, leaves: Sequence[_Leaf], part: _Part) -> tf.data.Dataset:
    """The examples in a file, with the bytes of their images."""

    class Encoded(tfds.decode.SkipDecoding):
        def decode_batch_example(self, serialized_example):
            return serialized_example

    decoders: dict[str, Any] = {}
    for leaf in leaves:
        if leaf.is_image:
            inner = decoders
            for key in leaf.path[:-1]:
                inner = inner.setdefault(key, {})
            inner[leaf.path[-1]] = Encoded()
    return builder.as_dataset(
        split=f"{part.split}[{part.number}shard]",
        decoders=decoders,
        read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
    )


def _value(row: Any, path: Sequence[str]) -> Any:
    for key in path:
        row = row[key]
    return row


def _frames(row: Any, leaf: _Leaf, place: str) -> Iterator[np.ndarray]:
    """The frames of an example, uint8 RGB [H, W, 3] each, as TensorFlow Datasets decodes them."""
    count = 0
    for count, content in enumerate(_encoded(row, leaf.path), 1):  # noqa: B007
        try:
            image = leaf.feature.decode_example(content).numpy()
        except (tf.errors.OpError, ValueError) as error:
            raise UnreadableMedia(
                f"{place}: cannot be read as an image ({cause_of(error)})"
            ) from error
        if image.ndim != 3:
            raise UnreadableMedia(f"{place}: holds an animation in place of an image")
        yield media.as_rgb(image)
    if not count:
        raise UnreadableMedia(f"{place}: has no frames")


def _encoded(value: Any, path: Sequence[str]) -> Iterator[bytes]:
    """The encoded images at a path, also of the steps of an episode, which are a data set."""
    if isinstance(value, tf.data.Dataset):
        for step in value:
            yield from _encoded(step, path)
    elif path:
        yield from _encoded(value[path[0]], path[1:])
    else:
        content = value.numpy()
        yield from [content] if isinstance(content, bytes) else content


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line, see the top of this file."""
    values = writing_flags("Folder of the new data set.")
    own: dict[str, Any] = {"flag_values": values}
    text = "Data set of TensorFlow Datasets: NAME, NAME/CONFIG or NAME/CONFIG:VERSION."
    flags.DEFINE_string("name", None, text, **own)
    text = "Folder of prepared data sets; by default that of TensorFlow Datasets."
    flags.DEFINE_string("tfds_dir", None, text, **own)
    flags.DEFINE_list("splits", [], "Splits to convert; by default all.", **own)
    text = "Skipping of unreadable videos, with a line for each; else they are an error."
    flags.DEFINE_bool("skip_unreadable", False, text, **own)
    option_flags(TfdsOptions, values)

    def work() -> list[str]:
        absl.logging.set_verbosity(absl.logging.ERROR)  # of warnings for those who write builders
        info = convert(
            values.name, values.out_dir, given_options(TfdsOptions, values),
            tfds_dir=values.tfds_dir, splits=values.splits,
            skip_unreadable=values.skip_unreadable, overwrite=values.overwrite,
        )  # fmt: skip
        return describe_dataset(info, values.out_dir)

    run_command(__doc__, values, ["name", "out_dir"], work, arguments)
