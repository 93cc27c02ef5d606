import numpy as np
import pytest

from kerasvid.evaluation.metrics.clip_batches import as_bytes, as_signed, counted_clips


def clips(count, shape=(3, 4, 4, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 256, [count, *shape], dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 4, 5, 7, 12])
def test_the_requested_number_of_clips_comes_in_order(count):
    all_clips = clips(12)
    found = list(counted_clips(np.split(all_clips, 3), count, "real"))
    np.testing.assert_array_equal(np.concatenate(found), all_clips[:count])


def test_later_batches_are_not_read():
    drawn = []

    def batches():
        for number in range(9):
            drawn.append(number)
            yield clips(4)

    assert sum(len(b) for b in counted_clips(batches(), 8, "real")) == 8
    assert drawn == [0, 1]


def test_too_few_clips_are_an_error_and_not_repeated():
    with pytest.raises(ValueError, match=r"There are 7 real clips, not 8. Use 7 or fewer"):
        list(counted_clips([clips(4), clips(3)], 8, "real"))
    with pytest.raises(ValueError, match="no generated clips"):
        list(counted_clips([], None, "generated"))
    with pytest.raises(ValueError, match="clips=0: use 1 or more"):
        list(counted_clips([clips(4)], 0, "real"))


def spoiled(value):
    floats = np.zeros([3, 2, 2, 2, 1], np.float32)
    floats[1, 1, 0, 1] = value
    return floats


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (clips(2)[0], r"Use \[B, T, H, W, C\]"),
        (clips(2, (1, 4, 4, 1)), "have 1 frames. Use 2 frames or more"),
        (clips(2).astype(np.int64), "are int64. Use uint8, or floats"),
        (spoiled(np.nan), "pixels of clip 1 of a batch are not finite. Check their source"),
        (spoiled(np.inf), "not finite"),
        (spoiled(255.0), r"clip 1 of a batch are not in \[-1, 1\]. Rescale them"),
    ],
)
def test_wrong_clips_are_an_error_of_one_line(batch, message):
    with pytest.raises(ValueError, match=message) as error:
        list(counted_clips([batch], None, "real", min_frames=2))
    assert "\n" not in str(error.value)


def test_clips_of_two_shapes_are_an_error():
    with pytest.raises(ValueError, match="Use the same T"):
        list(counted_clips([clips(2), clips(2, (5, 4, 4, 1))], None, "real"))


def test_bytes_and_signed_floats_are_each_other():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 4, 8, 8, 1)
    signed = as_signed(levels)
    assert signed.dtype == np.float32 and signed.min() == -1.0 and signed.max() == 1.0
    np.testing.assert_array_equal(as_bytes(signed), levels)
    assert as_signed(signed.astype(np.float64)).dtype == np.float32
