"""Reproduces a published table: trains or finds its runs, measures them, and keeps what is done.

A row that fails takes no other with it, and what is measured is written at once: the next call of
the same table goes on from there.
"""

import dataclasses
import os
from collections.abc import Callable

from kerasvid.cli.command import one_line
from kerasvid.reproduction import deviations
from kerasvid.reproduction.measuring import Measuring
from kerasvid.reproduction.published import WHOLE, Row, Table
from kerasvid.reproduction.reproduced import (
    Cell,
    Reproduced,
    RowResult,
    SectionResult,
    file_name,
    known_cells,
)
from kerasvid.reproduction.sections import Section, sections_of
from kerasvid.reproduction.trainings import Locate, Options, Trainings, saved_at
from kerasvid.training.config import digest_of
from kerasvid.training.run_folder import ERRORS, RunFolder

# What a row can fail by for reasons outside of the code.
FAILURES = (ValueError, *ERRORS)


def _say(line: str) -> None:
    print(line, flush=True)


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """A published table, and how it is reproduced.

    Args:
        table: of `published_table`.
        options: of the trainings.
        measuring: of the evaluations.
        locate: finds or makes data.
        datasets: to train on, as `sections_of` takes them.
        out_dir: where the table is written.

    Raises:
        ValueError: a file of this table is there that cannot be read, or a run is given for none
            of its trainings.

    Example:
        >>> table = published_table("residual_vectors/3")
        >>> print(Reproduction(table, Options(), Measuring(), locate).run().markdown())
    """

    table: Table
    options: Options
    measuring: Measuring
    locate: Locate
    datasets: tuple[str, ...] = ()
    out_dir: str = "reproduced"

    @property
    def name(self) -> str:
        """Of the files, with what was asked for otherwise than by default."""
        choices = [*self.datasets, *([self.options.preset] * (self.options.preset != "base"))]
        choices += [f"{self.options.steps}-steps"] if self.options.steps else []
        choices += [f"{self.options.frames}-frames"] if self.options.frames else []
        choices += [f"seed-{self.options.seed}"] if self.options.seed else []
        return file_name(self.table, *choices)

    def sections(self) -> list[tuple[Section, Trainings]]:
        """What belongs to each data set, with its trainings."""
        return [
            (section, Trainings(self.table, section.dataset, self.options, self.locate))
            for section in sections_of(self.table, self.datasets or None)
        ]

    # === Doing it ===

    def run(self, report: Callable[[str], None] = _say) -> Reproduced:
        """Trains what is missing, measures what is not measured, and writes after every row.

        Args:
            report: takes lines that tell what is going on.

        Raises:
            Stopped: a signal ended a training.
            OSError: the table cannot be written.
        """
        self.measuring.check(self.table)
        known = known_cells(os.path.join(self.out_dir, f"{self.name}.json"))
        sections = self.sections()
        results = [_empty(section, trainings, known) for section, trainings in sections]
        made = Reproduced(self.table, results)
        for (section, trainings), result in zip(sections, results, strict=True):
            for (row, key), found in zip(section.rows, result.rows, strict=True):
                if key is None:
                    continue
                before = dict(found.cells)
                try:
                    self._measure(row, key, trainings, found, report)
                except FAILURES as error:
                    found.problem = one_line(str(error)) + _earlier(before, found.cells)
                    report(f"{row.name}: {found.problem}")
                result.deviations = self._deviations(section, trainings, result)
                result.commands = _commands(section, trainings)  # of data that is made by now
                made.write(self.out_dir, self.name)
        return made

    def _measure(
        self,
        row: Row,
        key: str,
        trainings: Trainings,
        found: RowResult,
        report: Callable[[str], None],
    ) -> None:
        """Fills the cells of a row that are not there yet."""
        config, run = trainings.ready(key)
        whole, info = self.locate(trainings.dataset, WHOLE, True)
        config = dataclasses.replace(
            config, dataset=trainings.dataset, data_folder=whole, data_digest=digest_of(info)
        )
        found.step, found.problem = saved_at(run), None
        choices, missing = self.measuring.choices(self.table, config), []
        for column in self.table.columns:
            asked = self.measuring.asked(row, column, choices, run, config)
            cell = found.cells.get(column.name)
            if asked and (cell is None or cell.asked != asked):
                missing.append(column)
        if missing:
            names = ", ".join(column.name for column in missing)
            report(f"\nmeasuring {names} of {row.name}, {run.path}")
            cells, problems = self.measuring.measure(row, missing, choices, run, config)
            found.cells.update(cells)
            if problems:
                raise ValueError(problems[0])

    def _deviations(
        self, section: Section, trainings: Trainings, result: SectionResult
    ) -> list[str]:
        """What the section has otherwise than the paper, as far as it is known."""
        sources = [(column, self.measuring.metric(column)) for column in self.table.columns]
        all_cells = [cell for row in result.rows for cell in row.cells.values()]
        cells = {name: cell for row in result.rows for name, cell in row.cells.items()}
        counts = [cell.clips for cell in all_cells]
        lines = deviations.of_data(section.dataset, section.parts)
        lines += deviations.of_metrics(sources, cells)
        lines += deviations.of_clips(counts, self.table.clips)
        lines += deviations.of_windows(all_cells)
        lines += deviations.of_classifiers(all_cells)
        configs = {}
        for key in trainings.needed(section.keys):
            try:
                configs[key] = (self.table.trainings[key], trainings.planned(key))
            except FAILURES:  # the row tells it
                continue
        return [*lines, *deviations.of_trainings(configs)]

    # === Looking at it ===

    def describe(self) -> str:
        """What would be done, what there is, and in what it differs from the paper."""
        self.measuring.check(self.table)
        known = known_cells(os.path.join(self.out_dir, f"{self.name}.json"))
        lines = [f"{self.table.name}: {self.table.title}", f"{self.table.paper}."]
        for section, trainings in self.sections():
            result = _empty(section, trainings, known)
            lines += ["", f"=== {section.dataset}, beside "
                      f"{', '.join(part.name for part in section.parts)} ==="]  # fmt: skip
            lines += [self._described(row, key, trainings, found) for (row, key), found in zip(
                section.rows, result.rows, strict=True)]  # fmt: skip
            others = [key for key in trainings.needed(section.keys) if key not in section.keys]
            lines += [f"  (before them): {_state(key, trainings)}" for key in others]
            lines += ["Deviations:"]
            lines += [f"  - {each}" for each in self._deviations(section, trainings, result)]
            lines += ["Commands:", *(f"  {each}" for each in result.commands)]
        files = f"{os.path.join(self.out_dir, self.name)}.json and .md"
        return "\n".join([*lines, "", f"The table is written to {files}."])

    def _described(self, row: Row, key: str | None, trainings: Trainings, found: RowResult) -> str:
        if key is None:
            return f"  {row.name}: as published alone"
        cells = [f"{c.name} {found.cells[c.name].text(c)}" for c in self.table.columns
                 if c.name in found.cells]  # fmt: skip
        measured = ", ".join(cells) or "nothing"
        return f"  {row.name}: {_state(key, trainings)}; measured: {measured}"


