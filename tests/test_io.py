"""Files on a full disk: the fault names the file, and what stood there stays."""

import errno
import resource
import signal

import numpy as np
import pytest

from kerasvid.io import atomic_write, readable_os_errors
from kerasvid.visualization import grids


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
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, context):
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
    [(grids.write_png, "png"), (grids.write_gif, "gif"), (grids.write_mp4, "mp4")],
)
def test_a_picture_that_was_cut_off_is_told(tmp_path, small_files_only, write, ending):
    frames = np.random.default_rng(0).integers(0, 255, [8, 128, 128, 3], np.uint8)
    path = tmp_path / f"step.{ending}"
    why = "(is the disk full|File too large)"
    with pytest.raises(OSError, match=f"step.{ending}: cannot be written .{why}"):
        write(path, frames[0] if ending == "png" else frames)
    assert not list(tmp_path.iterdir())
