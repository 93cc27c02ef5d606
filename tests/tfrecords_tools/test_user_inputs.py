"""Footage as users bring it, made by the scripts beside the sample data."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.cli.main import main
from kerasvid.data import load_info, parse_record
from kerasvid.data.records import decode_frames
from kerasvid.data.shards import record_values
from tfrecords_tools.converters.folder import find_clips

pytestmark = [pytest.mark.slow, pytest.mark.needs_shared]


@pytest.fixture
def make_case(shared_data, tmp_path):
    """A function that runs a script by name and returns its working folder, which has src/."""
    if missing := [tool for tool in ("bash", "convert", "ffmpeg") if not shutil.which(tool)]:
        pytest.skip(f"not installed: {', '.join(missing)}")

    def make(name):
        folder, scripts = tmp_path / "case", shared_data.resolve().parent / "cases"
        folder.mkdir()
        script = f'. "{scripts}/env.sh"; . "{scripts}/{name}.sh"'
        environment = {**os.environ, "PY": sys.executable}
        subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environment, check=True, capture_output=True
        )
        return folder

    return make


@pytest.fixture
def convert(tmp_path, capsys):
    """A function of a folder and flags to (videos by id, uint8 [T, H, W, 3], lines on stderr)."""

    def run(source, *flags, height=64, width=64):
        out = str(tmp_path / "out")
        size = (f"--height={height}", f"--width={width}", "--test_fraction=0", "--overwrite")
        main(["data", "folder", f"--source_dir={source}", f"--out_dir={out}", *size, *flags])
        info, videos = load_info(out), {}
        files = [os.path.join(out, shard.file) for shard in info.splits["train"].shards]
        for serialized in tf.data.TFRecordDataset(files):
            record = parse_record(serialized)
            frames = decode_frames(record["frames"], info.encoding, *info.frame_shape).numpy()
            videos[record["id"].numpy().decode()] = frames
        return videos, capsys.readouterr().err.splitlines()

    return run


def about(lines, name):
    """The lines that name a file or folder."""
    return [line for line in lines if name in line]


def test_transparent_pixels_are_black_in_every_format(make_case, convert):
    videos, _ = convert(make_case("05-transparency") / "src")
    assert sorted(videos) == ["apng/t.png", "gif/t.gif", "seq", "webp/t.webp", "webp/u.webp"]
    for name, frames in videos.items():
        order = [0, *range(6, -1, -1)] if name == "webp/u.webp" else range(8)
        expected = np.zeros((8, 64, 64, 3), np.uint8)
        for number, k in enumerate(order):
            expected[number, 20:44, 4 * k : 4 * k + 20] = (255, 0, 0)
        np.testing.assert_array_equal(frames, expected, name)


def test_every_depth_becomes_8_bits_and_floating_point_is_refused(make_case, convert):
    videos, lines = convert(make_case("06-gray-depth") / "src", "--skip_unreadable")
    ramps = [np.clip(np.arange(64) * 3 + k * 5, 0, 255) for k in range(20)]
    kinds = {"g8": 6, "g16": 6, "rgb16": 6, "la": 6, "pal": 6, "bit": 6, "cmyk": 6}
    kinds["stack/cell.tif"] = 20
    assert {name: len(frames) for name, frames in videos.items()} == kinds
    for name, frames in videos.items():
        for frame, ramp in zip(frames.astype(int), ramps, strict=False):
            expected = np.where(ramp > 96, 255, 0) if name == "bit" else ramp
            np.testing.assert_allclose(frame, np.tile(expected[:, None], (64, 1, 3)), atol=8)
    assert len(about(lines, "0.tif: its pixels are floating-point numbers")) == 1


def test_unicode_names_are_names_and_others_are_refused(make_case, convert):
    folder = make_case("08-names")
    names = [str(path.relative_to(folder / "src")) for path in (folder / "src").rglob("*.mp4")]
    os.mkdir(os.fsencode(folder) + b"/src/gar\xe7on")
    for odd in (b"/src/plain/caf\xe9.mp4", b"/src/gar\xe7on/a.mp4"):
        shutil.copy(folder / "base.mp4", os.fsencode(folder) + odd)
    videos, lines = convert(folder / "src", "--skip_unreadable")
    assert len(names) == 9 and set(names) <= set(videos)
    for name in names:
        np.testing.assert_array_equal(videos[name], videos["-dash/-i.mp4"])
        assert len(videos[name]) == 10
    for name in (r"caf\xe9.mp4", r"gar\xe7on/a.mp4"):
        assert len(about(lines, f"{name}: cannot be read (its name is not UTF-8")) == 1


def test_damaged_files_are_named_and_can_be_skipped_with_their_classes(
    make_case, convert, tmp_path
):
    folder = make_case("11-damaged")
    damaged = ["empty/a.mp4", "html/b.mp4", "nomoov/c.mp4", "half/d.mp4", "audio/e.mp4",
               "aviend/f.avi", "webmhalf/g.webm", "gifcut/h.gif", "jpg/2.jpg"]  # fmt: skip
    with pytest.raises(SystemExit) as caught:
        convert(folder / "src")
    assert all(name in str(caught.value) for name in damaged)
    (folder / "src" / "whole").mkdir()
    for ending in ("mp4", "avi", "webm", "gif"):
        shutil.copy(folder / f"full.{ending}", folder / "src" / "whole")
    videos, lines = convert(folder / "src", "--skip_unreadable")
    assert {name: len(frames) for name, frames in videos.items()} == {
        "whole/full.mp4": 100, "whole/full.avi": 100, "whole/full.webm": 100, "whole/full.gif": 6
    }  # fmt: skip
    assert all(len(about(lines, name)) == 1 for name in damaged)
    assert load_info(out := str(tmp_path / "out")).class_names == ("whole",)
    assert record_values(out, "train", "label") == {0}
    for name in ("empty", "html", "nomoov", "audio"):
        assert len(about(lines, f"left out the class {name!r}")) == 1


def test_cover_pictures_and_thumbnails_are_no_footage(make_case, convert):
    videos, _ = convert(make_case("13-streams") / "src")
    names = ["clips/coverfirst.mp4", "clips/coverlast.mp4", "thumbs/Talk [abc].mp4"]
    for name in names:  # no cover picture among them
        np.testing.assert_array_equal(videos[name], videos["thumbs/Talk [def].mp4"])
        assert len(videos[name]) == 10


def test_photos_lie_as_they_were_held(make_case, convert):
    videos, _ = convert(make_case("14-exif") / "src", height=96, width=48)
    [frames] = videos.values()
    assert len(frames) == 4
    np.testing.assert_allclose(frames[:, :30].reshape(-1, 3).mean(0), [0, 0, 254], atol=3)
    np.testing.assert_allclose(frames[:, 34:].reshape(-1, 3).mean(0), [254, 0, 0], atol=3)


def test_a_phone_video_stands_as_it_was_held(make_case, convert):
    videos, _ = convert(make_case("22-rotation") / "src", height=64, width=48)
    [frames] = videos.values()
    assert frames[:, :10, :, 0].mean() > 240 and frames[:, 14:].mean() < 10


def test_litter_of_systems_and_storage_is_no_class_and_no_clip(make_case, convert):
    source = make_case("09-os-litter") / "src"
    clips, others = find_clips(source)
    assert [(clip.id, len(clip.paths)) for clip in clips] == [("a/one.mp4", 1), ("b/seq", 3)]
    assert others == []
    videos, _ = convert(source)
    assert sorted(videos) == ["a/one.mp4", "b/seq"]


def test_frames_twice_as_wide_as_high_are_whole(make_case, convert, tmp_path):
    videos, _ = convert(make_case("36-two-to-one") / "src")
    assert [len(frames) for frames in videos.values()] == [10, 10, 10]
    assert load_info(tmp_path / "out").class_names == ("town",)
