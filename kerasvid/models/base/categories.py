"""The class of a generated video: named noise, of which the largest entry is the class.

Every model that makes videos of a class takes it so: the noise `CATEGORY` `[B, K]` stands among
its other noise. Standard Gaussians draw each class equally often; a one-hot row asks for one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid.layers.recurrent import repeated
from kerasvid.naming import nearest_names

CATEGORY = "category"  # name of the noise
UNKNOWN = -1  # label of a video whose class is unknown


def checked_categories(categories: int) -> int:
    """The number of classes; a ValueError where it is no whole number from 0."""
    if not isinstance(categories, int) or isinstance(categories, bool) or categories < 0:
        raise ValueError(f"categories={categories!r} must be a whole number from 0; 0 for none.")
    return categories


def class_count(model: Any) -> int:
    """The number of classes that a model makes videos of by a label; 0 for none."""
    return dict(model.noise_shapes(model.frames)).get(CATEGORY, (0,))[0]


def category_of(noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The class of each row of noise, int64 `[B]`.

    A row of zeros, which no Gaussian draws, is an unknown class, -1.
    """
    drawn = noise[CATEGORY]
    known = tf.reduce_max(tf.abs(drawn), axis=-1) > 0.0
    return tf.where(known, tf.argmax(drawn, axis=-1), tf.constant(UNKNOWN, tf.int64))


def category_code(noise: Mapping[str, tf.Tensor]) -> tf.Tensor | None:
    """The one-hot class of each row of noise, float32 `[B, K]`; `None` without classes."""
    if CATEGORY not in noise:
        return None
    return tf.one_hot(category_of(noise), noise[CATEGORY].shape[-1])


def beside(vectors: tf.Tensor, category: tf.Tensor | None) -> tf.Tensor:
    """The one-hot class `[B, K]` beside vectors, if there are classes.

    `[B, D] -> [B, D + K]`, or at every frame `[B, T, D] -> [B, T, D + K]`.
    """
    if category is None:
        return vectors
    if len(vectors.shape) == 3:
        category = repeated(category, vectors.shape[1])
    return tf.concat([vectors, category], axis=-1)


def label_code(label: tf.Tensor | None, rows: tf.Tensor, categories: int) -> tf.Tensor | None:
    """One-hot labels, float32 `[B, K]`, zero where unknown (-1); `None` without classes.

    Args:
        label: int `[B]`, or `None` where all are unknown.
        rows: B.
        categories: K; 0 for none.
    """
    if not categories:
        return None
    if label is None:
        return tf.zeros(tf.stack([rows, categories]))
    return tf.one_hot(label, categories)


def checked_labels(label: tf.Tensor, rows: int | None, categories: int) -> tf.Tensor:
    """Labels of a batch as int64 `[B]`, from -1 (unknown) to K - 1.

    Args:
        label: of the videos of a batch.
        rows: B, where it is known.
        categories: K.

    Raises:
        ValueError: they are not whole numbers, one for each video, or one is out of range.
        InvalidArgumentError: in a graph, one is out of range.
    """
    if not label.dtype.is_integer or len(label.shape) != 1:
        raise ValueError(
            f"label: {label.dtype.name} of shape {tuple(label.shape)} must be whole numbers of "
            "shape [B], one for each video."
        )
    if None not in (rows, label.shape[0]) and rows != label.shape[0]:
        raise ValueError(f"label: {label.shape[0]} numbers for {rows} videos. Give one a video.")
    label = tf.cast(label, tf.int64)
    message = f"label: a number is not from -1 to {categories - 1}: there are {categories} classes."
    good = tf.reduce_all((label >= UNKNOWN) & (label < categories))
    if tf.executing_eagerly() and not good:
        raise ValueError(message)
    with tf.control_dependencies([tf.debugging.Assert(good, [message])]):
        return tf.identity(label)


def class_number(label: str, names: Sequence[str]) -> int:
    """The number of a class that a person names, or gives as a number.

    Raises:
        ValueError: no class has this name or number; the message names near ones.

    Example:
        >>> class_number("slash", ["walk", "slash"])
        1
    """
    if label in names:
        return list(names).index(label)
    if label.isdecimal() and (not names or int(label) < len(names)):
        return int(label)
    if not names:
        raise ValueError(f"label={label}: the classes have no names. Give a number from 0.")
    raise ValueError(f"label={label}: unknown class; {nearest_names(label, names)}.")


def with_label(noise: Mapping[str, tf.Tensor], label: Any) -> dict[str, tf.Tensor]:
    """Noise with the class that is asked for in place of the drawn one.

    Args:
        noise: of `sample_noise`.
        label: an integer for all rows, integers `[B]`, or `None` for the drawn classes.

    Raises:
        ValueError: the model has no classes, there is no such class, or there are more or fewer
            labels than rows.

    Example:
        >>> noise = with_label(model.sample_noise(4), [0, 0, 2, 2])
    """
    if label is None:
        return dict(noise)
    given = np.asarray(label)
    shown = given.tolist()
    if CATEGORY not in noise:
        raise ValueError(
            f"label={shown}: the model makes no videos of a class that is asked for. Leave the "
            "label out, or train a model with --set=conditional=true."
        )
    rows, count = noise[CATEGORY].shape
    if given.dtype.kind not in "iu" or given.ndim > 1:
        raise ValueError(f"label={shown} must be a whole number, or one for each video.")
    if given.ndim and len(given) != rows:
        raise ValueError(f"label has {len(given)} numbers for {rows} videos. Give one a video.")
    if given.size and (given.min() < 0 or given.max() >= count):
        raise ValueError(f"label={shown}: the model has {count} classes, counted from 0.")
    labels = np.broadcast_to(given, [rows])
    return {**noise, CATEGORY: tf.one_hot(labels, count)}
