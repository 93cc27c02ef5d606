"""The model of a run as a preset that can be shared, with what is known of its training."""

import math
import os
from typing import Any

from kerasvid.evaluation.report import read_evaluation
from kerasvid.export.exported_run import ExportedRun
from kerasvid.export.model_card import data_of, last_metrics
from kerasvid.models.base.preset_folder import write_preset
from kerasvid.training.callbacks.checkpoints import read_record
from kerasvid.training.clips import frame_rate
from kerasvid.training.config import public_name

TIMES = ("step", "seconds", "learning_rate")  # columns of `metrics.csv` that measure nothing


def write_run_preset(
    run: ExportedRun,
    folder: str | os.PathLike,
    half: bool = False,
    generator_only: bool = False,
) -> None:
    """Writes the model of a run into a preset folder, as `save_to_preset` does.

    The metadata and the card have the command of the training, its steps and minutes, the data set
    with its digest and licence, the last metrics of the run and those of `evaluation.json`.

    Args:
        run: of `load_for_export`.
        folder: new, empty, or an earlier preset.
        half: keep the weights in float16.
        generator_only: leave out the discriminators of a GAN.

    Raises:
        PresetError, OSError: as `write_preset`.

    Example:
        >>> write_run_preset(load_for_export("runs/rjvae-sprites"), "rjvae_sprites", half=True)
    """
    write_preset(run.model, folder, facts_of(run), half, generator_only)


def facts_of(run: ExportedRun) -> dict[str, Any]:
    """What is known of the training of a run, by name, in types of JSON."""
    config, data = run.config, data_of(run.config)
    data["name"] = public_name(data["name"])
    if "images" in data:
        data["images"] = public_name(data["images"])
    rows = (read_record(run.weights).metrics or {}).get("rows", [])
    seconds = [float(row["seconds"]) for row in rows if row.get("seconds")]
    evaluation = read_evaluation(run.folder)
    measured = evaluation.measured if evaluation and evaluation.step == run.step else ()
    return {
        "licence": data.get("licence"),
        "preset": config.preset,
        "fps": frame_rate(config),
        "command": config.command(public=True),
        "training": {
            "steps": run.step,
            "seed": config.seed,
            "precision": config.precision,
            "averaged": run.averaged,
            "minutes": round(seconds[-1] / 60, 1) if seconds else None,
        },
        "data": data,
        "metrics": {k: v for k, v in last_metrics(run).items() if k not in TIMES},
        "evaluation": {each.name: each.value for each in measured if math.isfinite(each.value)},
    }
