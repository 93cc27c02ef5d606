"""What the adversarial models share that decode a clip frame by frame."""

from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from kerasvid.layers.frame_networks import FrameDecoder
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.models.base.video_generator import VideoGenerator


class FrameGAN(VideoGenerator, AdversarialModel):
    """A generator of frames from latent vectors, with an image or a video discriminator or both.

    A subclass defines `noise_shapes`, `codes` and the losses; its constructor makes the layers that
    `codes` needs and ends with `build_networks`.

    Args:
        image_shape: `(H, W, C)`.
        frames: T, the default length of generated clips. Training may use any other that the video
            discriminator takes.
        decoder: arguments of `FrameDecoder` (G_I), without `image_shape`; a tanh follows it.
        objective: options of the losses, see `Objective`.
        **kwargs: of `AdversarialModel`.

    Raises:
        ValueError: the decoder's factors do not fit the image size, or as `AdversarialModel`.
    """

    PARTS: ClassVar = {**AdversarialModel.PARTS, "decoder": FrameDecoder}

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        decoder: Mapping[str, Any] | None = None,
        objective: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(image_shape=image_shape, frames=frames, objective=objective, **kwargs)
        self.network_arguments["decoder"] = own = dict(decoder or {})
        self.decoder = FrameDecoder(self.image_shape, **own, dtype=self.dtype_policy)

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """A frame's latent each, `[B, T, D]` float32, of named noise."""
        raise NotImplementedError

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of latent vectors `[B, T, D]`."""
        return self.frames_of(codes, training=False)

    def frames_of(self, codes: tf.Tensor, training: bool) -> tf.Tensor:
        """G_I at every frame: `[B, T, D] -> [B, T, H, W, C]`."""
        return tf.tanh(over_frames(self.decoder, codes, training=training))

    def fakes(
        self, noise: Mapping[str, tf.Tensor], frames: int, training: bool
    ) -> dict[str, tf.Tensor]:
        return {"video": self.frames_of(self.codes(noise, frames), training)}
