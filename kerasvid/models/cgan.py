"""CGAN: video between a first and a last frame, by a conditional adversarial network.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230), objective (2):

    min_G max_D  E_x [log D(x)] + E_z [log(1 - D(G(z)))] + lambda E_x |c(G(z)) - c(x)|^2

with c(.) the first and the last frame, and "one-sided label smoothing": the target of D at real
clips is 0.9 (`objective.real_target`). The generator takes codes of the two frames and noise, the
discriminator clips. The last term is a sum over pixels in [-1, 1]; lambda is `endpoints_weight`.

The poster gives no layers, no lambda, no size of z and no training, and no released code was found:
those of the preset `paper` are ours, with the size of z of the CVAE. The preset `plain` is equation
(2), at sizes for two CPU cores. T can be any: the generator makes a frame from z, the codes and the
frame's time in the clip, and the discriminator scores patches. The generator minimises -log
D(G(z)), as in Goodfellow et al. 2014.

With `categories`, which the poster does not have, the one-hot class stands beside z and the codes.
In training it is that of the real clip, as the endpoints are, and zeros where unknown. D learns of
it by `objective.conditioning`.

The preset `base` departs from the poster by options that are off by default. `warping`,
`moving_cell` and `exact_endpoints` are those of the CVAE. `intermediate_weight` adds an error of
the intermediate frames, which stayed empty by equation (2) alone. Isola et al., "Image-to-Image
Translation with Conditional Adversarial Networks", CVPR 2017, take the L1 distance there; here it
is the squared error, as in the last term. It pulls frames towards their mean, so that z changes
little, as in Isola et al. Colours are not `bounded`: a tanh that has learned a black background has
no gradient.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.discriminators import HALVING_TIME
from kerasvid.layers.endpoints import EndpointsEncoder, TimedDecoder, check_endpoints, frame_times
from kerasvid.layers.frame_networks import (
    FrameDecoder,
    FrameEncoder,
    dcgan_generator,
    patch_decoder,
    patch_encoder,
)
from kerasvid.layers.motion_paths import MotionPaths
from kerasvid.models.base.categories import CATEGORY, beside, category_code
from kerasvid.models.base.gan import IMAGE, VIDEO, AdversarialModel
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import Conditional
from kerasvid.models.base.train_config import TrainConfig


@keras.saving.register_keras_serializable(package="kerasvid")
class CGAN(InBetween, AdversarialModel, Conditional):
    """Video between two frames, trained adversarially.

    Args:
        noise_dim: size of z.
        endpoints_dim: size of the code of one conditioning frame.
        hidden_units: width of the layer that joins z and the codes with the time of a frame.
        encoder: arguments of `FrameEncoder`, of the conditioning frames.
        decoder: arguments of `FrameDecoder`, without `image_shape`.
        bounded: whether a tanh follows its colours.
        video_discriminator: arguments of `VideoDiscriminator` (D).
        warping: whether frames are warped from the two endpoints, or drawn alone.
        moving_cell: side in pixels of the cells that warping moves; 1 moves single pixels.
        motion: arguments of `MotionPaths`, along whose paths warping moves the endpoints; `None`
            for none.
        exact_endpoints: whether the first and the last frame come out exactly as given; then there
            is no lambda term.
        endpoints_weight: lambda.
        categories: of `AdversarialModel`.
        intermediate_weight: weight of the squared error of the frames between the endpoints.
        **kwargs: of `AdversarialModel`: `image_shape`, `frames` (the default length of `between`)
            and `objective`.

    Raises:
        ValueError: the decoder's factors do not fit the image size, `frames` is less than 2, a
            weight is negative, or as `AdversarialModel`.

    Example:
        >>> model = CGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> model.between(videos[:, 0], videos[:, -1], frames=30)  # uint8 [B, 30, H, W, C]
    """

    noise_methods = "between(first, last)"

    PARTS: ClassVar[dict[str, Any]] = {
        **AdversarialModel.PARTS,
        "encoder": FrameEncoder,
        "decoder": FrameDecoder,
        "motion": MotionPaths,
    }

    def __init__(
        self,
        noise_dim: int = 600,
        endpoints_dim: int = 1000,
        hidden_units: int = 512,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        bounded: bool = True,
        video_discriminator: Mapping[str, Any] | None = None,
        warping: bool = False,
        moving_cell: int = 1,
        motion: Mapping[str, Any] | None = None,
        exact_endpoints: bool = False,
        endpoints_weight: float = 1e-3,
        categories: int = 0,
        intermediate_weight: float = 0.0,
        **kwargs,
    ):
        discriminators: dict[str, Any] = {IMAGE: False, VIDEO: video_discriminator}
        super().__init__(**discriminators, categories=categories, **kwargs)
        check_endpoints(self.frames)
        weights = {"endpoints_weight": endpoints_weight, "intermediate_weight": intermediate_weight}
        for name, value in weights.items():
            if not value >= 0.0:
                raise ValueError(f"{name}={value} must be 0 or more.")
        self.noise_dim, self.endpoints_dim = noise_dim, endpoints_dim
        self.hidden_units, self.bounded = hidden_units, bounded
        self.warping, self.exact_endpoints, self.moving_cell = warping, exact_endpoints, moving_cell
        self.motion = None if motion is None else dict(motion)
        self.endpoints_weight, self.intermediate_weight = endpoints_weight, intermediate_weight
        self.network_arguments |= {"encoder": dict(encoder or {}), "decoder": dict(decoder or {})}
        if not exact_endpoints:
            self.add_term("endpoints_loss")
        if intermediate_weight:
            self.add_term("intermediate_loss")

        # === Networks ===
        policy = self.dtype_policy
        own = self.network_arguments["encoder"]
        self.endpoints_encoder = EndpointsEncoder(endpoints_dim, own, dtype=policy)
        self.timed_decoder = TimedDecoder(
            self.image_shape,
            hidden_units,
            warping,
            exact_endpoints,
            moving_cell,
            bounded=bounded,
            decoder=self.network_arguments["decoder"],
            motion=motion,
            dtype=policy,
        )
        self.endpoints_encoder.encoder.build([None, *self.image_shape])
        self.build_networks()

    # === Losses ===

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D(x)] + E[-log(1 - D(G(z)))], the first with the target 0.9."""
        real, fake = terms.inputs(batch, "real")["video"], terms.inputs(fakes, "fake")["video"]
        labels = self.clip_labels(batch, fakes)
        return {VIDEO: terms.discriminator_loss(self.video_discriminator, real, fake, **labels)}

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D(G(z))] + lambda E|c(G(z)) - c(x)|^2, and the error of intermediate frames.

        The second term is also the `"endpoints_loss"`, the third the `"intermediate_loss"`.
        """
        real, fake, reported = batch["video"], fakes["video"], {}
        shown, labels = terms.inputs(fakes, "fake")["video"], self.fake_labels(batch, fakes)
        loss = terms.generator_loss(self.video_discriminator, shown, labels)
        if not self.exact_endpoints:
            error = losses.squared_error(real[:, 0], fake[:, 0])
            error += losses.squared_error(real[:, -1], fake[:, -1])
            reported["endpoints_loss"] = self.endpoints_weight * tf.reduce_mean(error)
        if self.intermediate_weight:
            error = losses.squared_error(real[:, 1:-1], fake[:, 1:-1])
            reported["intermediate_loss"] = self.intermediate_weight * tf.reduce_mean(error)
        return {"generator_loss": tf.add_n([loss, *reported.values()]), **reported}

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"latent": (self.noise_dim,), **self.category_shapes()}

    def conditions(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The endpoints `"first"` and `"last"` of real clips, `[B, H, W, C]`, and their classes."""
        endpoints = {"first": batch["video"][:, 0], "last": batch["video"][:, -1]}
        return {**endpoints, CATEGORY: self.category_in(batch)} if self.categories else endpoints

    def fakes(self, noise: Mapping, frames: int, training: bool) -> dict[str, tf.Tensor]:
        first, last = noise["first"], noise["last"]
        codes = self.endpoints_encoder(first, last, training=training)
        latents = tf.concat([noise["latent"], codes], axis=-1)  # [B, D + 2 E]
        latents = beside(latents, category_code(noise))
        times = frame_times(tf.shape(first)[0], frames)
        video = self.timed_decoder(latents, times, first, last, training=training)
        return {"video": video, **self.category_in_noise(noise)}

    def infill(
        self, first: tf.Tensor, last: tf.Tensor, noise: Mapping[str, tf.Tensor], frames: int
    ) -> tf.Tensor:
        video = self.fakes({**noise, "first": first, "last": last}, frames, False)["video"]
        return tf.clip_by_value(video, -1.0, 1.0)


