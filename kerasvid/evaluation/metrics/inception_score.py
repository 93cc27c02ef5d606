"""IS, the inception score: are samples clear, and are all classes among them?

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016:

    IS = exp(E_x KL[p(y | x) || p(y)]) = exp(H(y) - H(y | x))

from 1 to the number of classes K, with the entropies in nats: H(y | x) is 0 if the classifier is
sure of each sample, H(y) is ln K if classes are equally frequent. The residual-vector paper reports
the mean and std over 10 batches of 128 samples, with its own classifier in place of Inception.
"""

import numpy as np

from kerasvid.evaluation.metrics.intervals import Interval, interval_of_replicates, video_ranks


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


def answer_intervals(
    probabilities: np.ndarray,
    labels: np.ndarray | None = None,
    replicates: int = 1000,
    seed: int = 0,
    videos: np.ndarray | None = None,
) -> dict[str, Interval]:
    """95 % intervals of accuracy, H(y | x), H(y) and IS of answers, as `bootstrap_interval`.

    H(y) of a replicate is a little smaller than that of all answers, so the replicates are centred
    on the value of all answers, which is the `mean` of an interval.

    Args:
        probabilities: `[N, K]`.
        labels: Classes, int `[N]`. Every value is a mean over classes of the mean over their
            answers. `None` counts all answers as one class; the accuracy then has no meaning.
        replicates, seed, videos: As in `bootstrap_interval`.

    Returns:
        Intervals of `"accuracy"`, `"conditional"`, `"marginal"` and `"score"`.

    Raises:
        ValueError: They are not probabilities, or too few for any replicate to have all classes.

    Example:
        >>> answer_intervals(classifier.probabilities(clips)["action"])["score"].low
    """
    values = check_probabilities(probabilities)
    labels = np.zeros(len(values), int) if labels is None else labels
    shape = replicates + 1, int(labels.max()) + 1  # the last replicate counts every answer once
    counts, hits, doubts = np.zeros([3, *shape])
    answers = np.zeros([*shape, values.shape[1]])  # [R + 1, G, K]
    ranks, generator = video_ranks(len(values), videos), np.random.default_rng(seed)
    drawings = generator.poisson(1.0, [ranks.max() + 1, replicates]).astype(np.uint8)
    for rank, label, answer, doubt in zip(ranks, labels, values, entropy(values), strict=True):
        weights = np.append(drawings[rank], 1)
        counts[:, label] += weights
        hits[:, label] += weights * (answer.argmax() == label)
        doubts[:, label] += weights * doubt
        answers[:, label] += weights[:, None] * answer
    drawn = counts.all(axis=1)  # a replicate of few answers may lack a class
    if ranks.max() < 1 or drawn.sum() < 2:
        raise ValueError(f"{len(values)} answers are too few for an interval. Use more clips.")
    counts = counts[drawn]
    accuracy, conditional = (part[drawn] / counts for part in (hits, doubts))
    marginal = entropy((answers[drawn] / counts[..., None]).mean(axis=1))  # of [R, K]
    score = np.exp(marginal - conditional.mean(axis=1))
    classes = values.shape[1]
    return {
        name: interval_of_replicates(each[:-1], each[-1], len(values), most)
        for name, each, most in (
            ("accuracy", accuracy.mean(axis=1), 1.0),
            ("conditional", conditional.mean(axis=1), np.log(classes)),
            ("marginal", marginal, np.log(classes)),
            ("score", score, classes),
        )
    }
