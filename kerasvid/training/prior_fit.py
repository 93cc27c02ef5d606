"""Fitting priors to the posteriors of the training data, once the networks stand.

While the networks learn, the posteriors move away from a prior that follows them, and a step shows
it few of them. With the networks at rest, a prior of draws sees as many as it likes for next to
nothing (the second stage of Dai, Wipf: "Diagnosing and Enhancing VAE Models", ICLR 2019), and draws
of it fall where the decoder was trained.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.training.recipe import WarmupCosine

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
