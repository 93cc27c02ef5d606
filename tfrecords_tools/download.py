"""Downloads files of known SHA-256 into a folder, each complete or not at all."""

import hashlib
import http.client
import os
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence

from kerasvid.io import atomic_write, readable_os_errors
from tfrecords_tools.conversion import ConversionError, progress_bar


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
            "body/0.png". Each file must fit into memory.
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
    folder = pathlib.Path(folder)
    missing = [name for name, sha256 in checksums.items() if not _has(folder / name, sha256)]
    with progress_bar(len(missing), progress and bool(missing), "files", desc=title) as bar:
        for name in missing:
            url = f"{address.rstrip('/')}/{urllib.parse.quote(name)}"
            content = _download(url, checksums[name], timeout, pauses)
            path = folder / name
            try:
                with readable_os_errors(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with atomic_write(path) as temporary:
                        pathlib.Path(temporary).write_bytes(content)
            except OSError as error:
                raise ConversionError(f"{error} Or give your own copy as --source_dir.") from error
            bar.update()
    return missing


def _has(path: pathlib.Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:  # missing or unreadable; writing the file will name the fault
        return False


def _download(url: str, sha256: str, timeout: float, pauses: Sequence[float]) -> bytes:
    """The content of a file, after as many attempts as `pauses` allows."""
    for attempt, pause in enumerate([*pauses, None], start=1):
        try:
            content = _read(url, timeout)
            found = hashlib.sha256(content).hexdigest()
            if found == sha256:
                return content
            raise _Fault(f"its SHA-256 is {found[:16]}... instead of {sha256[:16]}...")
        except _Fault as fault:
            if pause is None or not fault.temporary:
                attempts = f" (tried {attempt} times)" if attempt > 1 else ""
                raise ConversionError(
                    f"{url}: {fault}{attempts}; try again later, or give your own copy as "
                    "--source_dir."
                ) from fault
        time.sleep(pause)


def _read(url: str, timeout: float) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        error.close()
        temporary = error.code in (408, 429) or error.code >= 500
        raise _Fault(f"the server answers {error.code} {error.reason}", temporary) from error
    except http.client.IncompleteRead as error:
        received = len(error.partial)
        total = "" if error.expected is None else f" of {received + error.expected}"
        raise _Fault(f"cut off after {received}{total} bytes") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)  # urllib wraps the error of the connection
        if isinstance(reason, TimeoutError):
            raise _Fault(f"no answer within {timeout:g} s") from error
        what = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise _Fault(f"cannot be reached ({' '.join(str(what).split())})") from error
