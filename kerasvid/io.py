"""Atomic writes, locks, checksums, readable OS errors and texts of other people.

This is the only module that renames or locks a file. A file or folder appears complete or not at
all: it is written under a temporary name beside its place, flushed to the disk and renamed.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import filelock

ABANDONED_SECONDS = 24 * 60 * 60  # of half-written files of another host
DIGEST_SIZE = 64  # bytes of a hexadecimal SHA-256
LONGEST_NAME = 150  # bytes of a name that temporary names have in them whole; 255 is the limit
# What to do about an error of the operating system.
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit of file sizes",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EROFS: "give a folder that can be written to",
    errno.EEXIST: "move it away",
    errno.EISDIR: "a file must be there: move the folder away",
    errno.ENOTDIR: "a folder must be there: move the file away",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)


def cache_folder() -> pathlib.Path:
    """Folder of what can be made or downloaded again; it may be missing, and may be deleted.

    It is `$KERASVID_CACHE`, or `kerasvid` in `$XDG_CACHE_HOME`, which is `~/.cache` by default.
    """
    if own := os.environ.get("KERASVID_CACHE"):
        return pathlib.Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(shared, "kerasvid").expanduser()


def described(error: BaseException) -> str:
    """Of an error of the operating system the file, the cause and what to do; else its text.

    Example:
        >>> described(PermissionError(errno.EACCES, "Permission denied", "runs/x/config.json"))
        'runs/x/config.json: Permission denied; check the permissions.'
    """
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    if "No usable temporary directory" in error.strerror:
        return f"{error.strerror}. Set TMPDIR to a folder that can be written to."
    remedy = _REMEDIES.get(error.errno or 0)
    cause = "the disk is full" if error.errno in _FULL else error.strerror
    named = isinstance(error.filename, (str, bytes))
    name = f"{shown_name(error.filename)}: " if named else ""
    return f"{name}{cause}{f'; {remedy}' if remedy else ''}."


@contextlib.contextmanager
def readable_os_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns an OSError of the block into one line: the file, the cause and what to do."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not _concerns(error.filename, path):
            raise  # of a file that the block reads
        cause = "the disk is full" if error.errno in _FULL else f"{error.strerror or error}"
        text = f"{os.fspath(path)}: cannot be written ({cause})"
        if str(error).startswith(text.partition(" (")[0]):  # an inner block named it
            raise
        remedy = _REMEDIES.get(error.errno or 0, "check the path")
        readable = OSError(f"{text}. Earlier files are kept: {remedy}, then run the command again.")
        readable.errno = error.errno
        raise readable from error


def _concerns(name: str | bytes | int, path: str | os.PathLike) -> bool:
    """Whether an error that names one file may come from the writing of another."""
    if isinstance(name, int):
        return True
    name, path = os.path.abspath(os.fsdecode(name)), os.path.abspath(path)
    beside = os.path.dirname(name) == os.path.dirname(path)
    return beside or name.startswith(path) or path.startswith(name)


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


def shown_name(path: str | bytes | os.PathLike) -> str:
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

    The temporary name has the ending of `path`. If the block fails, an existing file stays. What
    killed processes left of an earlier write is removed.

    Raises:
        OSError: the file cannot be written; one line as of `readable_os_errors`.

    Example:
        >>> with atomic_write("runs/x/config.json") as temporary:
        ...     pathlib.Path(temporary).write_text("{}")
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f"partial-{_process()}-{_shortened(name)}")
    remove_leftovers(folder, name)
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
    folder, name = os.path.split(os.fspath(path))
    return os.path.join(folder, f"{_shortened(name)}.tmp-{_process()}")


@contextlib.contextmanager
def atomic_folder(
    path: str | os.PathLike, check: Callable[[], object] | None = None, replace: bool = True
) -> Iterator[str]:
    """Yields an empty folder to write into, which becomes `path` when the block succeeds.

    A failed block leaves `path` as it was. What killed processes left is removed.

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
    if not os.fspath(path):  # it would be the current folder
        raise ValueError("The name of the new folder is empty; give a name.")
    check = check or (lambda: None)
    path = os.path.abspath(os.fspath(path))
    remove_leftovers(*os.path.split(path))
    check()
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


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())[:64]


def _process() -> str:
    """A name of this host and process."""
    return f"{_host()}-{os.getpid()}"


def _shortened(name: str) -> str:
    """A name to which more can be added: of a long one, a digest and the last characters."""
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    while len(os.fsencode(name)) > LONGEST_NAME - len(digest):
        name = name[1:]
    return digest + name


