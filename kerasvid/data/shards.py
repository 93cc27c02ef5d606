"""Folders of shards: written atomically with checksums, and never read half-written.

A data set is a folder of TFRecord files and one `dataset.json`, which is written last: its
presence means that the data set is complete.

What the records of a split are told by, without a look at their frames.
"""

import dataclasses
import functools
import hashlib
import itertools
import os
import re
import socket
from collections.abc import Iterable
from types import TracebackType

import tensorflow as tf

from kerasvid.data.records import DatasetError, DatasetInfo, ShardInfo, SplitInfo, parse_record
from kerasvid.data.remote import open_file_system

INFO_FILE = "dataset.json"
SHARD_SUFFIX = ".tfrecord"
_verified: dict[str, tuple[int, int, str]] = {}  # path -> size, modification time, SHA-256


def temporary_name(path: str) -> str:
    """Name beside `path` that no other process uses, on no other host of a shared disk either.

    Example:
        >>> temporary_name("data/mine")
        'data/mine.tmp-myhost-1234'
    """
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    return f"{os.fspath(path)}.tmp-{host}-{os.getpid()}"


class ShardWriter:
    """Writes one shard under a temporary name; leaving the block renames it.

    An exception inside the block removes the temporary file and leaves `path` as it was.

    Args:
        path: final name of the file, on a local disk.

    Attributes:
        count: records so far.
        info: name, count, SHA-256 and size, once the block has ended.

    Example:
        >>> with ShardWriter("data/train-00000-of-00001.tfrecord") as writer:
        ...     writer.write(encode_video(video, index=0))
        >>> writer.info.count
        1
    """

    def __init__(self, path: str) -> None:
        self.path = os.fspath(path)
        self.count = 0
        self.info: ShardInfo | None = None
        self._temporary = temporary_name(self.path)
        self._writer: tf.io.TFRecordWriter | None = None

    def __enter__(self) -> "ShardWriter":
        self._writer = tf.io.TFRecordWriter(self._temporary)
        return self

    def write(self, record: bytes) -> None:
        """Appends one serialized record."""
        self._writer.write(record)
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.close()
            if kind is None:
                digest, size = hash_file(self._temporary)
                _flush_to_disk(self._temporary)
                os.replace(self._temporary, self.path)
                self.info = ShardInfo(os.path.basename(self.path), self.count, digest, size)
        finally:
            if os.path.exists(self._temporary):
                os.remove(self._temporary)


def write_split(
    folder: str, split: str, records: Iterable[tuple[bytes, int]], videos_per_shard: int = 512
) -> SplitInfo:
    """Streams the records of a split into shards.

    Args:
        folder: where the files go; it must exist.
        split: name of the split, e.g. "train".
        records: pairs of a serialized video and its length in frames, in the order of `index`.
        videos_per_shard: number of records a file, but for the last.

    Returns:
        What `dataset.json` states of the split.

    Raises:
        DatasetError: there are no records.
    """
    lengths, written, records = [], [], iter(records)
    while chunk := next(records, None):
        part = os.path.join(folder, f"{split}-{len(written):05d}.part")
        with ShardWriter(part) as writer:
            for record, length in itertools.chain(
                [chunk], itertools.islice(records, videos_per_shard - 1)
            ):
                writer.write(record)
                lengths.append(length)
        written.append(writer.info)
    if not written:
        raise DatasetError(f"{folder}: the split {split!r} holds no videos; give it one or more.")
    for number, shard in enumerate(written):  # only now is the number of shards known
        name = shard_name(split, number, len(written))
        os.replace(os.path.join(folder, shard.file), os.path.join(folder, name))
        written[number] = dataclasses.replace(shard, file=name)
    return SplitInfo(sum(s.count for s in written), min(lengths), max(lengths), tuple(written))


def shard_name(split: str, number: int, shards: int) -> str:
    """File name of a shard, e.g. "train-00000-of-00018.tfrecord"."""
    return f"{split}-{number:05d}-of-{shards:05d}{SHARD_SUFFIX}"


