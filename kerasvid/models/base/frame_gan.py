"""What the adversarial models share that decode a clip frame by frame."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kerasvid.layers.discriminators import ImageDiscriminator, VideoDiscriminator
from kerasvid.layers.frame_networks import FrameDecoder
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.models.base.gan_losses import discriminator_arguments
from kerasvid.models.base.video_generator import VideoGenerator


class FrameGAN(VideoGenerator, AdversarialModel):
    """A generator of frames from latent vectors, judged by frame, by clip, or both.

    A subclass defines `noise_shapes` and `codes`; its constructor makes the layers that `codes`
    needs and then calls `build_networks`.

    Args:
        image_shape: `(H, W, C)`.
        frames: T of `generate` where it is not told; training may use any other that the video
            discriminator admits.
        decoder: arguments of `FrameDecoder` (G_I), without `image_shape`; a tanh follows it.
        image_discriminator: arguments of `ImageDiscriminator` (D_I); `None` or `True` for its
            defaults, `False` for no such network.
        video_discriminator: arguments of `VideoDiscriminator` (D_V), likewise.
        objective: what the networks minimise, see `resolve_objective`.

    Raises:
        ValueError: the decoder's factors do not fit the image size, or a value is out of its range
            or unknown to `objective`.
    """

    term_names = ("loss", "generator_loss")

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        decoder: Mapping[str, Any] | None = None,
        image_discriminator: Mapping[str, Any] | bool | None = None,
        video_discriminator: Mapping[str, Any] | bool | None = None,
        objective: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        self.set_objective(objective)
        self._network_arguments = {
            "decoder": dict(decoder or {}),
            "image_discriminator": discriminator_arguments(
                "image_discriminator", image_discriminator
            ),
            "video_discriminator": discriminator_arguments(
                "video_discriminator", video_discriminator
            ),
        }

        # === Networks ===
        policy, chosen = self.dtype_policy, self._network_arguments
        self.decoder = FrameDecoder(self.image_shape, **chosen["decoder"], dtype=policy)
        if chosen["image_discriminator"] is not False:
            own = chosen["image_discriminator"]
            self.image_discriminator = ImageDiscriminator(**own, dtype=policy)
        if chosen["video_discriminator"] is not False:
            own = {**chosen["video_discriminator"], "categories": self.categories}
            self.video_discriminator = VideoDiscriminator(**own, dtype=policy)

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """A frame's latent each, `[B, T, D]` float32, of named noise."""
        raise NotImplementedError

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of latent vectors `[B, T, D]`."""
        return self.frames_of(codes, training=False)

    def frames_of(self, codes: tf.Tensor, training: bool) -> tf.Tensor:
        """G_I at every frame: `[B, T, D] -> [B, T, H, W, C]`."""
        return tf.tanh(over_frames(self.decoder, codes, training=training))

    def fakes(self, noise: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        return {"video": self.frames_of(self.codes(noise), training)}

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "frames": self.frames,
            **self._network_arguments,
            "objective": self.objective,
        }
        return {**super().get_config(), **own}
