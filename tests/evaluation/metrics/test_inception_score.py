import math

import numpy as np
import pytest

from kerasvid.evaluation.metrics.inception_score import BootstrapAnswers, inception_score


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
    scores = BootstrapAnswers()
    scores.update(probabilities)
    return [scores.values()[name][-1] for name in ("conditional", "marginal", "score")]


def test_the_score_is_the_mean_divergence_from_the_mean_answer():
    values = answers()
    assert inception_score(values, 1)[0] == pytest.approx(by_loops(values), rel=1e-12)
    assert values_of(values)[2] == pytest.approx(by_loops(values), rel=1e-12)


def test_sure_and_even_answers_reach_the_number_of_classes():
    conditional, marginal, score = values_of(np.eye(9)[np.arange(90) % 9])
    assert conditional == 0.0 and marginal == pytest.approx(math.log(9))
    assert score == pytest.approx(9.0)


def test_one_class_or_no_opinion_score_one():
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


# === Of a stream, with intervals ===


def drawn_answers(count, seed=0, classes=4):
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), count)


def test_a_stream_has_the_score_of_all_answers_in_any_batches():
    answers, found = drawn_answers(50), []
    for size in (50, 7):
        scores = BootstrapAnswers()
        for start in range(0, 50, size):
            scores.update(answers[start : start + size])
        found.append(scores.intervals())
    assert found[0] == found[1]
    means = [found[0][name].mean for name in ("conditional", "marginal", "score")]
    np.testing.assert_allclose(means, values_of(answers), rtol=1e-12)
    assert means[2] == pytest.approx(by_loops(answers), rel=1e-12)


def test_the_interval_is_as_wide_as_the_score_changes_from_draw_to_draw():
    drawn = [by_loops(drawn_answers(120, seed)) for seed in range(200)]
    scores = BootstrapAnswers()
    scores.update(drawn_answers(120))
    interval = scores.intervals()["score"]
    assert interval.low < interval.mean < interval.high
    assert interval.std == pytest.approx(np.std(drawn), rel=0.25)
    assert interval.high - interval.low == pytest.approx(4 * np.std(drawn), rel=0.25)


def test_intervals_end_at_the_greatest_values_there_are():
    scores = BootstrapAnswers()
    scores.update(np.eye(3)[np.arange(30) % 3])  # sure of each, all classes alike
    found = scores.intervals()
    assert (found["score"].mean, found["score"].high) == (pytest.approx(3.0), pytest.approx(3.0))
    assert found["marginal"].high == pytest.approx(np.log(3)) and found["marginal"].low < 1.09
    scores.update(np.eye(3)[:1])  # the replicates alone would end at more than 3
    assert scores.intervals()["score"].high <= 3.0


def test_one_answer_and_answers_of_two_classifiers_are_errors():
    scores = BootstrapAnswers()
    scores.update(drawn_answers(1))
    with pytest.raises(ValueError, match="1 answers have no interval"):
        scores.intervals()
    with pytest.raises(ValueError, match=r"3 classes after 4. Use one classifier"):
        scores.update(drawn_answers(2, classes=3))