_SMALL: dict[str, Any] = {"channels": (64, 128, 256), "strides": (2, 2, 1), "patch": 4}
_TWO_CORES: dict[str, Any] = {
    "noise_dim": 32,
    "endpoints_dim": 128,
    "hidden_units": 512,
    "encoder": patch_encoder((32, 64, 128), strides=(1, 2, 2), features=256),
    "decoder": patch_decoder((512,), 64, (64, 64, 48), upsampling=(1, 2, 1)),
    "objective": {"real_target": 0.9},
}
CGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "noise_dim": 8,
        "endpoints_dim": 8,
        "hidden_units": 32,
        "encoder": {"channels": (8, 16), "strides": (1, 2), "features": 16},
        "decoder": patch_decoder((32,), 8, (16, 8), (1, 2)),
        "video_discriminator": {"channels": (8,), "patch": 2, **HALVING_TIME},
        "objective": {"real_target": 0.9},
    },
    # The poster's objective alone.
    "plain": {**_TWO_CORES, "video_discriminator": {**_SMALL, **HALVING_TIME}},
    # Good pictures on two CPU cores.
    "base": {
        **_TWO_CORES,
        "video_discriminator": {**_SMALL, "spectral": True, **HALVING_TIME},
        "bounded": False,
        "warping": True,
        "moving_cell": 8,
        "exact_endpoints": True,
        "intermediate_weight": 3e-3,
    },
    # The poster's sizes and length; it gives neither layers nor lambda.
    "paper": {
        "frames": 30,
        "noise_dim": 600,
        "endpoints_dim": 1000,
        "hidden_units": 1024,
        # A pyramid of strided convolutions with batch normalization, and back, much as in DCGAN.
        "encoder": {
            "channels": (64, 128, 256, 512),
            "strides": (2, 2, 2, 2),
            "kernel_size": 5,
            "patch": 1,
            "features": 1024,
            "normalization": "batch",
        },
        "decoder": dcgan_generator(64, kernel_size=5, normalization="batch"),
        "video_discriminator": {
            "channels": (64, 128, 256, 512),
            "normalization": "batch",
            **HALVING_TIME,
        },
        "objective": {"real_target": 0.9},
    },
}
_ADAM: dict[str, Any] = {"learning_rate": 2e-4, "warmup_steps": 0, "beta_1": 0.5, "beta_2": 0.999}
CGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=5_000, batch_size=8, ema_momentum=0.0, **_ADAM),
    "base": TrainConfig(steps=5_000, batch_size=8, **_ADAM),
    "paper": TrainConfig(steps=100_000, ema_momentum=0.0, **_ADAM),
}
