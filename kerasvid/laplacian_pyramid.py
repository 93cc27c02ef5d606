"""The Laplacian pyramid: what an image has at each scale beyond the next coarser one.

    G^0 = v,  G^(l+1) = reduce(G^l)               a 5-tap binomial filter, every second pixel
    L^l = G^l - expand(G^(l+1))                   l = 0..levels-1
    L^levels = G^levels                           what is left

Burt, Adelson: "The Laplacian Pyramid as a Compact Image Code", 1983. Borders are mirrored. Both
filters are products with small constant matrices, which every device is fast at and whose gradients
are products again.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

TAPS = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0


def check_levels(height: int, width: int, levels: int) -> None:
    """Refuses images that cannot be halved so often.

    Raises:
        ValueError: `levels` is less than 1, or a side not a multiple of 2^levels.
    """
    if not isinstance(levels, int) or levels < 1:
        raise ValueError(f"levels={levels!r} of a pyramid must be 1 or more.")
    if height % 2**levels or width % 2**levels:
        raise ValueError(
            f"Frames of {height}x{width} cannot be halved {levels} times: use sizes that are "
            f"multiples of {2**levels}, or fewer levels."
        )


def laplacian_pyramid(images: tf.Tensor, levels: int) -> list[tf.Tensor]:
    """The bands L^0..L^(levels-1), finest first, and what is left.

    Args:
        images: `[N, H, W, C]` float32; H and W static multiples of 2^levels.
        levels: bands.

    Returns:
        `levels + 1` tensors `[N, H / 2^l, W / 2^l, C]`.

    Raises:
        ValueError: the size does not fit the levels.

    Example:
        >>> [band.shape[1] for band in laplacian_pyramid(tf.zeros([1, 64, 64, 3]), 4)]
        [64, 32, 16, 8, 4]
    """
    check_levels(images.shape[1], images.shape[2], levels)
    bands = []
    for _ in range(levels):
        height, width = images.shape[1:3]
        coarse = _filtered(images, reducing(height), reducing(width))
        bands.append(images - _filtered(coarse, expanding(height), expanding(width)))
        images = coarse
    return [*bands, images]


def from_pyramid(bands: Sequence[tf.Tensor]) -> tf.Tensor:
    """The images that `laplacian_pyramid` made the bands of: `[N, H, W, C]`."""
    images = bands[-1]
    for band in reversed(bands[:-1]):
        height, width = band.shape[1:3]
        images = band + _filtered(images, expanding(height), expanding(width))
    return images


def reducing(size: int) -> np.ndarray:
    """The matrix `[size / 2, size]` that filters a line and keeps every second pixel."""
    matrix = np.zeros([size // 2, size], np.float32)
    for row in range(size // 2):
        for offset, tap in zip(range(-2, 3), TAPS, strict=True):
            matrix[row, _mirrored(2 * row + offset, size)] += tap
    return matrix


def expanding(size: int) -> np.ndarray:
    """The matrix `[size, size / 2]` that fills zeros in between and filters, of gain 1."""
    matrix = np.zeros([size, size // 2], np.float32)
    for row in range(size):
        for offset, tap in zip(range(-2, 3), TAPS, strict=True):
            source = _mirrored(row + offset, size)
            if source % 2 == 0:
                matrix[row, source // 2] += 2.0 * tap
    return matrix


def _mirrored(position: int, size: int) -> int:
    """Where a position outside a line lies when the line is mirrored at its ends."""
    if size == 1:
        return 0
    position = abs(position) % (2 * size - 2)
    return min(position, 2 * size - 2 - position)


def _filtered(images: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """Both axes of `[N, H, W, C]` by a matrix each."""
    images = tf.einsum("ph,nhwc->npwc", tf.constant(rows), images)
    return tf.einsum("qw,npwc->npqc", tf.constant(columns), images)
