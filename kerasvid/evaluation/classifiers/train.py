"""Training of a classifier on the real clips of a data set, and its accuracy on held-out ones.

Training clips are blurred, noisy, and darker or brighter, a little, as clips of generators are:
H(y | x) should measure whether it is clear what they show, not whether a camera made them. The
accuracy is measured on unchanged clips.

Held out is the split on which runs are evaluated. If there is none, it is a quarter of the training
videos, drawn with a fixed seed. The classifier never learns from them.

An evaluation on training videos has a classifier that holds out one half of them: its features of
clips that it learned from are not those of new clips, so distances from them would be biased. The
real clips of such an evaluation are of the other half.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kerasvid.data import DatasetInfo, check_shards, load_info, make_pipeline
from kerasvid.data.pipeline import window_span
from kerasvid.data.pixels import as_floats
from kerasvid.data.shards import read_split
from kerasvid.evaluation.classifiers.networks import CLASSIFIERS
from kerasvid.training.config import digest_of, held_out_split, training_split
from kerasvid.training.devices import resolve_precision

STEPS = {"clip": 800, "frame": 1_200}
BATCH_SIZES = {"clip": 32, "frame": 64}
LEARNING_RATE = 2e-3
HELD_OUT_SHARE = 4  # one video in so many, where there is no held-out split
HALF = 2
MIN_WINDOWS = 256  # of held-out videos that are longer than a clip
# Upper bounds: blur as a share of the blurred clip, the others of pixels in [-1, 1].
SOFTENING = {"blur": 1.0, "noise": 0.05, "brightness": 0.05, "contrast": 0.05}
BLUR = np.array([1, 4, 6, 4, 1], np.float32) / 16


class ClassifierError(ValueError):
    """A classifier is not available, or not accurate enough."""


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """Everything that determines a classifier. Equal configs mean the same classifier.

    Args:
        dataset: Name of the data set in its description.
        data_digest: Digest of the training and held-out shards.
        kind: `"clip"` or `"frame"`.
        heads: Number of classes by name.
        image_shape: `(H, W, C)`.
        frames: T of a clip; 1 for a frame classifier.
        stride: Distance of two frames of a clip in the video.
        seed: Seed of weights, noise and the order of videos.
        steps, batch_size, learning_rate: Of the training.
        network: All further arguments of the classifier.
        softening: Arguments of `softened`.
        held_out_share: Held out is one training video in so many; 0 for the held-out split.
        precision: `"auto"` or a dtype policy of the training. The classifier then runs in float32.
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
    held_out_share: int
    precision: str

    def make_classifier(self, heads: Mapping[str, int], precision: str = "float32") -> keras.Model:
        """The network with new weights."""
        lengths = {"frames": self.frames} if self.kind == "clip" else {}
        kind: Any = CLASSIFIERS[self.kind]
        return kind(heads, self.image_shape, **lengths, **self.network, dtype=precision)


@dataclasses.dataclass(frozen=True)
class ClassifierReport:
    """Results of a classifier on held-out clips.

    Args:
        confusion: By head int `[K, K]`: rows are true classes, columns predicted ones.
        clips: Number of clips.
        held_out: Their description.
    """

    confusion: dict[str, np.ndarray]
    clips: int
    held_out: str

    @property
    def accuracy(self) -> dict[str, float]:
        """Share of correct answers among the clips with a known label, by head."""
        return {n: float(np.trace(c) / c.sum()) for n, c in self.confusion.items()}


def named_heads(info: DatasetInfo) -> dict[str, int]:
    """Number of classes by name: "action" and the attributes of a data set, or "label" alone."""
    label = "action" if info.attribute_names else "label"
    sizes = dict(zip(info.attribute_names, info.attribute_sizes, strict=True))
    heads = {label: len(info.class_names), **sizes}
    return {name: size for name, size in heads.items() if size > 1}


def held_out_share(info: DatasetInfo, split: str | None = None) -> int:
    """As in `ClassifierConfig`, of the classifier for an evaluation on clips of a split."""
    if split == "train":
        return HALF
    return 0 if held_out_split(info) else HELD_OUT_SHARE


