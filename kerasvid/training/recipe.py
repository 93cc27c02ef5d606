"""How a preset is trained: batch, steps, and the optimizer with its learning-rate schedule."""

import dataclasses

import keras


@keras.saving.register_keras_serializable(package="kerasvid")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, cosine decay to a floor at `decay_steps`, the floor from there on.

    The schedule is a function of the step alone, not of how long a run is meant to be, so that a
    run can be lengthened later.

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
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
            "floor": self.floor,
        }


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a preset is trained; `RECIPES` at the end of a model's file has one for each.

    Args:
        steps: updates in all.
        batch_size: videos a step, over all replicas.
        frames: T of the training clips; `None` for the model's own.
        stride: distance of two frames of a clip in its video.
        learning_rate: peak rate of Adam.
        warmup_steps: linear warm-up of the rate.
        decay_steps: where the cosine decay ends; 0 for none.
        beta_2: Adam's second decay rate.
        ema_momentum: of the averaged weights; 0 for none.
        clip_norm: the largest global gradient norm; 0 for none.
    """

    steps: int = 10_000
    batch_size: int = 16
    frames: int | None = None
    stride: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    decay_steps: int = 0
    beta_2: float = 0.99
    ema_momentum: float = 0.99
    clip_norm: float = 0.0

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Adam as the recipe says."""
        rate = WarmupCosine(self.learning_rate, self.warmup_steps, self.decay_steps)
        average = {"use_ema": True, "ema_momentum": self.ema_momentum} if self.ema_momentum else {}
        return keras.optimizers.Adam(rate, beta_2=self.beta_2, **average)
