"""The pinned runtime: what is copied of npm packages, and what is refused."""

import importlib.resources
import json
import os
import sys

import pytest

from kerasvid.export.web.runtime import (
    PACKAGES,
    VERSION,
    WASM,
    RuntimeUnavailable,
    add_runtime,
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


def test_missing_npm_and_wrong_contents_are_errors(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(RuntimeUnavailable, match=r"npm, .* is not installed.* and give that"):
        add_runtime(tmp_path / "runtime")
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
