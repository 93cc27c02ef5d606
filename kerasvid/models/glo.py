"""Generative latent optimisation of the frames of videos: a code per frame, no recurrent network.

Bojanowski, Joulin, Lopez-Paz, Szlam: "Optimizing the Latent Space of Generative Networks", ICML
2018: images from codes in the unit ball, which are trained with the generator,

    min_(gamma, z) sum_i sum_l 2^(2l) |L^l(v_i) - L^l(G(z_i))|_1,  ||z_i|| <= 1

It is the baseline of `Navsynth`, with the same generators: nothing ties the frames of a video. The
preset `plain` is this loss, at sizes for two CPU cores. The preset `paper` has the sizes and the
training of Navsynth: the paper is about images, and no released code was found.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.frame_networks import FrameDecoder
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import decoded_part


@keras.saving.register_keras_serializable(package="kerasvid")
class GLO(LatentCodeModel):
    """Frames with a learned code each.

    Args:
        frames: T; every video has T codes.
        code_dim: size of a code.
        levels: bands of the pyramid loss.
        decoder: arguments of `FrameDecoder` (G), without `image_shape`.
        **kwargs: further arguments of `LatentCodeModel`.

    Raises:
        ValueError: the decoder's factors or the levels do not fit the image size.

    Example:
        >>> model = GLO.from_preset("debug", videos=100)
        >>> model.compile("adam", code_rate=10.0)
        >>> batches = make_pipeline("data/turntable", pick="start", repeat=True)
        >>> model.fit(batches, steps_per_epoch=500)
        >>> model.recall(index=[3, 5])  # uint8 [2, T, H, W, C]
    """

    PARTS: ClassVar = {"decoder": FrameDecoder}

    def __init__(
        self,
        frames: int = 16,
        code_dim: int = 256,
        levels: int = 4,
        decoder: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        own: dict[str, Any] = {"levels": levels, "conditional": False, "rank": None}
        super().__init__(frames, tables={"frame": ("index", (frames, code_dim))}, **own, **kwargs)
        self.code_dim, self.decoder_arguments = code_dim, dict(decoder or {})
        policy = self.dtype_policy
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.decode(self.codes(self.sample_noise(1)))
        self.build()

    @classmethod
    def code_keys(cls, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({"index"})

    def compute_losses(self, batch, noise, step, training):
        codes = batch["codes"]["frame"]  # [B, T, D]
        video, codes = decoded_part(noise, self.decoded_frames, batch["video"], codes)
        decoded = self.decoded(self.scaled_for_networks(codes), training)
        loss = tf.reduce_mean(losses.pyramid_loss(video, decoded, self.levels), axis=1)
        shown = tf.clip_by_value(decoded, -1.0, 1.0)
        return {"loss": loss, "psnr": losses.psnr(video, shown)}, {}

    def latents_of(self, codes: Mapping[str, tf.Tensor], label: tf.Tensor | None) -> tf.Tensor:
        return self.scaled_for_networks(codes["frame"])


DCGAN = {  # G at 64x64
    "dense_units": (),
    "seed_channels": 512,
    "channels": (256, 128, 64),
    "upsampling": (2, 2, 2),
    "kernel_size": 4,
    "transposed": True,
    "patch": 2,
    "normalization": "none",
}
TINY = {"seed_channels": 16, "channels": (16, 8), "upsampling": (2, 2)}
TWO_CORES: dict[str, Any] = {
    "frames": 16,
    "code_dim": 96,
    "levels": 4,
    "decoder": {**DCGAN, "seed_channels": 256, "channels": (128, 64, 32)},
}
GLO.PRESETS = {
    # Seconds: for tests.
    "debug": {
        "frames": 8,
        "code_dim": 12,
        "levels": 2,
        "decoder": {**DCGAN, **TINY, "kernel_size": 3, "transposed": False},
    },
    # The paper's loss alone.
    "plain": TWO_CORES,
    # For two CPU cores.
    "base": {**TWO_CORES, "decoded_frames": 4, "scaled_codes": True},
    "paper": {"frames": 16, "code_dim": 256, "levels": 4, "decoder": DCGAN},
}
ADAM: dict[str, Any] = {"learning_rate": 6.25e-5, "beta_2": 0.999, "epsilon": 1e-8}
SHARED: dict[str, Any] = {"pick": "start", "ema_momentum": 0.0}
GLO.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, code_rate=1.0, **SHARED),
    # The rates of Navsynth's release, 0.001 and 200, at 256 frames a step.
    "plain": TrainConfig(steps=4_000, batch_size=16, decay_steps=4_000, code_rate=200.0, **SHARED),
    "base": TrainConfig(steps=4_000, batch_size=16, decay_steps=4_000, code_rate=2.0, **SHARED),
    "paper": TrainConfig(
        steps=2_214_000,
        batch_size=1,
        batch_repeats=300,
        warmup_steps=0,
        code_rate=12.5,
        **ADAM,
        **SHARED,
    ),
}
