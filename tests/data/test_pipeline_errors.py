import dataclasses
import os
import shutil
import threading

import keras
import pytest
import tensorflow as tf

from kerasvid.data.pipeline import make_pipeline
from kerasvid.data.records import finish_example, video_to_example
from kerasvid.data.shards import DatasetError, hash_file, load_info, read_shard, write_info
from kerasvid.io import one_line

FIRST_SHARD = "train-00000-of-00004.tfrecord"


def encode_video(video, index, *encoding):
    return finish_example(video_to_example(video, *encoding), index)


@pytest.fixture
def altered_dataset(make_dataset, numbered_video):
    """A data set with right checksums in which some training records are changed."""

    def make(change, which=range(23)):
        records = [encode_video(numbered_video(k), k) for k in range(23)]
        for number in which:
            example = tf.train.Example.FromString(records[number])
            change(example.features.feature)
            records[number] = example.SerializeToString()
        return make_dataset("altered", records)

    return make


def consume(folder, **arguments):
    pipeline = make_pipeline(folder, batch_size=23, frames=3, **arguments)
    return next(iter(pipeline))


def refused(folder, *words, error=ValueError, **arguments):
    with pytest.raises(error) as caught:
        consume(folder, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("field", ["index", "id", "length", "height", "encoding", "frames"])
def test_a_missing_field_names_the_file_and_the_remedy(altered_dataset, field):
    folder = altered_dataset(lambda feature: feature.pop(field))
    refused(
        folder,
        FIRST_SHARD,
        f"the field {field} is missing",
        "delete the folder",
        error=DatasetError,
    )


def test_a_missing_field_deep_in_a_shard_names_the_file(altered_dataset):
    folder = altered_dataset(lambda feature: feature.pop("width"), which=[8])
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        consume(folder)
    assert one_line(str(caught.value)) == (
        f"{folder}/train-00001-of-00004.tfrecord: the field width is missing; "
        "delete the folder and prepare the data set again."
    )


def as_broken_text(image):
    return b"no image"


def as_cut_off(image):
    return image[:-10]


def as_larger_image(image):
    return tf.io.encode_png(tf.zeros([16, 16, 3], tf.uint8)).numpy()


@pytest.mark.parametrize("spoil", [as_broken_text, as_cut_off, as_larger_image])
def test_a_broken_frame_deep_in_a_shard_names_the_file(altered_dataset, spoil):
    def change(feature):
        images = feature["frames"].bytes_list.value
        images[:] = [spoil(image) for image in images]

    folder = altered_dataset(change, which=[8])
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        consume(folder)
    line = one_line(str(caught.value))
    assert line.startswith(f"{folder}/train-00001-of-00004.tfrecord: a frame is n")
    assert line.endswith("delete the folder and prepare the data set again.")
    assert "\n" not in line and len(line) < 300


def test_a_record_error_in_training_is_one_line(altered_dataset):
    folder = altered_dataset(lambda feature: feature.pop("width"), which=[8])
    batches = make_pipeline(folder, batch_size=4, frames=3, shuffle=False)
    batches = batches.map(lambda batch: (tf.cast(batch["video"], tf.float32), batch["label"]))
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        model.fit(batches, steps_per_epoch=6, shuffle=False, verbose=0)
    line = one_line(str(caught.value))
    assert line.startswith(f"{folder}/train-00001-of-00004.tfrecord: the field width is missing")
    assert line.endswith("again.") and "\n" not in line and len(line) < 300


def test_optional_fields_may_be_absent(altered_dataset):
    def forget(feature):
        for name in ("label", "identity", "fps"):
            feature.pop(name)

    batch = consume(altered_dataset(forget))
    assert set(batch["label"].numpy()) == set(batch["identity"].numpy()) == {-1}


def test_a_wrong_size_names_the_file(altered_dataset):
    def enlarge(feature):
        feature["height"].int64_list.value[:] = [16]

    refused(altered_dataset(enlarge), FIRST_SHARD, "height is not 8", "delete the folder")


def test_frames_that_are_not_of_the_stated_size_name_the_file(altered_dataset):
    large = tf.io.encode_png(tf.zeros([16, 16, 3], tf.uint8)).numpy()

    def lie(feature):
        feature["frames"].bytes_list.value[:] = [large] * 6

    refused(altered_dataset(lie), FIRST_SHARD, "8x8x3", "delete the folder")


def test_a_wrong_number_of_attributes_names_the_file(altered_dataset):
    def shorten(feature):
        feature["attributes"].int64_list.value[:] = [1]

    refused(altered_dataset(shorten), FIRST_SHARD, "attributes are not 2", "delete the folder")


def outcome(folder, **arguments):
    """The line of the error of reading a whole epoch, of checked or of unchecked shards."""
    with pytest.raises((DatasetError, tf.errors.OpError)) as caught:
        for _ in make_pipeline(folder, batch_size=5, frames=3, repeat=False, **arguments):
            pass
    line = one_line(str(caught.value))
    assert line.endswith("prepare the data set again.") and "function_node" not in line
    return line


@pytest.mark.parametrize("which", [8, 12])  # in the middle and at the start of a shard
@pytest.mark.parametrize(
    ("field", "numbers", "said"),
    [
        ("index", [7], "index is not the place in the split"),
        ("index", [99], "index is not the place in the split"),
        ("index", [-1], "index is not the place in the split"),
        ("label", [3], "label is not from -1 to 2"),
        ("label", [-2], "label is not from -1 to 2"),
        ("identity", [-2], "identity is below -1"),
        ("attributes", [2, 0], "an attribute is not from -1 to its size less 1"),
        ("attributes", [0, -2], "an attribute is not from -1 to its size less 1"),
        ("attributes", [1], "attributes are not 2 numbers"),
    ],
)
def test_numbers_out_of_their_range_name_the_file(altered_dataset, which, field, numbers, said):
    def change(feature):
        feature[field].int64_list.value[:] = numbers

    line = outcome(altered_dataset(change, which=[which]))
    assert said in line and f"train-0000{which // 6}-of-00004.tfrecord: " in line


def test_a_video_of_another_length_than_the_description_states_names_the_file(altered_dataset):
    def shorten(feature):
        del feature["frames"].bytes_list.value[2:]
        feature["length"].int64_list.value[:] = [2]

    line = outcome(altered_dataset(shorten, which=[8]))
    assert "train-00001-of-00004.tfrecord: length is not from 6 to 6 as in dataset.json" in line


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_damaged_record_of_an_unchecked_shard_names_the_file(dataset, shuffle):
    path = os.path.join(dataset, "train-00002-of-00004.tfrecord")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    line = outcome(dataset, verify=False, shuffle=shuffle)
    assert line.startswith(
        f"{path}: not 6 readable records, the shard is damaged or the disk fails;"
    )


def ends_with_error(iterate):
    """The line of the error with which `iterate` ends; it fails if that takes too long."""
    caught = []

    def run():
        try:
            iterate()
        except tf.errors.OpError as error:
            caught.append(one_line(str(error)))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive() and len(caught) == 1
    return caught[0]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_shard_that_disappears_while_it_is_needed_ends_the_reading(dataset, shuffle):
    batches = make_pipeline(dataset, batch_size=5, frames=3, shuffle=shuffle)
    path = os.path.join(dataset, "train-00002-of-00004.tfrecord")
    os.remove(path)
    line = ends_with_error(lambda: list(batches))
    assert line.startswith(f"{path}; No such file")


def test_a_shard_that_disappears_after_it_was_opened_ends_the_reading(dataset, monkeypatch):
    path = os.path.join(dataset, FIRST_SHARD)
    os.remove(path)
    nothing = tf.data.Dataset.from_tensors(b"")  # as if it had been opened
    monkeypatch.setattr(tf.data, "FixedLengthRecordDataset", lambda *_, **__: nothing)
    records = read_shard(tf.constant(path), tf.constant(0, tf.int64), tf.constant(6, tf.int64))
    assert ends_with_error(lambda: list(records)).startswith(f"{path}: not 6 readable records")


def restated(folder, change):
    """Gives a data set right checksums for what `change` does to the bytes of its shards."""
    info = load_info(folder)
    shards = [os.path.join(folder, shard.file) for shard in info.splits["train"].shards]
    change(shards)
    stated = [
        dataclasses.replace(shard, sha256=hash_file(path)[0], bytes=os.path.getsize(path))
        for shard, path in zip(info.splits["train"].shards, shards, strict=True)
    ]
    train = dataclasses.replace(info.splits["train"], shards=tuple(stated))
    write_info(folder, dataclasses.replace(info, splits={**info.splits, "train": train}))


def swap(shards):
    os.rename(shards[1], shards[1] + "-x")
    os.rename(shards[2], shards[1])
    os.rename(shards[1] + "-x", shards[2])


def copy_first(shards):
    shutil.copy(shards[0], shards[1])


def copy_test(shards):
    shutil.copy(os.path.join(os.path.dirname(shards[0]), "test-00000-of-00002.tfrecord"), shards[1])


def drop_last_record(shards):
    records = list(tf.data.TFRecordDataset(shards[1]).as_numpy_iterator())
    with tf.io.TFRecordWriter(shards[1]) as writer:
        for record in records[:-1]:
            writer.write(record)


def add_a_record(shards):
    with open(shards[1], "ab") as file, open(shards[2], "rb") as other:
        file.write(other.read())


@pytest.mark.parametrize("change", [swap, copy_first, copy_test, drop_last_record, add_a_record])
def test_shards_of_right_checksums_with_other_records_are_refused_by_name(dataset, change):
    restated(dataset, change)
    line = outcome(dataset)
    assert line.startswith(f"{dataset}/train-0000")
    wanted = "not 6 readable records" if "record" in change.__name__ else "index is not the place"
    assert wanted in line


def test_records_of_another_kind_name_the_file(make_dataset):
    refused(make_dataset("alien", [b"\xff\xff alien"] * 23), FIRST_SHARD, "delete the folder")


def test_only_picked_frames_are_decoded(altered_dataset):
    def spoil(feature):
        feature["frames"].bytes_list.value[3] = b"no image"

    folder = altered_dataset(spoil)
    assert consume(folder, pick="start")["video"].shape == (23, 3, 8, 8, 3)
    assert consume(folder, pick="endpoints")["video"].shape == (23, 2, 8, 8, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(make_pipeline(folder, batch_size=23, frames=4, pick="start")))


def test_a_truncated_shard_is_refused_by_name(dataset):
    path = os.path.join(dataset, FIRST_SHARD)
    os.truncate(path, os.path.getsize(path) // 2)
    refused(dataset, FIRST_SHARD, "truncated", "delete the folder", error=DatasetError)
    refused(dataset, FIRST_SHARD, "truncated", error=DatasetError, verify=False)


def test_a_flipped_byte_is_refused_by_name(dataset):
    path = os.path.join(dataset, "train-00003-of-00004.tfrecord")
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        content[300] ^= 4
        file.seek(0)
        file.write(content)
    refused(dataset, path, "SHA-256", "delete the folder", error=DatasetError)


def test_empty_and_half_written_folders_are_refused(tmp_path, dataset):
    (tmp_path / "empty").mkdir()
    refused(str(tmp_path / "empty"), "empty", "prepare the data set again", error=DatasetError)
    os.remove(os.path.join(dataset, "dataset.json"))
    refused(dataset, "half-written", "restore it", error=DatasetError)


def test_an_unknown_split_lists_the_nearest(dataset):
    refused(dataset, "'trian'", "train", split="trian")
    refused(dataset, "'validation'", "train", "test", split="validation")


def test_windows_longer_than_the_shortest_video_are_refused_up_front(dataset):
    with pytest.raises(ValueError, match=r"span 7.*has 6.*fewer frames.*is 'train-0'\.$"):
        make_pipeline(dataset, batch_size=2, frames=3, stride=3)
    make_pipeline(dataset, batch_size=2, frames=3, stride=2)
    make_pipeline(dataset, batch_size=2, frames=9, pick="endpoints")


def test_a_batch_larger_than_the_split_is_refused(dataset):
    with pytest.raises(ValueError, match=r"batch_size=8.*'test' has 7.*use 7"):
        make_pipeline(dataset, "test", batch_size=8, frames=2)


def test_an_unknown_pick_names_the_known_ones(dataset):
    refused(dataset, "'middle'", "window, frame, endpoints, start", pick="middle")


@pytest.mark.parametrize("name", ["batch_size", "frames", "stride"])
def test_numbers_below_1_are_refused(dataset, name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        make_pipeline(dataset, **{name: 0})
