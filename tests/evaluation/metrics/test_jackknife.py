import numpy as np
import pytest

from kerasvid.evaluation.metrics.frechet import (
    FeatureMoments,
    feature_distance,
    frechet_standard_error,
    gaussian_distance,
)
from kerasvid.evaluation.metrics.intervals import jackknife_standard_error


def test_the_error_of_a_mean_is_the_known_formula():
    values = np.random.default_rng(0).normal(size=50)
    left_out = [np.delete(values, i).mean() for i in range(50)]
    expected = values.std(ddof=1) / 50**0.5
    assert jackknife_standard_error([left_out]) == pytest.approx(expected, rel=1e-9)


def test_independent_sets_add_their_variances():
    one, other = [1.0, 2.0, 4.0], [0.0, 3.0]
    alone = jackknife_standard_error([one]), jackknife_standard_error([other])
    assert jackknife_standard_error([one, other]) == pytest.approx(np.hypot(*alone))


def test_one_group_has_no_error():
    with pytest.raises(ValueError, match=r"1 groups have no std"):
        jackknife_standard_error([[1.0]])


# === Of a Frechet distance ===


def grouped(features, groups=5, batch=7):
    moments = FeatureMoments(features.shape[1], groups)
    for start in range(0, len(features), batch):
        moments.update(features[start : start + batch])
    return moments


def test_groups_are_every_kth_sample_in_any_batches():
    features = np.random.default_rng(1).normal(size=[33, 4])
    moments = grouped(features)
    for group in range(5):
        rest = features[np.arange(33) % 5 != group]
        mean, covariance = moments.moments(without=group)
        np.testing.assert_allclose(mean, rest.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(covariance, np.cov(rest.T), rtol=1e-10)
    np.testing.assert_allclose(moments.moments()[1], np.cov(features.T), rtol=1e-10)
    assert moments.counts.sum() == 33


def test_the_error_is_the_std_of_the_distance_from_draw_to_draw():
    """Against many draws of two known Gaussians."""
    generator, found, errors = np.random.default_rng(2), [], []
    for draw in range(60):
        one = generator.normal(size=[200, 4]) * [1.0, 0.7, 0.5, 0.2]
        other = generator.normal(size=[200, 4]) * [1.2, 0.7, 0.3, 0.2] + 0.5
        sets = grouped(one, 20), grouped(other, 20)
        found.append(gaussian_distance(*sets[0].moments(), *sets[1].moments()))
        if draw < 12:
            errors.append(frechet_standard_error(*sets))
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.3)


def test_too_few_samples_or_groups_have_no_error():
    features = np.random.default_rng(3).normal(size=[6, 2])
    assert frechet_standard_error(grouped(features, 1), grouped(features, 1)) is None
    assert frechet_standard_error(grouped(features[:2], 2), grouped(features, 2)) is None
    assert frechet_standard_error(grouped(features, 3), grouped(features[::-1], 3)) is not None


# === Of windows of videos ===


def test_windows_of_a_video_do_not_narrow_the_error_of_a_distance():
    generator, videos = np.random.default_rng(5), np.repeat(np.arange(60), 8)
    real, made = generator.normal(size=[2, 60, 4]) * [[[1.0]], [[1.5]]]
    once = feature_distance(real, made, 20)
    copies = np.repeat(real, 8, 0), np.repeat(made, 8, 0)
    often, alone = feature_distance(*copies, 20, videos, videos), feature_distance(*copies, 20)
    assert often == pytest.approx(once, rel=0.06)
    assert alone[0] == pytest.approx(often[0]) and alone[1] < 0.6 * often[1]


def test_overlapping_windows_have_the_error_of_the_true_distance():
    """Ten windows each of 40 videos, which differ less than the videos."""
    found, errors, narrow = [], [], []
    for draw in range(60):
        generator = np.random.default_rng(draw)
        content = generator.normal(size=[40, 3])
        real = np.repeat(content, 10, 0) + 0.3 * generator.normal(size=[400, 3])
        made = 1.2 * generator.normal(size=[400, 3])
        videos = np.repeat(np.arange(40), 10)
        distance, std = feature_distance(real, made, 20, videos)
        found.append(distance)
        errors.append(std)
        narrow.append(feature_distance(real, made, 20)[1])
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.35)
    assert np.mean(narrow) < 0.6 * np.std(found)
