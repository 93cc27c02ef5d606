import numpy as np

from kerasvid.data.pipeline import pick_indices


def test_a_window_is_strided_and_inside_the_video():
    for seed in range(50):
        window = pick_indices("window", 20, frames=4, stride=3, seed=[1, seed]).numpy()
        assert window.dtype == np.int32
        assert set(np.diff(window)) == {3} and window[0] >= 0 and window[-1] <= 19


def test_every_start_is_drawn_equally_often():
    starts = [int(pick_indices("window", 7, 3, 2, [0, seed])[0]) for seed in range(900)]
    counts = np.bincount(starts)
    assert len(counts) == 3  # 7 - (3 - 1) * 2 starts
    assert counts.min() > 240  # 300 expected, standard deviation 14


def test_a_window_as_long_as_the_video_is_the_video():
    np.testing.assert_array_equal(pick_indices("window", 5, 3, 2, [0, 0]), [0, 2, 4])


def test_the_seed_alone_decides():
    first = [int(pick_indices("window", 100, 2, 1, [3, k])[0]) for k in range(10)]
    again = [int(pick_indices("window", 100, 2, 1, [3, k])[0]) for k in range(10)]
    other = [int(pick_indices("window", 100, 2, 1, [4, k])[0]) for k in range(10)]
    assert first == again != other


def test_single_frames_reach_both_ends():
    drawn = {int(pick_indices("frame", 3, 8, 2, [0, seed])[0]) for seed in range(60)}
    assert drawn == {0, 1, 2}


def test_ends_and_start():
    np.testing.assert_array_equal(pick_indices("endpoints", 9, 8, 1, [0, 0]), [0, 8])
    np.testing.assert_array_equal(pick_indices("endpoints", 1, 8, 1, [0, 0]), [0, 0])
    np.testing.assert_array_equal(pick_indices("start", 9, 3, 2, [0, 0]), [0, 2, 4])
