"""Generative latent optimisation of the frames of videos: a code a frame, no recurrent network.

Bojanowski, Joulin, Lopez-Paz, Szlam: "Optimizing the Latent Space of Generative Networks", ICML
2018: images from codes in the unit ball, which are trained with the generator,

    min_(gamma, z) sum_i sum_l 2^(2l) |L^l(v_i) - L^l(G(z_i))|_1,  ||z_i|| <= 1

The image-wise ancestor of `Navsynth`, whose lower bound it is: nothing ties the frames of a video.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.frame_networks import FrameDecoder
from kerasvid.losses import check_levels
from kerasvid.models.base.latent_codes import LatentModel, LatentVerbs
from kerasvid.models.base.trainer import decoded_part
from kerasvid.models.navsynth import Navsynth


@keras.saving.register_keras_serializable(package="kerasvid")
class GLO(LatentVerbs, LatentModel):
    """Frames that have a learned code each.

    Args:
        image_shape: `(H, W, C)`.
        frames: T; every video has so many codes.
        videos: of the training split, which a run takes from the data set.
        code_dim: size of a code.
        levels: bands of the pyramid loss.
        decoder: arguments of `FrameDecoder` (G), without `image_shape`.
        decoded_frames: frames of a clip that a training step decodes, chosen at random; all where
            `None`. Fewer make a step cheaper, and the loss keeps its expectation.
        scaled_codes: whether the networks see codes times the square root of their size, which are
            numbers of about unit variance. The rate of the codes wants to be smaller then.

    Raises:
        ValueError: the decoder's factors or the levels do not fit the image size.

    Example:
        >>> model = GLO.from_preset("debug", videos=100)
        >>> model.compile("adam", code_rate=10.0)
        >>> model.fit(make_pipeline("data/turntable", pick="start"), steps_per_epoch=500)
        >>> model.recall(index=[3, 5])  # uint8 [2, T, H, W, C]
    """

    classes = identities = 0

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        videos: int = 16,
        code_dim: int = 256,
        levels: int = 4,
        decoder: Mapping[str, Any] | None = None,
        decoded_frames: int | None = None,
        scaled_codes: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames, self.videos = tuple(image_shape), frames, videos
        self.code_dim, self.levels = code_dim, levels
        self.decoder_arguments = dict(decoder or {})
        self.set_decoding(decoded_frames)
        self.scaled_codes = scaled_codes
        check_levels(*self.image_shape[:2], levels)
        self.set_stages(None)
        self.frame_codes = self.add_table("frame", "index", videos, (frames, code_dim))
        policy = self.dtype_policy
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.decode(self.codes(self.sample_noise(1)))
        self.build()

    @classmethod
    def code_keys(cls, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({"index"})

    def reconstruction_terms(self, video, codes, label, random_inputs, training):
        video, latents = decoded_part(random_inputs, self.decoded_frames, video, codes["frame"])
        decoded = self.decoded(self.seen(latents), training)
        shown = tf.clip_by_value(decoded, -1.0, 1.0)
        loss = tf.reduce_mean(losses.pyramid_loss(video, decoded, self.levels), axis=1)
        return {"loss": loss, "psnr": losses.psnr(video, shown)}

    def latents_of(self, codes: Mapping[str, tf.Tensor], label: tf.Tensor | None) -> tf.Tensor:
        return self.seen(codes["frame"])

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "frames": self.frames,
            "videos": self.videos,
            "code_dim": self.code_dim,
            "levels": self.levels,
            "decoder": self.decoder_arguments,
            "decoded_frames": self.decoded_frames,
            "scaled_codes": self.scaled_codes,
        }
        return {**super().get_config(), **own}


def _of_navsynth(preset: str, **own: Any) -> dict[str, Any]:
    return {"decoder": Navsynth.PRESETS[preset]["decoder"], **own}


# The generators of Navsynth, so that the two can be compared.
GLO.PRESETS = {
    "debug": _of_navsynth("debug", frames=8, code_dim=12, levels=2),
    "base": _of_navsynth("base", code_dim=96, decoded_frames=4, scaled_codes=True),
    "paper": _of_navsynth("paper"),
}
GLO.TRAINING = {name: Navsynth.TRAINING[name] for name in GLO.PRESETS}
