"""CVAE: video between a first and a last frame, by a conditional variational autoencoder.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230), objective (1):

    min E_x { KL[N(m(x), S(x)) || N(0, I)] + lambda_1 |x - g(z)|^2 + lambda_2 |c(g(z)) - c(x)|^2 }

with c(.) the first and the last frame, and z = (z_video, z_first, z_last) of 600 + 1000 + 1000
numbers: a posterior sample for the video, and the codes of the two conditioning frames.

The poster gives neither layers nor weights, neither rates nor the length of a training, and no
released code was found: those of the preset `paper` are ours, but for the size of z and the length
of a clip. Here T can be any: the decoder makes a frame from z and the time of the frame in the
clip, and the posterior reads the frames by a bidirectional LSTM.

With `categories`, which the poster does not have, the prior of z_video is N(M_y, I) with a learned
mean for each class y of a video.

The preset `plain` is the poster's objective, at sizes for two CPU cores. The preset `base` departs
from it by these options:
- `warping`: the decoder moves and blends the two given frames and draws over them (`composed` in
  `layers/endpoints.py`): edges are those of the given frames.
- `motion`: the two given frames move along paths (`layers/motion_paths.py`): what is in both of
  them is found and travels, and z_video chooses among possible curves. The posterior also sees
  the curve of what moves in the clip, as it is found there.
- `track_weight`: the paths are trained towards the places where things are found in the true
  frames. By its colours alone, a thing far from its place fades instead of moving.
- `coarse_weight`: errors of cells of 2 to 16 pixels count, too.
- `moving_cell`: cells of 8 pixels move as one beside their paths. Where single pixels move, things
  dissolve.
- `exact_endpoints`: the two endpoints are the given frames, and the lambda_2 term is 0.
- `schedule`: the observation scale widens, and the KL begins at half its weight.
- `decoded_frames`: a step decodes some of the frames between the endpoints, counted for all.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasvid import distributions, losses
from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.layers.endpoints import EndpointsEncoder, TimedDecoder, check_endpoints, frame_times
from kerasvid.layers.frame_networks import (
    FrameDecoder,
    FrameEncoder,
    dcgan_generator,
    patch_decoder,
    patch_encoder,
    strided_encoder,
)
from kerasvid.layers.gaussian_head import GaussianHead
from kerasvid.layers.motion_paths import MotionPaths
from kerasvid.layers.recurrent import bidirectional_lstm, over_frames
from kerasvid.models.base.categories import category_code
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import Encoder
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import choice_shapes, decoded_part
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import as_pixels, as_video_tensor

COARSE_LEVELS = 4


@keras.saving.register_keras_serializable(package="kerasvid")
class CVAE(InBetween, VariationalModel, Encoder):
    """Video between two frames, with what happens there as a latent vector.

    Args:
        image_shape, frames, categories: of `VariationalModel`.
        video_dim: size of z_video.
        endpoints_dim: size of the code of one conditioning frame.
        summary_units: width of each direction of the posterior's LSTM.
        hidden_units: width of the layer that joins z with the time of a frame.
        encoder: arguments of `FrameEncoder`; the endpoints have another of the same sizes.
        decoder, warping, moving_cell, motion, exact_endpoints: of `TimedDecoder`.
        endpoints_weight: lambda_2 / lambda_1.
        mean_weight: of the squared error of the clip of z_video = 0, as a multiple of lambda_1.
        coarse_weight: of `losses.coarse_error`, as a multiple of lambda_1: a thing beside its place
            has a gradient by the place in cells, not in pixels.
        track_weight: of `MotionPaths.track_error`, as a multiple of lambda_1; needs `motion`.
        decoded_frames: of `VariationalModel`, counted between the endpoints. Batch normalization
            sees endpoints more often then.
        schedule: of `VariationalModel`, with the weight `kl_video`.

    Raises:
        ValueError: the decoder does not fit the image size, `frames` is less than 2, or a value is
            out of its range or unknown to `schedule`.

    Example:
        >>> model = CVAE.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> model.between(videos[:, 0], videos[:, -1], frames=30)  # uint8 [B, 30, H, W, C]
    """

    kl_terms = ("kl_video",)
    term_names = ("loss", "bound", "reconstruction_loss", "endpoints_loss", "kl_video", "psnr")
    code_groups: ClassVar = {"video": ("video",)}

    PARTS: ClassVar = {
        "encoder": FrameEncoder,
        "decoder": FrameDecoder,
        "motion": MotionPaths,
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
        motion: Mapping[str, Any] | None = None,
        exact_endpoints: bool = False,
        endpoints_weight: float = 1.0,
        mean_weight: float = 0.0,
        coarse_weight: float = 0.0,
        track_weight: float = 0.0,
        decoded_frames: int | None = None,
        schedule: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(image_shape, frames, schedule, decoded_frames, **kwargs)
        check_endpoints(frames)
        self.endpoints_weight, self.mean_weight = endpoints_weight, mean_weight
        self.coarse_weight, self.track_weight = coarse_weight, track_weight
        for name in ("endpoints_weight", "mean_weight", "coarse_weight", "track_weight"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name}={getattr(self, name)} must be 0 or more.")
        if coarse_weight and not self.coarse_levels():
            raise ValueError(
                f"coarse_weight={coarse_weight}: frames of {self.image_shape[:2]} pixels have no "
                "cells of 2x2. Resize them to even sides."
            )
        if track_weight and motion is None:
            raise ValueError(
                f"track_weight={track_weight} trains paths: set motion, or track_weight=0."
            )
        self.video_dim, self.endpoints_dim = video_dim, endpoints_dim
        self.summary_units, self.hidden_units = summary_units, hidden_units
        self.encoder_arguments, self.decoder_arguments = dict(encoder or {}), dict(decoder or {})
        self.warping, self.exact_endpoints, self.moving_cell = warping, exact_endpoints, moving_cell
        self.motion = None if motion is None else dict(motion)
        if mean_weight:
            self.add_term("mean_reconstruction_loss")
        if coarse_weight:
            self.add_term("coarse_loss")
        if track_weight:
            self.add_term("track_loss")

        # === Networks ===
        policy, sizes = self.dtype_policy, self.encoder_arguments
        self.encoder = FrameEncoder(**sizes, dtype=policy)
        self.summarizer = bidirectional_lstm(summary_units, dtype=policy)
        self.video_head = GaussianHead(video_dim, dtype=policy)
        self.endpoints_encoder = EndpointsEncoder(endpoints_dim, sizes, dtype=policy)
        self.timed_decoder = TimedDecoder(
            self.image_shape,
            hidden_units,
            warping,
            exact_endpoints,
            moving_cell,
            decoder=self.decoder_arguments,
            motion=motion,
            dtype=policy,
        )
        classes = self.categories
        self.video_prior = AggregatePrior(video_dim, categories=classes) if classes else None
        self.encoder.build([None, *self.image_shape])
        self.build_networks()

    @property
    def decoder(self) -> FrameDecoder:
        """What makes a frame of its hidden vector."""
        return self.timed_decoder.decoder

    # === Inference ===

    def posterior_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"video": (self.video_dim,)}

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """That of z_video, and what chooses the frames between the endpoints to decode."""
        shapes = choice_shapes(self.decoded_frames, frames - 2)
        return self.posterior_noise_shapes(frames) | shapes

    def posterior(self, video: tf.Tensor, training: bool = False):
        """q(z_video | x_1..T): a diagonal Gaussian with batch shape `[B]`."""
        features = over_frames(self.encoder, video, training=training)  # [B, T, F]
        summary = self.summarizer(features)
        if self.timed_decoder.motion is not None:
            curve = tf.cast(self.timed_decoder.motion.curve_of(video), summary.dtype)
            summary = tf.concat([summary, curve], axis=-1)
        return self.video_head.posterior(summary)

    def class_mean(self, category: tf.Tensor | None) -> tf.Tensor | float:
        """M_y of one-hot classes, `[B, D]`; 0 without classes."""
        return 0.0 if self.video_prior is None else self.video_prior.shift(category)

    def code_draws(self, video: tf.Tensor, noise: Mapping) -> dict[str, tf.Tensor]:
        return {"video": distributions.reparameterize(self.posterior(video), noise["video"])}

    def decoded(self, latents, codes, times, *endpoints, training: bool = False) -> tf.Tensor:
        """g(z) at K times: the frames `[B, K, H, W, C]`, unclipped."""
        joined = tf.concat([latents, codes], axis=-1)  # [B, D + 2 E]
        return self.timed_decoder(joined, times, *endpoints, training=training)

    def infer(self, video, noise, training: bool = False):
        q_video = self.posterior(video, training)
        latents = distributions.reparameterize(q_video, (noise or {}).get("video"))
        times = frame_times(tf.shape(video)[0], video.shape[1])
        endpoints = video[:, 0], video[:, -1]
        codes = self.endpoints_encoder(*endpoints, training=training)
        return self.decoded(latents, codes, times, *endpoints, training=training)

    # === The objective ===

    def compute_losses(self, batch, noise, step, training: bool):
        """The poster's objective with further terms, of which scale^2 times is minimised.

            bound = lambda_1 |x - g(z)|^2 + lambda_2 |c(g(z)) - c(x)|^2
                  + kl_video KL[q(z_video | x_1..T) || N(0, I)]
                  + lambda_1 mean_weight |x - g(z with z_video = 0)|^2
                  + lambda_1 coarse_weight (the coarse error of g(z))
                  + lambda_1 track_weight (the track error of the paths of z)

        with lambda_1 = 1 / (2 scale^2) and the weights of `schedule`. The last three terms, 0 in
        the poster, are of the frames between the endpoints. With `categories` M_y stands for the
        mean 0 of z_video in both terms. Arguments and returns as in `Trainer`.
        """
        video, noise, weights = batch["video"], noise or {}, self.scheduled(step)
        if training and self.exact_endpoints and video.shape[1] < 3:
            raise ValueError(
                "Clips of 2 frames have no frame to learn with exact_endpoints=True. "
                "Give 3 or more."
            )
        q_video, category = self.posterior(video, training), self.category_in(batch)
        latents = distributions.reparameterize(q_video, noise.get("video"))
        endpoints, between = (video[:, 0], video[:, -1]), video[:, 1:-1]
        times = frame_times(tf.shape(video)[0], video.shape[1])[:, 1:-1]  # [B, T - 2]
        between, times = decoded_part(noise, self.decoded_frames, between, times)
        share = (video.shape[1] - 2) / max(between.shape[1], 1)
        codes = self.endpoints_encoder(*endpoints, training=training)
        given = codes, times, endpoints, between, training

        error, at_endpoints, coarse, track = self._errors(latents, *given)
        whole = at_endpoints + share * error
        lambda_1 = 1.0 / (2.0 * tf.square(weights["observation_scale"]))
        terms = {
            "reconstruction_loss": lambda_1 * whole,
            "endpoints_loss": lambda_1 * self.endpoints_weight * at_endpoints,
        }
        if self.mean_weight:
            guess = tf.zeros_like(latents) + self.class_mean(category)
            error = self._errors(guess, *given, with_endpoints=False)[0]
            terms["mean_reconstruction_loss"] = lambda_1 * self.mean_weight * share * error
        if self.coarse_weight:
            terms["coarse_loss"] = lambda_1 * self.coarse_weight * share * coarse
        if self.track_weight:
            terms["track_loss"] = lambda_1 * self.track_weight * share * track
        if self.video_prior is None:
            kl = distributions.kl_to_standard(q_video)
        else:
            kl = self.video_prior.divergence(q_video, category=category)
        bound = tf.add_n(list(terms.values())) + weights["kl_video"] * kl
        terms["kl_video"] = kl
        terms["psnr"] = losses.psnr_of_error(whole / float(math.prod(video.shape[1:])))
        loss = tf.square(weights["observation_scale"]) * bound
        return {"loss": loss, "bound": bound, **terms}, {}

    def _errors(self, latents, codes, times, endpoints, between, training, with_endpoints=True):
        """|x - g|^2 between the endpoints and at them, the coarse and the track error: `[B]` each.

        Without their weights the last two are 0. Exact endpoints are not decoded.
        """
        none = tf.zeros_like(latents[:, 0])  # [B]
        with_endpoints = with_endpoints and not self.exact_endpoints
        if with_endpoints:
            edge = tf.zeros_like(codes[:, :1])
            times = tf.concat([edge, times, edge + 1.0], axis=1)  # [B, K + 2]
        if not times.shape[1]:
            return none, none, none, none
        joined = tf.concat([latents, codes], axis=-1)  # [B, D + 2 E]
        paths = self.timed_decoder.paths(joined, *endpoints)
        shown = self.timed_decoder(joined, times, *endpoints, training=training, paths=paths)
        at_endpoints = coarse = track = none
        if with_endpoints:
            at_endpoints = losses.squared_error(endpoints[0], shown[:, 0])
            at_endpoints += losses.squared_error(endpoints[1], shown[:, -1])
            shown, times = shown[:, 1:-1], times[:, 1:-1]
        if self.coarse_weight and between.shape[1]:
            coarse = losses.coarse_error(between, shown, self.coarse_levels())
        if self.track_weight and between.shape[1]:
            track = self.timed_decoder.motion.track_error(paths, endpoints, between, times)
        return losses.squared_error(between, shown), at_endpoints, coarse, track

    def coarse_levels(self) -> int:
        """Levels of the coarse error: cells of up to 16 pixels that divide a frame."""
        height, width = self.image_shape[:2]
        fitting = (n for n in range(COARSE_LEVELS, 0, -1) if not (height % 2**n or width % 2**n))
        return next(fitting, 0)

    def encode(self, videos: np.ndarray | tf.Tensor) -> dict[str, tf.Tensor]:
        """Posterior means as `infill` takes them: `"video"`, z_video, float32 `[B, D]`.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1], T at least 2.

        Raises:
            ValueError: other axes, another frame size, or a single frame.
        """
        videos = as_video_tensor(videos, self.image_shape)
        check_endpoints(videos.shape[1])
        return self.traced(self._encoded, videos)

    def _encoded(self, video: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"video": tf.convert_to_tensor(self.posterior(video).mean())}

    # === Videos ===

    def infill(
        self, first: tf.Tensor, last: tf.Tensor, noise: Mapping[str, tf.Tensor], frames: int
    ) -> tf.Tensor:
        codes, times = self.endpoints_encoder(first, last), frame_times(tf.shape(first)[0], frames)
        if self.priors:
            latents = self.drawn_codes(noise)["video"]
        else:
            latents = noise["video"] + self.class_mean(category_code(noise))
        shown = self.decoded(latents, codes, times, first, last)
        return tf.clip_by_value(shown, -1.0, 1.0)

    def reconstruct(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The videos of `encode` through their posterior means: uint8 `[B, T, H, W, C]`."""
        return self.traced(self._reconstructed, as_video_tensor(videos, self.image_shape))

    def _reconstructed(self, video: tf.Tensor) -> np.ndarray | tf.Tensor:
        return as_pixels(self.infer(video, None))


