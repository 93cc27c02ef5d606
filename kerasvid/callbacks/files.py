"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def replaced_when_complete(path: str | os.PathLike) -> Iterator[str]:
    """A temporary name beside `path`, with its ending; renamed to `path` when the block succeeds.

    What stood at `path` stays until then, and stays for good if the block fails.

    Example:
        >>> with replaced_when_complete("runs/x/config.json") as temporary:
        ...     pathlib.Path(temporary).write_text("{}")
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f"partial-{os.getpid()}-{name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
