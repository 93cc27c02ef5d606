import numpy as np
import pytest

from kerasvid.evaluation.metrics import precision_recall as module
from kerasvid.evaluation.metrics.precision_recall import precision_recall

NAMES = ("precision", "recall", "density", "coverage")


def values_of(*sets, **options):
    return {name: score.value for name, score in precision_recall(*sets, **options).items()}


def points(count, seed=0, size=3, shift=0.0):
    return np.random.default_rng(seed).normal(size=[count, size]) + shift


def by_loops(real, generated):
    """Every definition read out, a pair of points at a time."""

    def radius(own, i, k):
        others = sorted(np.sqrt(np.sum((own[i] - p) ** 2)) for j, p in enumerate(own) if j != i)
        return others[k - 1]

    def apart(a, b):
        return np.sqrt(np.sum((a - b) ** 2))

    n, m = range(len(real)), range(len(generated))
    balls = [radius(real, i, 3) for i in n]
    wide = [radius(real, i, 5) for i in n]
    made = [radius(generated, j, 3) for j in m]
    return {
        "precision": np.mean([any(apart(real[i], generated[j]) <= balls[i] for i in n) for j in m]),
        "recall": np.mean([any(apart(real[i], generated[j]) <= made[j] for j in m) for i in n]),
        "density": sum(apart(real[i], generated[j]) < wide[i] for i in n for j in m) / 5 / len(m),
        "coverage": np.mean([min(apart(real[i], g) for g in generated) < wide[i] for i in n]),
    }


def test_values_are_those_of_the_definitions(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 7)
    for shift in (0.0, 1.0, 2.5):
        real, generated = points(30), points(22, 1, shift=shift)
        assert values_of(real, generated) == pytest.approx(by_loops(real, generated), rel=1e-12)
    assert 0 < values_of(points(30), points(22, 1, shift=1.0))["precision"] < 1


def test_points_on_a_line_have_the_values_worked_by_hand():
    """Real points 0 .. 7: radii of k = 3 are 3, 2, 2, 2, 2, 2, 2, 3; of k = 5: 5, 4, 3, 3, ..."""
    real = np.arange(8.0)[:, None]
    # In balls of k = 3: -3 and 10 on the surface, 3.5; not 10.5 and further.
    generated = np.array([-3.0, 10.0, 3.5, 10.5, 50.0, 60.0, 70.0])[:, None]
    found = values_of(real, generated)
    assert found["precision"] == pytest.approx(3 / 7)
    # Inside of k = 5, without the surface: -3 of 0 (5 > 3), not of 1 (4); 10 of 7, not of 6;
    # 3.5 of all but none: |i - 3.5| < 5, 4, 3, 3, 3, 3, 4, 5; 10.5 of 7 (3.5 < 5) and 6? 4.5 > 4.
    assert found["density"] == pytest.approx((1 + 1 + 8 + 1) / 5 / 7)
    assert found["coverage"] == 1.0
    # Balls of generated points, k = 3: of 3.5 to 7 on both sides, which holds every real point.
    assert found["recall"] == 1.0


def test_equal_sets_have_all_values_1():
    real = points(40, size=20)
    assert values_of(real, real[::-1]) == dict.fromkeys(NAMES, 1.0)


def test_sets_far_apart_have_all_values_0():
    assert values_of(points(20), points(20, 1, shift=100.0)) == dict.fromkeys(NAMES, 0.0)


def test_few_kinds_are_precise_and_recall_little():
    generator = np.random.default_rng(0)
    real = points(400, size=4)
    one_kind = real[0] + 0.3 * generator.normal(size=[400, 4])
    found = values_of(real, one_kind)
    assert found["precision"] > 0.95 and found["density"] > 0.9
    assert found["recall"] < 0.2 and found["coverage"] < 0.4


# === Uncertainty ===


def test_the_std_is_at_least_that_from_draw_to_draw_and_less_than_three_times_it():
    found, errors = [], []
    for draw in range(60):
        sets = points(160, 2 * draw, 2), points(160, 2 * draw + 1, 2, 0.8)
        scores = precision_recall(*sets, groups=20 if draw < 12 else 1)
        found.append([scores[name].value for name in NAMES])
        if draw < 12:
            errors.append([scores[name].std for name in NAMES])
    ratios = np.mean(errors, axis=0) / np.std(found, axis=0)
    assert (ratios > 0.9).all() and (ratios < 3.0).all()


def test_windows_of_a_video_change_neither_the_values_nor_their_std():
    real, generated = points(60), points(60, 1, shift=0.7)
    once = precision_recall(real, generated, 20)
    copies = [np.tile(each, (3, 1)) for each in (real, generated)]
    videos = np.tile(np.arange(60), 3)
    often = precision_recall(*copies, 20, videos, videos)
    for name in NAMES:
        np.testing.assert_allclose(often[name], once[name], rtol=1e-9)
        assert once[name].std > 0.01


def test_what_has_no_values_is_an_error_of_one_line():
    for sets, message in (
        ((points(6), points(20)), "real clips of 6 videos: use 7 or more"),
        ((points(20), points(20)[0]), r"generated features \(3,\): use finite"),
        ((points(20), np.full([20, 3], np.nan)), "generated features .* use finite values"),
    ):
        with pytest.raises(ValueError, match=message):
            precision_recall(*sets)
    with pytest.raises(ValueError, match="real clips of 2 videos"):
        precision_recall(points(20), points(20), real_videos=np.arange(20) % 2)


def test_too_few_videos_outside_a_group_are_refused_in_one_line():
    points = np.random.default_rng(0).normal(size=[8, 2])
    with pytest.raises(ValueError, match="8 videos: too few for 2 groups") as error:
        precision_recall(points, points + 1.0, groups=2)
    assert "\n" not in str(error.value)
