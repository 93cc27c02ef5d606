"""VGAN, which makes a clip of a moving foreground before a static background.

Vondrick, Pirsiavash, Torralba: "Generating Videos with Scene Dynamics", NeurIPS 2016.

    z ~ N(0, I)                                   once a video
    f(z) [T, H, W, C], m(z) [T, H, W, 1]          foreground in (-1, 1) and mask in (0, 1)
    b(z) [H, W, C]                                background, the same at every frame
    v = m(z) * f(z) + (1 - m(z)) * b(z)

The foreground and its mask leave one stream of transposed convolutions over space and time, the
background one over space. The generator also pays lambda |m|_1, so that it uses the background
where it can. As in the released code |m|_1 is a mean over pixels and frames, so that the same
lambda suits clips of every size. D_V is the only discriminator, with one score for the clip:

    D_V: E[-log D_V(v)] + E[-log(1 - D_V(v~))]
    G:   E[-log D_V(v~)] + lambda E[|m|_1]

The last transposed convolution writes `patch` x `patch` pixels at every position; 1, as published,
writes one. D_V scores by one logit and not by two classes under a softmax, which is the same model.

With `categories`, which the paper does not have, the one-hot class of a clip stands beside z. D_V
learns of it by `objective.conditioning`.

The preset `plain` is this loss with the batch norm of the paper, at sizes for two CPU cores; `base`
has the departures that `mocogan.py` lists. The preset `paper` has the sizes, lambda, rates
and batch of https://github.com/cvondrick/videogan (`main.lua`). Its 100 epochs are of a list of
clips that is not in the code: the number of steps is ours. Differences from that code:
- Initial weights, and the momentum and epsilon of batch norm, are Keras's. There they are drawn
  with a standard deviation of 0.01.
- The generator learns from scores of the updated D_V. There they are from before its update.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from kerasvid.layers.discriminators import HALVING_TIME
from kerasvid.layers.frame_networks import normalization_layer
from kerasvid.layers.recurrent import over_frames, repeated
from kerasvid.layers.strided_convolution import SAME_PADDING
from kerasvid.models.base.gan import BALANCED, IMAGE, VIDEO, AdversarialModel, FixedLength
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.protocols import Conditional
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.naming import KeepsArguments


class Streams(NamedTuple):
    """The parts of a clip; the mask is 1 where the foreground is visible."""

    foreground: tf.Tensor  # [B, T, H, W, C] in (-1, 1)
    mask: tf.Tensor  # [B, T, H, W, 1] in (0, 1)
    background: tf.Tensor  # [B, H, W, C] in (-1, 1)


@keras.saving.register_keras_serializable(package="kerasvid")
class DeconvolutionStream(KeepsArguments, keras.layers.Layer):
    """Transposed convolutions that each double every side of a small grid.

    Args:
        grid: sides of the grid that a dense layer makes: `(t, h, w)`, or `(h, w)` for an image.
        outputs: channels written at each pixel.
        seed_channels: width of the grid.
        channels: widths of the stages between it and the output.
        patch: side of the pixel patches that the last one writes.
        normalization: `"none"`, `"batch"` or `"group"`, behind everything but the output.

    Call: `[B, D]` -> `[B, T, H, W, outputs]` or `[B, H, W, outputs]`, float32, linear.
    """

    def __init__(
        self,
        grid: Sequence[int],
        outputs: int,
        seed_channels: int = 512,
        channels: Sequence[int] = (256, 128, 64),
        patch: int = 1,
        normalization: str = "batch",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.grid, self.outputs = tuple(grid), outputs
        self.seed_channels, self.channels = seed_channels, tuple(channels)
        self.patch, self.normalization = patch, normalization

        # === Networks ===
        policy = self.dtype_policy
        self.seed_layer = keras.layers.Dense(math.prod(self.grid) * seed_channels, dtype=policy)
        widths = (seed_channels, *self.channels)
        self.normalizations = [normalization_layer(normalization, w, policy) for w in widths]
        over_space, over_time = keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose
        kind = over_space if len(self.grid) == 2 else over_time
        self.convolutions = [
            kind(width, 4, 2, **SAME_PADDING, dtype=policy)
            for width in (*self.channels, outputs * patch**2)
        ]

    def call(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.seed_layer(tf.cast(latents, self.compute_dtype))
        x = tf.reshape(x, [-1, *self.grid, self.seed_channels])  # [B, (t,) h, w, D]
        for normalization, convolution in zip(self.normalizations, self.convolutions, strict=True):
            x = convolution(tf.nn.relu(normalization(x, training=training)))
        if self.patch > 1 and len(self.grid) == 2:
            x = tf.nn.depth_to_space(x, self.patch)
        elif self.patch > 1:
            x = over_frames(lambda frames: tf.nn.depth_to_space(frames, self.patch), x)
        return tf.cast(x, tf.float32)


@keras.saving.register_keras_serializable(package="kerasvid")
class TwoStreamDecoder(KeepsArguments, keras.layers.Layer):
    """The foreground with its mask, and the background, of a clip's latent vector.

    Args:
        image_shape: `(H, W, C)`.
        frames: T; the stream makes the next multiple of 2^(stages + 1), which is cut.
        seed_channels, channels, patch, normalization: of both streams, see `DeconvolutionStream`.

    Call: `[B, D]` -> `Streams`, float32.

    Raises:
        ValueError: H or W is no multiple of `patch` times 2^(stages + 1).
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        frames: int,
        seed_channels: int = 512,
        channels: Sequence[int] = (256, 128, 64),
        patch: int = 1,
        normalization: str = "batch",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        self.seed_channels, self.channels = seed_channels, tuple(channels)
        self.patch, self.normalization = patch, normalization

        # === Networks ===
        (height, width, colors), enlarged = self.image_shape, 2 ** (len(channels) + 1)
        factor = enlarged * patch
        if height % factor or width % factor:
            raise ValueError(
                f"Frames of {height}x{width} do not fit a decoder that enlarges {factor} times. "
                f"Use sizes that are multiples of {factor}, or other decoder.channels or patch."
            )
        grid = (-(-frames // enlarged), height // factor, width // factor)
        own, policy = (seed_channels, self.channels, patch, normalization), self.dtype_policy
        # Foreground and mask are two heads of one stream: channels of its last convolution.
        self.foreground = DeconvolutionStream(grid, colors + 1, *own, dtype=policy)
        self.background = DeconvolutionStream(grid[1:], colors, *own, dtype=policy)

    def call(self, latents: tf.Tensor, training: bool = False) -> Streams:
        moving = self.foreground(latents, training=training)[:, : self.frames]
        background = tf.tanh(self.background(latents, training=training))
        return Streams(tf.tanh(moving[..., :-1]), tf.sigmoid(moving[..., -1:]), background)


@keras.saving.register_keras_serializable(package="kerasvid")
class VGAN(FixedLength, VideoGenerator, AdversarialModel, Conditional):
    """Clips of a moving foreground before a static background, trained adversarially.

    A clip has one latent vector, repeated at every frame of its codes; `decode` takes the first.

    Args:
        latent_dim: size of z.
        decoder: arguments of `TwoStreamDecoder`, without `image_shape` and `frames`.
        video_discriminator: arguments of `VideoDiscriminator` (D_V). With `score="full"` training
            clips have the native length, with `"patch"` any that D_V and `frames` admit.
        categories: of `AdversarialModel`.
        mask_weight: lambda, the weight of the mean of the mask in the generator's loss.
        **kwargs: of `AdversarialModel`: `image_shape`, `frames` (the native length: a clip has at
            most so many) and `objective`.

    Raises:
        ValueError: the decoder's factors do not fit the image size, `mask_weight` is negative, or
            as `AdversarialModel`.

    Example:
        >>> model = VGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> streams = model.streams(model.latents_of(model.sample_noise(4)))
        >>> streams.background.shape
        TensorShape([4, 64, 64, 3])
    """

    term_names = ("loss", "generator_loss", "mask_loss")

    PARTS: ClassVar[dict[str, Any]] = {**AdversarialModel.PARTS, "decoder": TwoStreamDecoder}

    def __init__(
        self,
        latent_dim: int = 100,
        decoder: Mapping[str, Any] | None = None,
        video_discriminator: Mapping[str, Any] | None = None,
        mask_weight: float = 0.1,
        categories: int = 0,
        **kwargs,
    ):
        discriminators: dict[str, Any] = {IMAGE: False, VIDEO: video_discriminator}
        super().__init__(**discriminators, categories=categories, **kwargs)
        if mask_weight < 0:
            raise ValueError(f"mask_weight={mask_weight} must be 0 or more.")
        self.latent_dim, self.mask_weight = latent_dim, mask_weight
        self.network_arguments["decoder"] = own = dict(decoder or {})
        policy = self.dtype_policy
        self.decoder = TwoStreamDecoder(self.image_shape, self.frames, **own, dtype=policy)
        self.build_networks()

    # === Losses ===

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D_V(v)] + E[-log(1 - D_V(v~))]."""
        real, fake = terms.inputs(batch, "real")["video"], terms.inputs(fakes, "fake")["video"]
        labels = self.clip_labels(batch, fakes)
        return {VIDEO: terms.discriminator_loss(self.video_discriminator, real, fake, **labels)}

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D_V(v~)] + lambda E[|m|_1]; the second term is also the `"mask_loss"`."""
        fake = terms.inputs(fakes, "fake")["video"]
        mask_loss = self.mask_weight * tf.reduce_mean(fakes["mask"])
        labels = self.fake_labels(batch, fakes)
        loss = terms.generator_loss(self.video_discriminator, fake, labels) + mask_loss
        return {"generator_loss": loss, "mask_loss": mask_loss}

    # === Generation ===

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """z, and the one-hot class if there is one, the same at every frame: `[B, T, D]`."""
        return repeated(self.latents_of(noise), self.clip_length(frames))

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """The clips `[B, T, H, W, C]` of the first vectors of `[B, T, D]`; refuses a longer T."""
        return self._clips_of(codes[:, 0], codes.shape[1], training=False)["video"]

    def streams(self, latents: tf.Tensor, training: bool = False) -> Streams:
        """Foreground, mask and background of clips of native length, of `latents_of` `[B, D]`."""
        return self.decoder(latents, training=training)

    def fakes(self, noise: Mapping, frames: int, training: bool) -> dict[str, tf.Tensor]:
        """`"video"` `[B, T, H, W, C]` and its `"mask"` `[B, T, H, W, 1]`."""
        clips = self._clips_of(self.latents_of(noise), frames, training)
        return {**clips, **self.category_in_noise(noise)}

    def _clips_of(self, latents: tf.Tensor, frames: int, training: bool) -> dict[str, tf.Tensor]:
        foreground, mask, background = self.streams(latents, training)
        foreground, mask = (part[:, : self.clip_length(frames)] for part in (foreground, mask))
        video = mask * foreground + (1.0 - mask) * background[:, None]
        return {"video": video, "mask": mask}


_WHOLE_CLIP: dict[str, Any] = {"score": "full", **HALVING_TIME}
_SMALL: dict[str, Any] = {"channels": (64, 128, 256), "strides": (2, 2, 1), "patch": 4}
# From a 4x4 grid of 2 moments for 16 frames.
_TWO_CORES: dict[str, Any] = {
    "latent_dim": 100,
    "decoder": {
        "seed_channels": 256,
        "channels": (128, 64),
        "patch": 2,
        "normalization": "batch",
    },
}
VGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out. D_V scores patches: it takes short clips.
    "debug": {
        "latent_dim": 8,
        "decoder": {"seed_channels": 16, "channels": (8,), "patch": 2},
        "video_discriminator": {"channels": (8,), "patch": 2, **HALVING_TIME},
    },
    # The paper's loss alone.
    "plain": {
        **_TWO_CORES,
        "video_discriminator": {**_SMALL, "normalization": "batch", **_WHOLE_CLIP},
    },
    # Balanced discriminators, see `mocogan.py`.
    "base": {
        "latent_dim": 100,
        "decoder": {
            "seed_channels": 256,
            "channels": (128, 64),
            "patch": 2,
            "normalization": "batch",
        },
        "video_discriminator": {"channels": (24, 48, 96, 192), "batch_std": True, **HALVING_TIME},
        "objective": {"r1_weight": 20.0, "r1_interval": 8},
    },
    # The published sizes.
    "paper": {
        "frames": 32,
        "latent_dim": 100,
        "decoder": {
            "seed_channels": 512,
            "channels": (256, 128, 64),
            "patch": 1,
            "normalization": "batch",
        },
        "video_discriminator": {
            "channels": (64, 128, 256, 512),
            "normalization": "batch",
            **_WHOLE_CLIP,
        },
    },
}
_ADAM: dict[str, Any] = {"learning_rate": 2e-4, "warmup_steps": 0, "beta_1": 0.5, "beta_2": 0.999}
VGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=5_000, batch_size=8, ema_momentum=0.0, **_ADAM),
    "base": TrainConfig(steps=4_000, batch_size=16, **BALANCED),
    "paper": TrainConfig(steps=100_000, batch_size=64, ema_momentum=0.0, epsilon=1e-8, **_ADAM),
}
