"""How near clips are to the true ones that they stand for: reconstructed or filled in.

- L2: the norm of the whole difference, as `l2_distance`, which the poster tells;
- PSNR in dB of a clip, from its mean squared error, infinite where it is equal;
- SSIM: the mean of a clip's frames, as `structural_similarity`.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kerasvid.evaluation.metrics.clip_batches import as_bytes, checked_clips
from kerasvid.evaluation.metrics.intervals import BootstrapMean, Interval
from kerasvid.evaluation.metrics.structural_similarity import structural_similarity
from kerasvid.visualization.nearest_clip import clip_psnr, l2_distances


class Reconstruction(NamedTuple):
    """Means over clips, with their std and interval.

    Args:
        l2: of pixels in [0, 1], 0 where equal.
        psnr: in dB, of the clips that are not equal; `None` where there are fewer than two.
        ssim: at most 1.
        clips: how many pairs.
        equal: how many of them are equal, pixel for pixel; their PSNR is infinite.
    """

    l2: Interval
    psnr: Interval | None
    ssim: Interval
    clips: int
    equal: int


def reconstruction_scores(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    clips: int | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Reconstruction:
    """L2, PSNR and SSIM of pairs of clips, which are streamed.

    Args:
        pairs: of true clips and those shown for them, `[B, T, H, W, C]` each, uint8, or float in
            [-1, 1], which are rounded to bytes first.
        clips: how many pairs to look at (the poster: 100); all where `None`.
        level, seed: of the intervals.

    Raises:
        ValueError: fewer pairs than asked for or than two, clips that differ in shape, or pixels
            that are not finite; one line with what to do.

    Example:
        >>> pairs = ((clips, model.reconstruct(clips)) for clips in batches)
        >>> reconstruction_scores(pairs, clips=100).psnr.mean
    """
    l2, psnr, ssim = (BootstrapMean(seed=seed) for _ in range(3))
    seen = equal = 0
    for true, shown in pairs:
        if clips is not None and seen >= clips:
            break
        true, shown = checked_clips(true, "true"), checked_clips(shown, "shown")
        if true.shape != shown.shape:
            raise ValueError(
                f"shown clips of the shape {shown.shape} for true ones of {true.shape}: both need "
                "the same axes [B, T, H, W, C]."
            )
        left = None if clips is None else clips - seen
        true, shown = as_bytes(true[:left]), as_bytes(shown[:left])
        ratios, frames = clip_psnr(true, shown), true.shape[:2]
        same = np.isinf(ratios)
        flat = (c.reshape(-1, *c.shape[2:]) for c in (true, shown))  # [B * T, H, W, C]
        l2.update(l2_distances(true, shown))
        psnr.update(ratios[~same])
        ssim.update(structural_similarity(*flat).reshape(frames).mean(axis=1))
        seen, equal = seen + len(true), equal + int(same.sum())
    if clips is not None and seen < clips:
        raise ValueError(
            f"{seen} pairs of clips where {clips} are asked for: give more or ask for fewer."
        )
    if seen < 2:
        raise ValueError(f"{seen} pairs of clips have no interval: give two or more.")
    of_psnr = psnr.interval(level) if seen - equal > 1 else None
    return Reconstruction(l2.interval(level), of_psnr, ssim.interval(level), seen, equal)
