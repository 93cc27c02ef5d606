"""Measures what a run has learned.

    evaluate_run -> Evaluation, of Measured values -> evaluation.json, evaluation.md in its folder

A metric that is asked for by its name is measured, or an error says why it cannot be. Where none is
named, all are measured that the model and its data admit without a download, and the others are
told with the reason.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from kerasvid.data import DatasetError
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext, NotMeasurable
from kerasvid.evaluation.measurements import METRICS
from kerasvid.evaluation.report import Evaluation, Measured, read_evaluation
from kerasvid.naming import nearest_names
from kerasvid.training.config import RunConfig
from kerasvid.training.run_folder import RunFolder

__all__ = [
    "METRICS",
    "Evaluation",
    "Measured",
    "NotMeasurable",
    "check_metrics",
    "evaluate_context",
    "evaluate_run",
    "read_evaluation",
]


def check_metrics(names: Sequence[str]) -> None:
    """Refuses what is no metric.

    Raises:
        ValueError: one is unknown, or named twice; the message names near ones.
    """
    for name in names:
        if name not in METRICS:
            raise ValueError(f"--metrics={name}: {nearest_names(name, METRICS)}.")
    if len(set(names)) < len(names):
        raise ValueError(f"--metrics={','.join(names)}: name each once.")


def evaluate_run(
    run: RunFolder,
    config: RunConfig | None = None,
    metrics: Sequence[str] | None = None,
    num: int | None = None,
    split: str | None = None,
    seed: int = 0,
    frames: int | None = None,
    classifier_dir: str | os.PathLike = "classifiers",
    i3d_weights: Any = None,
    padding: str | None = None,
    vgg_weights: Any = None,
    windows: int = 1,
    batch: int = 32,
    classifier_of: Callable | None = None,
    after_each: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """Measures the model of a finished run, or of its newest checkpoint; writes nothing there.

    Args:
        run: to evaluate.
        config: of the run, with `data_folder` where the data lies now; `run.load_config()` where `None`.
        metrics: names of `METRICS`; all that can be had without a download where `None`.
        num, split, seed, frames, classifier_dir, i3d_weights, padding, vgg_weights, windows, batch,
            classifier_of: as `EvaluationConfig`.
        after_each: is given what is measured so far after every metric.

    Raises:
        ValueError: an unknown metric or split, fewer clips than asked for, or a metric asked for
            by name that the model cannot give; one line with what to do.
        RunError: there is no run, or it has saved nothing yet.
        ClassifierError: a classifier that is needed cannot be had (a `ValueError`, too).
        DatasetError: the data is absent or damaged.

    Example:
        >>> evaluation = evaluate_run(RunFolder("runs/dsa-sprites"), metrics=["frechet"], num=2048)
        >>> evaluation.value("frechet").value
    """
    check_metrics(metrics or ())
    choices = EvaluationConfig(
        num=num, split=split, seed=seed, frames=frames, windows=windows, batch=batch,
        classifier_dir=classifier_dir, classifier_of=classifier_of, i3d_weights=i3d_weights, padding=padding,
        vgg_weights=vgg_weights,
    )  # fmt: skip
    context = EvaluationContext.of_run(run, config, choices)
    return evaluate_context(context, metrics, os.fspath(run.path), after_each)


def evaluate_context(
    context: EvaluationContext,
    metrics: Sequence[str] | None = None,
    run_dir: str = "",
    after_each: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """As `evaluate_run`, of a model and data at hand."""
    check_metrics(metrics or ())
    names = METRICS if metrics is None else metrics
    refused = {name: METRICS[name].unavailable_reason(context) for name in names}
    refused = {name: why for name, why in refused.items() if why is not None}
    if metrics is not None and refused:
        name, why = next(iter(refused.items()))
        raise NotMeasurable(f"--metrics={name}: {why}.")
    context.count()  # before the work begins

    def found(measured: Sequence[Measured]) -> Evaluation:
        config, facts = context.config, context.protocol
        return Evaluation(
            run_dir, config.model, config.dataset, context.step, facts["weights"], context.split,
            context.seed, tuple(measured), dict(refused), context.saved,
        )  # fmt: skip

    measured: list[Measured] = []
    for name in names:
        if name in refused:
            continue
        try:
            measured += METRICS[name].measure(context)
        except DatasetError:
            raise
        except ValueError as error:
            if metrics is not None:
                raise
            refused[name] = str(error).rstrip(".")
            continue
        if after_each is not None:
            after_each(found(measured))
    return found(measured)
