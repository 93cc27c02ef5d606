"""Differentiable augmentation of what a discriminator sees.

Zhao, Liu, Lin, Zhu, Han: "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS
2020. Real and generated clips are changed by the same random rules, and a generator's gradient goes
through the change, so that a discriminator of few videos cannot memorise them, while the
generator learns the unchanged ones. All frames of a clip are changed alike.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020: with a
probability p less than 1 the changes do not leak into generated clips; `adapted_probability` moves
p so that a share of real training clips is scored as real.
"""

from collections.abc import Sequence

import tensorflow as tf

AUGMENTATIONS = ("color", "translation", "cutout")
# Gaussians for a clip: whether each kind is applied, and its amounts.
AUGMENTATION_GAUSSIANS = 10
LARGEST_SHIFT = 8  # a side is this many times the largest shift
CUT = 2  # a side is this many times that of the square


def augmented(
    clips: tf.Tensor,
    gaussians: tf.Tensor,
    kinds: Sequence[str],
    probability: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """Clips changed at random, each of the kinds by itself with the given probability.

    - color: brightness by up to half of [-1, 1]'s unit, saturation by up to twice, contrast from
      half to one and a half, about the mean of the whole clip;
    - translation: by up to an eighth of each side, with -1 (black) where the frame has left;
    - cutout: a square of half the sides, whose centre is anywhere, becomes 0 (grey).

    Args:
        clips: `[B, T, H, W, C]` in [-1, 1], or frames `[B, H, W, C]`; C is 3 for the saturation.
        gaussians: standard Gaussians `[B, 10]`.
        kinds: of `AUGMENTATIONS`.
        probability: p, from 0 to 1.

    Returns:
        The same shape; colours may leave [-1, 1].

    Raises:
        ValueError: a kind is unknown.

    Example:
        >>> changed = augmented(clips, tf.random.normal([8, 10]), ["translation"], 0.5)
    """
    for kind in kinds:
        if kind not in AUGMENTATIONS:
            raise ValueError(f"augmentation={kind!r} is unknown: use {', '.join(AUGMENTATIONS)}.")
    shape = tf.shape(clips)
    x = clips if len(clips.shape) == 5 else clips[:, None]  # [B, T, H, W, C]
    uniform = 0.5 * tf.math.erfc(-gaussians / 2.0**0.5)  # [B, 10] in [0, 1]
    if "color" in kinds:
        x = tf.where(_rows(uniform[:, 0] < probability), _recoloured(x, uniform[:, 1:4]), x)
    if "translation" in kinds:
        x = tf.where(_rows(uniform[:, 4] < probability), _translated(x, uniform[:, 5:7]), x)
    if "cutout" in kinds:
        x = tf.where(_rows(uniform[:, 7] < probability), _cut(x, uniform[:, 8:10]), x)
    return tf.reshape(x, shape)


def adapted_probability(
    probability: tf.Tensor, real_sign: tf.Tensor, target: float, share: tf.Tensor | float
) -> tf.Tensor:
    """p after a step, moved by `share` towards where the mean sign of real scores is the target.

    Args:
        probability: p, from 0 to 1.
        real_sign: E[sign(D(v))] of real training clips, from -1 to 1.
        target: of it, 0.6 in Karras et al.
        share: step's images over those in which p goes from 0 to 1.
    """
    return tf.clip_by_value(probability + share * tf.sign(real_sign - target), 0.0, 1.0)


def _rows(values: tf.Tensor) -> tf.Tensor:
    """`[B] -> [B, 1, 1, 1, 1]`."""
    return tf.reshape(values, [-1, 1, 1, 1, 1])


def _recoloured(x: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    x = x + _rows(uniform[:, 0] - 0.5)
    if x.shape[-1] == 3:
        grey = tf.reduce_mean(x, axis=-1, keepdims=True)
        x = grey + _rows(2.0 * uniform[:, 1]) * (x - grey)
    mean = tf.reduce_mean(x, axis=[1, 2, 3, 4], keepdims=True)
    return mean + _rows(uniform[:, 2] + 0.5) * (x - mean)


def _translated(x: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """By whole pixels; a matrix for each side, whose product has a quick gradient."""
    rows, columns = (
        _shift_matrices(x.shape[axis], uniform[:, k], x.dtype) for k, axis in enumerate((2, 3))
    )
    moved = tf.einsum("bph,bthwc->btpwc", rows, x + 1.0)
    return tf.einsum("bqw,btpwc->btpqc", columns, moved) - 1.0


def _shift_matrices(side: int, uniform: tf.Tensor, dtype) -> tf.Tensor:
    """`[B, side, side]`: row p has its 1 in the column p - shift, if there is one."""
    largest = side // LARGEST_SHIFT
    shift = tf.cast(tf.floor(uniform * (2 * largest + 1)), tf.int32) - largest
    return tf.one_hot(tf.range(side)[None] - shift[:, None], side, dtype=dtype)


def _cut(x: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    inside = []
    for k, axis in enumerate((2, 3)):
        side = x.shape[axis]
        centre = tf.floor(uniform[:, k] * side)[:, None]
        places = tf.range(side, dtype=tf.float32)[None]
        inside.append(tf.abs(places - centre + 0.5) < side / CUT / 2)  # [B, side]
    cut = inside[0][:, None, :, None, None] & inside[1][:, None, None, :, None]
    return tf.where(cut, tf.zeros_like(x), x)
