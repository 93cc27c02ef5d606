import numpy as np
import pytest

from kerasvid.visualization.nearest_clip import clip_psnr, nearest_clips


def clips(count, seed, shape=(3, 4, 4, 3)):
    return np.random.default_rng(seed).integers(0, 256, [count, *shape], dtype=np.uint8)


def in_batches(array, size):
    return (array[i : i + size] for i in range(0, len(array), size))


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_the_nearest_clip_equals_that_of_a_search_one_by_one(batch):
    queries, real = clips(6, 0), clips(50, 1)
    found, psnr = nearest_clips(queries, in_batches(real, batch))
    for row, query in enumerate(queries):
        errors = [((query.astype(int) - other.astype(int)) ** 2).mean() for other in real]
        best = int(np.argmin(errors))
        np.testing.assert_array_equal(found[row], real[best])
        assert psnr[row] == pytest.approx(20 * np.log10(255) - 10 * np.log10(errors[best]))


def test_a_copy_is_found_and_has_an_infinite_psnr():
    real = clips(40, 1)
    found, psnr = nearest_clips(real[[31, 2]], in_batches(real, 16))
    np.testing.assert_array_equal(found, real[[31, 2]])
    assert np.isinf(psnr).all()


def test_clips_that_differ_in_one_level_are_distinguished():
    shape = (8, 64, 64, 3)  # as large as real ones: the product must keep enough digits
    query = np.full([1, *shape], 200, np.uint8)
    near, nearer = query + 2, query + 1
    found, psnr = nearest_clips(query, [near, nearer])
    np.testing.assert_array_equal(found, nearer)
    assert psnr[0] == pytest.approx(48.1308, abs=1e-3)  # 20 log10(255)


def test_psnr_of_black_and_white_is_zero():
    black, white = np.zeros([2, 1, 2, 2, 1], np.uint8), np.full([2, 1, 2, 2, 1], 255, np.uint8)
    np.testing.assert_allclose(clip_psnr(black, white), [0.0, 0.0])


def test_other_lengths_and_no_clips_raise_an_error():
    with pytest.raises(ValueError, match="the same T"):
        nearest_clips(clips(1, 0), [clips(2, 1, (5, 4, 4, 3))])
    with pytest.raises(ValueError, match="at least one clip"):
        nearest_clips(clips(1, 0), [])
