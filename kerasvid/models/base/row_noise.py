"""Noise of which a row does not depend on how many rows there are."""

import functools
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

LARGEST_SEED = 2**62 - 1

Shapes = Mapping[str, Sequence[int]]


def row_noise(shapes: Shapes, batch: int, seed: int = 0) -> dict[str, tf.Tensor]:
    """Named standard Gaussians `[B, ...]`; row i depends on (seed, i) alone, not on the batch size.

    Args:
        shapes: of one row, by name.
        batch: B, at least 1.
        seed: any integer.

    Example:
        >>> row_noise({"latent": (100,)}, batch=4, seed=7)["latent"].shape
        TensorShape([4, 100])
    """
    drawn = _drawn_rows(tuple((name, tuple(shapes[name])) for name in sorted(shapes)))
    return drawn(tf.range(batch), _key_of(seed))


def noise_of_rows(shapes: Shapes, rows: tf.Tensor, seed: int = 0) -> dict[str, tf.Tensor]:
    """Rows `[B]`, int32, of `row_noise`, to the bit; also within a graph."""
    return _rows(shapes, rows, _key_of(seed))


def _key_of(seed: int) -> tf.Tensor:
    """Two int32 words of the seed; the second is 0 for the usual small ones."""
    return tf.constant([seed % 2**31, (seed // 2**31) % 2**31], tf.int32)


def _rows(shapes: Shapes, rows: tf.Tensor, key: tf.Tensor) -> dict[str, tf.Tensor]:
    return _each(shapes, lambda row: tf.random.experimental.stateless_fold_in(key, row), rows)


@functools.lru_cache(maxsize=64)
def _drawn_rows(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Callable:
    """A graph for rows of these shapes, however many: eager calls take a millisecond a row."""
    signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32)]
    return tf.function(functools.partial(_rows, dict(shapes)), signature, autograph=False)


def noise_of_seeds(shapes: Shapes, seeds: tf.Tensor) -> dict[str, tf.Tensor]:
    """Noise of which row i is that of `row_noise(shapes, 1, seeds[i])`; also within a graph.

    Args:
        shapes: of one row, by name.
        seeds: int64 `[B]`, from 0 to 2^62 - 1 (`LARGEST_SEED`): others would repeat those.

    Raises:
        InvalidArgumentError: a seed is out of range.
    """
    message = "seed: give whole numbers from 0 to 2^62 - 1, one a video; got"
    fits = tf.reduce_all((seeds >= 0) & (seeds <= LARGEST_SEED))
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, seeds], summarize=8)]):
        words = tf.stack([seeds % 2**31, seeds // 2**31], axis=-1)  # [B, 2]
    first_row = functools.partial(tf.random.experimental.stateless_fold_in, data=0)
    return _each(shapes, first_row, tf.cast(words, tf.int32))


def _each(shapes: Shapes, key_of: Callable, elements: tf.Tensor) -> dict[str, tf.Tensor]:
    """The Gaussians of one row for each element, stateless in its key `[2]`."""

    fold_in, normal = tf.random.experimental.stateless_fold_in, tf.random.stateless_normal

    def row(element):
        key, ordered = key_of(element), enumerate(sorted(shapes.items()))
        return {name: normal(shape, fold_in(key, place)) for place, (name, shape) in ordered}

    if not shapes:
        return {}
    signature = {name: tf.TensorSpec(shape, tf.float32) for name, shape in shapes.items()}
    return tf.map_fn(row, elements, fn_output_signature=signature)
