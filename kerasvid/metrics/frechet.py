"""The Frechet distance of two Gaussians, which all metrics of that name share.

    d^2 = |m_1 - m_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))

of the moments of features of real and of generated samples (Heusel et al., "GANs Trained by a Two
Time-Scale Update Rule", NeurIPS 2017; Unterthiner et al., "Towards Accurate Generative Models of
Video", 2018). The trace of the root is computed as that of the symmetric (A^T S_2 A)^(1/2) with
S_1 = A A^T by eigenvalues, which is sound where there are fewer samples than features: the product
S_1 S_2 is not symmetric, and the usual root of it becomes complex there.
"""

import numpy as np


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
        own = features.mean(axis=0)
        centred, apart = features - own, own - self.mean
        total = self.count + len(features)
        # Chan et al.: two means that differ scatter by their distance, too.
        self._scatter += centred.T @ centred
        self._scatter += np.outer(apart, apart) * (self.count * len(features) / total)
        self.mean = self.mean + apart * (len(features) / total)
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
