"""FCS, the frame consistency score: the similarity of a clip's frames to its first frame.

Aich et al., "Non-Adversarial Video Synthesis with Learned Priors", CVPR 2020, section 4.1: the
structural similarity of the frames of a video to its first frame, averaged over frames and videos.
It measures whether static parts stay the same. A clip without motion has the full score, so compare
the value with that of real clips, which is the bound.

The paper averages "for all frames" and leaves open whether the first frame counts, whose similarity
to itself is 1. Here it does not count; `with_first=True` counts it.
"""

import numpy as np
import tensorflow as tf

WINDOW = 11


def structural_similarity(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """SSIM of each pair of frames; 1 for equal frames.

    Wang, Bovik, Sheikh, Simoncelli: "Image Quality Assessment: From Error Visibility to Structural
    Similarity", IEEE Transactions on Image Processing 2004, equation (13) with the published
    constants and window, of 11x11 pixels or the frame's shorter side if that is smaller.

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        others: The same shape.

    Returns:
        float64 `[B, T]`, in [-1, 1].

    Raises:
        ValueError: The shapes differ, or the pixels are not uint8.
    """
    if clips.shape != others.shape or clips.ndim != 5:
        raise ValueError(
            f"Clips of {clips.shape} and of {others.shape}: use the same shape [B, T, H, W, C]."
        )
    if clips.dtype != np.uint8 or others.dtype != np.uint8:
        raise ValueError(f"Clips of {clips.dtype} and of {others.dtype}: use uint8.")
    window = min(WINDOW, *clips.shape[2:4])
    return tf.image.ssim(clips, others, 255, filter_size=window).numpy().astype(np.float64)


def frame_consistencies(clips: np.ndarray, with_first: bool = False) -> np.ndarray:
    """The mean SSIM of each clip's frames to its first frame.

    Args:
        clips: uint8 `[B, T, H, W, C]`, T at least 2.
        with_first: Count the first frame itself.

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
    total = structural_similarity(later, first).sum(axis=1) + with_first
    return total / (later.shape[1] + with_first)
