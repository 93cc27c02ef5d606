"""Rows of several seeds: their spread, paired differences, and the orderings of the paper.

Two rows are compared seed by seed: the same seed means the same data order and the same clips, so
that the difference of the pair has less noise than its two numbers. Its 95 % interval is

    mean ± t(0.975, n - 1) std / sqrt(n)

of the n differences, with Student's t of n - 1 degrees of freedom. It holds for differences that
are about Gaussian.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import scipy.stats

from kerasvid.reproduction.published import Column, Table

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over seeds, with a 95 % interval.

    Args:
        mean: of the seeds.
        std: their standard deviation (n - 1); `None` for one seed.
        low, high: of the interval; `None` for one seed.
        seeds: their number n.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    seeds: int

    @classmethod
    def of(cls, values: Mapping[int, float]) -> "Estimate | None":
        """Of the finite values by seed; `None` if there are none.

        Example:
            >>> Estimate.of({0: 1.0, 1: 2.0, 2: 6.0}).high  # 3 + 4.303 * 2.646 / 3**0.5
            9.572...
        """
        numbers = np.array([value for value in values.values() if math.isfinite(value)])
        count = len(numbers)
        if count < 2:
            return cls(float(numbers[0]), None, None, None, 1) if count else None
        mean, std = float(numbers.mean()), float(numbers.std(ddof=1))
        half = float(scipy.stats.t.ppf(0.975, count - 1)) * std / math.sqrt(count)
        return cls(mean, std, mean - half, mean + half, count)


def paired_difference(values: Mapping[int, float], others: Mapping[int, float]) -> Estimate | None:
    """Of `values` minus `others`, by seed, over the seeds that both have."""
    return Estimate.of({seed: values[seed] - others[seed] for seed in values if seed in others})


@dataclasses.dataclass(frozen=True)
class Ordering:
    """Two rows that the paper orders, and whether our numbers agree.

    Args:
        column: of the number.
        better, worse: names of the rows.
        figures: by part, the published figures of the two.
        difference: of the better row from the worse one.
    """

    column: Column
    better: str
    worse: str
    figures: Mapping[str, tuple[str, str]]
    difference: Estimate

    @property
    def outcome(self) -> str:
        """It is undecided if the interval contains 0, and for one seed."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None or low <= 0.0 <= high:
            return UNDECIDED
        return HOLDS if (low > 0.0) == (self.column.better == "higher") else FAILS

    def as_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        facts = {"column": self.column.name, "better": self.better, "worse": self.worse}
        return {**facts, "outcome": self.outcome, "difference": dataclasses.asdict(self.difference)}


def orderings(
    table: Table, parts: list[str], column: Column, values: Mapping[str, Mapping[int, float]]
) -> Iterator[Ordering]:
    """The published pairs of a column: neighbours in the published order, and with the baseline.

    Args:
        table: published.
        parts: names of parts with the same measured rows.
        column: of the table.
        values: by row and seed.
    """
    pairs: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    rows = {row.name: row for row in table.rows}
    for part in parts:
        published = table.published_orders(column, part)
        order = [[name for name in names if values.get(name)] for names in published]
        order = [names for names in order if names]
        found = [pair for each in itertools.pairwise(order) for pair in itertools.product(*each)]
        for first, second in itertools.combinations(order, 2):
            found += [pair for pair in itertools.product(first, second) if table.baseline in pair]
        for pair in found:
            figures = [rows[name].figures[part].get(column.name, "") for name in pair]
            pairs.setdefault(pair, {})[part] = (figures[0], figures[1])
    for (better, worse), by_part in pairs.items():
        difference = paired_difference(values[better], values[worse])
        if difference is not None:
            yield Ordering(column, better, worse, by_part, difference)
