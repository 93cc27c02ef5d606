"""FVD, the Frechet video distance: how far the clips of a generator are from real ones.

Unterthiner et al., "Towards Accurate Generative Models of Video: A New Metric & Challenges", 2018:
the Frechet distance of the logits that I3D gives for real and for generated clips.

A distance can be compared to another one only where both were measured alike; published ones differ
by tens for choices that are seldom told. So every choice is an argument or stands in the result:

- how many clips of each set, of which split (the residual-vector paper: 624 and 624). The distance
  falls with the number of clips, so that a set which is too short is refused, never filled up;
- the frames that I3D sees, as they are, without a pass through a video file. It needs 10: shorter
  clips are refused unless `padding` says how they are made longer;
- the resize to 224x224, bilinear without anti-aliasing and without a crop; pixel centres are at
  halves (`centres="half"`), or at whole numbers (`"whole"`), as TensorFlow 1 and with it the first
  implementation had it;
- pixels in [-1, 1], grey ones three times;
- the weights, by the digest of `weights_digest`.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.clip_batches import as_signed, counted_clips
from kerasvid.evaluation.metrics.frechet import (
    GroupedMoments,
    frechet_distance,
    frechet_standard_error,
)
from kerasvid.evaluation.metrics.i3d import I3D, IMAGE_SIZE, LEAST_FRAMES
from kerasvid.evaluation.metrics.i3d_weights import digest_of, load_i3d

PADDINGS = ("last", "mirror", "loop")
CENTRES = ("half", "whole")


@dataclasses.dataclass(frozen=True)
class VideoDistance:
    """A distance, and all that another one must have in common with it.

    Args:
        distance: the squared Frechet distance, as FVD is told; 0 for equal moments.
        clips: of each set.
        split: of the data set, that the real clips are of.
        frames: T of a clip, before any padding.
        image_shape: `(H, W, C)` of a clip, before the resize.
        features: how features are made of clips: `"features"` is their name, and for I3D
            `"weights"`, `"resize"`, `"centres"`, `"padding"`, `"seen_frames"` and `"range"`.
        std: of the distance, by the jackknife of groups; `None` where it was not asked for.
    """

    distance: float
    clips: int
    split: str
    frames: int
    image_shape: tuple[int, int, int]
    features: Mapping[str, Any]
    std: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, to be written as JSON."""
        return dataclasses.asdict(self)


class I3DFeatures:
    """A function of clips to the 400 logits of I3D, which knows its own protocol.

    Args:
        weights: of `load_i3d`: a path, or `"i3d-kinetics-400"`, which downloads; or a network.
        padding: how clips of fewer than 10 frames reach 10: `"last"` holds the last frame,
            `"mirror"` goes back and forth, `"loop"` starts again; `None` refuses them.
        centres: of pixels in the resize, `"half"` or `"whole"`.
        digest: that the weights must have, or `None`.
        together: clips that go through the network at a time.

    Raises:
        WeightsError: as `load_i3d`.
        ValueError: an unknown padding or centres.

    Example:
        >>> features = I3DFeatures("i3d-kinetics-400.npz", padding="mirror")
        >>> features(clips).shape  # float32 [B, T, H, W, 3] in [-1, 1]
        (16, 400)
    """

    def __init__(
        self,
        weights: str | os.PathLike | I3D,
        padding: str | None = None,
        centres: str = "half",
        digest: str | None = None,
        together: int = 8,
    ):
        if padding is not None and padding not in PADDINGS:
            raise ValueError(f"padding={padding!r}: use one of {', '.join(PADDINGS)}, or None.")
        if centres not in CENTRES:
            raise ValueError(f"centres={centres!r}: use {' or '.join(CENTRES)}.")
        self.network = weights if isinstance(weights, I3D) else load_i3d(weights, digest)
        self.padding, self.centres, self.together = padding, centres, together
        self._digest = digest_of(self.network)
        self._logits = tf.function(self._seen, reduce_retracing=True)

    def protocol(self, frames: int) -> dict[str, Any]:
        """What is done to clips of so many frames, by name."""
        return {
            "features": "I3D of Kinetics-400, logits before softmax",
            "weights": self._digest,
            "resize": f"bilinear to {IMAGE_SIZE}x{IMAGE_SIZE}, no anti-aliasing, no crop",
            "centres": self.centres,
            "padding": self.padding if frames < LEAST_FRAMES else None,
            "seen_frames": max(frames, LEAST_FRAMES),
            "range": "[-1, 1]",
        }

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """float32 `[B, 400]` of clips `[B, T, H, W, C]` in [-1, 1], C 1 or 3.

        Raises:
            ValueError: clips of fewer than 10 frames without a padding, or other channels.
        """
        if clips.shape[-1] not in (1, 3):
            raise ValueError(f"Clips of {clips.shape[-1]} channels: I3D sees grey or RGB ones.")
        clips = padded_in_time(clips, LEAST_FRAMES, self.padding)
        parts = [clips[i : i + self.together] for i in range(0, len(clips), self.together)]
        return np.concatenate([self._logits(tf.constant(part)).numpy() for part in parts])

    def _seen(self, clips: tf.Tensor) -> tf.Tensor:
        """The logits of clips of enough frames."""
        return self.network(resized(clips, IMAGE_SIZE, self.centres == "half"))


