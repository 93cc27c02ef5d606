"""How a classifier is trained on the real clips of a data set, and how well it tells held-out ones.

Clips are made a little soft, noisy and dark or bright while it learns: those of generators are so,
and H(y | x) should tell whether it is clear what they show, not that they are none of a camera. It
is tested on clips as they are.

Held out is the split that runs are evaluated on. Where there is none, a quarter of the training
videos, drawn by a fixed seed, is: the classifier never sees a label of these.

Clips made a little worse, for networks that must not take sharpness for content.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data import DatasetInfo, check_shards, load_info, make_pipeline, parse_record
from kerasvid.data.pixels import as_floats
from kerasvid.evaluation.classifiers.networks import CLASSIFIERS
from kerasvid.training.config import digest_of, held_out_split, training_split
from kerasvid.training.devices import resolve_precision

STEPS = {"clip": 800, "frame": 1_200}
BATCH_SIZES = {"clip": 32, "frame": 64}
LEARNING_RATE = 2e-3
HELD_OUT_SHARE = 4  # one video in so many, where there is no split for it
LEAST_WINDOWS = 256  # of held-out videos that are longer than a clip, so many windows at least
# The most of each; blur as a share of the blurred clip, the others of pixels in [-1, 1].
SOFTENING = {"blur": 1.0, "noise": 0.05, "brightness": 0.05, "contrast": 0.05}


class ClassifierError(ValueError):
    """A classifier cannot be had, or is not good enough; one line that says why and what to do."""


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """All that a classifier is made of; two with equal configs are the same classifier.

    Args:
        dataset: name of the data set, as it tells itself.
        data_digest: of the shards of training and of held-out videos, wherever they lie.
        kind: "clip" or "frame".
        heads: number of classes by name.
        image_shape: `(H, W, C)`.
        frames: T of a clip; 1 for a frame classifier.
        stride: distance of two frames of a clip in the video.
        seed: of weights, noise and the order of videos.
        steps, batch_size, learning_rate: of the training.
        network: arguments of the classifier beyond these, all of them.
        softening: arguments of `softened`.
        precision: as it was asked for, "auto" or a dtype policy. It is trained in that, and classifiers
            in float32.
    """

    dataset: str
    data_digest: str
    kind: str
    heads: Mapping[str, int]
    image_shape: tuple[int, int, int]
    frames: int
    stride: int
    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    network: Mapping[str, Any]
    softening: Mapping[str, float]
    precision: str

    def make_classifier(self, heads: Mapping[str, int], precision: str = "float32") -> keras.Model:
        """The network with new weights."""
        lengths = {"frames": self.frames} if self.kind == "clip" else {}
        arguments = {**lengths, **self.network, "dtype": precision}
        return CLASSIFIERS[self.kind](heads, self.image_shape, **arguments)


@dataclasses.dataclass(frozen=True)
class ClassifierReport:
    """How well a classifier tells clips that it has not seen.

    Args:
        confusion: by head int `[K, K]`, a row for what is shown, a column for what is told.
        clips: how many it was shown.
        split: of the data set that they are of.
        held_out: what they are, in words.
    """

    confusion: dict[str, np.ndarray]
    clips: int
    split: str
    held_out: str

    @property
    def accuracy(self) -> dict[str, float]:
        """Share of clips with a known label that are told rightly, by head; every clip counts."""
        return {n: float(np.trace(c) / c.sum()) for n, c in self.confusion.items()}


def make_classifier_config(
    info: DatasetInfo,
    kind: str = "clip",
    frames: int = 8,
    stride: int = 1,
    seed: int = 0,
    steps: int | None = None,
    batch_size: int | None = None,
    network: Mapping[str, Any] | None = None,
    precision: str = "auto",
) -> ClassifierConfig:
    """Resolves what a classifier is made of; reads nothing but the data set's description.

    Raises:
        ClassifierError: an unknown kind, clips that the videos are too short for, or a data set without
            names of classes or attributes.
    """
    if kind not in CLASSIFIERS:
        raise ClassifierError(f"kind={kind!r}: use one of {', '.join(CLASSIFIERS)}.")
    try:
        network = CLASSIFIERS[kind].resolved(info.frame_shape, **(network or {}))
    except TypeError as error:
        raise ClassifierError(
            f"network: {error}; give arguments of {CLASSIFIERS[kind].__name__}."
        ) from error
    steps = STEPS[kind] if steps is None else steps
    batch_size = BATCH_SIZES[kind] if batch_size is None else batch_size
    frames, stride = (1, 1) if kind == "frame" else (frames, stride)
    if kind == "clip" and frames < 2:
        raise ClassifierError(f"frames={frames}: a clip has 2 or more; for one take kind='frame'.")
    if steps < 1 or batch_size < 1 or stride < 1 or seed < 0:
        raise ClassifierError(
            f"steps={steps}, batch_size={batch_size}, stride={stride}, seed={seed}: the seed must "
            "be 0 or more, the others 1 or more."
        )
    count, span = training_split(info).count, (frames - 1) * stride + 1
    for split in filter(None, ("train", held_out_split(info))):
        if (shortest := info.splits[split].min_length) < span:
            raise ClassifierError(
                f"{info.name}: clips of {frames} frames with stride {stride} span {span}, but the "
                f"shortest video of {split!r} has {shortest}: use fewer frames."
            )
    return ClassifierConfig(
        info.name, digest_of(info), kind, named_heads(info), info.frame_shape, frames, stride,
        seed, steps, min(batch_size, count), LEARNING_RATE,
        network, dict(SOFTENING), precision,
    )  # fmt: skip


def named_heads(info: DatasetInfo) -> dict[str, int]:
    """Classes by name, of what a data set names: "action" and its attributes, or "label" alone.

    Raises:
        ClassifierError: it names neither.
    """
    label = "action" if info.attribute_names else "label"
    sizes = dict(zip(info.attribute_names, info.attribute_sizes, strict=True))
    heads = {label: len(info.class_names), **sizes}
    heads = {name: size for name, size in heads.items() if size > 1}
    if not heads:
        raise ClassifierError(
            f"the data set {info.name!r} names no classes and no attributes, so there is nothing a "
            "classifier could learn to tell: take one with labels."
        )
    return heads


class ClassifierData:
    """The labelled clips of a data set, to learn from and to be tested on.

    Args:
        folder: of the data set.
        config: of the classifier.

    Raises:
        ClassifierError: no label is known in both parts, a label is outside of its classes, or there
            are too few videos to hold some out.
        DatasetError: the data set is absent or damaged.
    """

    def __init__(self, folder: str, config: ClassifierConfig):
        self.folder, self.config, self.info = folder, config, load_info(folder)
        check_shards(folder, self.info, deep=True)  # before labels are read of them
        self.split = held_out_split(self.info) or "train"
        count = self.info.splits["train"].count
        self.held_out = np.zeros(count, bool)  # of the training videos, by index
        if self.split == "train":
            self.held_out[drawn_videos(count, self.info.name)] = True
        self.columns = {
            name: self.info.attribute_names.index(name) if name in self.info.attribute_names else -1
            for name in config.heads
        }
        self.heads = self._known_heads()

    def _known_heads(self) -> dict[str, int]:
        """The heads that there are labels for, to learn and to be tested by."""
        learned, tested = self._labels("train"), None
        if self.split == "train":
            tested = {name: values[self.held_out] for name, values in learned.items()}
            learned = {name: values[~self.held_out] for name, values in learned.items()}
        tested = tested or self._labels(self.split)
        for name, classes in self.config.heads.items():
            if (highest := max(learned[name].max(), tested[name].max())) >= classes:
                raise ClassifierError(
                    f"{self.folder}: {name} {highest} occurs, but dataset.json names {classes}: "
                    "convert the data set again."
                )
        known = {
            name: classes
            for name, classes in self.config.heads.items()
            if len(set(learned[name]) - {-1}) > 1 and tested[name].max() >= 0
        }
        if not known:
            raise ClassifierError(
                f"{self.folder}: {', '.join(self.config.heads)} of its videos are unknown, to learn "
                "from or to test by: a classifier needs labelled ones."
            )
        return known

    def _labels(self, split: str) -> dict[str, np.ndarray]:
        """Labels int `[N]` by head, in the order of the records."""
        shards = self.info.splits[split].shards
        records = tf.data.TFRecordDataset(
            [os.path.join(self.folder, shard.file) for shard in shards]
        )
        number = len(self.info.attribute_names)

        def labels(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parsed = parse_record(record)
            return parsed["label"], tf.ensure_shape(parsed["attributes"], [number])

        batches = records.map(labels, num_parallel_calls=tf.data.AUTOTUNE).batch(256)
        parts = list(batches.as_numpy_iterator())
        label, attributes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return {
            name: label if column < 0 else attributes[:, column]
            for name, column in self.columns.items()
        }

    def training_batches(self) -> tf.data.Dataset:
        """Soft clips, labels by head and their weights: 0 where unknown or held out."""
        config, shown = self.config, tf.constant(~self.held_out)
        batches = make_pipeline(
            self.folder,
            "train",
            config.batch_size,
            config.frames,
            config.stride,
            pick=self._pick(),
            seed=config.seed,
        )

        def prepare(step: tf.Tensor, batch: dict) -> tuple[tf.Tensor, dict, dict]:
            seed = tf.stack([tf.constant(config.seed, tf.int64), 3 * step])
            clips = softened(batch["video"], seed, **config.softening)
            labels = {name: self._column(batch, name) for name in self.heads}
            rows = tf.gather(shown, batch["index"])
            weights = {n: tf.cast((v >= 0) & rows, tf.float32) for n, v in labels.items()}
            return clips, {n: tf.maximum(v, 0) for n, v in labels.items()}, weights

        return batches.enumerate().map(prepare, num_parallel_calls=2).prefetch(2)

    def held_out_batches(self) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Held-out clips uint8 `[B, T, H, W, C]` and labels int `[B]` by head, each time the same.

        A random window of every video; of few and longer ones as many rounds as give
        `LEAST_WINDOWS`.
        """
        count, config = self.info.splits[self.split].count, self.config
        batches = make_pipeline(
            self.folder,
            self.split,
            min(BATCH_SIZES["frame"], count),
            config.frames,
            config.stride,
            pick=self._pick(),
            seed=1,
            shuffle=False,
        )
        left = self.rounds() * count
        for batch in batches.as_numpy_iterator():
            rows = np.arange(len(batch["video"])) < left
            left -= int(rows.sum())
            if self.split == "train":
                rows &= self.held_out[batch["index"]]
            if rows.any():
                labels = {name: self._column(batch, name)[rows] for name in self.heads}
                yield batch["video"][rows], labels
            if not left:
                return

    def rounds(self) -> int:
        """Windows of each held-out video."""
        chosen = self.info.splits[self.split]
        span = (self.config.frames - 1) * self.config.stride + 1
        return 1 if chosen.max_length == span else math.ceil(LEAST_WINDOWS / self.videos())

    def videos(self) -> int:
        """How many are held out."""
        own = int(self.held_out.sum()) if self.split == "train" else 0
        return own or self.info.splits[self.split].count

    def described(self) -> str:
        """What is held out, in words."""
        of = f"the {self.videos()} videos of the split {self.split!r}"
        if self.split == "train":
            total = len(self.held_out)
            of = f"{self.videos()} of {total} training videos, drawn by the seed 0, not trained on"
        noun = "frame" if self.config.kind == "frame" else "window"
        return f"{of}, {self.rounds()} random {noun}{'s' * (self.rounds() > 1)} each"

    def _pick(self) -> str:
        return "frame" if self.config.kind == "frame" else "window"

    def _column(self, batch: Mapping[str, Any], name: str):
        """The labels of a head in the pipeline's batches."""
        column = self.columns[name]
        return batch["label"] if column < 0 else batch["attributes"][:, column]


