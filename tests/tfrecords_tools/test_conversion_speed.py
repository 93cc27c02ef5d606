"""The converter beside ffmpeg, on the same files."""

import itertools
import json
import os
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from tfrecords_tools import conversion_speed
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.conversion_speed import draw_footage, measure_conversion
from tfrecords_tools.converters.folder import FolderOptions, prepare
from tfrecords_tools.media import open_video

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the program ffmpeg is absent")


@pytest.fixture
def footage(tmp_path):
    """A folder of two short videos of 6 and 9 frames."""
    (tmp_path / "in").mkdir()
    for number, frames in enumerate((6, 9)):
        draw_footage(str(tmp_path / "in" / f"{number}.mp4"), number, frames)
    return tmp_path / "in"


@needs_ffmpeg
def test_a_drawn_video_is_h264_that_moves_and_has_grain(footage):
    shown = subprocess.run(["ffmpeg", "-i", footage / "1.mp4"], capture_output=True, text=True)
    assert "Video: h264" in shown.stderr and "640x360" in shown.stderr
    frames = [frame.astype(int) for frame in open_video(str(footage / "1.mp4"))]
    assert len(frames) == 9
    changes = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    assert min(changes) > 2
    other = next(iter(open_video(str(footage / "0.mp4")))).astype(int)
    assert np.abs(other - frames[0]).mean() > 20


@needs_ffmpeg
def test_both_convert_all_frames_in_turns(footage, monkeypatch):
    order = []

    def noted(name, work):
        return lambda *given: (order.append(name), work(*given))[1]

    for name in ("_by_ffmpeg", "_by_converter"):
        work = getattr(conversion_speed, name)
        monkeypatch.setattr(conversion_speed, name, noted(name, work))
    found = measure_conversion(footage, 32, 48, repeats=2)
    assert order == ["_by_ffmpeg", "_by_converter"] * 2
    assert (found["videos"], found["frames"]) == (2, 15) and len(found["ratios"]) == 2
    assert found["ratio"] == pytest.approx(sum(found["ratios"]) / 2, abs=2e-3)
    assert min(found["cpu_ratio"], found["converter_frames_per_second"]) > 0


@needs_ffmpeg
def test_the_images_of_ffmpeg_show_what_the_records_show(footage, tmp_path):
    files = [str(footage / f"{number}.mp4") for number in range(2)]
    assert conversion_speed._by_ffmpeg(str(tmp_path / "png"), "", files, 40, 40) == 15
    info = prepare(
        tmp_path / "out", footage, FolderOptions(height=40, width=40, test_fraction=0),
        progress=False,
    )  # fmt: skip
    assert conversion_speed.count_frames(str(tmp_path / "out"), info) == 15
    for name, path in (("00000", files[0]), ("00001", files[1])):
        for number, frame in enumerate(open_video(path).fitted(40, 40), 1):
            image = cv2.imread(str(tmp_path / "png" / name / f"{number:06d}.png"))[..., ::-1]
            # ffmpeg crops at even columns, as the colours of the video have half of them.
            shifts = [
                np.abs(image[:, 1 + shift : 39 + shift].astype(int) - frame[:, 1:39]).mean()
                for shift in (-1, 0, 1)
            ]
            assert min(shifts) < 5 and min(shifts) < max(shifts) / 2


def test_without_ffmpeg_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConversionError, match=r"^ffmpeg: the program is not installed; install"):
        measure_conversion(tmp_path)


@needs_ffmpeg
def test_a_file_that_ffmpeg_cannot_read_is_named_in_one_line(footage):
    (footage / "2.mp4").write_bytes(b"no video")
    with pytest.raises(ConversionError, match=r"2\.mp4: ffmpeg fails .*; remove") as caught:
        measure_conversion(footage)
    assert "\n" not in str(caught.value)


@needs_ffmpeg
def test_images_are_no_footage(footage):
    os.mkdir(footage / "images")
    cv2.imwrite(str(footage / "images" / "1.png"), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(footage / "images" / "2.png"), np.ones((8, 8, 3), np.uint8))
    with pytest.raises(ConversionError, match=r"1\.png: not a video file; give a folder of video"):
        measure_conversion(footage)


@needs_ffmpeg
def test_the_measurement_is_reported_as_json(monkeypatch):
    given = json.loads(json.dumps(measure_conversion(repeats=1, videos=1)))
    assert given["videos"] == 1 and given["frames"] == conversion_speed.FRAMES
