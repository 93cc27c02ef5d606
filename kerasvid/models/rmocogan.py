"""RMoCoGAN, the Residual MoCoGAN, whose content may vary a little within a clip.

Dandi, Das, Singhal, Namboodiri, Rai: "Jointly Trained Image and Video Generation using Residual
Vectors", WACV 2020, section 4.2.

    z_C ~ N(0, sigma^2 I)                         the content summary, once a video
    z_M^(t)                                       the motion, as in MoCoGAN, independent of z_C
    delta_C^(t) = R(z_C, z_M^(t))                 the residual: of nothing else
    x^(t) = G_I([z_C + delta_C^(t), z_M^(t)])

All dependence in time goes through the motion. With `categories` the category counts as motion. The
losses are those of MoCoGAN. The preset `paper` has the sizes and the training of the preset `paper`
of MoCoGAN (section 4.2: "the notation and architecture of MoCoGAN"; the differences from its
released code are in `mocogan.py`). The width of R is ours: the appendix with it was not at hand,
and no released code was found.

The preset `plain` has the losses of the paper alone, `base` the departures that
`mocogan.py` lists.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.layers.discriminators import HALVING_TIME
from kerasvid.layers.frame_networks import dcgan_generator, patch_decoder
from kerasvid.layers.recurrent import repeated
from kerasvid.models.base.gan import BALANCED
from kerasvid.models.base.protocols import SummaryPrior
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.mocogan import ContentMotionGAN


@keras.saving.register_keras_serializable(package="kerasvid")
class RMoCoGAN(ContentMotionGAN, SummaryPrior):
    """MoCoGAN with a residual on the content at every frame.

    Args:
        residual_units: width of the hidden layer of R.
        prior_scale: sigma, the standard deviation of the content summary's prior.
        **kwargs: of `ContentMotionGAN`, as for `MoCoGAN`.

    Raises:
        ValueError: as `MoCoGAN`, or `prior_scale` is not positive.

    Example:
        >>> model = RMoCoGAN.from_preset("debug")
        >>> videos = model.recombine(content_of=noise, motion_of=other)  # figure 5 of the paper
    """

    summary_noise = "content"

    def __init__(self, residual_units: int = 128, prior_scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        if prior_scale <= 0:
            raise ValueError(f"prior_scale={prior_scale} must be positive.")
        self.residual_units, self.prior_scale = residual_units, prior_scale
        self.residual_hidden = keras.layers.Dense(residual_units, dtype=self.dtype_policy)
        # Small at first: an untrained model is a MoCoGAN.
        small = keras.initializers.VarianceScaling(0.01)
        self.residual_output = keras.layers.Dense(
            self.content_dim, kernel_initializer=small, dtype="float32"
        )
        self.build_networks()

    def residual(self, content: tf.Tensor, motion: tf.Tensor) -> tf.Tensor:
        """delta_C^(t) = R(z_C, z_M^(t)): `[B, T, D]`, `[B, T, E]` -> `[B, T, D]`."""
        hidden = self.residual_hidden(tf.concat([content, motion], axis=-1))
        return self.residual_output(tf.nn.leaky_relu(hidden))

    def summary_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """z_C of named noise: `[B, D]`."""
        return self.prior_scale * noise["content"]

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """[z_C + delta_C^(t), z_M^(t)], `[B, T, D]`."""
        motion = self.motion_codes(noise, frames)
        content = repeated(self.summary_of(noise), motion.shape[1])
        return tf.concat([content + self.residual(content, motion), motion], axis=-1)

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The frame `[B, H, W, C]` in [-1, 1] of the content summary of named noise; no GRU runs.

        Its motion is 0, the mean of h_0: h_0 itself is wider than h_1 to h_T, from which the
        decoder has learned.
        """
        motion = self.with_category(tf.zeros_like(noise["start"])[:, None], noise)  # [B, 1, E]
        codes = tf.concat([self.summary_of(noise)[:, None], motion], axis=-1)
        return self.decode(codes)[:, 0]


# Sized for two CPU cores: half the released widths of MoCoGAN, and a stride in time.
_TWO_CORES: dict[str, Any] = {
    "content_dim": 50,
    "motion_dim": 10,
    "residual_units": 128,
    "decoder": dcgan_generator(32, normalization="batch"),
    "image_discriminator": {"channels": (64, 128, 256), "patch": 2},
    "video_discriminator": {"channels": (32, 96, 192), "patch": 2, **HALVING_TIME},
}
RMoCoGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "content_dim": 8,
        "motion_dim": 4,
        "residual_units": 16,
        "decoder": {**patch_decoder((), 16, (16, 8), (1, 2)), "normalization": "batch"},
        "image_discriminator": {"channels": (8, 16), "patch": 2},
        "video_discriminator": {"channels": (8,), "patch": 2, "temporal_kernel": 2},
    },
    # The losses of the paper alone.
    "plain": _TWO_CORES,
    # Balanced discriminators, see `mocogan.py`.
    "base": {
        "content_dim": 50,
        "motion_dim": 10,
        "residual_units": 128,
        "decoder": dcgan_generator(32, normalization="batch"),
        "image_discriminator": {"channels": (32, 64, 128, 256), "batch_std": True},
        "video_discriminator": {"channels": (24, 48, 96, 192), "batch_std": True, **HALVING_TIME},
        "objective": {"image_frames": 4, "r1_weight": 20.0, "r1_interval": 8},
    },
    # The released sizes of MoCoGAN, which the paper takes over.
    "paper": {
        "content_dim": 50,
        "motion_dim": 10,
        "residual_units": 128,
        "decoder": dcgan_generator(64, normalization="batch"),
        "image_discriminator": {"channels": (64, 128, 256), "normalization": "batch"},
        "video_discriminator": {
            "channels": (64, 128, 256, 512),
            "score": "full",
            "normalization": "batch",
        },
    },
}
_ADAM: dict[str, Any] = {"learning_rate": 2e-4, "warmup_steps": 0, "beta_1": 0.5, "beta_2": 0.999}
RMoCoGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=2_000, batch_size=8, ema_momentum=0.0, **_ADAM),
    "base": TrainConfig(steps=4_000, batch_size=16, **BALANCED),
    "paper": TrainConfig(
        steps=100_000, batch_size=32, stride=2, ema_momentum=0.0, epsilon=1e-8, **_ADAM
    ),
}
