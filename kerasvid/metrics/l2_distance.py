"""The distance of filled-in clips to the true ones.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230) tells the mean and the
deviation of the "L2 distance between generated and real videos" over 100 clips of 30x64x64x3. It
does not tell the unit of a pixel, nor whether a clip is summed or averaged over. Here it is the
norm of the whole difference, of pixels in [0, 1], with which its figures (62 to 223) stand for
plausible errors: 0.1 to 0.37 a pixel.
"""

import numpy as np


def l2_distances(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """|v - v'|_2 of each pair of clips, pixels in [0, 1].

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        others: the same shape.

    Returns:
        float64 `[B]`.

    Raises:
        ValueError: the shapes differ, or the pixels are no bytes.

    Example:
        >>> filled = model.between(real[:, 0], real[:, -1], real.shape[1])
        >>> l2_distances(filled, real).mean(), l2_distances(filled, real).std()
    """
    if clips.shape != others.shape:
        raise ValueError(
            f"Clips of the shape {clips.shape} cannot be compared to those of {others.shape}: both "
            "need the same axes [B, T, H, W, C]."
        )
    if clips.dtype != np.uint8 or others.dtype != np.uint8:
        raise ValueError(f"Clips must be uint8, not {clips.dtype} and {others.dtype}.")
    differences = (  # one clip at a time: many of them would fill the memory
        clip.astype(np.float64) - other for clip, other in zip(clips, others, strict=True)
    )
    return np.array([np.sqrt(np.sum(np.square(d))) / 255.0 for d in differences])
