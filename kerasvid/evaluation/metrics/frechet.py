"""The Frechet distance of two Gaussians, which all metrics of that name share.

    d^2 = |m_1 - m_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))

of the moments of features of real and of generated samples (Heusel et al., "GANs Trained by a Two
Time-Scale Update Rule", NeurIPS 2017; Unterthiner et al., "Towards Accurate Generative Models of
Video", 2018). The trace of the root is computed as that of the symmetric (A^T S_2 A)^(1/2) with
S_1 = A A^T by eigenvalues, which is sound where there are fewer samples than features: the product
S_1 S_2 is not symmetric, and the usual root of it becomes complex there.
"""

import numpy as np

from kerasvid.evaluation.metrics.intervals import jackknife_standard_error


class FeatureMoments:
    """Running mean and covariance of features, in float64, of any number of samples.

    Args:
        size: D, of a feature.

    Example:
        >>> moments = FeatureMoments(400)
        >>> for clips in batches:
        ...     moments.update(features_of(clips))  # [N, 400]
        >>> frechet_distance(moments, others)
    """

    def __init__(self, size: int):
        self.count = 0
        self.mean = np.zeros(size)
        self._scatter = np.zeros((size, size))  # sum of (x - mean) (x - mean)^T

    def update(self, features: np.ndarray) -> None:
        """Takes more samples, `[N, D]`.

        Raises:
            ValueError: another size, or a number that is not finite.
        """
        features = np.asarray(features, np.float64)
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(f"Features of the shape {features.shape}: give [N, {len(self.mean)}].")
        if not np.isfinite(features).all():
            raise ValueError(
                "Features that are not finite: look at the clips, some of their pixels are not."
            )
        if not len(features):
            return
        mean = features.mean(axis=0)
        centred = features - mean
        self._join(len(features), mean, centred.T @ centred)

    def merge(self, other: "FeatureMoments") -> None:
        """Takes the samples of others, too.

        Raises:
            ValueError: another size.
        """
        if other.mean.shape != self.mean.shape:
            raise ValueError(f"Features of {len(other.mean)} and of {len(self.mean)} numbers.")
        if other.count:
            self._join(other.count, other.mean, other._scatter)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        apart, total = mean - self.mean, self.count + count
        # Chan et al.: two means that differ scatter by their distance, too.
        self._scatter += scatter + np.outer(apart, apart) * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def covariance(self) -> np.ndarray:
        """`[D, D]`, unbiased.

        Raises:
            ValueError: there are fewer than two samples.
        """
        if self.count < 2:
            raise ValueError(f"{self.count} samples have no covariance: give two or more.")
        return self._scatter / (self.count - 1)


class GroupedMoments:
    """Running moments of K groups of samples: sample i is of group i modulo K.

    Args:
        size: D, of a feature.
        groups: K, at least 1. The memory is that of K moments, however many samples there are.

    Example:
        >>> real = GroupedMoments(400, groups=20)
        >>> real.update(features)  # [N, 400]
        >>> [frechet_distance(real.without(k), generated.whole()) for k in range(20)]
    """

    def __init__(self, size: int, groups: int):
        if groups < 1:
            raise ValueError(f"groups={groups} must be at least 1.")
        self.size, self.groups = size, [FeatureMoments(size) for _ in range(groups)]
        self.count = 0

    def update(self, features: np.ndarray) -> None:
        """Takes more samples, `[N, D]`; raises as `FeatureMoments.update`."""
        places = (self.count + np.arange(len(features))) % len(self.groups)
        for number, group in enumerate(self.groups):
            group.update(features[places == number])
        self.count += len(features)

    def whole(self) -> FeatureMoments:
        """The moments of all samples."""
        return self.without(None)

    def without(self, group: int | None) -> FeatureMoments:
        """The moments of all samples but those of one group."""
        moments = FeatureMoments(self.size)
        for number, each in enumerate(self.groups):
            if number != group:
                moments.merge(each)
        return moments


def frechet_standard_error(one: GroupedMoments, other: GroupedMoments) -> float | None:
    """The std of the distance of two sets by the jackknife of their groups.

    `None` where a set is of fewer than 2 groups, or would be of fewer than 2 samples without one.
    """
    values = []
    for own, rest in ((one, other.whole()), (other, one.whole())):
        left = [own.without(group) for group in range(len(own.groups))]
        if len(left) < 2 or min(each.count for each in left) < 2 or rest.count < 2:
            return None
        values.append([frechet_distance(each, rest) for each in left])
    return jackknife_standard_error(values)


def frechet_distance(one: FeatureMoments, other: FeatureMoments) -> float:
    """The squared Frechet distance d^2, as FID and FVD are told; 0 for equal moments.

    Raises:
        ValueError: features of different sizes, or fewer than two samples.
    """
    return gaussian_distance(one.mean, one.covariance, other.mean, other.covariance)


def gaussian_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """d^2 of N(mean, covariance) and N(other_mean, other_covariance).

    Args:
        mean, other_mean: `[D]`.
        covariance, other_covariance: `[D, D]`, symmetric, of any rank.

    Raises:
        ValueError: the sizes differ.
    """
    if mean.shape != other_mean.shape:
        raise ValueError(f"Features of {mean.shape[0]} and of {other_mean.shape[0]} numbers.")
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # covariance = root root^T
    inner = root.T @ other_covariance @ root
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh((inner + inner.T) / 2.0), 0.0)).sum()
    apart = np.sum(np.square(mean - other_mean))
    distance = apart + np.trace(covariance) + np.trace(other_covariance) - 2.0 * shared
    return float(max(distance, 0.0))  # rounding
