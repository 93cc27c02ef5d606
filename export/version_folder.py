"""The folder of one version of a served model, which appears whole or not at all."""

import contextlib
import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import tensorflow as tf

from kerasvid.callbacks.files import faults_named
from kerasvid.data.shards import temporary_name
from tfrecords_tools.dataset_folder import is_running

_NUMBER = re.compile(r"[1-9]\d{0,17}")


class VersionError(ValueError):
    """A version cannot be written where it is to go; the message says why and what to do."""


def check_version_folder(path: str | os.PathLike) -> pathlib.Path:
    """Sees whether a version may be written to a path; writes nothing.

    TensorFlow Serving is told the folder of a model, and serves the highest number in it.

    Args:
        path: `.../<model>/<number>`.

    Raises:
        VersionError: the last part is no number from 1 on, something is there already, or the path
            is remote.

    Example:
        >>> check_version_folder("export/models/rjvae/1").name
        '1'
    """
    text = os.fspath(path)
    if "://" in text:
        raise VersionError(f"{text}: write to a local folder and copy it there when it is whole.")
    path = pathlib.Path(text)
    if not _NUMBER.fullmatch(path.name):
        raise VersionError(
            f"{text}: the last part must be the number of a version, 1 or more, as TensorFlow "
            f"Serving takes them; give {path / str(_next_free(path))}."
        )
    if path.exists() or path.is_symlink():
        raise VersionError(
            f"{text}: is there already and stays as it is; give "
            f"{path.with_name(str(_next_free(path.parent)))}."
        )
    return path


@contextlib.contextmanager
def new_version_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A folder beside `path` to write into; it is renamed to `path` when the block succeeds.

    Servers that watch the place do not take the temporary name for a version, as it is no number.
    A failed block leaves nothing behind but folders above it.

    Raises:
        VersionError: as `check_version_folder`, at the start or at the end of the block.
        OSError: it cannot be written; one line with the name, the cause and the remedy.

    Example:
        >>> with new_version_folder("export/models/rjvae/1") as building:
        ...     tf.saved_model.save(module, building)
    """
    path = check_version_folder(path)
    building = pathlib.Path(temporary_name(path))
    _remove_leftovers(path)
    try:
        with _explained(path):
            building.mkdir(parents=True)
            yield building
            _flush_to_disk(building)
            check_version_folder(path)  # another process may have made it in the meantime
            os.rename(building, path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _next_free(folder: pathlib.Path) -> int:
    """The number behind the highest version in a folder."""
    names = os.listdir(folder) if folder.is_dir() else []
    return 1 + max((int(name) for name in names if _NUMBER.fullmatch(name)), default=0)


@contextlib.contextmanager
def _explained(path: pathlib.Path) -> Iterator[None]:
    """Errors of files, those of TensorFlow too, become one that names the version's folder."""
    with faults_named(path):
        try:
            yield
        except (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError) as error:
            denied = isinstance(error, tf.errors.PermissionDeniedError)
            number = errno.EACCES if denied else errno.ENOSPC
            raise OSError(number, os.strerror(number)) from error


def _remove_leftovers(path: pathlib.Path) -> None:
    """Removes what processes of this host left behind that were killed while writing the same."""
    ours = temporary_name(path.name).removesuffix(str(os.getpid()))
    for entry in path.parent.glob(f"{ours}*"):
        pid = entry.name.removeprefix(ours)
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(entry, ignore_errors=True)


def _flush_to_disk(folder: pathlib.Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
