"""Noise of which a row does not depend on how many rows there are."""

from collections.abc import Mapping, Sequence

import tensorflow as tf


def row_noise(
    shapes: Mapping[str, Sequence[int]], batch: int, seed: int = 0
) -> dict[str, tf.Tensor]:
    """Named standard Gaussians; row i depends on (seed, i) alone, never on the batch size.

    Args:
        shapes: of one row, by name.
        batch: B, at least 1.
        seed: any integer.

    Returns:
        float32 tensors `[B, ...]` by name.

    Example:
        >>> row_noise({"latent": (100,)}, batch=4, seed=7)["latent"].shape
        TensorShape([4, 100])
    """
    # Two int32 words of the seed; the second is 0 for the usual small ones.
    key = tf.constant([seed % 2**31, (seed // 2**31) % 2**31], tf.int32)
    rows = [tf.random.experimental.stateless_fold_in(key, row) for row in range(batch)]
    noise = {}
    for position, (name, shape) in enumerate(sorted(shapes.items())):
        keys = [tf.random.experimental.stateless_fold_in(row, position) for row in rows]
        noise[name] = tf.stack([tf.random.stateless_normal(shape, k) for k in keys])
    return noise