def _flush(path: str | os.PathLike) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def remove_leftovers(folder: str | os.PathLike, name: str | None = None) -> None:
    """Removes the half-written files and folders that killed processes left in a folder.

    A process of this host can be asked whether it has ended. What a process of another host writes
    counts as left when nothing has changed in it for a day. A folder that was to be replaced goes
    back to its place if it is empty, and a line on stderr says so.

    Args:
        folder: where they are; it may be missing.
        name: of the file or folder that they were to become; any if `None`.
    """
    target, host = ".+" if name is None else re.escape(_shortened(name)), re.escape(_host())
    ours, any_host = (
        rf"partial-{process}-{target}|{target}\.tmp-{process}(?:-replaced)?"
        for process in (rf"{host}-(\d+)", r".+-\d+")
    )
    # Earlier versions named no host.
    earlier = rf"partial-(\d+)-{target}|{target}\.tmp-(\d+)\.old"
    with contextlib.suppress(OSError):  # the write itself says what is wrong with the folder
        for entry in pathlib.Path(folder).iterdir():
            if match := re.fullmatch(rf"{ours}|{earlier}", entry.name):
                ended = not _is_running(int(next(filter(None, match.groups()))))
            elif re.fullmatch(any_host, entry.name):
                ended = time.time() - entry.lstat().st_mtime > ABANDONED_SECONDS
            else:
                continue
            if not ended:
                continue
            place = entry.with_name(name or entry.name.rpartition(".tmp-")[0] or entry.name)
            if entry.name.endswith("-replaced") and not place.exists():
                entry.rename(place)
                print(f"{place}: restored from {entry.name}, which a killed process left.",
                      file=sys.stderr)  # fmt: skip
            elif entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def check_is_file(path: str | os.PathLike) -> None:
    """Checks that a path is no folder, pipe or device: a pipe would be waited for without end.

    Raises:
        OSError: it is, or nothing is there.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))


def end_digests(path: str | os.PathLike) -> tuple[bytes, bytes]:
    """The hexadecimal SHA-256 of a file without its last 64 bytes, and these, which may state it.

    Raises:
        OSError: there is no regular file that can be read.
    """
    check_is_file(path)
    digest, left = hashlib.sha256(), os.path.getsize(path) - DIGEST_SIZE
    with open(path, "rb") as file:
        while left > 0:
            digest.update(block := file.read(min(left, 1 << 22)))
            left -= len(block) or left  # the file may have become shorter
        return digest.hexdigest().encode(), file.read()


def file_digest(path: str | os.PathLike) -> str:
    """The hexadecimal SHA-256 of a file.

    Raises:
        OSError: there is no regular file that can be read.
    """
    check_is_file(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def read_text(path: str | os.PathLike) -> str:
    """The text of a file, in UTF-8.

    Raises:
        OSError: as `check_is_file`, or the file cannot be read.
        ValueError: it is not UTF-8.
    """
    check_is_file(path)
    return pathlib.Path(path).read_text(encoding="utf-8")


def parse_json(text: str) -> Any:
    """As `json.loads`, with a ValueError also for text that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def sealed_json(fields: Mapping[str, Any]) -> str:
    """The text of a JSON file of named fields, with a checksum of them as the last one.

    Example:
        >>> parse_sealed_json(sealed_json({"seed": 3}))
        {'seed': 3}
    """
    plain = json.loads(json.dumps(fields))
    plain["checksum"] = _fields_digest(plain)
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def parse_sealed_json(text: str) -> dict[str, Any]:
    """The fields of a text that `sealed_json` made.

    Raises:
        ValueError: the text is not JSON, or its fields do not have its checksum.
    """
    fields = parse_json(text)
    if not isinstance(fields, dict) or "checksum" not in fields:
        raise ValueError("it has no checksum")
    if fields.pop("checksum") != _fields_digest(fields):
        raise ValueError("altered, its fields do not have its checksum")
    return fields


def _fields_digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


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
    message = re.sub(r"\{\{function_node [^}]*\}\}|\[Op:\w+\]( name:)?", "", message)
    return " ".join(message.split())


def cause_of(error: BaseException) -> str:
    """The text of an exception of another library, or its kind, to be put into a sentence.

    Example:
        >>> cause_of(ConnectionError("no route\\nto host."))
        'no route to host'
    """
    return one_line(str(error) or type(error).__name__)[:300].rstrip(".")


def markdown_text(text: str) -> str:
    """A text of a file or a person as one line that Markdown shows as it is: no HTML, no markup.

    Example:
        >>> markdown_text("# CC0\\n<b>*free*</b>")
        '\\\\# CC0 &lt;b>\\\\*free\\\\*&lt;/b>'
    """
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    text = re.sub(
        r"([\\`*\[\]|~$]|(?<!\w)_|_(?!\w))",
        r"\\\1",
        text.replace("&", "&amp;").replace("<", "&lt;"),
    )
    # What begins a heading, a list, a line or a quote.
    return re.sub(r"^(\d*)([.)#=+-][#=+-]*(?= |$)|>)", r"\1\\\2", text)