def held_out_videos(count: int, share: int) -> np.ndarray:
    """Which of so many training videos are held out, one in `share`: bool `[count]` by index."""
    held_out = np.zeros(count, bool)
    # Drawn, not every fourth: videos often lie in an order that repeats.
    held_out[np.random.default_rng(0).permutation(count)[: count // share]] = True
    return held_out


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
    split: str | None = None,
) -> ClassifierConfig:
    """Resolves a config from the description of a data set.

    Args:
        info: The description.
        kind, stride, seed, precision: As in `ClassifierConfig`.
        frames: T of the training clips; a frame classifier always learns from single frames.
        steps, batch_size: Of the training; by default those of the kind.
        network: Further arguments of `ClipClassifier` or `FrameClassifier`.
        split: Split of the clips that are evaluated; `"train"` holds out half of its videos.

    Raises:
        ClassifierError: Unknown kind, clips longer than the videos, or a data set without names of
            classes and attributes.
    """
    if kind not in CLASSIFIERS:
        raise ClassifierError(f"kind={kind!r} is unknown. Use {' or '.join(CLASSIFIERS)}.")
    classifier: Any = CLASSIFIERS[kind]
    try:
        network = classifier.resolved(info.frame_shape, **(network or {}))
    except TypeError as error:
        name = classifier.__name__
        raise ClassifierError(f"argument network: {error}. Use arguments of {name}.") from error
    steps = STEPS[kind] if steps is None else steps
    batch_size = BATCH_SIZES[kind] if batch_size is None else batch_size
    frames, stride = (1, 1) if kind == "frame" else (frames, stride)
    if kind == "clip" and frames < 2:
        raise ClassifierError(f"frames={frames}: a clip has 2 or more. Use kind='frame' for one.")
    for name, value in dict(steps=steps, batch_size=batch_size, stride=stride, seed=seed).items():
        if value < (least := 0 if name == "seed" else 1):
            raise ClassifierError(f"{name}={value} is too small. Use {least} or more.")
    count, span = training_split(info).count, window_span(frames, stride)
    for name in filter(None, ("train", held_out_split(info))):
        if (shortest := info.splits[name].min_length) < span:
            raise ClassifierError(
                f"{info.name}: clips of {frames} frames with stride {stride} span {span}, but the "
                f"shortest video of {name!r} has {shortest}. Use fewer frames."
            )
    if not (heads := named_heads(info)):
        raise ClassifierError(
            f"{info.name} has no names of classes or attributes to learn. Use a labelled data set."
        )
    return ClassifierConfig(
        info.name, digest_of(info), kind, heads, info.frame_shape, frames, stride, seed, steps,
        min(batch_size, count), LEARNING_RATE, network, dict(SOFTENING),
        held_out_share(info, split), precision,
    )  # fmt: skip


class ClassifierData:
    """The labelled clips of a data set for training and testing a classifier.

    Raises:
        ClassifierError: No label is known in both parts, or there are too few videos to hold some
            out.
        DatasetError: The data set is absent or damaged.
    """

    def __init__(self, folder: str, config: ClassifierConfig):
        self.folder, self.config, self.info = folder, config, load_info(folder)
        check_shards(folder, self.info, deep=True)  # before labels are read from them
        share, count = config.held_out_share, self.info.splits["train"].count
        self.split = (not share and held_out_split(self.info)) or "train"
        self.held_out = np.zeros(count, bool)  # of the training videos, by index
        if share:
            if count < HELD_OUT_SHARE:
                raise ClassifierError(
                    f"{self.info.name} has {count} training videos, too few to hold some out. Use "
                    f"{HELD_OUT_SHARE} videos or more."
                )
            self.held_out = held_out_videos(count, share)
        self.videos = int(self.held_out.sum()) or self.info.splits[self.split].count
        self.heads = self._known_heads()  # with known labels in both parts
        # One window of each held-out video, or enough of longer videos for MIN_WINDOWS in total.
        span = window_span(config.frames, config.stride)
        whole = self.info.splits[self.split].max_length == span
        self.rounds = 1 if whole else math.ceil(MIN_WINDOWS / self.videos)

    def _known_heads(self) -> dict[str, int]:
        learned = self._labels("train")
        if self.split == "train":
            tested = {name: values[self.held_out] for name, values in learned.items()}
            learned = {name: values[~self.held_out] for name, values in learned.items()}
        else:
            tested = self._labels(self.split)
        known = {}
        for name, classes in self.config.heads.items():
            if len(set(learned[name]) - {-1}) > 1 and tested[name].max() >= 0:
                known[name] = classes
        if not known:
            raise ClassifierError(
                f"{self.folder}: no known labels of {', '.join(self.config.heads)} to learn from "
                "or to test on. Use a labelled data set."
            )
        return known

    def _labels(self, split: str) -> dict[str, np.ndarray]:
        """Labels int `[N]` by head, in the order of the records."""
        number = len(self.info.attribute_names)

        def labels(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            attributes = tf.ensure_shape(record["attributes"], [number])
            return {"label": record["label"], "attributes": attributes}

        batches = read_split(self.folder, self.info, split).map(labels).batch(256)
        parts = [self._by_head(batch, self.config.heads) for batch in batches.as_numpy_iterator()]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.config.heads}

    def _by_head(self, batch: Mapping[str, Any], heads: Iterable[str]) -> dict[str, Any]:
        names = self.info.attribute_names
        return {
            head: batch["attributes"][:, names.index(head)] if head in names else batch["label"]
            for head in heads
        }

    def _clips(self, split: str, batch_size: int, **options: Any) -> tf.data.Dataset:
        options |= {"pick": "frame" if self.config.kind == "frame" else "window"}
        cut = self.config.frames, self.config.stride
        return make_pipeline(self.folder, split, batch_size, *cut, **options)

    def training_batches(self) -> tf.data.Dataset:
        """Softened clips, labels by head and their weights: 0 for unknown or held-out ones."""
        config, learned = self.config, tf.constant(~self.held_out)

        def prepare(step: tf.Tensor, batch: dict) -> tuple[tf.Tensor, dict, dict]:
            seed = tf.stack([tf.constant(config.seed, tf.int64), 3 * step])
            clips = softened(batch["video"], seed, **config.softening)
            labels, rows = self._by_head(batch, self.heads), tf.gather(learned, batch["index"])
            weights = {n: tf.cast((v >= 0) & rows, tf.float32) for n, v in labels.items()}
            return clips, {n: tf.maximum(v, 0) for n, v in labels.items()}, weights

        batches = self._clips("train", config.batch_size, seed=config.seed, repeat=True)
        return batches.enumerate().map(prepare, num_parallel_calls=2).prefetch(2)

    def held_out_batches(self) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Held-out clips uint8 `[B, T, H, W, C]` and labels int `[B]` by head, always the same."""
        count = self.info.splits[self.split].count
        left = self.rounds * count
        size, options = min(BATCH_SIZES["frame"], count), {"shuffle": False, "repeat": True}
        batches = self._clips(self.split, size, seed=1, **options)
        for batch in batches.as_numpy_iterator():
            rows = np.arange(len(batch["video"])) < left
            left -= int(rows.sum())
            if self.split == "train":
                rows &= self.held_out[batch["index"]]
            if rows.any():
                labels = self._by_head(batch, self.heads)
                yield batch["video"][rows], {n: values[rows] for n, values in labels.items()}
            if not left:
                return

    def described(self) -> str:
        """A description of the held-out clips."""
        which = f"the {self.videos} videos of the split {self.split!r}"
        if self.split == "train":
            which = f"{self.videos} of {len(self.held_out)} training videos, drawn with seed 0"
        noun = "frame" if self.config.kind == "frame" else "window"
        return f"{which}, {self.rounds} random {noun}{'s' * (self.rounds > 1)} each"


def train_classifier(data: ClassifierData) -> keras.Model:
    """A classifier trained on the training clips; it runs in float32.

    Raises:
        ClassifierError: The training diverged.
    """
    config = data.config
    keras.utils.set_random_seed(config.seed)
    learner = config.make_classifier(data.heads, resolve_precision(config.precision))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, config.steps, warmup_target=config.learning_rate, warmup_steps=config.steps // 20
    )
    loss = {n: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for n in data.heads}
    learner.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=loss, jit_compile=False)
    title = f"{config.kind} classifier of {config.dataset}"
    with tqdm(total=config.steps, desc=title, unit="step", disable=None) as bar:

        def advance(batch: int, logs: Mapping[str, float]) -> None:
            bar.update()
            bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)

        progress = keras.callbacks.LambdaCallback(on_train_batch_end=advance)
        batches = data.training_batches().take(config.steps)
        learner.fit(batches, shuffle=False, verbose=0, callbacks=[progress])
    weights = learner.get_weights()
    if not all(np.isfinite(each).all() for each in weights):
        raise ClassifierError(
            f"The training of the classifier of {config.dataset} diverged within {config.steps} "
            "steps. Use precision='float32' or another seed."
        )
    classifier = config.make_classifier(data.heads)
    classifier.set_weights(weights)
    return classifier


def measure_classifier(classifier: keras.Model, data: ClassifierData) -> ClassifierReport:
    """Tests a classifier on the unchanged held-out clips, which are streamed."""
    confusion = {name: np.zeros([size, size], int) for name, size in data.heads.items()}
    count = 0
    for clips, labels in data.held_out_batches():
        answers = classifier.probabilities(clips)
        count += len(clips)
        for name, values in labels.items():
            known = values >= 0
            np.add.at(confusion[name], (values[known], answers[name].argmax(axis=1)[known]), 1)
    return ClassifierReport(confusion, count, data.described())


def softened(
    clips: tf.Tensor,
    seed: tf.Tensor,
    blur: float = 0.0,
    noise: float = 0.0,
    brightness: float = 0.0,
    contrast: float = 0.0,
) -> tf.Tensor:
    """float32 clips in [-1, 1] with some blur, noise and change of light.

    Half of the clips get no blur, and half get no noise. All frames of a clip change alike, except
    for the noise, which is independent in every pixel.

    Args:
        clips: uint8 `[B, T, H, W, C]`.
        seed: int `[2]`; the result depends on nothing else.
        blur: Largest share of the clip blurred by the kernel 1-4-6-4-1.
        noise: Largest std of the Gaussian noise.
        brightness: Largest offset of pixels.
        contrast: Largest relative change of pixels.
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