def write_info(folder: str, info: DatasetInfo) -> None:
    """Writes `dataset.json` atomically; call it last, it declares the data set complete."""
    path = os.path.join(folder, INFO_FILE)
    temporary = temporary_name(path)
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(info.to_json())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def load_info(folder: str) -> DatasetInfo:
    """Reads `dataset.json`.

    Raises:
        DatasetError: there is no such folder, it is empty, half-written, holds no data set, or
            its description is broken or of another format version.
        RemoteError: it is remote, on a file system that cannot be read.

    Example:
        >>> load_info("data/sprites").splits["train"].count
        9000
    """
    folder = os.fspath(folder)
    open_file_system(folder)
    path = os.path.join(folder, INFO_FILE)
    remake = f"delete the folder {folder} and prepare the data set again"
    if not tf.io.gfile.isdir(folder):
        raise DatasetError(f"{folder}: no such folder; prepare the data set first.")
    if not tf.io.gfile.exists(path):
        files = tf.io.gfile.listdir(folder)
        if not files:
            raise DatasetError(f"{folder}: the folder is empty; {remake}.")
        if any(SHARD_SUFFIX in name or name.startswith(INFO_FILE) for name in files):
            raise DatasetError(f"{folder}: half-written, {INFO_FILE} is missing; {remake}.")
        raise DatasetError(
            f"{folder}: no data set, {INFO_FILE} is missing; convert videos into a data set "
            "with kerasvid data folder."
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        text = file.read()
    try:
        info = DatasetInfo.from_json(text.decode())
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; {remake}.") from error
    if not info.splits:
        raise DatasetError(f"{path}: states no splits; {remake}.")
    return info


def check_shards(folder: str, info: DatasetInfo, deep: bool = False) -> None:
    """Checks that every shard is the file that was written.

    Args:
        folder: of the data set.
        info: its description.
        deep: also compare the SHA-256 of every shard, once a process for unchanged files.

    Raises:
        DatasetError: a shard is absent, truncated or altered.
    """
    folder = os.fspath(folder)
    for split in info.splits.values():
        for shard in split.shards:
            _check_shard(folder, shard, deep)


def _check_shard(folder: str, shard: ShardInfo, deep: bool) -> None:
    path = os.path.join(folder, shard.file)
    remake = f"delete the folder {folder} and prepare the data set again"
    if not tf.io.gfile.exists(path):
        raise DatasetError(f"{path}: the shard is missing; {remake}.")
    stat = tf.io.gfile.stat(path)
    if stat.length != shard.bytes:
        what = "truncated" if stat.length < shard.bytes else "altered"
        raise DatasetError(
            f"{path}: {what}, {stat.length} bytes instead of {shard.bytes}; {remake}."
        )
    known = (stat.length, stat.mtime_nsec, shard.sha256)
    if deep and _verified.get(path) != known:
        if hash_file(path)[0] != shard.sha256:
            raise DatasetError(f"{path}: altered, its SHA-256 does not match; {remake}.")
        _verified[path] = known


def hash_file(path: str) -> tuple[str, int]:
    """SHA-256 (hexadecimal) and size in bytes of a file."""
    digest, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _flush_to_disk(path: str) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


BATCH = 256  # values fetched at once


@functools.lru_cache(maxsize=32)
def record_values(folder: str, split: str, key: str) -> frozenset[int]:
    """The different values of a field in the records of a split.

    Args:
        folder: of the data set.
        split: one of its splits.
        key: `"label"` or `"identity"`; -1 stands for unknown.

    Raises:
        DatasetError: there is no data set.
        tf.errors.OpError: a record is damaged.

    Example:
        >>> record_values("data/sprites", "test", "label")
        frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8})
    """
    files = [os.path.join(folder, shard.file) for shard in load_info(folder).splits[split].shards]
    values = tf.data.TFRecordDataset(files).map(
        lambda record: parse_record(record)[key], num_parallel_calls=tf.data.AUTOTUNE
    )
    return frozenset(int(value) for batch in values.batch(BATCH) for value in batch.numpy())