_TWO_CORES: dict[str, Any] = {
    "video_dim": 32,
    "endpoints_dim": 128,
    "summary_units": 128,
    "hidden_units": 512,
    "encoder": patch_encoder((32, 64, 128), strides=(1, 2, 2), features=256),
    "decoder": patch_decoder((512,), 64, (64, 64, 48), upsampling=(1, 2, 1)),
}
# Frames are the endpoints, moved along estimated paths.
_MOVING: dict[str, Any] = {
    "warping": True,
    "moving_cell": 8,
    "exact_endpoints": True,
    "coarse_weight": 1.0,
    "track_weight": 20.0,
    "decoded_frames": 4,
    "schedule": {"observation_scale": (0.1, 1.0), "kl_video": (0.5, 1.0), "steps": 3_000},
}
CVAE.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "video_dim": 8,
        "endpoints_dim": 8,
        "summary_units": 16,
        "hidden_units": 32,
        "encoder": patch_encoder((8, 16), strides=(1, 2), features=16),
        "decoder": patch_decoder((32,), 8, (16, 8), upsampling=(1, 2)),
    },
    # The poster's objective alone, on two CPU cores.
    "plain": {**_TWO_CORES, "schedule": {"observation_scale": (0.5, 0.5)}},
    # Two CPU cores.
    "base": {**_TWO_CORES, **_MOVING, "motion": {"cell": 4, "waves": 3}},
    # As `base` with a sixth of its parameters: the weights that come with the package.
    "small": {
        **_MOVING,
        "schedule": {**_MOVING["schedule"], "steps": 1_900},
        "video_dim": 32,
        "endpoints_dim": 64,
        "summary_units": 64,
        "hidden_units": 96,
        "encoder": patch_encoder((24, 48, 64), strides=(1, 2, 2), features=64),
        "decoder": patch_decoder((64,), 32, (48, 32, 48), upsampling=(1, 2, 1)),
        "motion": {"cell": 4, "waves": 3, "channels": (32, 48, 48, 48), "units": 64},
    },
    # The poster's sizes and length. It gives no layers: strided convolutions as in DCGAN.
    "paper": {
        "frames": 30,
        "video_dim": 600,
        "endpoints_dim": 1000,
        "summary_units": 512,
        "hidden_units": 1024,
        "encoder": strided_encoder((64, 128, 256, 512), (2, 2, 2, 2), (), features=1024),
        "decoder": dcgan_generator(64, kernel_size=5, normalization="batch"),
    },
}
CVAE.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, ema_momentum=0.9),
    "plain": TrainConfig(steps=4_000, decay_steps=4_000, ema_momentum=0.0),
    "base": TrainConfig(steps=4_000, decay_steps=4_000),
    "small": TrainConfig(steps=2_500, decay_steps=2_500),
    "paper": TrainConfig(steps=100_000, batch_size=16, learning_rate=2e-4, ema_momentum=0.0),
}
