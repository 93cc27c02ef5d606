import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import shards
from kerasvid.data.records import DatasetInfo, Video, finish_example, video_to_example
from kerasvid.data.shards import load_info, write_info, write_split
from tfrecords_tools.verify import main, verify

INFO = DatasetInfo(
    "numbers", "1", 8, 8, 3, fps=-1.0, class_names=("a", "b"),
    attribute_names=("size",), attribute_sizes=(3,),
)  # fmt: skip


def encode_video(video, index, *encoding):
    return finish_example(video_to_example(video, *encoding), index)


def video(value, **fields):
    fields = {"label": value % 2, "attributes": (value % 3,), **fields}
    return Video(np.full((2 + value % 2, 8, 8, 3), value, np.uint8), f"clip-{value}", **fields)


@pytest.fixture
def make(tmp_path):
    """Writes a data set with right checksums from records of training and test."""

    def make(train=None, test=None, info=INFO):
        folder = str(tmp_path / "numbers")
        os.mkdir(folder)
        train = train or [encode_video(video(k), k) for k in range(6)]
        test = test or [encode_video(video(20 + k), k) for k in range(3)]
        splits = {
            name: write_split(folder, name, [(r, 2 + k % 2) for k, r in enumerate(split)], 4)
            for name, split in (("train", train), ("test", test))
        }
        write_info(folder, dataclasses.replace(info, splits=splits))
        return folder

    return make


def has_fault(folder, *words):
    faults = verify(folder).faults
    assert all("\n" not in fault for fault in faults)
    assert any(all(word in fault for word in words) for fault in faults), faults


def test_a_shard_that_may_not_be_read_is_named(make, monkeypatch):
    def refuse(path):
        raise tf.errors.PermissionDeniedError(None, None, f"{path}; Permission denied")

    folder = make()
    monkeypatch.setattr(shards, "hash_file", refuse)
    has_fault(folder, "train-00000", "cannot be read", "check the path and its permissions")


def altered(value, change):
    example = tf.train.Example.FromString(encode_video(video(value), value))
    change(example.features.feature)
    return example.SerializeToString()


def test_a_good_data_set_has_a_line_a_split(make):
    report = verify(make())
    assert report.faults == []
    # The mean of 0, 1, 2, 3, 4, 5 with 2, 3, 2, 3, 2, 3 frames is 39 / 15.
    assert report.summaries[0] == "train: 6 videos of 2 to 3 frames, pixel mean 2.60"
    assert report.summaries[1].startswith("test: 3 videos")


def test_a_data_set_on_another_file_system_is_checked_too(make):
    assert verify(f"file://{make()}").faults == []
    (fault,) = verify("abc://bucket/a").faults
    assert fault.startswith("abc://bucket/a: ") and "cannot read abc:// paths" in fault


@pytest.mark.parametrize("encoding", ["jpeg", "raw"])
def test_other_encodings_verify(make, encoding):
    train = [encode_video(video(k), k, encoding) for k in range(2)]
    test = [encode_video(video(100 + k), k, encoding) for k in range(2)]
    assert verify(make(train, test, dataclasses.replace(INFO, encoding=encoding))).faults == []


def test_a_flipped_byte_is_found(make):
    folder = make()
    with open(os.path.join(folder, "train-00001-of-00002.tfrecord"), "r+b") as file:
        file.seek(100)
        file.write(b"\x00\x01\x02")
    has_fault(folder, "train-00001-of-00002.tfrecord", "SHA-256", "delete the folder")


def test_a_truncated_shard_is_found(make):
    folder = make()
    path = os.path.join(folder, "train-00000-of-00002.tfrecord")
    os.truncate(path, os.path.getsize(path) - 3)
    has_fault(folder, path, "truncated")
    has_fault(folder, path, "3 readable records instead of 4")


def test_missing_shards_and_descriptions_are_found(make, tmp_path):
    folder = make()
    os.remove(os.path.join(folder, "test-00000-of-00001.tfrecord"))
    has_fault(folder, "test-00000-of-00001.tfrecord", "missing")
    os.remove(os.path.join(folder, "dataset.json"))
    has_fault(folder, "half-written")
    has_fault(str(tmp_path / "none"), "no such folder")


def test_a_missing_field_is_found(make):
    train = [encode_video(video(0), 0), altered(1, lambda feature: feature.pop("length"))]
    has_fault(make(train), "train-00000-of-00001", "record 1", "length is missing")


def test_a_record_that_does_not_parse_is_found(make):
    has_fault(make([b"\xff\xff no example"]), "record 0 cannot be read", "not a tf.train.Example")


def test_a_frame_of_another_size_or_that_does_not_decode_is_found(make):
    def replace(image):
        def change(feature):
            feature["frames"].bytes_list.value[1] = image

        return change

    large = tf.io.encode_png(tf.zeros([9, 8, 3], tf.uint8)).numpy()
    train = [altered(0, replace(large)), altered(1, replace(b"no image"))]
    folder = make(train)
    has_fault(folder, "record 0", "frame 1 of 'clip-0' decodes to 9x8x3 instead of 8x8x3")
    has_fault(folder, "record 1", "frame 1 of 'clip-1' decodes to nothing")


def test_gaps_in_the_index_are_found(make):
    train = [encode_video(video(k), index) for k, index in enumerate((0, 2))]
    has_fault(make(train), "record 1: index is not the place in the split")


def test_a_repeated_id_is_found(make):
    twin = dataclasses.replace(video(20), id="clip-0")
    has_fault(make(test=[encode_video(twin, 0)]), "id 'clip-0' is in 'train' already")


