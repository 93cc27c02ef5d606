"""The structural similarity of pictures (SSIM).

Wang, Bovik, Sheikh, Simoncelli: "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 2004, equation (13) with the published constants:

    SSIM(x, y) = (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

with means m and (co)variances s under a Gaussian window of 11x11 pixels and std 1.5, as large
as the picture where that is smaller; c_1 = (0.01 L)^2, c_2 = (0.03 L)^2, L = 255. The mean over all
places where the window lies within the picture, and over channels.
"""

import numpy as np
import tensorflow as tf

WINDOW, DEVIATION = 11, 1.5
LEVELS = 255.0
C1, C2 = (0.01 * LEVELS) ** 2, (0.03 * LEVELS) ** 2


def gaussian_window(size: int, std: float = DEVIATION) -> np.ndarray:
    """One axis of the window, float32 `[size]`, of sum 1."""
    places = np.arange(size) - (size - 1) / 2.0
    weights = np.exp(-np.square(places) / (2.0 * std**2))
    return (weights / weights.sum()).astype(np.float32)


def structural_similarity(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """SSIM of each pair of pictures, 1 where they are equal.

    Args:
        pictures: uint8 `[N, H, W, C]`.
        others: the same shape.

    Returns:
        float64 `[N]`, in [-1, 1].

    Raises:
        ValueError: the shapes differ, or the pixels are no bytes.

    Example:
        >>> structural_similarity(real[:, 3], filled[:, 3]).mean()
    """
    if pictures.shape != others.shape or pictures.ndim != 4:
        raise ValueError(
            f"Pictures of the shape {pictures.shape} cannot be compared to those of "
            f"{others.shape}: both need the same axes [N, H, W, C]."
        )
    if pictures.dtype != np.uint8 or others.dtype != np.uint8:
        raise ValueError(f"Pictures must be uint8, not {pictures.dtype} and {others.dtype}.")
    return _similarity(tf.constant(pictures), tf.constant(others)).numpy().astype(np.float64)


def _similarity(pictures: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """As above, `[N]` float32."""
    x, y = tf.cast(pictures, tf.float32), tf.cast(others, tf.float32)
    # Variances are differences of moments: around the middle they keep more digits.
    middle = LEVELS / 2.0
    u, v = x - middle, y - middle
    moments = _blurred(tf.concat([u, v, u * u, v * v, u * v], axis=-1))
    mean_u, mean_v, square_u, square_v, product = tf.split(moments, 5, axis=-1)
    variance_x, variance_y = square_u - mean_u * mean_u, square_v - mean_v * mean_v
    covariance = product - mean_u * mean_v
    mean_x, mean_y = mean_u + middle, mean_v + middle
    light = (2.0 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2.0 * covariance + C2) / (variance_x + variance_y + C2)
    return tf.reduce_mean(light * structure, axis=[1, 2, 3])


def _blurred(pictures: tf.Tensor) -> tf.Tensor:
    """Weighted means at every place of the window, an axis at a time: `[N, h, w, C]`."""
    channels = pictures.shape[-1]
    for axis in (0, 1):
        window = gaussian_window(min(WINDOW, pictures.shape[1 + axis]))
        shape = [1, 1, 1, 1]
        shape[axis] = len(window)
        kernel = tf.tile(tf.reshape(window, shape), [1, 1, channels, 1])
        pictures = tf.nn.depthwise_conv2d(pictures, kernel, [1, 1, 1, 1], "VALID")
    return pictures
