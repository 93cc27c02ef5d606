"""FCS, the frame consistency score: the similarity of a clip's frames to its first frame.

Aich et al., "Non-Adversarial Video Synthesis with Learned Priors", CVPR 2020, section 4.1: the
structural similarity of the frames of a video to its first frame, averaged over frames and videos.
It measures whether static parts stay the same. A clip without motion has the full score, so compare
the value with that of real clips, which is the bound.

The paper averages "for all frames" and leaves open whether the first frame counts, whose similarity
to itself is 1. Here it does not count. The value that counts it is (1 + (T - 1) FCS) / T.
"""

import numpy as np

from kerasvid.evaluation.metrics.structural_similarity import structural_similarity


def frame_consistencies(clips: np.ndarray) -> np.ndarray:
    """The mean SSIM of each clip's frames to its first frame.

    Args:
        clips: uint8 `[B, T, H, W, C]`, T at least 2.

    Returns:
        float64 `[B]`, 1 for clips without motion.

    Raises:
        ValueError: Other axes, other types, or clips of one frame.

    Example:
        >>> frame_consistencies(model.generate(16)).mean()
    """
    if clips.ndim != 5 or clips.shape[1] < 2:
        raise ValueError(f"Clips of {clips.shape}: use [B, T, H, W, C] with two frames or more.")
    later = clips[:, 1:]
    first = np.broadcast_to(clips[:, :1], later.shape)
    return structural_similarity(later, first).mean(axis=1)
