"""Agreement of raters, against published examples and other formulas."""

import itertools

import numpy as np
import pytest

from kerasvid.comparison.agreement import (
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    percent_agreement,
)

# Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: four observers, twelve units.
FOUR = [
    [{".": None}.get(mark, mark) for mark in row]
    for row in ("123321412...", "1233224125.3", ".333234225" + "1.", "1233244125" + "1.")
]


def test_krippendorffs_own_examples():
    assert krippendorff_alpha(FOUR) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(["0100000010", "1110010000"]) == pytest.approx(0.095, abs=5e-4)


def test_fleiss_example():
    # Fleiss 1971's measure on the table of 10 subjects and 14 raters that textbooks show.
    table = np.array(
        [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
         [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    )  # fmt: skip
    answers = np.array([np.repeat(np.arange(5), counts) for counts in table]).T
    assert fleiss_kappa(answers.tolist()) == pytest.approx(0.210, abs=5e-4)
    answers = [list(row) for row in answers.tolist()]
    answers[0][0] = None
    assert fleiss_kappa(answers) is None


def test_cohens_kappa_of_a_table_of_four():
    # yes-yes 20, yes-no 5, no-yes 10, no-no 15: (0.7 - 0.5) / (1 - 0.5)
    one = "y" * 25 + "n" * 25
    other = "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15
    assert cohen_kappa(one, other) == pytest.approx(0.4)
    assert cohen_kappa([*one, None, "y"], [*other, "n", None]) == pytest.approx(0.4)
    assert cohen_kappa("yy", "yy") is None and cohen_kappa([None], ["y"]) is None


def test_alpha_equals_its_definition_over_pairs():
    generator = np.random.default_rng(4)
    for raters, units in ((2, 9), (3, 20), (5, 12)):
        answers = generator.choice([0, 1, 2], (raters, units), p=[0.6, 0.3, 0.1]).astype(object)
        answers[generator.random((raters, units)) < 0.2] = None
        observed, weights, values = 0.0, 0.0, []
        equal = []
        for unit in answers.T:
            known = [value for value in unit if value is not None]
            if len(known) < 2:
                continue
            pairs = [a != b for a, b in itertools.permutations(known, 2)]
            observed += sum(pairs) / (len(known) - 1)
            equal += [not apart for apart in pairs]
            weights += len(known)
            values += known
        expected = np.mean([a != b for a, b in itertools.permutations(values, 2)])
        alpha = 1 - observed / weights / expected
        assert krippendorff_alpha(answers.tolist()) == pytest.approx(alpha)
        assert percent_agreement(answers.tolist()) == pytest.approx(np.mean(equal))


def test_agreement_without_pairs_is_none():
    assert percent_agreement([[1, None], [None, 2]]) is None
    assert krippendorff_alpha([[1, None], [None, 2]]) is None
    assert krippendorff_alpha([[1, 1], [1, 1]]) is None  # nothing varies
    assert percent_agreement([[1, 1], [1, 1]]) == 1.0


def test_raters_who_guess_do_not_agree_beyond_chance():
    guesses = np.random.default_rng(0).integers(0, 2, (5, 2000)).tolist()
    assert abs(krippendorff_alpha(guesses)) < 0.03 and abs(fleiss_kappa(guesses)) < 0.03
    assert krippendorff_alpha([guesses[0]] * 3) == 1.0
