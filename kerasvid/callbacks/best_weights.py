"""Which weights show what a run has learned: the averaged ones, except right after its start."""

import contextlib
from collections.abc import Iterator

import keras

from kerasvid.callbacks.step_callback import global_step
from kerasvid.training.averaging import (
    averaged_variables,
    averaged_weights,
    inner_optimizer,
)


def average_is_ripe(model: keras.Model) -> bool:
    """Whether the averaged weights have forgotten the start: e^-3 of it is left, or less."""
    momentum = getattr(inner_optimizer(model), "ema_momentum", None) if model.compiled else None
    return momentum is not None and global_step(model) * (1.0 - momentum) >= 3.0


@contextlib.contextmanager
def best_weights(model: keras.Model) -> Iterator[None]:
    """Within the block the model has its averaged weights, if they are ripe."""
    with averaged_weights(model) if average_is_ripe(model) else contextlib.nullcontext():
        yield


def adopt_average(model: keras.Model) -> None:
    """Replaces the trained weights by the averaged ones, if they are ripe, for good."""
    if average_is_ripe(model):
        model.optimizer.finalize_variable_values(averaged_variables(model))


@contextlib.contextmanager
def trained_weights_kept(model: keras.Model) -> Iterator[None]:
    """Within the block `fit` leaves the trained weights in the model, ripe average or not.

    Keras would end `fit` with the average in any case; `adopt_average` decides instead.
    """
    optimizer = model.optimizer
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
