"""The noise of the page in `export/web`, to the bit of its hash: the twin of `noise.js`.

A page must show the same clip in every browser, so that its noise is not TensorFlow's. A 32-bit
hash of (seed, row, name, position) gives uniform numbers, the Box-Muller transform makes a pair of
standard Gaussians of two of them.
"""

from collections.abc import Sequence

import numpy as np

LARGEST_SEED = 2**32 - 1
_WORD = np.uint64(0xFFFFFFFF)


def gaussians(seed: int, row: int, name: str, shape: Sequence[int]) -> np.ndarray:
    """Standard Gaussians, float64 of `shape`.

    Args:
        seed: from 0 to 2^32 - 1.
        row: of the clip in the grid.
        name: of the noise, as `noise_shapes` has it.
        shape: of one row.

    Raises:
        ValueError: the seed is out of range.

    Example:
        >>> gaussians(7, 0, "summary", (24,)).shape
        (24,)
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed={seed} must lie between 0 and 2^32 - 1.")
    count = int(np.prod(shape))
    of_row = triple32(int(triple32(seed)) + row)
    key = np.uint64(triple32(int(of_row) + hash_of_name(name)))
    positions = np.arange(count + count % 2, dtype=np.uint64)
    uniform = (triple32(key ^ triple32(positions)).astype(np.float64) + 0.5) / 2.0**32
    radius = np.sqrt(-2.0 * np.log(uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.reshape(-1)[:count].reshape(tuple(shape))


def triple32(words: int | np.ndarray) -> np.ndarray:
    """The `triple32` hash of the low 32 bits of each word; uint64 of the same shape."""
    x = np.asarray(words, np.uint64) & _WORD
    for shift, factor in ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & _WORD
    return x ^ (x >> np.uint64(14))


def hash_of_name(name: str) -> int:
    """FNV-1a of the bytes of a name, 32 bits."""
    digest = 0x811C9DC5
    for byte in name.encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return digest
