"""A data set of moving squares on disk, and the apps run as a user runs them."""

import contextlib
import functools
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def squares(tmp_path_factory, moving_squares) -> str:
    """Folder of a data set of 24 + 8 clips, 6x16x16x3."""
    from kerasvid.data import DatasetInfo, Video
    from tfrecords_tools.conversion import write_dataset

    folder = os.fspath(tmp_path_factory.mktemp("data") / "squares")
    videos = moving_squares(32, 6)
    info = DatasetInfo("squares", "1", 16, 16, 3, fps=8.0)
    splits = {"train": list(range(24)), "test": list(range(24, 32))}
    load = lambda i: Video(videos[i], f"square-{i}")  # noqa: E731
    write_dataset(folder, info, splits, load, progress=False)
    return folder


@pytest.fixture(scope="session")
def start_app():
    """Starts `python apps/<name>.py` with flags; a Popen with pipes."""

    def start(name: str, *flags: str, **options) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, os.fspath(ROOT / "apps" / f"{name}.py"), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.fspath(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            **options,
        )

    return start


@pytest.fixture(scope="session")
def run_app(start_app):
    """Runs an app to its end: (exit status, stdout, stderr)."""

    def run(name: str, *flags: str, **options) -> tuple[int, str, str]:
        process = start_app(name, *flags, **options)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return run


@pytest.fixture
def app_here(capsys, monkeypatch, tmp_path):
    """Runs an app in this process and an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *given: str) -> tuple[int, str, str]:
        with _app_module(name) as module, flagsaver.flagsaver():
            flags.FLAGS([f"{name}.py", *given])
            try:
                module.main([name, *(flag for flag in given if not flag.startswith("--"))])
                status = 0
            except SystemExit as end:
                status = end.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def train_here(app_here):
    """As `app_here`, of apps/train.py."""
    return functools.partial(app_here, "train")


@contextlib.contextmanager
def _app_module(name: str):
    """An app as a module; its flags, of which other apps have some too, are there within alone."""
    before = set(flags.FLAGS)
    spec = importlib.util.spec_from_file_location(f"{name}_app", ROOT / "apps" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        for flag in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, flag)


@pytest.fixture(scope="session")
def training_flags(squares):
    """Flags of a short deterministic run."""
    return (
        "--model=rjvae", f"--dataset={squares}", "--preset=debug", "--set=frames=4",
        "--precision=float32", "--deterministic", "--log_every=2", "--checkpoint_every=4",
        "--sample_every=0",
    )  # fmt: skip
