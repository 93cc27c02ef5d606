"""Takes a share of a data set's training videos apart into single frames: videos and images.

    python -m tfrecords_tools.split_frames --data_dir=data/mug --out_dir=data/mug-mixed

This is the mixed data of section 5.1 of "Jointly Trained Image and Video Generation using Residual
Vectors" (WACV 2020), by default with half of the videos taken apart. It writes two data sets:

    data/mug-mixed/videos    the other training videos, and all test videos
    data/mug-mixed/images    the frames of the chosen training videos, and of all test videos

A frame is a video of length 1 that keeps label, identity, attributes and, byte by byte, its
encoded image; its id is that of its video with "/frame-0003".
"""

import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import tensorflow as tf
from absl import flags
from google.protobuf.message import DecodeError

from kerasvid.data.schema import DatasetInfo, finish_example
from kerasvid.data.shards import (
    INFO_FILE,
    DatasetError,
    check_shards,
    load_info,
    temporary_name,
    write_info,
    write_split,
)
from tfrecords_tools import conversion
from tfrecords_tools.conversion import ConversionError

PARTS = ("videos", "images")
TRAIN = "train"
IMAGES_PER_SHARD = 16384
_REMAKE = "delete the folder and prepare the data set again."


def split_frames(
    folder: str | os.PathLike,
    out_dir: str | os.PathLike,
    fraction: float = 0.5,
    seed: int = 0,
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> tuple[DatasetInfo, DatasetInfo]:
    """Writes the data sets `out_dir`/videos and `out_dir`/images; both appear when complete.

    Records are read and written one by one, and no frame is decoded.

    Args:
        folder: of a data set with a split "train"; its other splits go into both data sets.
        out_dir: where the two are to lie.
        fraction: share of the training videos to take apart, above 0 and below 1; each of the
            two data sets gets one video or more.
        seed: of the choice of these videos.
        overwrite: replace two such data sets that are already there.
        progress: show a line of progress on stderr.

    Returns:
        The descriptions of both data sets.

    Raises:
        DatasetError: the data set is absent, half-written or altered.
        ConversionError: the fraction is out of range, there are fewer than two training videos,
            or out_dir exists or cannot be written. Nothing is left then.

    Example:
        >>> videos, images = split_frames("data/mug", "data/mug-mixed", fraction=0.5)
    """
    folder, out_dir = os.fspath(folder), os.path.abspath(os.fspath(out_dir))
    info = load_info(folder)
    chosen = choose_videos(info, fraction, seed)
    _check_target(folder, out_dir, overwrite)
    check_shards(folder, info, deep=True)
    conversion._remove_leftovers(out_dir)
    building = temporary_name(out_dir)
    total = len(PARTS) * sum(split.count for split in info.splits.values())
    bar = conversion._ProgressLine(total, progress)
    try:
        origin = f"{info.name}, by split_frames with fraction={fraction} and seed={seed}"
        source = f"{info.source}; {origin}" if info.source else origin
        info = dataclasses.replace(info, source=source)
        written = [_write_part(folder, building, info, part, chosen, bar) for part in PARTS]
        _check_target(folder, out_dir, overwrite)  # another process may have made it meanwhile
        conversion._move_into_place(building, out_dir)
    except (OSError, tf.errors.OpError) as error:
        raise conversion._explain_disk_error(error, out_dir) from error
    finally:
        bar.close()
        shutil.rmtree(building, ignore_errors=True)
    return written[0], written[1]


def choose_videos(info: DatasetInfo, fraction: float, seed: int) -> frozenset[int]:
    """The training videos to take apart, by `index`; it follows from count, fraction and seed.

    Raises:
        ConversionError: the fraction is out of range, or there are fewer than two videos.
    """
    if not 0 < fraction < 1:
        raise ConversionError(f"fraction={fraction}: must be above 0 and below 1.")
    if seed < 0:
        raise ConversionError(f"seed={seed}: must be 0 or more.")
    if TRAIN not in info.splits:
        raise ConversionError(
            f"{info.name}: has no split {TRAIN!r} but {', '.join(info.splits)}; give a data set "
            "to train on."
        )
    count = info.splits[TRAIN].count
    if count < 2:
        raise ConversionError(
            f"{info.name}: {count} training video cannot be divided; give two or more."
        )
    wanted = min(max(round(fraction * count), 1), count - 1)
    return frozenset(np.random.default_rng(seed).permutation(count)[:wanted].tolist())


def _write_part(
    folder: str, building: str, info: DatasetInfo, part: str, chosen: AbstractSet[int], bar
) -> DatasetInfo:
    place = os.path.join(building, part)
    os.makedirs(place)
    images = part == "images"
    splits = {}
    for split in info.splits:
        records = _records(folder, info, split, images, chosen, bar)
        size = {"videos_per_shard": IMAGES_PER_SHARD} if images else {}
        splits[split] = write_split(place, split, records, **size)
    fps = -1.0 if images else info.fps  # a still image has no rate
    info = dataclasses.replace(info, name=f"{info.name}/{part}", fps=fps, splits=splits)
    write_info(place, info)
    return info


def _records(
    folder: str, info: DatasetInfo, split: str, images: bool, chosen: AbstractSet[int], bar
) -> Iterator[tuple[bytes, int]]:
    """Pairs of a record and its length for one split of one of the two data sets."""
    index = 0
    for number, example in enumerate(_read_split(folder, info, split)):
        bar.advance()
        if split == TRAIN and (number in chosen) != images:
            continue
        for record in _frames(example) if images else [example]:
            length = record.features.feature["length"].int64_list.value[0]
            yield finish_example(record, index), length
            index += 1


def _read_split(folder: str, info: DatasetInfo, split: str) -> Iterator[tf.train.Example]:
    for shard in info.splits[split].shards:
        path = os.path.join(folder, shard.file)
        count = 0
        try:
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                yield _parse(serialized, path)
                count += 1
        except tf.errors.DataLossError as error:
            raise DatasetError(f"{path}: record {count} is damaged; {_REMAKE}") from error
        if count != shard.count:
            raise DatasetError(f"{path}: {count} records instead of {shard.count}; {_REMAKE}")


def _parse(serialized: bytes, path: str) -> tf.train.Example:
    try:
        example = tf.train.Example.FromString(serialized)
    except DecodeError as error:
        raise DatasetError(f"{path}: holds no tf.train.Example; {_REMAKE}") from error
    feature = example.features.feature
    frames, stated = feature["frames"].bytes_list.value, feature["length"].int64_list.value
    if not frames or list(stated) != [len(frames)] or len(feature["id"].bytes_list.value) != 1:
        raise DatasetError(f"{path}: a record lacks frames, length or id; {_REMAKE}")
    return example


def _frames(video: tf.train.Example) -> Iterator[tf.train.Example]:
    """The records of a video's frames; the encoded images are its own, byte by byte."""
    images = list(video.features.feature["frames"].bytes_list.value)
    name = video.features.feature["id"].bytes_list.value[0]
    frame = tf.train.Example()
    frame.CopyFrom(video)
    feature = frame.features.feature
    feature["length"].int64_list.value[:] = [1]
    feature["fps"].float_list.value[:] = [-1.0]
    for number, image in enumerate(images):
        feature["frames"].bytes_list.value[:] = [image]
        feature["id"].bytes_list.value[:] = [b"%s/frame-%04d" % (name, number)]
        yield frame


def _check_target(folder: str, out_dir: str, overwrite: bool) -> None:
    source = os.path.realpath(folder)
    if os.path.commonpath([source, os.path.realpath(out_dir)]) == os.path.realpath(out_dir):
        raise ConversionError(f"{out_dir}: holds the data set to read; give another --out_dir.")
    if not os.path.exists(out_dir) or (os.path.isdir(out_dir) and not os.listdir(out_dir)):
        return
    if not all(os.path.exists(os.path.join(out_dir, part, INFO_FILE)) for part in PARTS):
        raise ConversionError(
            f"{out_dir}: exists and does not hold videos and images; give another --out_dir."
        )
    if not overwrite:
        raise ConversionError(
            f"{out_dir}: holds videos and images already; replace them with --overwrite or give "
            "another --out_dir."
        )


def _define_flags() -> flags.FlagValues:
    # Flags of their own: importing this module must not add to those of another program.
    values = flags.FlagValues()
    own = {"flag_values": values}
    flags.DEFINE_string("data_dir", None, "Folder of the data set to take apart.", **own)
    flags.DEFINE_string("out_dir", None, "Folder for the two data sets.", **own)
    flags.DEFINE_float("fraction", 0.5, "Share of the training videos to take apart.", **own)
    flags.DEFINE_integer("seed", 0, "Seed of the choice of these videos.", 0, **own)
    flags.DEFINE_bool("overwrite", False, "Replace two data sets in --out_dir.", **own)
    flags.DEFINE_bool("help", False, "Show this text.", **own)
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line on stderr and status 1."""
    values = _define_flags()
    try:
        extra = values([sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)])[1:]
    except flags.Error as error:
        sys.exit(f"error: {error}")
    if values.help:
        print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
        return
    if extra:
        sys.exit(f"error: {extra[0]}: give everything as --flag=value; see --help.")
    for name in ("data_dir", "out_dir"):
        if not values[name].value:
            sys.exit(f"error: --{name} is missing; see --help.")
    try:
        parts = split_frames(
            values.data_dir, values.out_dir, values.fraction, values.seed,
            overwrite=values.overwrite,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    count = load_info(values.data_dir).splits[TRAIN].count
    chosen = count - parts[0].splits[TRAIN].count
    print(f"Took {chosen} of {count} training videos apart.")
    for part, info in zip(PARTS, parts, strict=True):
        counts = ", ".join(f"{split.count} {name}" for name, split in info.splits.items())
        print(f"{os.path.join(values.out_dir, part)}: {counts} {part}")


if __name__ == "__main__":
    main()
