"""Averaged weights (EMA): kept by the Keras optimizer, swapped in here.

Which weights show what a run has learned: the averaged ones, except right after its start.
"""

import contextlib
from collections.abc import Iterator

import keras

from kerasvid.training.callbacks.step_callback import global_step


def inner_optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer that updates the weights, inside its loss scaling if there is any."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def averaged_variables(model: keras.Model) -> list:
    """What `model.optimizer` updates: all there is to train, or the first of several networks."""
    networks = getattr(model, "network_variables", None)
    return next(iter(networks().values())) if networks else model.trainable_variables


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Within the block the model has its averaged weights, after it the trained ones again.

    Running statistics of batch norm stay those of the trained weights: both are averages of about
    the same past where the momentum is near batch norm's 0.99.

    Does nothing where the optimizer keeps no average (`use_ema=False`) or has not made a step yet,
    or the model is not compiled. With an average that ends `fit`, Keras puts it into the model for
    good.

    Example:
        >>> with averaged_weights(model):
        ...     videos = model.generate(16)
    """
    optimizer = inner_optimizer(model) if model.compiled else None
    keeps_average = optimizer is not None and getattr(optimizer, "use_ema", False)
    # Before the first update the averages are zeros.
    if not keeps_average or not optimizer.built or int(optimizer.iterations.numpy()) == 0:
        yield
        return
    averages = optimizer._model_variables_moving_average
    variables = averaged_variables(model)
    trained = [variable.numpy() for variable in variables]
    try:
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(average.numpy())
        yield
    finally:
        for variable, value in zip(variables, trained, strict=True):
            variable.assign(value)


def ema_ready(model: keras.Model) -> bool:
    """Whether the averaged weights have forgotten the start: e^-3 of it is left, or less."""
    momentum = getattr(inner_optimizer(model), "ema_momentum", None) if model.compiled else None
    return momentum is not None and global_step(model) * (1.0 - momentum) >= 3.0


@contextlib.contextmanager
def best_weights(model: keras.Model) -> Iterator[None]:
    """Within the block the model has its averaged weights, if they are ripe."""
    with averaged_weights(model) if ema_ready(model) else contextlib.nullcontext():
        yield


def apply_ema(model: keras.Model) -> None:
    """Replaces the trained weights by the averaged ones, if they are ripe, for good."""
    if ema_ready(model):
        model.optimizer.finalize_variable_values(averaged_variables(model))


@contextlib.contextmanager
def trained_weights_kept(model: keras.Model) -> Iterator[None]:
    """Within the block `fit` leaves the trained weights in the model, ripe average or not.

    Keras would end `fit` with the average in any case; `apply_ema` decides instead.
    """
    optimizer = model.optimizer
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
