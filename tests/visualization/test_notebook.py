"""Videos as a notebook shows them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from kerasvid.visualization import show


def shown(videos, **options) -> Image.Image:
    """The animation in the HTML of a cell."""
    html = show(videos, **options)._repr_html_()
    found = re.fullmatch(r'<img src="data:image/gif;base64,([^"]+)" alt="([^"<>]+)">', html)
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def test_a_cell_plays_all_videos_side_by_side_without_end():
    videos = np.zeros([3, 4, 16, 16, 3], np.uint8)
    videos[:] = np.array([0, 100, 200, 50], np.uint8)[:, None, None, None]
    film = shown(videos, fps=5.0, columns=2)
    assert film.n_frames == 4 and film.info["loop"] == 0 and film.info["duration"] == 200
    width, height = film.size
    assert 128 <= width < 150 and 128 <= height < 150  # two rows of two, 64 pixels each
    levels = []
    for number in range(4):
        film.seek(number)
        levels.append(int(np.asarray(film.convert("RGB"))[20, 20, 0]))
    assert levels == [0, 100, 200, 50]


def test_one_video_floats_and_grey_are_shown():
    grey = np.arange(4, dtype=np.uint8)[:, None, None, None] + np.zeros([8, 8, 1], np.uint8)
    assert shown(grey).n_frames == 4
    ramp = np.linspace(-1.0, 1.0, 3, dtype=np.float32)[:, None, None, None]
    film = shown(np.broadcast_to(ramp, [3, 64, 64, 3]), scale=1)
    assert film.n_frames == 3 and max(film.size) < 72


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_the_animation_is_saved_outside_of_a_notebook(tmp_path, name):
    show(np.zeros([2, 4, 16, 16, 3], np.uint8)).save(tmp_path / name)
    assert (tmp_path / name).stat().st_size > 100


def test_the_text_of_a_cell_is_short():
    assert repr(show(np.zeros([2, 4, 8, 16, 3], np.uint8))) == "2 videos of 4 frames, 8x16"


@pytest.mark.parametrize(
    ("videos", "options", "message"),
    [
        (np.zeros([8, 8, 3], np.uint8), {}, r"shape \(8, 8, 3\): give \[B, T, H, W"),
        (np.zeros([2, 4, 8, 8, 2], np.uint8), {}, "1 or 3"),
        (np.full([4, 8, 8, 3], 255.0), {}, r"\[-1, 1\]"),
        (np.zeros([4, 8, 8, 3], np.uint8), {"fps": 0}, "must be positive"),
        (np.zeros([4, 8, 8, 3], np.uint8), {"columns": 0}, "must be positive"),
    ],
)
def test_what_is_no_video_is_refused(videos, options, message):
    with pytest.raises(ValueError, match=message):
        show(videos, **options)
