"""Distances of clips: the real clip nearest to a generated one, PSNR and the L2 distance.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230) reports the mean and
the std of the "L2 distance between generated and real videos" over 100 clips of 30x64x64x3. It
states neither the unit of a pixel nor whether a clip is summed or averaged over. Here it is the
norm of the whole difference, of pixels in [0, 1]: the reported distances (62 to 223) are then
errors of 0.1 to 0.37 a pixel.
"""

from collections.abc import Iterable

import numpy as np


def clip_psnr(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """PSNR in dB of each pair of clips, uint8 `[B, T, H, W, C]`: float64 `[B]`, inf for equals."""
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
        batches: real clips, uint8 `[N, T, H, W, C]` each, best a few hundred, read one by one.

    Returns:
        The nearest clips, uint8 `[Q, T, H, W, C]`, and their PSNR to the queries in dB, float64
        `[Q]`. Of equally near clips it is the first.

    Raises:
        ValueError: there are no clips, or they have another shape than the queries.

    Example:
        >>> batches = (batch["video"].numpy() for batch in make_pipeline(folder))
        >>> clips, psnr = nearest_clips(model.generate(8), batches)
    """
    rows = _centred(queries)  # [Q, D]
    best = np.full(len(queries), np.inf)
    nearest = np.zeros_like(queries)
    for clips in batches:
        if clips.shape[1:] != queries.shape[1:]:
            raise ValueError(
                f"Clips of shape {clips.shape[1:]} cannot be compared to queries of shape "
                f"{queries.shape[1:]}. Give both the axes [N, T, H, W, C] and the same T."
            )
        others = _centred(clips)  # [N, D]
        # |a - b|^2 - |a|^2, so that one matrix product does the work.
        distance = np.einsum("nd,nd->n", others, others)[None] - 2.0 * rows @ others.T  # [Q, N]
        choice = distance.argmin(axis=1)
        reached = distance[np.arange(len(queries)), choice]
        better = reached < best
        best[better], nearest[better] = reached[better], clips[choice[better]]
    if len(queries) and not np.isfinite(best).all():
        raise ValueError(
            "batches is empty. The search for the nearest clip needs at least one clip."
        )
    return nearest, clip_psnr(queries, nearest)


def _centred(clips: np.ndarray) -> np.ndarray:
    """float32 `[N, D]` around zero, which keeps more digits of the product."""
    return clips.reshape(len(clips), -1).astype(np.float32) / 127.5 - 1.0


def l2_distances(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """|v - v'|_2 of each pair of clips, of pixels in [0, 1].

    Args:
        clips, others: uint8 `[B, T, H, W, C]`.

    Returns:
        float64 `[B]`.

    Raises:
        ValueError: the shapes differ, or the clips are not uint8.

    Example:
        >>> videos = model.between(real[:, 0], real[:, -1], real.shape[1])
        >>> l2_distances(videos, real).mean(), l2_distances(videos, real).std()
    """
    if clips.shape != others.shape or {clips.dtype, others.dtype} != {np.dtype(np.uint8)}:
        kinds = f"{clips.dtype} {clips.shape} and {others.dtype} {others.shape}"
        raise ValueError(f"The clips are {kinds}. Give uint8 of one shape [B, T, H, W, C].")
    pairs = zip(clips, others, strict=True)  # one at a time: many would fill the memory
    norms = [np.linalg.norm(np.ravel(a.astype(np.float64) - b)) for a, b in pairs]
    return np.array(norms) / 255.0
