"""Data sets that lie on a remote file system, such as s3://bucket/folder."""

import importlib

import tensorflow as tf

from kerasvid.data.records import DatasetError


class RemoteError(DatasetError):
    """A file system cannot be used; the message says what to install."""


def open_file_system(folder: str) -> None:
    """Makes `scheme://` paths readable, by the package tensorflow-io where TensorFlow cannot.

    Its native operations load with some versions of TensorFlow only, those of the extra `io`; with
    others it must not be imported. Local paths, and schemes that TensorFlow knows, need nothing.

    Args:
        folder: of a data set.

    Raises:
        RemoteError: the file system is unknown, or tensorflow-io is absent.

    Example:
        >>> open_file_system("s3://bucket/sprites")
    """
    scheme, remote, _ = folder.partition("://")
    if not remote or _is_known(folder):
        return
    remedy = ("install with the extra io, pip install -e '.[io]', which takes TensorFlow 2.17 and "
              "Python 3.10 to 3.12")  # fmt: skip
    if not tf.__version__.startswith("2.17."):
        raise RemoteError(
            f"{folder}: TensorFlow {tf.__version__} reads no {scheme}:// paths; {remedy}."
        )
    try:
        importlib.import_module("tensorflow_io")
    except ImportError as error:
        raise RemoteError(f"{folder}: {scheme}:// paths need tensorflow-io; {remedy}.") from error
    if not _is_known(folder):
        raise RemoteError(f"{folder}: tensorflow-io knows no {scheme}:// paths, either.")


def _is_known(folder: str) -> bool:
    """Whether there is a file system for the scheme, reachable or not."""
    try:
        tf.io.gfile.exists(folder)
    except tf.errors.UnimplementedError:
        return False
    except tf.errors.OpError:
        return True
    return True
