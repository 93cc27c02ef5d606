import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.records import (
    DatasetInfo,
    ShardInfo,
    SplitInfo,
    Video,
    decode_frames,
    finish_example,
    parse_record,
    video_to_example,
)


def encode_video(video, index, *encoding):
    return finish_example(video_to_example(video, *encoding), index)


def random_video(channels=3, **fields):
    frames = np.random.default_rng(0).integers(0, 256, (5, 10, 12, channels), dtype=np.uint8)
    return Video(frames, "clip", **fields)


@pytest.mark.parametrize("encoding", ["png", "raw"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_record_gives_the_pixels_back_exactly(encoding, channels):
    video = random_video(channels)
    record = parse_record(encode_video(video, 4, encoding))
    frames = decode_frames(record["frames"], encoding, 10, 12, channels)
    np.testing.assert_array_equal(frames, video.frames)


def test_jpeg_keeps_the_order_of_colours():
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    frames[..., 0] = 220
    record = parse_record(encode_video(Video(frames, "red"), 0, "jpeg"))
    decoded = decode_frames(record["frames"], "jpeg", 16, 16, 3).numpy()
    assert np.abs(decoded.astype(int) - frames).max() < 6


def test_a_png_on_disk_is_an_ordinary_png_file():
    video = random_video()
    example = tf.train.Example.FromString(encode_video(video, 0))
    image = example.features.feature["frames"].bytes_list.value[2]
    bgr = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(bgr[..., ::-1], video.frames[2])


def test_all_fields_come_back():
    video = random_video(fps=12.5, label=2, identity=7, attributes=(1, 0, 4))
    record = parse_record(encode_video(video, 9))
    assert record["id"] == b"clip" and record["encoding"] == b"png"
    shape = [int(record[k]) for k in ("length", "height", "width", "channels")]
    assert shape == [5, 10, 12, 3]
    assert [int(record[k]) for k in ("index", "label", "identity")] == [9, 2, 7]
    assert record["fps"] == 12.5
    np.testing.assert_array_equal(record["attributes"], [1, 0, 4])


def test_decoding_in_a_graph_has_a_static_shape():
    shapes = []

    @tf.function
    def decode(serialized):
        frames = parse_record(serialized)["frames"]
        shapes.append(decode_frames(frames, "png", 10, 12, 3).shape.as_list())
        picked = decode_frames(tf.ensure_shape(frames[:2], [2]), "png", 10, 12, 3)
        shapes.append(picked.shape.as_list())
        return picked

    decode(encode_video(random_video(), 0))
    assert shapes[:2] == [[None, 10, 12, 3], [2, 10, 12, 3]]


@pytest.mark.parametrize("encoding", ["png", "jpeg", "raw"])
def test_a_frame_of_another_size_names_the_file(encoding):
    record = parse_record(encode_video(random_video(), 0, encoding))
    with pytest.raises(tf.errors.InvalidArgumentError, match="some-file"):
        decode_frames(record["frames"], encoding, 10, 10, 3, where="some-file")


@pytest.mark.parametrize(
    "frames, what",
    [
        (np.zeros((5, 8, 8, 3), np.float32), "float32"),
        (np.zeros((8, 8, 3), np.uint8), r"\[8, 8, 3\]"),
        (np.zeros((5, 8, 8, 4), np.uint8), r"\[5, 8, 8, 4\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"\[0, 8, 8, 3\]"),
        ([[1]], "list"),
    ],
)
def test_a_bad_video_is_named_in_one_line(frames, what):
    with pytest.raises(ValueError, match=f"'bad'.*{what}") as caught:
        encode_video(Video(frames, "bad"), 0)
    assert "\n" not in str(caught.value)


def test_a_description_survives_json():
    shard = ShardInfo("train-00000-of-00001.tfrecord", 3, "ab", 99)
    info = DatasetInfo(
        "sprites/lpc", "1", 64, 48, 3, -1.0, class_names=("gehen", "schlägt"),
        attribute_names=("hair",), attribute_sizes=(6,), licence="CC-BY-SA 3.0",
        splits={"train": SplitInfo(3, 8, 9, (shard,))},
    )  # fmt: skip
    assert DatasetInfo.from_json(info.to_json()) == info


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[:40], "broken JSON"),
        (lambda text: "[]", "not a kerasvid-records"),
        (lambda text: text.replace('"format_version": 1', '"format_version": 7'), "version 7"),
        (lambda text: text.replace('"height"', '"hight"'), "hight"),
    ],
)
def test_a_broken_description_is_refused(change, message):
    text = DatasetInfo("a", "1", 8, 8, 3, -1.0).to_json()
    with pytest.raises(ValueError, match=message):
        DatasetInfo.from_json(change(text))


@pytest.mark.parametrize(
    "fields", [{"height": 0}, {"channels": 2}, {"encoding": "gif"}, {"attribute_names": ("a",)}]
)
def test_an_invalid_description_is_refused(fields):
    info = DatasetInfo("a", "1", 8, 8, 3, -1.0)
    with pytest.raises(ValueError):
        dataclasses.replace(info, **fields)
