"""The folder of a new data set: when it appears, what it replaces, what killed processes leave."""

import os
import pathlib
import subprocess

import pytest
import tensorflow as tf

from kerasvid.data.records import DatasetError
from kerasvid.io import temporary_name
from tfrecords_tools.conversion import ConversionError, new_dataset_folder


def make(out_dir, text="new", **options):
    with new_dataset_folder(out_dir, **options) as building:
        for part in options.get("holds", [""]):
            os.makedirs(os.path.join(building, part), exist_ok=True)
            with open(os.path.join(building, part, "dataset.json"), "w") as file:
                file.write(text)


def text_of(out_dir):
    return (out_dir / "dataset.json").read_text()


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return str(process.pid)


def test_the_folder_appears_when_the_block_ends(tmp_path):
    with new_dataset_folder(tmp_path / "deep" / "a") as building:
        assert os.listdir(building) == [] and not (tmp_path / "deep" / "a").exists()
        (pathlib.Path(building) / "file").write_text("new")
    assert (tmp_path / "deep" / "a" / "file").read_text() == "new"
    assert os.listdir(tmp_path / "deep") == ["a"]


def test_the_old_one_stays_until_the_block_ends(tmp_path):
    make(tmp_path / "a", "old")
    with new_dataset_folder(tmp_path / "a", overwrite=True) as building:
        with open(os.path.join(building, "dataset.json"), "w") as file:
            file.write("new")
        assert text_of(tmp_path / "a") == "old"
    assert text_of(tmp_path / "a") == "new" and os.listdir(tmp_path) == ["a"]


def test_the_old_data_set_is_restored_if_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    make(tmp_path / "a", "old")
    rename = os.rename

    def fail(source, target):
        if source == temporary_name(tmp_path / "a"):
            raise PermissionError("not today")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(ConversionError, match=r"cannot be written \(not today\)"):
        make(tmp_path / "a", overwrite=True)
    assert text_of(tmp_path / "a") == "old" and os.listdir(tmp_path) == ["a"]


def test_an_exception_leaves_all_as_it_was(tmp_path):
    make(tmp_path / "a", "old")
    for name in "ab":
        with (
            pytest.raises(ZeroDivisionError),
            new_dataset_folder(tmp_path / name, overwrite=True) as building,
        ):
            open(os.path.join(building, "dataset.json"), "w").close()
            _ = 1 / 0
    assert text_of(tmp_path / "a") == "old" and os.listdir(tmp_path) == ["a"]


def test_the_replaced_folder_of_a_killed_process_goes_or_is_restored(tmp_path, ended):
    there, gone = (
        temporary_name(tmp_path / name).replace(str(os.getpid()), ended) + "-replaced"
        for name in ("there", "gone")
    )
    make(tmp_path / "there", "old")
    os.mkdir(there)
    make(gone, "all there is")
    with new_dataset_folder(tmp_path / "there", overwrite=True):
        assert not os.path.isdir(there) and os.path.isdir(gone)
    with (
        pytest.raises(ConversionError, match="contains a data set already"),
        new_dataset_folder(tmp_path / "gone"),
    ):
        pass
    assert not os.path.isdir(gone) and os.path.isdir(tmp_path / "gone")


@pytest.mark.parametrize(
    ("out_dir", "reads"),
    [
        ("data/read", "data/read"),
        ("data", "data/read"),
        (".", "data/read"),
        ("link", "data/read"),
        ("data/read", "link"),
    ],
)
def test_the_folder_that_is_read_is_never_replaced(tmp_path, monkeypatch, out_dir, reads):
    monkeypatch.chdir(tmp_path)
    make("data/read", "source")
    os.symlink("data/read", "link")
    with pytest.raises(ConversionError, match="contains the data set that is read"):
        make(out_dir, reads=reads, overwrite=True)
    assert text_of(tmp_path / "data" / "read") == "source"
    make("data/reader", reads="data/read")  # a name that begins alike is another folder
    make("data/read/below", reads="data/read")


def test_several_data_sets_in_a_folder_are_replaced_together(tmp_path):
    both = {"holds": ("one", "two")}
    make(tmp_path / "a", "old", **both)
    with pytest.raises(ConversionError, match="contains one and two already; replace with --ov"):
        make(tmp_path / "a", **both)
    make(tmp_path / "a", overwrite=True, **both)
    assert [text_of(tmp_path / "a" / part) for part in ("one", "two")] == ["new", "new"]
    make(tmp_path / "b", "old", holds=("one",))
    with pytest.raises(ConversionError, match="exists and does not contain one and two"):
        make(tmp_path / "b", overwrite=True, **both)
    with pytest.raises(ConversionError, match="exists and is not a data set"):
        make(tmp_path / "b", overwrite=True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "a/b; No space left"), "the disk is full"),
        (tf.errors.UnavailableError(None, None, "bucket\nis gone"), "written .bucket is gone"),
    ],
)
def test_errors_of_the_disk_get_one_line(tmp_path, error, said):
    with pytest.raises(ConversionError, match=said) as caught, new_dataset_folder(tmp_path / "a"):
        raise error
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: ") and "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_errors_name_the_folder_and_not_its_temporary_name(tmp_path):
    for kind, expected in ((DatasetError, DatasetError), (OSError, ConversionError)):
        with pytest.raises(expected) as error, new_dataset_folder(tmp_path / "a") as building:
            raise kind(f"{building}/train-00000.part: no videos")
        assert f"{tmp_path / 'a'}/train-00000.part: no videos" in str(error.value)


def test_an_error_of_permissions_does_not_blame_the_disk(tmp_path):
    with (
        pytest.raises(
            ConversionError, match=r"a: cannot be written \(Permission denied\)"
        ) as error,
        new_dataset_folder(tmp_path / "a") as building,
    ):
        raise PermissionError(13, "Permission denied", building)
    assert "disk" not in str(error.value) and "permissions" in str(error.value)
