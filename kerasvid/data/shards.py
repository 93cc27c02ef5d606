"""Folders of shards: written atomically with checksums, and never read half-written.

A data set is a folder of TFRecord files and one `dataset.json`, which is written last: its
presence means that the data set is complete.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator

import tensorflow as tf

from kerasvid.data.records import (
    DatasetError,
    DatasetInfo,
    ShardInfo,
    SplitInfo,
    parse_record,
    remedy_of,
)
from kerasvid.data.remote import open_file_system
from kerasvid.io import atomic_write, replace_file

INFO_FILE = "dataset.json"
SHARD_SUFFIX = ".tfrecord"
_verified: dict[str, tuple[int, int, str]] = {}  # path -> size, modification time, SHA-256


class ShardWriter:
    """Writes one shard; it appears when the block succeeds.

    An exception inside the block leaves `path` as it was.

    Args:
        path: of the file, on a local disk.

    Attributes:
        info: name, count, SHA-256 and size; it exists after the block.

    Example:
        >>> with ShardWriter("data/train-00000-of-00001.tfrecord") as writer:
        ...     writer.write(finish_example(video_to_example(video), index=0))
        >>> writer.info.count
        1
    """

    info: ShardInfo

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        self.count = 0
        self._block = self._write_atomically()

    def __enter__(self) -> "ShardWriter":
        self._writer = self._block.__enter__()
        return self

    def write(self, record: bytes) -> None:
        """Appends one serialized record."""
        self._writer.write(record)
        self.count += 1

    def __exit__(self, *exception) -> None:
        self._block.__exit__(*exception)

    @contextlib.contextmanager
    def _write_atomically(self) -> Iterator[tf.io.TFRecordWriter]:
        with atomic_write(self.path) as temporary:
            with contextlib.closing(tf.io.TFRecordWriter(temporary)) as writer:
                yield writer
            digest, size = hash_file(temporary)
        self.info = ShardInfo(os.path.basename(self.path), self.count, digest, size)


def write_split(
    folder: str, split: str, records: Iterable[tuple[bytes, int]], videos_per_shard: int = 512
) -> SplitInfo:
    """Streams the records of a split into shards.

    Args:
        folder: where the files go; it must exist.
        split: name of the split, e.g. "train".
        records: pairs of a serialized video and its length in frames, in the order of `index`.
        videos_per_shard: number of records in a file; the last may have fewer.

    Returns:
        The description of the split for `dataset.json`.

    Raises:
        DatasetError: there are no records.
    """
    lengths: list[int] = []
    written: list[ShardInfo] = []
    records = iter(records)
    while first := next(records, None):
        part = os.path.join(folder, f"{split}-{len(written):05d}.part")
        with ShardWriter(part) as writer:
            rest = itertools.islice(records, videos_per_shard - 1)
            for record, length in itertools.chain([first], rest):
                writer.write(record)
                lengths.append(length)
        written.append(writer.info)
    if not written:
        raise DatasetError(f"{folder}: the split {split!r} has no videos; add at least one.")
    for number, shard in enumerate(written):  # only now is the number of shards known
        name = f"{split}-{number:05d}-of-{len(written):05d}{SHARD_SUFFIX}"
        replace_file(os.path.join(folder, shard.file), os.path.join(folder, name))
        written[number] = dataclasses.replace(shard, file=name)
    return SplitInfo(len(lengths), min(lengths), max(lengths), tuple(written))


def write_info(folder: str, info: DatasetInfo) -> None:
    """Writes `dataset.json` atomically; call it last, it declares the data set complete."""
    with (
        atomic_write(os.path.join(folder, INFO_FILE)) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        file.write(info.to_json())


def load_info(folder: str | os.PathLike) -> DatasetInfo:
    """Reads `dataset.json`.

    Raises:
        DatasetError: the folder is missing, empty, half-written or not a data set, or its
            description is broken or of another format version.
        RemoteError: the folder is on a file system that cannot be read.

    Example:
        >>> load_info("data/sprites").splits["train"].count
        9000
    """
    folder = os.fspath(folder)
    open_file_system(folder)
    path = os.path.join(folder, INFO_FILE)
    if not tf.io.gfile.isdir(folder):
        raise DatasetError(f"{folder}: no such folder; prepare the data set first.")
    if not tf.io.gfile.exists(path):
        files = tf.io.gfile.listdir(folder)
        if not files:
            raise DatasetError(f"{folder}: the folder is empty; {remedy_of(folder)}.")
        if any(SHARD_SUFFIX in name or INFO_FILE in name for name in files):
            what = f"half-written, {INFO_FILE} is missing"
            raise DatasetError(f"{folder}: {what}; {remedy_of(folder)}.")
        what = f"not a data set, {INFO_FILE} is missing"
        raise DatasetError(f"{folder}: {what}; convert videos with kerasvid data folder.")
    with tf.io.gfile.GFile(path, "rb") as file:
        text = file.read()
    try:
        info = DatasetInfo.from_json(text.decode())
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; {remedy_of(folder)}.") from error
    if not info.splits:
        raise DatasetError(f"{path}: lists no splits; {remedy_of(folder)}.")
    return info


def check_shards(folder: str | os.PathLike, info: DatasetInfo, deep: bool = False) -> None:
    """Checks that every shard is the file that was written.

    Args:
        folder: of the data set.
        info: its description.
        deep: also compare the SHA-256 of every shard, once per process for unchanged files.

    Raises:
        DatasetError: a shard is missing, truncated or altered.
    """
    folder = os.fspath(folder)
    for shard in (shard for split in info.splits.values() for shard in split.shards):
        path = os.path.join(folder, shard.file)
        if not tf.io.gfile.exists(path):
            raise DatasetError(f"{path}: the shard is missing; {remedy_of(folder)}.")
        stat = tf.io.gfile.stat(path)
        if stat.length != shard.bytes:
            what = "truncated" if stat.length < shard.bytes else "altered"
            what += f", {stat.length} bytes instead of {shard.bytes}"
            raise DatasetError(f"{path}: {what}; {remedy_of(folder)}.")
        known = (stat.length, stat.mtime_nsec, shard.sha256)
        if deep and _verified.get(path) != known:
            if hash_file(path)[0] != shard.sha256:
                what = f"altered, its SHA-256 differs from {INFO_FILE}"
                raise DatasetError(f"{path}: {what}; {remedy_of(folder)}.")
            _verified[path] = known


def hash_file(path: str) -> tuple[str, int]:
    """SHA-256 (hexadecimal) and size in bytes of a file."""
    digest, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def shortest_video(folder: str, info: DatasetInfo, split: str, frames: int) -> str:
    """Names the shortest video of a split, for the message that it has less than `frames` frames.

    Example:
        >>> shortest_video("data/mine", load_info("data/mine"), "train", frames=16)
        "The shortest is 'walk/anna.mp4'."
    """
    clips = info.splits[split]
    files = [os.path.join(folder, shard.file) for shard in clips.shards]
    found = []
    with contextlib.suppress(tf.errors.OpError):  # a damaged shard has a message of its own
        records = tf.data.TFRecordDataset(files).map(parse_record)
        records = records.map(lambda record: (record["id"], record["length"]))
        records = records.filter(lambda _, length: tf.equal(length, clips.min_length))
        found = [name.decode(errors="replace") for name, _ in records.take(1).as_numpy_iterator()]
    text = f"The shortest is {found[0]!r}." if found else ""
    if clips.max_length >= frames:
        flags = f"--min_frames={frames} --skip_unreadable"
        text += f" Leave such videos out with kerasvid data folder {flags}."
    return text.strip()


@functools.lru_cache(maxsize=32)
def record_values(folder: str, split: str, key: str) -> frozenset[int]:
    """The different values of a field in the records of a split, without decoding frames.

    Args:
        folder: of the data set.
        split: one of its splits.
        key: `"label"` or `"identity"`; -1 stands for unknown.

    Raises:
        DatasetError, tf.errors.OpError: there is no data set, or a record is damaged.

    Example:
        >>> record_values("data/sprites", "test", "label")
        frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8})
    """
    files = [os.path.join(folder, shard.file) for shard in load_info(folder).splits[split].shards]
    values = tf.data.TFRecordDataset(files).map(
        lambda record: parse_record(record)[key], num_parallel_calls=tf.data.AUTOTUNE
    )
    return frozenset(int(value) for batch in values.batch(256) for value in batch.numpy())
