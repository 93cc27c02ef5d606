import dataclasses
import errno
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import check_shards, load_info, parse_record
from kerasvid.data.records import DatasetInfo, Video
from kerasvid.io import temporary_name
from tfrecords_tools import conversion
from tfrecords_tools.conversion import (
    ConversionError,
    UnreadableMedia,
    decoder_threads,
    write_dataset,
)
from tfrecords_tools.media import stack_frames
from tfrecords_tools.source_files import Clip

ROOT = pathlib.Path(__file__).parents[2]
INFO = DatasetInfo("numbers", "1", 8, 8, 3, fps=-1.0)


def video(number):
    return Video(np.full((2 + number % 3, 8, 8, 3), number, np.uint8), f"clip-{number}")


def write(folder, splits=None, load=video, **options):
    return write_dataset(
        folder, INFO, splits or {"train": range(10)}, load, progress=False, **options
    )


def records(folder, split="train"):
    shards = load_info(folder).splits[split].shards
    files = [os.path.join(folder, shard.file) for shard in shards]
    return [parse_record(record) for record in tf.data.TFRecordDataset(files)]


def refused(folder, message, error=ConversionError, **options):
    with pytest.raises(error, match=message) as caught:
        write(folder, **options)
    return str(caught.value)


def test_videos_come_out_in_order_whatever_finishes_first(tmp_path):
    def load(number):
        time.sleep(0.02 * (number % 4 == 0))
        return video(number)

    info = write(tmp_path / "a", {"train": range(10), "test": [20, 21]}, load, workers=4)
    found = records(tmp_path / "a")
    assert [int(r["index"]) for r in found] == list(range(10))
    assert [r["id"].numpy().decode() for r in found] == [f"clip-{k}" for k in range(10)]
    assert [int(r["index"]) for r in records(tmp_path / "a", "test")] == [0, 1]
    assert info == load_info(tmp_path / "a")
    assert (info.splits["train"].min_length, info.splits["train"].max_length) == (2, 4)


def test_the_bytes_do_not_depend_on_the_workers(tmp_path):
    one = write(tmp_path / "one", workers=1, videos_per_shard=4)
    four = write(tmp_path / "four", workers=4, videos_per_shard=4)
    assert one.splits == four.splits and len(one.splits["train"].shards) == 3
    check_shards(tmp_path / "four", four, deep=True)


