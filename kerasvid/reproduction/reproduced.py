"""A reproduced table: what was measured beside what is published, as Markdown and JSON."""

import dataclasses
import itertools
import json
import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kerasvid.io import atomic_write
from kerasvid.reproduction.published import REAL, SIGN, Column, Row, Table, figure_value
from kerasvid.reproduction.sections import Section

NOT_MEASURED = "not measured yet"
RULE = "---"  # under the head of a Markdown table


@dataclasses.dataclass(frozen=True)
class Cell:
    """A measured number.

    Args:
        value: in the metric's own unit.
        low, high: ends of its interval, or `None`.
        std: of what it is the mean of, or `None`.
        clips: measured.
        metric, measure: what it was measured by.
        protocol: all choices that another number must share to be compared.
        asked: what the measurement was asked for, by which it is known again.
    """

    value: float
    low: float | None
    high: float | None
    std: float | None
    clips: int
    metric: str
    measure: str
    protocol: Mapping[str, Any]
    asked: Mapping[str, Any]

    def text(self, column: Column) -> str:
        """As the table shows it: "12.3 (11.9 to 12.8)", or "54.9 ± 19.2"."""
        value, scale = _number(self.value * column.scale), column.scale
        if column.spread == "std":
            known = self.std is not None
            return f"{value} ± {_number(self.std * scale)}" if known else value
        if self.low is None or self.high is None:
            return value
        return f"{value} ({_number(self.low * scale)} to {_number(self.high * scale)})"


@dataclasses.dataclass
class RowResult:
    """What is known of a row.

    Args:
        name: as published.
        run: key of its training, or `None` where it is published alone.
        folder: of the run.
        step: that it was measured at.
        cells: by column.
        problem: why it is not (all) measured, in one line.
    """

    name: str
    run: str | None
    folder: str | None = None
    step: int | None = None
    cells: dict[str, Cell] = dataclasses.field(default_factory=dict)
    problem: str | None = None


