"""RJVAE, the Residual Joint VAE.

Dandi, Das, Singhal, Namboodiri, Rai: "Jointly Trained Image and Video Generation using Residual
Vectors", WACV 2020, section 4.1 and figure 2 (b) to (d).

    mu ~ N(0, sigma^2 I)                                 the summary, once a video
    delta_t ~ N(m, s)(delta_(t-1), LSTM state, mu)       the residuals, delta_0 = 0
    z_t = mu + delta_t,  x_t = G_I(z_t)                  a frame; G_I(mu) is the summary frame
    q(mu | x_1..T)                                       bidirectional LSTM over frame features
    q(delta_t | x_t, mu)                                 frame features beside the summary

The bound scores the prior of delta_t given the posterior sample of delta_(t-1) (teacher forcing).

The preset `base` departs from the paper, each time by a flag that is off by default:
- `prior_momentum`, `prior_couplings`: the prior of mu is an invertible image of N(0, I) that
  follows the aggregate posterior (`AggregatePrior`) and is fitted to it once more when the networks
  have learned (`training.prior_steps`, see `fit_priors`); samples then fall where the decoder was
  trained.
- `schedule`: the observation scale widens during training, so that information which buys little
  is squeezed out of the codes, and the KL of the residuals weighs more than that of the summary,
  so that what frames share is said once. At the end the loss is a weighted bound.
- `summary_weight`: the summary frame G_I(mu) is trained to resemble its clip.
- `decoded_frames`: a step decodes some of a clip's frames, counted for all.
- Networks work on 4x4 patches, with sub-pixel enlargement and without normalization.
The paper's sizes stand in its appendix, which is not at hand: the preset `paper` has the published
sizes of DSA, "for a fair comparison" with which it took over the architecture (section 3).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasvid import distributions
from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder
from kerasvid.layers.gaussian_head import GaussianHead
from kerasvid.layers.recurrent import BidirectionalSummary, RecurrentPrior, over_frames
from kerasvid.models.base.protocols import ImagePrior, SummaryEncoder, Swappable
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.vae import Posterior, VariationalModel
from kerasvid.models.base.video_generator import (
    VideoGenerator,
    as_pixels,
    as_video_tensor,
    check_same_batch,
)
from kerasvid.models.dsa import DSA


@keras.saving.register_keras_serializable(package="kerasvid")
class RJVAE(VideoGenerator, VariationalModel, ImagePrior, SummaryEncoder, Swappable):
    """Videos as a summary vector plus a residual at every frame.

    Args:
        image_shape: `(H, W, C)`.
        frames: T of `generate` where it is not told; training may use any other.
        latent_dim: size of the summary, the residuals and a frame's latent vector.
        prior_scale: sigma of the summary's prior N(0, sigma^2 I).
        prior_momentum: of the running moments by which the summary's prior follows the posteriors
            instead (`AggregatePrior`), or `None`.
        prior_couplings: of the flow that shapes the summary's prior, or 0.
        summary_units: width of each direction of the summary posterior's LSTM.
        residual_units: hidden width of the residual posterior.
        prior_units: width of the residual prior's LSTM.
        encoder: arguments of `FrameEncoder`.
        decoder: arguments of `FrameDecoder`, without `image_shape`.
        summary_weight: of the energy of the summary frame G_I(mu) against the clip's frames; it
            makes the summary frame a likeness of the clip, where the paper left that to chance.
        decoded_frames: frames of a clip that a training step decodes, chosen at random; all
            where `None`. Fewer make a step cheaper, and the loss keeps its expectation.
        schedule: how the loss moves: `observation_scale`, `kl_summary` and `kl_residual`, each a
            pair (start, end), and `steps`, the iterations from the one to the other. What is left
            out stays at 1: the plain bound.

    Raises:
        ValueError: the decoder's factors do not fit the image size, `latent_dim` is odd with
            `prior_couplings`, or a value is out of its range or unknown to `schedule`.

    Example:
        >>> model = RJVAE.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> videos = model.generate(4, frames=16)  # uint8 [4, 16, H, W, C]
    """

    term_names = ("loss", "reconstruction_loss", "kl_summary", "kl_residual", "psnr")

    PARTS: ClassVar = {
        "encoder": FrameEncoder,
        "decoder": FrameDecoder,
        "schedule": ("observation_scale", "kl_summary", "kl_residual", "steps"),
    }

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 8,
        latent_dim: int = 32,
        prior_scale: float = 1.0,
        prior_momentum: float | None = None,
        prior_couplings: int = 0,
        summary_units: int = 256,
        residual_units: int = 256,
        prior_units: int = 256,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        summary_weight: float = 0.0,
        decoded_frames: int | None = None,
        schedule: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        self.latent_dim, self.prior_scale = latent_dim, prior_scale
        self.prior_momentum, self.prior_couplings = prior_momentum, prior_couplings
        self.summary_units, self.residual_units = summary_units, residual_units
        self.prior_units = prior_units
        self.encoder_arguments, self.decoder_arguments = dict(encoder or {}), dict(decoder or {})
        self.set_decoding(decoded_frames, summary_weight)
        self.set_schedule(schedule, ("kl_summary", "kl_residual"))

        # === Networks ===
        policy = self.dtype_policy
        self.encoder = FrameEncoder(**self.encoder_arguments, dtype=policy)
        self.summarizer = BidirectionalSummary(summary_units, dtype=policy)
        self.summary_head = GaussianHead(latent_dim, dtype=policy)
        self.residual_head = GaussianHead(latent_dim, residual_units, dtype=policy)
        self.summary_prior = AggregatePrior(
            latent_dim, prior_scale, prior_momentum, prior_couplings, dtype=policy
        )
        self.prior = RecurrentPrior(latent_dim, prior_units, dtype=policy)
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.encoder.build([None, *self.image_shape])
        self.prior.build([None, None, latent_dim], [None, latent_dim])
        self.build_networks()

    # === Inference ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"summary": (self.latent_dim,), "residual": (frames, self.latent_dim)}

    def posteriors(self, video, noise: Mapping | None, training: bool = False):
        """q(mu | x_1..T), a draw from it, q(delta_t | x_t, mu), a draw from it."""
        noise = noise or {}
        features = over_frames(self.encoder, video, training=training)  # [B, T, F]
        q_summary = self.summary_head.posterior(self.summarizer(features))
        summary = distributions.reparameterize(q_summary, noise.get("summary"))  # [B, D]
        beside = tf.repeat(summary[:, None], video.shape[1], axis=1)  # [B, T, D]
        joined = tf.concat([features, tf.cast(beside, features.dtype)], axis=-1)
        q_residual = self.residual_head.posterior(joined)
        residual = distributions.reparameterize(q_residual, noise.get("residual"))  # [B, T, D]
        return q_summary, summary, q_residual, residual

    def posterior_codes(self, video, noise, training: bool = False):
        q_summary, summary, q_residual, residual = self.posteriors(video, noise, training)
        drawn = summary if noise else None
        p_residual = self.prior.teacher_forced(residual, summary)
        kl_residual = distributions.kl_divergence(q_residual, p_residual)  # [B, T]
        kl = {
            "kl_summary": self.summary_prior.divergence(q_summary, drawn),
            "kl_residual": tf.reduce_sum(kl_residual, axis=1),
        }
        moments = self.summary_prior.moments(q_summary)
        return Posterior(summary[:, None] + residual, kl, moments, still=summary)

    def aggregated(self, video: tf.Tensor) -> dict[str, Any]:
        return {"summary_prior": self.posteriors(video, None)[0]}

    def update_running_statistics(self, statistics: Mapping[str, tf.Tensor]) -> None:
        self.summary_prior.update_moments(statistics)

    # === Generation ===

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """z_t = mu + delta_t, `[B, T, D]`, of the noise by the learned prior."""
        summary = self.summary_prior.sample(noise["summary"])
        return summary[:, None] + self.prior.rollout(noise["residual"][:, :frames], summary)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of latent vectors `[B, T, D]`."""
        return tf.clip_by_value(over_frames(self.decoder, codes), -1.0, 1.0)

    def generate_images(self, batch: int, seed: int = 0) -> np.ndarray:
        """Summary frames G_I(mu) of the prior alone: uint8 `[B, H, W, C]`; no LSTM runs.

        Row i shows the summary of row i of `generate` at the same seed.
        """
        return as_pixels(self.image_of(self.sample_noise(batch, 1, seed)))

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The summary frame `[B, H, W, C]` in [-1, 1] of named noise."""
        return self.decode(self.summary_prior.sample(noise["summary"])[:, None])[:, 0]

    # === Videos to codes and back ===

    def encode(self, videos: np.ndarray | tf.Tensor) -> dict[str, tf.Tensor]:
        """Posterior means: `summary` `[B, D]`, `residual` and `codes` `[B, T, D]`.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1].

        Raises:
            ValueError: other axes or another frame size.

        Example:
            >>> summary = model.encode(videos)["summary"]  # float32 [B, latent_dim]
        """
        _, summary, _, residual = self.posteriors(as_video_tensor(videos, self.image_shape), None)
        return {
            "summary": summary,
            "residual": residual,
            "codes": summary[:, None] + residual,
        }

    def reconstruct(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The videos through their posterior means: uint8 `[B, T, H, W, C]`."""
        return as_pixels(self.decode(self.encode(videos)["codes"]))

    def summary_frames(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The summary frame G_I(mu) of each video: uint8 `[B, H, W, C]`."""
        return as_pixels(self.decode(self.encode(videos)["summary"][:, None]))[:, 0]

    def swap(self, content_of: np.ndarray, motion_of: np.ndarray) -> np.ndarray:
        """The summary of one video with the residuals of another: uint8 `[B, T, H, W, C]`.

        RJVAE does not separate content from motion: a summary says what frames share, the action
        included. The residuals of `motion_of` are added as they are.

        Args:
            content_of: `[B, T, H, W, C]`, uint8 or float in [-1, 1].
            motion_of: the same batch size.

        Raises:
            ValueError: different numbers of videos.
        """
        check_same_batch(content_of=content_of, motion_of=motion_of)
        summary = self.encode(content_of)["summary"]
        residual = self.encode(motion_of)["residual"]
        return as_pixels(self.decode(summary[:, None] + residual))

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "frames": self.frames,
            "latent_dim": self.latent_dim,
            "prior_scale": self.prior_scale,
            "prior_momentum": self.prior_momentum,
            "prior_couplings": self.prior_couplings,
            "summary_weight": self.summary_weight,
            "summary_units": self.summary_units,
            "residual_units": self.residual_units,
            "prior_units": self.prior_units,
            "encoder": self.encoder_arguments,
            "decoder": self.decoder_arguments,
            "decoded_frames": self.decoded_frames,
            "schedule": self.schedule,
        }
        return {**super().get_config(), **own}


RJVAE.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "latent_dim": 8,
        "summary_units": 16,
        "residual_units": 16,
        "prior_units": 16,
        "encoder": {"channels": (8, 16), "strides": (1, 2), "features": 16},
        "decoder": {
            "dense_units": (32,),
            "seed_channels": 8,
            "channels": (16, 8),
            "upsampling": (1, 2),
        },
    },
    # Good pictures on two CPU cores in minutes.
    "base": {
        "latent_dim": 24,
        "prior_momentum": 0.99,
        "prior_couplings": 8,
        "summary_weight": 0.1,
        "decoded_frames": 2,
        "schedule": {
            "observation_scale": (0.1, 2.0),
            "kl_summary": (0.5, 2.5),
            "kl_residual": (3.0, 3.0),
            "steps": 6_600,
        },
    },
    # The sizes of the published DSA, which RJVAE was compared to: 5x5 convolutions of 256.
    "paper": {
        "latent_dim": 256,
        "summary_units": 512,
        "residual_units": 512,
        "prior_units": 512,
        "encoder": DSA.PRESETS["paper"]["encoder"],
        "decoder": DSA.PRESETS["paper"]["decoder"],
        "schedule": {"observation_scale": (0.5, 0.5)},
    },
}
RJVAE.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, ema_momentum=0.9),
    "base": TrainConfig(steps=8_000, decay_steps=8_000, prior_steps=3_000),
    "paper": TrainConfig(steps=100_000, batch_size=32, learning_rate=2e-4, ema_momentum=0.999),
}
