"""Values that move during training, and checks of what they are given."""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A value that moves from `start` to `end` in the first `steps` iterations and stays there.

    Args:
        start: value at iteration 0.
        end: value from iteration `steps` on.
        steps: length of the way; 0 means `end` at once.
        geometric: move in the logarithm (both ends positive), not in the value.
    """

    start: float
    end: float
    steps: int
    geometric: bool = False

    def __post_init__(self):
        if self.geometric and not (self.start > 0 and self.end > 0):
            raise ValueError(f"A geometric ramp needs positive ends, not {self.start}, {self.end}.")
        if self.steps < 0:
            raise ValueError(f"A ramp of {self.steps} steps: give 0 or more.")

    def __call__(self, iteration: tf.Tensor) -> tf.Tensor:
        fraction = 1.0 if self.steps == 0 else tf.clip_by_value(iteration / self.steps, 0.0, 1.0)
        if self.geometric:
            return self.start * tf.pow(self.end / self.start, tf.cast(fraction, tf.float32))
        return self.start + (self.end - self.start) * tf.cast(fraction, tf.float32)


def is_pair(value: Any) -> bool:
    """Whether a value is two finite numbers."""
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    return is_sequence and len(value) == 2 and all(is_number(v) for v in value)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number and no truth value."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
