"""The folder of one version of a served model, which appears whole or not at all."""

import contextlib
import errno
import functools
import os
import pathlib
import re
from collections.abc import Iterator, Mapping

import keras
import tensorflow as tf

from kerasvid.export.sample_inputs import sample_inputs
from kerasvid.export.serving.messages import WARM_UP_FILE, warm_up_request
from kerasvid.export.signatures import Signature
from kerasvid.io import atomic_folder, readable_os_errors

_NUMBER = re.compile(r"[1-9]\d{0,17}")


def check_version_folder(path: str | os.PathLike) -> pathlib.Path:
    """Checks that a version may be written to a path, `.../<model>/<number>`; writes nothing.

    Raises:
        ValueError: the last part is not a number from 1 on, the path exists or is remote.

    Example:
        >>> check_version_folder("export/models/rjvae/1").name
        '1'
    """
    text = os.fspath(path)
    if "://" in text:
        raise ValueError(f"{text}: is remote. Write to a local folder, then copy it there.")
    path = pathlib.Path(text)
    if not _NUMBER.fullmatch(path.name):
        free = path / str(_next_free(path))
        raise ValueError(f"{text}: the last part must be a version number from 1 on. Give {free}.")
    if path.exists() or path.is_symlink():
        free = path.with_name(str(_next_free(path.parent)))
        raise ValueError(f"{text}: exists already, and a version is never replaced. Use {free}.")
    return path


def _next_free(folder: pathlib.Path) -> int:
    """The number after the highest version in a folder."""
    names = os.listdir(folder) if folder.is_dir() else []
    return 1 + max((int(name) for name in names if _NUMBER.fullmatch(name)), default=0)


@contextlib.contextmanager
def new_version_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a folder to write into, which is renamed to `path` when the block succeeds.

    Its temporary name is not a number, so a server does not take it for a version.

    Raises:
        ValueError: as `check_version_folder`, before the block or after it.
        OSError: the folder cannot be written; one line with the name, the cause and the remedy.

    Example:
        >>> with new_version_folder("export/models/rjvae/1") as building:
        ...     tf.saved_model.save(module, building)
    """
    check = functools.partial(check_version_folder, path)
    with readable_os_errors(path), atomic_folder(path, check, replace=False) as building:
        try:
            yield pathlib.Path(building)
        except (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError) as error:
            denied = isinstance(error, tf.errors.PermissionDeniedError)
            number = errno.EACCES if denied else errno.ENOSPC
            raise OSError(number, os.strerror(number)) from error


def write_warm_up(
    folder: str | os.PathLike, name: str, model: keras.Model, signatures: Mapping[str, Signature]
) -> None:
    """Writes a request for each signature into the folder of a version.

    A server runs them when it loads the model, so that the first user does not wait for kernels.

    Args:
        folder: of the version.
        name: of the model on the server.
        model, signatures: the model and its `served_signatures`.
    """
    path = pathlib.Path(folder, WARM_UP_FILE)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for key, signature in signatures.items():
            writer.write(warm_up_request(name, key, sample_inputs(model, signature)))
