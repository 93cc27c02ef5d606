"""Fetches files of known SHA-256 from a web server into a folder, each whole or not at all."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

from kerasvid.data.shards import temporary_name
from tfrecords_tools.conversion import ConversionError

_CHUNK = 1 << 16
_REMEDY = "run it again later, or give your own copy with --source_dir"


class _Fault(Exception):
    """What went wrong with an address; `passing` where another try may help."""

    def __init__(self, what: str, passing: bool = True) -> None:
        super().__init__(what)
        self.passing = passing


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
    """Downloads the files of a list that a folder does not hold yet.

    A file that is there with its checksum is kept; any other content under its name is replaced.
    A file gets its name only when it is complete and its checksum is right.

    Args:
        address: http or https; a file's name is joined to it with a slash.
        checksums: by name relative to address and folder, for instance "body/0.png", the
            SHA-256 in hexadecimal.
        folder: where the files go; made with the first of them.
        title: what is fetched, for the line of progress.
        timeout: seconds without a byte after which a try counts as failed.
        pauses: seconds to wait before each further try, hence also how many there are.
        progress: show a line of progress on stderr.

    Returns:
        Names of the files that were downloaded.

    Raises:
        ConversionError: a file cannot be had, has another checksum or cannot be written; one
            line names it and the remedy. The files before it are kept.

    Example:
        download_files("https://example.org/v1", {"a.png": "9f86d081884c7d65..."}, "data/raw")
    """
    folder = pathlib.Path(folder)
    missing = [name for name, sha256 in checksums.items() if not _holds(folder / name, sha256)]
    line = _ProgressLine(title, len(missing), progress)
    try:
        for name in missing:
            url = f"{address.rstrip('/')}/{urllib.parse.quote(name)}"
            _download(url, folder / name, checksums[name], timeout, pauses, line)
            line.advance()
    finally:
        line.close()
    return missing


def _holds(path: pathlib.Path, sha256: str) -> bool:
    """Whether the file is there with this checksum."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:  # absent or unreadable; writing it will say what is wrong with the place
        return False
    return digest.hexdigest() == sha256


def _download(
    url: str,
    path: pathlib.Path,
    sha256: str,
    timeout: float,
    pauses: Sequence[float],
    line: "_ProgressLine",
) -> None:
    """Fetches one file, in as many tries as it takes and `pauses` allows."""
    for tries, pause in enumerate([*pauses, None], start=1):
        try:
            return _fetch(url, path, sha256, timeout, line)
        except _Fault as fault:
            if pause is None or not fault.passing:
                often = f" (tried {tries} times)" if tries > 1 else ""
                raise ConversionError(f"{url}: {fault}{often}; {_REMEDY}.") from fault
        time.sleep(pause)


def _fetch(
    url: str, path: pathlib.Path, sha256: str, timeout: float, line: "_ProgressLine"
) -> None:
    """Fetches one file to a temporary name beside `path`, checks it and renames it."""
    temporary, digest = temporary_name(path), hashlib.sha256()
    with _open(url, timeout) as response:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                for chunk in _chunks(response, timeout):
                    digest.update(chunk)
                    file.write(chunk)
                    line.receive(len(chunk))
            if (found := digest.hexdigest()) != sha256:
                raise _Fault(f"its SHA-256 is {found[:16]}..., not {sha256[:16]}...")
            os.replace(temporary, path)
        except OSError as error:  # of the disk: those of the network are faults
            raise ConversionError(
                f"{path}: cannot be written ({error.strerror or error}); check the disk and the "
                "rights of the folder, or give your own copy with --source_dir."
            ) from error
        finally:
            with contextlib.suppress(OSError):
                os.remove(temporary)


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(url, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        passing = error.code in (408, 429) or error.code >= 500
        raise _Fault(f"the server answers {error.code} {error.reason}", passing) from error
    except (OSError, http.client.HTTPException) as error:
        raise _network_fault(error, timeout) from error


def _chunks(response: http.client.HTTPResponse, timeout: float) -> Iterator[bytes]:
    """The body in pieces; a body that ends before its stated length is a fault."""
    expected, received = response.length, 0
    try:
        # The sized read() of http.client does not complain about a body that is cut off.
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _network_fault(error, timeout) from error
    if expected is not None and received < expected:
        raise _Fault(f"cut off after {received} of {expected} bytes")


def _network_fault(error: Exception, timeout: float) -> _Fault:
    reason = getattr(error, "reason", error)  # urllib wraps the error of the connection
    if isinstance(reason, TimeoutError):
        return _Fault(f"no answer within {timeout:g} s")
    if isinstance(reason, http.client.IncompleteRead):
        return _Fault(f"cut off after {len(reason.partial)} bytes of its last piece")
    what = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return _Fault(f"cannot be reached ({' '.join(str(what).split())})")


class _ProgressLine:
    """One line on stderr that is rewritten five times a second; in a log, a line each 10 s."""

    def __init__(self, title: str, total: int, shown: bool) -> None:
        self.title, self.total, self.shown = title, total, shown and total > 0
        self.done = self.received = 0
        self.printed = time.monotonic()
        self.rewrites = sys.stderr.isatty()

    def receive(self, count: int) -> None:
        self.received += count
        if time.monotonic() - self.printed > (0.2 if self.rewrites else 10.0):
            self._print()

    def advance(self) -> None:
        self.done += 1
        if self.done == self.total:
            self._print()

    def close(self) -> None:
        if self.shown and self.received and self.rewrites:
            sys.stderr.write("\n")

    def _print(self) -> None:
        self.printed = time.monotonic()
        if self.shown:
            text = f"{self.title}: {self.done}/{self.total} files, {self.received / 1e6:.1f} MB"
            sys.stderr.write(f"\r{text} " if self.rewrites else f"{text}\n")
            sys.stderr.flush()
