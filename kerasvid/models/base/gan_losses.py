"""What one discriminator loses: on real and on generated samples, and for its slopes |d D / d x|.

The objective is that of `resolve_objective` everywhere, the random_inputs are Gaussians by name.

What the networks of an adversarial model minimise: the losses, penalties and their weights.
What networks see of a batch: frames of its clips, its still images, a part of its rows.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from kerasvid import losses
from kerasvid.data.pixels import as_floats
from kerasvid.models.base.train_config import is_number, is_pair, is_whole
from kerasvid.naming import nearest_names


def image_loss(
    discriminator,
    objective: Mapping[str, Any],
    sources: Sequence[tf.Tensor],
    fake: tf.Tensor,
    still: tf.Tensor | None,
    *,
    random_inputs: Mapping[str, tf.Tensor],
    training: bool,
) -> tf.Tensor:
    """D_I's terms; with stills those of equation (1), where real frames count a second time.

    Args:
        discriminator: D_I.
        objective: what it minimises.
        sources: real frames `[N_i, H, W, C]` of clips, and images, each of equal weight; D_I sees
            all of them at once, as one batch of statistics.
        fake: frames of generated clips, `[M, H, W, C]`.
        still: generated images of the fixed prior, `[B, H, W, C]`, or `None`.
        random_inputs: as `gradient_penalties` takes them.
        training: as in Keras; penalties are left out without it.

    Returns:
        A scalar.
    """
    real, weights = joined(sources)
    kind = objective["loss"]
    on_real = _loss_on_real(discriminator(real, training=training).logits, objective)
    on_fake = losses.loss_on_fake(discriminator(fake, training=training).logits, kind)
    loss = tf.reduce_mean(on_fake)
    image_prior_weight = 0.0
    if still is not None:
        image_prior_weight = objective["image_prior_weight"]
        on_still = losses.loss_on_fake(discriminator(still, training=training).logits, kind)
        loss += image_prior_weight * tf.reduce_mean(on_still)
        fake = tf.concat([fake, still], axis=0)  # each paired with a real frame of its own
    loss += (1.0 + image_prior_weight) * tf.reduce_mean(weights * on_real)
    if training:
        loss += gradient_penalties(discriminator, objective, real, fake, random_inputs, weights)
    return loss


def video_loss(
    discriminator,
    objective: Mapping[str, Any],
    real: tf.Tensor,
    fake: tf.Tensor,
    label: tf.Tensor | None,
    known: tf.Tensor | None,
    *,
    random_inputs: Mapping[str, tf.Tensor],
    training: bool,
) -> tf.Tensor:
    """D_V's terms, and the classification of real clips whose label is known.

    Args:
        discriminator: D_V.
        objective: what it minimises.
        real, fake: clips `[B, T, H, W, C]`.
        label: int64 `[B]` of the real ones, -1 where unknown, or `None`.
        known: share of the labels that are known on all replicas; on this one where `None`.
        random_inputs: as `gradient_penalties` takes them.
        training: as in Keras; penalties are left out without it.

    Returns:
        A scalar.
    """
    verdict = discriminator(real, training=training)
    on_fake = losses.loss_on_fake(discriminator(fake, training=training).logits, objective["loss"])
    on_real = _loss_on_real(verdict.logits, objective)
    loss = tf.reduce_mean(on_real) + tf.reduce_mean(on_fake)
    if verdict.categories is not None and label is not None:
        classified = losses.classification_loss(verdict.categories, label, known)
        loss += objective["category_weight"] * tf.reduce_mean(classified)
    if training:
        loss += gradient_penalties(discriminator, objective, real, fake, random_inputs)
    return loss


def _loss_on_real(logits: tf.Tensor, objective: Mapping[str, Any]) -> tf.Tensor:
    return losses.loss_on_real(logits, objective["loss"], objective["real_target"])


def check_bounded_gradients(
    objective: Mapping[str, Any], discriminators: Mapping[str, Any]
) -> None:
    """Refuses discriminators whose slopes the objective cannot hold, or does not.

    Args:
        objective: what they minimise.
        discriminators: the discriminators by name.

    Raises:
        ValueError: batch norm under a penalty, or the Wasserstein loss without any bound.
    """
    penalized = bool(objective["gradient_penalty"] or objective["r1_weight"])
    for name, discriminator in discriminators.items():
        if penalized and getattr(discriminator, "normalization", None) == "batch":
            raise ValueError(
                "objective: penalties of gradients are of single rows, which batch norm "
                "mixes: set the discriminators' normalization to none or group."
            )
        held = objective["gradient_penalty"] or getattr(discriminator, "spectral", False)
        if objective["loss"] == "wasserstein" and not held:
            raise ValueError(
                "objective.loss='wasserstein' needs discriminators of bounded slope: set "
                f"objective.gradient_penalty=10 or {name}.spectral=true."
            )


def gradient_penalties(
    discriminator,
    objective: Mapping[str, Any],
    real: tf.Tensor,
    fake: tf.Tensor,
    random_inputs: Mapping[str, tf.Tensor],
    weights: tf.Tensor | float = 1.0,
) -> tf.Tensor | float:
    """Gradient penalty and R1 of a discriminator; a row's score is the mean of its patches.

    Args:
        discriminator: the discriminator.
        objective: what it minimises.
        real: `[N, ...]`, of which the first M rows are paired with the generated ones, and further
            ones with the same again from the first on.
        fake: `[M, ...]`.
        random_inputs: for the gradient penalty `"share"` `[B, K]`, Gaussians for the first M rows, column
            by column; `"image_share"` for further ones.
        weights: `[N]`, of mean 1: how much each real row counts in both penalties.

    Returns:
        A scalar, weighted; 0 where the objective has no penalty.
    """
    penalty = 0.0
    if objective["gradient_penalty"]:
        rows, count = tf.shape(real)[0], tf.shape(fake)[0]
        drawn = [tf.reshape(tf.transpose(random_inputs["share"]), [-1])[:count]]
        if "image_share" in random_inputs:
            drawn.append(random_inputs["image_share"])
        share = 0.5 * tf.math.erfc(-tf.concat(drawn, axis=0)[:rows] / 2.0**0.5)  # in [0, 1]
        paired = tf.gather(fake, tf.range(rows) % count)
        norms = score_gradient_norms(discriminator, losses.mixed_rows(real, paired, share))
        excess = weights * tf.square(norms - 1.0)
        penalty += objective["gradient_penalty"] * tf.reduce_mean(excess)
    if objective["r1_weight"]:
        squares = weights * tf.square(score_gradient_norms(discriminator, real))
        penalty += 0.5 * objective["r1_weight"] * tf.reduce_mean(squares)
    return penalty


def score_gradient_norms(discriminator, samples: tf.Tensor) -> tf.Tensor:
    """|d D / d x| at each of the samples `[B, ...]`: `[B]`, whatever D computes in.

    The loss scale of mixed_float16 does not reach a gradient that is itself part of the loss, and
    entries of slopes over many pixels are small numbers there. So the scores are scaled by about
    the root of the number of pixels: a slope of norm 1 has entries of about 1.
    """
    scale = 2.0 ** round(0.5 * math.log2(math.prod(samples.shape[1:])))  # exact in any format
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(samples)
        scores = scale * losses.per_row(discriminator(samples, training=True).logits)
    return losses.gradient_norms(scores, samples, tape, scale)


def discriminator_arguments(
    name: str, given: Mapping[str, Any] | bool | None
) -> dict[str, Any] | bool:
    """Arguments of a discriminator that is a network, or `False` for none.

    Args:
        name: of the argument.
        given: a mapping of the discriminator's arguments; `None` or `True` for its defaults.

    Raises:
        ValueError: it is none of these.
    """
    if given is False:
        return False
    if given is None or given is True:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f"{name}={given!r} must be a mapping of its arguments, or true or false.")
    return dict(given)


OBJECTIVE = {
    "loss": "logistic",
    "real_target": 1.0,
    "gradient_penalty": 0.0,
    "r1_weight": 0.0,
    "instance_noise": (0.0, 0.0),
    "instance_noise_steps": 0,
    "discriminator_steps": 1,
    "image_frames": 1,
    "image_prior_weight": 1.0,
    "category_weight": 1.0,
}


def resolve_objective(objective: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the networks minimise.

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
            - `image_prior_weight`: of the terms for still images of the fixed prior.
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


def frames_at(clips: tf.Tensor, random_inputs: tf.Tensor) -> tf.Tensor:
    """S_1: random frames of every clip, each equally likely.

    Args:
        clips: `[B, T, H, W, C]`.
        random_inputs: Gaussians `[B, K, T]`; the largest tells each frame.

    Returns:
        `[K * B, H, W, C]`: the first frames of all clips, then the second ones.
    """
    chosen = tf.gather(clips, tf.argmax(random_inputs, axis=-1), batch_dims=1)  # [B, K, H, W, C]
    return tf.reshape(tf.transpose(chosen, [1, 0, 2, 3, 4]), [-1, *clips.shape[2:]])


def joined(sources: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples of several sources as one batch, in which every source counts alike.

    Args:
        sources: each `[N_i, ...]`, however many samples it has.

    Returns:
        All samples `[N, ...]` in order, and a weight for each, `[N]`: a weighted mean over the
        samples is the mean over the sources of the mean over each.
    """
    rows = [tf.shape(source)[0] for source in sources]
    even = tf.cast(tf.add_n(rows), tf.float32) / len(sources)
    weights = [tf.fill([count], even / tf.cast(count, tf.float32)) for count in rows]
    return tf.concat(sources, axis=0), tf.concat(weights, axis=0)


def divided(batch: Mapping[str, tf.Tensor], count: int) -> list[dict[str, tf.Tensor]]:
    """The batch in `count` equal parts.

    Raises:
        ValueError: its rows cannot be divided so.
    """
    if count == 1:
        return [dict(batch)]
    for name, value in batch.items():
        if value.shape[0] is not None and value.shape[0] % count:
            raise ValueError(
                f"objective.discriminator_steps={count}: each update sees a part of the batch, and "
                f"{value.shape[0]} ({name}) cannot be divided; use a multiple of {count}."
            )
    parts = {name: tf.split(value, count) for name, value in batch.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(count)]


def images_of(images: tf.Tensor) -> tf.Tensor:
    """float32 `[N, H, W, C]` in [-1, 1] of uint8 or float images, with a time axis of 1 or none.

    Raises:
        ValueError: the images have other axes.
    """
    if images.shape.rank == 5 and images.shape[1] == 1:
        images = images[:, 0]
    if images.shape.rank != 4:
        raise ValueError(f'"image" needs the axes [N, H, W, C], not the shape {images.shape}.')
    return as_floats(images)
