"""The pinned runtime: what is copied of npm packages, and what is refused."""

import base64
import hashlib
import http.server
import importlib.resources
import io
import json
import os
import sys
import tarfile
import threading

import pytest

from kerasvid.export.web import runtime
from kerasvid.export.web.runtime import (
    PACKAGES,
    VERSION,
    WASM,
    RuntimeUnavailable,
    add_runtime,
    cached_packages,
)


@pytest.fixture
def packages(tmp_path):
    """A node_modules with both packages, their contents replaced by a few letters."""
    modules = tmp_path / "node_modules"
    core, loader = (modules / name for name in PACKAGES)
    for package in (core, loader):
        (package / "dist").mkdir(parents=True)
        (package / "package.json").write_text(json.dumps({"version": VERSION}))
    (core / "wasm").mkdir()
    for name in WASM:
        (core / "wasm" / name).write_text(name)
    script = 'import { createWasmLib } from "@litertjs/wasm-utils";\nexport const a = 1;\n'
    (core / "dist" / "index.js").write_text(script)
    (loader / "dist" / "index.js").write_text("export const createWasmLib = 2;\n")
    return modules


def fake_npm(folder, script: str) -> str:
    """A PATH on which `npm` is a Python script."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!{sys.executable}\n{script}\n")
    (folder / "npm").chmod(0o755)
    return os.fspath(folder)


def test_files_are_copied_and_import_one_another_by_path(packages, tmp_path):
    add_runtime(tmp_path / "runtime", packages)
    written = {path.name for path in (tmp_path / "runtime").iterdir()}
    assert written == {*WASM, "index.js", "wasm-utils.js"}
    assert 'from "./wasm-utils.js"' in (tmp_path / "runtime" / "index.js").read_text()
    assert not any("threaded" in name for name in written)


def test_other_packages_are_refused_in_one_line(packages, tmp_path):
    core = packages / "@litertjs/core"
    (core / "wasm" / WASM[1]).unlink()
    with pytest.raises(RuntimeUnavailable, match=rf"{WASM[1]}: is missing\. Install npm, or"):
        add_runtime(tmp_path / "one", packages)
    (core / "dist" / "index.js").write_text("export const a = 1;\n")
    (core / "wasm" / WASM[1]).write_text("")
    with pytest.raises(RuntimeUnavailable, match="differs from version"):
        add_runtime(tmp_path / "two", packages)
    (core / "package.json").write_text(json.dumps({"version": "0.0.1"}))
    with pytest.raises(RuntimeUnavailable, match=r"is version 0\.0\.1, not .* --runtime_dir"):
        add_runtime(tmp_path / "three", packages)
    with pytest.raises(RuntimeUnavailable, match="is not an npm package"):
        add_runtime(tmp_path / "four", tmp_path / "nowhere")


def archive_of(contents: dict[str, bytes]) -> bytes:
    """A package as npm's registry sends it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def registry(packages, tmp_path, monkeypatch):
    """A registry of npm on loopback without npm here, and the archives that it sends, by path."""
    archives = {}
    pinned = {"packages": {}}
    for name in PACKAGES:
        files = [path for path in (packages / name).rglob("*") if path.is_file()]
        contents = {
            os.fspath(path.relative_to(packages / name)): path.read_bytes() for path in files
        }
        archive = archive_of(contents)
        archives[f"/{name}/-/{name.rpartition('/')[2]}-{VERSION}.tgz"] = archive
        digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
        pinned["packages"][f"node_modules/{name}"] = {"integrity": f"sha512-{digest}"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            archive = archives.get(self.path)
            self.send_response(404 if archive is None else 200)
            self.end_headers()
            self.wfile.write(archive or b"")

        def log_message(self, *_):
            pass

    (tmp_path / "lock").mkdir()
    (tmp_path / "lock" / "package-lock.json").write_text(json.dumps(pinned))
    monkeypatch.setattr(runtime.importlib.resources, "files", lambda _: tmp_path / "lock")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.delenv("KERASVID_OFFLINE")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(runtime, "REGISTRY", f"http://127.0.0.1:{server.server_port}")
        yield archives
        server.shutdown()


def test_without_npm_the_packages_are_downloaded_once_and_checked(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASVID_CACHE", os.fspath(tmp_path / "cache"))
    kept = cached_packages()
    add_runtime(tmp_path / "runtime", kept)
    assert (tmp_path / "runtime" / WASM[0]).read_text() == WASM[0]
    registry.clear()
    assert cached_packages() == kept


def test_a_download_that_fails_or_differs_is_one_line_and_leaves_nothing(
    registry, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERASVID_CACHE", os.fspath(tmp_path / "cache"))
    path = next(iter(registry))
    registry[path] += b"?"
    with pytest.raises(RuntimeUnavailable, match=r"its digest is not the pinned one\. Install npm"):
        cached_packages()
    del registry[path]
    with pytest.raises(RuntimeUnavailable, match=r"cannot be downloaded \(HTTP Error 404"):
        cached_packages()
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_npm_and_wrong_contents_are_errors(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(RuntimeUnavailable, match=r"KERASVID_OFFLINE is set\. .* and give that"):
        add_runtime(tmp_path / "runtime")
    monkeypatch.delenv("KERASVID_OFFLINE")
    monkeypatch.setenv("PATH", fake_npm(tmp_path / "fails", "raise SystemExit('no network')"))
    with pytest.raises(RuntimeUnavailable, match=r"npm ci failed \(no network\)\. Install npm"):
        add_runtime(tmp_path / "runtime")
    assert not (tmp_path / "runtime").exists()


def test_the_lock_file_pins_versions_and_digests():
    folder = importlib.resources.files("kerasvid.export.web")
    names = ("package.json", "package-lock.json")
    wanted, lock = (json.loads(folder.joinpath(name).read_text("utf-8")) for name in names)
    assert wanted["dependencies"] == dict.fromkeys(PACKAGES, VERSION)
    for name in PACKAGES:
        entry = lock["packages"][f"node_modules/{name}"]
        assert entry["version"] == VERSION and entry["integrity"].startswith("sha512-")
    assert len(lock["packages"]) == 1 + len(PACKAGES)