def drawn_videos(count: int, name: str) -> np.ndarray:
    """Which of so many videos are held out where there is no split for it: sorted indices.

    They are drawn and not every fourth, as videos often lie in an order that repeats.

    Raises:
        ClassifierError: there are too few.
    """
    if count < HELD_OUT_SHARE:
        raise ClassifierError(
            f"the data set {name!r} has {count} videos and no split to test on: a classifier needs "
            f"{HELD_OUT_SHARE} or more."
        )
    return np.sort(np.random.default_rng(0).permutation(count)[: count // HELD_OUT_SHARE])


def print_line(line: str) -> None:
    """Prints at once, into a file too."""
    print(line, flush=True)


def train_classifier(
    data: ClassifierData, report: Callable[[str], None] = print_line
) -> keras.Model:
    """A classifier that has learned from the training clips; its weights classifier in float32.

    Args:
        data: to learn from.
        report: is told the progress, a line at a time.

    Raises:
        ClassifierError: the training diverged.
    """
    config = data.config
    keras.utils.set_random_seed(config.seed)
    learner = config.make_classifier(data.heads, resolve_precision(config.precision))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, config.steps, warmup_target=config.learning_rate, warmup_steps=config.steps // 20
    )
    loss = {n: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for n in data.heads}
    learner.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=loss, jit_compile=False)

    def tell(batch: int, logs: Mapping[str, float]) -> None:
        if (batch + 1) % max(1, config.steps // 5) == 0:
            report(f"step {batch + 1} of {config.steps}: mean loss {logs['loss']:.4f}")

    progress = keras.callbacks.LambdaCallback(on_train_batch_end=tell)
    batches = data.training_batches().take(config.steps)
    learner.fit(
        batches, steps_per_epoch=config.steps, shuffle=False, verbose=0, callbacks=[progress]
    )
    weights = learner.get_weights()
    if not all(np.isfinite(each).all() for each in weights):
        raise ClassifierError(
            f"the classifier of {config.dataset} diverged in {config.steps} steps and is not kept: train it "
            "in precision='float32', or by another seed."
        )
    classifier = config.make_classifier(data.heads)
    classifier.set_weights(weights)
    return classifier


def measure_classifier(classifier: keras.Model, data: ClassifierData) -> ClassifierReport:
    """Tests a classifier on the held-out clips, as they are; they are streamed."""
    confusion = {name: np.zeros([size, size], int) for name, size in data.heads.items()}
    clips = 0
    for shown, labels in data.held_out_batches():
        answers = classifier.probabilities(shown)
        clips += len(shown)
        for name, values in labels.items():
            known = values >= 0
            told = answers[name].argmax(axis=1)
            np.add.at(confusion[name], (values[known], told[known]), 1)
    return ClassifierReport(confusion, clips, data.split, data.described())


BLUR = np.float32([1, 4, 6, 4, 1]) / 16


def softened(
    clips: tf.Tensor,
    seed: tf.Tensor,
    blur: float = 0.0,
    noise: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
) -> tf.Tensor:
    """Clips as a generator may make them: blurred, noisy, darker or brighter, each differently.

    Half of the clips are not blurred, and half are not noisy; all frames of a clip are changed
    alike, but for the noise, which every pixel has its own of.

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        seed: int `[2]`, of which everything follows.
        blur: largest share of the clip that is blurred by the kernel 1-4-6-4-1.
        noise: largest std of Gaussian noise.
        brightness: largest that is added or taken away.
        contrast: largest part of a pixel's value that is added or taken away.

    Returns:
        float32 in [-1, 1].
    """
    clips = as_floats(clips)
    shape, channels = tf.shape(clips), clips.shape[-1]
    some = tf.random.stateless_uniform([2, shape[0], 1, 1, 1, 1], seed, -1.0, 1.0)
    either = tf.random.stateless_uniform([2, shape[0], 1, 1, 1, 1], seed + 1, -1.0, 1.0)
    kernel = np.tile(np.outer(BLUR, BLUR)[:, :, None, None], [1, 1, channels, 1])
    flat = tf.reshape(clips, [-1, *clips.shape[2:]])  # [B * T, H, W, C]
    padded = tf.pad(flat, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    blurred = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    blurred = tf.reshape(blurred, [-1, *clips.shape[1:]])  # [B, T, H, W, C]
    clips += blur * tf.nn.relu(some[0]) * (blurred - clips)
    clips += noise * tf.nn.relu(some[1]) * tf.random.stateless_normal(shape, seed + 2)
    clips = clips * (1.0 + contrast * either[0]) + brightness * either[1]
    return tf.clip_by_value(clips, -1.0, 1.0)
