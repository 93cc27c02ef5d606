"""What an evaluation found: values with their protocol, on screen and in a run's folder.

`evaluation.json` holds everything, `evaluation.md` the same to be read. Values of one saved file
and one kind of weights stand together: what another call measures of the same weights joins them,
and what it measures of others replaces them.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from kerasvid.io import atomic_write

JSON, MARKDOWN = "evaluation.json", "evaluation.md"
FORMAT = "kerasvid-evaluation"
HIGHER, LOWER = "higher", "lower"
SIGNS = {HIGHER: "↑", LOWER: "↓", None: ""}
HEAD = ("metric", "value", "95 % interval", "std", "clips", "better")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One number, how sure it is, and all that another one must have in common with it.

    Args:
        name: `metric`, or `metric/part`, e.g. `"reconstruction/psnr"`.
        value: that was measured; it may be infinite (MCS of equal sets).
        low, high: its 95 % interval, `None` where it has none; the protocol tells how it was made.
        std: of the values of clips that it is the mean of, or of batches, as the protocol
            tells; `None` where there are no such values.
        clips: that were looked at, of each set.
        better: `"higher"`, `"lower"`, or `None` where neither is.
        protocol: every choice by name, as JSON takes it.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    std: float | None
    clips: int
    better: str | None
    protocol: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """The name that it is asked for by."""
        return self.name.partition("/")[0]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name; infinite values as the words `"inf"` and `"-inf"`."""
        fields = dataclasses.asdict(self)
        return {k: _spelled(v) if isinstance(v, float) else v for k, v in fields.items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Measured":
        """Reads what `as_dict` gave."""
        numbers = {
            name: None if fields[name] is None else float(fields[name])
            for name in ("value", "low", "high", "std")
        }
        return cls(**{**fields, **numbers})


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured of the model of a run.

    Args:
        run_dir: the run's folder.
        model, dataset: their names.
        step: at which the weights were saved.
        weights: `"averaged"` or `"trained"`.
        split: that real clips are of, where a value does not tell another.
        seed: of the order of clips and of what is generated; likewise.
        measured: the values.
        left_out: why, by the name of a metric.
        saved: SHA-256 of the file that the weights are of; a run that was trained anew has another.

    Example:
        >>> evaluation = evaluate_run(RunFolder("runs/dsa-sprites"), metrics=["frechet"])
        >>> print(evaluation.table())
        >>> evaluation.write("runs/dsa-sprites")
    """

    run_dir: str
    model: str
    dataset: str
    step: int
    weights: str
    split: str
    seed: int
    measured: tuple[Measured, ...] = ()
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    saved: str = ""

    def value(self, name: str) -> Measured:
        """The value of that name.

        Raises:
            KeyError: there is none.
        """
        found = {each.name: each for each in self.measured}
        if name not in found:
            raise KeyError(f"{name!r} was not measured, but {', '.join(sorted(found))}")
        return found[name]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, as it is written to `evaluation.json`."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        measured = [each.as_dict() for each in self.measured]
        return {"format": FORMAT, **own, "measured": measured, "left_out": dict(self.left_out)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Evaluation":
        """Reads what `as_dict` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            fields = dict(fields)
            if fields.pop("format") != FORMAT:
                raise ValueError(f"no {FORMAT}")
            measured = tuple(Measured.from_dict(each) for each in fields.pop("measured"))
            return cls(**fields, measured=measured)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a missing or unknown field: {error}") from error

    def heading(self) -> str:
        """What was measured, in a line; earlier calls may have had other splits and seeds."""
        what = f"{self.model} on {self.dataset}, step {self.step}, {self.weights} weights"
        splits, seeds = self._of_values("split"), self._of_values("seed")
        told = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {' and '.join(map(str, seeds))}"
        return f"{what}; beside real clips of {' and '.join(map(repr, splits))}, {told}"

    def _of_values(self, name: str) -> list[Any]:
        """What values tell by a name in their protocol, each once; the evaluation's own if none."""
        own = getattr(self, name)
        told = [each.protocol.get(name, own) for each in self.measured]
        return list(dict.fromkeys(told)) or [own]

    def table(self) -> str:
        """The values in columns, for a screen."""
        rows = [HEAD, *map(_cells, self.measured)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            first, *rest = (
                cell.ljust(width) if number == 0 else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join([first, *rest]).rstrip())
        return "\n".join(lines)

    def markdown(self) -> str:
        """The values as a table, what all have in common, and each one's own protocol."""
        shared = _shared(each.protocol for each in self.measured)
        lines = [
            f"# {self.heading()}",
            "",
            "| " + " | ".join(HEAD) + " |",
            "|" + "---|" * len(HEAD),
            *("| " + " | ".join(_cells(each)) + " |" for each in self.measured),
            "",
            "All values have in common:",
            "",
            *_listed(shared),
        ]
        for metric in dict.fromkeys(each.metric for each in self.measured):
            lines += ["", f"## {metric}", "", *_of_metric(self.measured, metric, shared)]
        if self.left_out:
            lines += ["", "## Left out", "", *_listed(self.left_out)]
        return "\n".join(lines) + "\n"

    def joined(self, earlier: "Evaluation | None") -> "Evaluation":
        """With what an earlier one of the same weights has of other metrics, which comes first."""
        if earlier is None or not self.same_weights(earlier):
            return self
        own = {each.metric for each in self.measured}
        kept = tuple(each for each in earlier.measured if each.metric not in own)
        measured = kept + self.measured
        known = {each.metric for each in measured}
        left_out = {**earlier.left_out, **self.left_out}
        left_out = {name: why for name, why in left_out.items() if name not in known}
        return dataclasses.replace(self, measured=measured, left_out=left_out)

    def same_weights(self, other: "Evaluation") -> bool:
        """Whether both are of the same model, data set, step, kind of weights and saved file."""
        names = ("model", "dataset", "step", "weights", "saved")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def write(self, folder: str | os.PathLike) -> "Evaluation":
        """Writes `evaluation.json` and `evaluation.md`, joined with what is there.

        Returns:
            What was written.

        Raises:
            ValueError: what is there is no evaluation; it stays.
            OSError: the files cannot be written; those that are there stay.
        """
        folder = pathlib.Path(folder)
        whole = self.joined(read_evaluation(folder))
        text = json.dumps(whole.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        for name, content in ((JSON, text), (MARKDOWN, whole.markdown())):
            with atomic_write(folder / name) as temporary:
                pathlib.Path(temporary).write_text(content, encoding="utf-8")
        return whole


def read_evaluation(folder: str | os.PathLike) -> Evaluation | None:
    """What `Evaluation.write` wrote into a folder; `None` where there is nothing.

    Raises:
        ValueError: the file is damaged; one line with what to do.
    """
    path = pathlib.Path(folder) / JSON
    try:
        return Evaluation.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:  # of JSON and of Unicode, too
        raise ValueError(
            f"{path}: no evaluation ({error}): move it away or delete it, then run again."
        ) from error


def _spelled(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


def _cells(each: Measured) -> tuple[str, ...]:
    """A value's row of a table."""
    interval = "" if each.low is None else f"{_short(each.low)} .. {_short(each.high)}"
    std = "" if each.std is None else _short(each.std)
    return each.name, _short(each.value), interval, std, str(each.clips), SIGNS[each.better]


def _short(number: float) -> str:
    """Four digits, without an exponent where that can be read."""
    if not math.isfinite(number) or number == 0.0:
        return str(number)
    size = math.floor(math.log10(abs(number)))
    return f"{number:.{max(0, 3 - size)}f}" if -4 <= size < 7 else f"{number:.3e}"


def _shared(protocols: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What all protocols have, with the same value."""
    first, *rest = [*protocols] or [{}]
    return {k: v for k, v in first.items() if all(k in p and p[k] == v for p in rest)}


def _of_metric(measured: Iterable[Measured], metric: str, known: Mapping[str, Any]) -> list[str]:
    """What the values of a metric have in common, and of each what is its own."""
    values = [each for each in measured if each.metric == metric]
    shared = _shared(each.protocol for each in values)
    lines = _listed({k: v for k, v in shared.items() if k not in known})
    for each in values:
        own = {k: v for k, v in each.protocol.items() if k not in shared}
        if own:
            lines += [f"- {each.name}", *(f"  {line}" for line in _listed(own))]
    return lines


def _listed(facts: Mapping[str, Any]) -> list[str]:
    """Lines of a list, and of a list within it where a fact is several."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"- {name}", *(f"  - {k}: {_told(v)}" for k, v in value.items())]
        else:
            lines.append(f"- {name}: {_told(value)}")
    return lines


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
