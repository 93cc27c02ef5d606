"""Downloads files of known SHA-256 into a folder, each complete or not at all."""

import hashlib
import http.client
import itertools
import os
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

from kerasvid.io import atomic_write, described, readable_os_errors
from tfrecords_tools.conversion import ConversionError, progress_bar

_BLOCK = 1 << 16  # bytes in memory at a time


class _Fault(Exception):
    """A download failed; `temporary` if another attempt may help."""

    def __init__(self, what: str, temporary: bool = True) -> None:
        super().__init__(what)
        self.temporary = temporary


def download_files(
    address: str,
    checksums: Mapping[str, str],
    folder: str | os.PathLike,
    *,
    title: str = "download",
    timeout: float = 30.0,
    pauses: Sequence[float] = (0.5, 1.0, 2.0),
    progress: bool = True,
) -> list[str]:
    """Downloads the files that a folder lacks.

    A file with the right checksum is kept; a file with another content is replaced. A file gets
    its name only when it is complete and its checksum is right.

    Args:
        address: http or https; a slash and the name of a file are added.
        checksums: SHA-256 in hexadecimal by name relative to address and folder, for instance
            "body/0.png".
        folder: where the files go; made with the first of them.
        title: of the progress bar.
        timeout: seconds without a byte after which an attempt fails.
        pauses: seconds to wait before each further attempt.
        progress: show a progress bar on stderr.

    Returns:
        Names of the files that were downloaded.

    Raises:
        ConversionError: a file cannot be downloaded, has another checksum or cannot be written.
            The files before it are kept.

    Example:
        download_files("https://example.org/v1", {"a.png": "9f86d081884c7d65..."}, "data/raw")
    """
    paths = {name: pathlib.Path(folder, name) for name in checksums}
    missing = [name for name, path in paths.items() if _checksum(path) != checksums[name]]
    with progress_bar(len(missing), progress and bool(missing), "files", desc=title) as bar:
        for name in missing:
            url = f"{address.rstrip('/')}/{urllib.parse.quote(name)}"
            _download(url, paths[name], checksums[name], timeout, pauses)
            bar.update()
    return missing


def _checksum(path: pathlib.Path) -> str | None:
    """SHA-256 of a file, `None` if there is none; ConversionError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        raise ConversionError(described(error)) from error


def _download(
    url: str, path: pathlib.Path, sha256: str, timeout: float, pauses: Sequence[float]
) -> None:
    """Downloads one file, in as many attempts as `pauses` allows."""
    for attempt, pause in enumerate([*pauses, None], start=1):
        try:
            return _write(_read(url, timeout), path, sha256)
        except OSError as error:  # of the disk: those of the network are faults
            raise ConversionError(f"{error} Or give your own copy as --source_dir.") from error
        except _Fault as fault:
            if pause is None or not fault.temporary:
                attempts = f" (tried {attempt} times)" if attempt > 1 else ""
                raise ConversionError(
                    f"{url}: {fault}{attempts}; try again later, or give your own copy as "
                    "--source_dir."
                ) from fault
            time.sleep(pause)


def _write(blocks: Iterator[bytes], path: pathlib.Path, sha256: str) -> None:
    """Streams blocks to a temporary file, which becomes `path` if the checksum is right."""
    first = next(blocks, b"")  # without an answer, no folder is made
    digest = hashlib.sha256()
    with readable_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            with open(temporary, "wb") as file:
                for block in itertools.chain([first], blocks):
                    digest.update(block)
                    file.write(block)
            if (found := digest.hexdigest()) != sha256:
                raise _Fault(f"its SHA-256 is {found[:16]}... instead of {sha256[:16]}...")


def _read(url: str, timeout: float) -> Iterator[bytes]:
    received = 0
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            while block := response.read(_BLOCK):
                received += len(block)
                yield block
            if response.length:  # `read` with a size does not complain
                size = received + response.length
                raise _Fault(f"the download stopped after {received} of {size} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        temporary = error.code in (408, 429) or error.code >= 500
        raise _Fault(f"the server answers {error.code} {error.reason}", temporary) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)  # urllib wraps the error of the connection
        if isinstance(reason, TimeoutError):
            raise _Fault(f"no answer within {timeout:g} s") from error
        what = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        how = f"cut off after {received} bytes" if received else "cannot be reached"
        raise _Fault(f"{how} ({' '.join(str(what).split())})") from error
