"""The BAIR robot pushing videos: files, records, faults and the command line."""

import re

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.records import decode_frames
from tests.tfrecords_tools.written_records import records_by_id
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import bair
from tfrecords_tools.verify import verify


def _video(seed):
    """Frames of blocks in a few colours, uint8 [30, 64, 64, 3]."""
    blocks = np.random.default_rng(seed).integers(0, 256, (30, 8, 8, 3), np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def _example(video, **replaced):
    """A record as in the release, with both cameras; `replaced` has values by "t" and number."""
    features = {}
    for t, frame in enumerate(video):
        features[f"{t}/image_aux1/encoded"] = frame.tobytes()
        features[f"{t}/image_main/encoded"] = bytes(64 * 64 * 3)
    features |= {f"{key[1:]}/image_aux1/encoded": value for key, value in replaced.items()}
    lists = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in features.items()
        if value is not None
    }
    lists["0/action"] = tf.train.Feature(float_list=tf.train.FloatList(value=[0.1] * 4))
    return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString()


def _write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


FILES = {"train/traj_256_to_257": (1, 2), "train/traj_1024_to_1025": (3, 4),
         "test/traj_0_to_255": (5,)}  # seeds of the videos  # fmt: skip


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bair")
    for name, seeds in FILES.items():
        path = folder / "softmotion30_44k" / f"{name}.tfrecords"
        _write(path, [_example(_video(seed)) for seed in seeds])
    return folder


def _check(folder):
    """Every video is there to the pixel, in the order of its file's numbers."""
    records = records_by_id(folder)
    expected = [(f"{name}/{k}", seed) for name in FILES for k, seed in enumerate(FILES[name])]
    assert list(records) == [name for name, _ in expected]
    for name, seed in expected:
        split, record = records[name]
        frames = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
        np.testing.assert_array_equal(frames, _video(seed))
        assert split == name.split("/")[0] and int(record["label"]) == -1


def test_records_hold_the_pixels_of_the_auxiliary_camera(tmp_path, release):
    info = bair.prepare(tmp_path / "out", release, progress=False)
    assert info.name == "bair" and info.frame_shape == (64, 64, 3) and info.fps == -1
    assert "1710.05268" in info.citation and "berkeley.edu" in info.source and info.licence
    assert {split: clips.count for split, clips in info.splits.items()} == {"train": 4, "test": 1}
    assert verify(str(tmp_path / "out")).faults == []
    _check(tmp_path / "out")
    # The folder of the splits itself, too, and to the same bytes.
    root = release / "softmotion30_44k"
    assert bair.prepare(tmp_path / "again", root, progress=False) == info


def test_an_item_of_the_writer_is_a_file_whose_videos_come_one_at_a_time(release, monkeypatch):
    given = {}
    monkeypatch.setattr(bair, "write_dataset", lambda *a, **k: given.update(items=a[2], load=a[3]))
    bair.prepare("out", release)
    assert [len(files) for files in given["items"].values()] == [2, 1]
    read = []
    frames_of = bair.read_frames
    monkeypatch.setattr(bair, "read_frames", lambda record: read.append(1) or frames_of(record))
    videos = given["load"](given["items"]["train"][0])
    next(videos)
    assert len(read) == 1


def test_the_other_ending_and_other_files_make_no_difference(tmp_path):
    for split in ("train", "test"):
        _write(tmp_path / split / "traj_0_to_0.tfrecord", [_example(_video(split == "test"))])
        (tmp_path / split / "._traj_0_to_0.tfrecord").write_bytes(b"litter")
        (tmp_path / split / "readme.txt").write_text("no records")
    found = bair.find_files(tmp_path)
    assert {split: len(files) for split, files in found.items()} == {"train": 1, "test": 1}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (_example(_video(9), t7=None), "the feature '7/image_aux1/encoded' is missing"),
        (_example(_video(9)[:29]), "the feature '29/image_aux1/encoded' is missing"),
        (_example(_video(9), t0=b""), "the feature '0/image_aux1/encoded' has 0 bytes, exp"),
        (_example(_video(9), t29=bytes(12289)),
         r"the feature '29/image_aux1/encoded' has 12289 bytes, expected 12288 \(64x64x3\)"),
        (b"no example", "is not a tf.train.Example"),
    ],
)  # fmt: skip
def test_a_faulty_record_is_named_with_its_file(tmp_path, capsys, record, said):
    good = _example(_video(1))
    _write(tmp_path / "in" / "train" / "b.tfrecords", [good, record, good])
    _write(tmp_path / "in" / "train" / "a.tfrecords", [_example(_video(2))])
    _write(tmp_path / "in" / "test" / "a.tfrecords", [_example(_video(3))])
    with pytest.raises(ConversionError, match=rf"train/b\.tfrecords: record 1: {said}") as error:
        bair.prepare(tmp_path / "out", tmp_path / "in", progress=False)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    bair.prepare(tmp_path / "out", tmp_path / "in", progress=False, skip_unreadable=True)
    assert list(records_by_id(tmp_path / "out")) == ["train/a/0", "test/a/0"]
    assert re.search(rf"b\.tfrecords: record 1: {said}", capsys.readouterr().err)


@pytest.mark.parametrize(("keep", "number"), [(0.5, 1), (0.99, 2), (0, None)])
def test_a_file_that_is_cut_short_is_named(tmp_path, keep, number):
    for name in ("train/a", "test/a"):
        _write(tmp_path / f"{name}.tfrecords", [_example(_video(k)) for k in range(3)])
    path = tmp_path / "train" / "a.tfrecords"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    said = "has no records" if number is None else f"record {number}: cannot be read"
    with pytest.raises(ConversionError, match=rf"train/a\.tfrecords: {said}") as error:
        bair.prepare(tmp_path / "out", tmp_path, progress=False)
    assert "\n" not in str(error.value)


def test_the_registry_makes_it(tmp_path, release):
    folder = registry.prepare("bair", str(tmp_path / "data"), str(release))
    assert folder == str(tmp_path / "data" / "bair")
    _check(tmp_path / "data" / "bair")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "bair needs --source_dir.*softmotion30_44k.*berkeley.*1710.05268"),
        (["--source_dir=none", "--out_dir=new"], "none: no such folder; give the folder of softm"),
        (["--source_dir=empty", "--out_dir=new"], "empty/train: no such folder; expected softmot"),
        (["--source_dir=half", "--out_dir=new"], "half/softmotion30_44k/test: no such folder"),
        (["--source_dir=other", "--out_dir=new"], r"other/train: has no \*.tfrecords files; exp"),
        ([], "--out_dir is missing"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for folder in ("other/train", "other/test"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "traj_0.hdf5").write_bytes(b"")
    _write(tmp_path / "half" / "softmotion30_44k" / "train" / "a.tfrecords", [])
    with pytest.raises(SystemExit, match=said) as stop:
        bair.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
