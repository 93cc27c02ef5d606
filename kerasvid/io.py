"""Files and folders that appear whole or not at all.

Files that an export writes: whole or not at all, and never over another one unasked.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import filelock


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


@contextlib.contextmanager
def readable_os_errors(path: str | os.PathLike) -> Iterator[None]:
    """An OSError of the block becomes one that names the file, the cause and the remedy."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full, free some space" if full else f"{error.strerror or error}"
        text = f"{os.fspath(path)}: cannot be written ({why})"
        if str(error).startswith(text.partition(" (")[0]):  # named already
            raise
        raise OSError(
            f"{text}; what was saved before is kept, run the same command again to go on."
        ) from error


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[str]:
    """A temporary name beside `path`, with its ending; renamed to `path` when the block succeeds.

    What stood at `path` stays until then, and stays for good if the block fails.

    Raises:
        OSError: the file cannot be written; one line with the name, the cause and the remedy.

    Example:
        >>> with atomic_write("runs/x/config.json") as temporary:
        ...     pathlib.Path(temporary).write_text("{}")
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f"partial-{os.getpid()}-{name}")
    try:
        with readable_os_errors(path):
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def replace_folder(building: str, out: str) -> None:
    """Renames a finished folder; the one that it replaces is removed only then."""
    replaced = f"{building}-replaced"
    if os.path.exists(out):
        os.rename(out, replaced)
    try:
        os.rename(building, out)
    except BaseException:  # an interruption, too
        if os.path.exists(replaced):
            os.rename(replaced, out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def refuse_existing(path: str | os.PathLike, overwrite: bool = False) -> None:
    """Raises before any work is done for a file that may not be written.

    Raises:
        ValueError: something stands at `path` and `overwrite` is false, or it is a folder, or the
            folder that it goes into is not there.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it, or give another.")
    if path.exists() and not overwrite:
        raise ValueError(f"{path}: is there already; give another name, or --overwrite.")


@contextlib.contextmanager
def new_file(path: str | os.PathLike, overwrite: bool = False) -> Iterator[pathlib.Path]:
    """A temporary name beside `path`, renamed to it when the block succeeds.

    Raises:
        ValueError: as `refuse_existing`.
        OSError: the file cannot be written; one line.

    Example:
        >>> with new_file("rjvae.tflite") as temporary:
        ...     temporary.write_bytes(content)
    """
    refuse_existing(path, overwrite)
    with atomic_write(path) as temporary:
        yield pathlib.Path(temporary)


@contextlib.contextmanager
def lock(path: str | os.PathLike, wait: bool = False) -> Iterator[None]:
    """Holds a lock file for this process; it is let go of when the block or the process ends.

    Args:
        path: of the lock file, which stays.
        wait: for another process that holds it, in place of an error.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be written.

    Example:
        >>> with lock("runs/rjvae-sprites/.lock"):
        ...     train()
    """
    held = filelock.FileLock(path, timeout=-1 if wait else 0)
    try:
        held.acquire()
    except filelock.Timeout as error:
        message = "another process is using it; wait for it to end"
        raise BlockingIOError(errno.EAGAIN, message, os.fspath(path)) from error
    try:
        yield
    finally:
        held.release()
