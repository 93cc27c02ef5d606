"""The real clip nearest to a generated one: does a model copy, and how far is it from real?"""

from collections.abc import Iterable

import numpy as np


def clip_psnr(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of each pair of clips; infinite where they are equal.

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        others: the same shape.

    Returns:
        float64 `[B]`.
    """
    difference = clips.astype(np.float64) - others.astype(np.float64)
    error = np.mean(np.square(difference), axis=tuple(range(1, clips.ndim)))  # [B]
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(255.0**2 / error)


def nearest_clips(
    queries: np.ndarray, batches: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """For each query the clip with the highest PSNR, by brute force.

    Args:
        queries: uint8 `[Q, T, H, W, C]`.
        batches: real clips, uint8 `[N, T, H, W, C]` each; they are streamed, a few hundred clips
            a batch keep the matrix product busy.

    Returns:
        The nearest clips, uint8 `[Q, T, H, W, C]`, and their PSNR to the queries in dB, float64
        `[Q]`. Of equally near clips the first counts.

    Raises:
        ValueError: there are no clips, or they have another shape than the queries.

    Example:
        >>> batches = (batch["video"].numpy() for batch in make_pipeline(folder, repeat=False))
        >>> clips, psnr = nearest_clips(model.generate(8), batches)
    """
    rows = _centred(queries)  # [Q, D]
    best = np.full(len(queries), np.inf)
    nearest = np.zeros_like(queries)
    for clips in batches:
        if clips.shape[1:] != queries.shape[1:]:
            raise ValueError(
                f"Clips of the shape {clips.shape[1:]} cannot be compared to queries of "
                f"{queries.shape[1:]}: both need the axes [N, T, H, W, C] and the same T."
            )
        others = _centred(clips)  # [N, D]
        # |a - b|^2 - |a|^2, so that one matrix product does the work.
        distance = np.einsum("nd,nd->n", others, others)[None] - 2.0 * rows @ others.T  # [Q, N]
        choice = distance.argmin(axis=1)
        reached = distance[np.arange(len(queries)), choice]
        better = reached < best
        best[better], nearest[better] = reached[better], clips[choice[better]]
    if len(queries) and not np.isfinite(best).all():
        raise ValueError("There are no clips to compare to.")
    return nearest, clip_psnr(queries, nearest)


def _centred(clips: np.ndarray) -> np.ndarray:
    """float32 `[N, D]` around zero, which keeps more digits of the product."""
    return clips.reshape(len(clips), -1).astype(np.float32) / 127.5 - 1.0
