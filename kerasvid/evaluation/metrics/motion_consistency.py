"""MCS, the relative motion consistency score: do clips change as real ones do?

Aich et al., "Non-Adversarial Video Synthesis with Learned Priors", CVPR 2020, section 4.1: with
frames as features of VGG16 at relu3_3, and the differences of consecutive frames' features averaged
over a set of videos, f of real and f' of generated ones,

    MCS = log10(|f - f'|^2)

Lower is better. Sets of equal means have the squared distance 0, whose logarithm is -inf (the
paper's tables print this bound as 0.0). The paper leaves open

- whether differences keep their signs. They do here, as written; but then a clip's mean is its last
  frame minus its first. `differences="absolute"` averages absolute values instead, and measures how
  much changes at each position;
- the size of frames. Frames keep their size, 32x32 pixels or more for VGG16. The score grows with
  the number of positions, so compare equal sizes only.
"""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.clip_batches import as_signed, counted_clips
from kerasvid.evaluation.metrics.imagenet import imagenet_network
from kerasvid.evaluation.metrics.intervals import jackknife_standard_error, video_ranks
from kerasvid.training.devices import over_devices

DIFFERENCES = ("signed", "absolute")
LAYER = "block3_conv3"  # with its ReLU: relu3_3
MIN_SIZE = 32
# Of ImageNet, in the order blue, green, red and levels of 0 to 255, with which VGG16 was trained.
MEANS = (103.939, 116.779, 123.68)


class MotionConsistency(NamedTuple):
    """The score of two sets of clips.

    Args:
        score: log10 of the squared distance, -inf for 0.
        squared_distance: |f - f'|^2 of the mean differences.
        std: Of the score, by the jackknife of groups; `None` without groups, or at a score of -inf.
    """

    score: float
    squared_distance: float
    std: float | None


class VGG16Features:
    """A function of frames to VGG16's relu3_3, with the preprocessing of its training.

    Args:
        weights: As in `imagenet_network`; random ones have no meaning.

    Raises:
        ValueError: The weights cannot be downloaded or read, or frames of a call are too small or
            have other channels.

    Example:
        >>> VGG16Features()(frames).shape  # [N, 64, 64, 3]
        (N, 16, 16, 256)
    """

    def __init__(self, weights: str | os.PathLike | None = "imagenet"):
        file = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
        make, shape = keras.applications.VGG16, (None, None, 3)
        whole = imagenet_network(make, weights, file, input_shape=shape)
        self.network = keras.Model(whole.input, whole.get_layer(LAYER).output)
        self._features = over_devices(self._preprocessed_features, reduce_retracing=True)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """float32 `[N, H // 4, W // 4, 256]` of frames `[N, H, W, C]` in [-1, 1], C 1 or 3."""
        if min(frames.shape[1:3]) < MIN_SIZE or frames.shape[-1] not in (1, 3):
            raise ValueError(
                f"Frames of {tuple(frames.shape[1:])}: VGG16 needs grey or RGB frames of "
                f"{MIN_SIZE}x{MIN_SIZE} or more."
            )
        return self._features(tf.constant(frames)).numpy()

    def _preprocessed_features(self, frames: tf.Tensor) -> tf.Tensor:
        frames = frames if frames.shape[-1] == 3 else tf.repeat(frames, 3, axis=-1)
        return self.network((frames[..., ::-1] + 1.0) * 127.5 - tf.constant(MEANS))


def motion_consistency_score(
    real_batches: Iterable[np.ndarray],
    generated_batches: Iterable[np.ndarray],
    features: Callable[[np.ndarray], np.ndarray],
    clips: int | None = None,
    differences: str = "signed",
    groups: int = 1,
    real_videos: np.ndarray | None = None,
    generated_videos: np.ndarray | None = None,
) -> MotionConsistency:
    """MCS of generated clips to real ones, which are streamed.

    Args:
        real_batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1]; T at least 2.
        generated_batches: The same T, H, W and C.
        features: Function of float32 frames `[N, H, W, C]` in [-1, 1] to `[N, ...]`.
        clips: Number of clips of each set; `None` for all.
        differences: `"signed"` or `"absolute"`.
        groups: Number of groups of each set for the std of the score; 1 for no std. Clips must not
            be sorted. The memory is that of the mean differences of the groups.
        real_videos, generated_videos: The video of each clip, as in `video_ranks`; all clips of a
            video are in one group.

    Raises:
        ValueError: Too few clips, clips of different shapes or of one frame, or pixels or features
            that are not finite.

    Example:
        >>> motion_consistency_score(real, generated, VGG16Features("vgg16_notop.h5")).score
    """
    if differences not in DIFFERENCES:
        raise ValueError(f"differences={differences!r}: use {' or '.join(DIFFERENCES)}.")
    real = _MeanDifference(features, differences, groups, real_videos)
    real.update(counted_clips(real_batches, clips, "real", min_frames=2))
    generated = _MeanDifference(features, differences, groups, generated_videos)
    generated.update(counted_clips(generated_batches, clips, "generated", 2, real.shape))
    apart = float(np.sum(np.square(real.mean() - generated.mean())))
    return MotionConsistency(_log(apart), apart, _std(real, generated))


def _log(squared_distance: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log10(squared_distance))


def _std(real: "_MeanDifference", generated: "_MeanDifference") -> float | None:
    if min(real.groups, generated.groups) < 2:
        return None
    sets = []
    for own, rest in ((real, generated.mean()), (generated, real.mean())):
        means = (own.mean(without=group) for group in range(own.groups))
        sets.append([_log(float(np.sum(np.square(mean - rest)))) for mean in means])
    return jackknife_standard_error(sets) if np.isfinite(sets[0] + sets[1]).all() else None


class _MeanDifference:
    """The mean difference of consecutive frames' features over clips, in groups of videos."""

    def __init__(
        self, features: Callable, differences: str, groups: int, videos: np.ndarray | None
    ):
        self.features, self.absolute = features, differences == "absolute"
        self.shape: tuple[int, ...] = ()
        self._ranks = None if videos is None else video_ranks(len(videos), videos)
        self._clips, self._counts = 0, np.zeros(groups, int)
        self._sums: list = [0.0] * groups

    @property
    def groups(self) -> int:
        """Number of groups that have clips."""
        return int(np.count_nonzero(self._counts))

    def update(self, batches: Iterable[np.ndarray]) -> None:
        for clips in batches:
            self.shape = clips.shape[1:]
            for clip in as_signed(clips):  # one at a time: features are larger than pixels
                rank = self._clips if self._ranks is None else self._ranks[self._clips]
                group = int(rank) % len(self._sums)
                self._sums[group] = self._sums[group] + self._difference(clip)
                self._counts[group] += 1
                self._clips += 1

    def mean(self, without: int | None = None) -> np.ndarray:
        """float64 of a feature's shape, of all clips except those of one group."""
        kept = [group for group in range(len(self._sums)) if group != without]
        return sum(self._sums[group] for group in kept) / self._counts[kept].sum()

    def _difference(self, clip: np.ndarray) -> np.ndarray:
        """float64 of a feature's shape, the mean of one clip `[T, H, W, C]`."""
        values = np.asarray(self.features(clip), np.float64)
        if values.ndim < 2 or len(values) != len(clip):
            raise ValueError(
                f"Features of {len(clip)} frames have the shape {values.shape}. Use a function to "
                "[N, ...]."
            )
        if not np.isfinite(values).all():
            raise ValueError("Features are not finite. Check the function of features.")
        steps = np.diff(values, axis=0)
        return (np.abs(steps) if self.absolute else steps).mean(axis=0)
