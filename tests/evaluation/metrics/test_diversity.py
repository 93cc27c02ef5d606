import itertools

import numpy as np
import pytest

from kerasvid.evaluation.metrics import diversity
from kerasvid.evaluation.metrics.diversity import novelty, variety
from kerasvid.visualization.nearest_clip import l2_distances


def clips(count, seed=0, shape=(3, 4, 4, 3)):
    return np.random.default_rng(seed).integers(0, 256, [count, *shape], dtype=np.uint8)


def in_batches(array, size):
    return (array[i : i + size] for i in range(0, len(array), size))


def apart(one, other):
    return np.sqrt(np.sum((one / 255.0 - other / 255.0) ** 2))


# === Memorising ===


@pytest.mark.parametrize("batch", [1, 7, 30])
def test_distances_are_those_of_a_search_one_by_one(batch):
    samples, held_out, training = clips(5), clips(4, 1), clips(30, 2)
    found = novelty(samples, held_out, in_batches(training, batch))
    for queries, distances in zip((samples, held_out), found, strict=True):
        expected = [min(apart(q, t) for t in training) for q in queries]
        np.testing.assert_allclose(distances, expected, rtol=1e-9)


def test_copies_are_nearer_than_new_clips():
    training = clips(40, 2)
    copies = np.clip(training[:8].astype(int) + 1, 0, 255).astype(np.uint8)
    of_copies, of_new = novelty(copies, clips(20, 1), in_batches(training, 16))
    assert of_copies.mean() < 0.02 * of_new.mean()
    one, other = novelty(clips(20, 3), clips(20, 1), in_batches(training, 16))
    assert one.mean() == pytest.approx(other.mean(), rel=0.05)
    exact, _ = novelty(training[[3, 5]], clips(2, 1), in_batches(training, 16))
    np.testing.assert_array_equal(exact, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"samples": clips(2, shape=(5, 4, 4, 3))},
            "held-out clips have the shape .* Use the same T",
        ),
        ({"samples": clips(0)}, "0 samples and 3 held-out clips"),
        ({"training_batches": []}, "no training clips"),
        ({"training_batches": [clips(3, shape=(5, 4, 4, 3))]}, "same T"),
        ({"held_out": clips(3, 2)}, "Every held-out clip is a training clip"),
        ({"samples": np.full([2, 3, 4, 4, 3], np.nan)}, "held-out clips: pixels of clip 0"),
    ],
)
def test_unusable_clips_are_an_error_of_one_line(arguments, message):
    usual = {"samples": clips(2), "held_out": clips(3, 1), "training_batches": [clips(9, 2)]}
    with pytest.raises(ValueError, match=message) as error:
        novelty(**{**usual, **arguments})
    assert "\n" not in str(error.value)


# === Variety ===


@pytest.mark.parametrize("batch", [1, 5, 20])
def test_variety_is_the_mean_distance_of_all_pairs(batch):
    samples = clips(20)
    expected = [apart(a, b) for a, b in itertools.combinations(samples, 2)]
    found = variety(in_batches(samples, batch))
    assert found == pytest.approx(np.mean(expected), rel=1e-6)


def test_of_many_samples_those_within_the_window_are_compared(monkeypatch):
    samples = clips(60)
    expected = [apart(samples[i], samples[j]) for i in range(60) for j in range(max(0, i - 7), i)]
    of_all_pairs = variety(in_batches(samples, 9))
    monkeypatch.setattr(diversity, "WINDOW", 7)
    found = variety(in_batches(samples, 9))
    assert found == pytest.approx(np.mean(expected), rel=1e-6)
    assert found == pytest.approx(of_all_pairs, rel=0.02)


def test_a_collapsed_generator_has_no_variety():
    same = np.repeat(clips(1), 10, axis=0)
    assert variety([same]) == 0.0
    black_and_white = np.zeros([2, 1, 4, 4, 1], np.uint8)
    black_and_white[1] = 255
    assert variety([black_and_white]) == 4.0  # sqrt(16)
    assert l2_distances(*np.split(black_and_white, 2)) == 4.0


def test_the_number_of_samples_is_exact_and_too_few_are_an_error():
    samples = clips(12)
    assert variety(in_batches(samples, 5), clips=8) == variety([samples[:8]])
    for arguments, message in [
        (([samples], 13), "There are 12 sampled clips, not 13"),
        (([samples[:1]],), "One sampled clip makes no pair"),
    ]:
        with pytest.raises(ValueError, match=message):
            variety(*arguments)
