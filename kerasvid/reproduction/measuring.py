"""Measures the rows of a published table with the metrics of `kerasvid.evaluation`."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.shards import hash_file
from kerasvid.evaluation.classifiers.networks import CLASSIFIERS, FrameClassifier
from kerasvid.evaluation.classifiers.store import folder_name
from kerasvid.evaluation.classifiers.train import ClassifierError, make_classifier_config
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext, NotMeasurable
from kerasvid.evaluation.generated_clips import recall
from kerasvid.evaluation.measurements import METRICS, Metric, from_real, no_clip_classifier
from kerasvid.evaluation.metrics.intervals import GROUPS
from kerasvid.evaluation.metrics.motion_consistency import motion_consistency_score
from kerasvid.evaluation.report import LOWER, Measured
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.base.protocols import LearnedCodes
from kerasvid.reproduction.published import LEARNED, REAL, UNLEARNED, Column, Row, Table
from kerasvid.reproduction.results import Cell
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.training.devices import over_devices
from kerasvid.training.run_folder import RunFolder

CLASSIFIER_MOTION = "classifier_motion_consistency"
OF_CLASSIFIERS = (
    "frechet",
    "image_frechet",
    "inception",
    "image_inception",
    "disentanglement",
    "constancy",
    CLASSIFIER_MOTION,
)


class LearnedContext(EvaluationContext):
    """A model with learned codes; its clips are training videos from their codes."""

    def generated(self, unseen: bool = False) -> Iterator[np.ndarray]:
        """Training videos from their codes, uint8 `[N, T, H, W, C]`, as many as real clips."""
        if not isinstance(self.model, LearnedCodes):
            raise NotMeasurable(f"{self.config.model} has no learned codes.")
        recalled = recall(self.model, self.batch)
        return (recalled(batch) for batch in self.labelled("train", unseen))

    def generated_videos(self, unseen: bool = False) -> np.ndarray:
        """The video of each clip of `generated`, int `[N]`."""
        return self.videos("train", unseen, count=self.count(unseen=unseen))

    @property
    def making(self) -> dict[str, Any]:
        """The part of a protocol that says how clips are made."""
        windows = self.evaluation_config.windows  # other windows of real videos have the same codes
        often = f", each {windows} times" if windows > 1 else ""
        return {"of": "recalled clips", "made": f"of the learned codes of training videos{often}"}


class UnlearnedContext(EvaluationContext):
    """A model with learned codes; its clips are of codes drawn as those of a new model."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not isinstance(self.model, LatentCodeModel):
            raise NotMeasurable(f"{self.config.model} has no learned codes.")
        self.model.draw_unlearned()

    @property
    def making(self) -> dict[str, Any]:
        """The part of a protocol that says how clips are made."""
        return {**super().making, "made": "of codes drawn as those of a new model"}


CONTEXTS: dict[str, type[EvaluationContext]] = {
    LEARNED: LearnedContext,
    UNLEARNED: UnlearnedContext,
}


def feature_maps(classifier: FrameClassifier):
    """A function of frames `[N, H, W, C]` in [-1, 1] to the classifier's last feature maps."""
    network = classifier.discriminator.feature_maps
    compiled = over_devices(lambda frames: network(frames, False), reduce_retracing=True)
    return lambda frames: compiled(tf.constant(frames, tf.float32)).numpy()


def classifier_motion(context: EvaluationContext) -> list[Measured]:
    """MCS with signed differences, from a frame classifier's maps in place of VGG16's."""
    classifier, count = context.classifier("frame"), context.count(unseen=True)
    clips = context.real(unseen=True), context.generated(unseen=True)
    videos = context.videos(unseen=True), context.generated_videos(unseen=True)
    maps = feature_maps(classifier.model)
    found = motion_consistency_score(*clips, maps, count, "signed", GROUPS, *videos)
    features = "last maps of the frame classifier, which has D_I's architecture"
    facts = {**from_real(context), "classifier": {**classifier.protocol(), "features": features}}
    value = found.score, LOWER, count, found.std
    return [context.reported_alone(CLASSIFIER_MOTION, *value, **facts, differences="signed")]


ALL_METRICS = {**METRICS, CLASSIFIER_MOTION: Metric(classifier_motion, no_clip_classifier)}


def metric_of(column: Column, evaluation: EvaluationConfig) -> str:
    """The name of the metric that a column is measured by."""
    if column.weights and column.without_weights and getattr(evaluation, column.weights) is None:
        return column.without_weights
    return column.metric


