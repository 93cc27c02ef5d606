"""Data sets on a remote file system, such as s3://bucket/folder."""

import importlib

import tensorflow as tf

from kerasvid.data.records import DatasetError


class RemoteError(DatasetError):
    """A file system cannot be read; the message says what to install."""


def open_file_system(folder: str) -> None:
    """Makes `scheme://` paths readable, with tensorflow-io if TensorFlow cannot read them.

    The native operations of tensorflow-io load with the TensorFlow of the extra `io` only; with
    other versions it must not be imported. Other paths need nothing.

    Raises:
        RemoteError: the file system is unknown, or tensorflow-io is missing.

    Example:
        >>> open_file_system("s3://bucket/sprites")
    """
    scheme, remote, _ = folder.partition("://")
    if not remote or _is_known(folder):
        return
    remedy = "install kerasvid[io], which needs TensorFlow 2.17 and Python 3.10 to 3.12"
    if not tf.__version__.startswith("2.17."):
        raise RemoteError(
            f"{folder}: TensorFlow {tf.__version__} cannot read {scheme}:// paths; {remedy}."
        )
    try:
        importlib.import_module("tensorflow_io")
    except ImportError as error:
        raise RemoteError(f"{folder}: {scheme}:// paths need tensorflow-io; {remedy}.") from error
    if not _is_known(folder):
        raise RemoteError(f"{folder}: tensorflow-io cannot read {scheme}:// paths either.")


def _is_known(folder: str) -> bool:
    """Whether there is a file system for the scheme, reachable or not."""
    try:
        tf.io.gfile.exists(folder)
    except tf.errors.OpError as error:
        return not isinstance(error, tf.errors.UnimplementedError)
    return True
