"""What there is and what a run will do, as text for people."""

import os
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from kerasvid.models.registry import MODELS, model_class
from kerasvid.naming import python_command
from kerasvid.training.config import TrainingPlan
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
            recipe = cls.RECIPES[preset]
            lines.append(
                f"    {preset:<8}{count / 1e6:8.2f} M parameters, {recipe.steps:,} steps of "
                f"{recipe.batch_size} videos"
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


def describe_plan(plan: TrainingPlan, run_dir: str) -> str:
    """What a run resolved to, a line each."""
    recipe, height = plan.recipe, "x".join(map(str, plan.hyperparameters["image_shape"]))
    parameters = parameter_count(plan.make_model())
    facts = {
        "model": f"{plan.model}, preset {plan.preset}, {parameters:,} parameters",
        "data set": f"{plan.dataset} in {plan.data_folder}, clips of {plan.frames}x{height}",
        **_beside(plan),
        "training": f"{plan.steps:,} steps of {recipe.batch_size} videos, seed {plan.seed}",
        "device": f"{device_name()}, {plan.replicas} replica{'s' * (plan.replicas > 1)}, "
        f"{plan.precision}, jit_compile {plan.jit_compile}",
        "run": run_dir,
    }
    lines = [f"{name:>9}: {text}" for name, text in facts.items()]
    return "\n".join([*lines, *_cut_short(plan), *_skipped(plan)])


def _cut_short(plan: TrainingPlan) -> list[str]:
    """A line for each schedule that the run ends in the middle of."""
    schedule = plan.hyperparameters.get("schedule") or {}
    ends = {"schedule.steps": schedule.get("steps", 0),
            "training.decay_steps": plan.recipe.decay_steps}  # fmt: skip
    share = plan.steps / model_class(plan.model).RECIPES[plan.preset].steps
    return [
        f"     note: after {plan.steps:,} steps {name}={end} is not at its end; "
        f"--set {name}={max(1, min(plan.steps, round(share * end)))} would be"
        for name, end in ends.items()
        if end > plan.steps
    ]


def _skipped(plan: TrainingPlan) -> list[str]:
    """A line, if the noise on what discriminators see is to change, but in no steps."""
    objective = plan.hyperparameters.get("objective") or {}
    start, end = objective.get("instance_noise", (0.0, 0.0))
    if start == end or objective.get("instance_noise_steps"):
        return []
    return [
        f"     note: objective.instance_noise=[{start},{end}] is {end} from the first step on; "
        f"--set objective.instance_noise_steps={plan.steps // 2} would take as long from {start}"
    ]


def _beside(plan: TrainingPlan) -> dict[str, str]:
    """What not every run has: still images, and another run's weights."""
    facts = {}
    if plan.images:
        where = f" in {plan.images_folder}" if plan.images_folder else ""
        facts["images"] = f"{plan.images}{where}, {plan.image_batch} a step"
    if plan.init_from:
        facts["init_from"] = f"weights of {plan.init_from}"
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