def test_the_same_pixels_in_two_splits_are_found(make):
    twin = dataclasses.replace(video(2), id="another name")
    folder = make(test=[encode_video(twin, 0)])
    has_fault(folder, "'clip-2' of 'train'", "'another name' of 'test'", "same pixels")


def test_numbers_without_a_name_are_found(make):
    train = [encode_video(video(0, label=2), 0), encode_video(video(1, attributes=(3,)), 1)]
    folder = make(train)
    has_fault(folder, "record 0: label is not from -1 to 1 as in dataset.json")
    has_fault(folder, "record 1: an attribute is not from -1 to its size less 1 in dataset.json")


def test_wrong_totals_are_found(make):
    folder = make()
    info = load_info(folder)
    shard = dataclasses.replace(info.splits["train"].shards[1], count=3)
    shards = info.splits["train"].shards[0], shard
    split = dataclasses.replace(info.splits["train"], count=7, max_length=9, shards=shards)
    write_info(folder, dataclasses.replace(info, splits={**info.splits, "train": split}))
    has_fault(folder, "dataset.json", "states 7 videos in 'train', but there are 6")
    has_fault(folder, "lengths from 2 to 9", "from 2 to 3")


def edit(folder, old, new):
    path = os.path.join(folder, "dataset.json")
    with open(path) as file:
        text = file.read()
    assert old in text
    with open(path, "w") as file:
        file.write(text.replace(old, new))


def test_an_edit_by_hand_is_accepted_on_request_if_nothing_else_is_wrong(make, capsys):
    folder = make()
    edit(folder, '"licence": ""', '"licence": "CC0"')
    has_fault(folder, "dataset.json: altered, its digest differs", "--accept_edits")
    main(["--accept_edits", folder])
    assert capsys.readouterr().out.splitlines()[-1] == "OK"
    assert load_info(folder).licence == "CC0" and verify(folder).faults == []
    edit(folder, '"max_length": 3', '"max_length": 4')
    with pytest.raises(SystemExit, match="states lengths from 2 to 4 in 'train'"):
        main([folder, "--accept_edits"])
    has_fault(folder, "dataset.json: altered")


@pytest.mark.parametrize("name", ["dataset.json", "train-00000-of-00002.tfrecord"])
def test_a_pipe_in_place_of_a_file_is_a_fault(make, name):
    folder = make()
    os.remove(os.path.join(folder, name))
    os.mkfifo(os.path.join(folder, name))
    has_fault(folder, name, "not a file")


def test_an_id_that_is_no_text_is_no_other_fault(make):
    def change(feature):
        feature["id"].bytes_list.value[:] = [b"\xff"]

    train = [altered(0, change), encode_video(video(1), 1)]
    assert verify(make(train)).faults == []


def test_files_that_the_description_does_not_know_are_found(make):
    folder = make()
    open(os.path.join(folder, "train-00000-of-00009.tfrecord.tmp-12"), "w").close()
    has_fault(folder, "train-00000-of-00009.tfrecord.tmp-12", "remove it")


def test_many_faults_are_cut_short(make):
    folder = make([altered(k, lambda feature: feature.clear()) for k in range(4)])
    faults = [fault for fault in verify(folder).faults if "train-00000" in fault]
    assert len(faults) == 6 and "more faults" in faults[-1]


def test_the_command_line_says_ok_or_ends_with_status_1(make, capsys):
    folder = make()
    main([folder])
    assert capsys.readouterr().out.splitlines()[-1] == "OK"
    os.remove(os.path.join(folder, "test-00000-of-00001.tfrecord"))
    with pytest.raises(SystemExit) as caught:
        main([folder])
    assert "test-00000-of-00001.tfrecord" in caught.value.code  # a text: printed, status 1
    assert "OK" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="error: give one folder"):
        main([])


def test_a_file_whose_name_is_not_utf_8_is_passed_over_or_named(make):
    folder = make()
    for name in (b"caf\xe9.txt", b"caf\xe9.tfrecord"):
        open(os.path.join(os.fsencode(folder), name), "w").close()
    (fault,) = verify(folder).faults
    assert fault == rf"{folder}/caf\xe9.tfrecord: dataset.json does not list this file; remove it"


def as_version_1(folder):
    """Writes the description of a data set as format version 1 did."""
    path = os.path.join(folder, "dataset.json")
    with open(path) as file:
        fields = json.load(file)
    del fields["digest"]
    with open(path, "w") as file:
        json.dump({**fields, "format_version": 1}, file)


def test_a_data_set_of_format_version_1_can_be_accepted(make):
    folder = make()
    expected = load_info(folder)
    as_version_1(folder)
    (fault,) = verify(folder).faults
    assert fault == (
        f"{folder}/dataset.json: written by an earlier version of kerasvid, in format version 1: "
        f"check and accept it with kerasvid data verify --accept_edits {folder}"
    )
    assert verify(folder, accept_edits=True).faults == []
    assert load_info(folder) == expected


def test_a_damaged_data_set_of_format_version_1_is_not_accepted(make):
    folder = make()
    as_version_1(folder)
    os.truncate(os.path.join(folder, "test-00000-of-00001.tfrecord"), 20)
    assert verify(folder, accept_edits=True).faults
    has_fault(folder, "format version 1")


def test_an_edit_has_one_remedy(make):
    folder = make()
    path = os.path.join(folder, "dataset.json")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace('"height": 8', '"height": 0'))
    (fault,) = verify(folder).faults
    assert fault.endswith(f"an edit of yours with kerasvid data verify --accept_edits {folder}")
    assert "delete" not in fault
    (fault,) = verify(folder, accept_edits=True).faults
    assert "Frames of 0x8x3" in fault and fault.endswith("; correct the edit.")
