"""DSA, the Disentangled Sequential Autoencoder.

Li, Mandt: "Disentangled Sequential Autoencoder", ICML 2018: the baseline that RJVAE is compared to.

    f ~ N(0, I)                                   the content, once a video
    z_t ~ N(m, s)(LSTM of z_<t)                   the motion, independent of the content
    x_t = G([f, z_t])
    factorised: q(f | x_1..T) q(z_t | x_t)
    full:       q(f | x_1..T) q(z_1..T | x_1..T, f), a bidirectional LSTM and a forward RNN

The bound scores the prior of z_t given the posterior samples z_<t (teacher forcing).

With `categories`, which the paper does not have, the priors know the class y of a video: they are
p(f | y) and, with `aggregate_start`, p(z_1 | y) (`AggregatePrior`), and p(z_t | z_<t, y), the LSTM
with the one-hot class.

The preset `plain` is the paper's bound and priors, at sizes for two CPU cores.

The preset `paper` has the published sizes. What the paper leaves open is that of
https://github.com/yatindandi/Disentangled-Sequential-Autoencoder, by the first author of RJVAE: the
dense layers, Adam's rates, 25 clips a step, 200 epochs of 6,767 clips (its `trainer.py` makes 500).
It minimises the squared error plus the divergences: a pixel's standard deviation is the root of
1/2. Differences from that code:
- It scores independent rollouts of the prior, which bounds another model.
- The decoder's output is linear, and clipped where it is shown; there it has a tanh.
- There is no batch norm behind the encoder's dense layers, but behind the decoder's grid.
- Its heads of f have a leaky rectifier. Here they are linear, as its README says.
- A standard deviation is a softplus and not an exponential, and posteriors begin narrow.
- Initial weights, and the momentum and epsilon of batch norm, are Keras's.

The preset `base` departs from the paper by these options:
- `prior_momentum`, `prior_couplings`: the prior of f follows the aggregate posterior
  (`AggregatePrior`) and is fitted to it again at the end (`training.prior_steps`).
- `aggregate_start`: so is the prior of z_1. A Gaussian would blur the actions into each other.
- `schedule`: the observation scale widens and the weights of the KL terms move. The weight `shared`
  removes from f what the motion says, too (`SharedInformation`): independent priors draw it twice,
  and samples and swaps then show two actions at once.
- `decoded_frames`: a step decodes some frames of a clip, counted for all.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasvid import distributions, losses
from kerasvid.layers.aggregate_prior import (
    AggregatePrior,
    add_moments,
    batch_moments,
    moved_moments,
)
from kerasvid.layers.frame_networks import (
    FrameDecoder,
    FrameEncoder,
    patch_decoder,
    patch_encoder,
    strided_decoder,
    strided_encoder,
)
from kerasvid.layers.gaussian_head import GaussianHead
from kerasvid.layers.recurrent import RecurrentPrior, bidirectional_lstm, over_frames, repeated
from kerasvid.models.base.categories import category_code
from kerasvid.models.base.protocols import Swappable
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import decoded_part
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import (
    VideoGenerator,
    as_video_tensor,
    check_same_batch,
)
from kerasvid.naming import KeepsArguments

POSTERIORS = ("factorised", "full")
JITTER = 1e-4  # added to the diagonals of running covariances


@keras.saving.register_keras_serializable(package="kerasvid")
class DSA(VideoGenerator, VariationalModel, Swappable):
    """Videos as one content vector and a motion vector at every frame.

    Args:
        image_shape, frames, decoded_frames, categories: of `VariationalModel`.
        content_dim: size of f.
        motion_dim: size of z_t.
        posterior: `"factorised"` or `"full"`: whether q(z_t) sees its own frame alone, or the
            whole video and the content.
        prior_momentum, prior_couplings: of the `AggregatePrior` of the content.
        aggregate_start: whether the first motion vector z_1 has such a prior, too, instead of the
            LSTM's Gaussian.
        content_units: width of each direction of the content posterior's LSTM.
        motion_units: width of the motion posterior: of its hidden layer, or, if full, of its LSTM
            in each direction and of its RNN.
        prior_units: width of the motion prior's LSTM.
        encoder, decoder: arguments of `FrameEncoder` and `FrameDecoder`, without `image_shape`.
        schedule: of `VariationalModel`, with the weights `kl_content`, `kl_motion` and `shared`.

    Raises:
        ValueError: `posterior` is unknown, the decoder does not fit the image size, `content_dim`
            is odd with `prior_couplings`, or a value is out of its range or unknown to `schedule`.

    Example:
        >>> model = DSA.from_preset("debug", posterior="full")
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> videos = model.swap(content_of=first, motion_of=second)  # uint8 [B, T, H, W, C]
    """

    kl_terms, further_terms = ("kl_content", "kl_motion"), ("shared",)
    term_names = ("loss", "bound", "reconstruction_loss", *kl_terms, "psnr")
    code_groups: ClassVar = {"content": ("content",), "motion": ("motion",)}

    PARTS: ClassVar = {
        "encoder": FrameEncoder,
        "decoder": FrameDecoder,
        "schedule": ("observation_scale", "kl_content", "kl_motion", "shared", "steps"),
    }

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 8,
        content_dim: int = 32,
        motion_dim: int = 16,
        posterior: str = "factorised",
        prior_momentum: float | None = None,
        prior_couplings: int = 0,
        aggregate_start: bool = False,
        content_units: int = 256,
        motion_units: int = 256,
        prior_units: int = 256,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        decoded_frames: int | None = None,
        schedule: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(image_shape, frames, schedule, decoded_frames, **kwargs)
        if posterior not in POSTERIORS:
            raise ValueError(f"posterior={posterior!r} is unknown: use {' or '.join(POSTERIORS)}.")
        self.content_dim, self.motion_dim, self.posterior = content_dim, motion_dim, posterior
        self.prior_momentum, self.prior_couplings = prior_momentum, prior_couplings
        self.aggregate_start = aggregate_start
        self.content_units, self.motion_units = content_units, motion_units
        self.prior_units = prior_units
        self.encoder_arguments, self.decoder_arguments = dict(encoder or {}), dict(decoder or {})

        # === Networks ===
        policy = self.dtype_policy
        self.encoder = FrameEncoder(**self.encoder_arguments, dtype=policy)
        self.content_summarizer = bidirectional_lstm(content_units, dtype=policy)
        self.content_head = GaussianHead(content_dim, dtype=policy)
        hidden = 0 if posterior == "full" else motion_units  # on the RNN the head is linear
        self.motion_head = GaussianHead(motion_dim, hidden, dtype=policy)
        if posterior == "full":
            self.motion_context = bidirectional_lstm(motion_units, True, dtype=policy)
            self.motion_rnn = keras.layers.SimpleRNN(
                motion_units, return_sequences=True, unroll=True, dtype=policy
            )
        shaped: dict[str, Any] = {"momentum": prior_momentum, "couplings": prior_couplings}
        shaped |= {"categories": self.categories, "dtype": policy}
        self.content_prior = AggregatePrior(content_dim, **shaped)
        self.start_prior = AggregatePrior(motion_dim, **shaped) if aggregate_start else None
        self.shared = None
        if max(self.schedule["shared"]) > 0.0:
            self.shared = SharedInformation(content_dim, motion_dim, dtype=policy)
            self.add_term("shared")
        self.prior = RecurrentPrior(motion_dim, prior_units, dtype=policy)
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.encoder.build([None, *self.image_shape])
        condition = [None, self.categories] if self.categories else None
        self.prior.build([None, None, motion_dim], condition)
        self.build_networks()

    # === Inference ===

    def posterior_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"content": (self.content_dim,), "motion": (frames, self.motion_dim)}

    def posteriors(self, video, noise: Mapping | None, training: bool = False):
        """q(f | x_1..T), a draw from it, q(z_t | ...), a draw from it."""
        noise = noise or {}
        features = over_frames(self.encoder, video, training=training)  # [B, T, F]
        q_content = self.content_head.posterior(self.content_summarizer(features))
        content = distributions.reparameterize(q_content, noise.get("content"))  # [B, D]
        if self.posterior == "full":
            beside = repeated(tf.cast(content, features.dtype), video.shape[1])  # [B, T, D]
            joined = tf.concat([features, beside], axis=-1)
            features = self.motion_rnn(self.motion_context(joined))
        q_motion = self.motion_head.posterior(features)
        motion = distributions.reparameterize(q_motion, noise.get("motion"))  # [B, T, E]
        return q_content, content, q_motion, motion

    def infer(self, video, noise, training: bool = False):
        _, content, _, motion = self.posteriors(video, noise, training)
        return over_frames(self.decoder, join(content, motion), training=training)

    # === The bound ===

    def compute_losses(self, batch, noise, step, training: bool):
        """The weighted bound, in nats, of which scale^2 times is minimised.

            bound = |x - G([f, z])|^2 / (2 scale^2)
                  + kl_content KL[q(f | x_1..T) || p(f)]
                  + kl_motion sum_t KL[q(z_t | ...) || p(z_t | z_<t)]
                  + shared I(f, z)

        with the scale and the weights of `schedule`, `shared` 0 in the paper, and the posterior's
        sample z_<t. With `categories` both priors are given y, too. Arguments and returns as in
        `Trainer`.
        """
        video, noise, weights = batch["video"], noise or {}, self.scheduled(step)
        q_content, content, q_motion, motion = self.posteriors(video, noise, training)
        category, drawn = self.category_in(batch), content if noise else None
        kl_content = self.content_prior.divergence(q_content, drawn, category)
        p_motion = self.prior.teacher_forced(motion, category)
        kl_motion = distributions.kl_divergence(q_motion, p_motion)
        statistics = {"content": self.content_prior.moments(q_content, category)}
        start = self.start_prior
        if start is not None:
            drawn = motion[:, 0] if noise else None
            kl_first = start.divergence(q_motion[:, 0], drawn, category)
            kl_motion = tf.concat([kl_first[:, None], kl_motion[:, 1:]], axis=1)
            statistics["start"] = start.moments(q_motion[:, 0], category)
        kl_motion = tf.reduce_sum(kl_motion, axis=1)  # [B, T] -> [B]

        codes = join(content, motion)  # [B, T, D + E]
        frames, codes = decoded_part(noise, self.decoded_frames, video, codes)  # K of the T frames
        share = video.shape[1] / frames.shape[1]
        shown = over_frames(self.decoder, codes, training=training)

        scale = weights["observation_scale"]
        reconstruction = share * losses.gaussian_reconstruction_loss(frames, shown, scale)
        kl = {"kl_content": kl_content, "kl_motion": kl_motion}
        bound = reconstruction + sum(weights[name] * kl[name] for name in self.kl_terms)
        terms = {"reconstruction_loss": reconstruction, **kl, "psnr": losses.psnr(frames, shown)}
        if self.shared is not None:
            both = content, tf.reduce_mean(motion, axis=1)  # [B, D], [B, E]
            terms["shared"] = self.shared.term(*both)
            bound += weights["shared"] * terms["shared"]
            statistics["shared"] = self.shared.moments(*both)
        statistics = {name: moments for name, moments in statistics.items() if moments}
        return {"loss": tf.square(scale) * bound, "bound": bound, **terms}, statistics

    def aggregated(self, video: tf.Tensor) -> dict[str, Any]:
        q_content, _, q_motion, _ = self.posteriors(video, None)
        first = {} if self.start_prior is None else {"start_prior": q_motion[:, 0]}
        return {"content_prior": q_content, **first}

    def code_draws(self, video: tf.Tensor, noise: Mapping) -> dict[str, tf.Tensor]:
        _, content, _, motion = self.posteriors(video, noise)
        return {"content": content, "motion": motion}

    def update_running_statistics(self, statistics: Mapping[str, Any]) -> None:
        self.content_prior.update_moments(statistics.get("content", {}))
        if self.start_prior is not None:
            self.start_prior.update_moments(statistics.get("start", {}))
        if self.shared is not None:
            self.shared.update_moments(statistics["shared"])

    # === Generation ===

    def has_gaussian_prior(self) -> bool:
        return super().has_gaussian_prior() and (bool(self.priors) or not self.prior_couplings)

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """[f, z_t], `[B, T, content_dim + motion_dim]`, of the noise by the learned prior."""
        steps, start, beginning = noise["motion"][:, :frames], self.start_prior, None
        category = category_code(noise)
        if self.priors:
            drawn = self.drawn_codes(noise)
            content, beginning = drawn["content"], drawn["motion"]
        else:
            content = self.content_prior.sample(noise["content"], category)
            if start is not None:
                beginning = start.sample(noise["motion"][:, 0], category)[:, None]  # [B, 1, E]
        return join(content, self.prior.rollout(steps, category, beginning))

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of `[B, T, content_dim + motion_dim]`."""
        return tf.clip_by_value(over_frames(self.decoder, codes), -1.0, 1.0)

    # === Videos to codes and back ===

    def encode(self, videos: np.ndarray | tf.Tensor) -> dict[str, tf.Tensor]:
        """Posterior means: `content` `[B, D]`, `motion` `[B, T, E]`, `codes` `[B, T, D + E]`.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1].

        Raises:
            ValueError: other axes or another frame size.

        Example:
            >>> content = model.encode(videos)["content"]  # float32 [B, content_dim]
        """
        return self.traced(self._encoded, as_video_tensor(videos, self.image_shape))

    def _encoded(self, video: tf.Tensor) -> dict[str, tf.Tensor]:
        _, content, _, motion = self.posteriors(video, None)
        return {"content": content, "motion": motion, "codes": join(content, motion)}

    def reconstruct(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The videos through their posterior means: uint8 `[B, T, H, W, C]`."""
        return self.pixels(self.encode(videos)["codes"])

    def swap(self, content_of: np.ndarray, motion_of: np.ndarray) -> np.ndarray:
        """The content of some videos with the motion of others: uint8 `[B, T, H, W, C]`.

        Args:
            content_of: `[B, S, H, W, C]`, uint8 or float in [-1, 1].
            motion_of: `[B, T, H, W, C]`; T may differ from S.

        Raises:
            ValueError: different numbers of videos.

        Example:
            >>> model.swap(content_of=videos, motion_of=videos[::-1])  # uint8 [B, T, H, W, C]
        """
        check_same_batch(content_of=content_of, motion_of=motion_of)
        content = self.encode(content_of)["content"]
        motion = self.encode(motion_of)["motion"]
        return self.pixels(join(content, motion))


def join(content: tf.Tensor, motion: tf.Tensor) -> tf.Tensor:
    """The content beside the motion at every frame: `[B, D]`, `[B, T, E]` -> `[B, T, D + E]`."""
    return tf.concat([repeated(content, motion.shape[1]), motion], axis=-1)


@keras.saving.register_keras_serializable(package="kerasvid")
class SharedInformation(KeepsArguments, keras.layers.Layer):
    """Linear dependence of one vector a on another b: half the sum of squared correlations.

        I = 1/2 |R|^2,  R = Cov[a]^(-1/2) Cov[a, b] Cov[b]^(-1/2)

    The singular values of R are the canonical correlations; to the lowest order I is the mutual
    information, in nats, of two Gaussians of these moments, which is -1/2 log det(1 - R R').

    Where both hold something, such as the action of a video, draws of independent priors contradict
    each other. The gradient of this term removes from a what b holds, and leaves b as it is.

    Correlations do not depend on scale: give draws of the posteriors, so that what drowns in their
    noise does not count. Running moments make the gradient less noisy.

    Args:
        size: of a.
        other_size: of b.
        momentum: of the running moments, in (0, 1).

    Example:
        >>> shared = SharedInformation(24, 16)
        >>> loss += 30.0 * tf.reduce_mean(shared.term(content, motion))
        >>> shared.update_moments(shared.moments(content, motion))
    """

    def __init__(self, size: int, other_size: int, momentum: float = 0.99, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not 0 < momentum < 1:
            raise ValueError(f"momentum={momentum} of running moments must be between 0 and 1.")
        self.size, self.other_size, self.momentum = size, other_size, momentum
        add_moments(self, size + other_size)
        self.built = True

    def term(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """I by row, and its gradient by a: `[B, size]`, `[B, other_size]` -> `[B]` float32.

        Over a batch of the running moments the mean is I. Nothing flows back into b.
        """
        covariance, mean = tf.convert_to_tensor(self.covariance), tf.convert_to_tensor(self.mean)
        size = self.size
        first, second = (
            tf.linalg.cholesky(block + JITTER * tf.eye(block.shape[0]))
            for block in (covariance[:size, :size], covariance[size:, size:])
        )
        half = tf.linalg.triangular_solve(first, covariance[:size, size:])
        correlations = tf.transpose(tf.linalg.triangular_solve(second, tf.transpose(half)))  # R
        white_a = tf.linalg.triangular_solve(first, tf.transpose(a - mean[:size]))  # [size, B]
        centred = tf.transpose(tf.stop_gradient(b) - mean[size:])
        white_b = tf.linalg.triangular_solve(second, centred)  # [other_size, B]
        together = tf.reduce_sum(white_a * tf.matmul(correlations, white_b), axis=0)  # [B]
        return together - 0.5 * tf.reduce_sum(tf.square(correlations))

    def moments(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        """Moments of a batch for `update_moments`, means over its rows."""
        return batch_moments(self, tf.stop_gradient(tf.concat([a, b], axis=-1)))

    def update_moments(self, moments: dict[str, tf.Tensor]) -> None:
        """Moves the running moments towards those of a batch, if finite and `trainable`."""
        if not self.trainable:
            return
        mean, covariance = moved_moments(self, moments)
        self.mean.assign(mean)
        self.covariance.assign(covariance)

    call = term


_TWO_CORES: dict[str, Any] = {
    "content_dim": 24,
    "motion_dim": 16,
    "content_units": 256,
    "motion_units": 256,
    "prior_units": 256,
    "encoder": patch_encoder((64, 128, 128), strides=(1, 2, 2), features=256),
    "decoder": patch_decoder((512,), 64, (128, 64, 128), upsampling=(1, 2, 1)),
}
# What `base` and `small` have beside the paper's bound and prior.
_DEPARTURES: dict[str, Any] = {
    "prior_momentum": 0.99,
    "aggregate_start": True,
    "decoded_frames": 3,
    "schedule": {
        "observation_scale": (0.1, 2.0),
        "kl_content": (0.5, 1.5),
        "kl_motion": (100.0, 4.0),
        # Late: as long as the motion knows the clothes, the content must not drop them.
        "shared": (0.01, 100.0),
        "steps": 6_600,
    },
}
DSA.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "content_dim": 8,
        "motion_dim": 4,
        "content_units": 16,
        "motion_units": 16,
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
        "schedule": {**_DEPARTURES["schedule"], "steps": 3_300},
        "content_dim": 24,
        "motion_dim": 16,
        "content_units": 64,
        "motion_units": 96,
        "prior_units": 64,
        "prior_couplings": 5,
        "encoder": patch_encoder((32, 64, 64), strides=(1, 2, 2), features=96),
        "decoder": patch_decoder((64,), 48, (64, 48, 64), upsampling=(1, 2, 1)),
    },
    # The published sizes: content of 256, motion of 32, 5x5 convolutions of 256.
    "paper": {
        "content_dim": 256,
        "motion_dim": 32,
        "content_units": 512,
        "motion_units": 512,
        "prior_units": 512,
        "encoder": strided_encoder((256, 256, 256, 256), (1, 2, 2, 2), (4096,), features=2048),
        "decoder": strided_decoder((4096,), 256, (256, 256, 256), (2, 2, 2)),
        "schedule": {"observation_scale": (0.5**0.5, 0.5**0.5)},
    },
}
_RELEASED: dict[str, Any] = {"warmup_steps": 0, "beta_2": 0.999, "epsilon": 1e-8}
DSA.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, ema_momentum=0.9),
    "plain": TrainConfig(steps=4_000, decay_steps=4_000, ema_momentum=0.0),
    "base": TrainConfig(steps=8_000, decay_steps=8_000, prior_steps=3_000),
    "small": TrainConfig(steps=4_000, decay_steps=4_000, prior_steps=3_000),
    # 200 epochs of 271 batches.
    "paper": TrainConfig(
        steps=54_200, batch_size=25, learning_rate=2e-4, ema_momentum=0.0, **_RELEASED
    ),
}
