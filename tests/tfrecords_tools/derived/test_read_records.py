"""Reading a data set to make another of it: records as they are, and every damage by name."""

import os

import pytest
import tensorflow as tf

from kerasvid.data import DatasetError
from kerasvid.data.records import DatasetInfo, ShardInfo, SplitInfo, finish_example, shard_name
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.derived.read_records import (
    check_choice,
    read_records,
    with_origin,
)


def record(name, frames=(b"x", b"y"), length=2):
    """The least that makes a record: an id, frames and their number; `write` adds the index."""
    example = tf.train.Example()
    feature = example.features.feature
    feature["frames"].bytes_list.value[:] = frames
    feature["length"].int64_list.value[:] = [length]
    feature["id"].bytes_list.value[:] = [name] if name else []
    return example.SerializeToString()


def write(folder, *shards):
    """Shards of these records, and a description that states three records each."""
    files, index = [], 0
    for number, records in enumerate(shards):
        files.append(ShardInfo(shard_name("train", number, len(shards)), 3, "0" * 64, 999))
        with tf.io.TFRecordWriter(os.path.join(folder, files[-1].file)) as writer:
            for content in records:
                if not content.startswith(b"\xff"):
                    content = finish_example(tf.train.Example.FromString(content), index)
                writer.write(content)
                index += 1
    split = SplitInfo(3 * len(files), 2, 2, tuple(files))
    return DatasetInfo("mine", "1", 4, 4, 1, -1.0, splits={"train": split})


def read(folder, info):
    """The ids that came before the fault, and the fault, if any."""
    names = []
    try:
        for example in read_records(folder, info, "train"):
            names.append(example.features.feature["id"].bytes_list.value[0])
    except DatasetError as error:
        assert "\n" not in str(error)
        return names, str(error)
    return names, None


def test_records_come_in_order_and_whole(tmp_path):
    contents = [record(b"%d" % k, [b"%d" % k] * 3, 3) for k in range(6)]
    info = write(tmp_path, contents[:3], contents[3:])
    found = [example.SerializeToString() for example in read_records(tmp_path, info, "train")]
    wanted = [tf.train.Example.FromString(content) for content in contents]
    assert [tf.train.Example.FromString(content) for content in found] == [
        tf.train.Example.FromString(finish_example(example, k)) for k, example in enumerate(wanted)
    ]


def test_a_damaged_record_is_named_with_its_number(tmp_path):
    info = write(tmp_path, [record(b"0"), record(b"1"), record(b"2")])
    path = tmp_path / "train-00000-of-00001.tfrecord"
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[2 * third - 6] ^= 1  # in the second record, before its checksum of four bytes
    path.write_bytes(content)
    names, fault = read(tmp_path, info)
    assert (
        names == [b"0"]
        and "train-00000-of-00001.tfrecord: record 1 is damaged; delete the folder" in fault
    )


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([record(b"0"), record(b"1")], "2 records instead of 3"),
        ([record(b"0"), b"\xff\xff\xff"], "contains no tf.train.Example"),
        ([record(b"0"), record(b"1", [], 0)], "a record lacks frames, length or id"),
        ([record(b"0"), record(b"1", length=3)], "a record lacks frames, length or id"),
        ([record(b"0"), record(b"")], "a record lacks frames, length or id"),
    ],
)
def test_a_shard_at_fault_is_named(tmp_path, contents, said):
    info = write(tmp_path, [record(b"a")] * 3, contents)
    names, fault = read(tmp_path, info)
    assert f"{tmp_path / 'train-00001-of-00002.tfrecord'}: {said}; delete the folder" in fault
    assert names[:4] == [b"a", b"a", b"a", b"0"]


def test_a_shard_that_cannot_be_read_is_reported_when_it_is_reached(tmp_path):
    info = write(tmp_path, [record(b"a")] * 3, [])
    os.remove(tmp_path / "train-00001-of-00002.tfrecord")
    names, fault = read(tmp_path, info)
    assert (
        names == [b"a"] * 3
        and f"{tmp_path / 'train-00001-of-00002.tfrecord'}: cannot be read (" in fault
    )


def test_a_record_at_the_place_of_another_is_named(tmp_path):
    info = write(tmp_path, [record(b"0")] * 3, [record(b"1")] * 3)
    first, second = (tmp_path / shard.file for shard in info.splits["train"].shards)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    names, fault = read(tmp_path, info)
    assert names == [] and "train-00000-of-00002.tfrecord: index is not the place" in fault


def test_the_origin_is_added_to_the_source():
    info = DatasetInfo("mine", "1", 4, 4, 1, -1.0)
    assert with_origin(info, "by hand").source == "mine, by hand"
    again = with_origin(with_origin(info, "by hand"), "twice")
    assert again.source == "mine, by hand; mine, twice"


@pytest.mark.parametrize(
    ("fraction", "seed", "said"),
    [(0.0, 0, "fraction=0.0"), (1.0, 0, "fraction=1.0"), (float("nan"), 0, "nan"), (0.5, -1, "-1")],
)
def test_a_share_or_seed_out_of_range_is_refused(fraction, seed, said):
    with pytest.raises(ConversionError, match=said):
        check_choice(fraction, seed)
    check_choice(0.001, 0)
