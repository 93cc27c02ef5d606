"""Classifiers: classifiers of real clips, by whose answers and features generated ones are measured.

Where no network of the field serves (I3D needs 10 frames and a download, Inception knows no
actions), one is trained on the data set itself, as the papers do: Li and Mandt's disentanglement of
Sprites by a classifier of clips, the residual-vector paper's inception score of images by one of
D_I's architecture. Such numbers can be compared where the classifier was the same alone; its protocol
tells the digest of its weights.

Here are the networks. `kerasvid.evaluation.classifiers.store` trains and keeps them.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.evaluation.metrics.clip_batches import checked_clips
from kerasvid.layers.discriminators import ImageDiscriminator
from kerasvid.layers.frame_networks import FrameEncoder
from kerasvid.layers.recurrent import bidirectional_lstm, over_frames

TOGETHER = 64  # clips that go through a network at a time
ENCODER = {"channels": (32, 64, 128), "strides": (1, 2, 2), "features": 128}
# Features of the bi-LSTM lie in (-1, 1): heads of their multiple are sure after fewer steps, and
# H(y | x) of real clips is near 0 as it should be.
SHARPNESS = 8.0
# D_I as the GANs' base presets have it.
DISCRIMINATOR = {"channels": (64, 128, 256)}


class _Classifier(keras.Model):
    """What both classifiers share: heads, answers and features of clips of one image shape.

    `call` gives logits float32 `[B, K]` by head, for `fit`; the methods below take uint8, or float
    in [-1, 1], and give numpy.
    """

    least_frames = 1

    def __init__(self, heads: Mapping[str, int], image_shape: tuple[int, int, int], **kwargs):
        super().__init__(**kwargs)
        if not heads or any(int(classes) < 2 for classes in heads.values()):
            raise ValueError(f"heads={dict(heads)}: name one or more, each of 2 classes or more.")
        self.heads = {name: int(classes) for name, classes in heads.items()}
        self.image_shape = tuple(image_shape)
        self._traced: dict[str, Callable] = {}  # by length and type of clips

    def _outputs(self, clips: tf.Tensor, training: bool = False) -> tuple[dict, tf.Tensor]:
        """Logits `[B, K]` by head, and features `[B, D]`, all float32."""
        raise NotImplementedError

    def call(self, clips: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        return self._outputs(clips, training)[0]

    def _answers(self, clips: tf.Tensor) -> tuple[dict, tf.Tensor]:
        logits, features = self._outputs(clips)
        return {name: tf.nn.softmax(values) for name, values in logits.items()}, features

    def _judged(self, clips: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Probabilities by head and features of `[B, T, H, W, C]`, part by part."""
        clips = self._checked(clips)
        kind = f"{clips.shape[1]} {clips.dtype}"
        if kind not in self._traced:  # T must be static, B need not
            spec = tf.TensorSpec([None, *clips.shape[1:]], clips.dtype)
            self._traced[kind] = tf.function(self._answers, input_signature=[spec])
        parts = [
            self._traced[kind](tf.constant(clips[i : i + TOGETHER]))
            for i in range(0, len(clips), TOGETHER)
        ]
        answers = {name: np.concatenate([p[0][name].numpy() for p in parts]) for name in self.heads}
        return answers, np.concatenate([part[1].numpy() for part in parts])

    def _checked(self, clips: np.ndarray) -> np.ndarray:
        """uint8 or float32 clips that the classifier knows how to look at."""
        clips = checked_clips(clips, "judged")
        if not len(clips):
            raise ValueError("There are no clips to classifier.")
        if clips.shape[2:] != self.image_shape:
            own, given = ("x".join(map(str, s)) for s in (self.image_shape, clips.shape[2:]))
            raise ValueError(
                f"Frames of {given}: this classifier was trained on {own}; take one that was trained on "
                "frames of that size."
            )
        if clips.shape[1] < self.least_frames:
            raise ValueError(
                f"Clips of {clips.shape[1]} frames: this classifier was trained on {self.least_frames}; "
                "give as many or more, or take a classifier that was trained on fewer."
            )
        return clips if clips.dtype == np.uint8 else clips.astype(np.float32)

    def weights_digest(self) -> str:
        """SHA-256 over the weights, in the network's order, as float32."""
        digest = hashlib.sha256()
        for weight in self.weights:
            digest.update(str(tuple(weight.shape)).encode() + b"\0")
            digest.update(np.ascontiguousarray(weight.numpy(), "<f4").tobytes())
        return digest.hexdigest()

    def build(self, clips_shape=None) -> None:
        """Makes the weights, which are there from the beginning."""
        if not self.built:
            self.built = True
            self(tf.zeros([1, self.least_frames, *self.image_shape]))

    def get_config(self) -> dict:
        own = {"heads": dict(self.heads), "image_shape": self.image_shape}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasvid")