@dataclasses.dataclass
class SectionResult:
    """What is known of a section, with its rows in order."""

    section: Section
    rows: list[RowResult]
    deviations: list[str] = dataclasses.field(default_factory=list)
    commands: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Reproduced:
    """A table, ours beside the paper's.

    Args:
        table: as published.
        sections: one a data set.
    """

    table: Table
    sections: list[SectionResult]

    def problems(self) -> list[str]:
        """A line for each row that is not whole."""
        return [
            f"{row.name}, {each.section.dataset}: {row.problem}"
            for each in self.sections
            for row in each.rows
            if row.problem
        ]

    def as_dict(self) -> dict[str, Any]:
        """What the JSON file holds."""
        return {
            "table": self.table.name,
            "title": self.table.title,
            "paper": self.table.paper,
            "notes": list(self.table.notes),
            "sections": [_section_dict(each) for each in self.sections],
        }

    def markdown(self) -> str:
        """The page: a table a section, the order of the methods, deviations, commands."""
        lines = [f"# {self.table.name}: {self.table.title}", "", f"{self.table.paper}.", ""]
        for each in self.sections:
            lines += [*self._grid(each), "", *self._orders(each)]
            lines += self._listed(f"Deviations, {each.section.dataset}", each.deviations)
        lines += self._listed("Also to be known", self.table.notes)
        commands = list(dict.fromkeys(line for each in self.sections for line in each.commands))
        lines += ["The trainings by hand:", "", "```", *commands, "```", ""] if commands else []
        return "\n".join(lines)

    def write(self, out_dir: str | os.PathLike, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Writes `name.json` and `name.md`, each when complete; their paths.

        Raises:
            OSError: a file cannot be written; one line with the cause.
        """
        folder = pathlib.Path(out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # What the file keeps it reads again: no NaN, which JSON has not.
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, default=str) + "\n"
        paths = folder / f"{name}.json", folder / f"{name}.md"
        for path, content in zip(paths, (text, self.markdown()), strict=True):
            with atomic_write(path) as temporary:
                pathlib.Path(temporary).write_text(content, encoding="utf-8")
        return paths

    def _grid(self, each: SectionResult) -> list[str]:
        columns, parts = self.table.columns, each.section.parts
        head = ["method", *(f"{_head(each, c)}, {each.section.dataset}" for c in columns)]
        head += [f"{c.name}, {p.name}, published" for p in parts for c in columns]
        body = [head, [RULE] * len(head)]
        for (row, _), result in zip(each.section.rows, each.rows, strict=True):
            shown = [_shown(row, result, column) for column in columns]
            told = [row.figures[p.name].get(c.name, "") for p in parts for c in columns]
            body.append([row.name, *shown, *told])
        lines = aligned(body)
        failed = [f"{row.name}: {row.problem}" for row in each.rows if row.problem]
        return [*lines, "", *(f"- {line}" for line in failed)] if failed else lines

    def _orders(self, each: SectionResult) -> list[str]:
        """Lines that tell the order of the methods, ours and the published ones."""
        lines = []
        for column in self.table.columns:
            ranks = [ranked(each, column, None)]
            ranks += [ranked(each, column, part.name) for part in each.section.parts]
            if column.better and len(ranks[0][1]) > 1:
                names = [each.section.dataset, *(part.name for part in each.section.parts)]
                told = "; ".join(f"{n}: {text}" for n, (text, _) in zip(names, ranks, strict=True))
                lines.append(f"{column.name}, the best first. {told}.")
        if any("≈" in line for line in lines):
            lines.append("(≈: their intervals overlap.)")
        return [*lines, ""] if lines else []

    @staticmethod
    def _listed(title: str, items: Sequence[str]) -> list[str]:
        return [f"{title}:", "", *(f"- {item}" for item in items), ""] if items else []


def ranked(each: SectionResult, column: Column, part: str | None) -> tuple[str, list[str]]:
    """The methods that were measured, the best first: as text, and their names.

    Args:
        each: the section.
        column: by which.
        part: whose published figures are compared, or `None` for ours.

    Example:
        >>> ranked(section, fvd, "MUG")
        ('RJGAN, RMoCoGAN, MoCoGAN', ['RJGAN', 'RMoCoGAN', 'MoCoGAN'])
    """
    found: list[tuple[float, RowResult]] = []
    for (row, _), result in zip(each.section.rows, each.rows, strict=True):
        cell = result.cells.get(column.name)
        if cell is None:
            continue
        told = row.figures[part].get(column.name, "") if part else ""
        value = figure_value(told) if part else cell.value
        if value is not None:
            found.append((value, result))
    found.sort(key=lambda pair: pair[0], reverse=column.better == "higher")
    text = found[0][1].name if found else "nothing measured"
    for (value, one), (other_value, other) in itertools.pairwise(found):
        near = part is None and _overlap(one.cells[column.name], other.cells[column.name])
        text += f" {'≈' if near or value == other_value else '>'} {other.name}"
    return text.replace(" > ", ", "), [result.name for _, result in found]


def _overlap(one: Cell, other: Cell) -> bool:
    """Whether two intervals have a number in common; `False` where one is not known."""
    ends = (one.low, one.high, other.low, other.high)
    if any(end is None for end in ends):
        return False
    return max(one.low, other.low) <= min(one.high, other.high)


def _head(each: SectionResult, column: Column) -> str:
    """The title of a column, with the metric that stands in for the published one."""
    cells = (row.cells[column.name] for row in each.rows if column.name in row.cells)
    others = sorted({cell.metric for cell in cells} - {column.metric})
    name = f"{column.name} by {' and '.join(others)}" if others else column.name
    return f"{name} {SIGN[column.better]}".rstrip()


def _shown(row: Row, result: RowResult, column: Column) -> str:
    if column.name in result.cells:
        return result.cells[column.name].text(column)
    quoted = result.run is None or (row.clips == REAL and not column.of_real)
    return "" if quoted else NOT_MEASURED


def _number(value: float) -> str:
    """Four digits.

    Example:
        >>> _number(0.0123456), _number(1234.5), _number(90.0)
        ('0.01235', '1234', '90')
    """
    return f"{value:.0f}" if abs(value) >= 1000 and math.isfinite(value) else f"{value:.4g}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table with columns of equal width."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]  # H(y|x)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    filled = [
        [cell.ljust(width, "-" if cell == RULE else " ")
         for cell, width in zip(row, widths, strict=True)]
        for row in rows
    ]  # fmt: skip
    return [f"| {' | '.join(row)} |" for row in filled]


def _section_dict(each: SectionResult) -> dict[str, Any]:
    rows = []
    for (row, _), result in zip(each.section.rows, each.rows, strict=True):
        cells = {name: _finite(dataclasses.asdict(cell)) for name, cell in result.cells.items()}
        facts = {"name": result.name, "run": result.run, "folder": result.folder,
                 "step": result.step, "clips": row.clips, "measured": cells,
                 "published": dict(row.figures), "problem": result.problem}  # fmt: skip
        rows.append(facts)
    return {
        "dataset": each.section.dataset,
        "parts": [part.name for part in each.section.parts],
        "rows": rows,
        "deviations": each.deviations,
        "commands": each.commands,
    }


def _finite(value: Any) -> Any:
    """Infinite numbers and NaN as text, which JSON has not."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def known_cells(path: str | os.PathLike) -> dict[tuple[str, str, str], Cell]:
    """The measured numbers of an earlier call, by data set, row and column.

    Raises:
        ValueError: there is a file that cannot be read.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return {}
    try:
        cells = {}
        for each in json.loads(path.read_text(encoding="utf-8"))["sections"]:
            for row in each["rows"]:
                for name, fields in row["measured"].items():
                    number = {k: _as_number(fields[k]) for k in ("value", "low", "high")}
                    cells[each["dataset"], row["name"], name] = Cell(**{**fields, **number})
        return cells
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a reproduced table ({str(error)[:80]}); move it away to measure again."
        ) from error


def _as_number(value: float | str | None) -> float | None:
    return None if value is None else float(value)


def file_name(table: Table, *choices: str) -> str:
    """Of the files of a table, with what it was asked for otherwise than by default.

    Example:
        >>> file_name(published_table("residual_vectors/3"), "sprites/lpc", "debug")
        'residual_vectors-3-sprites-lpc-debug'
    """
    return "-".join(re.sub(r"[^\w.]+", "-", each).strip("-") for each in (table.name, *choices))
