"""What is to be known of an exported model, for programs (JSON) and for people (Markdown)."""

import datetime
import importlib.metadata
import inspect
import json
import math
import os
import pathlib
import platform
import re
import sys
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kerasvid.data import DatasetError, load_info
from kerasvid.export.exported_run import ExportedRun
from kerasvid.export.signatures import Tensor, Verb
from kerasvid.training.callbacks.metrics_log import read_rows
from kerasvid.training.config import RunConfig, digest_of
from kerasvid.training.run_folder import RunFolder
from kerasvid.training.summary import parameter_count

CARD_FORMAT = 1
JSON_FILE, MARKDOWN_FILE = "model_card.json", "model_card.md"
_LIBRARIES = ("tensorflow", "keras", "numpy")
# As in `Li, Mandt: "Disentangled Sequential Autoencoder", ICML 2018`, or a poster in parentheses.
_PAPER = re.compile(r'[^":]+: "[^"]+"(?: \([^)]*\)|, [A-Za-z ]+ \d{4})?')


def make_card(
    run: ExportedRun, verbs: Mapping[str, Verb], name: str, whole_batches: bool = False
) -> dict[str, Any]:
    """The card as nested dicts that JSON can hold.

    Args:
        run: of `load_for_export`.
        verbs: by name of the signature.
        name: of the exported model.
        whole_batches: as `served_verbs` was told.

    Example:
        >>> make_card(run, served_verbs(run.model), "rjvae")["weights"]["step"]
        8000
    """
    config, model = run.config, run.model
    return {
        "format": CARD_FORMAT,
        "name": name,
        "model": config.model,
        "preset": config.preset,
        "summary": _documentation(model).splitlines()[0],
        "paper": paper_of(model),
        "documentation": _documentation(model),
        "parameters": parameter_count(model),
        "hyperparameters": config.hyperparameters,
        "frame_shape": list(model.image_shape),
        "data": _data(config),
        "training": {
            "steps": run.step,
            "planned_steps": config.steps,
            "videos_a_step": config.training.batch_size,
            "seed": config.seed,
            "precision": config.precision,
        },
        "metrics": last_figures(RunFolder(run.folder).metrics, run.step),
        "weights": {
            "run": run.folder.resolve().name,
            "file": run.weights.name,
            "step": run.step,
            "averaged": run.averaged,
            "precision": "float32",
        },
        "rows": "as many at once as there are" if whole_batches else "one by one",
        "signatures": {each: _signature(verb) for each, verb in verbs.items()},
        "software": _software(),
        "exported": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def write_card(card: Mapping[str, Any], folder: str | os.PathLike) -> None:
    """Writes `model_card.json` and `model_card.md` into a folder.

    Raises:
        OSError: they cannot be written.
    """
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    pathlib.Path(folder, JSON_FILE).write_text(text, encoding="utf-8")
    pathlib.Path(folder, MARKDOWN_FILE).write_text(as_markdown(card), encoding="utf-8")


def paper_of(model: Any) -> str | None:
    """Authors, title and place of the paper that a model's file cites first; `None` without one.

    Example:
        >>> paper_of(GLO.from_preset("debug")).partition(":")[0]
        'Bojanowski, Joulin, Lopez-Paz, Szlam'
    """
    paragraphs = _documentation(model).split("\n\n")[1:]
    found = (_PAPER.match(" ".join(paragraph.split())) for paragraph in paragraphs)
    return next((match[0] for match in found if match), None)


def last_figures(path: str | os.PathLike, step: int) -> dict[str, float]:
    """The last value of every column of a run's `metrics.csv` that was there at a step.

    Example:
        >>> last_figures("runs/rjvae-sprites/metrics.csv", 8000)["val_psnr"]
        29.7109
    """
    figures: dict[str, float] = {}
    for row in read_rows(path):
        if int(row["step"]) <= step:
            read = {key: float(text) for key, text in row.items() if key and text}
            # JSON has no words for the others.
            figures |= {key: value for key, value in read.items() if math.isfinite(value)}
    return figures


def _documentation(model: Any) -> str:
    return inspect.cleandoc(sys.modules[type(model).__module__].__doc__ or type(model).__name__)


def _data(config: RunConfig) -> dict[str, Any]:
    """What the data set says of itself, if it still is where the run read it."""
    known = {"name": config.dataset, "digest": config.data_digest, "frames_a_clip": config.frames}
    if config.images:
        known["images"] = config.images
    gone = {"note": "the data set was not there when the model was exported: its licence is "
            "unknown here, and is to be looked up before the model is passed on"}  # fmt: skip
    try:
        info = load_info(config.data_folder)
        digest = digest_of(info, config.images_folder)
    except (DatasetError, OSError, tf.errors.OpError):
        return {**known, **gone}
    if digest != config.data_digest:
        changed = "the data set that was there when the model was exported is another one: its "
        return {**known, "note": f"{changed}licence may be another, too"}
    told = {key: getattr(info, key) for key in ("version", "licence", "source", "citation", "fps")}
    videos = {name: split.count for name, split in info.splits.items()}
    return {**known, **told, "videos": videos, "classes": list(info.class_names)}


def _signature(verb: Verb) -> dict[str, Any]:
    return {
        "summary": verb.summary,
        "inputs": {name: _tensor(each) for name, each in verb.inputs.items()},
        "outputs": {name: _tensor(each) for name, each in verb.outputs.items()},
    }


def _tensor(each: Tensor) -> dict[str, Any]:
    """As the table tells it; the batch axis is -1."""
    limits = {"range": [each.least, each.most]} if each.least is not None else {}
    return {
        "dtype": each.dtype.name,
        "shape": [-1, *each.shape],
        "meaning": each.meaning,
        **limits,
    }


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("kerasvid", *_LIBRARIES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            found[name] = "not installed as a package"
    return found


# === For people ===


def as_markdown(card: Mapping[str, Any]) -> str:
    """The same as a page."""
    weights, training = card["weights"], card["training"]
    kind = "averaged" if weights["averaged"] else "trained"
    height, width, channels = card["frame_shape"]
    facts = {
        "Model": f"`{card['model']}`, preset `{card['preset']}`: {card['summary']}",
        "Paper": card["paper"],
        "Parameters": f"{card['parameters']:,}",
        "Frames": f"{height}x{width}x{channels} (height, width, channels)",
        "Weights": f"{kind}, of step {weights['step']:,} (`{weights['file']}` of the run "
        f"`{weights['run']}`), in float32",
        "Training": f"{training['steps']:,} of {training['planned_steps']:,} planned steps of "
        f"{training['videos_a_step']} videos, in {training['precision']}, "
        f"seed {training['seed']}",
        "Exported": card["exported"],
        "Software": ", ".join(f"{name} {version}" for name, version in card["software"].items()),
    }
    sections = [
        f"# {card['name']}",
        _list(facts),
        "## Data",
        _list(_data_facts(card["data"])),
        "## Figures of the run",
        _figures(card["metrics"]),
        "## Signatures",
        "The first axis, -1, is the batch: any size. Every input has as many rows, and row i of an "
        f"output depends on row i of the inputs. Rows are computed {card['rows']}.",
        *(_described(name, told) for name, told in card["signatures"].items()),
        "## What the model is",
        f"```\n{card['documentation']}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _list(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in facts.items() if text)


def _data_facts(data: Mapping[str, Any]) -> dict[str, str]:
    version = f", version {data['version']}" if "version" in data else ""
    videos = ", ".join(f"{count:,} {name}" for name, count in data.get("videos", {}).items())
    return {
        "Data set": f"{data['name']}{version}, clips of {data['frames_a_clip']} frames",
        "Videos": videos,
        "Still images": data.get("images", ""),
        "Licence": data.get("licence", ""),
        "Source": data.get("source", ""),
        "Citation": data.get("citation", ""),
        "Digest of the files": data["digest"],
        "Note": data.get("note", ""),
    }


def _figures(metrics: Mapping[str, float]) -> str:
    if not metrics:
        return "The run has written none."
    rows = [f"| `{name}` | {value:,.6g} |" for name, value in metrics.items()]
    return "\n".join(["| figure | last value |", "|---|---|", *rows])


def _described(name: str, told: Mapping[str, Any]) -> str:
    rows = [
        f"| {way} | `{key}` | {each['dtype']} | {each['shape']} | {each['meaning']}{_range(each)} |"
        for way, tensors in (("in", told["inputs"]), ("out", told["outputs"]))
        for key, each in tensors.items()
    ]
    head = ["| | name | type | shape | meaning |", "|---|---|---|---|---|"]
    return "\n".join([f"### `{name}`", "", f"{told['summary']}.", "", *head, *rows])


def _range(each: Mapping[str, Any]) -> str:
    if "range" not in each:
        return ""
    least, most = each["range"]
    return f", {least} or more" if most is None else f", from {least} to {most}"
