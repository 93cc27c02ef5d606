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
import shlex
import stat
import time
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf

from kerasvid.data.records import (
    FORMAT,
    SHARD_SUFFIX,
    DatasetError,
    DatasetInfo,
    NotAccepted,
    ShardInfo,
    SplitInfo,
    assert_record,
    decode_frames,
    parse_record,
    record_faults,
    remedy_of,
    shard_name,
)
from kerasvid.data.remote import (
    MissingFile,
    fetched,
    is_cached,
    list_remote,
    open_file_system,
    opened,
    read_remote,
    remote_size,
)
from kerasvid.io import (
    atomic_write,
    check_unicode_name,
    described,
    one_line,
    remove_leftovers,
    replace_file,
)

INFO_FILE = "dataset.json"
READ_BYTES = 1 << 20
SEARCHED_VIDEOS = 1000  # for the shortest one; a message is not worth reading a whole data set
DOWNLOADS = 4  # shards of a remote data set that are fetched ahead of time
RECENT_NS = 2 * 10**9  # within which a second change of a file may leave its time as it is
_verified: dict[str, tuple[tuple[int, ...], str]] = {}  # path -> identity, SHA-256


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
        name = shard_name(split, number, len(written))
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


def load_info(folder: str | os.PathLike, edited: bool = False) -> DatasetInfo:
    """Reads `dataset.json`.

    Args:
        folder: of the data set.
        edited: whether a `dataset.json` that was edited by hand, or that an earlier version of
            kerasvid wrote, is accepted.

    Raises:
        DatasetError: the folder is missing, empty, half-written or not a data set, its name is not
            UTF-8, or its description is broken, altered, of another format version or not readable.
        RemoteError: the folder is on a file system that cannot be read.

    Example:
        >>> load_info("data/sprites").splits["train"].count
        9000
    """
    folder = os.fspath(folder)
    try:
        check_unicode_name(folder)
    except OSError as error:
        raise DatasetError(described(error)) from error
    open_file_system(folder)
    path = os.path.join(folder, INFO_FILE)
    if "://" not in folder and not os.path.exists(folder):
        remove_leftovers(*os.path.split(os.path.abspath(folder)))  # may restore it
    text = _remote_info(folder, path) if is_cached(folder) else _local_info(folder, path)
    try:
        info = DatasetInfo.from_json(text.decode(), edited)
    except ValueError as error:
        what = str(error).rstrip(".")
        if isinstance(error, NotAccepted):
            command = f"kerasvid data verify --accept_edits {shlex.quote(folder)}"
            raise DatasetError(f"{path}: {what} with {command}") from error
        if FORMAT.encode() not in text:
            remedy = "give the folder of a data set of kerasvid"
        else:
            remedy = "correct the edit" if edited else remedy_of(folder)
        raise DatasetError(f"{path}: {what}; {remedy}.") from error
    if not info.splits:
        raise DatasetError(f"{path}: lists no splits; {remedy_of(folder)}.")
    return info


def _remote_info(folder: str, path: str) -> bytes:
    """The content of `dataset.json` in a folder that is read through fsspec."""
    try:
        return read_remote(path)
    except MissingFile as error:
        raise DatasetError(f"{folder}: no data set, {INFO_FILE} is missing. Copy the whole folder "
                           "of a data set there.") from error  # fmt: skip


def _local_info(folder: str, path: str) -> bytes:
    """The content of `dataset.json` in a folder that TensorFlow reads."""
    with _readable(folder):
        if not tf.io.gfile.isdir(folder):
            raise DatasetError(f"{folder}: no such folder; prepare the data set first.")
        if not tf.io.gfile.exists(path):
            files = list_folder(folder)
            if not files:
                raise DatasetError(f"{folder}: the folder is empty; {remedy_of(folder)}.")
            if any(SHARD_SUFFIX in name or INFO_FILE in name for name in files):
                what = f"half-written or of another program, {INFO_FILE} is missing"
                remedy = "restore it, or convert the videos with kerasvid data folder"
                raise DatasetError(f"{folder}: {what}; {remedy}.")
            what = f"not a data set, {INFO_FILE} is missing"
            raise DatasetError(f"{folder}: {what}; convert videos with kerasvid data folder.")
    with _readable(path):
        _identity(path)
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()


