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

A model without an encoder is measured on its own clips (`answers_held`): the content of a generated
clip is drawn anew and its motion held, and the reverse. The classifier's answers on the clip as it
was are the labels. Of a factor that is held they should stay; of one that is drawn anew they should
agree by chance, which is sum_k p(k) q(k) of the shares of answers before and after.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kerasvid.evaluation.metrics.clip_batches import as_bytes, counted_clips
from kerasvid.evaluation.metrics.inception_score import answer_intervals
from kerasvid.evaluation.metrics.intervals import Interval, bootstrap_interval

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


class Held(NamedTuple):
    """How often a classifier's answers stay when a part of clips is drawn anew.

    Args:
        agreement: Share of clips with the same answer, from 0 to 1.
        chance: The share of independent clips with these frequencies of answers.
    """

    agreement: Interval
    chance: float


def answers_held(
    clips: Iterable[np.ndarray],
    redrawn: Mapping[str, Iterable[np.ndarray]],
    classifier: Classifier,
    groups: Mapping[str, Sequence[str]],
    count: int,
    seed: int = 0,
) -> dict[str, dict[str, Held]]:
    """How often the answers of a classifier stay for redrawn clips; clips are streamed.

    Args:
        clips: Batches `[B, T, H, W, C]`, uint8 or float in [-1, 1].
        redrawn: By name, the same clips with a part drawn anew, in batches of the same sizes.
        classifier: Function of uint8 clips to probabilities `[B, K]` by label.
        groups: By name, labels whose mean agreement is asked for.
        count: Number of clips.
        seed: Of the intervals.

    Returns:
        By the name of `redrawn`, then of the group.

    Example:
        >>> held = answers_held(clips, {"content": others}, classify, {"action": ["action"]}, 512)
        >>> held["content"]["action"].agreement.mean, held["content"]["action"].chance
    """
    streams = {"": clips, **redrawn}
    counted = [counted_clips(each, count, "generated") for each in streams.values()]
    labels = list(dict.fromkeys(itertools.chain(*groups.values())))
    answers: dict[str, dict[str, list]] = {name: {each: [] for each in labels} for name in streams}
    for batches in zip(*counted, strict=True):
        for name, batch in zip(streams, batches, strict=True):
            found = classifier(as_bytes(batch))
            for label in labels:
                answers[name][label].append(np.asarray(found[label]))
    chosen = {
        name: {label: np.concatenate(parts).argmax(axis=1) for label, parts in own.items()}
        for name, own in answers.items()
    }
    classes = {label: answers[""][label][0].shape[1] for label in labels}
    held: dict[str, dict[str, Held]] = {}
    for name in redrawn:
        same = {label: chosen[""][label] == chosen[name][label] for label in labels}
        chance = {
            label: float(np.prod([_shares(chosen[n][label], k) for n in ("", name)], axis=0).sum())
            for label, k in classes.items()
        }
        held[name] = {
            group: Held(
                bootstrap_interval(np.mean([same[label] for label in own], axis=0), seed=seed),
                float(np.mean([chance[label] for label in own])),
            )
            for group, own in groups.items()
        }
    return held


def _shares(answers: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(answers, minlength=classes) / len(answers)


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
