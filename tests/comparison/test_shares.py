import math

import numpy as np
import pytest

from kerasvid.comparison.preference import share_of


def wilson_interval(successes, trials, level=0.95):
    share = share_of(successes, trials, level)
    return share.low, share.high


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [  # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_published_intervals(successes, trials, expected):
    np.testing.assert_allclose(wilson_interval(successes, trials), expected, atol=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(1, 2), (100, 128), (378, 640), (7, 7)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_ends_of_the_interval_are_the_limits_of_the_score_test(successes, trials, level):
    for end in wilson_interval(successes, trials, level):
        if 0.0 < end < 1.0:
            score = (successes / trials - end) / math.sqrt(end * (1 - end) / trials)
            # The level, by the error function instead of a quantile.
            assert math.erf(abs(score) / math.sqrt(2)) == pytest.approx(level, abs=1e-9)
    low, high = wilson_interval(successes, trials, level)
    mirrored = wilson_interval(trials - successes, trials, level)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="must"):
        share_of(*counts)


def test_the_binomial_test_equals_counting_all_sequences():
    for tosses in range(1, 11):
        flips = (np.arange(2**tosses)[:, None] >> np.arange(tosses)) & 1
        heads = flips.sum(axis=1)  # of every sequence
        for seen in range(tosses + 1):
            as_uneven = np.abs(heads - tosses / 2) >= abs(seen - tosses / 2)
            assert share_of(seen, tosses).p == pytest.approx(as_uneven.mean())


def test_the_test_of_many_answers_is_nearly_normal():
    score = (5100 - 5000 - 0.5) / 50  # with the correction of continuity
    expected = 1 - math.erf(score / math.sqrt(2))
    assert share_of(5100, 10000).p == pytest.approx(expected, rel=1e-3)
    assert share_of(5000, 10000).p == 1.0
