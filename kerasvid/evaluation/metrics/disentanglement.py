"""Disentanglement: labels that a classifier finds after content or motion was drawn anew.

Li, Mandt: "Disentangled Sequential Autoencoder", ICML 2018, on Sprites, and later papers that
compare to it. The motion of a clip is kept (its posterior mean), the content is drawn from its
prior, the clip is decoded, and a classifier of real clips predicts the action (9 classes):

- Acc: how often it is the action of the original; 1 if the motion holds all of the action;
- H(y | x): the classifier's uncertainty about a clip; 0 for clear ones;
- H(y) of the mean answer; ln 9 = 2.197 if every action is equally frequent;
- IS = exp(H(y) - H(y | x)), at most 9.

In the other direction the content is kept, the motion is drawn from its prior, and the labels are
the four attributes (6 values each). Every value is a mean over classes of the mean over a class's
clips, which for the balanced test split is the plain mean. The ceiling is the classifier's accuracy
on the original clips.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from kerasvid.evaluation.metrics.clip_batches import as_bytes, counted_clips
from kerasvid.evaluation.metrics.inception_score import answer_intervals
from kerasvid.evaluation.metrics.intervals import Interval

Classifier = Callable[[np.ndarray], Mapping[str, np.ndarray]]
Recombine = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Kept(NamedTuple):
    """A classifier's answers about one label, with intervals by a bootstrap.

    Args:
        accuracy: Share of clips with the label of the original, from 0 to 1.
        conditional: H(y | x) in nats.
        marginal: H(y) in nats.
        score: IS, from 1 to the number of classes.
        real_accuracy: The classifier's accuracy on the originals, the ceiling of `accuracy`.
        clips: Number of clips of each class.
    """

    accuracy: Interval
    conditional: Interval
    marginal: Interval
    score: Interval
    real_accuracy: float
    clips: tuple[int, ...]


def labels_kept(
    batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]],
    recombine: Recombine,
    classifier: Classifier,
    classes: Mapping[str, int],
    clips: int | None = None,
    seed: int = 0,
    videos: np.ndarray | None = None,
) -> dict[str, Kept]:
    """Acc, IS, H(y | x) and H(y) of labels that a change of clips should keep; clips are streamed.

    Args:
        batches: Clips `[B, T, H, W, C]`, uint8 or float in [-1, 1], and labels, int `[B]` by name.
        recombine: Function of uint8 clips and int seeds `[B]` to changed clips of the same shape,
            such as `recombination(model, batch, keep_motion=True)`.
        classifier: Function of uint8 clips to probabilities `[B, K]` by name.
        classes: K by name.
        clips: Number of clips (Sprites: 2,664 of the test split); `None` for all.
        seed: Any integer of 0 or more. The change of clip i depends on (seed, i) alone.
        videos: The video of each clip, as in `video_ranks`.

    Raises:
        ValueError: Too few clips, a class without clips, unknown labels, a classifier of other
            classes, or changed clips that are not finite or of another shape.

    Example:
        >>> batches = ((b["video"].numpy(), {"action": b["label"].numpy()}) for b in pipeline)
        >>> redraw = recombination(model, 32, keep_motion=True)
        >>> labels_kept(batches, redraw, classifier.probabilities, {"action": 9})["action"].score
    """
    truths, made, real = (collections.defaultdict[str, list](list) for _ in range(3))

    def originals() -> Iterator[np.ndarray]:
        for each, labels in batches:
            for name, number in classes.items():
                truths[name].append(_labels(labels, name, len(each), number))
            yield each

    seen = 0
    for batch in counted_clips(originals(), clips, "real"):
        original, count = as_bytes(batch), len(batch)
        changed = recombine(original, seed * 1_000_003 + seen + np.arange(count))
        shape = original.shape[1:]
        changed = as_bytes(next(counted_clips([changed], count, "recombined", shape=shape)))
        for parts, shown in ((real, original), (made, changed)):
            answers = classifier(shown)
            for name, number in classes.items():
                _check_answers(answers, name, (count, number))
                parts[name].append(answers[name])
        seen += count
    found = {}
    for name, number in classes.items():
        truth = np.concatenate(truths[name])[:seen]
        counts = np.bincount(truth, minlength=number)
        if not counts.all():
            missing = np.flatnonzero(counts == 0).tolist()
            raise ValueError(
                f"{name}: the classes {missing} have no clips. Use more clips or fewer classes."
            )
        intervals = answer_intervals(np.concatenate(made[name]), truth, videos=videos)
        right = np.bincount(truth, np.concatenate(real[name]).argmax(axis=1) == truth)
        ceiling = float(np.mean(right / counts))
        found[name] = Kept(**intervals, real_accuracy=ceiling, clips=tuple(counts.tolist()))
    return found


def _labels(labels: Mapping[str, np.ndarray], name: str, count: int, classes: int) -> np.ndarray:
    if name not in labels:
        raise ValueError(f"{name}: the batch has only the labels {', '.join(sorted(labels))}.")
    values = np.asarray(labels[name])
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name}: labels of {count} clips are {values.dtype} {values.shape}. Use integers [B]."
        )
    if wrong := set(values.tolist()) - set(range(classes)):
        raise ValueError(
            f"{name}: the label {min(wrong)} is not in 0 to {classes - 1}. Leave out clips of "
            "unknown labels, or correct the number of classes."
        )
    return values


def _check_answers(answers: Mapping[str, np.ndarray], name: str, shape: tuple[int, int]) -> None:
    if name not in answers:
        raise ValueError(f"{name}: the classifier knows only {', '.join(sorted(answers))}.")
    if np.shape(answers[name]) != shape:
        raise ValueError(
            f"{name}: the classifier's answers have the shape {np.shape(answers[name])}, not "
            f"{shape}. Use a classifier trained on these classes."
        )
