"""Training of latent-variable models by the evidence lower bound.

Loss of a video, in nats: energy / scale^2 + sum_k weight_k KL_k, where the observation scale and
the KL weights may move during a warm-up: geometrically, but linearly where a weight begins or ends
at 0.

Fitting priors to the posteriors of the training data, once the networks stand.

While the networks learn, the posteriors move away from a prior that follows them, and a step shows
it few of them. With the networks at rest, a prior of draws sees as many as it likes for next to
nothing (the second stage of Dai, Wipf: "Diagnosing and Enhancing VAE Models", ICLR 2019), and draws
of it fall where the decoder was trained.
"""

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kerasvid import losses
from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.base.train_config import Ramp, WarmupCosine, is_pair
from kerasvid.models.base.trainer import (
    DECODED,
    Trainer,
    checked_count,
    choice_shapes,
    decoded_part,
    draw_noise,
    replica_key,
)
from kerasvid.naming import nearest_names

BATCH = 512  # draws a step
JUDGED = 10  # one posterior in so many is held out, and tells which of the weights were best
TURNS = 10  # judgements in the course of a fit
LEAST = JUDGED  # posteriors, without which nothing is fitted


class Fit(NamedTuple):
    """Mean KL(posterior || prior) of held-out posteriors in nats, before and after."""

    before: float
    after: float


