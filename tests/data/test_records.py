import dataclasses
import functools
import json

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
    shard_name,
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


def test_the_pngs_of_drawn_frames_and_of_footage_are_small():
    """Drawn ones repeat earlier pixels, which zlib finds; footage is smooth and has grain."""
    generator = np.random.default_rng(0)
    tile = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    drawn = np.tile(tile, (1, 8, 8, 1))
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (64, 64)) + generator.normal(0, 3, (64, 64, 3))
    footage = np.clip(smooth, 0, 255).astype(np.uint8)[None]
    for frames, share in ((drawn, 0.2), (footage, 0.95)):
        example = video_to_example(Video(frames, "a"))
        size = len(example.features.feature["frames"].bytes_list.value[0])
        plain = []
        for strategy in (cv2.IMWRITE_PNG_STRATEGY_DEFAULT, cv2.IMWRITE_PNG_STRATEGY_RLE):
            options = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, strategy]
            plain.append(len(cv2.imencode(".png", frames[0], options)[1]))
        assert size <= share * max(plain) and size <= 1.02 * min(plain)


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
    shard = ShardInfo("train-00000-of-00001.tfrecord", 3, "ab" * 32, 99)
    info = DatasetInfo(
        "sprites/lpc", "1", 64, 48, 3, -1.0, class_names=("gehen", "schlägt"),
        attribute_names=("hair",), attribute_sizes=(6,), licence="CC-BY-SA 3.0",
        splits={"train": SplitInfo(3, 8, 9, (shard,))},
    )  # fmt: skip
    assert DatasetInfo.from_json(info.to_json()) == info


def described(**fields):
    """A description with two splits."""
    splits = {
        split: SplitInfo(
            4, 2, 6, tuple(ShardInfo(shard_name(split, k, 2), 2, f"{k}" * 64, 99) for k in (0, 1))
        )
        for split in ("train", "test")
    }
    names = {"class_names": ("a", "b"), "attribute_names": ("hat",), "attribute_sizes": (3,)}
    return DatasetInfo("a", "1", 8, 8, 3, 12.0, **{**names, "splits": splits, **fields})


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[:40], "broken JSON"),
        (lambda text: "[" * 100_000, "broken JSON"),
        (lambda text: "[]", "not a kerasvid-records"),
        (lambda text: text.replace('"format_version": 2', '"format_version": 7'), "version 7"),
        (lambda text: text.replace('"format_version": 2', '"format_version": [2]'), "unknown"),
        (lambda text: text.replace('"height"', '"hight"'), "h.*ght"),
        (lambda text: text.replace('"height": 8', '"height": NaN'), "NaN is not a number"),
        (lambda text: text.replace('"height": 8', '"height": 8, "height": 8'), "occurs twice"),
        (lambda text: text.replace('"height": 8', f'"height": {10**300}'), "sides of 1 to"),
    ],
)
def test_a_broken_description_is_refused(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        DatasetInfo.from_json(change(described().to_json()), edited=True)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_description_that_was_edited_is_refused_unless_that_is_accepted():
    text = described().to_json()
    for old, new in (('"version": "1"', '"version": "2"'), ("12.0", "12.5"), ('"a",', '"c",')):
        assert old in text
        with pytest.raises(ValueError, match=r"altered, its digest differs: .*accept"):
            DatasetInfo.from_json(text.replace(old, new))
    assert DatasetInfo.from_json(text.replace("12.0", "12.5"), edited=True).fps == 12.5


def test_the_layout_of_the_text_and_the_digest_s_own_place_do_not_matter():
    fields = json.loads(described().to_json())
    fields["digest"] = fields.pop("digest")
    assert DatasetInfo.from_json(json.dumps(fields)) == described()


@pytest.mark.parametrize(
    "place, value, message",
    [
        ("height", "8", "height is not a whole number"),
        ("height", 8.0, "height is not a whole number"),
        ("height", True, "height is not a whole number"),
        ("height", 70_000, "Frames of 70000x8x3"),
        ("fps", None, "fps is not a number"),
        ("fps", 0, "fps=0"),
        ("name", 5, "name is not a text"),
        ("licence", "\ud800", r"licence: .* is not UTF-8"),
        ("class_names", "ab", "class_names is not a list"),
        ("class_names", [5], r"class_names\[0\] is not a text"),
        ("attribute_sizes", [0], "size of the attribute 'hat' is 0, not from 1 to"),
        ("splits", [], "splits is not an object"),
        ("splits", {"train": 5}, r"splits\.train is not an object"),
        ("splits.train", {}, r"splits\.train: a missing or unknown field 'count'"),
        ("splits.train.count", {}, r"splits\.train\.count is not a whole number"),
        ("splits.train.count", 5, r"splits\.train: count is 5, but the shards have 4"),
        ("splits.train.min_length", None, r"splits\.train\.min_length is not a whole number"),
        ("splits.train.min_length", 7, r"splits\.train: min_length is 7, not from 1 to 6"),
        ("splits.train.shards", [], r"splits\.train: there are no shards"),
        ("splits.train.shards.0", 5, r"splits\.train\.shards\[0\] is not an object"),
        ("splits.train.shards.0.file", 5, r"shards\[0\]\.file is not a text"),
        ("splits.train.shards.0.bytes", "x", r"shards\[0\]\.bytes is not a whole number"),
        ("splits.train.shards.0.bytes", 31, r"shards\[0\]: count is 2, not from 1 to 1"),
        ("splits.train.shards.0.count", 0, r"shards\[0\]: count is 0"),
        ("splits.train.shards.0.sha256", "ab", r"shards\[0\]: sha256 is not 64"),
        ("splits.train.shards.0.file", "../train-00000-of-00002.tfrecord", "is not the name of"),
        ("splits.train.shards.0.file", "train-00001-of-00002.tfrecord", "is not the name of"),
        ("splits.train.shards.0.file", "test-00000-of-00002.tfrecord", "is not the name of"),
        ("splits.train.more", 1, r"splits\.train: a missing or unknown field 'more'"),
    ],
)
def test_a_field_of_a_wrong_type_or_out_of_range_is_named(place, value, message):
    fields = json.loads(described().to_json())
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    inner = functools.reduce(lambda outer, part: outer[part], parents, fields)
    inner[last] = value
    with pytest.raises(ValueError, match=message) as caught:
        DatasetInfo.from_json(json.dumps(fields), edited=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a b", "a" * 101])
def test_a_split_has_a_name_that_files_can_begin_with(name):
    splits = {name: SplitInfo(2, 1, 1, (ShardInfo(shard_name(name, 0, 1), 2, "0" * 64, 99),))}
    with pytest.raises(ValueError, match=r"split .*: use 1 to 100 letters"):
        described(splits=splits)


@pytest.mark.parametrize(
    "fields", [{"height": 0}, {"channels": 2}, {"encoding": "gif"}, {"attribute_names": ("a",)}]
)
def test_an_invalid_description_is_refused(fields):
    info = DatasetInfo("a", "1", 8, 8, 3, -1.0)
    with pytest.raises(ValueError):
        dataclasses.replace(info, **fields)
