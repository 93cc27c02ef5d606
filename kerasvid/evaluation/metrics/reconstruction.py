"""L2, PSNR and SSIM of clips and their reconstructions, or of any pairs of clips."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kerasvid.evaluation.metrics.clip_batches import as_bytes, checked_clips
from kerasvid.evaluation.metrics.intervals import Interval, bootstrap_interval, video_ranks
from kerasvid.evaluation.metrics.structural_similarity import structural_similarity
from kerasvid.visualization.nearest_clip import clip_psnr, l2_distances


class Reconstruction(NamedTuple):
    """Means over clips with their std and interval.

    Args:
        l2: Norm of the whole difference (`l2_distances`), as in the in-between poster.
        psnr: In dB, from the mean squared error of each clip, over clips that are not equal; `None`
            if there are fewer than two of them.
        ssim: Mean over the frames of each clip, at most 1.
        equal: Number of pairs with equal pixels; their PSNR is infinite.
    """

    l2: Interval
    psnr: Interval | None
    ssim: Interval
    equal: int


def reconstruction_scores(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    clips: int | None = None,
    seed: int = 0,
    videos: np.ndarray | None = None,
) -> Reconstruction:
    """L2, PSNR and SSIM of pairs of clips, which are streamed.

    Args:
        pairs: Real clips and their reconstructions, `[B, T, H, W, C]` each, uint8, or float in
            [-1, 1], which are rounded to uint8.
        clips: Number of pairs (the poster: 100); `None` for all.
        seed: Seed of the intervals.
        videos: The video of each clip, as in `video_ranks`.

    Raises:
        ValueError: Fewer pairs than requested or than two, clips of different shapes, or pixels
            that are not finite.

    Example:
        >>> pairs = ((clips, model.reconstruct(clips)) for clips in batches)
        >>> reconstruction_scores(pairs, clips=100).psnr.mean
    """
    l2, psnr, ssim = [], [], []
    seen = 0
    for true, shown in pairs:
        if clips is not None and seen >= clips:
            break
        true, shown = checked_clips(true, "real"), checked_clips(shown, "reconstructed")
        if true.shape != shown.shape:
            raise ValueError(
                f"reconstructed clips have the shape {shown.shape}, real ones {true.shape}. Use "
                "pairs of the same shape."
            )
        left = None if clips is None else clips - seen
        true, shown = as_bytes(true[:left]), as_bytes(shown[:left])
        l2.append(l2_distances(true, shown))
        psnr.append(clip_psnr(true, shown))
        ssim.append(structural_similarity(true, shown).mean(axis=1))
        seen += len(true)
    if clips is not None and seen < clips:
        raise ValueError(f"There are {seen} pairs of clips, not {clips}. Use {seen} or fewer.")
    if seen < 2:
        raise ValueError(f"{seen} pairs of clips have no interval. Use two or more.")
    ratios = np.concatenate(psnr)
    ranks, differ = video_ranks(seen, videos), ~np.isinf(ratios)
    of_l2, of_ssim = (
        bootstrap_interval(np.concatenate(v), seed=seed, videos=ranks) for v in (l2, ssim)
    )
    of_psnr = None
    if len(set(ranks[differ])) > 1:
        of_psnr = bootstrap_interval(ratios[differ], seed=seed, videos=ranks[differ])
    return Reconstruction(of_l2, of_psnr, of_ssim, seen - int(differ.sum()))
