"""CVAE: video between a first and a last frame, by a conditional variational autoencoder.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230), objective (1):

    min E_x { KL[N(m(x), S(x)) || N(0, I)] + lambda_1 |x - g(z)|^2 + lambda_2 |c(g(z)) - c(x)|^2 }

with c(.) the first and the last frame, and z = (z_video, z_first, z_last) of 600 + 1000 + 1000
numbers: a posterior sample for the video, and the codes of the two conditioning frames.

The poster tells neither layers nor weights. So that T can be any, the decoder makes a frame from z
and the frame's times in the clip, and the posterior reads the frames by a bidirectional LSTM.
lambda_1 = 1 / (2 scale^2) with `schedule.observation_scale`; lambda_2 is `endpoints_weight` times that.

The preset `base` departs from the poster. By flags that are off by default:
- `warping`: a frame is put together from the two given ones, moved and blended as the decoder says,
  and from what it draws over them (`layers/warping.py`): edges are those of the given frames.
- `moving_cell`: cells of 8 pixels are moved as one. Where single pixels are, things dissolve on
  their way.
- `exact_endpoints`: the two ends are the given frames, and the lambda_2 term is nought.
- `mean_weight`: the clip of z_video = 0 is trained to be near the true one between the ends, too.
  What happens between two frames is uncertain: samples are each a possibility, this clip is the
  best guess. A sample's squared distance is twice the uncertainty, the best guess's is once.
- `schedule`: the observation scale widens during training, as in RJVAE, and the KL begins at half
  its weight.
- `decoded_frames`: a step decodes some of the frames between the ends, counted for all.
And by its sizes: codes of 32 and 128 numbers, and networks on 4x4 patches without normalization,
which are the defaults of this library.

`coarse_weight` is no part of `base`: what frames show in cells of 2 to 16 pixels is to be right,
too, as a thing beside its times has no slope in pixels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasvid import distributions, losses
from kerasvid.layers.endpoints import EndpointsEncoder, TimedDecoder, check_endpoints, frame_times
from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder, dcgan_generator
from kerasvid.layers.gaussian_head import GaussianHead
from kerasvid.layers.recurrent import BidirectionalSummary, over_frames
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import Encoder
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import DECODED, choice_shapes, decoded_part
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import as_pixels, as_video_tensor

COARSE_LEVELS = 4


@keras.saving.register_keras_serializable(package="kerasvid")
class CVAE(InBetween, VariationalModel, Encoder):
    """Video between two frames, with what happens there as a latent vector.

    Args:
        image_shape: `(H, W, C)`.
        frames: T of `between` where it is not told; training may use any other.
        video_dim: size of z_video.
        endpoints_dim: size of the code of one conditioning frame.
        summary_units: width of each direction of the posterior's LSTM.
        hidden_units: width of the layer that joins z with the times of a frame.
        encoder: arguments of `FrameEncoder`; the ends have one of their own, of the same sizes.
        decoder: arguments of `FrameDecoder`, without `image_shape`.
        warping: whether frames are put together from the two ends, or drawn alone.
        moving_cell: side in pixels of what is moved as one when warping; 1 moves single pixels.
        exact_endpoints: whether the first and the last frame come out exactly as given.
        endpoints_weight: lambda_2 / lambda_1.
        mean_weight: of the squared error, between the ends, of the clip of z_video = 0, as a
            multiple of lambda_1.
        coarse_weight: of the coarse error, between the ends, as a multiple of lambda_1; see
            `losses.coarse_error`.
        decoded_frames: frames of a clip that a training step decodes between its two ends, chosen
            at random; all where `None`. Fewer make a step cheaper, and the loss keeps its
            expectation; batch normalization, if there is any, sees ends more often then.
        schedule: how the loss moves: `observation_scale` and `kl_video`, each a pair (start, end),
            and `steps`, the iterations from the one to the other. What is left out stays at 1.

    Raises:
        ValueError: the decoder's factors do not fit the image size, `frames` is less than 2, or a
            value is out of its range or unknown to `schedule`.

    Example:
        >>> model = CVAE.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> model.between(videos[:, 0], videos[:, -1], frames=30)  # uint8 [B, 30, H, W, C]
        >>> model.between(videos[:, 0], videos[:, -1], temperature=0.0)  # the best guess
    """

    term_names = ("loss", "reconstruction_loss", "ends", "kl_video", "psnr")

    PARTS: ClassVar = {
        "encoder": FrameEncoder,
        "decoder": FrameDecoder,
        "schedule": ("observation_scale", "kl_video", "steps"),
    }

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        video_dim: int = 600,
        endpoints_dim: int = 1000,
        summary_units: int = 256,
        hidden_units: int = 512,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        warping: bool = False,
        moving_cell: int = 1,
        exact_endpoints: bool = False,
        endpoints_weight: float = 1.0,
        mean_weight: float = 0.0,
        coarse_weight: float = 0.0,
        decoded_frames: int | None = None,
        schedule: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_endpoints(frames)
        weights = {"endpoints_weight": endpoints_weight, "mean_weight": mean_weight}
        for name, value in {**weights, "coarse_weight": coarse_weight}.items():
            if not value >= 0.0:
                raise ValueError(f"{name}={value} must be 0 or more.")
        self.image_shape, self.frames = tuple(image_shape), frames
        if coarse_weight and not self.coarse_levels():
            raise ValueError(
                f"coarse_weight={coarse_weight}: frames of {tuple(image_shape[:2])} pixels have no "
                "cells of 2x2; resize them to even sides."
            )
        self.video_dim, self.endpoints_dim = video_dim, endpoints_dim
        self.summary_units, self.hidden_units = summary_units, hidden_units
        self.encoder_arguments, self.decoder_arguments = dict(encoder or {}), dict(decoder or {})
        self.warping, self.exact_endpoints, self.moving_cell = warping, exact_endpoints, moving_cell
        self.endpoints_weight, self.mean_weight = endpoints_weight, mean_weight
        self.coarse_weight = coarse_weight
        self.set_decoding(decoded_frames)
        self.set_schedule(schedule, ("kl_video",))
        if mean_weight:
            self.add_term("mean_reconstruction_loss")
        if coarse_weight:
            self.add_term("coarse_loss")

        # === Networks ===
        policy, sizes = self.dtype_policy, self.encoder_arguments
        self.encoder = FrameEncoder(**sizes, dtype=policy)
        self.summarizer = BidirectionalSummary(summary_units, dtype=policy)
        self.video_head = GaussianHead(video_dim, dtype=policy)
        self.endpoints_encoder = EndpointsEncoder(endpoints_dim, sizes, dtype=policy)
        self.timed_decoder = TimedDecoder(
            self.image_shape,
            hidden_units,
            warping,
            exact_endpoints,
            moving_cell,
            decoder=self.decoder_arguments,
            dtype=policy,
        )
        self.encoder.build([None, *self.image_shape])
        self.build_networks()

    @property
    def decoder(self) -> FrameDecoder:
        """What makes a frame of its hidden vector."""
        return self.timed_decoder.decoder

    # === Inference ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"video": (self.video_dim,)}

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """That of z_video, and what chooses the frames between the ends to decode."""
        return self.noise_shapes(frames) | choice_shapes(self.decoded_frames, frames - 2)

    def posterior(self, video: tf.Tensor, training: bool = False):
        """q(z_video | x_1..T): a diagonal Gaussian with batch shape `[B]`."""
        features = over_frames(self.encoder, video, training=training)  # [B, T, F]
        return self.video_head.posterior(self.summarizer(features))

    def decoded(
        self,
        latents: tf.Tensor,
        codes: tf.Tensor,
        times: tf.Tensor,
        *ends: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """g(z): the frames at frame_times, `[B, K, H, W, C]`, unclipped.

        Args:
            latents: z_video, `[B, D]`.
            codes: z_first and z_last, `[B, 2 E]`.
            times: `[B, K]`.
            ends: first and last frame, `[B, H, W, C]`.
            training: as in Keras.
        """
        joined = tf.concat([latents, codes], axis=-1)  # [B, D + 2 E]
        return self.timed_decoder(joined, times, *ends, training=training)

    def infer(self, video: tf.Tensor, noise: dict | None, training: bool = False):
        """Encodes and decodes: the reconstruction, of the video's shape, and the KL term."""
        q_video = self.posterior(video, training)
        latents = distributions.reparameterize(q_video, (noise or {}).get("video"))
        times, ends = frame_times(tf.shape(video)[0], video.shape[1]), (video[:, 0], video[:, -1])
        codes = self.endpoints_encoder(*ends, training=training)
        reconstruction = self.decoded(latents, codes, times, *ends, training=training)
        return reconstruction, {"kl_video": distributions.kl_to_standard(q_video)}

    def terms(self, video, noise, step, training: bool) -> tuple[dict, dict]:
        if training and self.exact_endpoints and video.shape[1] < 3:
            raise ValueError("Clips of 2 frames have nothing between exact ends: give longer ones.")
        q_video = self.posterior(video, training)
        latents = distributions.reparameterize(q_video, (noise or {}).get("video"))
        ends, between, share = (video[:, 0], video[:, -1]), video[:, 1:-1], 1.0
        times = frame_times(tf.shape(video)[0], video.shape[1])[:, 1:-1]  # [B, T - 2]
        if noise is not None and DECODED in noise:
            share = between.shape[1] / self.decoded_frames
            between, times = decoded_part(noise, self.decoded_frames, between, times)
        told = self.endpoints_encoder(*ends, training=training), times, ends, between, training

        unit = 1.0 / (2.0 * tf.square(self._observation_scale(step)))  # lambda_1
        error, at_ends, coarse = self.squared_errors(latents, *told)
        whole = at_ends + share * error
        kl = distributions.kl_to_standard(q_video)
        terms = {
            "reconstruction_loss": unit * whole,
            "ends": unit * self.endpoints_weight * at_ends,
            "kl_video": kl,
        }
        weighted = [
            terms["reconstruction_loss"],
            terms["ends"],
            self._term_weights["kl_video"](step) * kl,
        ]
        if self.mean_weight:
            error = self.squared_errors(tf.zeros_like(latents), *told, with_ends=False)[0]
            terms["mean_reconstruction_loss"] = unit * self.mean_weight * share * error
            weighted.append(terms["mean_reconstruction_loss"])
        if self.coarse_weight:
            terms["coarse_loss"] = unit * self.coarse_weight * share * coarse
            weighted.append(terms["coarse_loss"])
        pixels = float(math.prod(video.shape[1:]))
        terms["psnr"] = losses.psnr_of_error(whole / pixels)
        return {"loss": tf.add_n(weighted), **terms}, {}

    def squared_errors(
        self,
        latents: tf.Tensor,
        codes: tf.Tensor,
        times: tf.Tensor,
        ends: Sequence[tf.Tensor],
        between: tf.Tensor,
        training: bool = False,
        with_ends: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """|x - g|^2 summed over frames between the ends, and over the two ends: `[B]` each.

        The third is the coarse error between the ends, where that has a weight; 0 elsewhere.

        Args:
            latents: z_video, `[B, D]`.
            codes: z_first and z_last, `[B, 2 E]`.
            times: of frames between the ends, `[B, K]`.
            ends: first and last frame, `[B, H, W, C]`.
            between: the true frames at those frame_times, `[B, K, H, W, C]`.
            training: as in Keras.
            with_ends: whether to decode the ends, too; exact ones never are, and have no error.
        """
        none = tf.zeros_like(latents[:, 0])  # [B]
        with_ends = with_ends and not self.exact_endpoints
        if with_ends:
            edge = tf.zeros_like(codes[:, :1])
            times = tf.concat([edge, times, edge + 1.0], axis=1)  # [B, K + 2]
            between = tf.concat([ends[0][:, None], between, ends[1][:, None]], axis=1)
        if not times.shape[1]:
            return none, none, none
        shown = self.decoded(latents, codes, times, *ends, training=training)
        at_ends = none
        if with_ends:
            at_ends = losses.squared_error(ends[0], shown[:, 0])
            at_ends += losses.squared_error(ends[1], shown[:, -1])
            between, shown = between[:, 1:-1], shown[:, 1:-1]
        coarse = none
        if self.coarse_weight and between.shape[1]:
            coarse = losses.coarse_error(between, shown, self.coarse_levels())
        return losses.squared_error(between, shown), at_ends, coarse

    def coarse_levels(self) -> int:
        """Of the coarse error: cells of up to 16 pixels, of which whole ones fill a frame."""
        height, width = self.image_shape[:2]
        fitting = (n for n in range(COARSE_LEVELS, 0, -1) if not (height % 2**n or width % 2**n))
        return next(fitting, 0)

    def encode(self, videos: np.ndarray | tf.Tensor) -> dict[str, tf.Tensor]:
        """Posterior means as `infill` takes them beside the ends: `"video"` `[B, D]`, z_video.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1], T at least 2.

        Raises:
            ValueError: other axes, another frame size, or a single frame.
        """
        videos = as_video_tensor(videos, self.image_shape)
        check_endpoints(videos.shape[1])
        return {"video": tf.convert_to_tensor(self.posterior(videos).mean())}

    # === Videos ===

    def infill(
        self, first: tf.Tensor, last: tf.Tensor, noise: Mapping[str, tf.Tensor], frames: int
    ) -> tf.Tensor:
        codes, times = self.endpoints_encoder(first, last), frame_times(tf.shape(first)[0], frames)
        shown = self.decoded(noise["video"], codes, times, first, last)
        return tf.clip_by_value(shown, -1.0, 1.0)

    def reconstruct(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The videos through their posterior means and ends: uint8 `[B, T, H, W, C]`.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1], T at least 2.

        Raises:
            ValueError: other axes, another frame size, or a single frame.
        """
        return as_pixels(self.infer(as_video_tensor(videos, self.image_shape), None)[0])

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "frames": self.frames,
            "video_dim": self.video_dim,
            "endpoints_dim": self.endpoints_dim,
            "summary_units": self.summary_units,
            "hidden_units": self.hidden_units,
            "encoder": self.encoder_arguments,
            "decoder": self.decoder_arguments,
            "warping": self.warping,
            "moving_cell": self.moving_cell,
            "exact_endpoints": self.exact_endpoints,
            "endpoints_weight": self.endpoints_weight,
            "mean_weight": self.mean_weight,
            "coarse_weight": self.coarse_weight,
            "decoded_frames": self.decoded_frames,
            "schedule": self.schedule,
        }
        return {**super().get_config(), **own}


# A pyramid of strided convolutions with batch normalization, and back, much as in DCGAN.
DCGAN_ENCODER: dict[str, Any] = {
    "channels": (64, 128, 256, 512), "strides": (2, 2, 2, 2), "kernel_size": 5, "patch": 1,
    "features": 1024, "normalization": "batch",
}  # fmt: skip
DCGAN_DECODER = dcgan_generator(64, kernel_size=5, normalization="batch")
DEBUG_ENCODER: dict[str, Any] = {"channels": (8, 16), "strides": (1, 2), "features": 16}
DEBUG_DECODER: dict[str, Any] = {
    "dense_units": (32,), "seed_channels": 8, "channels": (16, 8), "upsampling": (1, 2),
}  # fmt: skip

CVAE.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "video_dim": 8,
        "endpoints_dim": 8,
        "summary_units": 16,
        "hidden_units": 32,
        "encoder": DEBUG_ENCODER,
        "decoder": DEBUG_DECODER,
    },
    # Two CPU cores.
    "base": {
        "video_dim": 32,
        "endpoints_dim": 128,
        "summary_units": 128,
        "encoder": {"channels": (32, 64, 128)},
        "decoder": {"channels": (64, 64, 48)},
        "warping": True,
        "moving_cell": 8,
        "exact_endpoints": True,
        "mean_weight": 1.0,
        "decoded_frames": 4,
        "schedule": {"observation_scale": (0.1, 1.0), "kl_video": (0.5, 1.0), "steps": 3_000},
    },
    # The poster's sizes and length; its layers and weights are not told.
    "paper": {
        "frames": 30,
        "summary_units": 512,
        "hidden_units": 1024,
        "encoder": DCGAN_ENCODER,
        "decoder": DCGAN_DECODER,
    },
}
CVAE.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, ema_momentum=0.9),
    "base": TrainConfig(steps=4_000, decay_steps=4_000),
    "paper": TrainConfig(steps=100_000, batch_size=16, learning_rate=2e-4, ema_momentum=0.999),
}
