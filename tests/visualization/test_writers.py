import os

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.visualization import writers


def ramp(frames=5, size=16):
    """Few colours that change from frame to frame, RGB: `[T, H, W, 3]`."""
    video = np.zeros([frames, size, size, 3], np.uint8)
    for t in range(frames):
        video[t, :, : size // 2] = (250, 40 * t, 0)
        video[t, : size // 2, size // 2 :] = (0, 30, 200)
    return video


def test_a_png_keeps_every_pixel_and_the_order_of_colours(tmp_path):
    image = ramp()[2]
    writers.write_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_gif_has_every_frame_nearly_unchanged(tmp_path):
    video = ramp()
    writers.write_gif(tmp_path / "a.gif", video, fps=10)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 5 and animation.info["loop"] == 0
        for number, expected in enumerate(video):
            animation.seek(number)
            assert animation.info["duration"] == 100
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(shown - expected).mean() < 4


def test_an_mp4_has_the_length_and_rate_and_even_sides(tmp_path):
    video = np.repeat(np.repeat(ramp(), 4, axis=1), 4, axis=2)[:, :63, :61]
    writers.write_mp4(tmp_path / "a.mp4", video, fps=5, repeats=3)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    frames = []
    while (item := capture.read())[0]:
        frames.append(item[1][..., ::-1])
    assert len(frames) == 15 and frames[0].shape == (64, 62, 3)
    assert np.abs(frames[1][:63, :61].astype(int) - video[1]).mean() < 8


def test_a_failed_write_keeps_the_old_image(tmp_path):
    path = tmp_path / "a.png"
    writers.write_png(path, ramp()[0])
    before = path.read_bytes()
    with pytest.raises(cv2.error):
        writers.write_png(path, np.zeros([0, 0, 3], np.uint8))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_a_quick_gif_is_not_shown_slower_than_it_can_be(tmp_path):
    writers.write_gif(tmp_path / "a.gif", ramp(), fps=120)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.info["duration"] == 20  # players take less for 100 ms


def test_names_that_are_not_unicode_do_not_end_the_process(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    path = os.fsdecode(folder)
    writers.write_png(f"{path}/a.png", ramp()[0])
    writers.write_gif(f"{path}/a.gif", ramp())
    assert sorted(os.listdir(folder)) == [b"a.gif", b"a.png"]
    with pytest.raises(OSError, match="its name is not UTF-8, rename it"):
        writers.write_mp4(f"{path}/a.mp4", ramp())