def list_folder(folder: str) -> list[str]:
    """The names in a folder. TensorFlow cannot list those on a local disk that are not UTF-8."""
    if is_cached(folder):
        return list_remote(folder)
    return tf.io.gfile.listdir(folder) if "://" in folder else os.listdir(folder)


def check_shards(folder: str | os.PathLike, info: DatasetInfo, deep: bool = False) -> None:
    """Checks that every shard is the file that was written.

    Args:
        folder: of the data set.
        info: its description.
        deep: also compare the SHA-256 of every shard, once per process for unchanged files.

    Raises:
        DatasetError: a shard is missing, truncated, altered or not readable.
    """
    for split in info.splits.values():
        for shard in split.shards:
            check_shard(folder, shard, deep)


def check_shard(folder: str | os.PathLike, shard: ShardInfo, deep: bool = False) -> None:
    """As `check_shards`, for one shard."""
    folder = os.fspath(folder)
    path = os.path.join(folder, shard.file)
    if is_cached(folder):
        return _check_remote_shard(folder, path, shard)
    with _readable(path):
        if not tf.io.gfile.exists(path):
            raise DatasetError(f"{path}: the shard is missing; {remedy_of(folder)}.")
        identity, started = _identity(path), time.time_ns()
        size, changed = identity[:2]
        if size != shard.bytes:
            what = "truncated" if size < shard.bytes else "altered"
            what += f", {size} bytes instead of {shard.bytes}"
            raise DatasetError(f"{path}: {what}; {remedy_of(folder)}.")
        if deep and _verified.get(path) != (identity, shard.sha256):
            if hash_file(path)[0] != shard.sha256:
                what = f"altered, its SHA-256 differs from {INFO_FILE}"
                raise DatasetError(f"{path}: {what}; {remedy_of(folder)}.")
            if started - changed > RECENT_NS:
                _verified[path] = identity, shard.sha256


def _check_remote_shard(folder: str, path: str, shard: ShardInfo) -> None:
    """As `check_shard`, of the size alone: the cache compares the SHA-256 of what it downloads."""
    try:
        size = remote_size(path)
    except MissingFile as error:
        raise DatasetError(f"{path}: the shard is missing; {remedy_of(folder)}.") from error
    if size is not None and size != shard.bytes:
        what = "truncated" if size < shard.bytes else "altered"
        what += f", {size} bytes instead of {shard.bytes}"
        remote_size.cache_clear()  # it may be restored
        raise DatasetError(f"{path}: {what}; {remedy_of(folder)}.")


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turns an error of the file system into a DatasetError of one line."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        why = f"cannot be read ({one_line(str(error))}); check the path and its permissions"
        raise DatasetError(f"{path}: {why}.") from error


def _identity(path: str) -> tuple[int, ...]:
    """Size and time of the last change of a file in ns, and what else a change of it changes.

    Raises:
        DatasetError: it is no regular file. A pipe would be waited for without end.
    """
    if "://" in path:
        remote = tf.io.gfile.stat(path)
        regular, identity = not remote.is_directory, [remote.length, remote.mtime_nsec]
    else:
        own = os.stat(path)
        regular = stat.S_ISREG(own.st_mode)
        identity = [own.st_size, own.st_ctime_ns, own.st_mtime_ns, own.st_dev, own.st_ino]
    if not regular:
        raise DatasetError(f"{path}: not a file; move it away and restore the file.")
    return tuple(identity)


