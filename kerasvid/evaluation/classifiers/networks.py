"""Networks that classify real clips. Their answers and features measure generated clips.

Some data sets suit no public network: I3D needs 10 frames and a download, Inception knows no
actions. For these a classifier is trained on the data set itself, as in the papers: Li and Mandt
measure the disentanglement of Sprites by a classifier of clips, the residual-vector paper measures
the inception score of images by a classifier with D_I's architecture. Compare such values for the
same classifier only; the protocol has the digest of its weights.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.evaluation.metrics.clip_batches import checked_clips
from kerasvid.evaluation.metrics.i3d_weights import weights_digest
from kerasvid.layers.discriminators import ImageDiscriminator
from kerasvid.layers.frame_networks import FrameEncoder
from kerasvid.layers.recurrent import bidirectional_lstm, over_frames
from kerasvid.naming import KeepsArguments
from kerasvid.training.devices import over_devices

TOGETHER = 64  # clips in one pass, of all devices
ENCODER = {"channels": (32, 64, 128), "strides": (1, 2, 2), "features": 128}
# Features of the bi-LSTM lie in (-1, 1). Heads on a multiple of them become sure in fewer steps,
# and H(y | x) of real clips is near 0 as it should be.
SHARPNESS = 8.0
DISCRIMINATOR = {"channels": (64, 128, 256)}  # D_I in the base presets of the GANs


class _Classifier(KeepsArguments, keras.Model):
    """Common part of both classifiers.

    `call` returns logits float32 `[B, K]` by head, for `fit`. The other methods take uint8 clips,
    or floats in [-1, 1], and return numpy arrays.
    """

    min_frames: int = 1
    max_frames: float = math.inf
    built: bool

    def __init__(self, heads: Mapping[str, int], image_shape: tuple[int, int, int], **kwargs):
        super().__init__(**kwargs)
        if not heads or any(int(classes) < 2 for classes in heads.values()):
            raise ValueError(f"heads={dict(heads)}: use one or more, each of 2 classes or more.")
        self.heads = {name: int(classes) for name, classes in heads.items()}
        self.image_shape = tuple(image_shape)
        self._traced: dict[str, Callable] = {}  # by length and type of clips

    def _outputs(self, clips: tf.Tensor, training: bool = False) -> tuple[dict, tf.Tensor]:
        """Logits `[B, K]` by head and features `[B, D]`, all float32; both classifiers have it."""
        raise NotImplementedError

    def call(self, clips: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        return self._outputs(clips, training)[0]

    def _answers(self, clips: tf.Tensor) -> tuple[dict, tf.Tensor]:
        logits, features = self._outputs(clips)
        return {name: tf.nn.softmax(values) for name, values in logits.items()}, features

    def probabilities(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """The probabilities of the classes: float32 `[B, K]` by head.

        Args:
            clips: `[B, T, H, W, C]`. A frame classifier takes clips of one frame, or frames
                `[B, H, W, C]`.

        Raises:
            ValueError: Frames of another size, too few or too many frames, or pixels that are not
                finite.
        """
        return self._run(clips)[0]

    def features(self, clips: np.ndarray) -> np.ndarray:
        """The last layer but one, float32 `[B, D]`; arguments and errors as `probabilities`."""
        return self._run(clips)[1]

    def _run(self, clips: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        clips = np.asarray(clips)
        if self.max_frames == 1 and clips.ndim == 4:
            clips = clips[:, None]
        clips = checked_clips(clips, "classified")
        if not len(clips):
            raise ValueError("There are no clips to classify.")
        if clips.shape[2:] != self.image_shape:
            own, given = ("x".join(map(str, s)) for s in (self.image_shape, clips.shape[2:]))
            raise ValueError(
                f"Frames of {given}: this classifier needs frames of {own}. Resize them."
            )
        if not self.min_frames <= clips.shape[1] <= self.max_frames:
            bounds = "one frame" if self.max_frames == 1 else f"{self.min_frames} or more"
            raise ValueError(f"Clips of {clips.shape[1]} frames: this classifier needs {bounds}.")
        clips = clips if clips.dtype == np.uint8 else clips.astype(np.float32)
        kind = f"{clips.shape[1]} {clips.dtype}"
        if kind not in self._traced:  # T must be static, B need not
            self._traced[kind] = over_devices(self._answers, reduce_retracing=True)
        parts = [
            self._traced[kind](tf.constant(clips[i : i + TOGETHER]))
            for i in range(0, len(clips), TOGETHER)
        ]
        answers, features = tf.nest.map_structure(lambda *each: np.concatenate(each), *parts)
        return answers, features

    def weights_digest(self) -> str:
        """SHA-256 of the weights as float32, in the order of the network."""
        return weights_digest({f"{place:04d}": each for place, each in enumerate(self.weights)})

    def build(self, clips_shape: Any = None) -> None:
        """Makes the weights; the constructors call it."""
        if not self.built:
            self.built = True
            self(tf.zeros([1, self.min_frames, *self.image_shape]))


@keras.saving.register_keras_serializable(package="kerasvid")
class ClipClassifier(_Classifier):
    """Classifies a clip: a CNN over frames, a bi-LSTM over its features, a head for each label.

    Args:
        heads: Number of classes by name, e.g. `{"action": 9, "hair": 6}`.
        image_shape: `(H, W, C)` of a frame.
        frames: T of the training clips. Longer clips are accepted, shorter ones are refused.
        encoder: Arguments of `FrameEncoder` in place of those in `ENCODER`. By default the patch
            is the largest of 4, 2 and 1 that divides the frame.
        units: Width of each direction of the bi-LSTM. Features have twice the width.

    Call: `[B, T, H, W, C]`, uint8 or float in [-1, 1], T static -> logits float32 `[B, K]` by head.

    Raises:
        ValueError: There are no heads, or a head of fewer than two classes; as `FrameEncoder`.

    Example:
        >>> classifier = ClipClassifier({"action": 9}, (64, 64, 3), frames=8)
        >>> classifier.probabilities(clips)["action"].shape  # uint8 [16, 8, 64, 64, 3]
        (16, 9)
    """

    def __init__(
        self,
        heads: Mapping[str, int],
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 8,
        encoder: Mapping[str, Any] | None = None,
        units: int = 64,
        **kwargs: Any,
    ):
        super().__init__(heads, image_shape, **kwargs)
        if frames < 1 or units < 1:
            raise ValueError(f"frames={frames}, units={units}: use 1 or more for both.")
        self.frames, self.units, self.min_frames = frames, units, frames
        self.encoder_arguments = self.resolved(image_shape, encoder)["encoder"]

        # === Networks ===
        policy = self.dtype_policy
        self.encoder = FrameEncoder(**self.encoder_arguments, dtype=policy)
        self.summary_layer = bidirectional_lstm(units, dtype=policy)
        self.head_layers = {
            name: keras.layers.Dense(classes, dtype="float32", name=f"head_{position}")
            for position, (name, classes) in enumerate(self.heads.items())
        }
        self.build()

    def _outputs(self, clips: tf.Tensor, training: bool = False) -> tuple[dict, tf.Tensor]:
        encoded = over_frames(self.encoder, as_floats(clips), training=training)  # [B, T, F]
        features = tf.cast(self.summary_layer(encoded), tf.float32)  # [B, 2 * units]
        sharp = SHARPNESS * features
        return {name: layer(sharp) for name, layer in self.head_layers.items()}, features

    @staticmethod
    def resolved(
        image_shape: tuple[int, int, int], encoder: Mapping[str, Any] | None = None, units: int = 64
    ) -> dict[str, Any]:
        """All arguments of the network for frames of a shape, with the defaults filled in."""
        patch = next(s for s in (4, 2, 1) if not (image_shape[0] % s or image_shape[1] % s))
        return {"encoder": {**ENCODER, "patch": patch, **(encoder or {})}, "units": units}

    def protocol(self, frames: int) -> dict[str, Any]:
        """How features of clips of so many frames are made, by name."""
        features = "clip classifier: bi-LSTM over a frame CNN, last layer but one"
        return {"features": features, "size": 2 * self.units, "seen_frames": frames}


@keras.saving.register_keras_serializable(package="kerasvid")
class FrameClassifier(_Classifier):
    """Classifies a single frame by a network of D_I's architecture.

    Args:
        heads: Number of classes by name.
        image_shape: `(H, W, C)` of a frame.
        discriminator: Arguments of `ImageDiscriminator` in place of those in `DISCRIMINATOR`,
            except its categories. By default the patch is 2 if it divides the frame.

    Call: frames `[N, H, W, C]`, or clips of one frame `[N, 1, H, W, C]`, uint8 or float in [-1, 1]
    -> logits float32 `[N, K]` by head.

    Raises:
        ValueError: There are no heads, or a head of fewer than two classes; as
            `ImageDiscriminator`.

    Example:
        >>> classifier = FrameClassifier({"label": 4}, (64, 64, 3))
        >>> classifier.probabilities(model.generate_images(128))["label"].shape
        (128, 4)
    """

    def __init__(
        self,
        heads: Mapping[str, int],
        image_shape: tuple[int, int, int] = (64, 64, 3),
        discriminator: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(heads, image_shape, **kwargs)
        self.max_frames = 1
        self.discriminator_arguments = self.resolved(image_shape, discriminator)["discriminator"]
        self.discriminator = ImageDiscriminator(
            **self.discriminator_arguments,
            categories=sum(self.heads.values()),
            dtype=self.dtype_policy,
        )
        self.discriminator(tf.zeros([1, *self.image_shape]))  # its methods alone do not build it
        self.build()

    def _outputs(self, clips: tf.Tensor, training: bool = False) -> tuple[dict, tf.Tensor]:
        frames = as_floats(clips if len(clips.shape) == 4 else clips[:, 0])  # [N, H, W, C]
        maps = self.discriminator.feature_maps(frames, training)
        logits = self.discriminator.output_of(maps).categories  # [N, sum of K]
        parts = tf.split(logits, list(self.heads.values()), axis=-1)
        features = tf.reduce_mean(tf.cast(maps, tf.float32), axis=[1, 2])  # [N, D]
        return dict(zip(self.heads, parts, strict=True)), features

    @staticmethod
    def resolved(
        image_shape: tuple[int, int, int], discriminator: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """All arguments of the network for frames of a shape, with the defaults filled in."""
        patch = 1 if image_shape[0] % 2 or image_shape[1] % 2 else 2
        return {"discriminator": {**DISCRIMINATOR, "patch": patch, **(discriminator or {})}}

    def protocol(self, frames: int) -> dict[str, Any]:
        """How features of one of so many frames are made, by name."""
        features = "frame classifier: D_I's architecture, last layer but one, mean over positions"
        seen = "single frames" if frames == 1 else f"a random one of {frames} frames"
        size = self.discriminator.channels[-1]
        return {"features": features, "size": size, "seen_frames": 1, "of": seen}


CLASSIFIERS = {"clip": ClipClassifier, "frame": FrameClassifier}
