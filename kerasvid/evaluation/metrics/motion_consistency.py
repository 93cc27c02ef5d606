"""MCS, the relative motion consistency score: whether clips change as real ones do.

Aich et al., "Non-Adversarial Video Synthesis with Learned Priors", CVPR 2020, section 4.1: frames
as features of VGG16 at relu3_3, the differences of consecutive frames' features averaged over a set
of videos, f of real and f' of generated ones, and

    MCS = log10(|f - f'|^2)

Lower is better. Sets of equal means have the squared distance 0, of which the logarithm is -inf
(the tables print this bound as 0.0). The paper leaves open

- whether differences are averaged with their signs. They are here, as it is written; but then a
  clip's mean is its last frame less its first, whatever lies between. `differences="absolute"`
  averages their absolute values instead, which tells how much changes at each place;
- the size of frames. They stay as they are, of 32x32 pixels or more for VGG16; `resize` enlarges
  them. The score grows with the number of places, so that only equal sizes can be compared.
"""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.clip_batches import as_signed, counted_clips
from kerasvid.evaluation.metrics.intervals import jackknife_standard_error

DIFFERENCES = ("signed", "absolute")
LAYER = "block3_conv3"  # with its ReLU: relu3_3
LEAST_SIZE = 32
# Of ImageNet, in the order blue, green, red and levels of 0 to 255, with which VGG16 was trained.
MEANS = (103.939, 116.779, 123.68)


class MotionConsistency(NamedTuple):
    """Of two sets of clips.

    Args:
        score: log10 of the squared distance, -inf where it is 0.
        squared_distance: |f - f'|^2 of the mean differences.
        real_clips, generated_clips: how many were looked at.
        differences: `"signed"` or `"absolute"`.
        std: of the score, by the jackknife of groups; `None` where it was not asked for, or
            where a set without a group has the score -inf.
    """

    score: float
    squared_distance: float
    real_clips: int
    generated_clips: int
    differences: str
    std: float | None = None


class VGG16Features:
    """A function of frames to VGG16's relu3_3.

    Frames in [-1, 1] become levels of 0 to 255, their channels blue, green, red, less the means of
    ImageNet: what the weights were trained with.

    Args:
        weights: `"imagenet"`, which Keras downloads and checks, or the path of its `.h5` file
            without the top, or `None` for random ones, of which no score says anything.
        resize: `(H, W)` to which frames are brought, bilinearly, or `None`.

    Raises:
        ValueError: the weights cannot be had or read; one line with what to do.

    Example:
        >>> VGG16Features()(frames).shape  # [N, 64, 64, 3]
        (N, 16, 16, 256)
    """

    def __init__(
        self,
        weights: str | os.PathLike | None = "imagenet",
        resize: tuple[int, int] | None = None,
    ):
        self.resize = resize
        whole = _vgg16(weights)
        self.network = keras.Model(whole.input, whole.get_layer(LAYER).output)
        self._features = tf.function(self._seen, reduce_retracing=True)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """float32 `[N, H // 4, W // 4, 256]` of frames `[N, H, W, C]` in [-1, 1], C 1 or 3.

        Raises:
            ValueError: frames that are too small, or of other channels.
        """
        size = self.resize or frames.shape[1:3]
        if min(size) < LEAST_SIZE or frames.shape[-1] not in (1, 3):
            raise ValueError(
                f"Frames of {tuple(frames.shape[1:])}: VGG16 sees grey or RGB ones of "
                f"{LEAST_SIZE}x{LEAST_SIZE} or more; use resize=(64, 64) for small ones."
            )
        return self._features(tf.constant(frames)).numpy()

    def _seen(self, frames: tf.Tensor) -> tf.Tensor:
        if self.resize is not None:
            frames = tf.image.resize(frames, self.resize)
        frames = frames if frames.shape[-1] == 3 else tf.repeat(frames, 3, axis=-1)
        return self.network((frames[..., ::-1] + 1.0) * 127.5 - tf.constant(MEANS))


