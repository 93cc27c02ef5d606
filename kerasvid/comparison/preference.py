"""From answers to a preference: how often one run is preferred, and how certain that is.

The pooled preference is the papers' mean preference: answers for a run over all answers. Its
Wilson interval assumes independent answers. Several answers to one pair are not quite independent:
the line "by pairs" is the mean over pairs, with a bootstrap interval over pairs. Agreement is about
the chosen side; sides are random, so that raters who press keys at random agree as by chance.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from tabulate import tabulate

from kerasvid.comparison import agreement
from kerasvid.comparison.answers import Answer
from kerasvid.comparison.study import Study
from kerasvid.evaluation.metrics.intervals import bootstrap_interval
from kerasvid.io import markdown_text

FORMAT = "kerasvid-preference"
LEVEL = 0.95
BY_PAIRS = "by pairs"
_ALIGNMENT = ("left", *["right"] * 6)


class Share(NamedTuple):
    """How often one thing was chosen, its interval at `LEVEL`, and the p value of a test of 1/2."""

    chosen: float
    answers: int
    low: float
    high: float
    p: float | None

    @property
    def share(self) -> float:
        return self.chosen / self.answers

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} % (95 %: {100 * self.low:.1f} to {100 * self.high:.1f})"


def share_of(chosen: int, answers: int, level: float = LEVEL) -> Share:
    """A share with Wilson's score interval and the exact two-sided binomial test of 1/2.

    Raises:
        ValueError: `answers` is below 1, or `chosen` is not in [0, answers].

    Example:
        >>> share_of(81, 263).low  # 0.2553
    """
    test = scipy.stats.binomtest(chosen, answers)
    low, high = test.proportion_ci(level, "wilson")
    return Share(chosen, answers, float(low), float(high), float(test.pvalue))


class Line(NamedTuple):
    """The answers of one rater, or of all: shares for run "a" and for the first side."""

    rater: str
    preference: Share
    side: Share | None

    def as_dict(self) -> dict[str, Any]:
        parts = {"preference": self.preference, "side": self.side}
        shares = {k: {"share": s.share, **s._asdict()} for k, s in parts.items() if s}
        return {"rater": self.rater, **shares}

    def cells(self) -> list[str]:
        shown, side = self.preference, self.side
        answers = f"{shown.answers} pairs" if self.rater == BY_PAIRS else f"{shown.answers}"
        interval = f"{100 * shown.low:.1f} to {100 * shown.high:.1f}"
        cells = [self.rater, answers, f"{100 * shown.share:.1f} %", interval, _p(shown.p)]
        return cells + ([f"{100 * side.share:.1f} %", _p(side.p)] if side else ["", ""])


class Preference(NamedTuple):
    """The result of a study.

    Args:
        study: the answered study.
        raters: a line for each rater, sorted by name.
        pooled: all answers.
        by_pairs: the mean over answered pairs; `None` if there are less than two raters.
        answers_a_pair: fewest and most.
        agreement: measures by name; `None` if not defined.
    """

    study: Study
    raters: tuple[Line, ...]
    pooled: Line
    by_pairs: Line | None
    answers_a_pair: tuple[int, int]
    agreement: dict[str, float | None]

    @property
    def conclusion(self) -> str:
        """One sentence: which run is preferred, if any."""
        shown, name = self.pooled.preference, self.study.names["a"]
        raters = f"{len(self.raters)} rater{'' if len(self.raters) == 1 else 's'}"
        source = f"{shown.answers} answers of {raters}"
        if shown.low <= 0.5 <= shown.high:
            return f"No significant preference in {source}: {name} {shown}."
        if shown.share < 0.5:
            low, high, name = 1.0 - shown.high, 1.0 - shown.low, self.study.names["b"]
            shown = shown._replace(chosen=shown.answers - shown.chosen, low=low, high=high)
        return f"{name} is preferred in {shown} of {source}."

    def as_dict(self) -> dict[str, Any]:
        """For `preference.json`."""
        study = self.study
        protocol = {
            **{n: getattr(study, n) for n in ("question", "layout", "frames", "fps", "seed")},
            "pairs": len(study.pairs),
            "answers_a_pair": list(self.answers_a_pair),
            "interval": f"Wilson, {LEVEL:.0%}; by pairs: bootstrap over pairs, {LEVEL:.0%}",
            "test": "binomial, exact, two-sided, of 1/2",
            "agreement": "of the chosen side",
        }
        return {
            "format": FORMAT,
            "format_version": 1,
            "study": study.id,
            "runs": study.runs,
            "preference_of": "a",
            "pooled": self.pooled.as_dict(),
            "by_pairs": self.by_pairs.as_dict() if self.by_pairs else None,
            "raters": [line.as_dict() for line in self.raters],
            "agreement": self.agreement,
            "protocol": protocol,
        }

    def table(self) -> str:
        """For the screen."""
        head, *rows = self._rows()
        text = tabulate(rows, head, "plain", colalign=_ALIGNMENT, disable_numparse=True)
        return "\n".join([text, *self._remarks()])

    def markdown(self) -> str:
        """For `preference.md`."""
        study = self.study
        head, *rows = [[markdown_text(cell) for cell in row] for row in self._rows()]
        shown = f"{len(study.pairs)} pairs of clips, {study.frames} frames each, {study.layout}"
        lines = [
            f"# {markdown_text(study.question)}",
            "",
            markdown_text(self.conclusion),
            "",
            tabulate(rows, head, "pipe", colalign=_ALIGNMENT, disable_numparse=True),
            "",
            *(f"- {markdown_text(remark)}" for remark in self._remarks()),
            f"- {shown}, {study.fps:g} frames a second; study {study.id}, seed {study.seed}.",
            "- Intervals: Wilson, 95 %, for independent answers; by pairs: bootstrap over pairs. "
            "p: exact two-sided binomial test of 1/2.",
        ]
        for known in study.runs.values():
            facts = ", ".join(f"{k} {v}" for k, v in known.items() if k != "name")
            lines.append(f"- {markdown_text(known['name'])}: {markdown_text(facts)}")
        return "\n".join(lines) + "\n"

    def _rows(self) -> list[list[str]]:
        """The header and the lines."""
        side = self.study.sides[0]
        run = f"for {self.study.names['a']}"
        head = ["rater", "answers", run, "95 %", "p", side, f"p of {side}"]
        lines = [*self.raters, self.pooled, *filter(None, [self.by_pairs])]
        return [head, *(line.cells() for line in lines)]

    def _remarks(self) -> list[str]:
        fewest, most = self.answers_a_pair
        several = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        remarks = [f"Answers a pair: {several}, for {len(self.study.pairs)} pairs."]
        if known := [f"{k} {v:.3f}" for k, v in self.agreement.items() if v is not None]:
            remarks.append(f"Agreement on the chosen side: {', '.join(known)}.")
        sides = {line.rater: line.side for line in self.raters if line.side}
        if names := [n for n, s in sides.items() if (s.p or 0.0) < 0.01 and s.answers >= 16]:
            listed = ", ".join(names)
            remarks.append(f"One side chosen more often than by chance (p < 0.01): {listed}.")
        return remarks


def measure_preference(answers: Sequence[Answer], study: Study) -> Preference:
    """Counts the answers.

    Args:
        answers: of `read_answers`, one or more.
        study: the answered study.

    Example:
        >>> preference = measure_preference(read_answers(files, study), study)
        >>> print(preference.table())
    """
    names = sorted({answer.rater for answer in answers})
    given = {(answer.rater, answer.pair): answer for answer in answers}
    table = [[given.get((name, pair.pair)) for name in names] for pair in study.pairs]
    by_pair = [[answer.run == "a" for answer in row if answer] for row in table]
    counts = [len(choices) for choices in by_pair]
    means = np.array([np.mean(choices) for choices in by_pair if choices])
    by_pairs = None
    if len(names) > 1 and len(means) > 1:
        mean = bootstrap_interval(means, LEVEL)
        share = Share(mean.mean * mean.size, mean.size, mean.low, mean.high, None)
        by_pairs = Line(BY_PAIRS, share, None)
    raters = [_line(name, [a for a in answers if a.rater == name], study) for name in names]
    sides = [[answer and answer.side for answer in column] for column in zip(*table, strict=True)]
    return Preference(
        study=study,
        raters=tuple(raters),
        pooled=_line("all", answers, study),
        by_pairs=by_pairs,
        answers_a_pair=(min(counts), max(counts)),
        agreement=_agreement(sides),
    )


def _agreement(sides: list[list[str | None]]) -> dict[str, float | None]:
    if len(sides) < 2:
        return {}
    measures = {
        "share of equal answers": agreement.percent_agreement(sides),
        "Krippendorff's alpha": agreement.krippendorff_alpha(sides),
        "Fleiss' kappa": agreement.fleiss_kappa(sides),
    }
    cohen = {"Cohen's kappa": agreement.cohen_kappa(*sides)} if len(sides) == 2 else {}
    return {**measures, **cohen}


def _line(rater: str, answers: Sequence[Answer], study: Study) -> Line:
    preferred = sum(answer.run == "a" for answer in answers)
    first = sum(answer.side == study.sides[0] for answer in answers)
    return Line(rater, share_of(preferred, len(answers)), share_of(first, len(answers)))


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
