"""TGAN, which unfolds one latent vector into a sequence of them and each of these into a frame.

Saito, Matsumoto, Saito: "Temporal Generative Adversarial Nets with Singular Value Clipping", ICCV
2017.

    z_0 ~ N(0, I)                                 once a video
    z_1^(1..T) = G_0(z_0)                         1-D transposed convolutions over time, then tanh
    x^(t) = G_1([z_0, z_1^(t)])

D_V alone discriminators, with one score for the clip.

Where this departs from the paper:

- z_0 is Gaussian, as everywhere in this library; the paper draws it uniformly from [-1, 1].
- G_1 begins with a dense layer on the joined vectors. The paper has one on z_0 and one on z_1^(t),
  each for its own half of the first grid's channels; that is this layer with half of its weights
  at zero.
- G_1 is the `FrameDecoder` of the other models: leaky rectifiers, one kernel size throughout.
- D_V has no batch norm, which the authors' released code has behind every convolution but the
  first and the last: what it divides by is not held, and so the slope would not be.
  `video_discriminator.normalization=batch` brings it.
- The paper keeps D_V's singular values at 1 or less by clipping them every fifth step. Here
  `video_discriminator.spectral` divides each kernel by the largest of them at every step, or
  `objective.gradient_penalty` bounds the slope itself.
- The paper's RMSProp is Adam with beta_1 = 0, but for Adam's correction of the first steps.
"""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasvid.layers.frame_networks import normalization_layer
from kerasvid.layers.recurrent import repeated
from kerasvid.models.base.fixed_length import FixedLength
from kerasvid.models.base.frame_gan import FrameGAN
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.mocogan import BASE, DEBUG
from kerasvid.models.vgan import BASE_JUDGE, DEBUG_JUDGE, PAPER_JUDGE, VGAN


@keras.saving.register_keras_serializable(package="kerasvid")
class TemporalGenerator(keras.layers.Layer):
    """G_0: a sequence of latent vectors of one, by transposed convolutions over time.

    A dense layer makes the first vectors (one, as published, if T is 2^(stages - 1)), and every
    further stage doubles their number by a transposed convolution of kernel 4 and stride 2. Batch
    norm and a rectifier stand behind all but the last, a tanh behind that.

    Args:
        frames: T; where the stages give more, the sequence is cut.
        channels: widths of the stages; the last is the size of a vector.

    Call: `[B, D] -> [B, T, channels[-1]]`, float32 in [-1, 1].

    Raises:
        ValueError: fewer than two stages.

    Example:
        >>> TemporalGenerator(frames=4, channels=(16, 8, 5))(tf.zeros([2, 10])).shape
        TensorShape([2, 4, 5])
    """

    def __init__(self, frames: int, channels: Sequence[int] = (512, 256, 128, 128, 100), **kwargs):
        super().__init__(autocast=False, **kwargs)  # latents stay float32
        if len(channels) < 2:
            raise ValueError(f"temporal_channels={tuple(channels)}: give two widths or more.")
        self.frames, self.channels = frames, tuple(channels)
        self.start = -(-frames // 2 ** (len(self.channels) - 1))

        # === Networks ===
        policy = self.dtype_policy
        # On a single position a transposed convolution is a dense layer.
        self.first = keras.layers.Dense(self.start * self.channels[0], dtype=policy)
        self.convolutions = [
            keras.layers.Conv1DTranspose(width, 4, 2, padding="same", dtype=policy)
            for width in self.channels[1:]
        ]
        self.normalizations = [
            normalization_layer("batch", width, policy) for width in self.channels[:-1]
        ]

    def call(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.first(tf.cast(latents, self.compute_dtype))
        x = tf.reshape(x, [-1, self.start, self.channels[0]])  # [B, t, D]
        for normalization, convolution in zip(self.normalizations, self.convolutions, strict=True):
            x = convolution(tf.nn.relu(normalization(x, training=training)))
        return tf.tanh(tf.cast(x, tf.float32))[:, : self.frames]

    def get_config(self) -> dict:
        return {**super().get_config(), "frames": self.frames, "channels": self.channels}


@keras.saving.register_keras_serializable(package="kerasvid")
class TGAN(FixedLength, FrameGAN):
    """Videos as one latent vector, unfolded over time, trained adversarially.

    Args:
        latent_dim: size of z_0.
        temporal_channels: widths of G_0, see `TemporalGenerator`; the last is the size of z_1^(t).
        **kwargs: of `FrameGAN`: `image_shape`, `frames` (the native length: a clip has at most so
            many), `decoder`, `video_discriminator` and `objective`. With the discriminator's
            `score="full"` training clips have the native length, with `"patch"` any that it and
            `frames` admit. There is no image discriminator.

    Raises:
        ValueError: as `FrameGAN` and `TemporalGenerator`.

    Example:
        >>> model = TGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> videos = model.generate(4)  # uint8 [4, T, H, W, C]
    """

    def __init__(
        self,
        latent_dim: int = 100,
        temporal_channels: Sequence[int] = (512, 256, 128, 128, 100),
        image_discriminator: bool = False,
        **kwargs,
    ):
        if image_discriminator is not False:
            raise ValueError("TGAN has no image discriminator: use mocogan or rjgan.")
        super().__init__(image_discriminator=False, **kwargs)
        self.latent_dim, self.temporal_channels = latent_dim, tuple(temporal_channels)
        self.temporal = TemporalGenerator(
            self.frames, self.temporal_channels, dtype=self.dtype_policy
        )
        self.build_networks()

    # === Generation ===

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """[z_0, z_1^(t)], `[B, T, D]`."""
        return self.unfolded(noise, training=False)

    def unfolded(self, noise: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        """The codes, in training by the statistics of the batch."""
        frames = self.length_of(noise)
        sequence = self.temporal(noise["latent"], training=training)[:, :frames]
        return tf.concat([repeated(noise["latent"], frames), sequence], axis=-1)

    def fakes(self, noise: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        return {"video": self.frames_of(self.unfolded(noise, training), training)}

    def get_config(self) -> dict:
        own = {"latent_dim": self.latent_dim, "temporal_channels": self.temporal_channels}
        return {**super().get_config(), **own}


TGAN.PRESETS = {
    "debug": {
        "latent_dim": 8,
        "temporal_channels": (16, 8, 6),
        "decoder": DEBUG["decoder"],
        "video_discriminator": {**DEBUG_JUDGE, "spectral": True},
        "objective": {"loss": "wasserstein"},
    },
    # Sized for two CPU cores; the hinge loss is the usual one beside spectral normalisation.
    "base": {
        "temporal_channels": (256, 128, 64, 64, 50),
        "decoder": BASE["decoder"],
        "video_discriminator": BASE_JUDGE,
        "objective": {"loss": "hinge"},
    },
    # The published sizes.
    "paper": {
        "decoder": {
            "dense_units": (),
            "seed_channels": 512,
            "channels": (256, 128, 64, 32),
            "upsampling": (2, 2, 2, 2),
            "kernel_size": 4,
            "transposed": True,
            "patch": 1,
            "normalization": "batch",
        },
        "video_discriminator": {**PAPER_JUDGE, "spectral": True},
        "objective": {"loss": "wasserstein"},
    },
}
TGAN.TRAINING = {
    "debug": VGAN.TRAINING["debug"],
    "base": VGAN.TRAINING["base"],
    "paper": TrainConfig(
        steps=100_000, batch_size=32, learning_rate=5e-5, warmup_steps=0, beta_1=0.0,
        beta_2=0.99, ema_momentum=0.999,
    ),
}  # fmt: skip
