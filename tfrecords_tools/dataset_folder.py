"""The folder of a data set appears whole: made under a temporary name, then moved into place."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence

import tensorflow as tf

from kerasvid.data.shards import INFO_FILE, temporary_name


class ConversionError(ValueError):
    """A conversion cannot go on; the one-line message says why and what to do."""


@contextlib.contextmanager
def folder_in_making(
    out_dir: str | os.PathLike,
    *,
    holds: Sequence[str] = (),
    reads: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Iterator[str]:
    """Gives an empty folder to write into, which becomes `out_dir` when the block ends.

    An exception in the block removes it and leaves `out_dir` as it was; an OSError or an error of
    TensorFlow counts as one of writing. What killed processes left behind on this host, making
    the same folder, is removed before.

    Args:
        out_dir: folder of the data set, or of several.
        holds: where it is of several, the subfolder of each.
        reads: folder of a data set that is read meanwhile: `out_dir` may not hold it.
        overwrite: replace such data sets that are already there.

    Yields:
        Path of the folder to write into.

    Raises:
        ConversionError: out_dir exists and is not to be replaced, at the start or the end of the
            block, or it cannot be written.

    Example:
        >>> with folder_in_making("data/mine") as building:
        ...     splits = {"train": write_split(building, "train", records)}
        ...     write_info(building, dataclasses.replace(info, splits=splits))
    """
    out_dir = os.path.abspath(os.fspath(out_dir))
    _check_target(out_dir, holds, reads, overwrite)
    _remove_leftovers(out_dir)
    building = temporary_name(out_dir)
    try:
        os.makedirs(building)
        yield building
        # Another process may have made it in the meantime.
        _check_target(out_dir, holds, reads, overwrite)
        _move_into_place(building, out_dir)
    except (OSError, tf.errors.OpError) as error:
        raise _explain_disk_error(error, out_dir) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check_target(
    out_dir: str, holds: Sequence[str], reads: str | os.PathLike | None, overwrite: bool
) -> None:
    place = os.path.realpath(out_dir)
    if reads is not None and os.path.commonpath([os.path.realpath(reads), place]) == place:
        raise ConversionError(f"{out_dir}: holds the data set to read; give another --out_dir.")
    if not os.path.exists(out_dir) or (os.path.isdir(out_dir) and not os.listdir(out_dir)):
        return
    what, them = (" and ".join(holds), "them") if holds else ("a data set", "it")
    if not all(os.path.exists(os.path.join(out_dir, part, INFO_FILE)) for part in holds or [""]):
        fault = f"does not hold {what}" if holds else "is no data set"
        raise ConversionError(f"{out_dir}: exists and {fault}; give another --out_dir.")
    if not overwrite:
        raise ConversionError(
            f"{out_dir}: holds {what} already; replace {them} with --overwrite or give another "
            "--out_dir."
        )


def _move_into_place(building: str, out_dir: str) -> None:
    if not os.path.isdir(out_dir):
        os.rename(building, out_dir)
        return
    old = f"{building}.old"
    os.rename(out_dir, old)
    try:
        os.rename(building, out_dir)
    except OSError:
        os.rename(old, out_dir)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_leftovers(out_dir: str) -> None:
    """Removes what interrupted processes that made the same folder left behind on this host.

    On a shared disk the process numbers of other hosts say nothing here.
    """
    parent, name = os.path.split(out_dir)
    if not os.path.isdir(parent):
        return
    ours = temporary_name(name).removesuffix(str(os.getpid()))
    for entry in os.listdir(parent):
        match = re.fullmatch(re.escape(ours) + r"(\d+)([.]old)?", entry)
        if not match or is_running(int(match[1])):
            continue
        # Where nothing took its place, what was to be replaced is all there is.
        if not match[2] or os.path.isdir(out_dir):
            shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)


def is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # this process builds one data set in a folder at a time
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False


def _explain_disk_error(error: Exception, out_dir: str) -> ConversionError:
    full = getattr(error, "errno", None) == errno.ENOSPC
    if full or isinstance(error, tf.errors.ResourceExhaustedError) or "No space" in str(error):
        return ConversionError(f"{out_dir}: the disk is full; free some space or move --out_dir.")
    what = " ".join(str(error).split())
    return ConversionError(f"{out_dir}: cannot be written ({what}); check the path and its rights.")
