"""LiteRT.js, which runs TFLite files in browsers: pinned npm packages, copied beside a page."""

import base64
import hashlib
import http.client
import importlib.resources
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from typing import Any

from kerasvid.io import atomic_folder, cache_folder, cause_of

VERSION = "2.5.3"  # as in package-lock.json
PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
# Without threads, which need headers that a plain file server does not send. `compat` is for
# browsers without relaxed SIMD.
_KINDS = ("internal", "compat_internal")
WASM = tuple(f"litert_wasm_{kind}.{ending}" for kind in _KINDS for ending in ("js", "wasm"))
NOTICE = f"""\
runtime/ is LiteRT.js ({", ".join(f"{name} {VERSION}" for name in PACKAGES)}), from npm, under the
Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0), copyright Google LLC.
Source: https://github.com/google-ai-edge/LiteRT
One line is changed: index.js imports wasm-utils.js from its own folder and not by the name of the
package, so that it runs in a worker of a page without a build step.
"""
REGISTRY = "https://registry.npmjs.org"
_NEEDED = {PACKAGES[0]: ("package.json", "dist/index.js", *(f"wasm/{name}" for name in WASM)),
           PACKAGES[1]: ("package.json", "dist/index.js")}  # fmt: skip
REMEDY = (
    f"Install npm, or on a machine with it run `npm install @litertjs/core@{VERSION} "
    f"@litertjs/wasm-utils@{VERSION}` and give that node_modules as --runtime_dir."
)


class RuntimeUnavailable(RuntimeError):
    """The runtime is not available: one line with the ways to get it."""


def add_runtime(folder: str | os.PathLike, packages: str | os.PathLike | None = None) -> None:
    """Writes the runtime into a new folder: 20 MB in six files.

    Args:
        folder: to make.
        packages: a `node_modules` with both packages; if `None`, they are downloaded.

    Raises:
        RuntimeUnavailable: the download fails, a checksum or a version differs, or a file is
            missing.

    Example:
        >>> add_runtime("demo/runtime")
    """
    with tempfile.TemporaryDirectory() as temporary:
        packages = pathlib.Path(packages or fetch_packages(temporary))
        core, loader = (packages / name for name in PACKAGES)
        for package in (core, loader):
            _check_version(package)
        os.makedirs(folder)
        folder = pathlib.Path(folder)
        try:
            for name in WASM:
                shutil.copyfile(core / "wasm" / name, folder / name)
            shutil.copyfile(loader / "dist" / "index.js", folder / "wasm-utils.js")
            script = (core / "dist" / "index.js").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RuntimeUnavailable(f"{error.filename}: is missing. {REMEDY}") from error
    # Workers have no import maps.
    found = 'from "@litertjs/wasm-utils"'
    if script.count(found) != 1:
        raise RuntimeUnavailable(f"{core}: differs from version {VERSION}. {REMEDY}")
    script = script.replace(found, 'from "./wasm-utils.js"')
    (folder / "index.js").write_text(script, encoding="utf-8")


def fetch_packages(folder: str | os.PathLike) -> pathlib.Path:
    """Installs both packages into a folder, by npm where there is one; returns its node_modules.

    Raises:
        RuntimeUnavailable: npm or the download fails, or a digest is not that of package-lock.json.
    """
    if os.environ.get("KERASVID_OFFLINE"):
        raise RuntimeUnavailable(f"LiteRT.js is missing, and KERASVID_OFFLINE is set. {REMEDY}")
    npm, folder = shutil.which("npm"), pathlib.Path(folder)
    if npm is None:
        return _download_packages(folder)
    for name in ("package.json", "package-lock.json"):
        lock = importlib.resources.files(__package__).joinpath(name)
        (folder / name).write_text(lock.read_text("utf-8"), "utf-8")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise RuntimeUnavailable(f"npm ci failed ({lines[0]}). {REMEDY}")
    return folder / "node_modules"


def cached_packages() -> pathlib.Path:
    """The `node_modules` with both packages in the cache of the user, fetched once.

    Raises:
        RuntimeUnavailable: as `fetch_packages`.
    """
    place = cache_folder() / f"litert-{VERSION}"
    if not (place / "node_modules").is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        if not os.environ.get("KERASVID_OFFLINE"):
            print("LiteRT.js, which runs models in browsers, is downloaded once: 12 MB", flush=True)
        with atomic_folder(place) as building:
            fetch_packages(building)
    return place / "node_modules"


def _download_packages(folder: pathlib.Path) -> pathlib.Path:
    """Downloads what is needed of both packages from the registry of npm, and checks it."""
    text = importlib.resources.files(__package__).joinpath("package-lock.json").read_text("utf-8")
    for name, needed in _NEEDED.items():
        entry = json.loads(text)["packages"][f"node_modules/{name}"]
        kind, _, digest = entry["integrity"].partition("-")
        address = f"{REGISTRY}/{name}/-/{name.rpartition('/')[2]}-{VERSION}.tgz"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeUnavailable(
                f"{address}: cannot be downloaded ({cause_of(error)}). {REMEDY}"
            ) from error
        if base64.b64encode(hashlib.new(kind, content).digest()).decode() != digest:
            raise RuntimeUnavailable(f"{address}: its digest is not the pinned one. {REMEDY}")
        package = folder / "node_modules" / name
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for path in needed:
                (package / path).parent.mkdir(parents=True, exist_ok=True)
                member: Any = archive.extractfile(f"package/{path}")  # the digest vouches for it
                (package / path).write_bytes(member.read())
    return folder / "node_modules"


def _check_version(package: pathlib.Path) -> None:
    try:
        found = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError) as error:
        raise RuntimeUnavailable(f"{package}: is not an npm package. {REMEDY}") from error
    if found != VERSION:
        raise RuntimeUnavailable(f"{package}: is version {found}, not {VERSION}. {REMEDY}")
