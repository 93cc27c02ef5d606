"""What an evaluation looks at: the model of a run, real clips of its data, and their classifiers."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from kerasvid.data import DatasetInfo, load_info, make_pipeline
from kerasvid.data.pipeline import window_span
from kerasvid.data.shards import hash_file
from kerasvid.evaluation.classifiers.store import TrainedClassifier, trained_classifier
from kerasvid.evaluation.generated_clips import generated_clips, infilled_clips
from kerasvid.evaluation.metrics.intervals import GROUPS, NORMAL, Interval
from kerasvid.evaluation.report import Measured
from kerasvid.models.base.averaging import ema_ready, inner_optimizer
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.clips import with_fixed_buffers
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.training.run_folder import RunFolder

MOST_CLIPS = 2048  # of each set, where it is not told how many
LEVEL = "95 %"
OF_CLIPS = f"{LEVEL}, of a mean over clips: Poisson bootstrap, 1000 replicates"
OF_ANSWERS = f"{LEVEL}: Poisson bootstrap over clips, 1000 replicates around the value"
OF_RATIO = f"{LEVEL}: bootstrap over the clips of each set, 1000 replicates around the value"

OF_REAL = {"of": "real clips"}
OF_VARIETY = f"{LEVEL}, of a mean over groups of clips: Poisson bootstrap, 1000 replicates"


def of_groups(clips: int) -> str:
    """How the interval of a distance of sets of so many clips is made."""
    jackknife = f"jackknife of {min(GROUPS, clips)} groups of clips in each set"
    return f"{LEVEL}, value ± 1.96 stds: {jackknife}"


class NotMeasurable(ValueError):
    """A model, or its data, cannot give a metric; one line that says why."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate; all of it stands in the protocol.

    Args:
        num: clips of each set; `None` for as many as there are, 2,048 at most.
        split: of the real clips; `None` for the held-out one.
        seed: of the order of real clips, of what is generated and of intervals.
        frames: T of a clip; `None` for that of the training clips.
        windows: random windows of each real video; 1 is a clip a video.
        batch: clips that go through the model at a time; changes no clip.
        classifier_dir: where classifiers are kept.
        classifier_of: of a kind, `"clip"` or `"frame"`, to the classifier to take; `None` for the one that
            `trained_classifier` keeps, which trains it on first use.
        i3d_weights: as `I3DFeatures` takes them; `None` for no FVD.
        padding: of clips that are too short for I3D.
        vgg_weights: as `VGG16Features` takes them; `None` for no MCS.

    Raises:
        ValueError: a number is out of its range.
    """

    num: int | None = None
    split: str | None = None
    seed: int = 0
    frames: int | None = None
    windows: int = 1
    batch: int = 32
    classifier_dir: str | os.PathLike = "classifiers"
    classifier_of: Callable[[str], TrainedClassifier] | None = None
    i3d_weights: Any = None
    padding: str | None = None
    vgg_weights: Any = None

    def __post_init__(self) -> None:
        least = {"num": 2, "seed": 0, "frames": 1, "windows": 1, "batch": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"{name}={value} must be {bound} or more.")


class EvaluationContext:
    """A model and its data, of which metrics take what they need.

    Args:
        model: of the run.
        config: of the run; `data_folder` is where the data lies now.
        choices: how to evaluate.
        step: at which the weights were saved.
        averaged: whether they are the moving average of the trained ones.
        saved: SHA-256 of the file that they are of, if they are.

    Raises:
        ValueError: there is no such split, or its videos are shorter than a clip.

    Example:
        >>> context = EvaluationContext.of_run(RunFolder("runs/dsa-sprites"), None, EvaluationConfig(num=512))
        >>> frechet_video_distance(context.real(512), context.generated(512), features, 512, "test")
    """

    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        choices: EvaluationConfig,
        step: int,
        averaged: bool,
        saved: str = "",
    ):
        self.model, self.config, self.choices = model, config, choices
        self.step, self.averaged, self.saved = step, averaged, saved
        self.info: DatasetInfo = load_info(config.data_folder)
        self.frames = config.frames if choices.frames is None else choices.frames
        self.seed, self.batch = choices.seed, choices.batch
        self.split = choices.split or held_out_split(self.info)
        if self.split is None:
            raise ValueError(
                f"the data set {config.dataset} has no held-out split: give --split=train to measure "
                "on what was trained on; the result tells so."
            )
        if self.split not in self.info.splits:
            known = ", ".join(self.info.splits)
            raise ValueError(f"--split={self.split}: {config.dataset} has {known}.")
        self._check_length()
        self._classifiers: dict[str, TrainedClassifier] = {}

    @classmethod
    def of_run(
        cls, run: RunFolder, config: RunConfig | None, choices: EvaluationConfig
    ) -> "EvaluationContext":
        """The model of a finished run, or of its newest checkpoint, in the run's precision.

        Raises:
            RunError: there is no run, or it has saved nothing yet.
        """
        config = run.load_config() if config is None else config
        model, source = run.load_model()
        averaged = bool(inner_optimizer(model).use_ema and ema_ready(model))
        saved, _ = hash_file(os.fspath(source))
        return cls(model, config, choices, max(saved_step(source), 0), averaged, saved)

    # === Real clips ===

    def _check_length(self) -> None:
        shortest, span = self.info.splits[self.split].min_length, self.span
        if shortest < span:
            raise ValueError(
                f"clips of {self.frames} frames with stride {self.config.training.stride} span {span}, "
                f"but the shortest video of {self.split!r} has {shortest}: give fewer --frames."
            )
        starts = shortest - span + 1
        if self.choices.windows > starts:
            raise ValueError(
                f"--windows={self.choices.windows}: the shortest video of {self.split!r} has "
                f"{shortest} frames, and {starts} windows of {self.frames}; give {starts} or fewer."
            )

    @property
    def span(self) -> int:
        """Frames of a video that a clip needs."""
        return window_span(self.frames, self.config.training.stride)

    @property
    def pick(self) -> str:
        """Which frames of a real video are a clip: `"start"` where it was trained on these."""
        of_start = self.config.training.pick == "start" and self.choices.windows == 1
        return "start" if of_start else "window"

    def count(self, split: str | None = None) -> int:
        """Clips of each set: as many as were asked for, if there are.

        Raises:
            ValueError: there are fewer; one line with what to do.
        """
        split = split or self.split
        videos, windows, num = self.info.splits[split].count, self.choices.windows, self.choices.num
        there = videos * windows
        if num is None:
            return min(there, MOST_CLIPS)
        if num > there:
            fitting = math.ceil(num / videos)
            raise ValueError(
                f"--num={num}: the split {split!r} of {self.config.dataset} has {there} clips, which "
                f"are not repeated to fill up: ask for {there} or fewer, measure on another "
                f"--split, or take --windows={fitting} random windows of each video."
            )
        return num

    @property
    def cut_once(self) -> bool:
        """Whether a video of training makes one clip alone."""
        return self.config.training.pick == "start" or self.span == self._longest("train")

    def _longest(self, split: str) -> int:
        return self.info.splits[split].max_length

    def labelled(self, split: str | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Batches of the pipeline: all clips of a split, in an order that follows from the seed."""
        return self._batches(split or self.split, self.pick, self.choices.windows)

    def real(self, split: str | None = None) -> Iterator[np.ndarray]:
        """The clips of `labelled`, uint8 `[N, T, H, W, C]`."""
        return (each["video"] for each in self.labelled(split))

    def training(self, windows: int) -> Iterator[np.ndarray]:
        """Clips of training, uint8 `[N, T, H, W, C]`, so many random windows of each video."""
        pick = "window" if windows > 1 else self.config.training.pick
        return (each["video"] for each in self._batches("train", pick, windows))

    def _batches(self, split: str, pick: str, windows: int) -> Iterator[dict[str, np.ndarray]]:
        left = self.info.splits[split].count * windows
        batches = make_pipeline(
            self.config.data_folder, split, min(self.batch, self.info.splits[split].count),
            self.frames, self.config.training.stride, pick,
            seed=self.seed, repeat=windows > 1, drop_remainder=windows > 1,
        )  # fmt: skip
        for each in with_fixed_buffers(batches):
            yield {name: value.numpy()[:left] for name, value in each.items()}
            left -= len(each["video"])
            if left <= 0:
                return

    # === The model's ===

    @property
    def infills(self) -> bool:
        """Whether the model makes the video between two frames, and none of noise alone."""
        return hasattr(self.model, "between")

    def generated(self, temperature: float = 1.0) -> Iterator[np.ndarray]:
        """What the model makes, uint8 `[N, T, H, W, C]`: of noise, or between real clips' ends."""
        if self.infills:
            return infilled_clips(self.model, self.real(), self.batch, self.seed, temperature)
        return generated_clips(self.model, self.batch, self.frames, self.seed)

    @property
    def making(self) -> dict[str, Any]:
        """The part of a protocol that tells how clips are generated."""
        between = "between the first and the last frame of the real clips"
        return {"of": "generated clips", "made": between if self.infills else "of noise",
                "temperature": 1.0}  # fmt: skip

    # === Classifiers ===

    def classifier(
        self, kind: str = "clip", min_accuracy: float | None = None
    ) -> TrainedClassifier:
        """The classifier of the data set, trained if there is none yet.

        Raises:
            ClassifierError: none can be had, or none that is good enough.
            ValueError: the given one is of other classes or frames.
        """
        if kind not in self._classifiers:
            self._classifiers[kind] = self._given_classifier(kind) or trained_classifier(
                self.config.data_folder,
                kind,
                self.frames,
                self.choices.classifier_dir,
                stride=self.config.training.stride,
            )
        self._classifiers[kind].require(min_accuracy)
        return self._classifiers[kind]

    def _given_classifier(self, kind: str) -> TrainedClassifier | None:
        classifier = self.choices.classifier_of(kind) if self.choices.classifier_of else None
        if classifier is None:
            return None
        classes = self.heads()
        for name, number in classifier.heads.items():
            if classes.get(name) != number:
                told = ", ".join(f"{n} ({k} classes)" for n, k in classes.items()) or "no classes"
                raise ValueError(
                    f"a classifier of {name} ({number} classes) cannot classifier {self.config.dataset}, which "
                    f"has {told}: take one that was trained on {self.config.dataset}."
                )
        if kind == "clip" and classifier.model.frames > self.frames:
            raise ValueError(
                f"clips of {self.frames} frames are too short for a classifier of "
                f"{classifier.model.frames}: give --frames={classifier.model.frames} or take another classifier."
            )
        return classifier

    def heads(self) -> dict[str, int]:
        """What the data set names, by the names that classifiers have for it, and how many classes."""
        label = "action" if self.info.attribute_names else "label"
        sizes = zip(self.info.attribute_names, self.info.attribute_sizes, strict=True)
        classes = {label: len(self.info.class_names), **dict(sizes)}
        return {name: number for name, number in classes.items() if number > 1}

    # === What is told ===

    @functools.cached_property
    def protocol(self) -> dict[str, Any]:
        """What all values of this evaluation have in common."""
        config, windows = self.config, self.choices.windows
        clip = "the first frames" if self.pick == "start" else "a random window"
        if self.span == self._longest(self.split):
            clip = "the whole"
        many = f"{windows} random windows, which may overlap: intervals are too narrow"
        return {
            "model": config.model,
            "dataset": config.dataset,
            "data_digest": config.data_digest,
            "step": self.step,
            "weights": "averaged" if self.averaged else "trained",
            "saved": self.saved[:16],
            "precision": config.precision,
            "split": self.split,
            "image_shape": list(self.info.frame_shape),
            "frames": self.frames,
            "stride": config.training.stride,
            "clip_of_a_video": clip if windows == 1 else many,
            "order": f"shuffled by seed {self.seed}",
            "seed": self.seed,
            "pixels": "uint8",
        }

    def reported(
        self, name: str, value: Interval, better: str | None, how: str = OF_CLIPS, **protocol: Any
    ) -> Measured:
        """A value with its interval and protocol.

        Args:
            name, better: as `Measured`.
            value: with its interval; it is a mean over clips, whose std is told, too, unless
                `how` is another.
            how: the interval was made.
            **protocol: the value's own, beside what all have in common.
        """
        spread = value.std if how == OF_CLIPS else None
        return Measured(
            name, float(value.mean), value.low, value.high, spread, value.count, better,
            {**self.protocol, **protocol, "interval": how},
        )  # fmt: skip

    def reported_alone(
        self,
        name: str,
        value: float,
        better: str | None,
        clips: int,
        error: float | None = None,
        least: float = -math.inf,
        std: float | None = None,
        **protocol: Any,
    ) -> Measured:
        """A number that is no mean, with its protocol.

        Args:
            name, better, clips, std: as `Measured`.
            value: the number.
            error: its std by the jackknife, or `None` where it has none.
            least: that it can be.
            **protocol: the value's own.
        """
        low, high, how = None, None, None
        if error is not None and math.isfinite(value):
            half, how = NORMAL * error, of_groups(clips)
            low, high = max(value - half, least), value + half
        facts = {**self.protocol, **protocol, "interval": how}
        return Measured(name, float(value), low, high, std, clips, better, facts)


def with_classifier(
    classifier: TrainedClassifier, told: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The part of a protocol that tells a classifier."""
    return {"classifier": {**classifier.protocol(), **(told or {})}}
