"""Grids of frames, single or in motion."""

import numpy as np
import pytest

from kerasvid.visualization import grids


def test_a_grid_puts_frames_in_rows_and_columns_two_pixels_apart():
    red, blue = np.zeros([2, 2, 4, 3], np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    image = grids.grid([[red, None], [None, blue]], scale=3)
    assert image.shape == (2 * 6 + 3 * 2, 2 * 12 + 3 * 2, 3)
    np.testing.assert_array_equal(image[2:8, 2:14], np.broadcast_to([255, 0, 0], [6, 12, 3]))
    np.testing.assert_array_equal(image[10:16, 16:28], np.broadcast_to([0, 0, 255], [6, 12, 3]))
    assert (image[2:8, 16:28] == grids.BACKGROUND).all()
    assert (image[8:10] == grids.BACKGROUND).all()


@pytest.mark.parametrize(("height", "scale"), [(8, 8), (48, 2), (64, 1), (256, 1)])
def test_small_frames_are_enlarged_to_64_pixels(height, scale):
    image = grids.grid([[np.zeros([height, height, 3], np.uint8)]])
    assert image.shape == (height * scale + 4, height * scale + 4, 3)


def test_long_videos_show_16_frames_with_both_ends():
    video = np.arange(40, dtype=np.uint8).reshape(1, 40, 1, 1, 1)
    (row,) = grids.clip_rows(video)
    assert len(row) == 16 and row[0].item() == 0 and row[-1].item() == 39


def test_grey_videos_make_grey_images():
    image = grids.grid([[np.full([64, 64, 1], 90, np.uint8)]])
    assert image.shape == (68, 68, 3) and (image[2:-2, 2:-2] == 90).all()
