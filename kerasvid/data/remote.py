"""Files on a remote file system, such as s3://bucket/folder: data sets, presets, copies of runs.

Where TensorFlow reads a scheme itself, it does: `gs://`, and with the extra `io` (TensorFlow 2.17)
what tensorflow-io adds. All other schemes are read through fsspec. Its shards come into a local
cache, each under its SHA-256, so that what is read is what was written: a broken connection is
tried again, and half a shard is never used. Shards that were not used for the longest time make
room for new ones. Other files are read and written through fsspec, also where TensorFlow could.
"""

import contextlib
import functools
import hashlib
import importlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import tensorflow as tf

from kerasvid.data.records import DatasetError, ShardInfo
from kerasvid.io import (
    DIGEST_SIZE,
    atomic_write,
    cache_folder,
    cause_of,
    file_digest,
    lock,
    readable_os_errors,
)

CACHE_BYTES = "KERASVID_REMOTE_CACHE_BYTES"  # variable with the size of the cache
DEFAULT_BYTES = 10 << 30
# Copies that were asked for since then stay, whatever the size of the cache: they may be opened.
IN_USE_SECONDS = 30.0
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt
BLOCK = 1 << 20
# What to install for the file systems of fsspec.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hub"}
# Stores in which a file appears when it is whole. In others it is written beside its place.
OBJECT_STORES = frozenset({*EXTRAS, "az", "abfs"})
PARTIAL = "partial-"  # begins the name of a file that is being written there


class RemoteError(DatasetError):
    """A file system cannot be read or written; the message says what to install or to check."""


def open_file_system(folder: str) -> None:
    """Makes `scheme://` paths readable: by TensorFlow, by tensorflow-io or through fsspec.

    The native operations of tensorflow-io load with the TensorFlow of the extra `io` only; with
    other versions it must not be imported. Other paths need nothing.

    Raises:
        RemoteError: the file system is unknown, or a package is missing.

    Example:
        >>> open_file_system("s3://bucket/sprites")
    """
    if "://" not in folder or _is_known(folder):
        return
    if tf.__version__.startswith("2.17."):
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorflow_io")
            if _is_known(folder):
                return
    _file_system(folder)


def is_cached(path: str) -> bool:
    """Whether a path is read through fsspec and the cache, after `open_file_system`."""
    return "://" in path and not _is_known(path)


def _is_known(folder: str) -> bool:
    """Whether TensorFlow has a file system for the scheme, reachable or not."""
    return folder.partition("://")[0] in tf.io.gfile.get_registered_schemes()


def extra_of(address: str) -> str:
    """The extra of this package with what fsspec needs for an address."""
    return EXTRAS.get(address.partition("://")[0], "remote")


def _file_system(path: str) -> tuple[Any, str]:
    """The file system of fsspec for a path, and the path within it.

    Raises:
        RemoteError: fsspec or what it needs is missing, or it does not know the scheme.
    """
    scheme = path.partition("://")[0]
    try:
        core = importlib.import_module("fsspec.core")
        return core.url_to_fs(path)
    except ImportError as error:
        raise RemoteError(f"{path}: {scheme}:// paths need a package ({cause_of(error)}). Run "
                          f"pip install 'kerasvid[{extra_of(path)}]'.") from error  # fmt: skip
    except ValueError as error:
        raise RemoteError(f"{path}: TensorFlow {tf.__version__} and fsspec cannot read {scheme}:// "
                          f"paths ({cause_of(error)}).") from error  # fmt: skip
    except Exception as error:  # each store has its own kinds, such as missing credentials
        raise RemoteError(f"{path}: cannot be read ({cause_of(error)}).") from error


class _StoreFault(Exception):
    """A store has failed; the argument is its exception. No OSError, which is of the own disk."""


def _source(path: str) -> Any:
    """A remote file to be read once, from its beginning to its end."""
    system, name = _file_system(path)
    # Otherwise fsspec asks for ranges of bytes, which simple servers do not answer.
    options = {"block_size": 0} if path.startswith(("http://", "https://")) else {}
    return system.open(name, "rb", **options)


