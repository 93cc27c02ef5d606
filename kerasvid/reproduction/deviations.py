"""How a reproduced table deviates from the published one, in lines of text."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kerasvid.models.registry import model_class
from kerasvid.reproduction.published import PublishedRun, Table
from kerasvid.reproduction.results import Cell, Section
from kerasvid.training.config import FROM_DATA, RunConfig, apply_overrides

LONGEST = 60  # letters of a value


def of_section(table: Table, section: Section, metrics: Mapping[str, str]) -> list[str]:
    """The deviations of data, metrics and clips; `metrics` are those measured, by column.

    Example:
        >>> of_section(published_table("residual_vectors/3"), section, {"FVD": "fvd"})
        ['data set: sprites in place of MUG (mug)', '256 clips measured in place of 624']
    """
    by_quantity = {
        column.quantity: cell
        for column in table.columns
        for row in section.rows
        for cell in row.measured(column).values()
    }
    cells = [
        cell for row in section.rows for c in table.columns for cell in row.measured(c).values()
    ]
    lines = []
    if parts := [f"{p.name} ({p.dataset})" for p in section.parts if p.dataset != section.dataset]:
        lines.append(f"data set: {section.dataset} in place of {' and '.join(parts)}")
    for column in table.columns:
        metric = metrics[column.name]
        if metric != column.metric:
            known = _classifier_of(by_quantity.get(column.quantity))
            by = f" ({known['classifier']})" if known else ""
            ours = f"metric: {metric}{by} in place of {column.quantity}"
            lines.append(f"{ours}: compare its values within this table only")
    counts = sorted({cell.clips for cell in cells} - {table.clips})
    if counts and table.clips:
        lines.append(f"{' and '.join(map(str, counts))} clips measured in place of {table.clips}")
    for number in sorted({cell.asked.get("windows", 1) for cell in cells} - {1}):
        lines.append(f"real clips: {number} random windows of each video, which may overlap")
    for cell in cells:
        facts = cell.protocol.get("features")
        if isinstance(facts, Mapping) and facts.get("padding"):
            seen, padding = facts["seen_frames"], facts["padding"]
            clips = f"clips of {cell.protocol['frames']} frames, padded to {seen}: {padding}"
            lines.append(f"{cell.name}: {clips}")
    for known in filter(None, map(_classifier_of, cells)):
        shares = [f"{name} {100 * share:.1f} %" for name, share in known["accuracy"].items()]
        accuracy = f"{', '.join(shares)} of {known['accuracy_of']}"
        lines.append(f"{known['classifier']}: recognises {accuracy}")
    return list(dict.fromkeys(lines))


def of_seeds(seeds: Sequence[int]) -> str:
    """How many trainings a row has; the papers do not say it.

    Example:
        >>> of_seeds([0, 1, 2])
        'trainings: 3 of each row, with the seeds 0, 1, 2'
    """
    if len(seeds) > 1:
        return f"trainings: {len(seeds)} of each row, with the seeds {', '.join(map(str, seeds))}"
    why = "intervals say nothing about other trainings"
    return f"trainings: one of each row, with the seed {seeds[0]}: {why}"


def _classifier_of(cell: Cell | None) -> Mapping[str, Any]:
    """The classifier in a number's protocol; empty if there is none."""
    for key in ("features", "classifier"):  # of distances, of answers
        facts = cell.protocol.get(key) if cell else None
        if isinstance(facts, Mapping) and "classifier" in facts:
            return facts
    return {}


def of_runs(runs: Mapping[str, tuple[PublishedRun, RunConfig]]) -> list[str]:
    """A line for each deviation of runs, as trained, from the published ones.

    Example:
        >>> of_runs({"dsa": (PublishedRun("dsa"), config)})
        ['dsa: preset base in place of paper: content_dim 64 (256), ...']
    """
    names: dict[str, list[str]] = {}
    for name, (published, config) in runs.items():
        for line in _of_run(published, config):
            names.setdefault(line, []).append(name)
    return [f"{', '.join(sharing)}: {line}" for line, sharing in names.items()]


def _of_run(published: PublishedRun, config: RunConfig) -> list[str]:
    hyperparameters, training = apply_overrides(
        model_class(published.model), published.preset, published.values
    )
    wanted = _flat({**hyperparameters, "training": dataclasses.asdict(training)})
    ours = _flat({**config.hyperparameters, "training": dataclasses.asdict(config.training)})
    steps, preset_steps = ours.pop("training.steps"), wanted.pop("training.steps")
    lines = []
    if published.steps not in (None, steps):
        lines.append(f"{steps:,} steps in place of {published.steps:,}")
    elif published.steps is None and steps != preset_steps:
        lines.append(f"{steps:,} steps; the preset {published.preset} has {preset_steps:,}")
    differing = [
        f"{key} {_shown(ours.get(key))} ({_shown(wanted.get(key))})"
        for key in sorted({*ours, *wanted})
        if ours.get(key) != wanted.get(key)
    ]
    if differing:
        same = config.preset == published.preset
        place = ", changed" if same else f" in place of {published.preset}"
        lines.append(f"preset {config.preset}{place}: {', '.join(differing)}")
    return lines


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """By dotted key, as in JSON, without sizes of the data set and unset values."""
    flat = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        elif value is not None and name not in FROM_DATA:
            flat[prefix + name] = json.loads(json.dumps(value))
    return flat


def _shown(value: Any) -> str:
    text = json.dumps(value).replace(" ", "") if isinstance(value, list) else str(value)
    text = "unset" if value is None else text
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
