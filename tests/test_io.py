"""Files and folders appear complete or not at all, and errors name the file."""

import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from kerasvid.io import atomic_folder, atomic_write, lock, new_file, readable_os_errors
from kerasvid.visualization import writers


@pytest.fixture
def small_files_only():
    """No file can grow beyond 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("context", [readable_os_errors, atomic_write])
def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path, context):
    path = tmp_path / "metrics.csv"
    path.write_text("before")
    with (
        pytest.raises(OSError, match=r"metrics\.csv: cannot be written .the disk is full") as error,
        context(path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(error.value)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("write", "ending"),
    [(writers.write_png, "png"), (writers.write_gif, "gif"), (writers.write_mp4, "mp4")],
)
def test_an_incomplete_picture_is_reported(tmp_path, small_files_only, write, ending):
    frames = np.random.default_rng(0).integers(0, 255, [8, 128, 128, 3], np.uint8)
    path = tmp_path / f"step.{ending}"
    why = r"( .File too large|\. Check that the disk is not full)"
    with pytest.raises(OSError, match=f"step.{ending}: cannot be written{why}"):
        write(path, frames[0] if ending == "png" else frames)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "a.json"
    with atomic_write(path) as temporary:
        pathlib.Path(temporary).write_text("first")
        assert temporary.endswith("a.json") and not path.exists()
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        pathlib.Path(temporary).write_text("half")
        raise KeyError
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_replaces_another_only_on_request(tmp_path):
    for overwrite in (False, True):
        with new_file(tmp_path / "a", overwrite) as temporary:
            temporary.write_text(str(overwrite))
    with pytest.raises(ValueError, match="a: exists already"), new_file(tmp_path / "a"):
        pass
    with pytest.raises(ValueError, match="is a folder"), new_file(tmp_path):
        pass
    with pytest.raises(ValueError, match="does not exist"), new_file(tmp_path / "b" / "a"):
        pass
    assert (tmp_path / "a").read_text() == "True"


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path):
    path = tmp_path / "a"

    def check():
        if path.exists():
            raise ValueError("exists")

    with pytest.raises(ValueError, match="exists"), atomic_folder(path, check):
        path.mkdir()
        (path / "theirs").touch()
    assert [entry.name for entry in tmp_path.rglob("*")] == ["a", "theirs"]


def test_a_lock_is_held_once_and_released_when_the_process_is_killed(tmp_path):
    code = f"""
import time
from kerasvid.io import lock
with lock({str(tmp_path / "lock")!r}):
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(BlockingIOError, match="another process"), lock(tmp_path / "lock"):
            pass
        process.kill()
        process.wait()
        with lock(tmp_path / "lock", wait=True):
            pass


@pytest.mark.parametrize("name", ["a.json", "step-5.keras"])
def test_half_written_files_of_killed_processes_go_at_the_next_write(tmp_path, name):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with atomic_write(tmp_path / name) as temporary:
        own = pathlib.Path(temporary)
        left, running, other = (
            own.with_name(own.name.replace(f"-{os.getpid()}-", f"{host}-{pid}-"))
            for host, pid in (("", ended.pid), ("", os.getppid()), ("-other", ended.pid))
        )
        for path in (own, left, running, other):
            path.touch()
    with atomic_write(tmp_path / name) as temporary:
        pathlib.Path(temporary).touch()
    assert set(tmp_path.iterdir()) == {tmp_path / name, running, other}
    os.utime(other, (0, 0))  # nothing has changed for a day
    os.utime(running, (0, 0))
    with atomic_write(tmp_path / name) as temporary:
        pathlib.Path(temporary).touch()
    assert set(tmp_path.iterdir()) == {tmp_path / name, running}
