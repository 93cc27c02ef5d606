"""Published tables: their figures, the run of each row, and the metric of each column.

A table is data. `papers/` has one JSON file a paper with its tables; what all of them share
(columns, parts, notes) stands once, beside them.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasvid.naming import nearest_names

PAPERS = pathlib.Path(__file__).with_name("papers")
WHOLE, VIDEOS, IMAGES = "whole", "videos", "images"
GENERATED, LEARNED, UNLEARNED, REAL = "generated", "learned", "unlearned", "real"


@dataclasses.dataclass(frozen=True)
class Column:
    """A number of the table.

    Args:
        name: as published, such as "FVD".
        better: "lower", "higher" or `None`.
        metric: of `kerasvid.reproduction.measuring.ALL_METRICS`.
        measures: names of its value among those that the metric returns; the first one found.
        of_real: the same for real clips, if they have a value.
        weights: field of `EvaluationConfig` with the weights of a published network.
        without_weights: metric to use if these weights are not given.
        scale: factor of our values; 100 for per cent.
        spread: what stands beside our value: the "interval" of the mean, or the "std".
        clips: number of generated clips of a metric that needs no real clips.
        step: step of the measured weights; `None` for the end of the run.
    """

    name: str
    better: str | None
    metric: str
    measures: Sequence[str]
    of_real: Sequence[str] = ()
    weights: str | None = None
    without_weights: str | None = None
    scale: float = 1.0
    spread: str = "interval"
    clips: int | None = None
    step: int | None = None

    def after(self, step: int) -> "Column":
        """The same number of the weights of a step."""
        return dataclasses.replace(self, name=f"{self.name} at {step:,}", step=step)

    @property
    def quantity(self) -> str:
        """The name without the step."""
        return self.name if self.step is None else self.name.removesuffix(f" at {self.step:,}")


@dataclasses.dataclass(frozen=True)
class PublishedRun:
    """The part of a `RunConfig` that the paper states.

    Args:
        model, steps, preset: as in `RunConfig`; the preset has the paper's sizes for this data.
        own_preset: the run has this preset in any case: the table compares presets.
        values: by dotted key, as in `make_config`.
        data: the "whole" data set, or its "videos" or "images" after half of the training videos
            were split into images.
        images: train on these images beside the videos.
        init_from: name of the run that it starts from.
    """

    model: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: int | None = None
    preset: str = "paper"
    own_preset: bool = False
    data: str = WHOLE
    images: bool = False
    init_from: str | None = None


@dataclasses.dataclass(frozen=True)
class Part:
    """A data set of the table.

    Args:
        name: as published, such as "MUG".
        dataset: registered name of this data set.
        substitutes: registered names to train on, the default first.
    """

    name: str
    dataset: str
    substitutes: Sequence[str] = ()

    @property
    def default(self) -> str:
        """The data set to train on by default."""
        return (*self.substitutes, self.dataset)[0]


@dataclasses.dataclass(frozen=True)
class Row:
    """A method of the table.

    Args:
        name: as published.
        figures: as printed, such as "4.24 ± 0.02", by part and column; the parts of the row.
        run: name of its run, or names by part; `None` for a method that this library lacks.
        clips: clips to measure: "generated" from noise, "learned" (training videos from their
            codes), "unlearned" (of codes drawn as those of a new model), or "real" (the bound).
    """

    name: str
    figures: Mapping[str, Mapping[str, str]]
    run: str | Mapping[str, str] | None = None
    clips: str = GENERATED

    def run_in(self, part: str) -> str | None:
        """The name of the run for a part."""
        return self.run.get(part) if isinstance(self.run, Mapping) else self.run


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table.

    Args:
        name: "paper/number".
        title: what it shows, in one line.
        paper: authors, title and number of the table.
        columns, parts, rows: as published.
        runs: by name.
        clips: number of generated clips in the paper, or `None`.
        split: split of real clips; `None` for the held-out one.
        baseline: name of the row that the others are compared to, if there is one.
        order: names of rows, the best first, where the paper orders them by another number.
        notes: open questions and errors of the paper, and our choices.
    """

    name: str
    title: str
    paper: str
    columns: Sequence[Column]
    parts: Sequence[Part]
    rows: Sequence[Row]
    runs: Mapping[str, PublishedRun]
    clips: int | None = None
    split: str | None = None
    baseline: str | None = None
    order: Sequence[str] = ()
    notes: Sequence[str] = ()

    def published_orders(self, column: Column, part: str) -> list[list[str]]:
        """The names of the rows of a part by their figures, the best first; equal ones together."""
        found: dict[float, list[str]] = {}
        for row in self.rows:
            figure = figure_value(row.figures.get(part, {}).get(column.name, ""))
            if figure is not None:
                found.setdefault(figure, []).append(row.name)
        if not found:
            return [[name] for name in self.order]
        return [found[figure] for figure in sorted(found, reverse=column.better == "higher")]


def _tables_of(path: pathlib.Path) -> Iterator[Table]:
    """The tables of a paper, each with the parts and columns that its rows have figures for.

    A table may name its columns ("columns"), and steps of the weights that they are also measured
    at ("steps").
    """
    paper = json.loads(path.read_text(encoding="utf-8"))
    parts = [Part(**fields) for fields in paper["parts"]]
    columns = [Column(**fields) for fields in paper["columns"]]
    for table in paper["tables"]:
        rows = [Row(**fields) for fields in table.pop("rows")]
        shown = {name for row in rows for name in row.figures}
        measured = {name for row in rows for figures in row.figures.values() for name in figures}
        named, steps = table.pop("columns", measured), table.pop("steps", [])
        each = [(*map(column.after, steps), column) for column in columns]
        yield Table(
            paper=", ".join([paper["paper"], *filter(None, [table.pop("place", None)])]),
            columns=[c for own in each if {c.name for c in own} & {*named} for c in own],
            parts=[part for part in parts if part.name in shown],
            rows=rows,
            runs={name: PublishedRun(**fields) for name, fields in table.pop("runs").items()},
            notes=[*paper["notes"], *table.pop("notes")],
            **table,
        )


TABLES = {table.name: table for path in sorted(PAPERS.glob("*.json")) for table in _tables_of(path)}


def published_table(name: str) -> Table:
    """The table of a name; a ValueError names near ones.

    Example:
        >>> published_table("residual_vectors/3").clips
        624
    """
    if name not in TABLES:
        raise ValueError(f"--table={name}: no such table, {nearest_names(name, TABLES)}.")
    return TABLES[name]


def describe_tables() -> str:
    """A line a table, each with its data sets and their substitutes."""
    lines, width = ["Tables (--table):"], max(map(len, TABLES)) + 1
    for name, table in TABLES.items():
        lines.append(f"  {name:<{width}}{table.title}")
        for part in table.parts:
            first, *others = part.substitutes
            default = f"{first} by default" + (f", or {', '.join(others)}" if others else "")
            lines.append(f"  {'':<{width}}  {part.name} ({part.dataset}): {default}")
    return "\n".join(lines)


def figure_value(text: str) -> float | None:
    """The number of a printed figure: 4.24 of "4.24 ± 0.02", `None` of "N/A"."""
    try:
        return float(text.partition("±")[0])
    except ValueError:
        return None
