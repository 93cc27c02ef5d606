"""The shapes data sets: drawn clips, strips, records and the command line."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.synthetic import shapes, shapes_drawing
from tfrecords_tools.synthetic.shapes_drawing import draw_clip, plan_clip
from tfrecords_tools.verify import verify

SHARPER = 16


def _records(folder, split):
    files = [os.path.join(folder, shard.file) for shard in load_info(folder).splits[split].shards]
    return [parse_record(serialized) for serialized in tf.data.TFRecordDataset(files)]


def _frames(record):
    return decode_frames(record["frames"], "png", 64, 64, 3).numpy()


def _track(frames):
    """Centroid of what is bright in each frame: float [T, 2], column and row of its middle."""
    weight = frames.astype(float).sum(-1)  # [T, H, W]
    places = np.arange(64) + 0.5
    columns, rows = weight.sum(1) @ places, weight.sum(2) @ places
    return np.stack([columns, rows], axis=1) / weight.sum((1, 2))[:, None]


@pytest.fixture(scope="module")
def drawn():
    """Sixty planned clips with their frames, twelve a motion."""
    return [(clip, draw_clip(clip)) for clip in map(plan_clip, range(60))]


@pytest.fixture
def few_clips(monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 10, "test": 5})


def test_a_drawn_shape_is_where_the_plan_has_it_and_stays_inside(drawn):
    for clip, frames in drawn:
        assert frames.shape == (32, 64, 64, 3) and frames.dtype == np.uint8
        np.testing.assert_allclose(_track(frames), clip.centres, atol=0.1)
        border = [frames[:, 0], frames[:, -1], frames[:, :, 0], frames[:, :, -1]]
        assert not any(edge.any() for edge in border)


def test_a_shape_follows_the_labelled_direction(drawn):
    for clip, frames in drawn:
        path = _track(frames)
        width, height = np.ptp(path, axis=0)
        correlation = abs(np.corrcoef(path.T)[0, 1])
        from_middle = np.linalg.norm(path - (path.max(0) + path.min(0)) / 2, axis=1)
        if clip.motion == "horizontal":
            assert width > 15 and width > 3 * height
        elif clip.motion == "vertical":
            assert height > 15 and height > 3 * width
        elif clip.motion == "diagonal":
            assert 0.6 < width / height < 1.6 and correlation > 0.9
        elif clip.motion == "circular":
            assert width > 15 and np.ptp(from_middle) < 0.15 * from_middle.mean()
        else:  # on Gerono's lemniscate: c^2 = 4 a^2 (1 - a^2), both scaled to [-1, 1]
            assert max(width, height) > 15
            scaled = (2 * path - path.max(0) - path.min(0)) / np.ptp(path, axis=0)
            a, c = scaled.T if width > height else scaled.T[::-1]
            assert abs(c**2 - 4 * a**2 * (1 - a**2)).max() < 0.25


def test_motion_is_smooth_and_its_speed_varies():
    for number in range(60):
        dense = plan_clip(number, frames=320).centres
        steps = np.linalg.norm(np.diff(dense, axis=0), axis=1)
        bends = np.linalg.norm(np.diff(dense, n=2, axis=0), axis=1)
        assert steps.max() < 1.6 and bends.max() < 0.2
        if number % 5 == 3:  # on a circle the speed is that of the angle
            assert steps.max() > 1.15 * steps.min()


def test_the_motions_are_the_labels_in_equal_shares():
    motions = [plan_clip(number).motion for number in range(20)]
    assert all(motions.count(motion) == 4 for motion in shapes_drawing.MOTIONS)


def _polygon(shape):
    """Corners [N, 2] of a shape that has the area pi."""
    if shape == "circle":
        angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
        return np.stack([np.cos(angles), np.sin(angles)], 1)
    corners = {
        "square": [(1, 1), (-1, 1), (-1, -1), (1, -1)],
        "diamond": [(1, 0), (0, 1), (-1, 0), (0, -1)],
        "triangle": [(0, -2), (3**0.5, 1), (-(3**0.5), 1)],
        "cross": [(1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1),
                  (-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1)],
    }[shape]  # fmt: skip
    x, y = np.array(corners, float).T
    area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2  # the shoelace formula
    return np.stack([x, y], 1) * np.sqrt(np.pi / area)


@pytest.mark.parametrize("shape", shapes_drawing.SHAPES)
@pytest.mark.parametrize("size", shapes_drawing.RADII)
def test_a_shape_covers_the_pixels_of_its_polygon(shape, size):
    centre = np.array([30.37, 33.81])
    clip = shapes_drawing.Clip(0, "", shape, "white", size, centre[None])
    radius = shapes_drawing.RADII[size]
    corners = (centre + radius * _polygon(shape)) * SHARPER - 0.5
    canvas = np.zeros((64 * SHARPER, 64 * SHARPER), np.uint8)
    cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 240)
    expected = cv2.resize(canvas, (64, 64), interpolation=cv2.INTER_AREA).astype(float)
    covered = draw_clip(clip)[0, ..., 0].astype(float)
    assert abs(covered - expected).max() < 0.3 * 240  # at corners
    assert abs(covered - expected).sum() < 0.05 * expected.sum()
    np.testing.assert_allclose(covered.sum() / 240, np.pi * radius**2, rtol=0.03)


def test_clips_follow_from_seed_and_number_and_no_two_are_alike():
    again, other = plan_clip(7, seed=3), plan_clip(7, seed=4)
    np.testing.assert_array_equal(plan_clip(7, seed=3).centres, again.centres)
    assert not np.allclose(again.centres, other.centres)
    paths = {plan_clip(number).centres.round(3).tobytes() for number in range(0, 4400, 11)}
    assert len(paths) == 400


def test_the_splits_have_no_clip_in_common():
    splits = shapes.list_clips()
    assert len(splits["train"]) == 4000 and len(splits["test"]) == 400
    assert not set(splits["train"]) & set(splits["test"])


def test_records_hold_the_drawn_clips_with_their_factors(tmp_path, few_clips):
    info = shapes.prepare_embedded(tmp_path / "a", progress=False)
    assert info.name == "shapes" and info.fps == 8 and info.splits["train"].max_length == 32
    assert info.class_names == ("horizontal", "vertical", "diagonal", "circular", "figure-eight")
    assert info.attribute_names == ("shape", "colour", "size") and info.attribute_sizes == (5, 8, 3)
    assert len(set(info.identity_names)) == 40 and "1707.04993" in info.citation
    assert info.licence and info.source and verify(str(tmp_path / "a")).faults == []
    for split, first in (("train", 0), ("test", 10)):
        for position, record in enumerate(_records(tmp_path / "a", split)):
            clip = plan_clip(first + position)
            motion, rest = record["id"].numpy().decode().rsplit("/", 1)
            size, colour, shape, _ = rest.split("-")
            assert motion == info.class_names[int(record["label"])] == clip.motion
            assert info.identity_names[int(record["identity"])] == f"{colour} {shape}"
            assert (shape, colour, size) == (clip.shape, clip.colour, clip.size)
            kinds = list(shapes_drawing.SHAPES), list(shapes_drawing.COLOURS)
            values = [*map(int, record["attributes"].numpy())]
            assert [names[k] for names, k in zip(kinds, values, strict=False)] == [shape, colour]
            assert ("small", "medium", "large")[values[2]] == size
            np.testing.assert_array_equal(_frames(record), draw_clip(clip))
    again = shapes.prepare_embedded(tmp_path / "b", progress=False)
    assert again == info  # with the checksums of all bytes


def _write_strip(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    strip = np.concatenate(list(frames), axis=1)[..., ::-1]
    alpha = np.full((*strip.shape[:2], 1), 255, np.uint8)  # as the real ones have
    assert cv2.imwrite(str(path), np.concatenate([strip, alpha], axis=-1))


@pytest.fixture
def strips(tmp_path):
    """Six strips of noise: even numbers in folder 0, odd ones in folder 1."""
    random = np.random.default_rng(0)
    videos = random.integers(0, 256, (6, 32, 64, 64, 3), dtype=np.uint8)
    for number, video in enumerate(videos):
        _write_strip(tmp_path / "in" / str(number % 2) / f"{number:08d}.png", video)
    return videos


def test_strips_are_read_to_the_pixel_with_the_label_of_their_folder(tmp_path, strips):
    info = shapes.prepare_strips(tmp_path / "out", tmp_path / "in", progress=False)
    assert info.name == "shapes/strips" and info.class_names == ("vertical", "horizontal")
    assert info.licence and "mocogan" in info.source and info.citation
    seen = {}
    for split in ("train", "test"):
        for record in _records(tmp_path / "out", split):
            name, number = record["id"].numpy().decode().split("/")
            assert info.class_names[int(record["label"])] == name
            assert int(record["label"]) == int(number) % 2
            np.testing.assert_array_equal(_frames(record), strips[int(number)])
            seen[int(number)] = split
    assert sorted(seen) == list(range(6)) and list(seen.values()).count("test") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda source: shutil.rmtree(source / "1"), "1: no strips .*; give a folder with"),
        (lambda source: (source / "0" / "a.png").write_bytes(b""), r"a\.png: expected a number"),
        (lambda source: shutil.copy(source / "0" / "00000002.png", source / "1"), "same number"),
        (lambda source: os.truncate(source / "0" / "00000002.png", 99), r"0/00000002\.png: "),
        (
            lambda source: _write_strip(source / "1" / "9.png", np.zeros((3, 64, 64, 3), np.uint8)),
            r"1/9\.png: 3 frames of 64x64, expected 32 frames of 64x64",
        ),
    ],
)
def test_a_fault_of_the_strips_is_named(tmp_path, strips, change, said):
    change(tmp_path / "in")
    with pytest.raises(ConversionError, match=said):
        shapes.prepare_strips(tmp_path / "out", tmp_path / "in", progress=False)
    assert not (tmp_path / "out").exists()


def test_unreadable_strips_are_left_out_on_request(tmp_path, strips, capsys):
    os.truncate(tmp_path / "in" / "0" / "00000002.png", 99)
    shapes.main(["--variant=strips", f"--source_dir={tmp_path / 'in'}",
                 f"--out_dir={tmp_path / 'out'}", "--skip_unreadable"])  # fmt: skip
    printed = capsys.readouterr()
    assert "00000002.png" in printed.err and "train: 4 videos" in printed.out
    assert sum(split.count for split in load_info(tmp_path / "out").splits.values()) == 5


@pytest.mark.needs_shared
def test_the_real_strips_move_as_labelled(shared_data, tmp_path):
    for folder in "01":
        (tmp_path / "in" / folder).mkdir(parents=True)
        for file in sorted((shared_data / "shapes_strips" / folder).iterdir())[:60:10]:
            shutil.copy(file, tmp_path / "in" / folder)
    info = shapes.prepare_strips(tmp_path / "out", tmp_path / "in", progress=False)
    records = [record for split in info.splits for record in _records(tmp_path / "out", split)]
    assert len(records) == 12
    for record in records:
        width, height = np.ptp(_track(_frames(record)), axis=0)
        name = info.class_names[int(record["label"])]
        assert name == ("horizontal" if width > height else "vertical")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--variant=strips", "--out_dir=new"],
            "MoCoGAN's data needs --source_dir.*0, 1 of data/shapes.*mocogan",
        ),
        (
            ["--variant=strips", "--source_dir=none", "--out_dir=new"],
            "none: no such folder; give a folder with the folders 0, 1",
        ),
        (["--variant=drawn", "--out_dir=new"], "variant"),
        (["--out=new"], "out"),
        (["new"], "new: is not a flag"),
        ([], "--out_dir is missing"),
        (["--out_dir=used"], "used: exists and is not a data set"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "keep.txt").write_text("mine")
    with pytest.raises(SystemExit, match=said) as stop:
        shapes.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "used" / "keep.txt").read_text() == "mine"


def test_a_data_set_is_replaced_only_on_request(tmp_path, few_clips, capsys):
    out_dir = tmp_path / "shapes"
    shapes.main([f"--out_dir={out_dir}"])
    assert "train: 10 videos of 32 to 32 frames, 64x64" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--overwrite"):
        shapes.main([f"--out_dir={out_dir}"])
    before = json.loads((out_dir / "dataset.json").read_text())
    shapes.main([f"--out_dir={out_dir}", "--overwrite"])
    assert json.loads((out_dir / "dataset.json").read_text()) == before
