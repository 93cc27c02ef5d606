"""RJVAE, the Residual Joint VAE.

Dandi, Das, Singhal, Namboodiri, Rai: "Jointly Trained Image and Video Generation using Residual
Vectors", WACV 2020, section 4.1 and figure 2 (b) to (d).

    mu ~ N(0, sigma^2 I)                                 the summary, once a video
    delta_t ~ N(m, s)(delta_(t-1), LSTM state, mu)       the residuals, delta_0 = 0
    z_t = mu + delta_t,  x_t = G_I(z_t)                  a frame; G_I(mu) is the summary frame
    q(mu | x_1..T)                                       bidirectional LSTM over frame features
    q(delta_t | x_t, mu)                                 frame features beside the summary

The bound scores the prior of delta_t given the posterior sample of delta_(t-1) (teacher forcing).

With `categories`, which the paper does not have, the priors know the class y of a video: they are
p(mu | y) (`AggregatePrior`) and p(delta_t | delta_<t, mu, y), the one-hot class beside mu.

The preset `plain` is the paper's bound and prior, at sizes for two CPU cores. The preset `base`
departs from it by these options:
- `prior_momentum`, `prior_couplings`: the prior of mu follows the aggregate posterior
  (`AggregatePrior`) and is fitted to it again at the end (`training.prior_steps`).
- `schedule`: the observation scale widens during training, which squeezes cheap information out of
  the codes. The KL of the residuals weighs more than that of the summary, so that the summary holds
  what frames share.
- `summary_weight`: the summary frame G_I(mu) is trained to resemble its clip.
- `decoded_frames`: a step decodes some frames of a clip, counted for all.

The paper's appendix with its sizes was not at hand, and no released code was found. The preset
`paper` has the sizes and the training of the preset `paper` of DSA, whose architecture the paper
took over "for a fair comparison" (section 3); `dsa.py` lists the differences from its code.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasvid import distributions, losses
from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.layers.frame_networks import (
    FrameDecoder,
    FrameEncoder,
    patch_decoder,
    patch_encoder,
    strided_decoder,
    strided_encoder,
)
from kerasvid.layers.gaussian_head import GaussianHead
from kerasvid.layers.recurrent import RecurrentPrior, bidirectional_lstm, over_frames
from kerasvid.models.base.categories import beside, category_code
from kerasvid.models.base.protocols import SummaryEncoder, SummaryPrior, Swappable
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import decoded_part
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import (
    VideoGenerator,
    as_video_tensor,
    check_same_batch,
)


@keras.saving.register_keras_serializable(package="kerasvid")
class RJVAE(VideoGenerator, VariationalModel, SummaryPrior, SummaryEncoder, Swappable):
    """Videos as a summary vector plus a residual at every frame.

    Args:
        image_shape, frames, decoded_frames, categories: of `VariationalModel`.
        latent_dim: D, size of the summary, the residuals and a frame's latent vector.
        prior_scale: sigma of the summary's prior N(0, sigma^2 I).
        prior_momentum, prior_couplings: of the `AggregatePrior` of the summary.
        summary_units: width of each direction of the summary posterior's LSTM.
        residual_units: hidden width of the residual posterior.
        prior_units: width of the residual prior's LSTM.
        encoder, decoder: arguments of `FrameEncoder` and `FrameDecoder`, without `image_shape`.
        summary_weight: of the reconstruction loss of G_I(mu) against the clip; the paper has none.
        schedule: of `VariationalModel`, with the weights `kl_summary` and `kl_residual`.

    Raises:
        ValueError: the decoder does not fit the image size, `latent_dim` is odd with
            `prior_couplings`, or a value is out of its range or unknown to `schedule`.

    Example:
        >>> model = RJVAE.from_preset("debug")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> videos = model.generate(4, frames=16)  # uint8 [4, 16, H, W, C]
    """

    kl_terms = ("kl_summary", "kl_residual")
    code_groups: ClassVar = {"video": ("summary", "residual")}  # residuals depend on the summary
    term_names = ("loss", "bound", "reconstruction_loss", *kl_terms, "psnr")

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
        super().__init__(image_shape, frames, schedule, decoded_frames, **kwargs)
        if not isinstance(summary_weight, int | float) or summary_weight < 0:
            raise ValueError(f"summary_weight={summary_weight!r} must be 0 or more.")
        self.latent_dim, self.prior_scale = latent_dim, prior_scale
        self.prior_momentum, self.prior_couplings = prior_momentum, prior_couplings
        self.summary_units, self.residual_units = summary_units, residual_units
        self.prior_units, self.summary_weight = prior_units, float(summary_weight)
        self.encoder_arguments, self.decoder_arguments = dict(encoder or {}), dict(decoder or {})
        if summary_weight:
            self.add_term("summary_reconstruction_loss")

        # === Networks ===
        policy = self.dtype_policy
        self.encoder = FrameEncoder(**self.encoder_arguments, dtype=policy)
        self.summarizer = bidirectional_lstm(summary_units, dtype=policy)
        self.summary_head = GaussianHead(latent_dim, dtype=policy)
        self.residual_head = GaussianHead(latent_dim, residual_units, dtype=policy)
        shaped = {"categories": self.categories, "dtype": policy}
        self.summary_prior = AggregatePrior(
            latent_dim, prior_scale, prior_momentum, prior_couplings, **shaped
        )
        self.prior = RecurrentPrior(latent_dim, prior_units, dtype=policy)
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.encoder.build([None, *self.image_shape])
        self.prior.build([None, None, latent_dim], [None, latent_dim + self.categories])
        self.build_networks()

    # === Inference ===

    def posterior_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"summary": (self.latent_dim,), "residual": (frames, self.latent_dim)}

    def posteriors(self, video, noise: Mapping | None, training: bool = False):
        """q(mu | x_1..T), a draw from it, q(delta_t | x_t, mu), a draw from it."""
        noise = noise or {}
        features = over_frames(self.encoder, video, training=training)  # [B, T, F]
        q_summary = self.summary_head.posterior(self.summarizer(features))
        summary = distributions.reparameterize(q_summary, noise.get("summary"))  # [B, D]
        joined = beside(features, tf.cast(summary, features.dtype))  # [B, T, F + D]
        q_residual = self.residual_head.posterior(joined)
        residual = distributions.reparameterize(q_residual, noise.get("residual"))  # [B, T, D]
        return q_summary, summary, q_residual, residual

    def infer(self, video, noise, training: bool = False):
        _, summary, _, residual = self.posteriors(video, noise, training)
        return over_frames(self.decoder, summary[:, None] + residual, training=training)

    # === The bound ===

    def compute_losses(self, batch, noise, step, training: bool):
        """The weighted bound, in nats, of which scale^2 times is minimised.

            bound = |x - G(z)|^2 / (2 scale^2) + summary_weight |x - G(mu)|^2 / (2 scale^2)
                  + kl_summary KL[q(mu | x_1..T) || p(mu)]
                  + kl_residual sum_t KL[q(delta_t | x_t, mu) || p(delta_t | delta_<t, mu)]

        with the scale and the weights of `schedule`, `summary_weight` 0 in the paper, and the
        posterior's sample delta_<t. With `categories` both priors are given y, too. Arguments and
        returns as in `Trainer`.
        """
        video, noise, weights = batch["video"], noise or {}, self.scheduled(step)
        q_summary, summary, q_residual, residual = self.posteriors(video, noise, training)
        category = self.category_in(batch)
        kl_summary = self.summary_prior.divergence(q_summary, summary if noise else None, category)
        p_residual = self.prior.teacher_forced(residual, beside(summary, category))
        kl_residual = tf.reduce_sum(distributions.kl_divergence(q_residual, p_residual), axis=1)

        codes = summary[:, None] + residual  # [B, T, D]
        frames, codes = decoded_part(noise, self.decoded_frames, video, codes)  # K of the T frames
        count, share = frames.shape[1], video.shape[1] / frames.shape[1]
        if self.summary_weight:
            codes = tf.concat([codes, summary[:, None]], axis=1)  # [B, K + 1, D]
        decoded = over_frames(self.decoder, codes, training=training)
        shown, summary_frame = decoded[:, :count], decoded[:, count:]

        scale = weights["observation_scale"]
        reconstruction = share * losses.gaussian_reconstruction_loss(frames, shown, scale)
        kl = {"kl_summary": kl_summary, "kl_residual": kl_residual}
        bound = reconstruction + sum(weights[name] * kl[name] for name in self.kl_terms)
        terms = {"reconstruction_loss": reconstruction, **kl, "psnr": losses.psnr(frames, shown)}
        if self.summary_weight:
            on_summary = share * losses.gaussian_reconstruction_loss(frames, summary_frame, scale)
            bound += self.summary_weight * on_summary
            terms["summary_reconstruction_loss"] = on_summary
        loss = tf.square(scale) * bound
        statistics = self.summary_prior.moments(q_summary, category)
        return {"loss": loss, "bound": bound, **terms}, statistics

    def aggregated(self, video: tf.Tensor) -> dict[str, Any]:
        return {"summary_prior": self.posteriors(video, None)[0]}

    def code_draws(self, video: tf.Tensor, noise: Mapping) -> dict[str, tf.Tensor]:
        _, summary, _, residual = self.posteriors(video, noise)
        return {"summary": summary, "residual": residual}

    def update_running_statistics(self, statistics: Mapping[str, tf.Tensor]) -> None:
        self.summary_prior.update_moments(statistics)

    # === Generation ===

    def has_gaussian_prior(self) -> bool:
        return super().has_gaussian_prior() and (bool(self.priors) or not self.prior_couplings)

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """z_t = mu + delta_t, `[B, T, D]`, of the noise by the learned prior."""
        steps, beginning = noise["residual"][:, :frames], None
        category = category_code(noise)
        if self.priors:
            drawn = self.drawn_codes(noise)
            summary, beginning = drawn["summary"], drawn["residual"]
        else:
            summary = self.summary_prior.sample(noise["summary"], category)
        condition = beside(summary, category)
        return summary[:, None] + self.prior.rollout(steps, condition, beginning)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of latent vectors `[B, T, D]`."""
        return tf.clip_by_value(over_frames(self.decoder, codes), -1.0, 1.0)

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The summary frame G_I(mu), `[B, H, W, C]` in [-1, 1], of named noise."""
        if self.priors:
            summary = self.drawn_codes(noise)["summary"]
        else:
            summary = self.summary_prior.sample(noise["summary"], category_code(noise))
        return self.decode(summary[:, None])[:, 0]

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
        return self.traced(self._encoded, as_video_tensor(videos, self.image_shape))

    def _encoded(self, video: tf.Tensor) -> dict[str, tf.Tensor]:
        _, summary, _, residual = self.posteriors(video, None)
        return {"summary": summary, "residual": residual, "codes": summary[:, None] + residual}

    def reconstruct(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The videos through their posterior means: uint8 `[B, T, H, W, C]`."""
        return self.pixels(self.encode(videos)["codes"])

    def summary_frames(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The summary frame G_I(mu) of each video: uint8 `[B, H, W, C]`."""
        return self.pixels(self.encode(videos)["summary"][:, None])[:, 0]

    def swap(self, content_of: np.ndarray, motion_of: np.ndarray) -> np.ndarray:
        """The summary of one video with the residuals of another: uint8 `[B, T, H, W, C]`.

        A summary holds what frames share, the action included: content and motion are not separate.

        Args:
            content_of, motion_of: `[B, T, H, W, C]`, uint8 or float in [-1, 1].

        Raises:
            ValueError: different numbers of videos.
        """
        check_same_batch(content_of=content_of, motion_of=motion_of)
        summary = self.encode(content_of)["summary"]
        residual = self.encode(motion_of)["residual"]
        return self.pixels(summary[:, None] + residual)


_TWO_CORES: dict[str, Any] = {
    "latent_dim": 24,
    "summary_units": 256,
    "residual_units": 256,
    "prior_units": 256,
    "encoder": patch_encoder((64, 128, 128), strides=(1, 2, 2), features=256),
    "decoder": patch_decoder((512,), 64, (128, 64, 128), upsampling=(1, 2, 1)),
}
# What `base` and `small` have beside the paper's bound and prior.
_DEPARTURES: dict[str, Any] = {
    "prior_momentum": 0.99,
    "summary_weight": 0.1,
    "decoded_frames": 2,
    "schedule": {
        "observation_scale": (0.1, 2.0),
        "kl_summary": (0.5, 2.5),
        "kl_residual": (3.0, 3.0),
        "steps": 6_600,
    },
}
RJVAE.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "latent_dim": 8,
        "summary_units": 16,
        "residual_units": 16,
        "prior_units": 16,
        "encoder": patch_encoder((8, 16), strides=(1, 2), features=16),
        "decoder": patch_decoder((32,), 8, (16, 8), upsampling=(1, 2)),
    },
    # The paper's bound and prior alone, on two CPU cores.
    "plain": {**_TWO_CORES, "schedule": {"observation_scale": (0.5**0.5, 0.5**0.5)}},
    # Good pictures on two CPU cores in minutes.
    "base": {**_TWO_CORES, **_DEPARTURES, "prior_couplings": 8},
    # As `base` with a sixth of its parameters: the weights that come with the package.
    "small": {
        **_DEPARTURES,
        "latent_dim": 24,
        "summary_units": 64,
        "residual_units": 96,
        "prior_units": 64,
        "prior_couplings": 6,
        "encoder": patch_encoder((32, 64, 64), strides=(1, 2, 2), features=96),
        "decoder": patch_decoder((64,), 48, (64, 48, 64), upsampling=(1, 2, 1)),
    },
    # The sizes of DSA, which RJVAE was compared to: 5x5 convolutions of 256.
    "paper": {
        "latent_dim": 256,
        "summary_units": 512,
        "residual_units": 512,
        "prior_units": 512,
        "encoder": strided_encoder((256, 256, 256, 256), (1, 2, 2, 2), (4096,), features=2048),
        "decoder": strided_decoder((4096,), 256, (256, 256, 256), (2, 2, 2)),
        "schedule": {"observation_scale": (0.5**0.5, 0.5**0.5)},
    },
}
_RELEASED: dict[str, Any] = {"warmup_steps": 0, "beta_2": 0.999, "epsilon": 1e-8}  # of DSA
RJVAE.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, ema_momentum=0.9),
    "plain": TrainConfig(steps=4_000, decay_steps=4_000, ema_momentum=0.0),
    "base": TrainConfig(steps=8_000, decay_steps=8_000, prior_steps=3_000),
    "small": TrainConfig(steps=8_000, decay_steps=8_000, prior_steps=3_000),
    "paper": TrainConfig(
        steps=54_200, batch_size=25, learning_rate=2e-4, ema_momentum=0.0, **_RELEASED
    ),
}
