"""Files that an export writes: whole or not at all, and never over another one unasked."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from kerasvid.callbacks.files import replaced_when_complete


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
    with replaced_when_complete(path) as temporary:
        yield pathlib.Path(temporary)
