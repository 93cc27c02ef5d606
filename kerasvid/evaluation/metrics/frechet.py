"""The Frechet distance of two Gaussians, the common part of all metrics of that name.

    d^2 = |m_1 - m_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))

with the moments of features of real and of generated samples (Heusel et al., "GANs Trained by a Two
Time-Scale Update Rule", NeurIPS 2017; Unterthiner et al., "Towards Accurate Generative Models of
Video", 2018). The trace of the root is that of the symmetric (A^T S_2 A)^(1/2) with S_1 = A A^T, by
eigenvalues. This is sound for fewer samples than features, where the usual root of S_1 S_2, which
is not symmetric, becomes complex.
"""

import numpy as np

from kerasvid.evaluation.metrics.intervals import jackknife_groups, jackknife_standard_error


class FeatureMoments:
    """Running means and covariances of K groups of features, in float64.

    The memory is that of K covariances.

    Args:
        size: D of a feature.
        groups: K, at least 1. With more than 1 the distance has a standard error.

    Example:
        >>> moments = FeatureMoments(400)
        >>> for clips in batches:
        ...     moments.update(features_of(clips))  # [N, 400]
        >>> gaussian_distance(*moments.moments(), *others.moments())
    """

    def __init__(self, size: int, groups: int = 1):
        self.counts, self._means = np.zeros(groups, int), np.zeros([groups, size])
        self._scatters = np.zeros([groups, size, size])  # sums of (x - mean) (x - mean)^T

    def update(self, features: np.ndarray, groups: np.ndarray | None = None) -> None:
        """Adds samples `[N, D]` to groups, int `[N]`; by default sample i is of group i modulo K.

        Raises:
            ValueError: Another D, or values that are not finite.
        """
        features = np.asarray(features, np.float64)
        size = self._means.shape[1]
        if features.ndim != 2 or features.shape[1] != size:
            raise ValueError(f"Features of the shape {features.shape}: use [N, {size}].")
        if not np.isfinite(features).all():
            raise ValueError("Features are not finite. Check the pixels of the clips.")
        places = groups
        if places is None:
            places = (self.counts.sum() + np.arange(len(features))) % len(self.counts)
        for group in np.unique(places):
            own = features[places == group]
            mean = own.mean(axis=0)
            self._means[group], self._scatters[group] = _pooled(
                np.array([self.counts[group], len(own)]),
                np.stack([self._means[group], mean]),
                self._scatters[group] + (own - mean).T @ (own - mean),
            )
            self.counts[group] += len(own)

    def moments(self, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The mean `[D]` and the unbiased covariance `[D, D]` of all groups, or of all but one."""
        kept = np.arange(len(self.counts)) != without
        counts = self.counts[kept]
        if counts.sum() < 2:
            raise ValueError(f"{counts.sum()} samples have no covariance. Use two or more.")
        mean, scatter = _pooled(counts, self._means[kept], self._scatters[kept].sum(axis=0))
        return mean, scatter / (counts.sum() - 1)


def _pooled(
    counts: np.ndarray, means: np.ndarray, scatter: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and scatter of several sets, from their means `[K, D]` and the sum of scatters."""
    mean = counts @ means / counts.sum()
    apart = means - mean  # the distances of the means add to the scatter (Chan et al.)
    return mean, scatter + (apart.T * counts) @ apart


def feature_distance(
    real: np.ndarray,
    generated: np.ndarray,
    groups: int = 1,
    real_videos: np.ndarray | None = None,
    generated_videos: np.ndarray | None = None,
) -> tuple[float, float | None]:
    """The distance of features `[N, D]` from others `[M, D]`, and its std.

    Args:
        real, generated: Features of two sets of clips.
        groups: Number of groups of each set for the std; 1 for no std.
        real_videos, generated_videos: The video of each clip, as in `video_ranks`; all clips of a
            video are in one group.

    Raises:
        ValueError: As `FeatureMoments`, or fewer than two clips.
    """
    sets = []
    for values, videos in ((real, real_videos), (generated, generated_videos)):
        places = jackknife_groups(len(values), videos, groups)
        sets.append(FeatureMoments(values.shape[1], places.max() + 1))
        sets[-1].update(values, places)
    distance = gaussian_distance(*sets[0].moments(), *sets[1].moments())
    return distance, frechet_standard_error(*sets)


def frechet_standard_error(one: FeatureMoments, other: FeatureMoments) -> float | None:
    """The std of the distance by the jackknife of groups; `None` for too few groups or samples."""
    values = []
    for own, rest in ((one, other), (other, one)):
        if len(own.counts) < 2 or own.counts.sum() - own.counts.max() < 2:
            return None
        left, whole = map(own.moments, range(len(own.counts))), rest.moments()
        values.append([gaussian_distance(*each, *whole) for each in left])
    return jackknife_standard_error(values)


def gaussian_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """d^2 of two Gaussians, as FID and FVD report it; 0 for equal ones.

    Args:
        mean, other_mean: `[D]`.
        covariance, other_covariance: `[D, D]`, symmetric, of any rank.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # covariance = root root^T
    inner = root.T @ other_covariance @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((inner + inner.T) / 2.0), 0.0)).sum()
    apart = np.sum(np.square(mean - other_mean))
    distance = apart + np.trace(covariance) + np.trace(other_covariance) - 2.0 * shared
    return float(max(distance, 0.0))  # rounding
