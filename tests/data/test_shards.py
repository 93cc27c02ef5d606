import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from kerasvid.data import shards
from kerasvid.data.records import finish_example, video_to_example
from kerasvid.data.shards import (
    DatasetError,
    ShardWriter,
    check_shards,
    load_info,
    record_values,
    write_split,
)
from kerasvid.io import temporary_name


def refused(folder, *words):
    """Asserts a one-line refusal with these words, at loading or at checking."""
    with pytest.raises(DatasetError) as caught:
        check_shards(folder, load_info(folder), deep=True)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_shard_is_what_tensorflow_reads_and_its_hash_is_right(tmp_path):
    path = tmp_path / "a.tfrecord"
    with ShardWriter(path) as writer:
        for record in (b"one", b"", b"three" * 1000):
            writer.write(record)
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())[2] == b"three" * 1000
    content = path.read_bytes()
    assert writer.info.sha256 == hashlib.sha256(content).hexdigest()
    assert (writer.info.bytes, writer.info.count) == (len(content), 3)


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), ShardWriter(path) as writer:
        writer.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.tfrecord"]


def test_a_split_is_cut_into_shards_in_order(tmp_path):
    split = write_split(str(tmp_path), "test", ((b"%d" % k, k + 1) for k in range(7)), 3)
    assert [s.count for s in split.shards] == [3, 3, 1]
    assert sorted(os.listdir(tmp_path)) == [f"test-0000{k}-of-00003.tfrecord" for k in range(3)]
    paths = [str(tmp_path / s.file) for s in split.shards]
    records = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
    assert records == [b"%d" % k for k in range(7)]
    assert (split.count, split.min_length, split.max_length) == (7, 1, 7)


def test_a_good_data_set_passes(dataset):
    info = load_info(dataset)
    check_shards(dataset, info, deep=True)
    assert info.splits["train"].count == 23 and len(info.splits["train"].shards) == 4


def test_a_missing_folder_and_an_empty_folder_are_distinguished(tmp_path):
    refused(str(tmp_path / "none"), "no such folder", "none")
    (tmp_path / "bare").mkdir()
    refused(str(tmp_path / "bare"), "empty", "bare", "prepare the data set again")


def test_a_folder_of_other_files_is_no_data_set(tmp_path):
    (tmp_path / "movie.mp4").write_bytes(b"x")
    refused(str(tmp_path), "not a data set", "kerasvid data folder")


def test_files_of_another_program_are_not_to_be_deleted(tmp_path):
    (tmp_path / "train-00000-of-00001.tfrecord").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"dataset\.json is missing") as error:
        load_info(tmp_path)
    assert "delete" not in str(error.value)
    (tmp_path / "dataset.json").write_text('{"format": "of another program"}')
    with pytest.raises(DatasetError, match="not a kerasvid-records description") as error:
        load_info(tmp_path)
    assert "delete" not in str(error.value)


@pytest.mark.parametrize("left", ["shards", "temporary shard", "temporary description"])
def test_a_half_written_data_set_is_refused(dataset, left):
    os.remove(os.path.join(dataset, "dataset.json"))
    for name in os.listdir(dataset):
        if left != "shards":
            os.remove(os.path.join(dataset, name))
    name = {
        "temporary shard": "partial-1-x.tfrecord",
        "temporary description": "partial-1-dataset.json",
    }
    if left in name:
        open(os.path.join(dataset, name[left]), "w").close()
    refused(dataset, "half-written", dataset, "restore it")


def test_a_truncated_shard_is_refused_by_name(dataset):
    name = "train-00001-of-00004.tfrecord"
    path = os.path.join(dataset, name)
    os.truncate(path, os.path.getsize(path) - 5)
    refused(dataset, name, "truncated", "delete the folder")


def test_a_missing_shard_is_refused_by_name(dataset):
    os.remove(os.path.join(dataset, "test-00000-of-00002.tfrecord"))
    refused(dataset, "test-00000-of-00002.tfrecord", "missing", "delete the folder")


def flip_byte(path):
    with open(path, "r+b") as file:
        file.seek(200)
        byte = file.read(1)[0]
        file.seek(200)
        file.write(bytes([byte ^ 1]))


