"""The model of a run as it leaves the package: in float32, with averaged weights."""

import dataclasses
import os
import pathlib

import keras

from kerasvid.callbacks.checkpoints import saved_step
from kerasvid.runs.plan import TrainingPlan
from kerasvid.runs.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class ExportedRun:
    """What an export is made of.

    Args:
        model: with its averaged weights, if the run has them and they are ripe, in float32.
        plan: what the run was begun with.
        folder: of the run.
        weights: the file that the weights are from.
        step: at which they were saved.
    """

    model: keras.Model
    plan: TrainingPlan
    folder: pathlib.Path
    weights: pathlib.Path
    step: int


def load_for_export(run_dir: str | os.PathLike) -> ExportedRun:
    """The model of a finished run, or of the newest checkpoint of one that goes on.

    Whatever it was trained in, it computes in float32: other programs have no bfloat16 kernels
    for all operations, and a generator is quick enough.

    Raises:
        RunError: there is no run, or it has saved nothing yet.
        CheckpointError: the weights cannot be read.

    Example:
        >>> run = load_for_export("runs/rjvae-sprites")
        >>> run.model.generate(2).shape
        (2, 8, 64, 64, 3)
    """
    run = RunFolder(run_dir)
    plan = run.plan()
    trained, source = run.load_model()
    model = dataclasses.replace(plan, precision="float32").make_model()
    for own, value in zip(model.weights, trained.weights, strict=True):
        own.assign(value)
    if hasattr(model, "refresh_gaussians"):
        model.refresh_gaussians()
    return ExportedRun(model, plan, run.path, source, max(saved_step(source), 0))
