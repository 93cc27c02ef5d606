"""The model card of an exported model, for programs (JSON) and for people (Markdown)."""

import datetime
import json
import math
import os
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tabulate import tabulate

import kerasvid
from kerasvid.export.exported_run import ExportedRun, dataset_info
from kerasvid.export.signatures import Signature
from kerasvid.io import markdown_text
from kerasvid.models.base.preset_folder import documentation_of, paper_of
from kerasvid.training.callbacks.checkpoints import read_record
from kerasvid.training.config import RunConfig
from kerasvid.training.summary import parameter_count

CARD_FORMAT = 1


def make_card(
    run: ExportedRun, signatures: Mapping[str, Signature], name: str, whole_batches: bool = False
) -> dict[str, Any]:
    """The card as nested dicts that JSON can hold.

    Args:
        run: of `load_for_export`.
        signatures: of `served_signatures`.
        name: of the exported model.
        whole_batches: as for `served_signatures`.

    Example:
        >>> make_card(run, served_signatures(run.model), "rjvae")["weights"]["step"]
        8000
    """
    config, model = run.config, run.model
    versions = {each.__name__: each.__version__ for each in (kerasvid, tf, keras, np)}
    return {
        "format": CARD_FORMAT,
        "name": name,
        "model": config.model,
        "preset": config.preset,
        "summary": documentation_of(model).splitlines()[0],
        "paper": paper_of(model),
        "documentation": documentation_of(model),
        "parameters": parameter_count(model),
        "hyperparameters": config.hyperparameters,
        "frame_shape": list(model.image_shape),
        "data": data_of(config),
        "training": {
            "steps": run.step,
            "planned_steps": config.steps,
            "videos_a_step": config.training.batch_size,
            "seed": config.seed,
            "precision": config.precision,
        },
        "metrics": last_metrics(run),
        "weights": {
            "run": run.folder.resolve().name,
            "file": run.weights.name,
            "step": run.step,
            "averaged": run.averaged,
            "precision": "float32",
        },
        "rows": "all at once" if whole_batches else "one by one",
        "signatures": {key: each.as_json() for key, each in signatures.items()},
        "software": {"python": platform.python_version(), **versions},
        "exported": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def write_card(card: Mapping[str, Any], folder: str | os.PathLike) -> None:
    """Writes `model_card.json` and `model_card.md` into a folder."""
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    pathlib.Path(folder, "model_card.json").write_text(text, encoding="utf-8")
    pathlib.Path(folder, "model_card.md").write_text(as_markdown(card), encoding="utf-8")


def last_metrics(run: ExportedRun) -> dict[str, float]:
    """The last value of every column of `metrics.csv`, which the file of the weights repeats."""
    metrics: dict[str, float] = {}
    for row in (read_record(run.weights).metrics or {}).get("rows", []):
        read = {key: float(text) for key, text in row.items()}
        # JSON has no infinities.
        metrics |= {key: value for key, value in read.items() if math.isfinite(value)}
    return metrics


def data_of(config: RunConfig) -> dict[str, Any]:
    """The data set's own description, if the data is still as the run read it."""
    known = {"name": config.dataset, "digest": config.data_digest, "frames_a_clip": config.frames}
    if config.images:
        known["images"] = config.images
    info, reason = dataset_info(config)
    if info is None:
        note = f"The data set {reason}, so its licence is unknown here. Find it out before sharing."
        return {**known, "note": note}
    facts = {key: getattr(info, key) for key in ("version", "licence", "source", "citation", "fps")}
    videos = {name: split.count for name, split in info.splits.items()}
    return {**known, **facts, "videos": videos, "classes": list(info.class_names)}


# === For people ===


def as_markdown(card: Mapping[str, Any]) -> str:
    """The card as a Markdown page."""
    facts = {key: card[key] for key in ("summary", "model", "preset", "paper", "parameters",
                                        "frame_shape", "exported", "software")}  # fmt: skip
    metrics = [(markdown_text(name), f"{value:,.6g}") for name, value in card["metrics"].items()]
    table = tabulate(metrics, ("metric", "last value"), "github", disable_numparse=True)
    sections = ("weights", "training", "data")
    return "\n\n".join([
        f"# {markdown_text(card['name'])}",
        _list(facts),
        *(f"## {each.capitalize()}\n\n{_list(card[each])}" for each in sections),
        "## Metrics of the run",
        table if metrics else "The run has written none.",
        "## Signatures",
        "The first axis, -1, is the batch, of any size. All inputs have the same number of rows, "
        f"and row i of an output depends on row i of the inputs. Rows are computed {card['rows']}.",
        *(_described(name, each) for name, each in card["signatures"].items()),
        "## The model",
        f"```\n{card['documentation']}\n```\n",
    ])  # fmt: skip


def _list(facts: Mapping[str, Any]) -> str:
    lines = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {each}" for name, each in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            lines.append(f"- {key.replace('_', ' ').capitalize()}: {markdown_text(str(value))}")
    return "\n".join(lines)


def _described(name: str, signature: Mapping[str, Any]) -> str:
    rows = []
    for side in ("inputs", "outputs"):
        for key, each in signature[side].items():
            least, most = each.get("range", (None, None))
            limits = f"{least} or more" if most is None else f"{least} to {most}"
            limits = "" if least is None else limits
            facts = (each["dtype"], each["shape"], each["meaning"])
            rows.append((side[:-1], f"`{key}`", *facts, limits))
    table = tabulate(rows, ("", "name", "type", "shape", "meaning", "range"), "github")
    return f"### `{name}`\n\n{signature['summary']}.\n\n{table}"