def test_a_flipped_byte_is_refused_by_name(dataset):
    name = "train-00002-of-00004.tfrecord"
    flip_byte(os.path.join(dataset, name))
    refused(dataset, name, "SHA-256", "delete the folder")


def test_a_byte_flipped_right_after_a_first_check_is_found(dataset, monkeypatch):
    identity, seen = shards._identity, {}
    # The clock of a file system has steps of some milliseconds: nothing seems to have changed.
    monkeypatch.setattr(shards, "_identity", lambda p: seen.setdefault(p, identity(p)))
    check_shards(dataset, load_info(dataset), deep=True)
    flip_byte(os.path.join(dataset, "train-00002-of-00004.tfrecord"))
    refused(dataset, "train-00002-of-00004.tfrecord", "SHA-256")


def test_a_shard_replaced_by_another_of_the_same_size_and_time_is_found(dataset, monkeypatch):
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10 * 10**9)  # as if the files were old
    check_shards(dataset, load_info(dataset), deep=True)
    path = os.path.join(dataset, "train-00002-of-00004.tfrecord")
    before = os.stat(path)
    shutil.copy2(path, f"{path}-copy")
    flip_byte(f"{path}-copy")
    os.utime(f"{path}-copy", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(f"{path}-copy", path)
    refused(dataset, "train-00002-of-00004.tfrecord", "SHA-256")


def test_unchanged_files_are_hashed_once(dataset, monkeypatch):
    hashed = []
    original = shards.hash_file
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10 * 10**9)
    monkeypatch.setattr(shards, "hash_file", lambda path: hashed.append(path) or original(path))
    for _ in range(3):
        check_shards(dataset, load_info(dataset), deep=True)
    assert len(hashed) == 6


def test_a_broken_description_names_the_file(dataset):
    path = os.path.join(dataset, "dataset.json")
    with open(path, "r+") as file:
        text = file.read()
        file.seek(0)
        file.write(re.sub(r'"format_version": \d+', '"format_version": 99', text))
    refused(dataset, path, "version 99", "delete the folder")


@pytest.mark.parametrize("name", ["dataset.json", "train-00000-of-00004.tfrecord"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused_without_waiting(dataset, name, make):
    path = os.path.join(dataset, name)
    os.remove(path)
    make(path)
    refused(dataset, path, "not a file", "move it away")


def test_a_shard_that_cannot_be_read_is_refused_by_name(dataset, monkeypatch):
    def refuse(path):
        raise tf.errors.PermissionDeniedError(None, None, f"{path};\nPermission denied")

    monkeypatch.setattr(shards, "hash_file", refuse)
    refused(dataset, "train-00000-of-00004.tfrecord: cannot be read", "check the path and its")


def test_the_values_of_a_data_set_are_read_again_when_it_changes(
    make_dataset, numbered_video, tmp_path
):
    for label in (0, 1):
        videos = [dataclasses.replace(numbered_video(k), label=label) for k in range(23)]
        records = [finish_example(video_to_example(v), k) for k, v in enumerate(videos)]
        folder = make_dataset("changing", records)
        assert record_values(folder, "train", "label") == {label}
        shutil.rmtree(folder)


def test_a_folder_whose_name_is_not_utf_8_is_refused_in_one_line(dataset):
    renamed = os.path.join(os.path.dirname(dataset), os.fsdecode(b"numbers\xe9"))
    os.rename(dataset, renamed)
    refused(renamed, r"numbers\xe9: its name is not UTF-8, rename it.")


def test_files_whose_names_are_not_utf_8_make_no_data_set(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    refused(tmp_path, "not a data set")


def test_the_shortest_video_is_looked_for_among_the_first_ones_only(dataset, monkeypatch):
    assert shards.shortest_video(dataset, load_info(dataset), "train", 9) == (
        " The shortest is 'train-0'."
    )
    monkeypatch.setattr(shards, "SEARCHED_VIDEOS", 0)
    assert shards.shortest_video(dataset, load_info(dataset), "train", 9) == ""


def test_a_data_set_whose_replacement_was_killed_is_restored(tmp_path, squares, capsys):
    folder, process = tmp_path / "mine", subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = temporary_name(folder).replace(f"-{os.getpid()}", f"-{process.pid}") + "-replaced"
    shutil.copytree(squares, left)
    assert load_info(folder) == load_info(squares)
    assert f"{folder}: restored from" in capsys.readouterr().err