def padded_in_time(clips: np.ndarray, frames: int, padding: str | None) -> np.ndarray:
    """Clips of at least so many frames; those that have them are left as they are.

    Args:
        clips: `[B, T, H, W, C]`.
        frames: that are needed.
        padding: as that of `I3DFeatures`.

    Raises:
        ValueError: they are shorter, and `padding` is `None`.
    """
    own = clips.shape[1]
    if own >= frames:
        return clips
    if padding is None:
        raise ValueError(
            f"Clips of {own} frames: I3D needs {frames}; measure longer clips, or choose a padding "
            f"({', '.join(PADDINGS)}), which is then part of what the distance means."
        )
    places = np.arange(frames)
    if padding == "last":
        places = np.minimum(places, own - 1)
    elif padding == "loop":
        places = places % own
    else:  # 0 1 2 3 2 1 0 1 ...
        period = max(2 * (own - 1), 1)
        places = (own - 1) - np.abs((own - 1) - places % period)
    return clips[:, places]


def resized(clips: tf.Tensor, size: int, half_centres: bool = True) -> tf.Tensor:
    """float32 `[B, T, size, size, 3]` of `[B, T, H, W, C]`: bilinear, no anti-aliasing, no crop."""
    shape = tf.shape(clips)
    frames = tf.reshape(clips, tf.concat([[-1], shape[2:]], 0))  # [B * T, H, W, C]
    frames = tf.raw_ops.ResizeBilinear(
        images=frames, size=[size, size], half_pixel_centers=half_centres
    )
    frames = frames if clips.shape[-1] == 3 else tf.repeat(frames, 3, axis=-1)
    return tf.reshape(frames, [shape[0], clips.shape[1], size, size, 3])


def frechet_video_distance(
    real_batches: Iterable[np.ndarray],
    generated_batches: Iterable[np.ndarray],
    features: Callable[[np.ndarray], np.ndarray] | str | os.PathLike,
    clips: int,
    split: str,
    groups: int = 1,
) -> VideoDistance:
    """The distance of so many generated clips from as many real ones, which are streamed.

    Args:
        real_batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1].
        generated_batches: the same T, H, W and C.
        features: a path or name of I3D weights; or a function of float32 clips in [-1, 1] to
            `[B, D]`: `I3DFeatures`, or for instance the last layer but one of a classifier. What its
            `protocol(frames)` gives, if it has one, stands in the result, else its name.
        clips: how many of each set. Those that come after are not looked at, so that a split which
            is sorted on the disk must be shuffled: its first clips are no sample of it.
        split: what the real clips are of, e.g. `"test"`; told in the result.
        groups: into which each set is divided for the std of the distance; the clips must
            not be sorted then. 1 for none. The memory is that of the moments of the groups.

    Raises:
        ValueError: fewer clips than asked for, clips of two shapes, too short ones, pixels or
            features that are not finite, or fewer than two clips; one line with what to do.
        WeightsError: as `load_i3d`.

    Example:
        >>> features = I3DFeatures("i3d-kinetics-400.npz", padding="mirror")
        >>> generated = (model.generate(16, seed=seed) for seed in itertools.count())
        >>> frechet_video_distance(real, generated, features, clips=624, split="test").distance
    """
    if clips < 2:
        raise ValueError(f"clips={clips}: a distance of moments needs 2 or more of each set.")
    if not split:
        raise ValueError("split: tell which split the real clips are of, e.g. 'test'.")
    if isinstance(features, (str, os.PathLike)):
        features = I3DFeatures(features)
    groups = max(1, min(groups, clips))
    real, shape = _moments(real_batches, features, clips, "real", None, groups)
    generated, _ = _moments(generated_batches, features, clips, "generated", shape, groups)
    distance = frechet_distance(real.whole(), generated.whole())
    told, spread = _told(features, shape), frechet_standard_error(real, generated)
    return VideoDistance(distance, clips, split, shape[0], shape[1:], told, spread)


def _moments(
    batches: Iterable[np.ndarray],
    features: Callable[[np.ndarray], np.ndarray],
    count: int,
    what: str,
    shape: tuple[int, ...] | None,
    groups: int,
) -> tuple[GroupedMoments, tuple[int, ...]]:
    """The moments of groups of a set's features, and the shape `(T, H, W, C)` of its clips."""
    moments = None
    for clips in counted_clips(batches, count, what):
        shape = clips.shape[1:] if shape is None else shape
        if clips.shape[1:] != shape:
            raise ValueError(
                f"{what} clips of {clips.shape[1:]}, real ones of {shape}: both need the same T, "
                "H, W and C, else the distance is that of formats."
            )
        values = np.asarray(features(as_signed(clips)))
        if values.ndim != 2 or len(values) != len(clips):
            raise ValueError(
                f"Features of the shape {values.shape} of {len(clips)} clips: give a function to "
                "[B, D]."
            )
        moments = GroupedMoments(values.shape[1], groups) if moments is None else moments
        moments.update(values)
    return moments, shape


def _told(features: Callable, shape: tuple[int, ...]) -> dict[str, Any]:
    """The protocol of a function of features."""
    if hasattr(features, "protocol"):
        return dict(features.protocol(shape[0]))
    return {"features": getattr(features, "__name__", type(features).__name__)}
