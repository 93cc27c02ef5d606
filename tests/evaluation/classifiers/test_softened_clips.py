import cv2
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.classifiers.train import softened


def test_clips_are_blurred_as_by_opencv_half_of_them_and_each_by_another_part():
    clips = np.random.default_rng(0).integers(0, 256, [40, 2, 12, 10, 3]).astype(np.uint8)
    found = softened(tf.constant(clips), tf.constant([3, 5], tf.int64), blur=1.0).numpy()
    pixels, kernel, parts = clips / 127.5 - 1.0, np.array([1, 4, 6, 4, 1]) / 16, []
    for clip, soft in zip(pixels, found, strict=True):
        blurred = np.stack(
            [cv2.sepFilter2D(f, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT) for f in clip]
        )
        change = blurred - clip
        part = ((soft - clip) * change).sum() / (change**2).sum()
        np.testing.assert_allclose(soft, clip + part * change, atol=1e-5)
        parts.append(part)
    assert min(parts) > -1e-6 and 0.8 < max(parts) < 1.0
    assert 10 <= np.sum(np.array(parts) < 1e-6) <= 30


def test_noise_and_light_stay_within_their_bounds():
    grey = tf.fill([200, 3, 8, 8, 3], tf.constant(191, tf.uint8))
    level = 191 / 127.5 - 1.0
    seed = tf.constant([0, 1], tf.int64)
    noisy = softened(grey, seed, noise=0.1).numpy() - level
    stds = noisy.reshape(200, -1).std(axis=1)
    assert 0.08 < stds.max() < 0.11 and 60 < np.sum(stds < 1e-6) < 140
    assert np.abs(noisy.mean()) < 1e-3
    lit = softened(grey, seed, brightness=0.1, contrast=0.2).numpy() - level
    bound = 0.1 + 0.2 * level
    assert 0.6 * bound < np.abs(lit).max() <= bound + 1e-6
    assert np.ptp(lit.reshape(200, -1), axis=1).max() < 1e-6  # all of a clip alike
    assert lit.reshape(200, -1)[:, 0].std() > 0.03
    unchanged = softened(grey, seed).numpy()
    np.testing.assert_allclose(unchanged, level, atol=1e-6)
