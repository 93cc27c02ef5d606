import numpy as np
import pytest

from kerasvid.evaluation.metrics.frechet import FeatureMoments, gaussian_distance


def features(count, size, seed=0, shift=0.0, scale=1.0):
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(size, size)) / size**0.5
    return shift + scale * generator.normal(size=(count, size)) @ mixing


def moments_of(values, parts=1):
    moments = FeatureMoments(values.shape[1])
    for part in np.array_split(values, parts):
        moments.update(part)
    return moments


def frechet_distance(one, other):
    return gaussian_distance(*one.moments(), *other.moments())


def principal_root(matrix):
    """The square root of a matrix with eigenvalues that are not negative, by another way."""
    values, vectors = np.linalg.eig(matrix)
    return (vectors * np.sqrt(values.astype(complex))) @ np.linalg.inv(vectors)


@pytest.mark.parametrize("parts", [1, 7])
def test_moments_are_those_of_all_samples_at_once(parts):
    values = 1e3 + features(50, 6)
    moments = moments_of(values, parts)
    mean, covariance = moments.moments()
    assert moments.counts == [50]
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(values.T), rtol=1e-9)


def test_the_distance_is_the_published_formula():
    one, other = features(400, 5), features(300, 5, seed=1, shift=0.7, scale=1.8)
    a, b = np.cov(one.T), np.cov(other.T)
    apart = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
    expected = apart + np.trace(a + b) - 2.0 * np.trace(principal_root(a @ b)).real
    found = frechet_distance(moments_of(one), moments_of(other, 3))
    assert found == pytest.approx(expected, rel=1e-9)


def test_known_gaussians_have_the_known_distance():
    size, shift, scale = 8, 0.5, 3.0
    unit = np.eye(size)
    # d^2 = D shift^2 + D (scale - 1)^2
    expected = size * (shift**2 + (scale - 1.0) ** 2)
    found = gaussian_distance(np.zeros(size), unit, np.full(size, shift), scale**2 * unit)
    assert found == pytest.approx(expected, rel=1e-12)


def test_equal_sets_have_distance_0_also_with_fewer_samples_than_features():
    values = features(20, 64)
    assert frechet_distance(moments_of(values), moments_of(values)) < 1e-9


def test_few_samples_of_many_features_have_the_distance_of_their_subspace():
    # Both lie in one plane of 64 dimensions, so that the plane's own distance is the whole.
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(64, 2)))[0]
    one, other = features(30, 2), features(30, 2, seed=3, shift=1.0, scale=2.0)
    flat = frechet_distance(moments_of(one), moments_of(other))
    lifted = frechet_distance(moments_of(one @ basis.T), moments_of(other @ basis.T))
    assert lifted == pytest.approx(flat, rel=1e-6) and flat > 1.0


def test_the_distance_is_symmetric_and_grows_with_the_shift():
    base = moments_of(features(200, 6))
    shifted = [moments_of(features(200, 6, seed=1, shift=s)) for s in (0.0, 0.5, 2.0)]
    distances = [frechet_distance(base, each) for each in shifted]
    assert distances[0] < distances[1] < distances[2]
    assert frechet_distance(shifted[2], base) == pytest.approx(distances[2], rel=1e-9)


def test_wrong_features_are_an_error():
    moments = FeatureMoments(3)
    with pytest.raises(ValueError, match=r"use \[N, 3\]"):
        moments.update(np.zeros([2, 4]))
    with pytest.raises(ValueError, match="not finite"):
        moments.update(np.full([2, 3], np.nan))
    moments.update(np.zeros([1, 3]))
    with pytest.raises(ValueError, match="Use two or more"):
        frechet_distance(moments, moments)
