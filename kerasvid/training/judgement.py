"""What one discriminator loses: on real and on generated samples, and for its slopes |d D / d x|.

The objective is that of `resolve_objective` everywhere, the chances are Gaussians by name.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from kerasvid import losses
from kerasvid.training.batch_parts import joined


def image_loss(
    judge,
    objective: Mapping[str, Any],
    sources: Sequence[tf.Tensor],
    fake: tf.Tensor,
    still: tf.Tensor | None,
    *,
    chances: Mapping[str, tf.Tensor],
    training: bool,
) -> tf.Tensor:
    """D_I's terms; with stills those of equation (1), where real frames count a second time.

    Args:
        judge: D_I.
        objective: what it minimises.
        sources: real frames `[N_i, H, W, C]` of clips, and images, each of equal weight; D_I sees
            all of them at once, as one batch of statistics.
        fake: frames of generated clips, `[M, H, W, C]`.
        still: generated images of the fixed prior, `[B, H, W, C]`, or `None`.
        chances: as `slope_penalties` takes them.
        training: as in Keras; penalties are left out without it.

    Returns:
        A scalar.
    """
    real, weights = joined(sources)
    kind = objective["loss"]
    on_real = _loss_on_real(judge(real, training=training).realness, objective)
    on_fake = losses.loss_on_fake(judge(fake, training=training).realness, kind)
    loss = tf.reduce_mean(on_fake)
    still_weight = 0.0
    if still is not None:
        still_weight = objective["still_weight"]
        on_still = losses.loss_on_fake(judge(still, training=training).realness, kind)
        loss += still_weight * tf.reduce_mean(on_still)
        fake = tf.concat([fake, still], axis=0)  # each paired with a real frame of its own
    loss += (1.0 + still_weight) * tf.reduce_mean(weights * on_real)
    if training:
        loss += slope_penalties(judge, objective, real, fake, chances, weights)
    return loss


def video_loss(
    judge,
    objective: Mapping[str, Any],
    real: tf.Tensor,
    fake: tf.Tensor,
    label: tf.Tensor | None,
    known: tf.Tensor | None,
    *,
    chances: Mapping[str, tf.Tensor],
    training: bool,
) -> tf.Tensor:
    """D_V's terms, and the classification of real clips whose label is known.

    Args:
        judge: D_V.
        objective: what it minimises.
        real, fake: clips `[B, T, H, W, C]`.
        label: int64 `[B]` of the real ones, -1 where unknown, or `None`.
        known: share of the labels that are known on all replicas; on this one where `None`.
        chances: as `slope_penalties` takes them.
        training: as in Keras; penalties are left out without it.

    Returns:
        A scalar.
    """
    verdict = judge(real, training=training)
    on_fake = losses.loss_on_fake(judge(fake, training=training).realness, objective["loss"])
    on_real = _loss_on_real(verdict.realness, objective)
    loss = tf.reduce_mean(on_real) + tf.reduce_mean(on_fake)
    if verdict.categories is not None and label is not None:
        classified = losses.classification_loss(verdict.categories, label, known)
        loss += objective["category_weight"] * tf.reduce_mean(classified)
    if training:
        loss += slope_penalties(judge, objective, real, fake, chances)
    return loss


def _loss_on_real(logits: tf.Tensor, objective: Mapping[str, Any]) -> tf.Tensor:
    return losses.loss_on_real(logits, objective["loss"], objective["real_target"])


def check_slopes(objective: Mapping[str, Any], judges: Mapping[str, Any]) -> None:
    """Refuses discriminators whose slopes the objective cannot hold, or does not.

    Args:
        objective: what they minimise.
        judges: the discriminators by name.

    Raises:
        ValueError: batch norm under a penalty, or the Wasserstein loss without any bound.
    """
    penalized = bool(objective["gradient_penalty"] or objective["r1_weight"])
    for name, judge in judges.items():
        if penalized and getattr(judge, "normalization", None) == "batch":
            raise ValueError(
                "objective: penalties of gradients are of single rows, which batch norm "
                "mixes: set the discriminators' normalization to none or group."
            )
        held = objective["gradient_penalty"] or getattr(judge, "spectral", False)
        if objective["loss"] == "wasserstein" and not held:
            raise ValueError(
                "objective.loss='wasserstein' needs discriminators of bounded slope: set "
                f"objective.gradient_penalty=10 or {name}.spectral=true."
            )


def slope_penalties(
    judge,
    objective: Mapping[str, Any],
    real: tf.Tensor,
    fake: tf.Tensor,
    chances: Mapping[str, tf.Tensor],
    weights: tf.Tensor | float = 1.0,
) -> tf.Tensor | float:
    """Gradient penalty and R1 of a discriminator; a row's score is the mean of its patches.

    Args:
        judge: the discriminator.
        objective: what it minimises.
        real: `[N, ...]`, of which the first M rows are paired with the generated ones, and further
            ones with the same again from the first on.
        fake: `[M, ...]`.
        chances: for the gradient penalty `"share"` `[B, K]`, Gaussians for the first M rows, column
            by column; `"image_share"` for further ones.
        weights: `[N]`, of mean 1: how much each real row counts in both penalties.

    Returns:
        A scalar, weighted; 0 where the objective has no penalty.
    """
    penalty = 0.0
    if objective["gradient_penalty"]:
        rows, count = tf.shape(real)[0], tf.shape(fake)[0]
        drawn = [tf.reshape(tf.transpose(chances["share"]), [-1])[:count]]
        if "image_share" in chances:
            drawn.append(chances["image_share"])
        share = 0.5 * tf.math.erfc(-tf.concat(drawn, axis=0)[:rows] / 2.0**0.5)  # in [0, 1]
        paired = tf.gather(fake, tf.range(rows) % count)
        norms = score_slopes(judge, losses.mixed_rows(real, paired, share))
        excess = weights * tf.square(norms - 1.0)
        penalty += objective["gradient_penalty"] * tf.reduce_mean(excess)
    if objective["r1_weight"]:
        squares = weights * tf.square(score_slopes(judge, real))
        penalty += 0.5 * objective["r1_weight"] * tf.reduce_mean(squares)
    return penalty


def score_slopes(judge, samples: tf.Tensor) -> tf.Tensor:
    """|d D / d x| at each of the samples `[B, ...]`: `[B]`, whatever D computes in.

    The loss scale of mixed_float16 does not reach a gradient that is itself part of the loss, and
    entries of slopes over many pixels are small numbers there. So the scores are scaled by about
    the root of the number of pixels: a slope of norm 1 has entries of about 1.
    """
    scale = 2.0 ** round(0.5 * math.log2(math.prod(samples.shape[1:])))  # exact in any format
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(samples)
        scores = scale * losses.per_row(judge(samples, training=True).realness)
    return losses.gradient_norms(scores, samples, tape, scale)


def judge_arguments(name: str, given: Mapping[str, Any] | bool | None) -> dict[str, Any] | bool:
    """Arguments of a discriminator that is a player, or `False` for none.

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
