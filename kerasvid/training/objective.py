"""What the players of an adversarial model minimise: the losses, penalties and their weights."""

from collections.abc import Mapping
from typing import Any

from kerasvid import losses
from kerasvid.naming import nearest_names
from kerasvid.training.ramp import is_number, is_pair, is_whole

OBJECTIVE = {
    "loss": "logistic",
    "real_target": 1.0,
    "gradient_penalty": 0.0,
    "r1_weight": 0.0,
    "instance_noise": (0.0, 0.0),
    "instance_noise_steps": 0,
    "discriminator_steps": 1,
    "image_frames": 1,
    "still_weight": 1.0,
    "category_weight": 1.0,
}


def resolve_objective(objective: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the players minimise.

    Args:
        objective: any of

            - `loss`: `"logistic"` (non-saturating), `"hinge"`, `"least_squares"` or
              `"wasserstein"`, which asks for `gradient_penalty` or spectral normalisation.
            - `real_target`: what logistic and least-squares discriminators should say of real
              samples; 0.9 is one-sided label smoothing.
            - `gradient_penalty`: weight of (|dD/dx| - 1)^2 between real and generated samples
              (10 in Gulrajani et al., NeurIPS 2017).
            - `r1_weight`: gamma of gamma / 2 |dD/dx|^2 at real samples (Mescheder et al.,
              ICML 2018). In both penalties, as in the loss, images that are shown beside videos
              count as much as the frames of the videos.
            - `instance_noise`: pair (start, end) of the deviation of Gaussian noise on all
              that discriminators see, and `instance_noise_steps` from the one to the other;
              of 0 steps only the end is seen.
            - `discriminator_steps`: updates of the discriminators before one of the
              generator; each sees its share of the batch, and the generator's update that of the
              last. Losses are reported as of the last one.
            - `image_frames`: random frames of a clip that the image discriminator sees, real and
              generated; 1 as published, more for a less noisy estimate of the same mean.
            - `still_weight`: of the terms for still images of the fixed prior.
            - `category_weight`: of the classification of clips.

    Raises:
        ValueError: a name is unknown or a value out of its range.
    """
    chosen = dict(OBJECTIVE)
    for name, value in (objective or {}).items():
        if name not in OBJECTIVE:
            raise ValueError(f"The objective has no {name!r}: {nearest_names(name, OBJECTIVE)}.")
        _check(name, value)
        chosen[name] = tuple(value) if name == "instance_noise" else value
    if chosen["real_target"] != 1.0 and chosen["loss"] not in ("logistic", "least_squares"):
        raise ValueError(
            f"objective.real_target={chosen['real_target']}: the loss {chosen['loss']!r} has no "
            "target to smooth; use logistic or least_squares."
        )
    return chosen


def _check(name: str, value: Any) -> None:
    """Refuses a value of the objective that is out of its range, in one line."""
    if name == "loss":
        good, what = value in losses.ADVERSARIAL_LOSSES, ", ".join(losses.ADVERSARIAL_LOSSES)
    elif name == "instance_noise":
        good, what = is_pair(value) and min(value) >= 0.0, "a pair [start, end], not negative"
    elif name in ("discriminator_steps", "image_frames"):
        good, what = is_whole(value) and value >= 1, "a whole number from 1"
    elif name == "instance_noise_steps":
        good, what = is_whole(value) and value >= 0, "a whole number from 0"
    elif name == "real_target":
        good, what = is_number(value) and 0.5 < value <= 1.0, "more than 0.5 and at most 1"
    else:
        good, what = is_number(value) and value >= 0.0, "0 or more"
    if not good:
        raise ValueError(f"objective.{name}={value!r} must be {what}.")