def check_num(table: Table, evaluation: EvaluationConfig) -> None:
    """Raises a ValueError if `num` is set, but a metric has its own number of clips."""
    if evaluation.num and (fixed := [c for c in table.columns if c.clips]):
        raise ValueError(
            f"--num={evaluation.num}: {fixed[0].name} of {table.name} always has "
            f"{fixed[0].clips:,} generated clips. Remove the flag."
        )


def resolved(evaluation: EvaluationConfig, table: Table, config: RunConfig) -> EvaluationConfig:
    """The evaluation of a run, with the split, the number of clips and of windows filled in.

    A split with fewer videos than published clips gives several random windows of each video: as
    many as are needed and the shortest video has.
    """
    info = load_info(config.data_folder)
    split = evaluation.split or table.split or held_out_split(info) or "train"
    if split not in info.splits:
        known = ", ".join(info.splits)
        raise ValueError(f"--split={split}: {config.dataset} has no such split. Use {known}.")
    videos, wanted = info.splits[split].count, evaluation.num or table.clips
    if all(column.clips for column in table.columns):
        wanted = None
    starts = max(1, info.splits[split].min_length - config.span() + 1)
    windows = min(math.ceil((wanted or 1) / videos), starts)
    num = evaluation.num or (wanted and min(wanted, videos * windows))
    return dataclasses.replace(evaluation, num=num, split=split, windows=windows)


def asked(
    row: Row, column: Column, evaluation: EvaluationConfig, run: RunFolder, config: RunConfig
) -> dict[str, Any] | None:
    """The choices of a measurement; `None` for a column that real clips have no value for."""
    metric = metric_of(column, evaluation)
    if row.clips == REAL and not column.of_real:
        return None
    # A run that was trained again can have the same folder and step, but another file.
    source = next(iter(run.weights()), run.model)
    saved = hash_file(os.fspath(source))[0] if source.exists() else None
    facts = {"run": os.path.realpath(run.path), "step": saved_step(source), "saved": saved}
    facts |= {"clips": row.clips, "metric": metric}
    if metric in OF_CLASSIFIERS:
        facts["classifiers"] = classifier_names(config, evaluation.split)
    choices = dataclasses.asdict(evaluation)
    return facts | {k: v for k, v in choices.items() if v is not None and k != "batch"}


def measure_missing(
    row: Row,
    cells: dict[str, Cell],
    columns: Sequence[Column],
    evaluation: EvaluationConfig,
    run: RunFolder,
    config: RunConfig,
) -> None:
    """Measures the cells of a row, by column, that are missing or have other choices.

    Raises:
        RunError, ValueError: a cell cannot be measured; the others are.
    """
    choices = {c.name: asked(row, c, evaluation, run, config) or {} for c in columns}
    known = {name: cell.asked for name, cell in cells.items()}
    missing = [c for c in columns if choices[c.name] and choices[c.name] != known.get(c.name)]
    if not missing:
        return
    print(f"\nmeasuring {', '.join(c.name for c in missing)} of {row.name}, {run.path}", flush=True)
    context = CONTEXTS.get(row.clips, EvaluationContext).of_run(run, config, evaluation)
    values = {name: _values(name, context) for name in {metric_of(c, evaluation) for c in missing}}
    for column in missing:
        found = values[metric_of(column, evaluation)]
        if isinstance(found, str):
            continue
        names = column.of_real if row.clips == REAL else column.measures
        by_name = {value.name: value for value in found}
        chosen = next((by_name[name] for name in names if name in by_name), None)
        if chosen is None:
            raise ValueError(f"{column.name}: no {' or '.join(names)} among {', '.join(by_name)}.")
        cells[column.name] = Cell(**vars(chosen), asked=choices[column.name])
    if problems := sorted(found for found in values.values() if isinstance(found, str)):
        raise ValueError(problems[0])


def _values(name: str, context: EvaluationContext) -> Sequence[Measured] | str:
    """The values of a metric, or why there are none."""
    metric = ALL_METRICS[name]
    try:
        reason = metric.unavailable_reason(context)
        return f"{name}: {reason}." if reason else list(metric.measure(context))
    except ValueError as error:
        return f"{name}: {error}"


def classifier_names(config: RunConfig, split: str | None = None) -> dict[str, str]:
    """By kind, the folder of the classifier of a run's data set for clips of a split."""
    info, names = load_info(config.data_folder), {}
    for kind in CLASSIFIERS:
        with contextlib.suppress(ClassifierError):  # the metric reports it
            cut = config.frames, config.training.stride
            classifier = make_classifier_config(info, kind, *cut, split=split)
            names[kind] = folder_name(classifier)
    return names
