"""TGAN, which makes a sequence of latent vectors of one, and a frame of each.

Saito, Matsumoto, Saito: "Temporal Generative Adversarial Nets with Singular Value Clipping", ICCV
2017.

    z_0 ~ N(0, I)                                 once a video
    z_1^(1..T) = G_0(z_0)                         1-D transposed convolutions over time, then tanh
    x^(t) = G_1([z_0, z_1^(t)])

D_V is the only discriminator, with one score for the clip:

    D_V: E[-D_V(v)] + E[D_V(v~)],  G: E[-D_V(v~)]           with the loss "wasserstein"

With `categories`, which the paper does not have, the one-hot class of a video stands beside z_0.
D_V learns of it by `objective.conditioning`.

The preset `plain` is this loss, at sizes for two CPU cores; `base` has the logistic loss and
the departures that `mocogan.py` lists. The preset `paper` has the sizes, rates and batch of
https://github.com/pfnet-research/tgan (its configuration
`ucf101_wgan_svd_zdim-100_no-beta-all_init-uniform-all`). Its 1,000 epochs are of a list of videos
that is not in the code: the number of steps is ours. Differences from the paper and this code:

- z_0 is Gaussian, as everywhere in this library. The paper draws it uniformly from [-1, 1].
- G_1 begins with a dense layer on both vectors. The paper has one on each, for half of the first
  grid's channels: this layer with half of its weights at zero.
- G_1 is the `FrameDecoder` of the other models: leaky rectifiers, one kernel size throughout.
- D_V has no batch norm, which would leave its gradient unbounded. The released code has it after
  all convolutions but the first and the last: set `video_discriminator.normalization=batch`.
- The paper clips D_V's singular values to 1 every fifth step. Here `video_discriminator.spectral`
  divides each kernel by its largest singular value at every step, or `objective.gradient_penalty`
  bounds the gradient itself.
- The paper's RMSProp is Adam with beta_1 = 0, but for Adam's correction of the first steps.
- The batch norm of G_0 has a shift; in this configuration it has none. Initial weights are Keras's;
  there they are drawn uniformly from [-0.01, 0.01].
- D_V is updated before the generator, in the code after it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasvid.layers.discriminators import HALVING_TIME
from kerasvid.layers.frame_networks import dcgan_generator, normalization_layer, patch_decoder
from kerasvid.layers.recurrent import repeated
from kerasvid.layers.strided_convolution import SAME_PADDING
from kerasvid.models.base.gan import BALANCED, IMAGE, VIDEO, FixedLength, FrameGAN
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.protocols import Conditional
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.naming import KeepsArguments


@keras.saving.register_keras_serializable(package="kerasvid")
class TemporalGenerator(KeepsArguments, keras.layers.Layer):
    """G_0: a sequence of latent vectors of one, by transposed convolutions over time.

    A dense layer makes the first vectors: one, as published, if T is 2^(stages - 1). Every further
    stage doubles their number by a transposed convolution of kernel 4 and stride 2. Batch norm and
    a rectifier follow all stages but the last, a tanh follows that.

    Args:
        frames: T; a longer sequence is cut.
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
            raise ValueError(f"temporal_channels={tuple(channels)} must have two widths or more.")
        self.frames, self.channels = frames, tuple(channels)
        self.start = -(-frames // 2 ** (len(self.channels) - 1))

        # === Networks ===
        policy = self.dtype_policy
        # On a single position a transposed convolution is a dense layer.
        self.first = keras.layers.Dense(self.start * self.channels[0], dtype=policy)
        self.convolutions = [
            keras.layers.Conv1DTranspose(width, 4, 2, **SAME_PADDING, dtype=policy)
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


@keras.saving.register_keras_serializable(package="kerasvid")
class TGAN(FixedLength, FrameGAN, Conditional):
    """Videos as one latent vector, unfolded over time, trained adversarially.

    Args:
        latent_dim: size of z_0.
        categories: of `AdversarialModel`.
        temporal_channels: widths of G_0, see `TemporalGenerator`; the last is the size of z_1^(t).
        video_discriminator: arguments of D_V. With `score="full"` training clips have the native
            length, with `"patch"` any that D_V and `frames` admit.
        **kwargs: of `FrameGAN`: `image_shape`, `frames` (the native length: a clip has at most so
            many), `decoder` and `objective`.

    Raises:
        ValueError: as `FrameGAN` and `TemporalGenerator`.

    Example:
        >>> model = TGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> videos = model.generate(4)  # uint8 [4, T, H, W, C]
    """

    first_in_codes = "latent"

    def __init__(
        self,
        latent_dim: int = 100,
        temporal_channels: Sequence[int] = (512, 256, 128, 128, 100),
        categories: int = 0,
        video_discriminator: Mapping[str, Any] | bool | None = None,
        **kwargs,
    ):
        discriminators: dict[str, Any] = {IMAGE: False, VIDEO: video_discriminator}
        super().__init__(**discriminators, categories=categories, **kwargs)
        self.latent_dim, self.temporal_channels = latent_dim, tuple(temporal_channels)
        self.temporal = TemporalGenerator(
            self.frames, self.temporal_channels, dtype=self.dtype_policy
        )
        self.build_networks()

    # === Losses ===

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-D_V(v)] + E[D_V(v~)], with the loss "wasserstein"."""
        real, fake = terms.inputs(batch, "real")["video"], terms.inputs(fakes, "fake")["video"]
        labels = self.clip_labels(batch, fakes)
        return {VIDEO: terms.discriminator_loss(self.video_discriminator, real, fake, **labels)}

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-D_V(v~)], with the loss "wasserstein"."""
        fake = terms.inputs(fakes, "fake")["video"]
        labels = self.fake_labels(batch, fakes)
        return {"generator_loss": terms.generator_loss(self.video_discriminator, fake, labels)}

    # === Generation ===

    def codes(
        self, noise: Mapping[str, tf.Tensor], frames: int | None = None, training: bool = False
    ) -> tf.Tensor:
        """[z_0, z_1^(t)], `[B, T, D]`; in training with the batch norm of the batch."""
        frames = self.clip_length(frames)
        latents = self.latents_of(noise)
        sequence = self.temporal(latents, training=training)[:, :frames]
        return tf.concat([repeated(latents, frames), sequence], axis=-1)

    def fakes(self, noise: Mapping, frames: int, training: bool) -> dict[str, tf.Tensor]:
        video = self.frames_of(self.codes(noise, frames, training), training)
        return {"video": video, **self.category_in_noise(noise)}


# For clips of 16 frames.
_WHOLE_CLIP: dict[str, Any] = {"score": "full", "spectral": True, **HALVING_TIME}
_SMALL: dict[str, Any] = {"channels": (64, 128, 256), "strides": (2, 2, 1), "patch": 4}
_TWO_CORES: dict[str, Any] = {
    "latent_dim": 100,
    "temporal_channels": (256, 128, 64, 64, 50),
    "decoder": dcgan_generator(32, normalization="batch"),
    "video_discriminator": {**_SMALL, **_WHOLE_CLIP},
}
TGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out. D_V scores patches: it takes short clips.
    "debug": {
        "latent_dim": 8,
        "temporal_channels": (16, 8, 6),
        "decoder": {**patch_decoder((), 16, (16, 8), (1, 2)), "normalization": "batch"},
        "video_discriminator": {"channels": (8,), "patch": 2, "spectral": True, **HALVING_TIME},
        "objective": {"loss": "wasserstein"},
    },
    # The paper's loss alone.
    "plain": {**_TWO_CORES, "objective": {"loss": "wasserstein"}},
    # Balanced discriminators, see `mocogan.py`.
    "base": {
        "latent_dim": 100,
        "temporal_channels": (256, 128, 64, 64, 50),
        "decoder": dcgan_generator(32, normalization="batch"),
        "video_discriminator": {"channels": (24, 48, 96, 192), "batch_std": True, **HALVING_TIME},
        "objective": {"r1_weight": 20.0, "r1_interval": 8},
    },
    # The published sizes.
    "paper": {
        "latent_dim": 100,
        "temporal_channels": (512, 256, 128, 128, 100),
        "decoder": dcgan_generator(
            64,
            channels=(256, 128, 64, 32),
            upsampling=(2, 2, 2, 2),
            patch=1,
            normalization="batch",
        ),
        "video_discriminator": {"channels": (64, 128, 256, 512), **_WHOLE_CLIP},
        "objective": {"loss": "wasserstein"},
    },
}
_RMSPROP: dict[str, Any] = {
    "learning_rate": 5e-5,
    "warmup_steps": 0,
    "beta_1": 0.0,
    "beta_2": 0.99,
    "epsilon": 1e-8,
}
TGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=5_000, batch_size=8, ema_momentum=0.0, **_RMSPROP),
    "base": TrainConfig(steps=4_000, batch_size=16, **BALANCED),
    "paper": TrainConfig(steps=100_000, batch_size=32, ema_momentum=0.0, **_RMSPROP),
}
