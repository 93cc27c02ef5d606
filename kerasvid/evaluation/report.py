"""The report of an evaluation: values with their protocol, on screen and in a run's folder.

`evaluation.json` and, as text, `evaluation.md` hold the values of one saved model. A later
evaluation of the same weights adds its values; one of other weights replaces them.
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from tabulate import tabulate

from kerasvid.io import atomic_write, lock, parse_sealed_json, readable_os_errors, sealed_json

JSON, MARKDOWN, LOCK = "evaluation.json", "evaluation.md", ".evaluation.lock"
FORMAT = "kerasvid-evaluation"
HIGHER, LOWER = "higher", "lower"
SIGNS = {HIGHER: "↑", LOWER: "↓", None: ""}
HEAD = ("metric", "value", "95 % interval", "std", "clips", "better")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One value of a metric with its uncertainty and its protocol.

    Args:
        name: `metric` or `metric/part`, e.g. `"reconstruction/psnr"`.
        value: The measured number. It may be infinite (the MCS of equal sets).
        low, high: The 95 % interval, or `None` if there is none. The protocol states its method.
        std: Standard deviation over clips, or over batches as the protocol states, or `None`.
        clips: Number of clips of each set.
        better: `"higher"`, `"lower"`, or `None` if neither is better.
        protocol: Every choice by name, in types of JSON. Compare values of equal protocols only.
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
        """The name of the metric, without the part."""
        return self.name.partition("/")[0]

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, in types of JSON; infinite values are `"inf"` and `"-inf"`."""
        fields = dataclasses.asdict(self)
        infinite = {k: str(v) for k, v in fields.items() if v in (math.inf, -math.inf)}
        return {**fields, **infinite}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Measured":
        """The inverse of `as_dict`."""
        numbers = {name: fields[name] for name in ("value", "low", "high", "std")}
        numbers = {name: v if v is None else float(v) for name, v in numbers.items()}
        return cls(**{**fields, **numbers})

    def cells(self) -> tuple[str, ...]:
        """The value's row of a table, with the columns of `HEAD`."""
        interval = "" if self.low is None else f"{_short(self.low)} .. {_short(self.high)}"
        value, std = _short(self.value), _short(self.std)
        return self.name, value, interval, std, str(self.clips), SIGNS[self.better]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The measured values of one saved model.

    Args:
        run_dir: Folder of the run.
        model, dataset: Names.
        step: Training step of the weights.
        weights: `"averaged"` or `"trained"`.
        split: Split of the real clips, unless a value's protocol names another.
        seed: Seed of the clip order and of generation, unless a value's protocol names another.
        measured: The values.
        left_out: Reasons by metric name for metrics that were not measured.
        saved: SHA-256 of the model file.

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
        """The value with this name; a `KeyError` if there is none."""
        found = {each.name: each for each in self.measured}
        if name not in found:
            raise KeyError(f"{name!r} was not measured; there are {', '.join(sorted(found))}")
        return found[name]

    def heading(self) -> str:
        """One line about the model, the weights and the data."""
        protocols = [each.protocol for each in self.measured] or [{}]
        splits = dict.fromkeys(repr(p.get("split", self.split)) for p in protocols)
        seeds = dict.fromkeys(str(p.get("seed", self.seed)) for p in protocols)
        return (
            f"{self.model} on {self.dataset}, step {self.step}, {self.weights} weights; "
            f"real clips of {' and '.join(splits)}, "
            f"seed{'s' * (len(seeds) > 1)} {' and '.join(seeds)}"
        )

    def table(self, style: str = "plain") -> str:
        """The values as a table; `style` is a table format of `tabulate`."""
        alignment = ("left", *["right"] * (len(HEAD) - 1))
        rows = [each.cells() for each in self.measured]
        return tabulate(rows, HEAD, style, colalign=alignment, disable_numparse=True)

    def markdown(self) -> str:
        """The table, then the common part of all protocols, then the rest by metric."""
        common = _common(each.protocol for each in self.measured)
        lines = [f"# {self.heading()}", "", self.table("github"), ""]
        lines += ["Protocol of all values:", "", *_bullets(common)]
        for metric in dict.fromkeys(each.metric for each in self.measured):
            values = [each for each in self.measured if each.metric == metric]
            shared = _common(each.protocol for each in values)
            of_metric = {k: v for k, v in shared.items() if k not in common}
            lines += ["", f"## {metric}", "", *_bullets(of_metric)]
            for each in values:
                if own := {k: v for k, v in each.protocol.items() if k not in shared}:
                    lines += [f"- {each.name}", *(f"  {line}" for line in _bullets(own))]
        if self.left_out:
            lines += ["", "## Left out", "", *_bullets(self.left_out)]
        return "\n".join(lines) + "\n"

    def joined(self, earlier: "Evaluation | None") -> "Evaluation":
        """This evaluation, with the other metrics of an earlier one of the same weights."""
        if earlier is None or not self.same_weights(earlier):
            return self
        own = {each.metric for each in self.measured}
        measured = (*(v for v in earlier.measured if v.metric not in own), *self.measured)
        left_out = {**earlier.left_out, **self.left_out}
        for each in measured:
            left_out.pop(each.metric, None)
        return dataclasses.replace(self, measured=measured, left_out=left_out)

    def same_weights(self, other: "Evaluation") -> bool:
        """Whether both are of the same model file, step and kind of weights."""
        names = ("model", "dataset", "step", "weights", "saved")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def write(self, folder: str | os.PathLike) -> "Evaluation":
        """Writes `evaluation.json` and `evaluation.md`, and returns them, joined with earlier ones.

        Raises:
            ValueError: The existing file is not an evaluation. It is kept.
            OSError: The files cannot be written. The existing ones are kept.
        """
        folder = pathlib.Path(folder)
        # Another evaluation of this run may write meanwhile.
        with readable_os_errors(folder / JSON), lock(folder / LOCK, wait=True):
            whole = self.joined(read_evaluation(folder))
            fields = {"format": FORMAT, **{f.name: getattr(whole, f.name) for f in FIELDS}}
            fields["measured"] = [each.as_dict() for each in whole.measured]
            for name, text in ((JSON, sealed_json(fields)), (MARKDOWN, whole.markdown())):
                with atomic_write(folder / name) as temporary:
                    pathlib.Path(temporary).write_text(text, encoding="utf-8")
        return whole


