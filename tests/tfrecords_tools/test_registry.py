import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasvid.data import DatasetError
from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.registry import DATASETS, UnknownDataset, find_again, names, prepare

made = []


def make_toy(out_dir, source_dir):
    made.append((out_dir, source_dir))
    info = DatasetInfo("toy", "1", 8, 8, 3, -1.0)
    clip = Video(np.zeros((2, 8, 8, 3), np.uint8), "a")
    write_dataset(out_dir, info, {"train": [clip]}, lambda item: item, progress=False)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    made.clear()
    monkeypatch.setitem(sys.modules, "toy_converter", sys.modules[__name__])
    toy = registry.Dataset("toy/small", "a toy", "nothing", "toy:make_toy")
    monkeypatch.setattr(registry, "DATASETS", (*DATASETS, toy))
    monkeypatch.setitem(registry.COMMANDS, "toy", "toy_converter")


def test_a_missing_data_set_is_made_once_and_reused(tmp_path):
    folder = prepare("toy/small", str(tmp_path), source_dir="sheets")
    assert folder == str(tmp_path / "toy-small")
    assert prepare("toy/small", str(tmp_path)) == folder
    assert made == [(folder, "sheets")]


@pytest.mark.parametrize("files", [1, 2])
def test_an_error_with_converter_flags_names_the_command(tmp_path, monkeypatch, files):
    def refuse(out_dir, source_dir):
        info = DatasetInfo("toy", "1", 8, 8, 3, -1.0)

        def load(item):
            raise UnreadableMedia(f"{item}.png: broken; or try --nocrop")

        splits = {"train": [f"file-{number}" for number in range(files)]}
        write_dataset(out_dir, info, splits, load, progress=False)

    monkeypatch.setattr(sys.modules[__name__], "make_toy", refuse)
    with pytest.raises(ConversionError, match="--skip_unreadable") as error:
        prepare("toy/small", str(tmp_path), source_dir="raw files")
    lines = str(error.value).splitlines()
    assert len(lines) == (1 if files == 1 else files + 2)
    command = f"kerasvid data toy --out_dir={tmp_path}/toy-small --variant=small"
    assert lines[-1].endswith(f"(These are flags of: {command} '--source_dir=raw files')")


def test_an_error_without_converter_flags_is_not_changed(tmp_path):
    with pytest.raises(ConversionError, match="mug needs --source_dir") as error:
        prepare("mug", str(tmp_path))
    assert "flags of" not in str(error.value)


def test_an_empty_folder_counts_as_missing(tmp_path):
    (tmp_path / "toy-small").mkdir()
    prepare("toy/small", str(tmp_path))
    assert len(made) == 1


def test_a_half_written_data_set_is_not_used(tmp_path):
    folder = prepare("toy/small", str(tmp_path))
    os.remove(os.path.join(folder, "dataset.json"))
    with pytest.raises(DatasetError, match=r"half-written.*restore it"):
        prepare("toy/small", str(tmp_path))


def test_a_truncated_data_set_is_not_used(tmp_path):
    folder = prepare("toy/small", str(tmp_path))
    os.truncate(os.path.join(folder, "train-00000-of-00001.tfrecord"), 10)
    with pytest.raises(DatasetError, match=r"train-00000-of-00001.tfrecord: truncated"):
        prepare("toy/small", str(tmp_path))


def test_a_path_is_the_folder_itself(tmp_path):
    folder = prepare("toy/small", str(tmp_path))
    assert prepare(folder, "elsewhere") == folder
    assert len(made) == 1


def test_a_path_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="empty"):
        prepare(str(tmp_path))
    with pytest.raises(UnknownDataset, match="no such folder"):
        prepare(str(tmp_path / "none"))


def test_a_data_set_is_found_again_where_it_was_moved(tmp_path):
    folder = prepare("toy/small", str(tmp_path / "before"))
    assert find_again("toy/small", folder) == folder
    os.rename(tmp_path / "before", tmp_path / "after")
    moved = str(tmp_path / "after" / "toy-small")
    assert find_again("toy/small", folder, str(tmp_path / "after")) == moved
    assert len(made) == 1
    assert find_again("toy/small", folder) == folder  # drawn anew, as it needs no raw material
    assert len(made) == 2


def test_a_remote_folder_is_found_again_if_it_can_be_read(tmp_path):
    folder = f"file://{prepare('toy/small', str(tmp_path))}"
    assert find_again(folder, folder) == folder
    for gone in (f"{folder}-gone", "abc://bucket/a"):
        with pytest.raises(ConversionError, match="; or give --data_dir") as error:
            find_again(gone, gone)
        assert str(error.value).startswith(gone) and "\n" not in str(error.value)


def test_a_folder_that_was_given_by_its_path_is_found_again(tmp_path):
    folder = prepare("toy/small", str(tmp_path / "before"))
    os.rename(tmp_path / "before", tmp_path / "after")
    after = str(tmp_path / "after")
    assert find_again(folder, folder, after) == os.path.join(after, "toy-small")
    with pytest.raises(
        ConversionError, match=r"does not contain the data set .*toy-small; give its parent"
    ):
        find_again(folder, folder)


def test_a_data_set_that_was_in_the_current_folder_is_missed_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConversionError, match=r"^\.: does not contain the data set ./squares"):
        find_again("squares", "squares")


def test_a_data_set_of_raw_material_that_is_gone_asks_for_its_folder(tmp_path):
    gone = str(tmp_path / "data" / "weizmann")
    with pytest.raises(
        ConversionError, match=r"data: does not contain the data set weizmann; give its parent"
    ):
        find_again("weizmann", gone)


@pytest.mark.parametrize("name, nearest", [("sprite", "sprites"), ("sprites-lpc", "sprites/lpc")])
def test_unknown_names_raise_with_the_nearest(name, nearest):
    with pytest.raises(UnknownDataset, match=f"{name!r}; did you mean {nearest!r}"):
        prepare(name)


def test_the_known_names_are_unique_and_say_what_they_need():
    assert {"sprites", "sprites/lpc"} <= set(names()) and len(set(names())) == len(names())
    assert all(d.needs and d.title and ":" in d.converter for d in DATASETS)


def test_the_size_of_the_download_of_sheets_is_stated():
    [sheets] = [dataset for dataset in DATASETS if dataset.name == "sprites/lpc"]
    assert "--source_dir" in sheets.needs and "download of 0.4 MB" in sheets.needs


def test_every_registered_converter_exists():
    for dataset in DATASETS:
        assert callable(dataset.load_converter())


def test_every_command_has_a_module_with_a_main_function(monkeypatch):
    monkeypatch.undo()  # no toy
    for path in registry.COMMANDS.values():
        assert callable(importlib.import_module(path).main)


def test_the_registry_is_imported_without_tensorflow_and_converters():
    code = "import sys, tfrecords_tools.registry; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "tensorflow" not in loaded and "cv2" not in loaded
    assert not any(name.startswith("tfrecords_tools.converters") for name in loaded)
