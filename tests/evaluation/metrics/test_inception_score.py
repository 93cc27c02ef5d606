import math

import numpy as np
import pytest

from kerasvid.evaluation.metrics.inception_score import answer_intervals, inception_score


def answers(count=40, classes=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), count)


def by_loops(probabilities):
    """exp of the mean divergence of each answer from the mean answer."""
    mean, total = probabilities.mean(axis=0), 0.0
    for row in probabilities:
        total += sum(p * math.log(p / q) for p, q in zip(row, mean, strict=True) if p > 0)
    return math.exp(total / len(probabilities))


def values_of(probabilities):
    """H(y | x), H(y) and the score of all answers."""
    found = answer_intervals(probabilities)
    return [found[name].mean for name in ("conditional", "marginal", "score")]


def test_the_score_is_the_mean_divergence_from_the_mean_answer():
    values = answers()
    assert inception_score(values, 1)[0] == pytest.approx(by_loops(values), rel=1e-12)
    assert values_of(values)[2] == pytest.approx(by_loops(values), rel=1e-12)


def test_certain_answers_of_all_classes_score_the_number_of_classes():
    conditional, marginal, score = values_of(np.eye(9)[np.arange(90) % 9])
    assert conditional == 0.0 and marginal == pytest.approx(math.log(9))
    assert score == pytest.approx(9.0)


def test_one_class_or_uniform_answers_score_one():
    assert values_of(np.eye(5)[[2] * 7])[2] == pytest.approx(1.0)
    undecided = values_of(np.full([7, 5], 0.2))
    assert undecided == pytest.approx([math.log(5), math.log(5), 1.0])


def test_batches_are_scored_apart():
    values = answers(60)
    scores = [by_loops(values[start : start + 12]) for start in range(0, 60, 12)]
    mean, std = inception_score(values, batches=5)
    assert mean == pytest.approx(np.mean(scores)) and std == pytest.approx(np.std(scores))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros([0, 3]), r"use probabilities \[N, K\]"),
        (np.full([4, 3], 0.5), "of sum 1"),
        (np.array([[1.5, -0.5]]), "not negative"),
        (np.array([[np.nan, 1.0]]), "finite"),
    ],
)
def test_answers_must_be_probabilities(values, message):
    with pytest.raises(ValueError, match=message):
        inception_score(values, 1)


def test_batches_must_be_of_equal_size():
    with pytest.raises(ValueError, match="40 samples: use a multiple of batches=7"):
        inception_score(answers(40), batches=7)


# === Intervals ===


def drawn_answers(count, seed=0, classes=4):
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), count)


def test_the_interval_is_as_wide_as_the_score_changes_from_draw_to_draw():
    drawn = [by_loops(drawn_answers(120, seed)) for seed in range(200)]
    interval = answer_intervals(drawn_answers(120))["score"]
    assert interval.low < interval.mean < interval.high
    assert interval.std == pytest.approx(np.std(drawn), rel=0.25)
    assert interval.high - interval.low == pytest.approx(4 * np.std(drawn), rel=0.25)


def test_intervals_end_at_the_largest_possible_values():
    sure = np.eye(3)[np.arange(31) % 3]
    found = answer_intervals(sure[:30])  # all classes alike
    assert (found["score"].mean, found["score"].high) == (pytest.approx(3.0), pytest.approx(3.0))
    assert found["marginal"].high == pytest.approx(np.log(3)) and found["marginal"].low < 1.09
    # The replicates alone would end at more than 3.
    assert answer_intervals(sure)["score"].high <= 3.0


def test_values_are_means_over_classes():
    answers, labels = drawn_answers(20), np.array([0] * 15 + [1] * 5)
    found = answer_intervals(answers, labels)
    right = answers.argmax(axis=1) == labels
    assert found["accuracy"].mean == pytest.approx((right[:15].mean() + right[15:].mean()) / 2)


def test_one_answer_has_no_interval():
    with pytest.raises(ValueError, match="1 answers are too few for an interval"):
        answer_intervals(drawn_answers(1))


def test_windows_of_a_video_are_drawn_together():
    values, videos = answers(40), np.repeat(np.arange(40), 5)
    once, often = (
        answer_intervals(values),
        answer_intervals(np.repeat(values, 5, 0), videos=videos),
    )
    for name, interval in once.items():
        assert often[name][:4] == pytest.approx(interval[:4], rel=1e-9), name
    with pytest.raises(ValueError, match="too few for an interval"):
        answer_intervals(values, videos=np.zeros(40))
