"""SSIM, the structural similarity of frames.

Wang, Bovik, Sheikh, Simoncelli: "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 2004, equation (13) with the published constants:

    SSIM(x, y) = (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

with means m and (co)variances s under a Gaussian window of 11x11 pixels, or as large as a smaller
frame, and std 1.5; c_1 = (0.01 L)^2, c_2 = (0.03 L)^2, L = 255. The mean is over all positions of
the window inside the frame, and over channels.
"""

import numpy as np
import tensorflow as tf

WINDOW, STD = 11, 1.5
LEVELS = 255.0
C1, C2 = (0.01 * LEVELS) ** 2, (0.03 * LEVELS) ** 2


def structural_similarity(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """SSIM of each pair of frames; 1 for equal frames.

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        others: The same shape.

    Returns:
        float64 `[B, T]`, in [-1, 1].

    Raises:
        ValueError: The shapes differ, or the pixels are not uint8.

    Example:
        >>> structural_similarity(real, reconstructed).mean()
    """
    if clips.shape != others.shape or clips.ndim != 5:
        raise ValueError(
            f"The clips have the shapes {clips.shape} and {others.shape}. Give both the same shape."
        )
    if clips.dtype != np.uint8 or others.dtype != np.uint8:
        raise ValueError(f"Clips of {clips.dtype} and of {others.dtype}: use uint8.")
    # Moments around the middle keep digits: those of tf.image.ssim, around 0, err by up to 4e-5.
    middle = LEVELS / 2.0
    u, v = (
        tf.constant(each.reshape(-1, *each.shape[2:]), tf.float32) - middle
        for each in (clips, others)
    )  # [B * T, H, W, C]
    moments = _blurred(tf.concat([u, v, u * u, v * v, u * v], axis=-1))
    mean_u, mean_v, square_u, square_v, product = tf.split(moments, 5, axis=-1)
    variances = square_u - mean_u * mean_u + square_v - mean_v * mean_v
    covariance = product - mean_u * mean_v
    mean_x, mean_y = mean_u + middle, mean_v + middle
    light = (2.0 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2.0 * covariance + C2) / (variances + C2)
    frames = tf.reduce_mean(light * structure, axis=[1, 2, 3])  # [B * T]
    return frames.numpy().astype(np.float64).reshape(clips.shape[:2])


def _blurred(frames: tf.Tensor) -> tf.Tensor:
    """Weighted means at every position of the window, one axis at a time: `[N, h, w, C]`."""
    for axis in (0, 1):
        size = min(WINDOW, frames.shape[1 + axis])
        weights = np.exp(-np.square(np.arange(size) - (size - 1) / 2.0) / (2.0 * STD**2))
        kernel = np.expand_dims(weights / weights.sum(), (1 - axis, 2, 3))
        kernel = tf.constant(np.tile(kernel, [1, 1, frames.shape[-1], 1]), tf.float32)
        frames = tf.nn.depthwise_conv2d(frames, kernel, [1, 1, 1, 1], "VALID")
    return frames
