"""IS, the inception score: whether a classifier is sure of every sample, and sees every class.

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016:

    IS = exp(E_x KL[p(y | x) || p(y)]) = exp(H(y) - H(y | x))

from 1 to the number of classes K. The residual-vector paper tells the mean and the std over
10 batches of 128 samples, with a classifier of its own in place of Inception.
"""

from typing import NamedTuple

import numpy as np

from kerasvid.evaluation.metrics.intervals import Interval, interval_of_replicates


class Entropies(NamedTuple):
    """Of a classifier's answers, in nats.

    Args:
        conditional: H(y | x), 0 where the classifier is sure of each.
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
    """H(y | x) and H(y) of a classifier's probabilities `[N, K]`.

    Raises:
        ValueError: they are no probabilities.

    Example:
        >>> entropies(np.eye(9)).score  # sure of each, all classes
        9.0
    """
    values = check_probabilities(probabilities)
    return Entropies(float(entropy(values).mean()), float(entropy(values.mean(axis=0))))


def inception_score(probabilities: np.ndarray, batches: int = 10) -> tuple[float, float]:
    """Mean and std of the score over batches of equal size, in the order given.

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


class BootstrapEntropies:
    """H(y | x), H(y) and their score of a stream of answers, with the intervals of a bootstrap.

    As `BootstrapMean`, every replicate counts an answer as often as a Poisson variable of mean 1
    tells, and the same answers in the same order give the same intervals. H(y) of drawn answers is
    a little smaller than that of all, so that the replicates are moved to where their mean is the
    value, which is told of all answers.

    Args:
        replicates: at least 2.
        seed: any integer of 0 or more.

    Example:
        >>> scores = BootstrapEntropies()
        >>> for clips in batches:
        ...     scores.update(classifier.probabilities(clips)["action"])
        >>> scores.intervals()["score"].low
    """

    def __init__(self, replicates: int = 1000, seed: int = 0):
        if replicates < 2:
            raise ValueError(f"replicates={replicates} must be at least 2.")
        self.count, self._generator = 0, np.random.default_rng(seed)
        # The last row counts every answer once.
        self._weights, self._entropy = np.zeros(replicates + 1), np.zeros(replicates + 1)
        self._answers: np.ndarray | None = None

    def update(self, probabilities: np.ndarray) -> None:
        """Takes more answers, `[N, K]`.

        Raises:
            ValueError: they are no probabilities, or of other classes than before.
        """
        values = check_probabilities(probabilities)
        if self._answers is None:
            self._answers = np.zeros([len(self._weights), values.shape[1]])
        if values.shape[1] != self._answers.shape[1]:
            raise ValueError(f"Answers of {values.shape[1]} classes after some of "
                             f"{self._answers.shape[1]}: take one classifier.")  # fmt: skip
        for answer in values:
            weights = np.append(self._generator.poisson(1.0, len(self._weights) - 1), 1)
            self._weights += weights
            self._entropy += weights * entropy(answer)
            self._answers += weights[:, None] * answer
        self.count += len(values)

    def intervals(self, level: float = 0.95) -> dict[str, Interval]:
        """`"conditional"`, `"marginal"` and `"score"`; the mean of an interval is the value.

        Raises:
            ValueError: fewer than two answers.
        """
        if self.count < 2:
            raise ValueError(f"{self.count} answers have no interval: give two or more.")
        drawn = self._weights > 0
        conditional = self._entropy[drawn] / self._weights[drawn]
        marginal = entropy(self._answers[drawn] / self._weights[drawn, None])
        score = np.exp(marginal - conditional)
        found = {"conditional": conditional, "marginal": marginal, "score": score}
        most = greatest(self._answers.shape[1])
        return {n: interval_of_replicates(v[:-1], v[-1], self.count, level, most[n])
                for n, v in found.items()}  # fmt: skip


def greatest(classes: int) -> dict[str, float]:
    """What the numbers that are told of answers of K classes can be at most, by name."""
    most = float(np.log(classes))
    return {"accuracy": 1.0, "conditional": most, "marginal": most, "score": float(classes)}


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """H of distributions `[..., K]`, in nats: `[...]`; 0 log 0 = 0."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -np.sum(probabilities * logs, axis=-1)
