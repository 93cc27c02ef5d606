"""Averaged weights (EMA): an optimizer keeps them, and only this file puts them into a model."""

import contextlib
from collections.abc import Iterator

import keras

from kerasvid.models.base.trainer import Trainer, batch_norm_layers


@keras.saving.register_keras_serializable(package="kerasvid")
class AveragedAdam(keras.optimizers.Adam):
    """Adam whose averaged weights stay in the optimizer until `apply_ema`.

    Keras's own with `use_ema=True` end `fit` by writing the average, however young, to all
    trainable weights.

    Example:
        >>> model.compile(AveragedAdam(1e-3, use_ema=True, ema_momentum=0.99))
        >>> model.fit(batches)
        >>> apply_ema(model)
    """

    def finalize_variable_values(self, var_list: list) -> None:
        """Leaves the trained weights in the model at the end of `fit`."""


def inner_optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer that updates the weights, without its loss scaling."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def averaged_variables(model: keras.Model) -> list:
    """The variables that `model.optimizer` updates: all, or those of the first network."""
    if isinstance(model, Trainer):
        return next(iter(model.network_variables().values()))
    return model.trainable_variables


def batch_norm_statistics(model: keras.Model) -> list:
    """The running means and variances of a model's batch norm."""
    layers = batch_norm_layers(model)
    return [each for layer in layers for each in (layer.moving_mean, layer.moving_variance)]


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Within the block the model has its averaged weights, after it the trained ones again.

    Batch norm gets the statistics that belong to the averaged weights (`Trainer.measure_batch_norm`
    where the model can draw its own inputs); other models average weights and statistics over about
    the same number of steps. Nothing changes where the model is not compiled, or its optimizer
    keeps no average or has not made a step.

    Example:
        >>> with averaged_weights(model):
        ...     videos = model.generate(16)
    """
    optimizer = inner_optimizer(model) if model.compiled else None
    # Before the first update the averages are zeros.
    if optimizer is None or not optimizer.use_ema or not int(optimizer.iterations.numpy()):
        yield
        return
    variables = [*averaged_variables(model), *batch_norm_statistics(model)]
    trained = [variable.numpy() for variable in variables]
    try:
        _write_average(model)
        yield
    finally:
        for variable, value in zip(variables, trained, strict=True):
            variable.assign(value)


def ema_ready(model: keras.Model) -> bool:
    """Whether there is an average that has forgotten the start: e^-3 of it is left, or less."""
    if not model.compiled or not inner_optimizer(model).use_ema:
        return False
    optimizer = inner_optimizer(model)
    steps = model.steps_taken if isinstance(model, Trainer) else optimizer.iterations
    return int(steps.numpy()) * (1.0 - optimizer.ema_momentum) >= 3.0


@contextlib.contextmanager
def best_weights(model: keras.Model) -> Iterator[None]:
    """Within the block the model has its averaged weights, if `ema_ready`."""
    with averaged_weights(model) if ema_ready(model) else contextlib.nullcontext():
        yield


def apply_ema(model: keras.Model) -> None:
    """Replaces the trained weights by the averaged ones for good, if `ema_ready`."""
    if ema_ready(model):
        _write_average(model)


def _write_average(model: keras.Model) -> None:
    """Writes the average; that of Keras, which `AveragedAdam` holds back at the end of `fit`."""
    write = keras.optimizers.Optimizer.finalize_variable_values
    write(inner_optimizer(model), averaged_variables(model))
    if isinstance(model, Trainer):
        model.measure_batch_norm()
