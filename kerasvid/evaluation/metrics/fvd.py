"""FVD, the Frechet video distance of generated clips from real ones.

Unterthiner et al., "Towards Accurate Generative Models of Video: A New Metric & Challenges", 2018:
the Frechet distance of the logits of I3D for real and for generated clips.

Two distances compare only if both were measured in the same way. Published ones differ by tens for
choices that are rarely reported, so state every choice with the distance:

- the number of clips of each set and their split (the residual-vector paper: 624 and 624). The
  distance falls with the number of clips, so a set with too few clips is an error;
- the frames. I3D sees them as they are, without a pass through a video file. It needs 10 frames;
  shorter clips are an error unless `padding` states how to extend them;
- the resize to 224x224, bilinear without anti-aliasing and without a crop. Pixel centres are at
  halves (`centres="half"`), or at whole numbers (`"whole"`) as in TensorFlow 1 and in the first
  implementation of FVD;
- pixels in [-1, 1]; grey ones are repeated three times;
- the weights, by the digest of `weights_digest`.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kerasvid.evaluation.metrics.clip_batches import as_signed, counted_clips
from kerasvid.evaluation.metrics.frechet import feature_distance
from kerasvid.evaluation.metrics.i3d import I3D, IMAGE_SIZE, MIN_FRAMES
from kerasvid.evaluation.metrics.i3d_weights import load_i3d, weights_digest
from kerasvid.training.devices import over_devices

PADDINGS: dict[str, Any] = {"last": "edge", "mirror": "reflect", "loop": "wrap"}  # modes of np.pad
CENTRES = ("half", "whole")
TOGETHER = 8  # clips in one pass of a device through I3D


class VideoDistance(NamedTuple):
    """A distance and how its features are made.

    Args:
        distance: The squared Frechet distance, as FVD is reported; 0 for equal moments.
        std: Of the distance, by the jackknife of groups; `None` without groups.
        features: `"features"` is the name of the features; for I3D there are also `"weights"`,
            `"resize"`, `"centres"`, `"padding"`, `"seen_frames"` and `"range"`.
    """

    distance: float
    std: float | None
    features: Mapping[str, Any]


class ClipFeatures:
    """Base class of functions of clips to features that describe themselves.

    Features that are `slow` are kept for real clips, see `EvaluationContext.real_features`.
    """

    slow = False

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """float32 `[B, D]` of float32 clips `[B, T, H, W, C]` in [-1, 1]."""
        raise NotImplementedError

    def protocol(self, frames: int) -> dict[str, Any]:
        """How features of clips of so many frames are made, by name."""
        raise NotImplementedError


class I3DFeatures(ClipFeatures):
    """The 400 logits of I3D.

    Args:
        weights: As in `load_i3d`: a path, or `"auto"`, which downloads; or a network.
        padding: How clips of fewer than 10 frames are extended to 10: `"last"` repeats the last
            frame, `"mirror"` goes back and forth, `"loop"` starts again; `None` refuses them.
        centres: Pixel centres in the resize, `"half"` or `"whole"`.

    Raises:
        WeightsError: As `load_i3d`.
        ValueError: Unknown padding or centres; in a call, clips of other channels, or of fewer than
            10 frames without a padding.

    Example:
        >>> features = I3DFeatures("auto", padding="mirror")
        >>> features(clips).shape  # float32 [B, T, H, W, 3] in [-1, 1]
        (16, 400)
    """

    slow = True

    def __init__(
        self, weights: str | os.PathLike | I3D, padding: str | None = None, centres: str = "half"
    ):
        if padding not in (None, *PADDINGS):
            raise ValueError(f"padding={padding!r}: use {', '.join(PADDINGS)} or None.")
        if centres not in CENTRES:
            raise ValueError(f"centres={centres!r}: use {' or '.join(CENTRES)}.")
        self.network = weights if isinstance(weights, I3D) else load_i3d(weights)
        self.padding, self.centres = padding, centres
        self._digest = weights_digest(self.network.variables_by_name())
        self._size = int(self.network.logits.filters)
        self._together = TOGETHER * tf.distribute.get_strategy().num_replicas_in_sync
        self._logits = over_devices(
            lambda clips: self.network(resized(clips, IMAGE_SIZE, centres == "half")),
            reduce_retracing=True,
        )

    def protocol(self, frames: int) -> dict[str, Any]:
        return {
            "features": "I3D of Kinetics-400, logits before softmax",
            "weights": self._digest,
            "resize": f"bilinear to {IMAGE_SIZE}x{IMAGE_SIZE}, no anti-aliasing, no crop",
            "centres": self.centres,
            "size": self._size,
            "padding": self.padding if frames < MIN_FRAMES else None,
            "seen_frames": max(frames, MIN_FRAMES),
            "range": "[-1, 1]",
        }

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """float32 `[B, 400]` of clips `[B, T, H, W, C]` in [-1, 1], C 1 or 3."""
        if clips.shape[-1] not in (1, 3):
            raise ValueError(f"Clips of {clips.shape[-1]} channels: use grey or RGB clips.")
        clips = padded_in_time(clips, MIN_FRAMES, self.padding)
        parts = [clips[i : i + self._together] for i in range(0, len(clips), self._together)]
        return np.concatenate([self._logits(tf.constant(part)).numpy() for part in parts])


def padded_in_time(clips: np.ndarray, frames: int, padding: str | None) -> np.ndarray:
    """Clips `[B, T, H, W, C]`, extended to so many frames if they have fewer, see `I3DFeatures`."""
    own = clips.shape[1]
    if own >= frames:
        return clips
    if padding is None:
        raise ValueError(
            f"Clips of {own} frames: I3D needs {frames}. Use longer clips or a padding "
            f"({', '.join(PADDINGS)}). Distances of other paddings do not compare."
        )
    return np.pad(clips, [(0, 0), (0, frames - own), *[(0, 0)] * 3], PADDINGS[padding])


def resized(clips: tf.Tensor, size: int, half_centres: bool = True) -> tf.Tensor:
    """float32 `[B, T, size, size, 3]` of `[B, T, H, W, C]`: bilinear, no anti-aliasing, no crop."""
    shape, sides = tf.shape(clips), [size, size]
    frames = tf.reshape(clips, tf.concat([[-1], shape[2:]], 0))  # [B * T, H, W, C]
    frames = tf.raw_ops.ResizeBilinear(images=frames, size=sides, half_pixel_centers=half_centres)
    frames = frames if clips.shape[-1] == 3 else tf.repeat(frames, 3, axis=-1)
    return tf.reshape(frames, [shape[0], clips.shape[1], size, size, 3])


def frechet_video_distance(
    real_batches: Iterable[np.ndarray],
    generated_batches: Iterable[np.ndarray],
    features: Callable[[np.ndarray], np.ndarray],
    clips: int,
    groups: int = 1,
) -> VideoDistance:
    """The distance of generated clips from as many real ones, which are streamed.

    Args:
        real_batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1].
        generated_batches: The same T, H, W and C.
        features: Function of float32 clips in [-1, 1] to `[B, D]`, e.g. `I3DFeatures` or the
            features of a classifier. The result has the protocol of a `ClipFeatures`, or the name
            of another function.
        clips: Number of clips of each set. Later clips are not read, so shuffle a split that is
            sorted on disk: its first clips do not represent it.
        groups: Number of groups of each set for the std of the distance; 1 for no std. Clips must
            not be sorted, and each is of its own video, see `feature_distance`.

    Raises:
        ValueError: Too few clips, clips of different shapes or too short ones, pixels or features
            that are not finite, or fewer than two clips.

    Example:
        >>> features = I3DFeatures("auto", padding="mirror")
        >>> generated = (model.generate(16, seed=seed) for seed in itertools.count())
        >>> frechet_video_distance(real, generated, features, clips=624).distance
    """
    if clips < 2:
        raise ValueError(
            f"clips={clips} is too small. Compare 2 or more real clips with as many generated ones."
        )
    real, shape = clip_features(real_batches, features, clips, "real")
    generated, _ = clip_features(generated_batches, features, clips, "generated", shape)
    facts = {"features": getattr(features, "__name__", type(features).__name__)}
    if isinstance(features, ClipFeatures):
        facts = features.protocol(shape[0])
    return VideoDistance(*feature_distance(real, generated, groups), facts)


def clip_features(
    batches: Iterable[np.ndarray],
    features: Callable[[np.ndarray], np.ndarray],
    clips: int,
    what: str,
    shape: tuple[int, ...] | None = None,
) -> tuple[np.ndarray, tuple[int, ...]]:
    """The features float32 `[clips, D]` of streamed clips, and the shape `(T, H, W, C)` of a clip.

    Args:
        batches, features, clips: As in `frechet_video_distance`.
        what, shape: As in `counted_clips`.
    """
    parts: list[np.ndarray] = []
    slow = isinstance(features, ClipFeatures) and features.slow
    title = f"features of {what} clips"
    with tqdm(total=clips, desc=title, unit="clip", disable=None if slow else True) as bar:
        for each in counted_clips(batches, clips, what, shape=shape):
            values = np.asarray(features(as_signed(each)), np.float32)
            if values.ndim != 2 or len(values) != len(each):
                raise ValueError(
                    f"Features of {len(each)} clips have the shape {values.shape}. Use a function "
                    "to [B, D]."
                )
            parts.append(values)
            bar.update(len(each))
    return np.concatenate(parts), each.shape[1:]
