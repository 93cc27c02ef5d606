"""From answers to a preference: how often one run is preferred, how sure that is, who agrees.

The pooled preference is the papers' mean worker preference: answers for a run over all answers. Its
interval is Wilson's, which takes answers for independent. Several answers to one pair are not
quite: the line "by pairs" has the mean over pairs with a bootstrap interval of pairs, which says
how sure it would be with other clips. Agreement is about the side that was chosen: sides are
random, so that raters who press keys at random agree as often as chance has it, and those who
prefer the same run do more often.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasvid.comparison import agreement
from kerasvid.comparison.answers import Answer
from kerasvid.comparison.shares import fair_coin_p, wilson_interval
from kerasvid.comparison.study import Study
from kerasvid.evaluation.metrics.intervals import bootstrap_interval

FORMAT = "kerasvid-preference"
LEVEL = 0.95
BY_PAIRS = "by pairs"


class Share(NamedTuple):
    """How often one thing was chosen.

    Args:
        chosen, answers: numbers.
        low, high: of the interval at `LEVEL`.
        p: of the two-sided test of 1/2; `None` where there is none.
    """

    chosen: float
    answers: int
    low: float
    high: float
    p: float | None

    @property
    def share(self) -> float:
        return self.chosen / self.answers


class Line(NamedTuple):
    """What one rater, or all, answered: for run "a", and for the first side."""

    rater: str
    preference: Share
    side: Share | None


class Preference(NamedTuple):
    """The outcome of a study.

    Args:
        study: that was answered.
        raters: a line each, in order of their names.
        pooled: all answers.
        by_pairs: the mean over pairs that were answered; `None` of less than two raters.
        answers_a_pair: fewest and most.
        agreement: by name; `None` where it is not defined.
    """

    study: Study
    raters: tuple[Line, ...]
    pooled: Line
    by_pairs: Line | None
    answers_a_pair: tuple[int, int]
    agreement: dict[str, float | None]

    @property
    def verdict(self) -> str:
        """In one sentence, which run is preferred, or that none can be told to be."""
        shown, names = self.pooled.preference, self.study.names
        told = f"{shown.answers} answers of {_count(len(self.raters), 'rater')}"
        if shown.low <= 0.5 <= shown.high:
            return f"No preference can be told from {told}: {names['a']} {_interval(shown)}."
        if shown.share < 0.5:
            shown = shown._replace(
                chosen=shown.answers - shown.chosen, low=1.0 - shown.high, high=1.0 - shown.low
            )
            return f"{names['b']} is preferred in {_interval(shown)} of {told}."
        return f"{names['a']} is preferred in {_interval(shown)} of {told}."

    def as_dict(self) -> dict[str, Any]:
        """For `preference.json`."""
        return {
            "format": FORMAT,
            "format_version": 1,
            "study": self.study.id,
            "runs": {run: dict(known) for run, known in self.study.runs.items()},
            "preference_of": "a",
            "pooled": _as_dict(self.pooled),
            "by_pairs": _as_dict(self.by_pairs) if self.by_pairs else None,
            "raters": [_as_dict(line) for line in self.raters],
            "agreement": self.agreement,
            "protocol": {
                "question": self.study.question,
                "layout": self.study.layout,
                "pairs": len(self.study.pairs),
                "answers_a_pair": list(self.answers_a_pair),
                "frames": self.study.frames,
                "fps": self.study.fps,
                "seed": self.study.seed,
                "interval": f"Wilson, {LEVEL:.0%}; by pairs: bootstrap over pairs, {LEVEL:.0%}",
                "test": "binomial, exact, two-sided, of 1/2",
                "agreement": "of the side chosen",
            },
        }

    def table(self) -> str:
        """For the screen."""
        rows = [self._head(), *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if number == 0 else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *self._remarks()])

    def markdown(self) -> str:
        """For `preference.md`."""
        study = self.study
        head, *rows = [" | ".join(map(_cell, row)) for row in (self._head(), *self._rows())]
        ruler = "|---" + "|---:" * (len(self._head()) - 1) + "|"
        shown = f"{len(study.pairs)} pairs of clips, {study.frames} frames each, {study.layout}"
        runs = [f"- {_cell(known['name'])}: {_cell(_told(known))}" for known in study.runs.values()]
        lines = [
            f"# {_cell(study.question)}",
            "",
            _cell(self.verdict),
            "",
            f"| {head} |",
            ruler,
            *(f"| {row} |" for row in rows),
            "",
            *(f"- {_cell(remark)}" for remark in self._remarks()),
            f"- {shown}, at {study.fps:g} a second; study {study.id}, seed {study.seed}.",
            "- Intervals: Wilson's, 95 %, of answers taken for independent; by pairs, that of a "
            "bootstrap over pairs. p: exact two-sided binomial test of one half.",
            *runs,
        ]
        return "\n".join(lines) + "\n"

    def _head(self) -> list[str]:
        side = self.study.sides[0]
        return [
            "rater",
            "answers",
            f"for {self.study.names['a']}",
            "95 %",
            "p",
            side,
            f"p of {side}",
        ]

    def _rows(self) -> list[list[str]]:
        lines = [*self.raters, self.pooled, *filter(None, [self.by_pairs])]
        return [_row(line) for line in lines]

    def _remarks(self) -> list[str]:
        fewest, most = self.answers_a_pair
        several = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        remarks = [f"Answers a pair: {several}, of {len(self.study.pairs)} pairs."]
        told = [
            f"{name} {value:.3f}" for name, value in self.agreement.items() if value is not None
        ]
        if told:
            remarks.append(f"Agreement of the side chosen: {', '.join(told)}.")
        pressing = [
            line.rater for line in self.raters if line.side.p < 0.01 and line.side.answers >= 16
        ]
        if pressing:
            told = ", ".join(pressing)
            remarks.append(f"One side is chosen too often for chance (p < 0.01): {told}.")
        return remarks


def measure_preference(answers: Sequence[Answer], study: Study) -> Preference:
    """Counts the answers.

    Args:
        answers: of `read_answers`, one or more.
        study: that they answer.

    Raises:
        ValueError: there are none.

    Example:
        >>> preference = measure_preference(read_answers(files, study), study)
        >>> print(preference.table())
    """
    if not answers:
        raise ValueError("No answers: there is nothing to count.")
    names = sorted({answer.rater for answer in answers})
    given = {(answer.rater, answer.pair): answer for answer in answers}
    raters = tuple(
        _line(name, [answer for answer in answers if answer.rater == name], study) for name in names
    )
    by_pair = [
        [given[name, pair.pair].run == "a" for name in names if (name, pair.pair) in given]
        for pair in study.pairs
    ]
    counts = [len(choices) for choices in by_pair]
    means = np.array([np.mean(choices) for choices in by_pair if choices])
    by_pairs = None
    if len(names) > 1 and len(means) > 1:
        mean = bootstrap_interval(means, LEVEL)
        share = Share(mean.mean * mean.count, mean.count, mean.low, mean.high, None)
        by_pairs = Line(BY_PAIRS, share, None)
    sides = [
        [given[name, p.pair].side if (name, p.pair) in given else None for p in study.pairs]
        for name in names
    ]
    return Preference(
        study, raters, _line("all", answers, study), by_pairs, (min(counts), max(counts)),
        _agreement(sides),
    )  # fmt: skip


def _agreement(sides: list[list[str | None]]) -> dict[str, float | None]:
    if len(sides) < 2:
        return {}
    measures = {
        "share of equal answers": agreement.percent_agreement(sides),
        "Krippendorff's alpha": agreement.krippendorff_alpha(sides),
        "Fleiss' kappa": agreement.fleiss_kappa(sides),
    }
    if len(sides) == 2:
        measures["Cohen's kappa"] = agreement.cohen_kappa(*sides)
    return measures


def _line(rater: str, answers: Sequence[Answer], study: Study) -> Line:
    count = len(answers)
    preferred = sum(answer.run == "a" for answer in answers)
    first = sum(answer.side == study.sides[0] for answer in answers)
    shares = [
        Share(chosen, count, *wilson_interval(chosen, count), fair_coin_p(chosen, count))
        for chosen in (preferred, first)
    ]
    return Line(rater, *shares)


def _row(line: Line) -> list[str]:
    shown, side = line.preference, line.side
    answers = f"{shown.answers} pairs" if line.rater == BY_PAIRS else f"{shown.answers}"
    interval = f"{100 * shown.low:.1f} to {100 * shown.high:.1f}"
    told = [line.rater, answers, f"{100 * shown.share:.1f} %", interval, _p(shown.p)]
    return told + ([f"{100 * side.share:.1f} %", _p(side.p)] if side else ["", ""])


def _as_dict(line: Line) -> dict[str, Any]:
    parts = {"preference": line.preference, "side": line.side}
    told = {
        name: {"share": part.share, **part._asdict()} for name, part in parts.items() if part
    }  # fmt: skip
    return {"rater": line.rater, **told}


def _interval(shown: Share) -> str:
    return f"{100 * shown.share:.1f} % (95 %: {100 * shown.low:.1f} to {100 * shown.high:.1f})"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _told(known: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in known.items() if name != "name")


def _cell(text: str) -> str:
    """Text in one line that ends no cell of a table, and is no HTML: raters name themselves."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
