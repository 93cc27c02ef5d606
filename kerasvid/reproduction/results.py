"""A reproduced table: our numbers beside the published ones, as JSON and Markdown."""

import dataclasses
import itertools
import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tabulate import tabulate

from kerasvid.evaluation.report import SIGNS, Measured
from kerasvid.io import atomic_write, markdown_text, read_text
from kerasvid.reproduction.published import REAL, Column, Part, Row, Table, figure_value


@dataclasses.dataclass(frozen=True)
class Cell(Measured):
    """A measured number.

    Args:
        asked: the choices of the measurement; another call with the same choices reuses it.
    """

    asked: Mapping[str, Any]

    def text(self, column: Column) -> str:
        """As in the table: "12.3 (11.9 to 12.8)" or "54.9 ± 19.2"."""
        value, low, high, std = (
            "" if number is None else _four_digits(number * column.scale)
            for number in (self.value, self.low, self.high, self.std)
        )
        if column.spread == "std":
            return f"{value} ± {std}" if std else value
        return f"{value} ({low} to {high})" if low and high else value


@dataclasses.dataclass
class RowResult:
    """The state of a row.

    Args:
        row: as published.
        run: name of its run, or `None` if the row is only quoted.
        cells: by column.
        problem: why cells are missing, in one line.
    """

    row: Row
    run: str | None
    cells: dict[str, Cell] = dataclasses.field(default_factory=dict)
    problem: str | None = None

    def shown(self, column: Column) -> str:
        """The text of a cell, empty if nothing is measured for it."""
        if column.name in self.cells:
            return self.cells[column.name].text(column)
        quoted = self.run is None or (self.row.clips == REAL and not column.of_real)
        return "" if quoted else "not measured yet"


