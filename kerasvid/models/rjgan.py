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

so that the image generator has a fixed prior of its own: it can be trained on images beside videos,
before them or after them. `objective.image_prior_weight` weighs these two terms (1 in the equation). The
paper feeds summary frames "periodically"; here every step does.

What delta^(0) is the paper leaves open; MoCoGAN, whose architecture it follows, draws it.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid.layers.recurrent import NoiseGRU
from kerasvid.models.base.frame_gan import FrameGAN
from kerasvid.models.base.protocols import ImagePrior
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.mocogan import BASE, DEBUG, PAPER, MoCoGAN


@keras.saving.register_keras_serializable(package="kerasvid")
class RJGAN(FrameGAN, ImagePrior):
    """Videos as a summary vector plus a residual at every frame, trained adversarially.

    Args:
        latent_dim: size of the summary, the residuals and a frame's latent vector.
        noise_dim: size of e^(t).
        prior_scale: sigma of the summary's prior.
        residual_scale: factor of the residuals; 0 makes still videos.
        **kwargs: of `FrameGAN`: `image_shape`, `frames`, `decoder`, `image_discriminator`,
            `video_discriminator` and `objective`.

    Raises:
        ValueError: as `FrameGAN`, or `prior_scale` is not positive.

    Example:
        >>> model = RJGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> images = model.generate_images(16)  # uint8 [16, H, W, C], no GRU runs
    """

    def __init__(
        self,
        latent_dim: int = 60,
        noise_dim: int = 10,
        prior_scale: float = 1.0,
        residual_scale: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if prior_scale <= 0:
            raise ValueError(f"prior_scale={prior_scale} must be positive.")
        self.latent_dim, self.noise_dim = latent_dim, noise_dim
        self.prior_scale, self.residual_scale = prior_scale, residual_scale
        self.residual = NoiseGRU(latent_dim, dtype=self.dtype_policy)
        self.build_networks()

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"summary": (self.latent_dim,), "residual": (frames, self.noise_dim)}

    def summary_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """mu of named noise: `[B, D]`."""
        return self.prior_scale * noise["summary"]

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """z^(t) = mu + delta^(t), `[B, T, D]`."""
        summary = self.summary_of(noise)
        residual = self.residual(noise["residual"], condition=summary)
        return summary[:, None] + self.residual_scale * residual

    def fakes(self, noise: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        # The summary frame is one more frame of the same pass: one batch of statistics for both.
        codes = tf.concat([self.codes(noise), self.summary_of(noise)[:, None]], axis=1)
        frames = self.frames_of(codes, training)  # [B, T + 1, H, W, C]
        return {"video": frames[:, :-1], "still": frames[:, -1]}

    def generate_images(self, batch: int, seed: int = 0) -> np.ndarray:
        """Summary frames G_I(mu) from the fixed prior: uint8 `[B, H, W, C]`; no GRU runs.

        Row i shows the summary of row i of `generate` at the same seed.
        """
        return as_pixels(self.image_of(self.sample_noise(batch, 1, seed)))

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The summary frame `[B, H, W, C]` in [-1, 1] of named noise."""
        return self.decode(self.summary_of(noise)[:, None])[:, 0]

    def get_config(self) -> dict:
        own = {
            "latent_dim": self.latent_dim,
            "noise_dim": self.noise_dim,
            "prior_scale": self.prior_scale,
            "residual_scale": self.residual_scale,
        }
        return {**super().get_config(), **own}


RJGAN.PRESETS = {
    "debug": {**DEBUG, "latent_dim": 12, "noise_dim": 4},
    "base": BASE,
    "paper": PAPER,
}
RJGAN.TRAINING = MoCoGAN.TRAINING
