"""The image-GAN baseline of the residual-vector paper: G_I and D_I alone, on single frames.

Dandi, Das, Singhal, Namboodiri, Rai: "Jointly Trained Image and Video Generation using Residual
Vectors", WACV 2020, section 5.2.

    z ~ N(0, sigma^2 I),  x = G_I(z)
    D_I: E[-log D_I(S_1(v))] + E[-log(1 - D_I(x))]
    G_I: E[-log D_I(x)]

G_I and D_I are those of RJGAN, so that a run of the one can begin with the weights of the other.
The paper trains both "under the same conditions": a step of the presets `plain` and `paper` sees as
many images as D_I of RJGAN does, two of each of its clips, here each of another video.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.layers.frame_networks import dcgan_generator, patch_decoder
from kerasvid.models.base.gan import BALANCED, IMAGE, VIDEO, FrameGAN
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.protocols import ImagePrior
from kerasvid.models.base.train_config import TrainConfig


@keras.saving.register_keras_serializable(package="kerasvid")
class ImageGAN(FrameGAN, ImagePrior):
    """Single frames from a fixed prior, trained adversarially.

    Its clips are `frames` independent images. It trains on random frames of videos or on images.

    Args:
        latent_dim: size of an image's latent vector.
        prior_scale: sigma, the standard deviation of the latent vector.
        image_discriminator: arguments of D_I.
        **kwargs: of `FrameGAN`: `image_shape`, `decoder` and `objective`.

    Raises:
        ValueError: as `FrameGAN`, or `prior_scale` is not positive.

    Example:
        >>> model = ImageGAN.from_preset("debug")
        >>> images = model.generate_images(16)  # uint8 [16, H, W, C]
    """

    def __init__(
        self,
        latent_dim: int = 60,
        prior_scale: float = 1.0,
        frames: int = 1,
        image_discriminator: Mapping[str, Any] | bool | None = None,
        **kwargs,
    ):
        discriminators: dict[str, Any] = {IMAGE: image_discriminator, VIDEO: False}
        super().__init__(frames=frames, **discriminators, categories=0, **kwargs)
        if prior_scale <= 0:
            raise ValueError(f"prior_scale={prior_scale} must be positive.")
        self.latent_dim, self.prior_scale = latent_dim, prior_scale
        self.build_networks()

    # === Losses ===

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D_I(S_1(v))] + E[-log(1 - D_I(G_I(z)))]."""
        real, fake = terms.inputs(batch, "real"), terms.inputs(fakes, "fake")
        frames, weights = terms.real_frames(real)
        fake_frames = terms.fake_frames(fake)
        loss = terms.discriminator_loss(self.image_discriminator, frames, fake_frames, weights)
        return {IMAGE: loss}

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D_I(G_I(z))]."""
        frames = terms.fake_frames(terms.inputs(fakes, "fake"))
        return {"generator_loss": terms.generator_loss(self.image_discriminator, frames)}

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"image": (frames, self.latent_dim)}

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """A latent vector of its own for every frame, `[B, T, D]`."""
        return self.prior_scale * noise["image"][:, :frames]

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The first frame `[B, H, W, C]` in [-1, 1] of named noise."""
        return self.decode(self.codes(noise, 1))[:, 0]


# The image networks of RJGAN's presets, of which these are sized for two CPU cores.
_TWO_CORES: dict[str, Any] = {
    "latent_dim": 60,
    "decoder": dcgan_generator(32, normalization="batch"),
    "image_discriminator": {"channels": (64, 128, 256), "patch": 2},
}
ImageGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "latent_dim": 12,
        "decoder": {**patch_decoder((), 16, (16, 8), (1, 2)), "normalization": "batch"},
        "image_discriminator": {"channels": (8, 16), "patch": 2},
    },
    # The losses of the paper alone.
    "plain": _TWO_CORES,
    # Balanced discriminators, see `mocogan.py`.
    "base": {
        "latent_dim": 60,
        "decoder": dcgan_generator(32, normalization="batch"),
        "image_discriminator": {"channels": (32, 64, 128, 256), "batch_std": True},
        "objective": {"r1_weight": 20.0, "r1_interval": 8},
    },
    "paper": {
        "latent_dim": 60,
        "decoder": dcgan_generator(64, normalization="batch"),
        "image_discriminator": {"channels": (64, 128, 256), "normalization": "batch"},
    },
}
_ADAM: dict[str, Any] = {"learning_rate": 2e-4, "warmup_steps": 0, "beta_1": 0.5, "beta_2": 0.999}
ImageGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=2_000, batch_size=16, ema_momentum=0.0, **_ADAM),
    # As many frames a step as RJGAN's image discriminator sees, each of another video.
    "base": TrainConfig(steps=4_000, batch_size=80, **BALANCED),
    "paper": TrainConfig(steps=100_000, batch_size=64, ema_momentum=0.0, epsilon=1e-8, **_ADAM),
}
