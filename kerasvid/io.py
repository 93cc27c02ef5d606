"""Atomic writes, locks and readable errors of the operating system.

This is the only module that renames or locks a file. A file or folder appears complete or not at
all: it is written under a temporary name beside its place, flushed to the disk and renamed.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import socket
from collections.abc import Callable, Iterator

import filelock


@contextlib.contextmanager
def readable_os_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns an OSError of the block into one line: the file, the cause and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full, free some space" if full else f"{error.strerror or error}"
        text = f"{os.fspath(path)}: cannot be written ({why})"
        if str(error).startswith(text.partition(" (")[0]):  # an inner block named it
            raise
        readable = OSError(f"{text}; earlier files are kept, run the same command again.")
        readable.errno = error.errno
        raise readable from error


def is_unicode(name: str) -> bool:
    """Whether a name from the file system is text, without bytes that are not UTF-8."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def check_unicode_name(path: str | os.PathLike) -> None:
    """Checks a name before OpenCV or TensorFlow sees it: OpenCV crashes on a lone byte in it.

    Raises:
        OSError: a file or folder of the path has a name that is not Unicode.
    """
    if not is_unicode(os.path.abspath(os.fspath(path))):
        raise OSError(errno.EILSEQ, "its name is not UTF-8, rename it", shown_name(path))


def shown_name(path: str | os.PathLike) -> str:
    """A path as one line of printable text; what cannot be printed is escaped.

    Example:
        >>> shown_name("a\\nb.mp4")
        'a\\\\nb.mp4'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[str]:
    """Yields a temporary name beside `path` and renames it to `path` when the block succeeds.

    The temporary name has the ending of `path`. If the block fails, an existing file stays.

    Raises:
        OSError: the file cannot be written; one line as of `readable_os_errors`.

    Example:
        >>> with atomic_write("runs/x/config.json") as temporary:
        ...     pathlib.Path(temporary).write_text("{}")
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f"partial-{_process()}-{name}")
    try:
        with readable_os_errors(path):
            yield temporary
            replace_file(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def replace_file(temporary: str | os.PathLike, path: str | os.PathLike) -> None:
    """Flushes a finished file to the disk and renames it to `path`."""
    _flush(temporary)
    os.replace(temporary, path)


def temporary_name(path: str | os.PathLike) -> str:
    """A name beside `path` that no other process uses, on no host of a shared disk."""
    return f"{os.fspath(path)}.tmp-{_process()}"


@contextlib.contextmanager
def atomic_folder(
    path: str | os.PathLike, check: Callable[[], object] | None = None, replace: bool = True
) -> Iterator[str]:
    """Yields an empty folder to write into, which becomes `path` when the block succeeds.

    A failed block leaves `path` as it was. What killed processes of this host left is removed.

    Args:
        path: of the folder; what is there is replaced.
        check: raises if `path` may not be replaced; called before the block and after it, because
            another process may have made `path` in the meantime.
        replace: what is there; otherwise a folder that appears in the last moment is an error.

    Raises:
        OSError: the folder cannot be written.

    Example:
        >>> with atomic_folder("data/mine") as building:
        ...     pathlib.Path(building, "dataset.json").write_text("{}")
    """
    check = check or (lambda: None)
    check()
    path = os.path.abspath(os.fspath(path))
    _remove_leftovers(path)
    building = temporary_name(path)
    try:
        os.makedirs(building)
        yield building
        for folder, _, names in os.walk(building):
            for name in names:
                _flush(os.path.join(folder, name))
        check()
        (replace_folder if replace else os.rename)(building, path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def replace_folder(building: str, out: str) -> None:
    """Renames a finished folder to `out`, then removes the folder that it replaces."""
    replaced = f"{building}-replaced"
    if os.path.exists(out):
        os.rename(out, replaced)
    try:
        os.rename(building, out)
    except BaseException:  # also an interruption
        if os.path.exists(replaced):
            os.rename(replaced, out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def refuse_existing(path: str | os.PathLike, overwrite: bool = False) -> None:
    """Checks that a file may be written to `path`, before any work is done.

    Raises:
        ValueError: `path` exists and `overwrite` is false, `path` is a folder, or its parent
            folder does not exist.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: the folder {path.parent} does not exist; create it first.")
    if path.exists() and not overwrite:
        raise ValueError(f"{path}: exists already; give another name, or --overwrite.")


@contextlib.contextmanager
def new_file(path: str | os.PathLike, overwrite: bool = False) -> Iterator[pathlib.Path]:
    """As `atomic_write`, but replaces an existing file only with `overwrite`.

    Raises:
        ValueError: as `refuse_existing`.
        OSError: the file cannot be written; one line.
    """
    refuse_existing(path, overwrite)
    with atomic_write(path) as temporary:
        yield pathlib.Path(temporary)


@contextlib.contextmanager
def lock(path: str | os.PathLike, wait: bool = False) -> Iterator[None]:
    """Locks a file for this process until the block or the process ends.

    Args:
        path: of the lock file, which stays.
        wait: if another process has the lock, wait for it instead of raising.

    Raises:
        BlockingIOError: another process has the lock.
        OSError: the file cannot be written.

    Example:
        >>> with lock("runs/rjvae-sprites/.lock"):
        ...     train()
    """
    file = filelock.FileLock(path, timeout=-1 if wait else 0)
    try:
        file.acquire()
    except filelock.Timeout as error:
        message = "another process is using it; wait for it to end"
        raise BlockingIOError(errno.EAGAIN, message, os.fspath(path)) from error
    try:
        yield
    finally:
        file.release()


def _is_running(pid: int) -> bool:
    """Whether another process of this host has this number."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return pid != os.getpid()


def _process() -> str:
    """A name of this host and process."""
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    return f"{host}-{os.getpid()}"


def _flush(path: str | os.PathLike) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _remove_leftovers(path: str) -> None:
    """Removes the folders of killed processes of this host; other hosts have other numbers."""
    parent, name = os.path.split(path)
    ours = temporary_name(name).removesuffix(str(os.getpid()))
    for entry in os.listdir(parent) if os.path.isdir(parent) else []:
        match = re.fullmatch(re.escape(ours) + r"(\d+)(-replaced)?", entry)
        if not match or _is_running(int(match[1])):
            continue
        # A replaced folder whose place is empty is all there is.
        if not match[2] or os.path.isdir(path):
            shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)


def one_line(message: str) -> str:
    """A message without line breaks; of an error in a TensorFlow graph, only its own text.

    Example:
        >>> one_line("Graph execution error: ... assertion failed: [a.tfrecord] [: empty.] [[...")
        'a.tfrecord: empty.'
    """
    failed = re.search(r"assertion failed: \[(.*?)\]\s*(?:\[\[|\[Op:|\n|$)", message)
    # In `fit`, a stack trace comes before the text, and the node after it.
    text = re.search(r"^(.*\S.*)\n\s*\[\[\{\{node", message, re.MULTILINE)
    if failed:
        message = failed[1].replace("] [", " ").replace(" : ", ": ")
    elif text:
        message = text[1]
    return " ".join(message.split())
