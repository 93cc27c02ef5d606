import math

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.metrics.structural_similarity import structural_similarity


def images(count, height, width, channels=3, seed=0):
    """Smooth images with some noise, uint8 `[1, N, H, W, C]`."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 8.0
    phase = generator.uniform(0, 6, [count, 1, 1, channels])
    waves = np.sin(rows[None, ..., None] + phase) * np.cos(columns[None, ..., None] - phase)
    noisy = 127 + 90 * waves + generator.normal(0, 12, waves.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)[None]


def by_loops(x, y):
    """The formula at every place of the window, of one channel `[H, W]` in float64."""
    size = 11
    window = np.array(
        [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(size)]
         for i in range(size)]
    )  # fmt: skip
    window /= window.sum()
    c1, c2, values = (0.01 * 255) ** 2, (0.03 * 255) ** 2, []
    for i in range(x.shape[0] - size + 1):
        for j in range(x.shape[1] - size + 1):
            a = x[i : i + size, j : j + size].astype(float)
            b = y[i : i + size, j : j + size].astype(float)
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            values.append(
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return np.mean(values)


def test_ssim_is_the_published_formula():
    x, y = images(2, 18, 15, 2), images(2, 18, 15, 2, seed=1)
    expected = [
        np.mean([by_loops(x[0, n, ..., c], y[0, n, ..., c]) for c in (0, 1)]) for n in (0, 1)
    ]
    np.testing.assert_allclose(structural_similarity(x, y), [expected], atol=1e-5)


def test_ssim_equals_that_of_tensorflow():
    x, y = images(3, 32, 40), images(3, 32, 40, seed=2)
    expected = tf.image.ssim(tf.constant(x), tf.constant(y), 255).numpy()
    np.testing.assert_allclose(structural_similarity(x, y), expected, atol=1e-4)


def test_equal_frames_score_one_and_worse_ones_less():
    x = images(2, 24, 24)
    np.testing.assert_allclose(structural_similarity(x, x), 1.0, atol=1e-6)
    flat = np.full_like(x, 255)
    np.testing.assert_allclose(structural_similarity(flat, flat), 1.0, atol=1e-6)
    noise = np.random.default_rng(3).normal(size=x.shape)
    scores = [
        structural_similarity(x, np.clip(x + std * noise, 0, 255).astype(np.uint8)).mean()
        for std in (5, 20, 60)
    ]
    assert 1.0 > scores[0] > scores[1] + 0.05 > scores[2] + 0.1


def test_images_smaller_than_the_window():
    x, y = images(2, 8, 6), images(2, 8, 6, seed=5)
    assert structural_similarity(x, y).shape == (1, 2)
    np.testing.assert_allclose(structural_similarity(x, x), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros([1, 2, 8, 8, 3], np.uint8), np.zeros([1, 2, 8, 9, 3], np.uint8), "same shape"),
        (np.zeros([8, 8, 3], np.uint8), np.zeros([8, 8, 3], np.uint8), "same shape"),
        (np.zeros([1, 1, 8, 8, 3]), np.zeros([1, 1, 8, 8, 3], np.uint8), "use uint8"),
    ],
)
def test_other_shapes_or_types_are_errors(x, y, message):
    with pytest.raises(ValueError, match=message) as error:
        structural_similarity(x, y)
    assert "\n" not in str(error.value)