def _vgg16(weights: str | os.PathLike | None) -> keras.Model:
    """VGG16 without its top, in float32 whatever the global policy is."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        known = weights if weights in ("imagenet", None) else os.fspath(weights)
        shape = (None, None, 3)
        return keras.applications.VGG16(include_top=False, weights=known, input_shape=shape)
    except Exception as error:  # no narrower class of what downloads and HDF5 raise
        raise ValueError(
            f"weights={os.fspath(weights)!r}: no weights of VGG16 ({str(error).splitlines()[0]}): "
            "give the path of vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5."
        ) from error
    finally:
        keras.config.set_dtype_policy(before)


def motion_consistency_score(
    real_batches: Iterable[np.ndarray],
    generated_batches: Iterable[np.ndarray],
    features: Callable[[np.ndarray], np.ndarray] | None = None,
    clips: int | None = None,
    differences: str = "signed",
    groups: int = 1,
) -> MotionConsistency:
    """MCS of generated clips to real ones, which are streamed.

    Args:
        real_batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1]; T at least 2.
        generated_batches: the same T, H, W and C.
        features: of float32 frames `[N, H, W, C]` in [-1, 1] to `[N, ...]`; `VGG16Features()`
            where `None`.
        clips: how many of each set; every clip where `None`.
        differences: `"signed"` or `"absolute"`.
        groups: into which each set is divided for the std of the score; the clips must not
            be sorted then. 1 for none. The memory is that of the mean changes of the groups.

    Raises:
        ValueError: fewer clips than asked for or none, clips of two shapes or of one frame, pixels
            or features that are not finite; one line with what to do.

    Example:
        >>> motion_consistency_score(real, generated, VGG16Features("vgg16_notop.h5")).score
    """
    if differences not in DIFFERENCES:
        raise ValueError(f"differences={differences!r}: use {' or '.join(DIFFERENCES)}.")
    features = VGG16Features() if features is None else features
    one = _MeanDifference(features, differences, "real", groups)
    other = _MeanDifference(features, differences, "generated", groups)
    one.update(real_batches, clips, None)
    other.update(generated_batches, clips, one.shape)
    apart = float(np.sum(np.square(one.mean() - other.mean())))
    spread = _deviation(one, other)
    return MotionConsistency(_log(apart), apart, one.clips, other.clips, differences, spread)


def _log(squared_distance: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log10(squared_distance))


def _deviation(one: "_MeanDifference", other: "_MeanDifference") -> float | None:
    """Of the score, by what it is without each group."""
    if min(one.groups, other.groups, one.clips, other.clips) < 2:
        return None
    sets = []
    for own, rest in ((one, other.mean()), (other, one.mean())):
        means = (own.mean(without=group) for group in range(min(own.groups, own.clips)))
        sets.append([_log(float(np.sum(np.square(mean - rest)))) for mean in means])
    return jackknife_standard_error(sets) if np.isfinite(sets[0] + sets[1]).all() else None


class _MeanDifference:
    """The mean over a set's clips and steps of the change of features, and of groups of them.

    Clip i is of group i modulo their number.
    """

    def __init__(self, features: Callable, differences: str, what: str, groups: int):
        if groups < 1:
            raise ValueError(f"groups={groups} must be at least 1.")
        self.features, self.differences, self.what = features, differences, what
        self.clips, self.shape, self.groups = 0, None, groups
        self._sums: list = [0.0] * groups

    def update(self, batches: Iterable[np.ndarray], count: int | None, shape: tuple | None) -> None:
        for clips in counted_clips(batches, count, self.what, least_frames=2):
            self.shape = clips.shape[1:]
            if shape is not None and self.shape != shape:
                raise ValueError(
                    f"{self.what} clips of {self.shape}, real ones of {shape}: both need the same "
                    "T, H, W and C."
                )
            for clip in as_signed(clips):  # one at a time: features are larger than pixels
                group = self.clips % self.groups
                self._sums[group] = self._sums[group] + self._change(clip)
                self.clips += 1

    def mean(self, without: int | None = None) -> np.ndarray:
        """float64 of a feature's shape, of all clips but those of one group."""
        left = sum(each for group, each in enumerate(self._sums) if group != without)
        missing = 0 if without is None else len(range(without, self.clips, self.groups))
        return left / (self.clips - missing)

    def _change(self, clip: np.ndarray) -> np.ndarray:
        """float64 of a feature's shape, the mean of one clip `[T, H, W, C]`."""
        values = np.asarray(self.features(clip), np.float64)
        if values.ndim < 2 or len(values) != len(clip):
            raise ValueError(
                f"Features of the shape {values.shape} of {len(clip)} frames: give a function to "
                "[N, ...]."
            )
        if not np.isfinite(values).all():
            raise ValueError(f"Features of {self.what} clips are not finite: look at the function.")
        steps = np.diff(values, axis=0)
        return (np.abs(steps) if self.differences == "absolute" else steps).mean(axis=0)
