"""Reproduces a published table: trains or finds its runs, measures them and writes the table.

A failed row does not stop the others. Every row is written at once, so that the next call of the
same table continues with what is missing.
"""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import re
from typing import Any

from kerasvid.evaluation.context import EvaluationConfig
from kerasvid.io import one_line
from kerasvid.reproduction import deviations, measuring
from kerasvid.reproduction.published import Column
from kerasvid.reproduction.results import Reproduced, RowResult, Section, known_cells, sections_of
from kerasvid.reproduction.runs import TableRuns
from kerasvid.training.config import digest_of
from kerasvid.training.run_folder import ERRORS, RunError, RunFolder

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
        seeds: trainings of each row. The seeds follow that of the runs.

    Raises:
        ValueError: there are several seeds and a run is given.

    Example:
        >>> table = published_table("residual_vectors/3")
        >>> print(Reproduction(TableRuns(table)).run().markdown())
    """

    runs: TableRuns
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    datasets: tuple[str, ...] = ()
    out_dir: str = "reproduced"
    seeds: int = 1

    def __post_init__(self) -> None:
        if self.seeds > 1 and (given := next(iter(self.runs.given), None)):
            raise ValueError(
                f"--run={given}=...: one run, but --seeds={self.seeds} needs one for each seed. "
                "Remove one of the two flags."
            )

    @property
    def name(self) -> str:
        """The name of the files: the table and the settings that differ from the default."""
        parts = [self.runs.table.name, *self.datasets, *self.runs.labels()]
        parts += [f"{self.runs.steps}-steps"] if self.runs.steps else []
        parts += [f"{self.runs.frames}-frames"] if self.runs.frames else []
        parts += [f"{self.seeds}-seeds"] if self.seeds > 1 else []
        return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)

    @property
    def first_seed(self) -> int:
        """The seed of the runs."""
        return self.runs.config.get("seed", 0)

    def sections(self) -> list[tuple[Section, list[TableRuns]]]:
        """The sections with the numbers of earlier calls, and the runs of each by its seeds.

        Raises:
            ValueError: the table's file cannot be read, a given run is not in the table, or `num`
                is set for a metric that has its own.
        """
        measuring.check_num(self.runs.table, self.evaluation)
        known = known_cells(os.path.join(self.out_dir, f"{self.name}.json"))
        sections, seeds = [], tuple(range(self.first_seed, self.first_seed + self.seeds))
        configs = [{**self.runs.config, **({"seed": seed} if seed else {})} for seed in seeds]
        for section in sections_of(self.runs.table, self.datasets, seeds):
            runs = [
                dataclasses.replace(self.runs, dataset=section.dataset, config=config)
                for config in configs
            ]
            for result in filter(lambda result: result.run, section.rows):
                cells = known.get((section.dataset, result.row.name), {})
                result.cells = {seed: cells[seed] for seed in seeds if seed in cells}
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
        for section, runs_of_seeds in sections:
            pairs = zip(section.seeds, runs_of_seeds, strict=True)
            for (seed, runs), result in itertools.product(pairs, section.rows):
                if result.run is None:
                    continue
                cells = result.cells.setdefault(seed, {})
                before = dict(cells)
                try:
                    self._measure(result, seed, result.run, runs)
                except FAILURES as error:
                    kept = [n for n, cell in cells.items() if cell is before.get(n)]
                    earlier = f" (An earlier call measured {', '.join(kept)}.)" if kept else ""
                    where = f"seed {seed}: " if self.seeds > 1 else ""
                    problem = where + one_line(str(error)) + earlier
                    result.problem = result.problem or problem
                    print(f"{result.row.name}: {problem}", flush=True)
                self._annotate(section, runs_of_seeds)  # the data exists by now
                made.write(self.out_dir, self.name)
        return made

    def _measure(self, result: RowResult, seed: int, name: str, runs: TableRuns) -> None:
        config, _ = runs.ready(name)
        whole, info = runs.locate(make=True)
        data: dict[str, Any] = {
            "dataset": runs.dataset,
            "data_folder": whole,
            "data_digest": digest_of(info),
        }
        config = dataclasses.replace(config, **data)
        seed_of_clips = self.evaluation.seed + seed - self.first_seed
        evaluation = dataclasses.replace(self.evaluation, seed=seed_of_clips)
        evaluation = measuring.resolved(evaluation, self.runs.table, config)
        problems: list[Exception] = []
        by_folder: dict[pathlib.Path, tuple[RunFolder, list[Column]]] = {}
        for column in self.runs.table.columns:
            try:
                run = runs.at_step(name, column.step)
            except RunError as error:
                problems.append(error)
                continue
            if run is not None:
                by_folder.setdefault(run.path, (run, []))[1].append(column)
        for run, columns in by_folder.values():
            try:
                measuring.measure_missing(
                    result.row, result.cells[seed], columns, evaluation, run, config
                )
            except FAILURES as error:
                problems.append(error)
        if problems:
            raise problems[0]

    def _annotate(self, section: Section, runs_of_seeds: list[TableRuns]) -> None:
        """Fills in the commands of a section and its deviations from the paper."""
        names, runs = section.runs, runs_of_seeds[0]
        commands = [
            line for each in runs_of_seeds for name in names for line in each.commands(name)
        ]
        section.commands = list(dict.fromkeys(commands))
        metrics = {c.name: measuring.metric_of(c, self.evaluation) for c in self.runs.table.columns}
        configs = {}
        for name in runs.needed(section.runs):
            with contextlib.suppress(*FAILURES):  # the row reports it
                run = RunFolder(runs.folder(name))
                begun = name in runs.given or run.exists()
                config = run.load_config() if begun else runs.make_config(name)
                configs[name] = runs.table.runs[name], config
        for result in section.rows:
            if result.run in configs:
                result.steps = configs[result.run][1].steps
        section.deviations = [deviations.of_seeds(section.seeds)]
        section.deviations += deviations.of_section(self.runs.table, section, metrics)
        section.deviations += deviations.of_runs(configs)

    def describe(self) -> str:
        """The page as it is now, and the state of every run. Trains and writes nothing."""
        sections = self.sections()
        page = Reproduced(self.runs.table, [section for section, _ in sections]).markdown()
        states = [
            runs.state(name)
            for section, runs_of_seeds in sections
            for runs in runs_of_seeds
            for name in runs.needed(section.runs)
        ]
        files = f"{os.path.join(self.out_dir, self.name)}.json and .md"
        lines = [page, "Runs:", *(f"  {state}" for state in dict.fromkeys(states)), ""]
        return "\n".join([*lines, f"The table is written to {files}."])
