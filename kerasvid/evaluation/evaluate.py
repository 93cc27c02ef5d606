"""Evaluates a run: a metric requested by name is measured, or an error says why it cannot be.

Without names, every metric is measured that the model and its data support and whose weights are
there or can be downloaded. The others are listed with the reason.
"""

import os
from collections.abc import Callable, Sequence

from kerasvid.data import DatasetError
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext, NotMeasurable
from kerasvid.evaluation.measurements import METRICS
from kerasvid.evaluation.report import Evaluation, Measured
from kerasvid.naming import nearest_names
from kerasvid.training.config import RunConfig
from kerasvid.training.run_folder import RunFolder


def check_metrics(names: Sequence[str] | None) -> None:
    """Refuses, by a `ValueError`, an unknown name of a metric and one that occurs twice."""
    names = names or ()
    for name in names:
        if name not in METRICS:
            raise ValueError(f"--metrics={name}: {nearest_names(name, METRICS)}.")
        if names.count(name) > 1:
            raise ValueError(f"--metrics={','.join(names)}: {name} occurs twice. Name it once.")


def evaluate_run(
    run: RunFolder,
    evaluation_config: EvaluationConfig | None = None,
    metrics: Sequence[str] | None = None,
    config: RunConfig | None = None,
    after_each: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """Measures the model of a finished run, or of its newest checkpoint; writes nothing.

    Args:
        run: The run.
        evaluation_config: How to evaluate; `None` for the defaults.
        metrics: Names in `METRICS`; `None` for all that can be measured.
        config: The run's config with the current `data_folder`; `None` for `run.load_config()`.
        after_each: Function that receives the values so far after every metric.

    Raises:
        ValueError: Unknown metric or split, too few clips, or a requested metric that the model
            does not support.
        RunError: There is no run, or it has saved nothing yet.
        ClassifierError: A needed classifier is not available.
        DatasetError: The data is absent or damaged.

    Example:
        >>> run = RunFolder("runs/dsa-sprites")
        >>> evaluation = evaluate_run(run, EvaluationConfig(num=2048), ["frechet"])
        >>> evaluation.value("frechet").value
    """
    check_metrics(metrics)  # before the model is loaded
    context = EvaluationContext.of_run(run, config, evaluation_config or EvaluationConfig())
    return evaluate_context(context, metrics, os.fspath(run.path), after_each)


def evaluate_context(
    context: EvaluationContext,
    metrics: Sequence[str] | None = None,
    run_dir: str = "",
    after_each: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """As `evaluate_run`, for a model and data in memory."""
    check_metrics(metrics)
    left_out: dict[str, str] = {}
    names = list(METRICS if metrics is None else metrics)
    for name in names:
        if (why := METRICS[name].unavailable_reason(context)) is not None:
            if metrics is not None:
                raise NotMeasurable(f"--metrics={name}: {why}.")
            left_out[name] = why
    context.count()  # too few clips are an error before the work begins

    def so_far() -> Evaluation:
        config, weights = context.config, context.protocol["weights"]
        return Evaluation(
            run_dir, config.model, config.dataset, context.step, weights, context.split,
            context.seed, tuple(measured), dict(left_out), context.saved,
        )  # fmt: skip

    measured: list[Measured] = []
    for name in [name for name in names if name not in left_out]:
        try:
            measured += list(METRICS[name].measure(context))  # all of its values, or none
        except DatasetError:
            raise
        except ValueError as error:
            if metrics is not None:
                raise
            left_out[name] = str(error).rstrip(".")
            continue
        if after_each is not None:
            after_each(so_far())
    return so_far()
