"""The image-GAN baseline of the residual-vector paper: G_I and D_I alone, on single frames.

Dandi, Das, Singhal, Namboodiri, Rai: "Jointly Trained Image and Video Generation using Residual
Vectors", WACV 2020, section 5.2. G_I and D_I are those of RJGAN, so that a run of the one can begin
with the weights of the other.
"""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid.models.base.frame_gan import FrameGAN
from kerasvid.models.base.protocols import ImagePrior
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.mocogan import BASE, DEBUG, PAPER, MoCoGAN


@keras.saving.register_keras_serializable(package="kerasvid")
class ImageGAN(FrameGAN, ImagePrior):
    """Single frames from a fixed prior, trained adversarially.

    A clip of it is `frames` independent images. It trains on one frame of a video a step, hence on
    images just as well.

    Args:
        latent_dim: size of an image's latent vector.
        prior_scale: its deviation.
        **kwargs: of `FrameGAN`; there is no video discriminator.

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
        video_discriminator: bool = False,
        **kwargs,
    ):
        if video_discriminator is not False:
            raise ValueError("The image GAN has no video discriminator: use rjgan or mocogan.")
        super().__init__(frames=frames, video_discriminator=False, **kwargs)
        if prior_scale <= 0:
            raise ValueError(f"prior_scale={prior_scale} must be positive.")
        self.latent_dim, self.prior_scale = latent_dim, prior_scale
        self.build_networks()

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"image": (frames, self.latent_dim)}

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """A latent vector of its own for every frame, `[B, T, D]`."""
        return self.prior_scale * noise["image"]

    def generate_images(self, batch: int, seed: int = 0) -> np.ndarray:
        """Images from the fixed prior: uint8 `[B, H, W, C]`."""
        return as_pixels(self.image_of(self.sample_noise(batch, 1, seed)))

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The first frame `[B, H, W, C]` in [-1, 1] of named noise."""
        return self.decode(self.codes(noise)[:, :1])[:, 0]

    def get_config(self) -> dict:
        own = {"latent_dim": self.latent_dim, "prior_scale": self.prior_scale}
        return {**super().get_config(), **own}


def _without_videos(preset: dict) -> dict:
    """The image networks of a preset alone."""
    return {name: preset[name] for name in ("decoder", "image_discriminator")}


ImageGAN.PRESETS = {
    "debug": {**_without_videos(DEBUG), "latent_dim": 12},
    "base": _without_videos(BASE),
    "paper": _without_videos(PAPER),
}
# As many frames a step as RJGAN's image discriminator sees, each of another video.
ImageGAN.TRAINING = {
    **MoCoGAN.TRAINING,
    "base": dataclasses.replace(MoCoGAN.TRAINING["base"], batch_size=32),
}