def _blocks(path: str) -> Iterator[bytes]:
    """The content of a remote file in blocks; a `_StoreFault` where it cannot be read."""
    try:
        with _source(path) as source:
            while block := source.read(BLOCK):
                yield block
    except RemoteError:
        raise
    except Exception as error:  # each store has its own kinds
        raise _StoreFault(error) from error


def _attempts(path: str, done: str = "read") -> Iterator[contextlib.AbstractContextManager]:
    """Contexts in which to try until no `_StoreFault` comes; the last one is a RemoteError.

    A missing file, refused access and what a store cannot do are final at once.

    Args:
        path: of the file.
        done: what is tried, as "read" or "written".
    """
    for pause in (*PAUSES, None):
        passed = False

        @contextlib.contextmanager
        def attempt(pause: float | None = pause) -> Iterator[None]:
            nonlocal passed
            try:
                yield
                passed = True
            except _StoreFault as fault:
                (error,) = fault.args
                if isinstance(error, FileNotFoundError) and done == "read":
                    raise MissingFile(f"{path}: there is no such file.") from error
                if isinstance(error, PermissionError):
                    why = "access is refused. Check your credentials"
                    raise RemoteError(f"{path}: {why}.") from error
                if isinstance(error, FileNotFoundError | NotImplementedError):
                    raise RemoteError(f"{path}: cannot be {done} ({cause_of(error)}).") from error
                if pause is None:
                    if isinstance(error, RemoteError):
                        raise error from fault
                    tries = len(PAUSES) + 1
                    advice = " Check the connection, then run the command again."
                    raise RemoteError(
                        f"{path}: cannot be {done}, in {tries} attempts ({cause_of(error)})."
                        + (advice if done == "read" else "")
                    ) from error
                time.sleep(pause)

        yield attempt()
        if passed:
            return


class MissingFile(RemoteError):
    """A store has no such file."""


class DamagedFile(RemoteError):
    """What a store has is not what was written there."""


def read_remote(path: str) -> bytes:
    """The content of a small file that `is_cached`.

    Raises:
        MissingFile: it is not there.
        RemoteError: it cannot be read.
    """
    content = b""
    for attempt in _attempts(path):
        with attempt:
            content = b"".join(_blocks(path))
    return content


@functools.lru_cache(maxsize=4096)
def remote_size(path: str) -> int | None:
    """The size of a remote file in bytes; `None` where the store does not tell it.

    A process asks once for each file: shards do not change, and the cache compares their SHA-256.

    Raises:
        MissingFile: it is not there.
        RemoteError: the store cannot be read.
    """
    return _asked(path, lambda system, name: system.info(name).get("size"))


def download(
    path: str, target: str | os.PathLike, check: Callable[[str], None] | None = None
) -> None:
    """Copies a file from a store that fsspec reads, also one that TensorFlow reads.

    Args:
        path: of the remote file.
        target: of the copy, which appears whole.
        check: function of a temporary path; raises a ValueError if this is not what was written.

    Raises:
        MissingFile: it is not there.
        DamagedFile: `check` refuses it, in all attempts.
        RemoteError: it cannot be read.
        OSError: `target` cannot be written; one line.
    """
    for attempt in _attempts(path):
        with attempt, atomic_write(target) as temporary:
            with open(temporary, "wb") as file:
                for block in _blocks(path):
                    file.write(block)
            try:
                if check is not None:
                    check(temporary)
            except ValueError as error:
                damaged = DamagedFile(f"{path}: damaged ({cause_of(error)}).")
                raise _StoreFault(damaged) from error