@pytest.mark.parametrize("items, threads", [(1, 8), (2, 4), (3, 2), (20, 2)])
def test_the_decoders_of_all_workers_share_the_cores(tmp_path, monkeypatch, items, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert decoder_threads() == 0  # outside of a conversion, as the decoder likes
    found = set()

    def load(number):
        found.add(decoder_threads())
        return video(number)

    write(tmp_path / "a", {"train": range(items)}, load, workers=4)
    assert found == {threads}


def test_only_a_few_videos_are_held_at_a_time(tmp_path):
    lock, loaded, most = threading.Lock(), [0], [0]
    written = []

    def load(number):
        with lock:
            loaded[0] += 1
            most[0] = max(most[0], loaded[0] - len(written))
        return video(number)

    original = conversion.finish_example

    def finish(example, index):
        time.sleep(0.002)  # a slow disk
        written.append(index)
        return original(example, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "finish_example", finish)
        write(tmp_path / "a", {"train": range(120)}, load, workers=2)
    assert len(written) == 120 and most[0] <= 10


def test_loading_runs_on_several_threads(tmp_path):
    barrier = threading.Barrier(3, timeout=10)  # passes only if three wait at once

    def load(number):
        barrier.wait()
        return video(number)

    write(tmp_path / "a", {"train": range(9)}, load, workers=3)


def test_a_failure_leaves_nothing_behind(tmp_path):
    def load(number):
        if number == 7:
            raise RuntimeError("broken")
        return video(number)

    with pytest.raises(RuntimeError, match="broken"):
        write(tmp_path / "a", load=load, videos_per_shard=2)
    assert os.listdir(tmp_path) == []


def test_a_killed_conversion_leaves_no_data_set_and_the_next_one_cleans_up(tmp_path):
    code = f"""
import os, signal, numpy as np
from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import write_dataset
def load(number):
    if number == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return Video(np.zeros((2, 8, 8, 3), np.uint8), str(number))
info = DatasetInfo("a", "1", 8, 8, 3, -1.0)
write_dataset({str(tmp_path / "a")!r}, info, {{"train": range(99)}}, load, videos_per_shard=2)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    left = os.listdir(tmp_path)
    assert len(left) == 1 and left[0].startswith("a.tmp-")
    write(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]


def test_the_folder_of_a_running_conversion_is_left_alone(tmp_path):
    running = temporary_name(tmp_path / "a").replace(str(os.getpid()), str(os.getppid()))
    os.mkdir(running)
    write(tmp_path / "a")
    assert os.path.isdir(running)


def test_the_folder_of_another_host_is_left_alone(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ours = temporary_name(tmp_path / "a").replace(str(os.getpid()), str(ended.pid))
    monkeypatch.setattr(socket, "gethostname", lambda: "other host/1")
    theirs = temporary_name(tmp_path / "a").replace(str(os.getpid()), str(ended.pid))
    monkeypatch.undo()
    os.mkdir(ours)
    os.mkdir(theirs)
    write(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == ["a", os.path.basename(theirs)]


def test_a_data_set_that_another_process_made_meanwhile_is_kept(tmp_path):
    def load(number):
        if number == 9 and not (tmp_path / "a").exists():
            write(tmp_path / "b", {"train": range(3)})
            os.rename(tmp_path / "b", tmp_path / "a")
        return video(number)

    refused(tmp_path / "a", "contains a data set already", load=load, workers=1)
    assert len(records(tmp_path / "a")) == 3 and os.listdir(tmp_path) == ["a"]


def test_an_unreadable_source_is_not_reported_as_an_unwritable_target(tmp_path):
    def load(number):
        if number == 3:
            raise PermissionError(errno.EACCES, "Permission denied", "source/3.npz")
        return video(number)

    message = refused(tmp_path / "a", "source/3.npz: cannot be read", load=load)
    assert "Permission denied" in message and "\n" not in message
    assert str(tmp_path) not in message and os.listdir(tmp_path) == []


def test_a_data_set_is_replaced_only_on_request(tmp_path):
    write(tmp_path / "a")
    refused(tmp_path / "a", "contains a data set already.*--overwrite")
    write(tmp_path / "a", {"train": range(3)}, overwrite=True)
    assert len(records(tmp_path / "a")) == 3 and os.listdir(tmp_path) == ["a"]


def test_a_failed_replacement_keeps_the_old_data_set(tmp_path):
    write(tmp_path / "a")
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "a", load=lambda number: 1 / 0, overwrite=True)
    assert len(records(tmp_path / "a")) == 10 and os.listdir(tmp_path) == ["a"]


def test_a_folder_of_other_files_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    refused(tmp_path, "is not a data set", overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def no_space_for_tensorflow(*_):
    message = "train-00000.part; No space left on device"
    raise tf.errors.ResourceExhaustedError(None, None, message)


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (conversion, "write_info", no_space),
        (tf.io.TFRecordWriter, "write", no_space_for_tensorflow),
        (tf.io.TFRecordWriter, "close", no_space_for_tensorflow),
        (os, "fsync", no_space),
    ],
)
def test_a_full_disk_is_reported_in_one_line(tmp_path, monkeypatch, owner, name, fault):
    monkeypatch.setattr(owner, name, fault)
    message = refused(tmp_path / "a", "the disk is full")
    assert "\n" not in message and os.listdir(tmp_path) == []


def test_wrong_sizes_and_repeated_ids_are_refused_by_name(tmp_path):
    info_of = {"workers": 1}
    large = Video(np.zeros((2, 16, 8, 3), np.uint8), "large")
    refused(tmp_path / "a", r"'large'.*\[16, 8, 3\].*\[8, 8, 3\]", load=lambda _: large, **info_of)
    refused(tmp_path / "a", "Two videos have the id 'clip-1'", load=lambda _: video(1))
    refused(tmp_path / "a", "id 'clip-0'", splits={"train": [0], "test": [0]})
    refused(tmp_path / "a", "'test' is empty", splits={"train": [0], "test": []})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label": 2}, "label is 2, but the data set has 2"),
        ({"label": -2}, "label is -2"),
        ({"identity": -2}, "identity is -2, but the data set has numbers from 0"),
        ({"attributes": (3,)}, "hat is 3, but the data set has 3"),
    ],
)
def test_numbers_that_the_description_does_not_have_are_refused_by_name(tmp_path, fields, said):
    names = {"class_names": ("a", "b"), "attribute_names": ("hat",), "attribute_sizes": (3,)}
    info = DatasetInfo("numbers", "1", 8, 8, 3, fps=-1.0, **names)
    load = lambda k: dataclasses.replace(video(k), **{"attributes": (0,), **fields})  # noqa: E731
    with pytest.raises(ConversionError, match=f"'clip-0': {said}"):
        write_dataset(tmp_path / "a", info, {"train": [0]}, load, progress=False)
    assert os.listdir(tmp_path) == []


def test_a_split_whose_name_files_cannot_begin_with_is_refused_first(tmp_path):
    refused(tmp_path / "a", "a: split '../b': use 1 to 100 letters", splits={"../b": [0]})


def load_or_refuse(number):
    if number in (2, 5):
        raise UnreadableMedia(f"file-{number}: broken")
    return video(number)


def test_every_unreadable_file_is_named(tmp_path):
    message = refused(tmp_path / "a", "--skip_unreadable", load=load_or_refuse)
    assert "file-2: broken" in message and "file-5: broken" in message
    assert os.listdir(tmp_path) == []


def test_unreadable_files_can_be_left_out(tmp_path, capsys):
    write(tmp_path / "a", load=load_or_refuse, skip_unreadable=True)
    found = records(tmp_path / "a")
    assert [int(r["index"]) for r in found] == list(range(8))
    assert found[2]["id"] == b"clip-3"
    assert "skipped file-2: broken" in capsys.readouterr().err


def test_a_split_without_a_readable_video_is_left_out_by_name(tmp_path, capsys):
    splits = {"train": [0, 1], "test": [2, 5]}
    info = write(tmp_path / "a", splits, load=load_or_refuse, skip_unreadable=True)
    assert set(info.splits) == {"train"} and load_info(tmp_path / "a") == info
    assert "left out the split 'test'" in capsys.readouterr().err
    splits = {"train": [2, 5], "test": [0]}
    message = refused(
        tmp_path / "b", "'train' has no readable video", splits=splits,
        load=load_or_refuse, skip_unreadable=True,
    )  # fmt: skip
    assert "file-2: broken" in message and not (tmp_path / "b").exists()


def write_named(folder, unreadable, **options):
    """Three classes and identities of two videos each, and a video without either."""
    names = {"class_names": ("hop", "run", "sit"), "identity_names": ("ann", "bob", "cy")}
    names |= options.pop("names", {})

    def item(number):
        return Clip(
            str(number), ("hop", "run", "sit", "")[number // 2], (),
            ("ann", "bob", "cy", "")[number // 2],
        )  # fmt: skip

    def load(clip):
        number = int(clip.id)
        if number in unreadable:
            raise UnreadableMedia(f"file-{number}: broken")
        label = number // 2 if number < 6 else -1
        return Video(video(number).frames, f"clip-{number}", label=label, identity=label)

    return write_dataset(
        folder, dataclasses.replace(INFO, **names),
        {"train": [*map(item, [0, 2, 4, 6])], "test": [*map(item, [1, 3, 5])]},
        load, progress=False, **options,
    )  # fmt: skip


def test_a_class_that_keeps_no_video_leaves_the_names_and_the_numbers(tmp_path, capsys):
    info = write_named(tmp_path / "a", unreadable=(2, 3), skip_unreadable=True)
    assert info.class_names == ("hop", "sit") and info.identity_names == ("ann", "cy")
    for split, expected in (("train", [0, 1, -1]), ("test", [0, 1])):
        found = records(tmp_path / "a", split)
        assert [int(record["label"]) for record in found] == expected
        assert [int(record["identity"]) for record in found] == expected
        assert [int(record["index"]) for record in found] == [*range(len(expected))]
    assert info == load_info(tmp_path / "a")
    check_shards(tmp_path / "a", info, deep=True)
    reported = capsys.readouterr().err
    assert "left out the class 'run'" in reported and "left out the identity 'bob'" in reported


def test_a_class_that_keeps_a_video_keeps_its_number(tmp_path, capsys):
    info = write_named(tmp_path / "a", unreadable=(2,), skip_unreadable=True)
    assert info.class_names == ("hop", "run", "sit")
    assert [int(record["label"]) for record in records(tmp_path / "a", "test")] == [0, 1, 2]
    assert "left out" not in capsys.readouterr().err


def test_a_class_that_never_had_a_video_keeps_its_name_and_number(tmp_path, capsys):
    names = {
        "class_names": ("hop", "run", "sit", "fly"),
        "identity_names": ("ann", "bob", "cy", "dan"),
    }
    whole = write_named(tmp_path / "a", (), names=names)
    info = write_named(tmp_path / "b", (2,), names=names, skip_unreadable=True)
    assert info.class_names == whole.class_names and info.identity_names[3] == "dan"
    assert "left out" not in capsys.readouterr().err


def parts_of(number, count=3, fault=None):
    """Yields several videos of an item; `fault` is raised after them."""
    for part in range(count):
        yield Video(video(number).frames, f"clip-{number}-{part}")
    if fault:
        raise fault


def test_an_item_may_become_several_videos_in_order(tmp_path):
    info = write(tmp_path / "a", {"train": range(3), "test": [3]}, parts_of, workers=2)
    names = [record["id"].numpy().decode() for record in records(tmp_path / "a")]
    assert names == [f"clip-{number}-{part}" for number in range(3) for part in range(3)]
    assert [int(record["index"]) for record in records(tmp_path / "a")] == [*range(9)]
    assert info.splits["test"].count == 3


def test_an_item_that_ends_in_a_fault_leaves_no_video(tmp_path):
    def load(number):
        return parts_of(number, fault=UnreadableMedia("file-1: cut short") if number == 1 else None)

    write(tmp_path / "a", {"train": range(3)}, load, skip_unreadable=True)
    names = {record["id"].numpy().decode()[:6] for record in records(tmp_path / "a")}
    assert names == {"clip-0", "clip-2"}


def test_the_videos_of_an_item_are_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "_BYTES_IN_MEMORY", 1000)
    alive, most = [], [0]

    class Frames(np.ndarray):
        pass

    def load(number):
        for part in range(200):
            frames = video(number).frames.view(Frames)
            alive.append(weakref.ref(frames))
            most[0] = max(most[0], sum(ref() is not None for ref in alive))
            yield Video(frames, f"clip-{number}-{part}")
            del frames

    info = write(tmp_path / "a", {"train": [0]}, load)
    assert info.splits["train"].count == 200 and most[0] <= 4
    assert len(os.listdir(tmp_path / "a")) == 2


def test_a_video_that_no_record_can_hold_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasvid.data.records.MAX_RECORD_BYTES", 100)
    message = refused(tmp_path / "a", "'clip-0': 2 frames are too many .* clips", ValueError)
    assert "\n" not in message


@pytest.mark.parametrize("count, is_large", [(2, False), (20, True)])
def test_one_video_at_a_time_takes_more_than_a_workers_share(
    tmp_path, monkeypatch, count, is_large
):
    monkeypatch.setattr(conversion, "MAX_RECORD_BYTES", 21 * 8 * 8 * 3)
    lock, loaded, most = threading.Lock(), [0], [0]

    def load(number):
        frames = stack_frames([np.zeros((8, 8, 3), np.uint8)] * count, str(number))
        with lock:
            loaded[0] += 1
            most[0] = max(most[0], loaded[0])
        time.sleep(0.05)
        with lock:
            loaded[0] -= 1
        if number == 1:
            raise UnreadableMedia("file-1: broken")  # gives its memory back too
        return Video(frames, str(number))

    write(tmp_path / "a", {"train": range(9)}, load, workers=3, skip_unreadable=True)
    assert (most[0] == 1) == is_large


@pytest.mark.parametrize(
    "rates, common", [((12, 12), 12.0), ((12, 25), -1.0), ((29.9, 30.1), 30.0), ((12, -1), -1.0)]
)
def test_a_common_frame_rate_is_stated(tmp_path, rates, common):
    def load(number):
        return Video(video(number).frames, str(number), fps=rates[number])

    assert write(tmp_path / "a", {"train": range(2)}, load).fps == common


def test_the_progress_bar_ends_with_one_line(tmp_path, capsys):
    write_dataset(tmp_path / "a", INFO, {"train": range(10)}, video)
    shown = capsys.readouterr().err
    assert "10/10 " in shown and shown.count("\n") == 1


def test_a_progress_bar_is_quiet_on_request_and_keeps_other_lines(capsys):
    with conversion.progress_bar(3, shown=False) as bar:
        bar.update()
    assert capsys.readouterr() == ("", "")
    with conversion.progress_bar(3, unit="records") as bar:
        bar.update(3)
    print("done", file=sys.stderr)
    shown = capsys.readouterr().err
    assert re.search("3/3 .*records/s", shown) and shown.endswith("\ndone\n")


def test_a_folder_whose_name_is_not_unicode_is_refused(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(ConversionError, match=r"caf\\xe9: its name is not UTF-8, rename it"):
        write(odd)
