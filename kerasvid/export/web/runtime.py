"""LiteRT.js, the runtime of TFLite files in browsers: pinned npm packages, copied beside a page."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

VERSION = "2.5.3"
# As the registry states the tarballs.
INTEGRITY = {
    "@litertjs/core": (
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ=="
    ),
    "@litertjs/wasm-utils": (
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ=="
    ),
}
# Without threads, which need headers that a plain file server does not send; `compat` is for
# browsers without relaxed SIMD.
WASM = tuple(
    f"litert_wasm_{kind}.{ending}"
    for kind in ("internal", "compat_internal")
    for ending in ("js", "wasm")
)
NOTICE = f"""\
runtime/ is LiteRT.js ({", ".join(f"{name} {VERSION}" for name in INTEGRITY)}), from npm, under the
Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0), copyright Google LLC.
Source: https://github.com/google-ai-edge/LiteRT
One line of it is changed: index.js imports wasm-utils.js from its own folder, and not by the name
of the package, so that it runs in a worker of a page that has no build step.
"""


class RuntimeUnavailable(RuntimeError):
    """The runtime cannot be had; one line with the ways to get it."""


def add_runtime(folder: str | os.PathLike, packages: str | os.PathLike | None = None) -> None:
    """Writes the runtime into a new folder: 20 MB in six files.

    Args:
        folder: to make.
        packages: a `node_modules` that holds both packages; fetched by `npm pack` where `None`,
            and compared with the pinned checksums.

    Raises:
        RuntimeUnavailable: npm is missing or fails, a checksum or a version differs, or a file is
            missing.

    Example:
        >>> add_runtime("demo/runtime")
    """
    with tempfile.TemporaryDirectory() as temporary:
        packages = pathlib.Path(packages or fetch_packages(temporary))
        for name in INTEGRITY:
            _check_version(packages / name)
        core, loader = (packages / name for name in INTEGRITY)
        os.makedirs(folder)
        folder = pathlib.Path(folder)
        try:
            for name in WASM:
                shutil.copyfile(core / "wasm" / name, folder / name)
            shutil.copyfile(loader / "dist" / "index.js", folder / "wasm-utils.js")
            script = (core / "dist" / "index.js").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RuntimeUnavailable(f"{error.filename}: is missing; {_remedy()}") from error
    # Workers know no import maps.
    found = 'from "@litertjs/wasm-utils"'
    if script.count(found) != 1:
        raise RuntimeUnavailable(f"{core}: does not import wasm-utils as {VERSION} does.")
    script = script.replace(found, 'from "./wasm-utils.js"')
    (folder / "index.js").write_text(script, encoding="utf-8")


def fetch_packages(folder: str | os.PathLike) -> pathlib.Path:
    """Both packages as npm has them, unpacked as `<folder>/node_modules/<name>`; the latter's path.

    Raises:
        RuntimeUnavailable: npm is missing or fails, or a checksum differs.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeUnavailable(f"npm is not installed, which fetches LiteRT.js; {_remedy()}")
    modules = pathlib.Path(folder) / "node_modules"
    for name, digest in INTEGRITY.items():
        command = [npm, "pack", f"{name}@{VERSION}", "--silent", "--pack-destination", str(folder)]
        told = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if told.returncode:
            why = (told.stderr.strip() or told.stdout.strip() or "no reason told").splitlines()[0]
            raise RuntimeUnavailable(f"npm pack {name}@{VERSION} failed ({why}); {_remedy()}")
        packed = pathlib.Path(folder) / told.stdout.split()[-1]
        if base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() != digest:
            raise RuntimeUnavailable(f"{name}@{VERSION}: is not what was pinned; {_remedy()}")
        with tarfile.open(packed) as archive:
            archive.extractall(modules / f"{name}.packed", filter="data")
        (modules / f"{name}.packed" / "package").rename(modules / name)
    return modules


def _check_version(package: pathlib.Path) -> None:
    try:
        found = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError) as error:
        raise RuntimeUnavailable(f"{package}: is no npm package; {_remedy()}") from error
    if found != VERSION:
        raise RuntimeUnavailable(f"{package}: is version {found}, not {VERSION}; {_remedy()}")


def _remedy() -> str:
    return (
        f"install npm, or on a machine with it run `npm install @litertjs/core@{VERSION} "
        f"@litertjs/wasm-utils@{VERSION}` and give that node_modules as --runtime_dir."
    )
