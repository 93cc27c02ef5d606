"""How a preset is trained: batch, steps, and the optimizer with its learning-rate schedule."""

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasvid.data.pipeline import check_flips
from kerasvid.layers.fitted_priors import PRIORS
from kerasvid.models.base.averaging import AveragedAdam


@keras.saving.register_keras_serializable(package="kerasvid")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, cosine decay to a floor at `decay_steps`, the floor from there on.

    The length of a run plays no part, so that it can be lengthened later. Keras's `CosineDecay` has
    no constant rate after the warm-up, and branches in the graph.

    Args:
        peak: the rate after the warm-up.
        warmup_steps: length of the warm-up.
        decay_steps: where the floor is reached; 0 for a constant rate after the warm-up.
        floor: the last rate, as a share of the peak.
    """

    def __init__(self, peak: float, warmup_steps: int, decay_steps: int, floor: float = 0.02):
        self.peak, self.warmup_steps = peak, warmup_steps
        self.decay_steps, self.floor = decay_steps, floor

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rate = keras.ops.convert_to_tensor(self.peak, "float32")
        if self.decay_steps:
            span = max(self.decay_steps - self.warmup_steps, 1)
            done = keras.ops.clip((step - self.warmup_steps) / span, 0.0, 1.0)
            cosine = 0.5 * (1.0 + keras.ops.cos(3.141592653589793 * done))
            rate = self.peak * (self.floor + (1.0 - self.floor) * cosine)
        warm = keras.ops.minimum((step + 1.0) / max(self.warmup_steps, 1), 1.0)
        return rate * warm

    def get_config(self) -> dict:
        return dict(vars(self))


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a preset is trained; `TRAINING` in a model's file has one for each.

    Args:
        steps: updates in all.
        batch_size: videos a step, over all replicas.
        batch_repeats: updates in succession on the same clips.
        image_batch: images a step beside the videos, if any; `None` for as many as videos. Together
            they weigh as much as all frames of the videos.
        frames: T of the training clips; `None` for the model's own.
        stride: distance of two frames of a clip in its video.
        pick: where in its video a clip begins: anywhere (`"window"`) or at its `"start"`.
        flips: of training clips and images, of `"horizontal"` and `"time"`: half of them are
            mirrored, half run backwards. For small sets whose motions look natural either way.
        learning_rate: peak rate of Adam.
        warmup_steps: linear warm-up of the rate.
        decay_steps: where the cosine decay ends; 0 for none.
        beta_1, beta_2: Adam's decay rates.
        epsilon: that Adam adds to the root of the second moment.
        discriminator_rate: rate of the networks after the first, as a multiple of the first's.
        ema_momentum: of the first network's averaged weights; 0 for none.
        clip_norm: the largest global gradient norm; 0 for none.
        max_divergence: of a discriminator (`gan_losses.divergence`); an evaluation that finds more
            ends the run. 0 for no limit.
        prior: kind of the prior that is fitted to the codes after training, a key of
            `fitted_priors.PRIORS`; `None` for the bound's own, and Gaussians of learned codes.
        prior_steps: updates of the priors after training; 0 for none of the bound's own, and 4,000
            of a `prior`.
        encoder_steps: updates of an encoder of learned codes after training; 0 for none.
        code_rate, code_momentum: of the descent of learned codes; the rate has the same schedule,
            and 0 leaves the codes as they were drawn.

    Raises:
        ValueError: a value is out of its range; the message names the field.
    """

    steps: int = 10_000
    batch_size: int = 16
    batch_repeats: int = 1
    image_batch: int | None = None
    frames: int | None = None
    stride: int = 1
    pick: str = "window"
    flips: tuple[str, ...] = ()
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    decay_steps: int = 0
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-7
    discriminator_rate: float = 1.0
    ema_momentum: float = 0.99
    clip_norm: float = 0.0
    max_divergence: float = 0.0
    prior: str | None = None
    prior_steps: int = 0
    encoder_steps: int = 0
    code_rate: float = 12.5
    code_momentum: float = 0.9

    def __post_init__(self) -> None:
        lengths, optional = (
            ("warmup_steps", "decay_steps", "prior_steps", "encoder_steps"),
            ("frames", "image_batch"),
        )
        positive = ("learning_rate", "epsilon", "discriminator_rate")
        not_negative = ("clip_norm", "max_divergence", "code_rate")
        rates = ("beta_1", "beta_2", "ema_momentum", "code_momentum")
        for names, rule, fulfilled in (
            (
                ("steps", "batch_size", "batch_repeats", "stride"),
                "a whole number from 1",
                lambda v: is_whole(v, 1),
            ),
            (lengths, "a whole number from 0", lambda v: is_whole(v, 0)),
            (optional, "1 or more, or None", lambda v: v is None or is_whole(v, 1)),
            (positive, "positive", lambda v: is_number(v) and v > 0),
            (not_negative, "0 or more", lambda v: is_number(v) and v >= 0),
            (rates, "at least 0 and less than 1", lambda v: is_number(v) and 0 <= v < 1),
            (("pick",), "window or start", lambda v: v in ("window", "start")),
            (("prior",), f"one of {', '.join(PRIORS)}", lambda v: v is None or v in PRIORS),
        ):
            for name in names:
                if not fulfilled(getattr(self, name)):
                    raise ValueError(f"{name}={getattr(self, name)!r} must be {rule}.")
        check_flips(self.flips)
        object.__setattr__(self, "flips", tuple(self.flips))

    def make_optimizer(self, first: bool = True, updates: int = 1) -> keras.optimizers.Optimizer:
        """Adam of the first network, which may keep an average, or of another.

        The schedule is in steps, of so many `updates` each.
        """
        peak = self.learning_rate * (1.0 if first else self.discriminator_rate)
        rate = WarmupCosine(peak, updates * self.warmup_steps, updates * self.decay_steps)
        decay = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        if first and self.ema_momentum:
            return AveragedAdam(rate, use_ema=True, ema_momentum=self.ema_momentum, **decay)
        return keras.optimizers.Adam(rate, **decay)

    def code_arguments(self) -> dict[str, object]:
        """Arguments of `LatentCodeModel.compile` beside the optimizers."""
        rate = self.code_rate and WarmupCosine(self.code_rate, self.warmup_steps, self.decay_steps)
        return {"code_rate": rate, "code_momentum": self.code_momentum}

    def make_optimizers(
        self, networks: Sequence[str], updates: Mapping[str, int] | None = None
    ) -> dict[str, keras.optimizers.Optimizer]:
        """An optimizer for each network, the first of them with the averaged weights.

        Args:
            networks: their names.
            updates: of a network in a step, where there are several.
        """
        return {
            name: self.make_optimizer(name == networks[0], (updates or {}).get(name, 1))
            for name in networks
        }


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A value that moves from `start` to `end` in the first `steps` steps and stays there.

    Args:
        start, end: values at step 0 and from step `steps` on.
        steps: at least 0; 0 means `end` at once.
        geometric: move in the logarithm, not in the value; both ends must be positive.
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

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        fraction = 1.0 if self.steps == 0 else tf.clip_by_value(step / self.steps, 0.0, 1.0)
        if self.geometric:
            return self.start * tf.pow(self.end / self.start, tf.cast(fraction, tf.float32))
        return self.start + (self.end - self.start) * tf.cast(fraction, tf.float32)


def is_pair(value: Any) -> bool:
    """Whether a value is two finite numbers."""
    return isinstance(value, Sequence) and len(value) == 2 and all(map(is_number, value))


def is_number(value: Any) -> bool:
    """Whether a value is a finite number and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any, least: int | None = None) -> bool:
    """Whether a value is a whole number, no bool, and not below `least`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and (least is None or value >= least)