class ClipClassifier(_Classifier):
    """Tells what a clip shows: a CNN over frames, a bi-LSTM over its features, a head an attribute.

    Args:
        heads: number of classes by name, e.g. `{"action": 9, "hair": 6}`.
        image_shape: `(H, W, C)` of a frame.
        frames: T of the clips it is trained on. Shorter ones are refused, longer ones are judged.
        encoder: arguments of `FrameEncoder` in place of `ENCODER`'s; by default the patch is the
            largest of 4, 2 and 1 that divides the frame.
        units: width of each direction of the bi-LSTM; features have twice as many numbers.
        sharpness: factor of the features before the heads.

    Call: `[B, T, H, W, C]`, uint8 or float in [-1, 1] -> logits float32 `[B, K]` by head. T must
    be static.

    Raises:
        ValueError: no heads, or one of fewer than two classes; as `FrameEncoder`.

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
        sharpness: float = SHARPNESS,
        **kwargs,
    ):
        super().__init__(heads, image_shape, **kwargs)
        if frames < 1 or units < 1:
            raise ValueError(f"frames={frames}, units={units}: both must be 1 or more.")
        self.frames, self.units, self.least_frames = frames, units, frames
        self.sharpness = sharpness
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
        seen = over_frames(self.encoder, as_floats(clips), training=training)  # [B, T, F]
        features = tf.cast(self.summary_layer(seen), tf.float32)  # [B, 2 * units]
        sharp = self.sharpness * features
        return {name: layer(sharp) for name, layer in self.head_layers.items()}, features

    @staticmethod
    def resolved(
        image_shape: tuple[int, int, int],
        encoder: Mapping[str, Any] | None = None,
        units: int = 64,
        sharpness: float = SHARPNESS,
    ) -> dict[str, Any]:
        """The arguments of the network for frames of a shape, with all that is left to it."""
        patch = _patch_of(image_shape, (4, 2, 1))
        encoder = {**ENCODER, "patch": patch, **(encoder or {})}
        return {"encoder": encoder, "units": units, "sharpness": sharpness}

    def probabilities(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What is seen of clips `[B, T, H, W, C]`: float32 `[B, K]` by head.

        Raises:
            ValueError: frames of another size, clips shorter than those it was trained on, or
                pixels that are not finite.
        """
        return self._judged(clips)[0]

    def features(self, clips: np.ndarray) -> np.ndarray:
        """The summary vector of clips, the last layer but one: float32 `[B, 2 * units]`.

        Raises:
            ValueError: as `probabilities`.
        """
        return self._judged(clips)[1]

    def protocol(self, frames: int) -> dict[str, Any]:
        """What features of clips of so many frames are, by name."""
        return {
            "features": "clip classifier: bi-LSTM over a frame CNN, last layer but one",
            "size": 2 * self.units,
            "weights": self.weights_digest(),
            "heads": dict(self.heads),
            "trained_frames": self.frames,
            "seen_frames": frames,
            "image_shape": list(self.image_shape),
        }

    def get_config(self) -> dict:
        own = {"frames": self.frames, "units": self.units, "sharpness": self.sharpness}
        own["encoder"] = dict(self.encoder_arguments)
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasvid")
class FrameClassifier(_Classifier):
    """Tells what a single frame shows, by a network of D_I's architecture.

    Args:
        heads: number of classes by name.
        image_shape: `(H, W, C)` of a frame.
        discriminator: arguments of `ImageDiscriminator` in place of `DISCRIMINATOR`'s, but its
            categories, of which there is one a class; by default the patch is 2 where it divides
            the frame.

    Call: frames `[N, H, W, C]`, or clips of one `[N, 1, H, W, C]`, uint8 or float in [-1, 1] ->
    logits float32 `[N, K]` by head.

    Raises:
        ValueError: no heads, or one of fewer than two classes; as `ImageDiscriminator`.

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
        """The arguments of the network for frames of a shape, with all that is left to it."""
        patch = _patch_of(image_shape, (2, 1))
        return {"discriminator": {**DISCRIMINATOR, "patch": patch, **(discriminator or {})}}

    def probabilities(self, clips: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
        """What is seen of frames, or of one random frame of each clip: float32 `[B, K]` by head.

        Args:
            clips: frames `[B, H, W, C]`, or clips `[B, T, H, W, C]`.
            seed: the frame of row i follows from (seed, i); give every batch another.

        Raises:
            ValueError: frames of another size, or pixels that are not finite.
        """
        return self._judged(one_frame_each(clips, seed))[0]

    def features(self, clips: np.ndarray, seed: int = 0) -> np.ndarray:
        """The last layer but one, its mean over positions: float32 `[B, D]`; otherwise likewise."""
        return self._judged(one_frame_each(clips, seed))[1]

    def protocol(self, frames: int = 1) -> dict[str, Any]:
        """What features of clips of so many frames are, by name."""
        return {
            "features": "frame classifier: D_I's architecture, last layer but one, mean over positions",
            "size": self.discriminator.channels[-1],
            "weights": self.weights_digest(),
            "heads": dict(self.heads),
            "trained_frames": 1,
            "seen_frames": 1,
            "of": "single frames" if frames == 1 else f"a random one of {frames} frames",
            "image_shape": list(self.image_shape),
        }

    def get_config(self) -> dict:
        return {**super().get_config(), "discriminator": dict(self.discriminator_arguments)}


CLASSIFIERS = {"clip": ClipClassifier, "frame": FrameClassifier}


def one_frame_each(clips: np.ndarray, seed: int = 0) -> np.ndarray:
    """One random frame of each clip, `[B, 1, H, W, C]`; frames `[B, H, W, C]` are it already.

    The frame of row i follows from (seed, i), whatever comes after it.
    """
    clips = np.asarray(clips)
    if clips.ndim == 4:
        return clips[:, None]
    if clips.ndim != 5 or clips.shape[1] < 2:
        return clips
    chosen = np.random.default_rng(seed).random(len(clips)) * clips.shape[1]
    return clips[np.arange(len(clips)), chosen.astype(int)][:, None]


def _patch_of(image_shape: tuple[int, int, int], sizes: tuple[int, ...]) -> int:
    """The first of these sizes that divides a frame."""
    return next(s for s in sizes if not (image_shape[0] % s or image_shape[1] % s))
