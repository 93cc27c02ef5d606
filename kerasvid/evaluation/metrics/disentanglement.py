"""Whether content and motion are apart: what a classifier still sees when one of them is drawn anew.

Li, Mandt: "Disentangled Sequential Autoencoder", ICML 2018, on Sprites, and after it all who
compare there: the motion of a clip is kept (its posterior mean), the content is drawn from its
prior, the clip is decoded, and a classifier that was trained on real clips tells the action (9 classes):

- Acc, how often it is the action of the original; 1 where the motion holds all of the action;
- H(y | x), how unsure the classifier is of a clip; 0 for clear ones;
- H(y) of the mean answer; ln 9 = 2.197 where every action is made equally often;
- IS = exp(H(y) - H(y | x)), at most 9.

The reverse keeps the content, draws the motion from its prior, and asks for the four attributes (6
values each). Classes count alike, however many clips they have: every number is a mean over classes
of the mean over a class's clips, which for the balanced test split is the plain mean. The classifier's
accuracy on the very clips, unchanged, stands beside as the ceiling.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.clip_batches import as_bytes, counted_clips
from kerasvid.evaluation.metrics.inception_score import (
    Entropies,
    check_probabilities,
    entropy,
    greatest,
)
from kerasvid.evaluation.metrics.intervals import Interval, interval_of_replicates

ACTIONS = 9
ATTRIBUTES = {"body": 6, "bottomwear": 6, "topwear": 6, "hair": 6}

Classifier = Callable[[np.ndarray], np.ndarray | Mapping[str, np.ndarray]]
Recombine = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Kept(NamedTuple):
    """What a classifier sees of one label.

    Args:
        accuracy: how often the label of the original is seen, from 0 to 1.
        conditional: H(y | x) in nats.
        marginal: H(y) in nats.
        real_accuracy: of the classifier, on the originals: the ceiling of `accuracy`.
        clips: how many of each class were looked at.
        intervals: of `"accuracy"`, `"conditional"`, `"marginal"` and `"score"`, by a bootstrap.
    """

    accuracy: float
    conditional: float
    marginal: float
    real_accuracy: float
    clips: tuple[int, ...]
    intervals: Mapping[str, Interval]

    @property
    def score(self) -> float:
        """IS, from 1 to the number of classes."""
        return Entropies(self.conditional, self.marginal).score


def action_kept(
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    recombine: Recombine,
    classifier: Classifier,
    clips: int | None = None,
    classes: int = ACTIONS,
    seed: int = 0,
) -> Kept:
    """Acc, IS, H(y | x) and H(y) of the action, by default with the 9 of Sprites.

    Args:
        batches: of clips `[B, T, H, W, C]`, uint8 or float in [-1, 1], and actions, int `[B]`.
        recombine: what draws the content anew: `redrawn_content(model)`.
        classifier: of uint8 clips to probabilities `[B, classes]`.
        clips: how many to look at (Sprites: 2,664 of the test split); all where `None`.
        classes: K.
        seed: clip i of the stream is redrawn by (seed, i) alone.

    Raises:
        ValueError: as `labels_kept`.

    Example:
        >>> batches = ((b["video"].numpy(), b["label"].numpy()) for b in pipeline)
        >>> action_kept(batches, redrawn_content(model), classifier, clips=2664).accuracy
    """
    named = ((each, {"action": actions}) for each, actions in batches)
    return labels_kept(named, recombine, classifier, {"action": classes}, clips, seed)["action"]


def attributes_kept(
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    recombine: Recombine,
    classifier: Classifier,
    clips: int | None = None,
    classes: Mapping[str, int] | None = None,
    seed: int = 0,
) -> dict[str, Kept]:
    """The reverse: what is seen of each attribute, by default of the four of Sprites.

    Args:
        batches: of clips, and of attributes, int `[B, A]` in the order of `classes`.
        recombine: what draws the motion anew: `redrawn_motion(model)`.
        classifier: of uint8 clips to probabilities `[B, K]` by name.
        clips, seed: as `action_kept`.
        classes: K by name; `ATTRIBUTES` where `None`.

    Raises:
        ValueError: as `labels_kept`.

    Example:
        >>> batches = ((b["video"].numpy(), b["attributes"].numpy()) for b in pipeline)
        >>> attributes_kept(batches, redrawn_motion(model), classifier)["hair"].accuracy
    """
    classes = ATTRIBUTES if classes is None else classes
    named = ((each, _by_name(attributes, classes)) for each, attributes in batches)
    return labels_kept(named, recombine, classifier, classes, clips, seed)


def _by_name(attributes: np.ndarray, classes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The columns of attributes `[B, A]`."""
    attributes = np.asarray(attributes)
    if attributes.ndim != 2 or attributes.shape[1] != len(classes):
        raise ValueError(
            f"Attributes of the shape {attributes.shape}: give [B, {len(classes)}], of "
            f"{', '.join(classes)}."
        )
    return dict(zip(classes, attributes.T, strict=True))


