"""RJGAN, the Residual Joint GAN.

Dandi, Das, Singhal, Namboodiri, Rai: "Jointly Trained Image and Video Generation using Residual
Vectors", WACV 2020, section 4.1, figure 2 (a) and equation (1).

    mu ~ N(0, sigma^2 I)                          the summary, once a video
    e^(t) ~ N(0, I)
    delta^(t) = GRU([e^(t), mu], delta^(t-1))     the residuals, delta^(0) = 0
    z^(t) = mu + delta^(t),  x^(t) = G_I(z^(t))   a frame; G_I(mu) is the summary frame

D_I sees frames of clips and, by the last two terms of equation (1), summary frames:

    E[-log D_I(S_1(v))] + E[-log(1 - D_I(S_1(v~)))]
    + E[-log D_V(S_T(v))] + E[-log(1 - D_V(S_T(v~)))]
    + E[-log D_I(S_1(v))] + E_mu[-log(1 - D_I(G_I(mu)))]

so that the image generator has a fixed prior of its own and can be trained on images beside videos,
before them or after them. `objective.image_prior_weight` is the weight of the last two terms, 1 in
the equation. The paper feeds summary frames "periodically"; here every step does.

The paper does not say what delta^(0) is; MoCoGAN, whose architecture it follows, draws it. Its
appendix with sizes and training was not at hand, and no released code was found. The preset `paper`
has those of the preset `paper` of MoCoGAN; `mocogan.py` lists the differences from its code.

With `categories`, which the paper does not have, the one-hot class y of a video stands beside
every code, [z^(t), y] and [mu, y], and beside mu in the input of the GRU. D_V learns of it by
`objective.conditioning`, D_I does not.

The preset `plain` has the losses of the paper alone, `base` the departures that
`mocogan.py` lists.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.layers.discriminators import HALVING_TIME
from kerasvid.layers.frame_networks import dcgan_generator, patch_decoder
from kerasvid.layers.recurrent import NoiseGRU
from kerasvid.models.base.categories import beside, category_code
from kerasvid.models.base.gan import BALANCED, IMAGE, VIDEO, FrameGAN
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.protocols import Conditional, SummaryPrior
from kerasvid.models.base.train_config import TrainConfig


@keras.saving.register_keras_serializable(package="kerasvid")
class RJGAN(FrameGAN, SummaryPrior, Conditional):
    """Videos as a summary vector plus a residual at every frame, trained adversarially.

    Args:
        latent_dim: size of the summary, the residuals and a frame's latent vector.
        noise_dim: size of e^(t).
        prior_scale: sigma, the standard deviation of the summary's prior.
        residual_scale: factor of the residuals; 0 makes every frame the summary frame.
        categories: of `AdversarialModel`.
        image_discriminator, video_discriminator: arguments of D_I and D_V, `False` for none.
        **kwargs: of `FrameGAN`: `image_shape`, `frames`, `decoder` and `objective`.

    Raises:
        ValueError: as `FrameGAN`, or `prior_scale` is not positive.

    Example:
        >>> model = RJGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> images = model.generate_images(16)  # uint8 [16, H, W, C], no GRU runs
    """

    first_in_codes = "summary"

    def __init__(
        self,
        latent_dim: int = 60,
        noise_dim: int = 10,
        prior_scale: float = 1.0,
        residual_scale: float = 1.0,
        categories: int = 0,
        image_discriminator: Mapping[str, Any] | bool | None = None,
        video_discriminator: Mapping[str, Any] | bool | None = None,
        **kwargs,
    ):
        discriminators: dict[str, Any] = {IMAGE: image_discriminator, VIDEO: video_discriminator}
        super().__init__(**discriminators, categories=categories, **kwargs)
        if prior_scale <= 0:
            raise ValueError(f"prior_scale={prior_scale} must be positive.")
        self.latent_dim, self.noise_dim = latent_dim, noise_dim
        self.prior_scale, self.residual_scale = prior_scale, residual_scale
        self.residual = NoiseGRU(latent_dim, dtype=self.dtype_policy)
        self.build_networks()

    # === Losses ===

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """Equation (1): D_I sees frames of clips and summary frames, D_V clips."""
        real, fake = terms.inputs(batch, "real"), terms.inputs(fakes, "fake")
        d_i, prior_weight = self.image_discriminator, self.objective.image_prior_weight
        # S_1(v) of both terms, drawn anew for each; S_1(v~) and G_I(mu).
        frames, weights = terms.real_frames(real, self.objective.image_frames + 1)
        fake_frames, summary_frames = terms.fake_frames(fake), fake["image"]
        all_fakes = tf.concat([fake_frames, summary_frames], axis=0)
        return {
            IMAGE: (1.0 + prior_weight) * terms.real_loss(d_i, frames, weights)
            + terms.fake_loss(d_i, fake_frames)
            + prior_weight * terms.fake_loss(d_i, summary_frames)
            + terms.penalties(d_i, frames, all_fakes, weights),
            VIDEO: terms.discriminator_loss(
                self.video_discriminator,
                real["video"],
                fake["video"],
                **self.clip_labels(batch, fakes),
            ),
        }

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D_I(S_1(v~))] + E[-log D_V(S_T(v~))] + E_mu[-log D_I(G_I(mu))]."""
        fake, prior_weight = terms.inputs(fakes, "fake"), self.objective.image_prior_weight
        loss = terms.generator_loss(self.image_discriminator, terms.fake_frames(fake))
        loss += prior_weight * terms.generator_loss(self.image_discriminator, fake["image"])
        labels = self.fake_labels(batch, fakes)
        loss += terms.generator_loss(self.video_discriminator, fake["video"], labels)
        return {"generator_loss": loss}

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        shapes = {"summary": (self.latent_dim,), "residual": (frames, self.noise_dim)}
        return {**shapes, **self.category_shapes()}

    def summary_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """mu of named noise: `[B, D]`."""
        return self.prior_scale * noise["summary"]

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """z^(t) = mu + delta^(t), `[B, T, D]`, and the one-hot class beside it, if there is one."""
        summary, category = self.summary_of(noise), category_code(noise)
        condition = beside(summary, category)
        residual = self.residual(noise["residual"][:, :frames], condition=condition)
        return beside(summary[:, None] + self.residual_scale * residual, category)

    def summary_codes(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The code of the summary frame as one of a frame, `[B, 1, D]`."""
        return beside(self.summary_of(noise), category_code(noise))[:, None]

    def fakes(self, noise: Mapping, frames: int, training: bool) -> dict[str, tf.Tensor]:
        """`"video"` `[B, T, H, W, C]` and the summary frames, `"image"` `[B, H, W, C]`."""
        # The summary frame is one more frame of the same pass: one batch of statistics for both.
        codes = [self.clip_codes(noise, frames), self.summary_codes(noise)]
        both = self.frames_of(tf.concat(codes, axis=1), training)  # [B, T + 1, H, W, C]
        video, image = tf.split(both, [frames, 1], axis=1)
        return {"video": video, "image": image[:, 0], **self.category_in_noise(noise)}

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The summary frame G_I(mu), `[B, H, W, C]` in [-1, 1], of named noise; no GRU runs."""
        return self.decode(self.summary_codes(noise))[:, 0]


# Sized for two CPU cores: half the released widths of MoCoGAN, and a stride in time.
_TWO_CORES: dict[str, Any] = {
    "latent_dim": 60,
    "noise_dim": 10,
    "decoder": dcgan_generator(32, normalization="batch"),
    "image_discriminator": {"channels": (64, 128, 256), "patch": 2},
    "video_discriminator": {"channels": (32, 96, 192), "patch": 2, **HALVING_TIME},
}
_OBJECTIVE: dict[str, Any] = {"image_frames": 4, "r1_weight": 20.0, "r1_interval": 8}
RJGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "latent_dim": 12,
        "noise_dim": 4,
        "decoder": {**patch_decoder((), 16, (16, 8), (1, 2)), "normalization": "batch"},
        "image_discriminator": {"channels": (8, 16), "patch": 2},
        "video_discriminator": {"channels": (8,), "patch": 2, "temporal_kernel": 2},
    },
    # The losses of the paper alone.
    "plain": _TWO_CORES,
    # Balanced discriminators, see `mocogan.py`.
    "base": {
        "latent_dim": 60,
        "noise_dim": 10,
        "decoder": dcgan_generator(32, normalization="batch"),
        "image_discriminator": {"channels": (32, 64, 128, 256), "batch_std": True},
        "video_discriminator": {"channels": (24, 48, 96, 192), "batch_std": True, **HALVING_TIME},
        "objective": _OBJECTIVE,
    },
    # As `base` with half of its parameters. Without discriminators: the weights that come with the
    # package.
    "small": {
        "latent_dim": 60,
        "noise_dim": 10,
        "decoder": dcgan_generator(24, normalization="batch"),
        "image_discriminator": {"channels": (24, 48, 96, 192), "batch_std": True},
        "video_discriminator": {"channels": (16, 32, 64, 128), "batch_std": True, **HALVING_TIME},
        "objective": _OBJECTIVE,
    },
    # The released sizes of MoCoGAN, which the paper takes over.
    "paper": {
        "latent_dim": 60,
        "noise_dim": 10,
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
RJGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=2_000, batch_size=8, ema_momentum=0.0, **_ADAM),
    "base": TrainConfig(steps=4_000, batch_size=16, **BALANCED),
    "small": TrainConfig(steps=3_500, batch_size=16, **BALANCED),
    "paper": TrainConfig(
        steps=100_000, batch_size=32, stride=2, ema_momentum=0.0, epsilon=1e-8, **_ADAM
    ),
}