FIELDS = dataclasses.fields(Evaluation)


def read_evaluation(folder: str | os.PathLike) -> Evaluation | None:
    """The evaluation in a run's folder, or `None` if there is none.

    Raises:
        ValueError: The file is damaged.
    """
    path = pathlib.Path(folder) / JSON
    try:
        fields = parse_sealed_json(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise ValueError(f"the format is not {FORMAT}")
        fields["measured"] = tuple(Measured.from_dict(each) for each in fields["measured"])
        return Evaluation(**fields)
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not an evaluation ({error}). Move or delete the file and run again."
        ) from error


def _short(number: float | None) -> str:
    """Four digits, without an exponent for numbers of ordinary size; nothing for `None`."""
    if number is None:
        return ""
    if not math.isfinite(number) or number == 0.0:
        return str(number)
    size = math.floor(math.log10(abs(number)))
    return f"{number:.{max(0, 3 - size)}f}" if -4 <= size < 7 else f"{number:.3e}"


def _common(protocols: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries that all protocols have with the same value."""
    first, *rest = [*protocols] or [{}]
    return {k: v for k, v in first.items() if all(k in p and p[k] == v for p in rest)}


def _bullets(facts: Mapping[str, Any]) -> list[str]:
    """Lines of a Markdown list, with a list inside it for a mapping."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"- {name}", *(f"  - {k}: {_text(v)}" for k, v in value.items())]
        else:
            lines.append(f"- {name}: {_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