def labels_kept(
    batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]],
    recombine: Recombine,
    classifier: Classifier,
    classes: Mapping[str, int],
    clips: int | None = None,
    seed: int = 0,
) -> dict[str, Kept]:
    """What a classifier sees of labels after a change that should keep them; clips are streamed.

    Args:
        batches: of clips, and of labels, int `[B]` by name.
        recombine: of uint8 clips `[B, T, H, W, C]` and int seeds `[B]` to clips of that shape.
        classifier: of uint8 clips to probabilities `[B, K]` by name, or without a name for one label.
        classes: K by name.
        clips: how many to look at; all where `None`.
        seed: any integer of 0 or more.

    Raises:
        ValueError: fewer clips than asked for, a class without clips, labels that are unknown, a
            classifier of other classes, or what is made are no finite clips of the same shape; one line
            with what to do.
    """
    made, real = ({n: _ClassSums(n, k) for n, k in classes.items()} for _ in range(2))
    underway: dict[str, np.ndarray] = {}  # the labels of the batch that is looked at

    def clips_alone():
        for each, labels in batches:
            underway.update({n: _labels(labels, n, len(each), k) for n, k in classes.items()})
            yield each

    seen = 0
    for originals in counted_clips(clips_alone(), clips, "real"):
        labels = {name: values[: len(originals)] for name, values in underway.items()}
        seeds = seed * 1_000_003 + seen + np.arange(len(originals))
        originals = as_bytes(originals)
        changed = next(counted_clips([recombine(originals, seeds)], None, "recombined"))
        if changed.shape != originals.shape:
            raise ValueError(
                f"recombined clips of the shape {changed.shape} of {originals.shape}: the function "
                "must give as many, of the same T, H, W and C."
            )
        for sums, shown in ((real, originals), (made, as_bytes(changed))):
            answers = _answers(classifier(shown), classes, len(shown))
            for name in classes:
                sums[name].update(labels[name], answers[name])
        seen += len(originals)
    return {name: made[name].result(real[name]) for name in classes}


class _ClassSums:
    """Sums over the clips of each class, of which all numbers are made, and of their replicates.

    Each replicate counts a clip as often as a Poisson variable of mean 1 tells; the last row of
    every array counts each once.
    """

    def __init__(self, name: str, classes: int, replicates: int = 1000):
        self.name, self._generator = name, np.random.default_rng(0)
        rows = replicates + 1
        self.counts, self.hits, self.entropy = np.zeros([3, rows, classes])
        self.answers = np.zeros([rows, classes, classes])

    def update(self, labels: np.ndarray, answers: np.ndarray) -> None:
        """Takes labels `[B]` and probabilities `[B, K]`."""
        for label, answer, doubt in zip(labels, answers, entropy(answers), strict=True):
            weights = np.append(self._generator.poisson(1.0, len(self.counts) - 1), 1)
            self.counts[:, label] += weights
            self.hits[:, label] += weights * (answer.argmax() == label)
            self.entropy[:, label] += weights * doubt
            self.answers[:, label] += weights[:, None] * answer

    def means(self) -> dict[str, np.ndarray]:
        """Means over classes, of each replicate in which every class occurs and of all clips."""
        counts = self.counts[-1]
        if not counts.all():
            missing = np.flatnonzero(counts == 0).tolist()
            raise ValueError(
                f"{self.name}: no clips of the classes {missing}: look at more clips, or tell how "
                "many classes there are."
            )
        drawn = self.counts.all(axis=1)
        counts = self.counts[drawn]
        answers = (self.answers[drawn] / counts[..., None]).mean(axis=1)  # [R, K]
        conditional = (self.entropy[drawn] / counts).mean(axis=1)
        marginal = entropy(answers)
        return {
            "accuracy": (self.hits[drawn] / counts).mean(axis=1),
            "conditional": conditional,
            "marginal": marginal,
            "score": np.exp(marginal - conditional),
        }

    def result(self, real: "_ClassSums") -> Kept:
        """What is seen of all clips, with intervals where the replicates give some."""
        means, counts = self.means(), self.counts[-1].astype(int)
        intervals = {}
        if len(means["accuracy"]) > 1:
            most, clips = greatest(len(counts)), int(counts.sum())
            intervals = {
                name: interval_of_replicates(v[:-1], float(v[-1]), clips, most=most[name])
                for name, v in means.items()
            }
        return Kept(
            **{n: float(means[n][-1]) for n in ("accuracy", "conditional", "marginal")},
            real_accuracy=float(real.means()["accuracy"][-1]),
            clips=tuple(counts.tolist()),
            intervals=intervals,
        )


