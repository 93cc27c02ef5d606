"""IS, the inception score: whether a judge is sure of every sample, and sees every class.

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016:

    IS = exp(E_x KL[p(y | x) || p(y)]) = exp(H(y) - H(y | x))

from 1 to the number of classes K. The residual-vector paper tells the mean and the deviation over
10 batches of 128 samples, with a classifier of its own in place of Inception.
"""

from typing import NamedTuple

import numpy as np


class Entropies(NamedTuple):
    """Of a judge's answers, in nats.

    Args:
        conditional: H(y | x), 0 where the judge is sure of each.
        marginal: H(y), ln K where classes are equally frequent.
    """

    conditional: float
    marginal: float

    @property
    def score(self) -> float:
        """The inception score."""
        return float(np.exp(self.marginal - self.conditional))


def check_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """float64 `[N, K]`, with rows of sum 1.

    Raises:
        ValueError: they are none.
    """
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"Answers of the shape {values.shape}: give probabilities [N, K].")
    sums = values.sum(axis=1)
    if not (np.isfinite(values).all() and (values >= 0).all() and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError("Rows of probabilities must be finite, not negative, and of sum 1.")
    return values / sums[:, None]


def entropies(probabilities: np.ndarray) -> Entropies:
    """H(y | x) and H(y) of a judge's probabilities `[N, K]`.

    Raises:
        ValueError: they are no probabilities.

    Example:
        >>> entropies(np.eye(9)).score  # sure of each, all classes
        9.0
    """
    values = check_probabilities(probabilities)
    return Entropies(float(_entropy(values).mean()), float(_entropy(values.mean(axis=0))))


def inception_score(probabilities: np.ndarray, batches: int = 10) -> tuple[float, float]:
    """Mean and deviation of the score over batches of equal size, in the order given.

    Args:
        probabilities: `[N, K]`.
        batches: into how many they are divided.

    Raises:
        ValueError: they are no probabilities, or N is no multiple of `batches`.
    """
    values = check_probabilities(probabilities)
    if batches < 1 or len(values) % batches:
        raise ValueError(f"{len(values)} samples make no {batches} equal batches: give a multiple.")
    scores = [entropies(part).score for part in np.split(values, batches)]
    return float(np.mean(scores)), float(np.std(scores))


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """In nats, over the last axis; 0 log 0 = 0."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -np.sum(probabilities * logs, axis=-1)
