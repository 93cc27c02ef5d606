"""How far raters agree, of answers in categories; `None` where an answer is missing.

Answers are `[rater][unit]`, a row a rater: `[["left", "left", None], ["left", "right", "right"]]`.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

Answers = Sequence[Sequence[Hashable | None]]


def percent_agreement(answers: Answers) -> float | None:
    """The share of all pairs of answers to the same unit that are equal, in [0, 1].

    Returns:
        `None` where no unit has two answers.

    Example:
        >>> percent_agreement([[0, 0, None], [0, 1, 1]])
        0.5
    """
    equal = every = 0
    for counts in _counted(answers):
        answered = counts.total()
        equal += sum(n * (n - 1) for n in counts.values())
        every += answered * (answered - 1)
    return equal / every if every else None


def krippendorff_alpha(answers: Answers) -> float | None:
    """Krippendorff's alpha of nominal answers, any of which may be missing.

    1 - D_o / D_e: how often two answers to one unit differ, over how often two answers to any units
    do. 1 is agreement, 0 what chance would give, and below there is less than that. A unit with a
    single answer tells nothing.

    Returns:
        `None` where no unit has two answers, or all answers are the same.

    Example:
        >>> krippendorff_alpha([[0, 0, 1], [0, 0, 1]])
        1.0
    """
    pairable = [counts for counts in _counted(answers) if counts.total() >= 2]
    totals = sum(pairable, Counter())
    values = totals.total()
    chance = values**2 - sum(n**2 for n in totals.values())
    if not chance:
        return None
    apart = 0.0
    for counts in pairable:
        answered = counts.total()
        apart += (answered**2 - sum(n**2 for n in counts.values())) / (answered - 1)
    return 1.0 - (values - 1) * apart / chance


def fleiss_kappa(answers: Answers) -> float | None:
    """Fleiss' kappa, where all units that were answered have as many answers, two or more.

    Returns:
        `None` where they have not, or all answers are the same.
    """
    units = [counts for counts in _counted(answers) if counts]
    sizes = {counts.total() for counts in units}
    if len(sizes) != 1 or min(sizes) < 2:
        return None
    totals = sum(units, Counter())
    expected = sum((n / totals.total()) ** 2 for n in totals.values())
    return _beyond_chance(percent_agreement(answers), expected)


def cohen_kappa(one: Sequence, other: Sequence) -> float | None:
    """Cohen's kappa of two raters, over the units that both have answered.

    Returns:
        `None` where there are none, or both always gave the same answer.
    """
    both = [pair for pair in zip(one, other, strict=True) if None not in pair]
    if not both:
        return None
    first, second = (Counter(side) for side in zip(*both, strict=True))
    expected = sum(first[value] * second[value] for value in first) / len(both) ** 2
    return _beyond_chance(sum(a == b for a, b in both) / len(both), expected)


def _beyond_chance(observed: float, expected: float) -> float | None:
    return None if expected >= 1.0 else (observed - expected) / (1.0 - expected)


def _counted(answers: Answers) -> list[Counter]:
    """How often each answer was given to each unit."""
    units = zip(*answers, strict=True)
    return [Counter(value for value in unit if value is not None) for unit in units]
