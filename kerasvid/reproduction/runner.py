"""Reproduces a published table: trains or finds its runs, measures them and writes the table.

A failed row does not stop the others. Every row is written at once, so that the next call of the
same table continues with what is missing.
"""

import contextlib
import dataclasses
import os
import re
from typing import Any

from kerasvid.evaluation.context import EvaluationConfig
from kerasvid.io import one_line
from kerasvid.reproduction import deviations, measuring
from kerasvid.reproduction.results import Reproduced, RowResult, Section, known_cells, sections_of
from kerasvid.reproduction.runs import TableRuns
from kerasvid.training.config import digest_of
from kerasvid.training.run_folder import ERRORS, RunFolder

# A row can fail by these for reasons outside the code.
FAILURES = (ValueError, *ERRORS)


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """A published table and how to reproduce it.

    Args:
        runs: of the table, without a data set.
        evaluation: of its measurements; the table's `num`, `split` and `windows` by default.
        datasets: to train on, as in `sections_of`.
        out_dir: folder of the table's files.

    Example:
        >>> table = published_table("residual_vectors/3")
        >>> print(Reproduction(TableRuns(table)).run().markdown())
    """

    runs: TableRuns
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    datasets: tuple[str, ...] = ()
    out_dir: str = "reproduced"

    @property
    def name(self) -> str:
        """The name of the files: the table and the settings that differ from the default."""
        parts = [self.runs.table.name, *self.datasets, *self.runs.labels()]
        parts += [f"{self.runs.steps}-steps"] if self.runs.steps else []
        parts += [f"{self.runs.frames}-frames"] if self.runs.frames else []
        return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)

    def sections(self) -> list[tuple[Section, TableRuns]]:
        """The sections with the numbers of earlier calls, and the runs of each.

        Raises:
            ValueError: the table's file cannot be read, a given run is not in the table, or `num`
                is set for a metric that has its own.
        """
        measuring.check_num(self.runs.table, self.evaluation)
        known = known_cells(os.path.join(self.out_dir, f"{self.name}.json"))
        sections = []
        for section in sections_of(self.runs.table, self.datasets):
            runs = dataclasses.replace(self.runs, dataset=section.dataset)
            for result in filter(lambda result: result.run, section.rows):
                result.cells = {**known.get((section.dataset, result.row.name), {})}
            self._annotate(section, runs)
            sections.append((section, runs))
        return sections

    def run(self) -> Reproduced:
        """Trains missing runs, measures missing numbers, and writes the table after every row.

        Raises:
            ValueError: as `sections`.
            Stopped: a signal ended a training.
            OSError: the table cannot be written.
        """
        sections = self.sections()
        made = Reproduced(self.runs.table, [section for section, _ in sections])
        for section, runs in sections:
            for result in section.rows:
                if result.run is None:
                    continue
                before = dict(result.cells)
                try:
                    self._measure(result, result.run, runs)
                except FAILURES as error:
                    kept = [n for n, cell in result.cells.items() if cell is before.get(n)]
                    earlier = f" (An earlier call measured {', '.join(kept)}.)" if kept else ""
                    result.problem = one_line(str(error)) + earlier
                    print(f"{result.row.name}: {result.problem}", flush=True)
                self._annotate(section, runs)  # the data exists by now
                made.write(self.out_dir, self.name)
        return made

    def _measure(self, result: RowResult, name: str, runs: TableRuns) -> None:
        config, run = runs.ready(name)
        whole, info = runs.locate(make=True)
        data: dict[str, Any] = {
            "dataset": runs.dataset,
            "data_folder": whole,
            "data_digest": digest_of(info),
        }
        config = dataclasses.replace(config, **data)
        evaluation = measuring.resolved(self.evaluation, self.runs.table, config)
        result.problem = None
        measuring.measure_missing(result, self.runs.table.columns, evaluation, run, config)

    def _annotate(self, section: Section, runs: TableRuns) -> None:
        """Fills in the commands of a section and its deviations from the paper."""
        commands = [line for name in section.runs for line in runs.commands(name)]
        section.commands = list(dict.fromkeys(commands))
        metrics = {c.name: measuring.metric_of(c, self.evaluation) for c in self.runs.table.columns}
        configs = {}
        for name in runs.needed(section.runs):
            with contextlib.suppress(*FAILURES):  # the row reports it
                run = RunFolder(runs.folder(name))
                begun = name in runs.given or run.exists()
                config = run.load_config() if begun else runs.make_config(name)
                configs[name] = runs.table.runs[name], config
        section.deviations = deviations.of_section(self.runs.table, section, metrics)
        section.deviations += deviations.of_runs(configs)

    def describe(self) -> str:
        """The page as it is now, and the state of every run. Trains and writes nothing."""
        sections = self.sections()
        page = Reproduced(self.runs.table, [section for section, _ in sections]).markdown()
        states = [runs.state(name) for each, runs in sections for name in runs.needed(each.runs)]
        files = f"{os.path.join(self.out_dir, self.name)}.json and .md"
        lines = [page, "Runs:", *(f"  {state}" for state in dict.fromkeys(states)), ""]
        return "\n".join([*lines, f"The table is written to {files}."])
