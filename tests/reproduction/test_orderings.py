"""Rows of several seeds against numbers worked by hand, and the t quantile against a table."""

import dataclasses
import math

import pytest
import tensorflow_probability as tfp

from kerasvid.reproduction.orderings import Estimate, orderings, paired_difference
from kerasvid.reproduction.published import Row

BY_SEED = {0: 1.0, 1: 2.0, 2: 6.0}  # mean 3, differences -2, -1, 3: variance 14 / 2


def test_mean_std_and_interval_of_three_seeds_worked_by_hand():
    found = Estimate.of(BY_SEED)
    assert (found.mean, found.seeds) == (3.0, 3)
    assert found.std == pytest.approx(math.sqrt(7.0))
    half = 4.303 * math.sqrt(7.0 / 3.0)  # a printed table: t(0.975, 2) = 4.303
    assert found.high - found.mean == pytest.approx(half, rel=1e-4)
    assert found.mean - found.low == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_the_quantile_is_that_of_students_t(count):
    found = Estimate.of({seed: float(seed % 2) for seed in range(count)})
    student = tfp.distributions.StudentT(df=count - 1.0, loc=0.0, scale=1.0)
    expected = float(student.quantile(0.975)) * found.std / math.sqrt(count)
    assert found.high - found.mean == pytest.approx(expected, rel=1e-4)


def test_one_seed_has_no_interval_and_infinite_values_do_not_count():
    assert Estimate.of({4: 2.0}) == Estimate(2.0, None, None, None, 1)
    assert Estimate.of({0: -math.inf, 1: 2.0}) == Estimate.of({1: 2.0})
    assert Estimate.of({0: math.inf}) is None and Estimate.of({}) is None


def test_differences_are_paired_by_seed():
    # The rows vary by 10 and more over seeds, their differences by 1.
    found = paired_difference({0: 11.0, 1: 20.0, 2: 45.0}, {2: 42.0, 1: 18.0, 0: 10.0, 3: 7.0})
    assert (found.mean, found.std, found.seeds) == (2.0, 1.0, 3)
    assert found.low == pytest.approx(2.0 - 4.303 / math.sqrt(3), rel=1e-3)
    assert paired_difference({0: 1.0}, {1: 2.0}) is None


def rows(**figures):
    return [Row(name, {"MUG": {"FVD": figure}}, "short") for name, figure in figures.items()]


@pytest.fixture
def outcomes(table):
    """A function of values by row, and of figures, to the outcomes by pair."""

    def outcomes_of(values, **figures):
        changed = dataclasses.replace(table, rows=rows(**figures), baseline="base")
        found = orderings(changed, ["MUG"], table.columns[0], values)
        return {(each.better, each.worse): each.outcome for each in found}

    return outcomes_of


def test_neighbours_and_pairs_with_the_baseline_are_ordered(outcomes):
    values = {
        "base": {0: 30.0, 1: 31.0, 2: 35.0},
        "one": {0: 20.0, 1: 21.5, 2: 25.0},
        "two": {0: 20.0, 1: 21.0, 2: 25.5},
        "bad": {0: 40.0, 1: 41.5, 2: 45.0},
        "none": {},
    }
    figures = {"base": "130", "one": "110", "two": "100", "bad": "90", "none": "105"}
    assert outcomes(values, **figures) == {
        ("bad", "two"): "does not hold",
        ("two", "one"): "undecided",
        ("one", "base"): "holds",
        ("bad", "base"): "does not hold",
        ("two", "base"): "holds",
    }


def test_one_seed_decides_nothing_and_equal_figures_have_no_order(outcomes):
    values = {"base": {0: 30.0}, "one": {0: 20.0}, "two": {0: 10.0}}
    found = outcomes(values, base="130", one="100 ± 3", two="100")
    assert found == {("one", "base"): "undecided", ("two", "base"): "undecided"}
    assert outcomes(values, base="130", one="not published") == {}


def test_an_order_without_figures_is_compared_too(table):
    changed = dataclasses.replace(table, rows=rows(one="", two=""), order=["two", "one"])
    values = {"one": {0: 2.0, 1: 3.0}, "two": {0: 1.0, 1: 2.0}}
    (found,) = orderings(changed, ["MUG"], table.columns[0], values)
    assert (found.better, found.worse, found.outcome) == ("two", "one", "holds")
    assert found.difference.mean == -1.0
