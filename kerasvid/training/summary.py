"""What a run will do, as text for people."""

import os

import keras
import numpy as np

from kerasvid.models.registry import model_class
from kerasvid.training.config import RunConfig
from kerasvid.training.devices import device_name


def parameter_count(model: keras.Model) -> int:
    """Number of trained weights of a model."""
    return int(sum(np.prod(variable.shape) for variable in model.trainable_variables))


def describe_run(config: RunConfig, model: keras.Model, run_dir: str | os.PathLike) -> str:
    """What a run resolved to, a line each, and notes on schedules that it does not complete."""
    training = config.training
    clips = f"clips of {config.frames}x{config.image_size()}"
    replicas = f"{config.replicas} replica{'s' * (config.replicas > 1)}"
    facts = {
        "model": f"{config.model}, preset {config.preset}, {parameter_count(model):,} parameters",
        "data set": f"{config.dataset} in {config.data_folder}, {clips}",
    }
    if config.images:
        place = f" in {config.images_folder}" if config.images_folder else ""
        facts["images"] = f"{config.images}{place}, {config.image_batch} a step"
    if config.init_from:
        facts["init_from"] = f"weights of {config.init_from}"
    facts |= {
        "training": f"{config.steps:,} steps of {training.batch_size} videos, seed {config.seed}",
        "device": f"{device_name()}, {replicas}, {config.precision}, jit_compile "
        f"{config.jit_compile}",
        "run": os.fspath(run_dir),
    }
    lines = [*facts.items(), *(("note", note) for note in _notes(config))]
    return "\n".join(f"{name:>9}: {text}" for name, text in lines)


def _notes(config: RunConfig) -> list[str]:
    """Schedules that end after the run, and instance noise that changes in no steps."""
    schedule = config.hyperparameters.get("schedule") or {}
    lengths = {"schedule.steps": schedule.get("steps", 0),
               "training.decay_steps": config.training.decay_steps}  # fmt: skip
    share = config.steps / model_class(config.model).TRAINING[config.preset].steps
    notes = [
        f"the run ends after {config.steps:,} steps, before {name}={length}. To complete it, use "
        f"--set {name}={max(1, min(config.steps, round(share * length)))}"
        for name, length in lengths.items()
        if length > config.steps
    ]
    objective = config.hyperparameters.get("objective") or {}
    start, end = objective.get("instance_noise_std", (0.0, 0.0))
    if start != end and not objective.get("instance_noise_steps"):
        notes.append(
            f"objective.instance_noise_std=[{start},{end}] is {end} from the first step on. To "
            f"start from {start}, use --set objective.instance_noise_steps={config.steps // 2}"
        )
    return notes
