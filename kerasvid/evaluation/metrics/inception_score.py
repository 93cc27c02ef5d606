"""IS, the inception score: are samples clear, and are all classes among them?

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016:

    IS = exp(E_x KL[p(y | x) || p(y)]) = exp(H(y) - H(y | x))

from 1 to the number of classes K, with the entropies in nats: H(y | x) is 0 if the classifier is
sure of each sample, H(y) is ln K if classes are equally frequent. The residual-vector paper reports
the mean and std over 10 batches of 128 samples, with its own classifier in place of Inception.
"""

import numpy as np

from kerasvid.evaluation.metrics.intervals import Interval, interval_of_replicates


def check_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """float64 probabilities `[N, K]`, with rows of sum 1; a `ValueError` for other values."""
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"Answers of the shape {values.shape}: use probabilities [N, K].")
    sums = values.sum(axis=1)
    if not (np.isfinite(values).all() and (values >= 0).all() and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError("Rows of probabilities must be finite, not negative, and of sum 1.")
    return values / sums[:, None]


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """H of distributions `[..., K]`, in nats: `[...]`; 0 log 0 = 0."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -np.sum(probabilities * logs, axis=-1)


def inception_score(probabilities: np.ndarray, batches: int = 10) -> tuple[float, float]:
    """Mean and std of the score over batches of equal size, in the given order.

    Args:
        probabilities: `[N, K]`.
        batches: Number of batches.

    Raises:
        ValueError: They are not probabilities, or N is not a multiple of `batches`.

    Example:
        >>> inception_score(np.eye(9), batches=1)  # sure of each, all classes
        (9.0, 0.0)
    """
    values = check_probabilities(probabilities)
    if batches < 1 or len(values) % batches:
        raise ValueError(f"{len(values)} samples: use a multiple of batches={batches}.")
    parts = np.split(values, batches)
    scores = [np.exp(entropy(part.mean(axis=0)) - entropy(part).mean()) for part in parts]
    return float(np.mean(scores)), float(np.std(scores))


class BootstrapAnswers:
    """Accuracy, H(y | x), H(y) and IS of streamed answers, with intervals as in `BootstrapMean`.

    H(y) of a replicate is a little smaller than that of all answers, so the replicates are centred
    on the value of all.

    Args:
        groups: Number of labels. Every value is a mean over labels of the mean over their answers.
            With 1 there are no labels and no accuracy.
        replicates, seed: As in `BootstrapMean`.

    Example:
        >>> scores = BootstrapAnswers()
        >>> for clips in batches:
        ...     scores.update(classifier.probabilities(clips)["action"])
        >>> scores.intervals()["score"].low
    """

    def __init__(self, groups: int = 1, replicates: int = 1000, seed: int = 0):
        self._generator = np.random.default_rng(seed)
        # The last row counts every answer once.
        self._counts, self._hits, self._entropy = np.zeros([3, replicates + 1, groups])
        self._answers = np.zeros([*self._counts.shape, 0])  # [R + 1, G, K]

    @property
    def counts(self) -> np.ndarray:
        """Number of answers of each label, int `[G]`."""
        return self._counts[-1].astype(int)

    def update(self, probabilities: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Adds answers `[N, K]` and their labels, int `[N]`.

        Raises:
            ValueError: They are not probabilities, or have another K than before.
        """
        values = check_probabilities(probabilities)
        labels = np.zeros(len(values), int) if labels is None else labels
        if not self._answers.size:
            self._answers = np.zeros([*self._counts.shape, values.shape[1]])
        if values.shape[1] != (classes := self._answers.shape[2]):
            raise ValueError(
                f"Answers of {values.shape[1]} classes after {classes}. Use one classifier."
            )
        for label, answer, doubt in zip(labels, values, entropy(values), strict=True):
            weights = np.append(self._generator.poisson(1.0, len(self._counts) - 1), 1)
            self._counts[:, label] += weights
            self._hits[:, label] += weights * (answer.argmax() == label)
            self._entropy[:, label] += weights * doubt
            self._answers[:, label] += weights[:, None] * answer

    def values(self) -> dict[str, np.ndarray]:
        """`"accuracy"`, `"conditional"`, `"marginal"`, `"score"` of replicates, and of all last."""
        drawn = self._counts.all(axis=1)  # a replicate of few answers may lack a label
        counts = self._counts[drawn]
        conditional = (self._entropy[drawn] / counts).mean(axis=1)
        marginal = entropy((self._answers[drawn] / counts[..., None]).mean(axis=1))  # of [R, K]
        return {
            "accuracy": (self._hits[drawn] / counts).mean(axis=1),
            "conditional": conditional,
            "marginal": marginal,
            "score": np.exp(marginal - conditional),
        }

    def intervals(self) -> dict[str, Interval]:
        """The 95 % intervals of `values` by name; their means are the values of all answers.

        Raises:
            ValueError: There are too few answers: fewer than two, or no replicate has all labels.
        """
        size, values = int(self.counts.sum()), self.values()
        if size < 2 or len(values["score"]) < 2:
            raise ValueError(f"{size} answers are too few for an interval. Use more clips.")
        classes = self._answers.shape[2]
        most = {"accuracy": 1.0, "score": classes}
        most |= dict.fromkeys(("conditional", "marginal"), np.log(classes))
        return {n: interval_of_replicates(v[:-1], v[-1], size, most[n]) for n, v in values.items()}
