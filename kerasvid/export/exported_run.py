"""The model of a run as it is exported: in float32, with averaged weights."""

import dataclasses
import os
import pathlib

import keras
import tensorflow as tf

from kerasvid.data import DatasetError, DatasetInfo, load_info
from kerasvid.models.base.averaging import ema_ready
from kerasvid.models.base.code_priors import CodePriors
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.config import RunConfig, digest_of
from kerasvid.training.run_folder import RunError, RunFolder


@dataclasses.dataclass(frozen=True)
class ExportedRun:
    """A float32 model to export, with the config and the folder of its run."""

    model: keras.Model
    config: RunConfig
    folder: pathlib.Path
    weights: pathlib.Path  # their file
    step: int  # training step of the weights
    averaged: bool  # whether they are a moving average


def load_for_export(run_dir: str | os.PathLike, weights: str | None = None) -> ExportedRun:
    """The model of a finished run, or of the newest checkpoint of an unfinished one.

    It computes in float32, whatever it was trained in: other programs lack bfloat16 kernels.

    Args:
        run_dir: the folder of the run.
        weights: "averaged" or "trained"; if `None`, averaged ones if the run has them.

    Raises:
        RunError: the run does not exist, has saved nothing yet, or lacks these weights.
        CheckpointError: the weights cannot be read.
        ValueError: `weights` is another word.

    Example:
        >>> run = load_for_export("runs/rjvae-sprites")
        >>> run.model.generate(2).shape
        (2, 8, 64, 64, 3)
    """
    if weights not in (None, "averaged", "trained"):
        raise ValueError(f"weights={weights!r}: give averaged or trained.")
    run = RunFolder(run_dir)
    config = run.load_config()
    trained, source = run.load_model(averaged=weights != "trained")
    ready = ema_ready(trained)
    if weights == "averaged" and not ready:
        raise RunError(f"{run.path}: has no averaged weights, or has averaged for too few steps. "
                       "Leave --weights out.")  # fmt: skip
    if weights == "trained" and ready and source == run.model:
        raise RunError(f"{run.path}: {source.name} of a finished run holds only averaged weights. "
                       "Leave --weights out.")  # fmt: skip
    model = dataclasses.replace(config, precision="float32").make_model()
    if isinstance(trained, CodePriors):
        model.add(trained.added())
    for own, value in zip(model.weights, trained.weights, strict=True):
        own.assign(value)
    if isinstance(model, LatentCodeModel):
        model.refresh_priors()
    step, averaged = max(saved_step(source), 0), ready and weights != "trained"
    return ExportedRun(model, config, run.path, source, step, averaged)


def dataset_info(config: RunConfig) -> tuple[DatasetInfo | None, str]:
    """The description of a run's data set, or `None` and why it is not available."""
    try:
        info = load_info(config.data_folder)
    except (DatasetError, OSError, tf.errors.OpError):
        return None, "was not found"
    return (info, "") if digest_of(info) == config.data_digest else (None, "had changed")