def fit_prior(
    prior: AggregatePrior,
    means: np.ndarray,
    deviations: np.ndarray,
    steps: int = 3_000,
    rate: float = 1e-3,
    seed: int = 0,
) -> Fit | None:
    """Moves a prior to where posteriors are; never to a worse place for those held out.

    Args:
        prior: its moments become those of the posteriors, if it has running ones, and its flow, if
            it has one, goes on learning from draws.
        means: of diagonal Gaussians, `[N, D]`.
        deviations: of the same, `[N, D]`, positive.
        steps: updates of the flow by Adam, with a cosine decay.
        rate: the first learning rate.
        seed: of the draws.

    Returns:
        `None`, and nothing is changed, where the prior is fixed or there are fewer than 10
        posteriors.

    Example:
        >>> fit_prior(model.content_prior, means, deviations)
        Fit(before=15.1, after=10.4)
    """
    follows = prior.momentum is not None
    if len(means) < LEAST or not (follows or prior.flow is not None):
        return None
    held_out = np.arange(len(means)) % JUDGED == 0
    judged = _gaussians(means[held_out], deviations[held_out])
    means, deviations = means[~held_out], deviations[~held_out]
    # A copy learns: under several replicas the prior's own variables are theirs.
    copy = AggregatePrior.from_config(prior.get_config())
    copy.set_weights(prior.get_weights())
    draw = judged.sample(seed=(seed, 1))
    before = best = _divergence(copy, judged, draw)
    if follows:
        covariance = np.cov(means.T, bias=True).reshape(2 * means.shape[1:])
        copy.set_moments(means.mean(axis=0), covariance + np.diag((deviations**2).mean(axis=0)))
        best = _keep_better(prior, copy, best, _divergence(copy, judged, draw))
    if prior.flow is not None and steps:
        learn = _learner(copy, means, deviations, steps, rate, seed)
        for turn in range(TURNS):
            learn(steps * (turn + 1) // TURNS - steps * turn // TURNS)
            best = _keep_better(prior, copy, best, _divergence(copy, judged, draw))
    return Fit(before, best)


def _gaussians(means, deviations):
    return tfp.distributions.MultivariateNormalDiag(
        tf.cast(means, tf.float32), tf.cast(deviations, tf.float32)
    )


def _divergence(prior: AggregatePrior, posterior, draw: tf.Tensor) -> float:
    return float(tf.reduce_mean(prior.divergence(posterior, draw)))


def _keep_better(prior: AggregatePrior, copy: AggregatePrior, best: float, now: float) -> float:
    """Gives the prior the copy's weights where they are better; the best divergence so far."""
    if not now < best:
        return best
    prior.set_weights(copy.get_weights())
    return now


def _learner(prior: AggregatePrior, means, deviations, steps: int, rate: float, seed: int):
    """A function that makes so many updates of the flow in one call."""
    variables = prior.trainable_variables
    optimizer = keras.optimizers.Adam(WarmupCosine(rate, min(100, steps), steps))
    optimizer.build(variables)
    # Tensors that the function takes: a constant in a graph is limited to 2 GB, and compiled in.
    rows = tf.cast(means, tf.float32), tf.cast(deviations, tf.float32)

    @tf.function
    def updates(count, means, deviations):
        for _ in tf.range(count):
            keys = tf.stack([tf.cast(seed, tf.int32), tf.cast(optimizer.iterations, tf.int32)])
            chosen = tf.random.stateless_uniform(
                [BATCH], keys, maxval=tf.shape(means)[0], dtype=tf.int32
            )
            posterior = _gaussians(tf.gather(means, chosen), tf.gather(deviations, chosen))
            noise = tf.random.stateless_normal([BATCH, prior.latent_dim], keys + [0, 2**20])
            draw = posterior.mean() + posterior.stddev() * noise
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(prior.divergence(posterior, draw))
            optimizer.apply(tape.gradient(loss, variables), variables)

    return lambda count: updates(tf.constant(count), *rows)


EVALUATION_SEED = 0x5EED
FITTED_VIDEOS = 20_000


class Posterior(NamedTuple):
    """What `VariationalModel.posterior_codes` returns.

    Args:
        codes: a frame's latent each, `[B, T, D]`.
        kl: the KL terms by name, and what else the schedule weighs, in nats, each `[B]`.
        statistics: of the batch for `update_running_statistics`, means over its videos; tensors, or dicts of them.
        still: the latent of one frame that stands for the clip, `[B, D]`, or `None`.
    """

    codes: tf.Tensor
    kl: dict[str, tf.Tensor]
    statistics: dict[str, Any]
    still: tf.Tensor | None = None


class VariationalModel(Trainer):
    """A model trained by the evidence lower bound.

    A subclass defines `posterior_codes` and has a `decoder`; its constructor calls `set_schedule`,
    makes the networks and calls `build_networks`.

    Attributes:
        decoded_frames: how many frames of a clip, chosen at random at each step, are decoded in
            training; the loss counts them for all, which keeps its expectation. `None` for all.
        summary_weight: of the energy of the frame that stands for the clip, if there is one.
    """

    decoded_frames: int | None = None
    summary_weight: float = 0.0

    def set_schedule(
        self,
        schedule: Mapping[str, Any] | None,
        kl_names: Sequence[str],
        further: Sequence[str] = (),
    ) -> None:
        """How the loss moves in training.

        Args:
            schedule: `observation_scale` and every one of `kl_names` and `further`, each a pair
                (start, end), and `steps`. Names left out stand for (1, 1), those of `further` for
                (0, 0), and 0 steps: the plain bound.
            kl_names: the KL terms that `infer` returns.
            further: terms that are no part of the bound; `schedules` tells whether one is asked
                for.

        Raises:
            ValueError: a name is unknown, a scale not positive or a weight negative.
        """
        known = ("observation_scale", *kl_names, *further, "steps")
        schedule = dict(schedule or {})
        for name, value in schedule.items():
            if name not in known:
                raise ValueError(f"The schedule has no {name!r}: {nearest_names(name, known)}.")
            if name == "steps" and not isinstance(value, numbers.Real):
                raise ValueError(f"schedule.steps={value!r} must be a number of iterations.")
            if name != "steps" and not is_pair(value):
                raise ValueError(f"schedule.{name}={value!r} must be a pair: [start, end].")
        steps = schedule.setdefault("steps", 0)
        for name in known[:-1]:
            plain = (0.0, 0.0) if name in further else (1.0, 1.0)
            schedule[name] = tuple(float(v) for v in schedule.get(name, plain))
            if min(schedule[name]) < 0:
                raise ValueError(f"schedule.{name}={schedule[name]} must not be negative.")
        self.schedule = schedule
        self._observation_scale = Ramp(*schedule["observation_scale"], steps, geometric=True)
        self._term_weights = {
            name: Ramp(*schedule[name], steps, geometric=min(schedule[name]) > 0)
            for name in (*kl_names, *further)
        }

    def schedules(self, name: str) -> bool:
        """Whether a term has a weight at some time."""
        return max(self.schedule[name]) > 0.0

    def set_decoding(self, decoded_frames: int | None, summary_weight: float = 0.0) -> None:
        """Which frames the loss decodes; see the attributes.

        Raises:
            ValueError: `decoded_frames` is less than 1, or `summary_weight` negative.
        """
        if not isinstance(summary_weight, int | float) or summary_weight < 0:
            raise ValueError(f"summary_weight={summary_weight!r} must be 0 or more.")
        self.decoded_frames = checked_count(decoded_frames)
        self.summary_weight = float(summary_weight)
        if summary_weight:
            self.add_term("summary_reconstruction_loss")

    def build_networks(self) -> None:
        """Makes the variables of every layer, by one symbolic pass over a video."""
        self(keras.KerasTensor([1, self.frames, *self.image_shape]))

    def posterior_codes(
        self, video: tf.Tensor, noise: dict | None, training: bool = False
    ) -> Posterior:
        """Encodes.

        Args:
            video: `[B, T, H, W, C]` float32 in [-1, 1].
            noise: of the posterior, as `noise_shapes` names it; `None` for posterior means.
            training: as in Keras.
        """
        raise NotImplementedError

    def aggregated(self, video: tf.Tensor) -> dict[str, Any]:
        """The posteriors that an `AggregatePrior` is for, by the attribute that holds it.

        Args:
            video: `[B, T, H, W, C]` float32 in [-1, 1].

        Returns:
            Diagonal Gaussians with batch shape `[B]`; by default none.
        """
        return {}

    def fit_priors(self, batches: Iterable, steps: int = 3_000, seed: int = 0) -> dict[str, Fit]:
        """Moves the priors that follow the posteriors to where they are, the networks at rest.

        For the end of training; `apps/train.py` does so by `training.prior_steps`. Averaged
        weights are to be in place by then, as `fit` leaves them.

        Args:
            batches: of training videos as `fit` takes them, a finite number; up to 20,000 videos
                are used.
            steps: updates of the flow of each prior.
            seed: of their draws.

        Returns:
            By prior the mean divergence of held-out posteriors from it, before and after; without
            those that are fixed.

        Example:
            >>> model.fit(batches.repeat(), steps_per_epoch=5000)
            >>> model.fit_priors(batches)
            {'content_prior': Fit(before=15.1, after=10.4)}
        """
        encode = tf.function(lambda video: _moments_of(self.aggregated(video)))
        rows: dict[str, list] = {}
        seen = 0
        for batch in batches:
            video = self.video_of(tf.nest.map_structure(tf.convert_to_tensor, batch))
            for name, moments in encode(video).items():
                rows.setdefault(name, []).append([value.numpy() for value in moments])
            seen += video.shape[0]
            if seen >= FITTED_VIDEOS or not rows:
                break
        fits = {}
        for name, parts in rows.items():
            means, deviations = (np.concatenate(values) for values in zip(*parts, strict=True))
            fit = fit_prior(getattr(self, name), means, deviations, steps, seed=seed)
            if fit is not None:
                fits[name] = fit
        return fits

    def infer(self, video: tf.Tensor, noise: dict | None, training: bool = False):
        """Encodes and decodes: the reconstruction, of the video's shape, and the KL terms."""
        posterior = self.posterior_codes(video, noise, training=training)
        return over_frames(self.decoder, posterior.codes, training=training), posterior.kl

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Those of `noise_shapes`, and what chooses the frames to decode."""
        return self.noise_shapes(frames) | choice_shapes(self.decoded_frames, frames)

    def call(self, video: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The reconstruction from posterior means, `[B, T, H, W, C]`, of a batch as `fit` takes it.

        Args:
            video: `[B, T, H, W, C]`, uint8 or float in [-1, 1], or a dict with one as `"video"`.
            training: as in Keras.
        """
        return self.infer(self.video_of(video), None, training=training)[0]

    def terms(self, video, noise, step, training: bool) -> tuple[dict, dict]:
        """Every loss term of a batch, each `[B]`, their weighted sum as `"loss"`; statistics.

        Args:
            video: `[B, T, H, W, C]` float32 in [-1, 1].
            noise: of the posterior, or `None`.
            step: float32 scalar, where the schedule stands.
            training: as in Keras.
        """
        posterior = self.posterior_codes(video, noise, training=training)
        codes, share = posterior.codes, 1.0
        if noise is not None and DECODED in noise:
            share = video.shape[1] / self.decoded_frames
            codes, video = decoded_part(noise, self.decoded_frames, codes, video)
        with_still = self.summary_weight > 0 and posterior.still is not None
        if with_still:
            codes = tf.concat([codes, posterior.still[:, None]], axis=1)  # [B, K + 1, D]
        decoded = over_frames(self.decoder, codes, training=training)
        reconstruction = decoded[:, : video.shape[1]]

        scale = self._observation_scale(step)
        terms = {
            "reconstruction_loss": share
            * losses.gaussian_reconstruction_loss(video, reconstruction, scale)
        }  # [B]
        weighted = [terms["reconstruction_loss"]]
        if with_still:
            terms["summary_reconstruction_loss"] = share * losses.gaussian_reconstruction_loss(
                video, decoded[:, -1:], scale
            )
            weighted.append(self.summary_weight * terms["summary_reconstruction_loss"])
        for name, value in posterior.kl.items():
            terms[name] = value
            weighted.append(self._term_weights[name](step) * value)
        loss = {"loss": tf.add_n(weighted)}
        psnr = {"psnr": losses.psnr(video, reconstruction)}
        return {**loss, **terms, **psnr}, posterior.statistics

    def compute_gradients(self, video, noise, step):
        with tf.GradientTape() as tape:
            terms, statistics = self.terms(video, noise, step, training=True)
            # In units of the scale the energy keeps its size while the scale moves: Adam's running
            # averages do not see the schedule.
            unit = tf.square(self._observation_scale(step))
            loss = self.scaled(unit * tf.reduce_mean(terms["loss"]))
        means = {name: tf.reduce_mean(value) for name, value in terms.items()}
        return means, tape.gradient(loss, self.trainable_variables), statistics

    def test_step(self, data) -> dict:
        """The loss that training ends at, and the PSNR of posterior means.

        The KL terms are those of posterior samples: at the means, teacher forcing would leave out
        how far a sample of one step moves the prior of the next. The noise is the same each time.
        """
        video = self.video_of(data)
        key = replica_key(EVALUATION_SEED, tf.constant(0))
        noise = draw_noise(self.noise_shapes(video.shape[1]), tf.shape(video)[0], key)
        terms, _ = self.terms(video, noise, tf.constant(float("inf")), training=False)
        terms["psnr"] = losses.psnr(video, self(video, training=False))
        return self.tracked({name: tf.reduce_mean(value) for name, value in terms.items()})


def _moments_of(posteriors: Mapping[str, Any]) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    return {name: (each.mean(), each.stddev()) for name, each in posteriors.items()}
