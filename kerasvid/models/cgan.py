"""CGAN: video between a first and a last frame, by a conditional adversarial network.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230), objective (2):

    min_G max_D  E_x [log D(x)] + E_z [log(1 - D(G(z)))] + lambda E_x |c(G(z)) - c(x)|^2

with c(.) the first and the last frame, and "one-sided label smoothing": D is asked for 0.9 at real
clips (`objective.real_target`). The generator is told codes of the two frames beside its noise, the
discriminator sees clips. The last term is a sum over pixels in [-1, 1], `endpoints_weight` is lambda.

The poster tells neither layers nor lambda, nor the size of z: the preset `paper` has that of the
CVAE. So that T can be any, the generator makes a frame from z, the codes and the frame's times in
the clip, and the discriminator scores patches. The generator minimises -log D(G(z)), as everywhere
in this library and in Goodfellow et al. 2014.

The preset `base` departs from the poster, by flags that are off by default. `warping`,
`moving_cell` and `exact_endpoints` are those of the CVAE. `intermediate_weight` has the generator pay for
frames between the ends, too, as in Isola et al., "Image-to-Image Translation with Conditional
Adversarial Networks", CVPR 2017 (there by the L1 distance, here by squared errors as in the last
term): by equation (2) alone it learned an empty middle. Colours are not
`bounded`: a tanh that has learned a black ground has no slope to leave it by. What is asked for is
near the mean of what may happen, so that, as there, z changes little.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.discriminators import VideoDiscriminator
from kerasvid.layers.endpoints import EndpointsEncoder, TimedDecoder, check_endpoints, frame_times
from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.models.base.gan_losses import discriminator_arguments
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.cvae import DCGAN_DECODER, DCGAN_ENCODER, DEBUG_DECODER, DEBUG_ENCODER


@keras.saving.register_keras_serializable(package="kerasvid")
class CGAN(InBetween, AdversarialModel):
    """Video between two frames, trained adversarially.

    Args:
        image_shape: `(H, W, C)`.
        frames: T of `between` where it is not told; training may use any other that the video
            discriminator admits.
        noise_dim: size of z.
        endpoints_dim: size of the code of one conditioning frame.
        hidden_units: width of the layer that joins z and the codes with the times of a frame.
        encoder: arguments of `FrameEncoder`, of the conditioning frames.
        decoder: arguments of `FrameDecoder`, without `image_shape`.
        bounded: whether a tanh follows its colours.
        video_discriminator: arguments of `VideoDiscriminator` (D).
        warping: whether frames are put together from the two ends, or drawn alone.
        moving_cell: side in pixels of what is moved as one when warping; 1 moves single pixels.
        exact_endpoints: whether the first and the last frame come out exactly as given; then there is
            no lambda term.
        endpoints_weight: lambda.
        intermediate_weight: of the squared error of the frames between the ends, as lambda is of theirs.
        objective: what the networks minimise, see `resolve_objective`.

    Raises:
        ValueError: the decoder's factors do not fit the image size, `frames` is less than 2 or too
            few for D, or a value is out of its range or unknown to `objective`.

    Example:
        >>> model = CGAN.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> model.between(videos[:, 0], videos[:, -1], frames=30)  # uint8 [B, 30, H, W, C]
    """

    term_names = ("loss", "generator_loss")

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        noise_dim: int = 600,
        endpoints_dim: int = 1000,
        hidden_units: int = 512,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        bounded: bool = True,
        video_discriminator: Mapping[str, Any] | None = None,
        warping: bool = False,
        moving_cell: int = 1,
        exact_endpoints: bool = False,
        endpoints_weight: float = 1e-3,
        intermediate_weight: float = 0.0,
        objective: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_endpoints(frames)
        for name, value in {
            "endpoints_weight": endpoints_weight,
            "intermediate_weight": intermediate_weight,
        }.items():
            if not value >= 0.0:
                raise ValueError(f"{name}={value} must be 0 or more.")
        self.image_shape, self.frames = tuple(image_shape), frames
        self.noise_dim, self.endpoints_dim, self.hidden_units = (
            noise_dim,
            endpoints_dim,
            hidden_units,
        )
        self.warping, self.exact_endpoints, self.moving_cell = warping, exact_endpoints, moving_cell
        self.bounded = bounded
        self.endpoints_weight, self.intermediate_weight = endpoints_weight, intermediate_weight
        self.set_objective(objective)
        self._network_arguments = {
            "encoder": dict(encoder or {}),
            "decoder": dict(decoder or {}),
            "video_discriminator": discriminator_arguments(
                "video_discriminator", video_discriminator
            ),
        }

        # === Networks ===
        policy, chosen = self.dtype_policy, self._network_arguments
        self.endpoints_encoder = EndpointsEncoder(endpoints_dim, chosen["encoder"], dtype=policy)
        self.timed_decoder = TimedDecoder(
            self.image_shape,
            hidden_units,
            warping,
            exact_endpoints,
            moving_cell,
            bounded=bounded,
            decoder=chosen["decoder"],
            dtype=policy,
        )
        if (own := chosen["video_discriminator"]) is not False:  # which has no other discriminator
            self.video_discriminator = VideoDiscriminator(**own, dtype=policy)
        self.encoder.build([None, *self.image_shape])
        self.build_networks()

    @property
    def encoder(self) -> FrameEncoder:
        """What the codes of the ends are made from."""
        return self.endpoints_encoder.encoder

    @property
    def decoder(self) -> FrameDecoder:
        """What makes a frame of its hidden vector."""
        return self.timed_decoder.decoder

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"latent": (self.noise_dim,)}

    def conditions(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The ends `"first"` and `"last"` of real clips, and the `"times"` of every frame.

        With `intermediate_weight` the true frames, too, `"between"` `[B, T - 2, H, W, C]`, to compare to.
        """
        video = batch["video"]
        times = frame_times(tf.shape(video)[0], video.shape[1])
        between = {"between": video[:, 1:-1]} if self.intermediate_weight else {}
        return {"first": video[:, 0], "last": video[:, -1], "times": times, **between}

    def fakes(self, noise: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """`"video"` `[B, T, H, W, C]`, and `"ends_error"` |c(G(z)) - c(x)|^2, `[B]`.

        And `"middle_error"`, the same of all other frames, where those are told.
        """
        first, last = noise["first"], noise["last"]
        codes = self.endpoints_encoder(first, last, training=training)
        joined = tf.concat([noise["latent"], codes], axis=-1)  # [B, D + 2 E]
        video = self.timed_decoder(joined, noise["times"], first, last, training=training)
        error = losses.squared_error(first, video[:, 0]) + losses.squared_error(last, video[:, -1])
        made = {"video": video, "ends_error": error}
        if "between" in noise:
            made["middle_error"] = losses.squared_error(noise["between"], video[:, 1:-1])
        return made

    def generator_terms(self, fakes: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Squared errors, `[B]`: `"ends_loss"`, lambda times that of the two conditioning frames.

        And `"middle_loss"`, `intermediate_weight` times that of all others.
        """
        terms = {}
        if not self.exact_endpoints:
            terms["ends_loss"] = self.endpoints_weight * fakes["ends_error"]
        if self.intermediate_weight:
            terms["middle_loss"] = self.intermediate_weight * fakes["middle_error"]
        return terms

    def infill(
        self, first: tf.Tensor, last: tf.Tensor, noise: Mapping[str, tf.Tensor], frames: int
    ) -> tf.Tensor:
        told = {"first": first, "last": last, "times": frame_times(tf.shape(first)[0], frames)}
        return tf.clip_by_value(self.fakes({**noise, **told}, False)["video"], -1.0, 1.0)

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "frames": self.frames,
            "noise_dim": self.noise_dim,
            "endpoints_dim": self.endpoints_dim,
            "hidden_units": self.hidden_units,
            **self._network_arguments,
            "bounded": self.bounded,
            "warping": self.warping,
            "moving_cell": self.moving_cell,
            "exact_endpoints": self.exact_endpoints,
            "endpoints_weight": self.endpoints_weight,
            "intermediate_weight": self.intermediate_weight,
            "objective": self.objective,
        }
        return {**super().get_config(), **own}


_SMOOTHED: dict[str, Any] = {"real_target": 0.9}
_JUDGE: dict[str, Any] = {"temporal_stride": 2, "temporal_padding": "same"}

CGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "noise_dim": 8,
        "endpoints_dim": 8,
        "hidden_units": 32,
        "encoder": DEBUG_ENCODER,
        "decoder": DEBUG_DECODER,
        "video_discriminator": {**_JUDGE, "channels": (8,), "patch": 2},
        "objective": _SMOOTHED,
    },
    # Two CPU cores.
    "base": {
        "noise_dim": 32,
        "endpoints_dim": 128,
        "encoder": {"channels": (32, 64, 128)},
        "decoder": {"channels": (64, 64, 48)},
        "video_discriminator": {
            **_JUDGE, "channels": (64, 128, 256), "strides": (2, 2, 1), "patch": 4,
            "spectral": True,
        },
        "bounded": False,
        "warping": True,
        "moving_cell": 8,
        "exact_endpoints": True,
        "intermediate_weight": 3e-3,
        "objective": _SMOOTHED,
    },
    # The poster's sizes and length; its layers and lambda are not told.
    "paper": {
        "frames": 30,
        "hidden_units": 1024,
        "encoder": DCGAN_ENCODER,
        "decoder": DCGAN_DECODER,
        "video_discriminator": {
            **_JUDGE, "channels": (64, 128, 256, 512), "normalization": "batch",
        },
        "objective": _SMOOTHED,
    },
}  # fmt: skip
CGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "base": TrainConfig(
        steps=5_000, batch_size=8, learning_rate=2e-4, warmup_steps=0, beta_1=0.5,
        beta_2=0.999, ema_momentum=0.99,
    ),
    "paper": TrainConfig(
        steps=100_000, batch_size=16, learning_rate=2e-4, warmup_steps=0, beta_1=0.5,
        beta_2=0.999, ema_momentum=0.999,
    ),
}  # fmt: skip
