import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.metrics.frame_consistency import frame_consistencies


@pytest.fixture
def clips(moving_squares):
    """uint8 `[6, 4, 16, 16, 3]`."""
    return moving_squares(6, 4)


def test_the_score_is_the_mean_similarity_to_the_first_frame(clips):
    expected = []
    for clip in clips:
        scores = [float(tf.image.ssim(tf.constant(f), tf.constant(clip[0]), 255)) for f in clip[1:]]
        expected.append(np.mean(scores))
    scores = frame_consistencies(clips)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert 0.0 < scores.min() < scores.max() < 0.99


def test_a_clip_without_motion_has_the_full_score(clips):
    static = np.repeat(clips[:, :1], 5, axis=1)
    np.testing.assert_allclose(frame_consistencies(static), 1.0, atol=1e-6)


def test_the_order_of_later_frames_does_not_matter(clips):
    np.testing.assert_allclose(
        frame_consistencies(clips[:, [0, 3, 1, 2]]), frame_consistencies(clips), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(2, 1, 8, 8, 3), (2, 8, 8, 3)])
def test_clips_without_later_frames_are_refused(shape):
    with pytest.raises(ValueError, match="two frames or more"):
        frame_consistencies(np.zeros(shape, np.uint8))
