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
from kerasvid.reproduction.orderings import Estimate, Ordering, orderings, paired_difference
from kerasvid.reproduction.published import REAL, Column, Part, Row, Table


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
        cells: by seed and column.
        problem: why cells are missing, in one line.
        steps: of its run, if known.
    """

    row: Row
    run: str | None
    cells: dict[int, dict[str, Cell]] = dataclasses.field(default_factory=dict)
    problem: str | None = None
    steps: int | None = None

    def measured(self, column: Column) -> dict[int, Cell]:
        """The cells of a column, by seed."""
        return {seed: own[column.name] for seed, own in self.cells.items() if column.name in own}

    def values(self, column: Column) -> dict[int, float]:
        """The numbers of a column by seed, in its unit."""
        return {seed: column.scale * cell.value for seed, cell in self.measured(column).items()}

    def shown(self, column: Column, several: bool = False) -> str:
        """The text of a cell, empty if nothing is measured for it.

        Args:
            column: of the table.
            several: whether the row has several seeds: "12.3 ± 0.4 (n=3)".
        """
        if cells := self.measured(column):
            return self._over_seeds(column) if several else next(iter(cells.values())).text(column)
        quoted = self.run is None or (self.row.clips == REAL and not column.of_real)
        after = column.step is not None and self.steps is not None and column.step > self.steps
        return "" if quoted or after else "not measured yet"

    def _over_seeds(self, column: Column) -> str:
        values = self.values(column)
        found, infinite = Estimate.of(values), [v for v in values.values() if not math.isfinite(v)]
        if found is None or infinite:
            return ", ".join(map(_four_digits, values.values()))
        std = "" if found.std is None else f" ± {_four_digits(found.std)}"
        return f"{_four_digits(found.mean)}{std} (n={found.seeds})"


@dataclasses.dataclass
class Section:
    """The rows that are trained on one data set.

    Args:
        dataset: name of this data set.
        parts: published parts with the same rows.
        rows: in the published order.
        seeds: of the trainings of each row.
        deviations: from the paper, a line each.
        commands: that train the same runs.
    """

    dataset: str
    parts: list[Part]
    rows: list[RowResult]
    seeds: tuple[int, ...] = (0,)
    deviations: list[str] = dataclasses.field(default_factory=list)
    commands: list[str] = dataclasses.field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The names of the runs of all rows, each once."""
        return list(dict.fromkeys(row.run for row in self.rows if row.run))

    def differences(self, table: Table, column: Column) -> dict[str, Estimate]:
        """The paired differences of rows to the baseline, by row; empty for one seed."""
        base = [result for result in self.rows if result.row.name == table.baseline]
        if not base or len(self.seeds) < 2:
            return {}
        against, others = base[0].values(column), [row for row in self.rows if row is not base[0]]
        found = {
            result.row.name: paired_difference(result.values(column), against) for result in others
        }
        return {name: difference for name, difference in found.items() if difference}

    def orderings(self, table: Table, column: Column) -> list[Ordering]:
        """The published pairs of a column that are measured; empty for one seed."""
        if not column.better or len(self.seeds) < 2:
            return []
        values = {result.row.name: result.values(column) for result in self.rows}
        return list(orderings(table, [part.name for part in self.parts], column, values))

    def as_dict(self, table: Table) -> dict[str, Any]:
        """For the JSON file."""
        rows: list[dict[str, Any]] = [
            {
                "name": result.row.name,
                "run": result.run,
                "clips": result.row.clips,
                "measured": {
                    str(seed): {name: cell.as_dict() for name, cell in cells.items()}
                    for seed, cells in result.cells.items()
                },
                "published": result.row.figures,
                "problem": result.problem,
            }
            for result in self.rows
        ]
        names, columns = [part.name for part in self.parts], table.columns
        facts: dict[str, Any] = {"dataset": self.dataset, "parts": names, "rows": rows}
        facts |= {"seeds": self.seeds}
        if len(self.seeds) > 1:
            for row, result in zip(rows, self.rows, strict=True):
                row["over_seeds"] = {
                    column.name: {
                        "value": _as_dict(Estimate.of(result.values(column))),
                        "difference": _as_dict(
                            self.differences(table, column).get(result.row.name)
                        ),
                    }
                    for column in columns
                    if result.measured(column)
                }
            found = [each for column in columns for each in self.orderings(table, column)]
            facts |= {"baseline": table.baseline, "orderings": [each.as_dict() for each in found]}
        return {**facts, "deviations": self.deviations, "commands": self.commands}


