import math

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.metrics.reconstruction import reconstruction_scores


@pytest.fixture
def true(moving_squares):
    """uint8 `[9, 4, 16, 16, 3]`."""
    return moving_squares(9, 4)


@pytest.fixture
def shown(true):
    noise = np.random.default_rng(0).normal(0, 12, true.shape)
    return np.clip(true + noise, 0, 255).astype(np.uint8)


def in_pairs(true, shown, batch=4):
    return ((true[i : i + batch], shown[i : i + batch]) for i in range(0, len(true), batch))


def test_scores_are_means_over_clips_of_the_published_formulas(true, shown):
    found = reconstruction_scores(in_pairs(true, shown))
    errors = ((true / 255.0 - shown / 255.0) ** 2).reshape(9, -1)
    l2, psnr = np.sqrt(errors.sum(axis=1)), -10.0 * np.log10(errors.mean(axis=1))
    ssim = [tf.image.ssim(tf.constant(a), tf.constant(b), 255) for a, b in zip(true, shown)]  # noqa: B905
    assert found.l2.size == 9 and found.equal == 0
    assert found.l2.mean == pytest.approx(l2.mean(), rel=1e-9)
    assert found.l2.std == pytest.approx(l2.std(), rel=1e-9)
    assert found.psnr.mean == pytest.approx(psnr.mean(), rel=1e-9)
    assert found.ssim.mean == pytest.approx(np.mean(ssim), abs=1e-4)
    assert found.l2.low < found.l2.mean < found.l2.high


def test_batches_do_not_matter(true, shown):
    assert reconstruction_scores(in_pairs(true, shown, 2)) == reconstruction_scores(
        in_pairs(true, shown, 9)
    )


def test_equal_clips_reach_the_bounds_and_have_no_psnr(true):
    found = reconstruction_scores(in_pairs(true, true))
    assert found.l2.mean == 0.0 and found.ssim.mean == pytest.approx(1.0, abs=1e-6)
    assert found.psnr is None and found.equal == 9


def test_equal_clips_among_others_are_counted_apart(true, shown):
    shown[[0, 5]] = true[[0, 5]]
    found = reconstruction_scores(in_pairs(true, shown))
    assert found.equal == 2 and found.psnr.size == 7 and math.isfinite(found.psnr.mean)


def test_floats_are_rounded_to_bytes(true, shown):
    floats = in_pairs(true / 127.5 - 1.0, shown / 127.5 - 1.0)
    assert reconstruction_scores(floats) == reconstruction_scores(in_pairs(true, shown))


def test_the_number_of_pairs_is_exact(true, shown):
    assert reconstruction_scores(in_pairs(true, shown), clips=6) == reconstruction_scores(
        in_pairs(true[:6], shown[:6])
    )
    with pytest.raises(ValueError, match="There are 9 pairs of clips, not 10"):
        reconstruction_scores(in_pairs(true, shown), clips=10)


def test_wrong_pairs_are_an_error(true, shown):
    with pytest.raises(ValueError, match="Use pairs of the same shape"):
        reconstruction_scores([(true, shown[:, 1:])])
    with pytest.raises(
        ValueError, match="reconstructed clips: pixels of clip 0 of a batch are not finite"
    ):
        reconstruction_scores([(true, np.full(true.shape, np.nan))])
    with pytest.raises(ValueError, match="Use two or more"):
        reconstruction_scores([(true[:1], shown[:1])])
