"""Measures the rows of a published table, by the metrics of `kerasvid.evaluation.measurements`."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasvid.data import load_info
from kerasvid.data.shards import hash_file
from kerasvid.evaluation.classifiers.networks import CLASSIFIERS
from kerasvid.evaluation.classifiers.store import folder_name
from kerasvid.evaluation.classifiers.train import ClassifierError, make_classifier_config
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext, NotMeasurable
from kerasvid.evaluation.evaluate import METRICS
from kerasvid.evaluation.generated_clips import recall
from kerasvid.evaluation.report import Measured
from kerasvid.reproduction.classifier_motion import JUDGE_MOTION
from kerasvid.reproduction.published import LEARNED, REAL, Column, Row, Table
from kerasvid.reproduction.reproduced import Cell
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.training.run_folder import RunFolder

ALL_METRICS = {**METRICS, "classifier_motion_consistency": JUDGE_MOTION}
JUDGED = (
    "frechet",
    "inception",
    "image_inception",
    "disentanglement",
    "classifier_motion_consistency",
)


class LearnedSubject(EvaluationContext):
    """A model with learned codes and its data; what it makes are training videos, recalled."""

    def generated(self, temperature: float = 1.0) -> Iterator[np.ndarray]:
        """Training videos from their codes, uint8 `[N, T, H, W, C]`, as often as real ones."""
        if not hasattr(self.model, "recall"):
            raise NotMeasurable(f"{self.config.model} has no learned codes to recall.")
        again = recall(self.model, self.batch)
        return (again(each) for each in self.labelled("train"))

    @property
    def making(self) -> dict[str, Any]:
        """As of any context: what its clips are made of; of noise they are not."""
        windows = self.choices.windows  # real clips are other windows, codes are the same
        often = f", each {windows} times: intervals are too narrow" if windows > 1 else ""
        return {"of": "recalled clips", "made": f"of the learned codes of training videos{often}"}


def context_of(
    run: RunFolder, config: RunConfig, choices: EvaluationConfig, clips: str
) -> EvaluationContext:
    """The model of a run with its data; `clips` as `Row.clips`."""
    return (LearnedSubject if clips == LEARNED else EvaluationContext).of_run(run, config, choices)


@dataclasses.dataclass(frozen=True)
class Measuring:
    """How rows are measured where the paper does not tell.

    Args:
        num: clips of each set; `None` for the published number, or as many as there are.
        split: of real clips; the table's where `None`.
        seed: of what is generated, and of the order of real clips.
        classifier_dir: where classifiers are kept.
        i3d_weights, vgg_weights: of the published networks, or `None` where a classifier stands in.
        padding: of clips that are too short for I3D.
        context_of, metrics: what is measured, and by what.
    """

    num: int | None = None
    split: str | None = None
    seed: int = 0
    classifier_dir: str = "classifiers"
    i3d_weights: str | None = None
    vgg_weights: str | None = None
    padding: str | None = None
    context_of: Callable = context_of
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=lambda: ALL_METRICS)

    def metric(self, column: Column) -> str:
        """The metric that a column is measured by."""
        missing = column.weights and getattr(self, column.weights) is None
        return column.without_weights if missing else column.metric

    def check(self, table: Table) -> None:
        """Refuses what does not go with a table.

        Raises:
            ValueError: a number of clips, where the metric has its own.
        """
        if self.num and (fixed := [c for c in table.columns if c.clips]):
            raise ValueError(
                f"--num={self.num}: {fixed[0].name} of {table.name} is always of "
                f"{fixed[0].clips:,} generated ones; leave it out."
            )

    def choices(self, table: Table, config: RunConfig) -> EvaluationConfig:
        """How a run is evaluated, told in full.

        Where a split has fewer videos than clips are published, as many random windows are taken
        of each as it needs and the shortest has.

        Raises:
            ValueError: there is no such split.
        """
        info = load_info(config.data_folder)
        split = self.split or table.split or held_out_split(info) or "train"
        if split not in info.splits:
            raise ValueError(f"--split={split}: {config.dataset} has {', '.join(info.splits)}.")
        videos, wanted = info.splits[split].count, self.num or table.clips
        if all(column.clips for column in table.columns):
            wanted = None
        starts = max(1, info.splits[split].min_length - config.span() + 1)
        windows = min(math.ceil((wanted or 1) / videos), starts)
        return EvaluationConfig(
            num=self.num or (wanted and min(wanted, videos * windows)),
            split=split,
            seed=self.seed,
            windows=windows,
            classifier_dir=self.classifier_dir,
            i3d_weights=self.i3d_weights,
            vgg_weights=self.vgg_weights,
            padding=self.padding,
        )

    def asked(
        self, row: Row, column: Column, choices: EvaluationConfig, run: RunFolder, config: RunConfig
    ) -> dict[str, Any] | None:
        """By what a number that was measured is known again; `None` where there is none.

        Where a classifier is asked, by what it is made of, too: another one measures anew.
        Of real clips, which have no distance to themselves, not all columns have one.
        """
        metric = self.metric(column)
        measures = column.of_real if row.clips == REAL else column.measures
        if not measures:
            return None
        told = dataclasses.asdict(choices)
        told = {
            k: v for k, v in told.items() if k not in ("classifier_of", "batch") and v is not None
        }
        if metric in JUDGED:
            told["classifiers"] = classifier_names(config)
        # A run that was trained anew has the same folder and step, and another file.
        saved = hash_file(os.fspath(run.model))[0] if run.model.exists() else None
        return {"run": os.path.realpath(run.path), "step": saved_step(run.model), "saved": saved,
                "clips": row.clips, "metric": metric, **told}  # fmt: skip

    def measure(
        self,
        row: Row,
        columns: Sequence[Column],
        choices: EvaluationConfig,
        run: RunFolder,
        config: RunConfig,
    ) -> tuple[dict[str, Cell], list[str]]:
        """The cells of a row by column, and why others cannot be had.

        Raises:
            RunError, ValueError: there is nothing to measure; one line with what to do.
        """
        context = self.context_of(run, config, choices, row.clips)
        cells, problems = {}, []
        found: dict[str, Sequence[Measured] | str] = {}
        for column in columns:
            name = self.metric(column)
            if name not in found:
                found[name] = self._values(name, context)
            values = found[name]
            if isinstance(values, str):
                problems.append(values)
                continue
            number = _chosen(values, column.of_real if row.clips == REAL else column.measures)
            asked = self.asked(row, column, choices, run, config)
            cells[column.name] = _cell(number, name, asked)
        return cells, list(dict.fromkeys(problems))

    def _values(self, name: str, context: EvaluationContext) -> Sequence[Measured] | str:
        """What a metric gives, or why it gives nothing."""
        metric = self.metrics[name]
        try:
            why = metric.unavailable_reason(context)
            return f"{name}: {why}." if why else metric.measure(context)
        except ValueError as error:
            return f"{name}: {error}"


def classifier_names(config: RunConfig) -> dict[str, str]:
    """By kind the folder of the classifier that a run's data set has, or would have."""
    info, names = load_info(config.data_folder), {}
    for kind in CLASSIFIERS:
        try:
            classifier = make_classifier_config(info, kind, config.frames, config.training.stride)
        except ClassifierError:  # none of that kind can be had; who measures by it says so
            continue
        names[kind] = folder_name(classifier)
    return names


def _chosen(values: Sequence[Measured], names: Sequence[str]) -> Measured:
    """The first number by one of the names."""
    by_name = {each.name: each for each in values}
    for name in names:
        if name in by_name:
            return by_name[name]
    raise ValueError(f"{' and '.join(names)}: not among {', '.join(by_name)}.")


def _cell(number: Measured, metric: str, asked: dict[str, Any]) -> Cell:
    return Cell(
        value=number.value,
        low=number.low,
        high=number.high,
        std=number.std,
        clips=number.clips,
        metric=metric,
        measure=number.name,
        protocol=number.protocol,
        asked=asked,
    )