def hash_file(path: str) -> tuple[str, int]:
    """SHA-256 (hexadecimal) and size in bytes of a file."""
    digest, size = hashlib.sha256(), 0
    with opened(path) as file:
        while block := file.read(1 << 22):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def fetched_ahead(shards: tf.data.Dataset, folder: str, clips: SplitInfo) -> tf.data.Dataset:
    """The shards of `split_files`; those of a remote data set are downloaded ahead of time."""
    if not is_cached(folder):
        return shards
    known = {os.path.join(folder, shard.file): shard for shard in clips.shards}

    def fetch(file: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        _, why = fetched(file, known)  # the reader tries again, and reports a fault
        with tf.control_dependencies([why]):
            return tf.identity(file), *rest

    ahead = shards.map(fetch, num_parallel_calls=DOWNLOADS, deterministic=True)
    return ahead.prefetch(DOWNLOADS)


def shard_reader(folder: str, clips: SplitInfo) -> Callable[..., tf.data.Dataset]:
    """`read_shard` for a data set: of local files, or of the local copies of remote ones."""
    if not is_cached(folder):
        return read_shard
    known = {os.path.join(folder, shard.file): shard for shard in clips.shards}

    def read(file: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
        copy, why = fetched(file, known)  # it may have left the cache since it was fetched ahead
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(why, ""), [why])]):
            return read_shard(file, first, count, tf.identity(copy))

    return read