def _as_dict(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else dataclasses.asdict(estimate)


def sections_of(
    table: Table, datasets: Sequence[str] = (), seeds: tuple[int, ...] = (0,)
) -> list[Section]:
    """The sections of a table, with nothing measured.

    Args:
        table: published.
        datasets: names of data sets to train on. Each goes to the parts that it is the data set
            or a substitute of, or else to all parts. If empty, each part has its default.
        seeds: of the trainings of each row.

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
            sections.append(Section(name, [part], rows, seeds))
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
        sections = [section.as_dict(self.table) for section in self.sections]
        return {**{n: getattr(self.table, n) for n in names}, "sections": sections}

    def markdown(self) -> str:
        """The page: for each data set a table, the order of the methods and the deviations.

        For several seeds the order is that of the paper, with what our numbers say of it.
        """
        lines = [f"# {self.table.name}: {self.table.title}", "", f"{self.table.paper}.", ""]
        for section in self.sections:
            lines += [self._grid(section), ""]
            if problems := [f"{r.row.name}: {r.problem}" for r in section.rows if r.problem]:
                lines += [*(f"- {markdown_text(each)}" for each in problems), ""]
            several = len(section.seeds) > 1
            lines += self._orderings(section) if several else self._rankings(section)
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
        head, rows = ["method"], [[result.row.name] for result in section.rows]
        for column in self.table.columns:
            differences = self.table.baseline and section.differences(self.table, column)
            head.append(f"{_heading(section, column)}, {section.dataset}")
            head += [f"{column.name}, difference to {self.table.baseline}"] if differences else []
            for row, result in zip(rows, section.rows, strict=True):
                row.append(result.shown(column, len(section.seeds) > 1))
                if differences:
                    row.append(_difference(differences.get(result.row.name)))
        for part, column in itertools.product(section.parts, self.table.columns):
            figures = [result.row.figures[part.name].get(column.name) for result in section.rows]
            if figures.count(None) < len(figures):
                head.append(f"{column.name}, {part.name}, published")
                for row, figure in zip(rows, figures, strict=True):
                    row.append(figure or "")
        escaped = [[markdown_text(cell) for cell in row] for row in (head, *rows)]
        return tabulate(escaped[1:], escaped[0], "github", disable_numparse=True)

    def _orderings(self, section: Section) -> list[str]:
        """How the numbers of several seeds are made, and which of the paper's orderings hold."""
        text = "Our values: mean ± std over n seeds."
        if any(section.differences(self.table, column) for column in self.table.columns):
            text += f" Differences to {self.table.baseline}: seed by seed,"
            text += " with the 95 % interval of Student's t with n - 1 degrees of freedom."
        lines = []
        for column in self.table.columns:
            for each in section.orderings(self.table, column):
                printed = [f"{p} {one}, {other}" for p, (one, other) in each.figures.items() if one]
                figures = f" ({'; '.join(printed)})" if printed else ""
                pair = f"{column.name}: {each.better} better than {each.worse}{figures}"
                count = f"{each.difference.seeds} seed{'s' * (each.difference.seeds > 1)}"
                difference = f"difference {_difference(each.difference)}, {count}"
                lines.append(markdown_text(f"{pair}: {each.outcome}, {difference}"))
        return [text, "", *_listed("Orderings of the paper", lines)]

    def _published(self, section: Section, column: Column, part: Part) -> str:
        """The measured methods in the published order of a part."""
        measured = {result.row.name for result in section.rows if result.measured(column)}
        order = [
            " ≈ ".join(name for name in names if name in measured)
            for names in self.table.published_orders(column, part.name)
        ]
        return ", ".join(filter(None, order)) or "no figures"

    def _rankings(self, section: Section) -> list[str]:
        """The order of the methods by each column, ours and the published ones."""
        lines = []
        for column in self.table.columns:
            if column.better and sum(bool(row.measured(column)) for row in section.rows) > 1:
                orders = [f"{markdown_text(section.dataset)}: {ranking(section, column)}"]
                orders += [
                    f"{p.name}: {self._published(section, column, p)}" for p in section.parts
                ]
                lines.append(f"{column.name}, best first. {'; '.join(orders)}.")
        if any("≈" in line for line in lines):
            lines.append("(≈: their intervals overlap.)")
        return [*lines, ""] if lines else []


def ranking(section: Section, column: Column) -> str:
    """The methods measured by one seed, the best first; "≈" where their intervals overlap.

    Example:
        >>> ranking(section, fvd)
        'RJGAN ≈ RMoCoGAN, MoCoGAN'
    """
    cells = {row.row.name: cell for row in section.rows for cell in row.measured(column).values()}
    found = sorted(cells, key=lambda name: cells[name].value, reverse=column.better == "higher")
    text = found[0]
    for one, other in itertools.pairwise(found):
        low, high = cells[one], cells[other]
        if low.value > high.value:
            low, high = high, low
        near = low.value == high.value
        if low.high is not None and high.low is not None:
            near |= low.high >= high.low
        text += f"{' ≈ ' if near else ', '}{other}"
    return text


def known_cells(path: str | os.PathLike) -> dict[tuple[str, str], dict[int, dict[str, Cell]]]:
    """The numbers of an earlier call: by data set and row, then by seed, then by column."""
    path = pathlib.Path(path)
    known: dict[tuple[str, str], dict[int, dict[str, Cell]]] = {}
    if not path.exists():
        return known
    try:
        for section in json.loads(read_text(path))["sections"]:
            for row in section["rows"]:
                known[section["dataset"], row["name"]] = {
                    int(seed): {n: cast(Cell, Cell.from_dict(f)) for n, f in cells.items()}
                    for seed, cells in row["measured"].items()
                }
        return known
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a file of kerasvid reproduce ({str(error)[:80]}). "
            "Rename it to measure again."
        ) from error


def _heading(section: Section, column: Column) -> str:
    """The title of a column, with the metric that replaces the published one."""
    cells = [cell for row in section.rows for cell in row.measured(column).values()]
    others = sorted({cell.metric for cell in cells} - {column.metric})
    name = f"{column.name} by {' and '.join(others)}" if others else column.name
    return f"{name} {SIGNS[column.better]}".rstrip()


def _four_digits(value: float) -> str:
    """Four digits without an exponent: "0.01235", "1234", "90"."""
    return f"{value:.0f}" if abs(value) >= 1000 and math.isfinite(value) else f"{value:.4g}"


def _difference(found: Estimate | None) -> str:
    """As "-12.3 (-20.1 to -4.5)"; empty for none."""
    if found is None:
        return ""
    numbers = [None if n is None else f"{n:+.4g}" for n in (found.mean, found.low, found.high)]
    return f"{numbers[0]} ({numbers[1]} to {numbers[2]})" if numbers[1] else f"{numbers[0]}"


def _listed(title: str, items: Sequence[str]) -> list[str]:
    return [f"{title}:", "", *(f"- {item}" for item in items), ""] if items else []


def _finite(value: Any) -> Any:
    """Numbers that JSON does not have, at any depth, as text."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