def upload(source: str | os.PathLike, path: str, again: bool = False) -> None:
    """Copies a file of weights to a store. It appears whole, or at least not with its own end.

    A file that is there with the same size and the same end is not sent again: weights end with
    their SHA-256.

    Args:
        source: the file.
        path: of the copy.
        again: send it in any case: the copy is known to be damaged.

    Raises:
        FileNotFoundError: there is no `source`.
        RemoteError: it cannot be written.
    """
    size = os.path.getsize(source)
    with open(source, "rb") as file:
        file.seek(max(0, size - DIGEST_SIZE))
        end = file.read()

    def put(system: Any, name: str) -> None:
        if again or not _is_there(system, name, size, end):
            write = functools.partial(system.put_file, os.fspath(source))
            _place(system, path, name, write, size, end)

    _asked(path, put, "written")


def write_remote(path: str, content: bytes) -> None:
    """Writes a small file to a store.

    Raises:
        RemoteError: it cannot be written.
    """

    def put(system: Any, name: str) -> None:
        def write(place: str) -> None:
            system.pipe_file(place, content)

        _place(system, path, name, write, len(content), content[-DIGEST_SIZE:])

    _asked(path, put, "written")


def _place(
    system: Any, path: str, name: str, write: Callable[[str], None], size: int, end: bytes
) -> None:
    """Writes a file, beside its place where parts would show, and looks at what has arrived."""
    folder, _, last = name.rpartition("/")
    beside = path.partition("://")[0] not in OBJECT_STORES
    place = f"{folder}/{PARTIAL}{last}" if beside else name
    if beside:
        system.makedirs(folder, exist_ok=True)
    write(place)
    if not _is_there(system, place, size, end):
        raise ValueError("what has arrived is not what was sent")
    if beside:
        system.mv(place, name)


def _is_there(system: Any, name: str, size: int, end: bytes) -> bool:
    """Whether a store has a file of this size, if it tells it, with this end."""
    system.invalidate_cache()
    try:
        found = system.info(name).get("size")
    except FileNotFoundError:
        return False
    if found not in (size, None):
        return False
    # Some stores know no ranges and send all.
    return not end or system.cat_file(name, start=size - len(end), end=size)[-len(end) :] == end


