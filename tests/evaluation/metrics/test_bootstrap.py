import numpy as np
import pytest

from kerasvid.evaluation.metrics.intervals import bootstrap_interval, interval_of_replicates


def values(count, seed=0):
    return 5.0 + np.random.default_rng(seed).gamma(2.0, size=count)


def test_the_interval_is_that_of_drawing_with_replacement():
    scores, generator = values(300), np.random.default_rng(9)
    means = generator.choice(scores, [4000, 300]).mean(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    found = bootstrap_interval(scores, 0.9, replicates=4000)
    assert found.mean == pytest.approx(scores.mean(), rel=1e-12)
    assert found.std == pytest.approx(scores.std(), rel=1e-12)
    tolerance = 0.08 * (high - low)
    assert found.low == pytest.approx(low, abs=tolerance)
    assert found.high == pytest.approx(high, abs=tolerance)


def test_the_interval_of_many_values_is_the_normal_one():
    scores = values(2000, seed=1)
    half = 1.96 * scores.std() / 2000**0.5
    found = bootstrap_interval(scores, 0.95, replicates=4000)
    assert found.high - found.mean == pytest.approx(half, rel=0.08)
    assert found.mean - found.low == pytest.approx(half, rel=0.08)


def test_intervals_cover_the_true_mean_as_often_as_their_level():
    generator, hits = np.random.default_rng(4), 0
    for trial in range(200):
        found = bootstrap_interval(generator.normal(3.0, 2.0, 50), 0.8, 200, seed=trial)
        hits += found.low <= 3.0 <= found.high
    assert 0.7 < hits / 200 < 0.88


def test_windows_of_a_video_are_drawn_together():
    scores, videos = values(40), np.tile(np.arange(40)[::-1], 9)
    once, often = bootstrap_interval(scores), bootstrap_interval(np.tile(scores, 9), videos=videos)
    assert often[:4] == pytest.approx(once[:4], rel=1e-12) and often.size == 360
    alone = bootstrap_interval(np.tile(scores, 9))
    assert 3 * (alone.high - alone.low) == pytest.approx(once.high - once.low, rel=0.15)
    with pytest.raises(ValueError, match="Values of one video have no interval"):
        bootstrap_interval(scores, videos=np.zeros(40))
    with pytest.raises(ValueError, match=r"videos of the shape \(9,\): use \[40\]"):
        bootstrap_interval(scores, videos=np.zeros(9))


def test_the_interval_depends_on_the_seed():
    scores = values(30)
    assert bootstrap_interval(scores, seed=3) == bootstrap_interval(scores, seed=3)
    assert bootstrap_interval(scores, seed=3) != bootstrap_interval(scores, seed=4)


def test_equal_values_have_no_width_and_two_have_an_interval():
    value = 1e9 + 1 / 3  # its multiples are rounded
    assert bootstrap_interval(np.full(9, value))[:4] == (value,) * 3 + (0.0,)
    found = bootstrap_interval(np.array([1.0, 2.0]))
    assert 1.0 <= found.low < found.high <= 2.0


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones([2, 2]), r"use \[N\]"),
        (np.array([1.0, np.inf]), "not finite"),
        (np.array([1.0]), "1 values have no interval"),
    ],
)
def test_values_without_an_interval_are_an_error(scores, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(scores)
    for options in ({"level": 95}, {"replicates": 1}):
        with pytest.raises(ValueError, match="use a level between 0 and 1 and 2 or more replic"):
            bootstrap_interval(np.ones(3), **options)


def test_replicates_are_centred_on_the_value():
    replicates = np.random.default_rng(0).normal(7.0, 0.5, 4000)
    found = interval_of_replicates(replicates, 3.0, 40)
    low, high = np.quantile(replicates - replicates.mean() + 3.0, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == 3.0 and found.size == 40
    assert found.std == pytest.approx(0.5, rel=0.05)


def test_centred_replicates_end_at_the_upper_bound():
    replicates = np.random.default_rng(0).normal(0.9, 0.05, 500)
    assert interval_of_replicates(replicates, 0.98, 40).high > 1.0
    found = interval_of_replicates(replicates, 0.98, 40, most=1.0)
    assert found.high == 1.0 and found.low < 0.98 == found.mean


def test_the_value_is_never_outside_of_its_interval():
    skewed = np.array([0.0] * 99 + [100.0])
    found = interval_of_replicates(skewed, 1.0, 10)
    assert found.low <= 1.0 <= found.high