def _labels(labels: Mapping[str, np.ndarray], name: str, count: int, classes: int) -> np.ndarray:
    """int `[B]`, each below `classes`."""
    if name not in labels:
        raise ValueError(f"{name}: the batch has labels of {', '.join(sorted(labels))} alone.")
    values = np.asarray(labels[name])
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name}: labels of the shape {values.shape} and {values.dtype} of {count} clips: give "
            "whole numbers [B]."
        )
    if count and (values.min() < 0 or values.max() >= classes):
        wrong = values[(values < 0) | (values >= classes)][0]
        raise ValueError(
            f"{name}: the label {wrong} is none of 0 to {classes - 1}: leave clips of unknown "
            "labels out, or tell how many classes there are."
        )
    return values


def _answers(
    answers: np.ndarray | Mapping[str, np.ndarray], classes: Mapping[str, int], count: int
) -> dict[str, np.ndarray]:
    """Probabilities `[B, K]` by name, checked."""
    if not isinstance(answers, Mapping):
        if len(classes) > 1:
            raise ValueError(
                f"The classifier must give probabilities by name: {', '.join(classes)}."
            )
        answers = {name: answers for name in classes}
    checked = {}
    for name, number in classes.items():
        if name not in answers:
            raise ValueError(f"The classifier tells {', '.join(sorted(answers))}, not {name}.")
        values = check_probabilities(answers[name])
        if values.shape != (count, number):
            raise ValueError(
                f"{name}: the classifier gives {values.shape} for {count} clips of {number} classes: "
                "take a classifier that was trained on these classes."
            )
        checked[name] = values
    return checked


# === Models with [content, motion] codes, by their public verbs ===


def redrawn_content(model) -> Recombine:
    """A function that keeps the motion of clips and draws their content from its prior.

    Args:
        model: whose `encode` gives `"content"` `[B, D]`, `"motion"` `[B, T, E]` and `"codes"`
            `[B, T, D + E]` of the two, such as `DSA`. For others write a function of clips and
            seeds.

    Raises:
        ValueError: the model has no such codes, when it is called.

    Example:
        >>> made = redrawn_content(model)(clips, seeds=np.arange(len(clips)))
    """
    return lambda clips, seeds: _recombined(model, clips, seeds, keep_motion=True)


def redrawn_motion(model) -> Recombine:
    """A function that keeps the content of clips and draws their motion from the learned prior."""
    return lambda clips, seeds: _recombined(model, clips, seeds, keep_motion=False)


def _recombined(model, clips: np.ndarray, seeds: np.ndarray, keep_motion: bool) -> np.ndarray:
    """uint8 of the codes of clips, with one part of drawn ones."""
    encoded = model.encode(clips) if hasattr(model, "encode") else {}
    if not {"content", "motion", "codes"} <= set(encoded):
        raise ValueError(
            f"{type(model).__name__} has no codes of content and of motion apart: give a function "
            "of clips and seeds that recombines them."
        )
    # A row a seed, so that a clip's draw does not depend on how clips are divided into batches.
    frames = clips.shape[1]
    rows = [model.sample_noise(1, frames, int(seed)) for seed in seeds]
    noise = {name: tf.concat([row[name] for row in rows], axis=0) for name in rows[0]}
    own, drawn, size = encoded["codes"], model.codes(noise), encoded["content"].shape[-1]
    content, motion = (drawn, own) if keep_motion else (own, drawn)
    codes = tf.concat([content[..., :size], motion[..., size:]], axis=-1)
    return as_bytes(model.decode(codes).numpy())