@dataclasses.dataclass
class Section:
    """The rows that are trained on one data set.

    Args:
        dataset: name of this data set.
        parts: published parts with the same rows.
        rows: in the published order.
        deviations: from the paper, a line each.
        commands: that train the same runs.
    """

    dataset: str
    parts: list[Part]
    rows: list[RowResult]
    deviations: list[str] = dataclasses.field(default_factory=list)
    commands: list[str] = dataclasses.field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The names of the runs of all rows, each once."""
        return list(dict.fromkeys(row.run for row in self.rows if row.run))

    def as_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        rows = [
            {
                "name": result.row.name,
                "run": result.run,
                "clips": result.row.clips,
                "measured": {name: cell.as_dict() for name, cell in result.cells.items()},
                "published": result.row.figures,
                "problem": result.problem,
            }
            for result in self.rows
        ]
        names = [part.name for part in self.parts]
        lines = {"deviations": self.deviations, "commands": self.commands}
        return {"dataset": self.dataset, "parts": names, "rows": rows, **lines}


def sections_of(table: Table, datasets: Sequence[str] = ()) -> list[Section]:
    """The sections of a table, with nothing measured.

    Args:
        table: published.
        datasets: names of data sets to train on. Each goes to the parts that it is the data set
            or a substitute of, or else to all parts. If empty, each part has its default.

    Example:
        >>> [s.dataset for s in sections_of(published_table("non_adversarial/2"))]
        ['turntable', 'weizmann/strips', 'shapes']
    """
    chosen = [] if datasets else [(part.default, part) for part in table.parts]
    for name in datasets:
        own = [part for part in table.parts if part.dataset == name]
        fitting = own or [part for part in table.parts if name in part.substitutes]
        chosen += [(name, part) for part in fitting or table.parts]
    sections: list[Section] = []
    for name, part in chosen:
        rows = [RowResult(r, r.run_in(part.name)) for r in table.rows if part.name in r.figures]
        same = [each for each in sections if (each.dataset, each.rows) == (name, rows)]
        if not same:
            sections.append(Section(name, [part], rows))
        elif part not in same[0].parts:
            same[0].parts.append(part)
    return sections


@dataclasses.dataclass
class Reproduced:
    """A published table with our numbers beside the paper's, a section a data set."""

    table: Table
    sections: list[Section]

    def problems(self) -> list[str]:
        """A line for each incomplete row."""
        return [
            f"{row.row.name}, {section.dataset}: {row.problem}"
            for section in self.sections
            for row in section.rows
            if row.problem
        ]

    def as_dict(self) -> dict[str, Any]:
        """The content of the JSON file."""
        names = ("name", "title", "paper", "notes")
        sections = [section.as_dict() for section in self.sections]
        return {**{n: getattr(self.table, n) for n in names}, "sections": sections}

    def markdown(self) -> str:
        """The page: for each data set a table, the order of the methods and the deviations."""
        lines = [f"# {self.table.name}: {self.table.title}", "", f"{self.table.paper}.", ""]
        for section in self.sections:
            lines += [self._grid(section), ""]
            if problems := [f"{r.row.name}: {r.problem}" for r in section.rows if r.problem]:
                lines += [*(f"- {markdown_text(each)}" for each in problems), ""]
            lines += self._rankings(section)
            lines += _listed(f"Deviations, {markdown_text(section.dataset)}", section.deviations)
        lines += _listed("Notes", self.table.notes)
        commands = list(dict.fromkeys(line for each in self.sections for line in each.commands))
        if commands:
            lines += ["The same trainings by hand:", "", "```", *commands, "```", ""]
        return "\n".join(lines)

    def write(self, out_dir: str | os.PathLike, name: str) -> list[pathlib.Path]:
        """Writes `name.json` and `name.md`, and returns their paths."""
        folder = pathlib.Path(out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        facts = _finite(self.as_dict())
        text = json.dumps(facts, indent=1, ensure_ascii=False, default=str, allow_nan=False) + "\n"
        paths = [folder / f"{name}.json", folder / f"{name}.md"]
        for path, content in zip(paths, (text, self.markdown()), strict=True):
            with atomic_write(path) as temporary:
                pathlib.Path(temporary).write_text(content, encoding="utf-8")
        return paths

    def _grid(self, section: Section) -> str:
        columns, parts = self.table.columns, section.parts
        head = ["method", *(f"{_heading(section, c)}, {section.dataset}" for c in columns)]
        head += [f"{c.name}, {p.name}, published" for p in parts for c in columns]
        rows = []
        for result in section.rows:
            figures = [result.row.figures[p.name].get(c.name, "") for p in parts for c in columns]
            rows.append([result.row.name, *map(result.shown, columns), *figures])
        escaped = [[markdown_text(cell) for cell in row] for row in (head, *rows)]
        return tabulate(escaped[1:], escaped[0], "github", disable_numparse=True)

    def _rankings(self, section: Section) -> list[str]:
        """The order of the methods by each column, ours and the published ones."""
        lines = []
        for column in self.table.columns:
            if column.better and sum(column.name in row.cells for row in section.rows) > 1:
                orders = [f"{markdown_text(section.dataset)}: {ranking(section, column)}"]
                orders += [f"{p.name}: {ranking(section, column, p.name)}" for p in section.parts]
                lines.append(f"{column.name}, best first. {'; '.join(orders)}.")
        if any("≈" in line for line in lines):
            lines.append("(≈: their intervals overlap.)")
        return [*lines, ""] if lines else []


def ranking(section: Section, column: Column, part: str | None = None) -> str:
    """The measured methods, the best first: by our numbers, or by the published ones of a part.

    Example:
        >>> ranking(section, fvd, "MUG")
        'RJGAN, RMoCoGAN, MoCoGAN'
    """
    found: list[tuple[float, RowResult]] = []
    for result in section.rows:
        if column.name not in result.cells:
            continue
        value: float | None = result.cells[column.name].value
        if part is not None:
            value = figure_value(result.row.figures[part].get(column.name, ""))
        if value is not None:
            found.append((value, result))
    found.sort(key=lambda pair: pair[0], reverse=column.better == "higher")
    text = found[0][1].row.name if found else "no figures"
    for (value, one), (next_value, other) in itertools.pairwise(found):
        low, high = one.cells[column.name], other.cells[column.name]
        if low.value > high.value:
            low, high = high, low
        near = value == next_value
        if part is None and low.high is not None and high.low is not None:
            near |= low.high >= high.low  # their intervals overlap
        text += f"{' ≈ ' if near else ', '}{other.row.name}"
    return text


def known_cells(path: str | os.PathLike) -> dict[tuple[str, str], dict[str, Cell]]:
    """The numbers that an earlier call measured: by data set and row, then by column."""
    path = pathlib.Path(path)
    known: dict[tuple[str, str], dict[str, Cell]] = {}
    if not path.exists():
        return known
    try:
        for section in json.loads(read_text(path))["sections"]:
            for row in section["rows"]:
                cells = {n: cast(Cell, Cell.from_dict(f)) for n, f in row["measured"].items()}
                known[section["dataset"], row["name"]] = cells
        return known
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a file of kerasvid reproduce ({str(error)[:80]}). "
            "Rename it to measure again."
        ) from error


def _heading(section: Section, column: Column) -> str:
    """The title of a column, with the metric that replaces the published one."""
    cells = [row.cells[column.name] for row in section.rows if column.name in row.cells]
    others = sorted({cell.metric for cell in cells} - {column.metric})
    name = f"{column.name} by {' and '.join(others)}" if others else column.name
    return f"{name} {SIGNS[column.better]}".rstrip()


def _four_digits(value: float) -> str:
    """Four digits without an exponent: "0.01235", "1234", "90"."""
    return f"{value:.0f}" if abs(value) >= 1000 and math.isfinite(value) else f"{value:.4g}"


def _listed(title: str, items: Sequence[str]) -> list[str]:
    return [f"{title}:", "", *(f"- {item}" for item in items), ""] if items else []


def _finite(value: Any) -> Any:
    """Numbers that JSON does not have, at any depth, as text."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
