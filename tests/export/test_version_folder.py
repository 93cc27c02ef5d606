"""A version's folder is new, numbered, and whole or not there."""

import errno
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from kerasvid.export.version_folder import check_version_folder, new_version_folder
from kerasvid.io import temporary_name


def test_a_folder_appears_once_it_is_complete(tmp_path):
    path = tmp_path / "rjvae" / "1"
    with new_version_folder(path) as building:
        (building / "saved_model.pb").write_text("model")
        assert not path.exists()
        assert not any(entry.name.isdigit() for entry in path.parent.iterdir())
    assert (path / "saved_model.pb").read_text() == "model"
    assert [entry.name for entry in path.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("name", ["rjvae", "0", "01", "-1", "1.5", "v2"])
def test_a_version_is_a_number_from_1_on(tmp_path, name):
    with pytest.raises(ValueError, match=f"Give {tmp_path / name / '1'}"):
        check_version_folder(tmp_path / name)


def test_an_existing_version_stays_and_the_error_names_the_next_number(tmp_path):
    for number in (1, 2, 9):
        (tmp_path / str(number)).mkdir()
    (tmp_path / "notes").mkdir()
    with (
        pytest.raises(ValueError, match=f"never replaced. Use {tmp_path / '10'}"),
        new_version_folder(tmp_path / "2"),
    ):
        pass
    with pytest.raises(ValueError, match=f"Give {tmp_path / '10'}"):
        check_version_folder(tmp_path)


def test_a_version_of_another_process_is_not_replaced(tmp_path):
    with (
        pytest.raises(ValueError, match="a version is never replaced"),
        new_version_folder(tmp_path / "1") as building,
    ):
        (building / "ours").touch()
        (tmp_path / "1").mkdir()
    assert list(tmp_path.rglob("*")) == [tmp_path / "1"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (tf.errors.ResourceExhaustedError(None, None, "x; No space left"), "the disk is full"),
        (tf.errors.PermissionDeniedError(None, None, "x; denied"), "Permission denied"),
    ],
)
def test_a_disk_error_leaves_no_files(tmp_path, fault, why):
    with (
        pytest.raises(OSError, match=f"1: cannot be written .{why}") as error,
        new_version_folder(tmp_path / "1") as building,
    ):
        (building / "saved_model.pb").write_text("half")
        raise fault
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_path_gives_an_error_of_one_line(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match="file/1: cannot be written"),
        new_version_folder(tmp_path / "file" / "1"),
    ):
        pass


def test_remote_folders_are_refused():
    with pytest.raises(ValueError, match="Write to a local folder"):
        check_version_folder("gs://bucket/rjvae/1")


def test_only_folders_of_killed_processes_are_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ours = temporary_name("1").removesuffix(str(os.getpid()))
    left, in_use = tmp_path / f"{ours}{ended.pid}", tmp_path / f"{ours}{os.getppid()}"
    for folder in (left, in_use):
        folder.mkdir()
    with new_version_folder(tmp_path / "1"):
        pass
    assert not left.exists() and in_use.exists()
