"""How far raters agree in their choices.

Answers are `[rater][unit]`, `None` where one is missing: `[["left", None], ["left", "right"]]`.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

import krippendorff
import numpy as np

Answers = Sequence[Sequence[Hashable | None]]


def percent_agreement(answers: Answers) -> float | None:
    """The share of equal pairs among all pairs of answers to one unit; `None` without pairs.

    Example:
        >>> percent_agreement([[0, 0, None], [0, 1, 1]])
        0.5
    """
    counts = _value_counts(answers)
    answered = counts.sum(axis=1)
    pairs = (answered * (answered - 1)).sum()
    return float((counts * (counts - 1)).sum() / pairs) if pairs else None


def krippendorff_alpha(answers: Answers) -> float | None:
    """Krippendorff's alpha of nominal answers: 1 - observed / expected disagreement.

    1 is full agreement, 0 that of random answers. Units with a single answer do not count. It is
    `None` if no unit has two answers, or all answers are equal.

    Example:
        >>> krippendorff_alpha([[0, 0, 1], [0, 0, 1]])
        1.0
    """
    counts = _value_counts(answers)
    counts = counts[counts.sum(axis=1) > 1]
    counts = counts[:, counts.any(axis=0)]
    if counts.shape[1] < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def fleiss_kappa(answers: Answers) -> float | None:
    """Fleiss' kappa; `None` if units differ in number of answers, or all answers are equal."""
    counts = _value_counts(answers)
    counts = counts[counts.any(axis=1)]
    sizes = {*counts.sum(axis=1).tolist()}
    if len(sizes) != 1 or min(sizes) < 2:
        return None
    expected = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return _beyond_chance(percent_agreement(answers), float(expected))


def cohen_kappa(one: Sequence, other: Sequence) -> float | None:
    """Cohen's kappa of two raters, over the units that both answered; `None` if not defined."""
    both = [pair for pair in zip(one, other, strict=True) if None not in pair]
    if not both:
        return None
    first, second = (Counter(side) for side in zip(*both, strict=True))
    expected = sum(first[value] * second[value] for value in first) / len(both) ** 2
    return _beyond_chance(sum(a == b for a, b in both) / len(both), expected)


def _beyond_chance(observed: float | None, expected: float) -> float | None:
    if observed is None or expected >= 1.0:
        return None
    return (observed - expected) / (1.0 - expected)


def _value_counts(answers: Answers) -> np.ndarray:
    """How often each value was given to each unit: int `[units, values]`."""
    values = {value for row in answers for value in row} - {None}
    units = zip(*answers, strict=True)
    counts = [[unit.count(value) for value in values] for unit in units]
    return np.array(counts, np.int64).reshape(len(counts), len(values))