def _earlier(before: dict[str, Cell], cells: dict[str, Cell]) -> str:
    """Which numbers of a row that failed were not measured now, but by an earlier call."""
    kept = [name for name in cells if cells[name] is before.get(name)]
    return f" (Shown is what an earlier call measured: {', '.join(kept)}.)" if kept else ""


def _state(key: str, trainings: Trainings) -> str:
    """A training, where it is kept, and how far it is."""
    return f"{key}, {trainings.folder(key)}: {trainings.state(key)}"


def _empty(
    section: Section, trainings: Trainings, known: dict[tuple[str, str, str], Cell]
) -> SectionResult:
    """A section with what earlier calls measured, and the commands of its runs."""
    rows = []
    for row, key in section.rows:
        folder = None if key is None else trainings.folder(key)
        cells = {
            column: cell
            for (dataset, name, column), cell in known.items()
            if (dataset, name) == (section.dataset, row.name) and key is not None
        }
        step = saved_at(RunFolder(folder)) if folder and cells else None
        rows.append(RowResult(row.name, key, folder, step, cells))
    return SectionResult(section, rows, commands=_commands(section, trainings))


def _commands(section: Section, trainings: Trainings) -> list[str]:
    """The lines that train the runs of a section by hand, each once."""
    lines = (line for key in section.keys for line in trainings.commands(key))
    return list(dict.fromkeys(lines))