def read_shard(
    file: tf.Tensor, first: tf.Tensor, count: tf.Tensor, copy: tf.Tensor | None = None
) -> tf.data.Dataset:
    """The serialized records of a shard, in a graph or eagerly.

    Args:
        file: path, a string scalar.
        first: place of its first record in the split, an int64 scalar.
        count: number of its records, an int64 scalar.
        copy: path of a local copy to read in place of the file; messages name the file.

    Returns:
        A dataset of (file, place in the split, serialized record). Where the file cannot be
        opened, or a record is damaged, missing or one too many, the iteration raises an error that
        names the file.
    """
    copy = file if copy is None else copy
    # The error of a file that cannot be opened names it.
    first_byte = tf.data.FixedLengthRecordDataset(copy, 1, buffer_size=1).take(1)
    # The error of a damaged record names no file; without it, the records end there. A file that
    # cannot be opened again fails at each attempt: the range bounds their number.
    records = tf.data.TFRecordDataset(copy, buffer_size=READ_BYTES)
    records = tf.data.Dataset.zip(records, tf.data.Dataset.range(count + 1)).ignore_errors()
    records = first_byte.filter(lambda _: False).concatenate(records.map(lambda record, _: record))
    end = tf.data.Dataset.from_tensors((tf.constant(b""), True))
    records = records.map(lambda record: (record, False)).concatenate(end).enumerate()
    what = [" readable records, the shard is damaged or the disk fails"]
    what = tf.strings.join(["not ", tf.strings.as_string(count), *what])

    def check(place: tf.Tensor, item: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        record, ended = item
        right = tf.equal(ended, tf.equal(place, count))
        with tf.control_dependencies([assert_record(right, file, what)]):
            return file, first + place, tf.identity(record), ended

    records = records.map(check).filter(lambda *item: tf.logical_not(item[-1]))
    return records.map(lambda file, place, record, _: (file, place, record))


def parse_checked(
    info: DatasetInfo, split: str, file: tf.Tensor, place: tf.Tensor, serialized: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Parses a record of `read_shard`; a fault raises an error that names the file."""
    record = parse_record(serialized)
    faults = record_faults(record, info, split, place)
    wrong = tf.stack([condition for condition, _ in faults])
    what = tf.gather([text for _, text in faults], tf.argmax(wrong))  # the first one
    with tf.control_dependencies([assert_record(~tf.reduce_any(wrong), file, what)]):
        return {name: tf.identity(value) for name, value in record.items()}


def split_files(folder: str, clips: SplitInfo) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The arguments of `read_shard` for each shard of a split: paths, first places and counts."""
    counts = [shard.count for shard in clips.shards]
    paths = [os.path.join(folder, shard.file) for shard in clips.shards]
    counts = tf.constant(counts, tf.int64)
    return tf.constant(paths), tf.cumsum(counts, exclusive=True), counts


def read_split(folder: str | os.PathLike, info: DatasetInfo, split: str) -> tf.data.Dataset:
    """The parsed records of a split in order, without decoding their frames.

    A damaged or wrong record raises an error in the iteration, which names the file.

    Raises:
        DatasetError: a shard is missing or of another size.
    """
    for shard in info.splits[split].shards:
        check_shard(folder, shard)
    folder, clips = os.fspath(folder), info.splits[split]
    shards = tf.data.Dataset.from_tensor_slices(split_files(folder, clips))
    shards = fetched_ahead(shards, folder, clips)
    return shards.flat_map(shard_reader(folder, clips)).map(
        lambda *record: parse_checked(info, split, *record), num_parallel_calls=tf.data.AUTOTUNE
    )


def check_first_records(folder: str, info: DatasetInfo, split: str) -> None:
    """Finds data of another format before training starts; `verify` checks every record.

    Raises:
        DatasetError: the first record of a shard is faulty.
    """
    if is_cached(folder):  # it would download all shards
        return
    place = 0
    for shard in info.splits[split].shards:
        path = os.path.join(folder, shard.file)
        try:
            serialized = next(iter(tf.data.TFRecordDataset(path, buffer_size=READ_BYTES).take(1)))
            record = parse_record(serialized)
        except (StopIteration, tf.errors.OpError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: no readable record; {remedy_of(folder)}.") from error
        faults = [what for wrong, what in record_faults(record, info, split, place) if wrong]
        if not faults:
            try:
                decode_frames(record["frames"][:1], info.encoding, *info.frame_shape)
            except (tf.errors.OpError, ValueError):
                size = "x".join(map(str, info.frame_shape))
                faults = [f"a frame does not decode to {size} as in dataset.json"]
        if faults:
            raise DatasetError(f"{path}: {faults[0]}; {remedy_of(folder)}.")
        place += shard.count


def shortest_video(folder: str, info: DatasetInfo, split: str, frames: int) -> str:
    """Names the shortest video of a split, for the message that it has less than `frames` frames.

    It is looked for among the first `SEARCHED_VIDEOS`. The text begins with a space, or is empty.

    Example:
        >>> shortest_video("data/mine", load_info("data/mine"), "train", frames=16)
        " The shortest is 'walk/anna.mp4'."
    """
    clips = info.splits[split]
    files = [os.path.join(folder, shard.file) for shard in clips.shards]
    files, found = [] if is_cached(folder) else files, []
    with contextlib.suppress(tf.errors.OpError):  # a damaged shard has a message of its own
        records = tf.data.TFRecordDataset(files).take(SEARCHED_VIDEOS).map(parse_record)
        records = records.map(lambda record: (record["id"], record["length"]))
        records = records.filter(lambda _, length: tf.equal(length, clips.min_length))
        found = [name.decode(errors="replace") for name, _ in records.take(1).as_numpy_iterator()]
    text = f" The shortest is {found[0]!r}." if found else ""
    if clips.max_length >= frames:
        flags = f"--min_frames={frames} --skip_unreadable"
        text += f" Leave such videos out with kerasvid data folder {flags}."
    return text


def record_values(folder: str, split: str, key: str) -> frozenset[int]:
    """The different values of a field in the records of a split, without decoding frames.

    Args:
        folder: of the data set.
        split: one of its splits.
        key: `"label"` or `"identity"`; -1 stands for unknown.

    Raises:
        DatasetError: there is no data set, or a shard is missing, truncated or altered.
        tf.errors.OpError: a record is wrong.

    Example:
        >>> record_values("data/sprites", "test", "label")
        frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8})
    """
    return frozenset(value for (value,) in _checked_values(folder, split, (key,)))


def record_pairs(folder: str, split: str) -> frozenset[tuple[int, int]]:
    """The different pairs of an identity and a label in the records of a split.

    Args, Raises: as of `record_values`.

    Example:
        >>> (3, 8) in record_pairs("data/sprites-pairs", "train")
        False
    """
    pairs = _checked_values(folder, split, ("identity", "label"))
    return frozenset((identity, label) for identity, label in pairs)


def _checked_values(folder: str, split: str, keys: tuple[str, ...]) -> frozenset[tuple[int, ...]]:
    info = load_info(folder)
    check_shards(folder, info, deep=True)
    return _record_values(folder, split, keys, info.to_json())


@functools.lru_cache(maxsize=32)
def _record_values(
    folder: str, split: str, keys: tuple[str, ...], description: str
) -> frozenset[tuple[int, ...]]:
    records = read_split(folder, DatasetInfo.from_json(description), split)
    values = records.map(lambda record: tf.stack([record[key] for key in keys])).batch(256)
    return frozenset(tuple(map(int, row)) for rows in values.as_numpy_iterator() for row in rows)
