import math

import numpy as np
import pytest

from kerasvid.visualization.nearest_clip import l2_distances


def test_the_distance_is_the_norm_of_the_difference_of_pixels_in_0_to_1():
    random = np.random.default_rng(0)
    clips, others = random.integers(0, 256, [2, 3, 2, 4, 5, 3], dtype=np.uint8)
    distances = l2_distances(clips, others)
    assert distances.shape == (3,)
    for row in range(3):
        total = 0.0
        for a, b in zip(clips[row].ravel().tolist(), others[row].ravel().tolist(), strict=True):
            total += (a / 255 - b / 255) ** 2
        assert distances[row] == pytest.approx(math.sqrt(total), rel=1e-12)


def test_the_distance_of_black_and_white_is_the_root_of_the_number_of_pixels():
    black = np.zeros([1, 4, 3, 3, 1], np.uint8)
    assert l2_distances(255 - black, black) == pytest.approx(6.0)  # sqrt(4 * 3 * 3)
    assert l2_distances(black, black) == 0.0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.zeros([2, 5, 3, 3, 1], np.uint8), r"and uint8 \(2, 5, 3, 3, 1\). Give uint8 of one"),
        (np.zeros([2, 4, 3, 3, 1]), r"and float64 \(2, 4, 3, 3, 1\). Give uint8 of one shape"),
    ],
)
def test_clips_that_cannot_be_compared_raise_one_line(other, message):
    with pytest.raises(ValueError, match=message) as error:
        l2_distances(np.zeros([2, 4, 3, 3, 1], np.uint8), other)
    assert "\n" not in str(error.value)
