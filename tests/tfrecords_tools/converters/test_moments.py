"""Moments in Time: which videos are read, what their records hold, and what is refused."""

import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import moments
from tfrecords_tools.converters.moments import MomentsOptions, spread
from tfrecords_tools.verify import verify

FOLDERS = {"train": "training", "test": "validation"}


def _write_video(path, frames=6, fps=12):
    """96x64: each frame redder than the last, of a green of its own, with white margins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (96, 64))
    assert writer.isOpened()
    green = zlib.crc32(path.name.encode()) % 200
    for number in range(frames):
        image = np.full((64, 96, 3), (0, green, 60 + 180 * number // frames), np.uint8)  # BGR
        image[:, :12] = image[:, -12:] = 255
        writer.write(image)
    writer.release()


def _middle(path):
    """All frames of a video in RGB, its middle 64 of 96 columns, in time, by OpenCV."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[:, 16:80, ::-1])
    return np.stack(frames)


@pytest.fixture
def release(tmp_path):
    """Three classes with one to three videos of 6 frames in both folders, and their lists."""
    root = tmp_path / "Moments_in_Time_Raw"
    videos = {
        "training": ["erupting/yt-b_1", "erupting/a_22", "skiing/c_3", "diving/d_4", "diving/e_5"],
        "validation": ["erupting/f_6", "skiing/g_7", "diving/h_8"],
    }
    for folder, names in videos.items():
        for name in names:
            _write_video(root / folder / f"{name}.mp4")
        rows = [f"{name}.mp4,{name.split('/')[0]},3,0\n" for name in names]
        (root / f"{folder}Set.csv").write_text("".join(rows))
    (root / "moments_categories.txt").write_text("diving,0\nerupting,1\nskiing,2\n")
    return root


def _read(folder, split):
    """Records by id, with their frames."""
    found = {}
    files = [str(folder / shard.file) for shard in load_info(folder).splits[split].shards]
    for serialized in tf.data.TFRecordDataset(files):
        record = parse_record(serialized)
        record["video"] = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
        found[record["id"].numpy().decode()] = record
    return found


def _labels(folder, split):
    return {name: int(record["label"]) for name, record in _read(folder, split).items()}


def _prepare(root, out, skip_unreadable=False, frames=3, **options):
    options = MomentsOptions(frames=frames, **options)
    return moments.prepare(out, root, options, skip_unreadable=skip_unreadable, progress=False)


@pytest.mark.parametrize(
    ("count", "frames", "expected"),
    [
        (90, 30, list(range(1, 90, 3))),
        (30, 30, list(range(30))),
        (6, 3, [1, 3, 5]),
        (9, 1, [4]),
        (5, 4, [0, 1, 3, 4]),
    ],
)
def test_frames_are_the_middles_of_equal_parts(count, frames, expected):
    assert spread(count, frames).tolist() == expected


def test_frames_of_any_video_are_spread_evenly_and_none_is_taken_twice():
    for count in range(30, 200):
        chosen = spread(count, 30)
        gaps = np.diff(chosen)
        assert gaps.min() >= count // 30 and gaps.max() <= -(-count // 30)
        # What is left out at either end is half a part.
        assert abs(chosen[0] - (count - 1 - chosen[-1])) <= 1 and chosen[0] <= count / 60


def test_erupting_and_skiing_are_read_with_their_splits_and_labels(tmp_path, release):
    info = _prepare(release, tmp_path / "out")
    assert info.name == "moments" and info.class_names == ("erupting", "skiing")
    assert info.frame_shape == (64, 64, 3) and "1801.03150" in info.citation
    assert "moments.csail.mit.edu" in info.source and "application" in info.licence
    assert verify(str(tmp_path / "out")).faults == []
    assert _labels(tmp_path / "out", "train") == {
        "training/erupting/a_22": 0,
        "training/erupting/yt-b_1": 0,
        "training/skiing/c_3": 1,
    }
    test = {"validation/erupting/f_6": 0, "validation/skiing/g_7": 1}
    assert _labels(tmp_path / "out", "test") == test
    assert _prepare(release, tmp_path / "again") == info  # with the checksums of all bytes


def test_frames_are_spread_over_the_video_and_cropped_to_the_middle_in_rgb(tmp_path, release):
    info = _prepare(release, tmp_path / "out")
    assert info.fps == 6  # three frames of six at 12 a second
    for split in FOLDERS:
        for name, record in _read(tmp_path / "out", split).items():
            frames = _middle(release / f"{name}.mp4")
            np.testing.assert_array_equal(record["video"], frames[[1, 3, 5]])
            reds = frames[..., 0].mean((1, 2))
            assert len(frames) == 6 and np.diff(reds).min() > 20  # frames differ
            assert float(record["fps"]) == 6 and int(record["identity"]) == -1


def test_thirty_frames_of_ninety_are_the_default(tmp_path):
    root = tmp_path / "in"
    for folder in FOLDERS.values():
        for name in ("erupting", "skiing"):
            _write_video(root / folder / name / "x.mp4", frames=90, fps=30)
    info = moments.prepare(tmp_path / "out", root, progress=False)
    assert info.fps == 10
    for name, record in _read(tmp_path / "out", "test").items():
        frames = _middle(root / f"{name}.mp4")
        assert len(frames) == 90
        np.testing.assert_array_equal(record["video"], frames[1::3])


