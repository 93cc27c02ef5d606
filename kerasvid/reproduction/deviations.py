"""What a reproduced table has otherwise than the published one, in words, made of what differs."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kerasvid.models.registry import model_class
from kerasvid.reproduction.published import Column, Part, Training
from kerasvid.reproduction.reproduced import Cell
from kerasvid.training.config import FROM_DATA, RunConfig, apply_settings

SMALL = 60  # letters of a value that is told whole


def of_data(dataset: str, parts: Iterable[Part]) -> list[str]:
    """A line where another data set is trained on than the published one.

    Example:
        >>> of_data("sprites", [Part("MUG", "mug")])
        ['data set: sprites in place of MUG (mug)']
    """
    others = [f"{part.name} ({part.dataset})" for part in parts if part.dataset != dataset]
    return [f"data set: {dataset} in place of {' and '.join(others)}"] if others else []


def of_metrics(sources: Iterable[tuple[Column, str]], cells: Mapping[str, Cell]) -> list[str]:
    """A line for each column that another metric stands in for.

    Args:
        sources: columns, each with the metric that is measured.
        cells: one of each column that is measured already, by its name.
    """
    lines = []
    for column, metric in sources:
        if metric != column.metric:
            classifier = (
                classifier_of(cells[column.name]).get("classifier")
                if column.name in cells
                else None
            )
            by = f" ({classifier})" if classifier else ""
            lines.append(f"metric: {metric}{by} in place of {column.name}: its numbers can be "
                         "compared within this table alone")  # fmt: skip
    return lines


def classifier_of(cell: Cell) -> Mapping[str, Any]:
    """The classifier that a number owes to, as its protocol tells; nothing where there is none."""
    protocol = cell.protocol
    for facts in (protocol.get("features"), protocol.get("classifier")):  # of distances, of answers
        if isinstance(facts, Mapping) and "classifier" in facts:
            return facts
    return {}


def of_classifiers(cells: Iterable[Cell]) -> list[str]:
    """A line for each classifier, with what it is worth on real clips."""
    lines = {}
    for classifier in filter(None, map(classifier_of, cells)):
        shares = [f"{name} {100 * share:.1f} %" for name, share in classifier["accuracy"].items()]
        lines[
            f"{classifier['classifier']}: tells {', '.join(shares)} of {classifier['accuracy_of']}"
        ] = None
    return list(lines)


def of_trainings(trainings: Mapping[str, tuple[Training, RunConfig]]) -> list[str]:
    """A line for each way in which runs differ from what is published, with whose way it is.

    Args:
        trainings: what the table says, and what was done, by key.

    Example:
        >>> of_trainings({"dsa": (Training("dsa"), config)})
        ['dsa: preset base in place of paper: content_dim 64 (256), ...']
    """
    keys: dict[str, list[str]] = {}
    for key, (training, config) in trainings.items():
        for line in _of_training(training, config):
            keys.setdefault(line, []).append(key)
    return [f"{', '.join(names)}: {line}" for line, names in keys.items()]


def _of_training(training: Training, config: RunConfig) -> list[str]:
    published = published_values(training)
    done = _flat({**config.hyperparameters, "training": dataclasses.asdict(config.training)})
    steps, told = done.pop("training.steps"), published.pop("training.steps")
    lines = []
    if training.steps not in (None, steps):
        lines.append(f"{steps:,} steps in place of {training.steps:,}")
    elif training.steps is None and steps != told:
        lines.append(f"{steps:,} steps; the preset {training.published_preset} has {told:,}")
    differing = [
        f"{name} {_shown(done.get(name))} ({_shown(published.get(name))})"
        for name in sorted({*done, *published})
        if done.get(name) != published.get(name)
    ]
    if differing:
        other = config.preset != training.published_preset
        preset = f"preset {config.preset}"
        preset += f" in place of {training.published_preset}" if other else ", changed"
        lines.append(f"{preset}: {', '.join(differing)}")
    return lines


def published_values(training: Training) -> dict[str, Any]:
    """The hyper-parameters and the training with the paper's sizes, by dotted key."""
    cls, preset = model_class(training.model), training.published_preset
    hyperparameters, training = apply_settings(cls, preset, training.values)
    return _flat({**hyperparameters, "training": dataclasses.asdict(training)})


def of_clips(measured: Iterable[int], published: int | None) -> list[str]:
    """A line where another number of clips was measured than is published.

    Example:
        >>> of_clips([256, 256], 624)
        ['256 clips measured in place of 624']
    """
    counts = sorted({*measured} - {published})
    if not counts or published is None:
        return []
    return [f"{' and '.join(map(str, counts))} clips measured in place of {published}"]


def of_windows(cells: Iterable[Cell]) -> list[str]:
    """A line where there were fewer real videos than clips to be measured."""
    windows = {cell.asked.get("windows", 1) for cell in cells} - {1}
    return [
        f"real clips: {number} random windows of each video, which may overlap: intervals are too "
        "narrow"
        for number in sorted(windows)
    ]


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """By dotted key, as JSON has them, without sizes of the data set and what is not set."""
    flat = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        elif value is not None and name not in FROM_DATA:
            flat[prefix + name] = json.loads(json.dumps(value))
    return flat


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    text = json.dumps(value).replace(" ", "") if isinstance(value, list) else str(value)
    return text if len(text) <= SMALL else f"{text[: SMALL - 3]}..."