def remove_remote(path: str) -> None:
    """Removes a file of a store, if it is there.

    Raises:
        RemoteError: it cannot be removed.
    """

    def remove(system: Any, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            system.rm_file(name)

    _asked(path, remove, "removed")


def find_remote(folder: str) -> list[str]:
    """The files in a folder of a store and below it, as `checkpoints/step-000500.keras`.

    It is empty where there is no such folder.

    Raises:
        RemoteError: the store cannot be read, or does not list its files.
    """

    def find(system: Any, name: str) -> list[str]:
        system.invalidate_cache()
        try:
            found = system.find(name)
        except FileNotFoundError:
            return []
        root = name.rstrip("/") + "/"
        return sorted(each[len(root) :] for each in found if each.startswith(root))

    return _asked(folder, find)


def list_remote(folder: str) -> list[str]:
    """The names in a folder that `is_cached`.

    Raises:
        RemoteError: the store cannot be read, or does not list its files.
    """
    names = _asked(folder, lambda system, name: system.ls(name, detail=False))
    return sorted(os.path.basename(each.rstrip("/")) for each in names)


def _asked(path: str, ask: Callable[[Any, str], Any], done: str = "read") -> Any:
    """What a function of the file system and a path returns, in several attempts."""
    system, name = _file_system(path)
    answer = None
    for attempt in _attempts(path, done):
        with attempt:
            try:
                answer = ask(system, name)
            except Exception as error:  # each store has its own kinds
                raise _StoreFault(error) from error
    return answer


class ShardCache:
    """Local copies of remote shards, by their SHA-256.

    Processes may share a cache. A copy is complete from the moment it has its name.

    Args:
        folder: by default `remote` in `kerasvid.io.cache_folder()`.
        most_bytes: size of the cache; by default that of `KERASVID_REMOTE_CACHE_BYTES`, or 10 GiB.

    Example:
        >>> ShardCache().fetch("s3://bucket/sprites/train-00000-of-00018.tfrecord", shard)
        '/home/anna/.cache/kerasvid/remote/9f/9f86d081884c7d65...'
    """

    def __init__(self, folder: str | os.PathLike | None = None, most_bytes: int | None = None):
        self.folder = pathlib.Path(folder or cache_folder() / "remote")
        stated = os.environ.get(CACHE_BYTES, str(DEFAULT_BYTES))
        if most_bytes is None and not stated.isdecimal():
            raise RemoteError(f"{CACHE_BYTES}={stated}: give a number of bytes.")
        self.most_bytes = int(stated) if most_bytes is None else most_bytes
        self._checked: set[str] = set()  # copies that this process has compared with their digest

    def fetch(self, path: str, shard: ShardInfo) -> str:
        """The path of a local copy of a shard, downloaded if there is none.

        Raises:
            RemoteError: the shard cannot be downloaded, or is not the one in `dataset.json`.
            OSError: the cache cannot be written; one line.
        """
        copy = self.folder / shard.sha256[:2] / shard.sha256
        with readable_os_errors(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            with lock(copy.with_suffix(".lock"), wait=True):
                if not self._is_whole(copy, shard):
                    self._make_room(shard.bytes)
                    self._download(path, shard, copy)
                self._checked.add(shard.sha256)
                os.utime(copy)  # the time of the last use
        return os.fspath(copy)

    def _is_whole(self, copy: pathlib.Path, shard: ShardInfo) -> bool:
        if not copy.is_file() or copy.stat().st_size != shard.bytes:
            return False
        return shard.sha256 in self._checked or file_digest(copy) == shard.sha256

    def _download(self, path: str, shard: ShardInfo, copy: pathlib.Path) -> None:
        for attempt in _attempts(path):
            with attempt, atomic_write(copy) as temporary:
                digest = hashlib.sha256()
                with open(temporary, "wb") as target:
                    for block in _blocks(path):
                        digest.update(block)
                        target.write(block)
                if digest.hexdigest() != shard.sha256:
                    raise _StoreFault(ValueError("its SHA-256 differs from dataset.json"))

    def _make_room(self, size: int) -> None:
        """Removes the copies that were not used for the longest time until `size` more fit.

        Copies that any process has asked for just now stay, also if there are too many: a reader
        asks right before it opens one.
        """
        copies = []
        for each in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):  # another process removes some
                if len(each.name) == DIGEST_SIZE:
                    copies.append((each.stat().st_mtime, each.stat().st_size, each))
        total = sum(bytes_ for _, bytes_, _ in copies)
        for used, bytes_, each in sorted(copies):
            if total + size <= self.most_bytes or used > time.time() - IN_USE_SECONDS:
                return
            with contextlib.suppress(BlockingIOError), lock(each.with_suffix(".lock")):
                each.unlink(missing_ok=True)
                total -= bytes_


@functools.lru_cache(maxsize=1)
def shard_cache() -> ShardCache:
    """The cache of this process."""
    return ShardCache()


def fetched(path: tf.Tensor, shards: dict[str, ShardInfo]) -> tuple[tf.Tensor, tf.Tensor]:
    """The local copy of a remote shard in a graph, and why there is none.

    Args:
        path: string scalar, a key of `shards`.
        shards: the remote paths, with what is known of the files.

    Returns:
        Two string scalars: the path of the copy and "", or "" and a text of one line.
    """

    def fetch(path: tf.Tensor) -> tuple[str, str]:
        name = path.numpy().decode()
        try:
            return shard_cache().fetch(name, shards[name]), ""
        except (RemoteError, OSError) as error:
            return "", str(error)

    copy, why = tf.py_function(fetch, [path], [tf.string, tf.string])
    return tf.ensure_shape(copy, []), tf.ensure_shape(why, [])


@contextlib.contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """A file that TensorFlow or, if it `is_cached`, fsspec reads, to read bytes from."""
    if not is_cached(path):
        with tf.io.gfile.GFile(path, "rb") as file:
            yield file
        return
    with _source(path) as file:
        yield file