def test_labels_follow_the_order_of_the_classes_flag(tmp_path, release):
    info = _prepare(release, tmp_path / "out", classes=("skiing", "diving"))
    assert info.name == "moments/skiing-diving" and info.class_names == ("skiing", "diving")
    labels = {"training/skiing/c_3": 0, "training/diving/d_4": 1, "training/diving/e_5": 1}
    assert _labels(tmp_path / "out", "train") == labels


def test_csv_files_list_the_videos_else_the_folders_do(release):
    (release / "training" / "skiing" / "extra.mp4").write_bytes(b"not listed")
    (release / "training" / "skiing" / "._c_3.mp4").write_bytes(b"hidden")
    (release / "training" / "skiing" / "readme.txt").write_text("no video")
    listed = moments.find_clips(release, ["skiing"])
    assert [clip.id for clip in listed["train"]] == ["training/skiing/c_3"]
    assert listed["test"][0].paths == (str(release / "validation" / "skiing" / "g_7.mp4"),)
    (release / "trainingSet.csv").unlink()
    (release / "moments_categories.txt").unlink()
    found = moments.find_clips(release.parent, ["skiing"])  # the folder above does, too
    assert [clip.id for clip in found["train"]] == ["training/skiing/c_3", "training/skiing/extra"]
    assert found["test"] == listed["test"]


def test_a_video_that_is_listed_twice_counts_once(release):
    with open(release / "trainingSet.csv", "a") as file:
        file.write("\nskiing/c_3.mp4,skiing,2,1\n")
    assert len(moments.find_clips(release, ["skiing"])["train"]) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("short", r"c_3\.mp4: 2 frames, expected 3 or more"),
        ("broken", r"c_3\.mp4: cannot be read as a video"),
        ("missing", r"c_3\.mp4: cannot be read \(No such file"),
    ],
)
def test_a_video_that_cannot_be_used_is_named_or_left_out(tmp_path, release, capfd, content, said):
    path = release / "training" / "skiing" / "c_3.mp4"
    path.unlink()
    if content == "short":
        _write_video(path, frames=2)
    elif content == "broken":
        path.write_bytes(b"\0\0\0\x18ftypmp42")
    arguments = [f"--source_dir={release}", f"--out_dir={tmp_path / 'out'}", "--frames=3"]
    with pytest.raises(SystemExit, match=f"error: .*{said}.*nothing is written") as stop:
        moments.main(arguments)
    assert "\n" not in str(stop.value) and not (tmp_path / "out").exists()
    moments.main([*arguments, "--skip_unreadable"])
    printed = capfd.readouterr()
    assert "train: 2 videos" in printed.out and "test: 2 videos" in printed.out
    assert "skipped " in printed.err
    assert "training/skiing/c_3" not in _read(tmp_path / "out", "train")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ("erupting,sking", r"training: no class 'sking' found; nearest: skiing"),
        ("Diving", r"no class 'Diving' found; nearest: diving"),
        ("xyz", "no class 'xyz' found; nearest: diving, erupting, skiing"),
        ("skiing,skiing", "classes=skiing,skiing: give at least one class, each only once"),
        ("", "classes=: give at least one class"),
    ],
)
def test_wrong_classes_raise_with_the_known_ones(tmp_path, release, classes, said):
    arguments = [f"--source_dir={release}", f"--out_dir={tmp_path / 'out'}"]
    with pytest.raises(SystemExit, match=said) as stop:
        moments.main([*arguments, f"--classes={classes}"])
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "out").exists()


def _empty(folder):
    for path in folder.iterdir():
        path.unlink()


def test_missing_parts_of_the_release_are_named(release):
    def refuses(said):
        with pytest.raises(ConversionError, match=said):
            moments.find_clips(release, ["skiing"])

    (release / "trainingSet.csv").write_text("diving/d_4.mp4,diving,3,0\n")
    refuses(r"trainingSet\.csv: no videos .* of the class 'skiing'")
    (release / "trainingSet.csv").write_text("diving/d_4.mp4,diving,3,0\nfile,label\n")
    refuses(r"trainingSet\.csv: line 2 is not <class>/<name>\.mp4,<class>")
    (release / "trainingSet.csv").unlink()
    _empty(release / "training" / "skiing")
    refuses(r"training/skiing: no videos .* of the class 'skiing'")
    (release / "training" / "skiing").rmdir()
    refuses(r"training: no class 'skiing'.*nearest: diving")
    for name in ("diving", "erupting"):
        _empty(release / "training" / name)
        (release / "training" / name).rmdir()
    refuses(r"training: no class 'skiing' found; the folder has no classes")
    (release / "training").rmdir()
    refuses(r"Raw: no folder training found; expected training/<class>/<name>\.mp4")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "--source_dir.*application.*moments.csail.mit.edu.*Monfort"),
        (
            ["--source_dir=none", "--out_dir=new"],
            "none: no such folder; give .* expected training/",
        ),
        (["--source_dir=.", "--out_dir=new"], "no folders training and validation found"),
        (["--frames=0", "--out_dir=new"], "frames=0: must be 1 or more"),
        ([], "--out_dir is missing"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=said) as stop:
        moments.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()


def test_the_registry_makes_it(tmp_path):
    for folder in FOLDERS.values():
        for name in ("erupting", "skiing"):
            _write_video(tmp_path / "in" / folder / name / "x.mp4", frames=30)
    folder = registry.prepare("moments", str(tmp_path / "data"), str(tmp_path / "in"))
    info = load_info(folder)
    assert {split: clips.count for split, clips in info.splits.items()} == {"train": 2, "test": 2}
