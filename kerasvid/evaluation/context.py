"""What an evaluation works on: a model, real clips of its data, generated clips and classifiers."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasvid.data import DatasetInfo, load_info
from kerasvid.data.pipeline import window_span
from kerasvid.data.shards import hash_file, shortest_video
from kerasvid.evaluation.classifiers.store import TrainedClassifier, trained_classifier
from kerasvid.evaluation.classifiers.train import HALF, held_out_videos
from kerasvid.evaluation.generated_clips import generated_clips, infilling
from kerasvid.evaluation.metrics.fvd import ClipFeatures, clip_features
from kerasvid.evaluation.metrics.intervals import GROUPS, NORMAL, Interval
from kerasvid.evaluation.report import Measured
from kerasvid.io import atomic_write, cache_folder
from kerasvid.models.base.averaging import ema_ready
from kerasvid.models.base.categories import class_count
from kerasvid.models.base.in_between import InBetween
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.clips import with_fixed_buffers
from kerasvid.training.config import RunConfig, digest_of, held_out_split
from kerasvid.training.run_folder import RunFolder

MAX_CLIPS = 2048  # of each set, by default
# How a value's interval was made, for its protocol.
OF_CLIPS = "95 %, mean over clips: Poisson bootstrap, 1000 replicates"
OF_GROUPS = "95 %, mean over groups of clips: Poisson bootstrap, 1000 replicates"
OF_ANSWERS = "95 %: Poisson bootstrap over clips, 1000 replicates centred on the value"
OF_RATIO = "95 %: bootstrap over the clips of each set, 1000 replicates centred on the value"
CACHE_VERSION = 1  # of stored features; another one is not read


class NotMeasurable(ValueError):
    """The model or its data does not support a metric."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate.

    Args:
        num: Clips of each set; `None` for all, at most 2,048.
        split: Split of the real clips; `None` for the held-out one.
        seed: Seed of the order of real clips, of generation and of the intervals.
        frames: T of a clip; `None` for the length of the training clips.
        windows: Random windows of each real video. With 1, each video gives one clip.
        batch: Clips in one pass through the model. No clip depends on it.
        classifier_dir: Folder of the trained classifiers; missing ones are trained.
        i3d_weights: Weights for `I3DFeatures`, such as `"auto"`; `None` leaves out FVD.
        padding: Padding of clips that are too short for I3D.
        vgg_weights: Weights for `VGG16Features`; `None` leaves out MCS.
        inception_weights: Weights for `InceptionFeatures`; `None` for the frame classifier.

    Raises:
        ValueError: A number is out of range.
    """

    num: int | None = None
    split: str | None = None
    seed: int = 0
    frames: int | None = None
    windows: int = 1
    batch: int = 32
    classifier_dir: str | os.PathLike = "classifiers"
    i3d_weights: Any = None
    padding: str | None = "mirror"
    vgg_weights: Any = None
    inception_weights: Any = None

    def __post_init__(self) -> None:
        for name, bound in dict(num=2, seed=0, frames=1, windows=1, batch=1).items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"{name}={value} is too small. Use {bound} or more.")


class EvaluationContext:
    """A model and its data. Metrics take what they need from it.

    Args:
        model: The model.
        config: The run's config; its `data_folder` is where the data is now.
        evaluation_config: How to evaluate.
        step: Training step of the weights.
        averaged: Whether the weights are the moving average of the trained ones.
        saved: SHA-256 of the model file, if there is one.

    Raises:
        ValueError: There is no such split, or its videos are shorter than a clip.
        DatasetError: The data is absent, or not that of the run.

    Example:
        >>> run = RunFolder("runs/dsa-sprites")
        >>> context = EvaluationContext.of_run(run, None, EvaluationConfig(num=512))
        >>> frechet_video_distance(context.real(), context.generated(), features, 512)
    """

    def __init__(
        self,
        model: Any,
        config: RunConfig,
        evaluation_config: EvaluationConfig,
        step: int,
        averaged: bool,
        saved: str = "",
    ):
        self.model, self.config, self.evaluation_config = model, config, evaluation_config
        self.step, self.averaged, self.saved = step, averaged, saved
        self.info: DatasetInfo = load_info(config.data_folder)
        config.check_data(self.info)
        self.frames = evaluation_config.frames or config.frames
        self.seed, self.batch = evaluation_config.seed, evaluation_config.batch
        self.windows = evaluation_config.windows
        self.split = self._known_split(evaluation_config.split or held_out_split(self.info))
        self.span = window_span(self.frames, config.training.stride)  # frames of a video in a clip
        self._classifiers: dict[str, TrainedClassifier] = {}
        self._check_lengths()

    @classmethod
    def of_run(
        cls, run: RunFolder, config: RunConfig | None, evaluation_config: EvaluationConfig
    ) -> "EvaluationContext":
        """The model of a finished run, or of its newest checkpoint, in the run's precision.

        Raises:
            RunError: There is no run, or it has saved nothing yet.
        """
        config = run.load_config() if config is None else config
        model, source = run.load_model()
        averaged = ema_ready(model)
        saved, _ = hash_file(os.fspath(source))
        return cls(model, config, evaluation_config, max(saved_step(source), 0), averaged, saved)

    # === Real clips ===

    def _known_split(self, split: str | None) -> str:
        name, known = self.config.dataset, ", ".join(self.info.splits)
        if split is None:
            raise ValueError(
                f"{name} has no held-out split. Use --split=train to measure on training videos."
            )
        if split not in self.info.splits:
            raise ValueError(f"--split={split}: {name} has no such split. Use one of {known}.")
        return split

    def _check_lengths(self) -> None:
        shortest, folder = self.info.splits[self.split].min_length, self.config.data_folder
        if shortest < self.span:
            raise ValueError(
                f"--frames={self.frames}: clips with stride {self.config.training.stride} span "
                f"{self.span} frames, but the shortest video of {self.split!r} has {shortest}. "
                f"Use fewer --frames.{shortest_video(folder, self.info, self.split, self.span)}"
            )
        if self.windows > (most := shortest - self.span + 1):
            raise ValueError(
                f"--windows={self.windows}: the shortest video of {self.split!r} has {shortest} "
                f"frames, enough for {most} windows of {self.frames}. Use {most} or fewer."
            )

    @property
    def pick(self) -> str:
        """How a clip is cut from a real video: as in training, or a random window of several."""
        of_start = self.config.training.pick == "start" and self.windows == 1
        return "start" if of_start else "window"

    @functools.cached_property
    def unseen(self) -> np.ndarray | None:
        """Which videos of the split the classifiers have not learned from: bool `[videos]`.

        `None` for all, those of a held-out split. Of the training split it is one half.
        """
        if self.split != "train":
            return None
        return held_out_videos(self.info.splits["train"].count, HALF)

    def _chosen(self, split: str | None, unseen: bool) -> tuple[str, np.ndarray | None]:
        """A split, and which of its videos; `None` for all."""
        split = split or self.split
        return split, self.unseen if unseen and split == self.split else None

    def count(self, split: str | None = None, unseen: bool = False) -> int:
        """Number of clips of each set.

        Args:
            split: The split; `None` for that of the evaluation.
            unseen: Of the videos of `unseen` alone, if these are fewer than requested.

        Raises:
            ValueError: The split has fewer clips than requested.
        """
        (split, chosen), num = self._chosen(split, unseen), self.evaluation_config.num
        videos = self.info.splits[split].count if chosen is None else int(chosen.sum())
        available = videos * self.windows
        if num is None or (chosen is not None and num > available):
            return min(available, MAX_CLIPS)
        if num > available:
            raise ValueError(
                f"--num={num}: the split {split!r} of {self.config.dataset} has {available} clips. "
                f"Use {available} or fewer, --windows={math.ceil(num / videos)} or another --split."
            )
        return num

    def labelled(
        self, split: str | None = None, unseen: bool = False
    ) -> Iterator[dict[str, np.ndarray]]:
        """Batches of all clips of a split with their labels, in an order given by the seed.

        Args:
            split, unseen: As in `count`.
        """
        split, chosen = self._chosen(split, unseen)
        return _among(self._batches(split, self.pick, self.windows), chosen)

    def real(self, split: str | None = None, unseen: bool = False) -> Iterator[np.ndarray]:
        """The clips of `labelled`, uint8 `[N, T, H, W, C]`."""
        return (each["video"] for each in self.labelled(split, unseen))

    def videos(
        self, split: str | None = None, unseen: bool = False, count: int | None = None
    ) -> np.ndarray:
        """The video of each clip of `real`, int `[N]`; only which are equal has a meaning.

        Args:
            split, unseen: As in `count`.
            count: N; `None` for `count(split, unseen)`.
        """
        count = self.count(split, unseen) if count is None else count
        if self.windows == 1:
            return np.arange(count)
        split, chosen = self._chosen(split, unseen)
        # The order of videos does not depend on the frames of a clip.
        batches = _among(self._batches(split, "frame", self.windows), chosen)
        return np.concatenate([each["index"] for each in batches])[:count]

    def labels(self, unseen: bool = False) -> np.ndarray | None:
        """The label of each clip of `real`, int `[N]`; `None` for a model without classes."""
        if not class_count(self.model):
            return None
        split, chosen = self._chosen(None, unseen)
        batches = _among(self._batches(split, "frame", self.windows), chosen)
        return np.concatenate([each["label"] for each in batches])

    def training(self, windows: int) -> Iterator[np.ndarray]:
        """Training clips, uint8 `[N, T, H, W, C]`, with so many random windows of each video."""
        pick = "window" if windows > 1 else self.config.training.pick
        return (each["video"] for each in self._batches("train", pick, windows))

    def _batches(self, split: str, pick: str, windows: int) -> Iterator[dict[str, np.ndarray]]:
        videos, many = self.info.splits[split].count, windows > 1
        batches = self.config.clips(
            split, batch_size=min(self.batch, videos), frames=self.frames, pick=pick,
            seed=self.seed, repeat=many, drop_remainder=many,
        )  # fmt: skip
        left = videos * windows
        for each in with_fixed_buffers(batches):
            yield {name: value.numpy()[:left] for name, value in each.items()}
            left -= len(each["video"])
            if left <= 0:
                return

    # === Generated clips ===

    @property
    def infills(self) -> bool:
        """Whether the model needs the first and last frames of real clips."""
        return isinstance(self.model, InBetween)

    def generated(self, unseen: bool = False) -> Iterator[np.ndarray]:
        """Generated clips uint8 `[N, T, H, W, C]`, from noise or between frames of `real`."""
        if self.infills:
            fill = infilling(self.model, self.batch, self.seed, labels=self.labels(unseen))
            return map(fill, self.real(unseen=unseen))
        return generated_clips(self.model, self.batch, self.frames, self.seed)

    def generated_videos(self, unseen: bool = False) -> np.ndarray | None:
        """As `videos`, of the clips of `generated`; `None` if each is of its own."""
        return self.videos(unseen=unseen) if self.infills else None

    # === Features ===

    def real_features(self, features: ClipFeatures, unseen: bool = False) -> np.ndarray:
        """The features float32 `[N, D]` of real clips.

        Slow ones are kept in the cache folder, by a digest of everything that they depend on. A
        damaged file is made again.
        """
        count, shape = self.count(unseen=unseen), (self.frames, *self.info.frame_shape)
        if not features.slow:
            return clip_features(self.real(unseen=unseen), features, count, "real", shape)[0]
        names = ("split_digest", "split", "frames", "stride", "clip_of_a_video", "seed")
        facts = {name: self.protocol[name] for name in names} | features.protocol(self.frames)
        facts |= {"pick": self.pick, "count": count, "unseen": unseen, "version": CACHE_VERSION}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        path = cache_folder() / "features" / f"{digest[:32]}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                found = file["features"]
            if found.ndim == 2 and len(found) == count and np.isfinite(found).all():
                return found
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            pass  # none, or damaged
        found, _ = clip_features(self.real(unseen=unseen), features, count, "real", shape)
        with contextlib.suppress(OSError):  # the cache is a convenience
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                np.savez(temporary, features=found)
        return found

    def generated_features(self, features: ClipFeatures, unseen: bool = False) -> np.ndarray:
        """The features float32 `[N, D]` of as many generated clips."""
        shape = (self.frames, *self.info.frame_shape)
        count, clips = self.count(unseen=unseen), self.generated(unseen)
        return clip_features(clips, features, count, "generated", shape)[0]

    @property
    def making(self) -> dict[str, Any]:
        """The part of a protocol about generation."""
        between = "between the first and the last frames of the real clips"
        made = between if self.infills else "from noise"
        return {"of": "generated clips", "made": made, "temperature": 1.0}

    # === Classifiers ===

    def classifier(self, kind: str, min_accuracy: float | None = None) -> TrainedClassifier:
        """The classifier of the data set. A missing one is trained.

        It has not learned from the real clips of `unseen`.

        Raises:
            ClassifierError: There is no classifier, or its accuracy is too low.
        """
        if kind not in self._classifiers:
            folder, stride = self.config.data_folder, self.config.training.stride
            stored = self.evaluation_config.classifier_dir
            classifier = trained_classifier(
                folder, kind, self.frames, stored, stride=stride, split=self.split
            )
            self._classifiers[kind] = classifier
        self._classifiers[kind].require(min_accuracy)
        return self._classifiers[kind]

    # === Values ===

    @functools.cached_property
    def protocol(self) -> dict[str, Any]:
        """The common part of the protocols of all values."""
        config = self.config
        clip = "the first frames" if self.pick == "start" else "a random window"
        if self.span == self.info.splits[self.split].max_length:
            clip = "the whole"
        if self.windows > 1:
            clip = f"{self.windows} random windows, which may overlap"
        return {
            "model": config.model,
            "dataset": config.dataset,
            "data_digest": digest_of(self.info),
            "split_digest": digest_of(self.info, [self.split]),
            "step": self.step,
            "weights": "averaged" if self.averaged else "trained",
            "saved": self.saved[:16],
            "precision": config.precision,
            "split": self.split,
            "image_shape": list(self.info.frame_shape),
            "frames": self.frames,
            "stride": config.training.stride,
            "clip_of_a_video": clip,
            "order": f"shuffled by seed {self.seed}",
            "seed": self.seed,
            "pixels": "uint8",
        }

    def reported(
        self, name: str, value: Interval, better: str | None, how: str = OF_CLIPS, **protocol: Any
    ) -> Measured:
        """A value with its interval and protocol.

        Args:
            name, better: As in `Measured`.
            value: The value with its interval.
            how: How the interval was made. A mean over clips also reports their std.
            **protocol: The value's own part of the protocol.
        """
        std = value.std if how == OF_CLIPS else None
        facts = {**self.protocol, **protocol, "interval": self._by_video(how)}
        return Measured(name, value.mean, value.low, value.high, std, value.size, better, facts)

    def reported_alone(
        self,
        name: str,
        value: float,
        better: str | None,
        clips: int,
        error: float | None = None,
        least: float = -math.inf,
        most: float = math.inf,
        std: float | None = None,
        **protocol: Any,
    ) -> Measured:
        """A value that is not a mean over clips, with its protocol, as in `reported`.

        Args:
            error: Its standard error by the jackknife, or `None`.
            least, most: Lowest and highest possible value, bounds of the interval.
        """
        low, high, how = None, None, None
        if error is not None and math.isfinite(value):
            low, high = max(value - NORMAL * error, least), min(value + NORMAL * error, most)
            how = f"95 %, value ± 1.96 std: jackknife of up to {GROUPS} groups of clips in each set"
            how = self._by_video(how)
        facts = {**self.protocol, **protocol, "interval": how}
        return Measured(name, float(value), low, high, std, clips, better, facts)

    def _by_video(self, how: str) -> str:
        """How an interval was made, with what it does to several windows of a video."""
        return how if self.windows == 1 else f"{how}; all windows of a video together"


def _among(
    batches: Iterator[dict[str, np.ndarray]], chosen: np.ndarray | None
) -> Iterator[dict[str, np.ndarray]]:
    """The rows of batches that are of chosen videos, bool by index; all if there is no choice."""
    for each in batches:
        rows = slice(None) if chosen is None else chosen[each["index"]]
        if len(each["index"][rows]):
            yield {name: value[rows] for name, value in each.items()}
