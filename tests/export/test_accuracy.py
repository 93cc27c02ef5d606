"""Differences of tensors, by numbers worked out by hand."""

import math

import numpy as np
import pytest

from kerasvid.export.accuracy import difference


def test_pixels_have_a_psnr_by_the_peak_of_their_type():
    zeros = np.zeros([1, 1, 2, 2], np.uint8)
    found = difference(np.uint8([[[[0, 0], [0, 51]]]]), zeros)
    assert (found.largest, found.mean) == (51.0, 12.75)
    assert math.isclose(found.psnr, 10 * math.log10(255**2 / (51**2 / 4)))
    found = difference(np.float32([[[[0, 0], [0, 0.5]]]]), zeros.astype(np.float32))
    assert math.isclose(found.psnr, 10 * math.log10(4 / (0.25 / 4)))
    assert difference(zeros, zeros).psnr == math.inf
    assert difference(zeros, zeros).as_json() == {"max": 0.0, "mean": 0.0, "psnr_db": None}


def test_numbers_below_zero_do_not_wrap_and_codes_have_no_psnr():
    found = difference(np.uint8([[3]]), np.uint8([[5]]))
    assert found.largest == 2.0 and found.psnr is None


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (np.zeros([2, 3], np.float32), "The outputs are"),
        (np.zeros([2, 2], np.uint8), "The outputs are"),
        (np.full([2, 2], np.nan, np.float32), "not finite"),
    ],
)
def test_incomparable_outputs_are_refused(ours, message):
    with pytest.raises(ValueError, match=message):
        difference(ours, np.zeros([2, 2], np.float32))
