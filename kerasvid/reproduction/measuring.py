"""Measures the rows of a published table by `kerasvid.runs.evaluation`."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from kerasvid.reproduction.published import Column, Row, Table
from kerasvid.reproduction.reproduced import Cell
from kerasvid.runs.plan import TrainingPlan
from kerasvid.runs.run_folder import RunFolder


def _evaluate(*args: Any, **rest: Any):
    from kerasvid.runs.evaluation import evaluate_run

    return evaluate_run(*args, **rest)


@dataclasses.dataclass(frozen=True)
class Measuring:
    """How rows are measured where the paper does not tell.

    Args:
        num: clips; the table's where `None`.
        split: of real clips, or `None` for what the evaluation takes.
        seed: of what is generated.
        judge_dir: where judges are kept.
        i3d_weights: of the Kinetics I3D, or `None` where a judge stands in.
        evaluate: `evaluate_run`.
    """

    num: int | None = None
    split: str | None = None
    seed: int = 0
    judge_dir: str = "judges"
    i3d_weights: str | None = None
    evaluate: Callable = _evaluate

    def source(self, column: Column) -> tuple[str, str]:
        """The metric and the name of the number among its own that a column shows."""
        if column.without_weights and self.i3d_weights is None:
            return column.without_weights
        return column.metric, column.measure

    def arguments(self, table: Table) -> dict[str, Any]:
        """Of `evaluate_run`, beside the run and the metrics."""
        return {
            "num": self.num or table.clips,
            "split": self.split,
            "seed": self.seed,
            "judge_dir": self.judge_dir,
            "i3d_weights": self.i3d_weights,
            **table.protocol,
        }

    def asked(
        self, table: Table, row: Row, column: Column, run: RunFolder, step: int
    ) -> dict[str, Any]:
        """By what a number that was measured is known again."""
        metric, measure = self.source(column)
        run_dir = os.path.realpath(run.path)
        facts = {"run": run_dir, "step": step, "clips": row.clips, "metric": metric,
                 "measure": measure}  # fmt: skip
        return {**facts, **self.arguments(table)}

    def measure(
        self,
        table: Table,
        row: Row,
        columns: Sequence[Column],
        run: RunFolder,
        plan: TrainingPlan,
        step: int,
    ) -> dict[str, Cell]:
        """The cells of a row, by column.

        Raises:
            ValueError, RunError: it cannot be measured; one line with what to do.
        """
        sources = {column: self.source(column) for column in columns}
        metrics = list(dict.fromkeys(metric for metric, _ in sources.values()))
        found = self.evaluate(run, plan, metrics, **self.arguments(table))
        numbers = {each.name: each for each in found.measured}
        cells = {}
        for column, (metric, measure) in sources.items():
            if measure not in numbers:
                raise ValueError(f"{metric} gives {', '.join(numbers)}, not {measure!r}.")
            number = numbers[measure]
            cells[column.name] = Cell(
                **{name: getattr(number, name)
                   for name in ("value", "low", "high", "deviation", "clips")},
                metric=metric,
                measure=measure,
                protocol=number.protocol,
                asked=self.asked(table, row, column, run, step),
            )  # fmt: skip
        return cells
