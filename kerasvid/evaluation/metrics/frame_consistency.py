"""FCS, the frame consistency score: how much of a clip stays as it was in its first frame.

Aich et al., "Non-Adversarial Video Synthesis with Learned Priors", CVPR 2020, section 4.1: the
structural similarity of the frames of a video to its first one, averaged, and then over videos. It
says how well what stands still is kept: a clip without any motion has the full score, so that it
is read beside that of real clips, which is the bound.

The paper does not tell whether the first frame, whose similarity to itself is 1, counts: "for all
frames". Here it does not, which tells more; `with_first=True` counts it.
"""

from collections.abc import Iterable

import numpy as np

from kerasvid.evaluation.metrics.structural_similarity import structural_similarity


def frame_consistencies(clips: np.ndarray, with_first: bool = False) -> np.ndarray:
    """The mean SSIM of each clip's frames to its first.

    Args:
        clips: uint8 `[B, T, H, W, C]`, T at least 2.
        with_first: count the first frame itself.

    Returns:
        float64 `[B]`, 1 where nothing moves.

    Raises:
        ValueError: other axes, no bytes, or clips of one frame.

    Example:
        >>> frame_consistencies(model.generate(16)).mean()
    """
    if clips.ndim != 5 or clips.shape[1] < 2:
        raise ValueError(
            f"Clips of the shape {clips.shape}: give [B, T, H, W, C] with two frames or more."
        )
    batch, frames = clips.shape[:2]
    later = clips[:, 1:].reshape(-1, *clips.shape[2:])  # [B * (T - 1), H, W, C]
    first = np.repeat(clips[:, 0], frames - 1, axis=0)
    scores = structural_similarity(later, first).reshape(batch, frames - 1)
    total = scores.sum(axis=1) + with_first
    return total / (frames - 1 + with_first)


def frame_consistency_score(batches: Iterable[np.ndarray], with_first: bool = False) -> float:
    """The mean over all clips of batches, which are streamed.

    Raises:
        ValueError: there are no clips, or as `frame_consistencies`.
    """
    scores = [frame_consistencies(clips, with_first) for clips in batches]
    if not scores:
        raise ValueError("There are no clips to score.")
    return float(np.concatenate(scores).mean())
