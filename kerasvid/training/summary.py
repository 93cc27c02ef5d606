"""What there is and what a run will do, as text for people."""

import os
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from kerasvid.models.registry import MODELS, model_class
from kerasvid.naming import python_command
from kerasvid.training.config import RunConfig
from kerasvid.training.devices import device_name
from kerasvid.training.loop import Outcome


def parameter_count(model: keras.Model) -> int:
    """Trained numbers of a model."""
    return int(sum(np.prod(variable.shape) for variable in model.trainable_variables))


def describe_models() -> str:
    """The registered models with their presets and parameter counts."""
    lines, width = ["Models (--model, --preset):"], max(map(len, MODELS)) + 1
    for name in sorted(MODELS):
        cls = model_class(name)
        lines.append(f"  {name:<{width}}{(cls.__doc__ or '').strip().splitlines()[0]}")
        for preset in cls.PRESETS:
            count = parameter_count(cls.from_preset(preset))
            training = cls.TRAINING[preset]
            lines.append(
                f"    {preset:<8}{count / 1e6:8.2f} M parameters, {training.steps:,} steps of "
                f"{training.batch_size} videos"
            )
    return "\n".join(lines)


def describe_datasets(datasets: Iterable) -> str:
    """The known data sets: each has a `name`, a `title` and what it `needs`."""
    lines = ["Data sets (--dataset):"]
    lines += [f"  {d.name:<17}{d.title}; needs {d.needs}" for d in datasets]
    lines.append("  /path/folder     your own, made by `kerasvid data folder`")
    return "\n".join(lines)


def describe_all(datasets: Iterable) -> str:
    """The models, then the data sets."""
    return f"{describe_models()}\n{describe_datasets(datasets)}"


def describe_plan(config: RunConfig, run_dir: str) -> str:
    """What a run resolved to, a line each."""
    training, height = config.training, "x".join(map(str, config.hyperparameters["image_shape"]))
    parameters = parameter_count(config.make_model())
    facts = {
        "model": f"{config.model}, preset {config.preset}, {parameters:,} parameters",
        "data set": f"{config.dataset} in {config.data_folder}, clips of {config.frames}x{height}",
        **_beside(config),
        "training": f"{config.steps:,} steps of {training.batch_size} videos, seed {config.seed}",
        "device": f"{device_name()}, {config.replicas} replica{'s' * (config.replicas > 1)}, "
        f"{config.precision}, jit_compile {config.jit_compile}",
        "run": run_dir,
    }
    lines = [f"{name:>9}: {text}" for name, text in facts.items()]
    return "\n".join([*lines, *_cut_short(config), *_skipped(config)])


def _cut_short(config: RunConfig) -> list[str]:
    """A line for each schedule that the run ends in the middle of."""
    schedule = config.hyperparameters.get("schedule") or {}
    ends = {"schedule.steps": schedule.get("steps", 0),
            "training.decay_steps": config.training.decay_steps}  # fmt: skip
    share = config.steps / model_class(config.model).TRAINING[config.preset].steps
    return [
        f"     note: after {config.steps:,} steps {name}={end} is not at its end; "
        f"--set {name}={max(1, min(config.steps, round(share * end)))} would be"
        for name, end in ends.items()
        if end > config.steps
    ]


def _skipped(config: RunConfig) -> list[str]:
    """A line, if the noise on what discriminators see is to change, but in no steps."""
    objective = config.hyperparameters.get("objective") or {}
    start, end = objective.get("instance_noise_std", (0.0, 0.0))
    if start == end or objective.get("instance_noise_steps"):
        return []
    return [
        f"     note: objective.instance_noise_std=[{start},{end}] is {end} from the first step on; "
        f"--set objective.instance_noise_steps={config.steps // 2} would take as long from {start}"
    ]


def _beside(config: RunConfig) -> dict[str, str]:
    """What not every run has: still images, and another run's weights."""
    facts = {}
    if config.images:
        where = f" in {config.images_folder}" if config.images_folder else ""
        facts["images"] = f"{config.images}{where}, {config.image_batch} a step"
    if config.init_from:
        facts["init_from"] = f"weights of {config.init_from}"
    return facts


def describe_end(outcome: Outcome, run_dir: str, command: Sequence[str]) -> str:
    """How a run ended, and what to do next.

    Args:
        outcome: of `train`.
        run_dir: the run's folder.
        command: the one that began it: the app's path, then its flags.
    """
    if outcome.signal is not None:
        return (
            f"stopped at step {outcome.step:,}, saved {outcome.saved}\n"
            f"To go on, continue with the same command:\n  {python_command(*command)}"
        )
    done = f"{outcome.step:,} steps, saved {outcome.saved}\n"
    generate = os.path.join(os.path.dirname(command[0]), "generate.py")
    state = "trained: " if outcome.trained else "is finished already (lengthen it with --steps): "
    return f"{run_dir} {state}{done}Next:\n  {python_command(generate, f'--run_dir={run_dir}')}"
