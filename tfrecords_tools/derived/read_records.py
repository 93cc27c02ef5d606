"""Reads the records of a data set one by one, as they are, to make another data set of them."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from absl import flags
from google.protobuf.message import DecodeError

from kerasvid.data.records import REMEDY, DatasetInfo
from kerasvid.data.shards import DatasetError
from kerasvid.io import one_line
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converter_flags import writing_flags


def division_flags(out_dir: str, fraction: float, what: str) -> flags.FlagValues:
    """The flags of a command that divides a data set; `what` says of what --fraction is a share."""
    values = writing_flags(out_dir)
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_string("data_dir", None, "Folder of the data set to read.", **own)
    flags.DEFINE_float("fraction", fraction, f"Share of the {what}.", **own)
    flags.DEFINE_integer("seed", 0, f"Seed for the choice of the {what}.", 0, **own)
    return values


def check_choice(fraction: float, seed: int) -> None:
    """Raises ConversionError unless the fraction is above 0 and below 1 and the seed 0 or more."""
    if not 0 < fraction < 1:
        raise ConversionError(f"fraction={fraction}: must be above 0 and below 1.")
    if seed < 0:
        raise ConversionError(f"seed={seed}: must be 0 or more.")


def read_records(
    folder: str | os.PathLike, info: DatasetInfo, split: str
) -> Iterator[tf.train.Example]:
    """Reads the records of a split one by one, in order, without decoding their frames.

    Yields:
        A record with at least one frame, the right `length` and `index`, and an `id`.

    Raises:
        DatasetError: a shard cannot be read, is damaged, has too few records or records of
            another format; the message names the shard.
    """
    first = 0
    for shard in info.splits[split].shards:
        path = os.path.join(folder, shard.file)
        count = 0
        try:
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                yield _parse(serialized, path, first + count)
                count += 1
        except tf.errors.DataLossError as error:
            raise DatasetError(f"{path}: record {count} is damaged; {REMEDY}") from error
        except tf.errors.OpError as error:
            why = f"cannot be read ({one_line(str(error))}); check the path and its permissions"
            raise DatasetError(f"{path}: {why}.") from error
        if count != shard.count:
            raise DatasetError(f"{path}: {count} records instead of {shard.count}; {REMEDY}")
        first += count


def length_of(record: tf.train.Example) -> int:
    """Number of frames of a record."""
    return record.features.feature["length"].int64_list.value[0]


def with_origin(info: DatasetInfo, how: str) -> DatasetInfo:
    """Adds to the source of a description which data set it was made from, and how."""
    origin = f"{info.name}, {how}"
    return dataclasses.replace(info, source=f"{info.source}; {origin}" if info.source else origin)


def _parse(serialized: bytes, path: str, place: int) -> tf.train.Example:
    try:
        example = tf.train.Example.FromString(serialized)
    except DecodeError as error:
        raise DatasetError(f"{path}: contains no tf.train.Example; {REMEDY}") from error
    feature = example.features.feature
    frames, stated = feature["frames"].bytes_list.value, feature["length"].int64_list.value
    if not frames or list(stated) != [len(frames)] or len(feature["id"].bytes_list.value) != 1:
        raise DatasetError(f"{path}: a record lacks frames, length or id; {REMEDY}")
    if list(feature["index"].int64_list.value) != [place]:
        raise DatasetError(f"{path}: index is not the place in the split; {REMEDY}")
    return example
