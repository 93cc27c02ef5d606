"""The bound must score the prior of z_t given the posterior samples z_<t.

The case with a closed form: a prior z_t ~ N(a z_(t-1), s^2) with z_0 = 0 and independent
posteriors N(m_t, v_t), with m_0 = v_0 = 0. Then

    KL = sum_t log(s / sqrt(v_t)) + (v_t + (m_t - a m_(t-1))^2 + a^2 v_(t-1)) / (2 s^2) - 1/2.

Both go through the models' own `infer`; only the prior's step and the posterior head are replaced.
"""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from kerasvid import distributions
from kerasvid.models.dsa import DSA
from kerasvid.models.rjvae import RJVAE

FRAMES, DIM = 4, 3
A, S = 0.9, 0.5
GENERATOR = np.random.default_rng(0)
# Means that change sign from frame to frame, which no prior of positive `a` foretells.
M = GENERATOR.uniform(0.5, 1.0, [FRAMES, DIM]) * np.array([1.0, -1.0, 1.0, -1.0])[:, None]
V = GENERATOR.uniform(0.2, 0.6, [FRAMES, DIM])

# The size of a frame does not matter here: the smallest that the networks take.
SMALL = {"image_shape": (8, 8, 1), "frames": FRAMES}
CASES = {
    "rjvae": (RJVAE, {"latent_dim": DIM}, "residual_head", "residual", "kl_residual"),
    "dsa": (DSA, {"motion_dim": DIM}, "motion_head", "motion", "kl_motion"),
    "dsa-full": (
        DSA,
        {"motion_dim": DIM, "posterior": "full"},
        "motion_head",
        "motion",
        "kl_motion",
    ),
}


def teacher_forced_kl() -> float:
    """The closed form, in float64."""
    total, mean, variance = 0.0, np.zeros(DIM), np.zeros(DIM)
    for m, v in zip(M, V, strict=True):
        expected = v + (m - A * mean) ** 2 + A**2 * variance
        total += np.sum(np.log(S / np.sqrt(v)) + expected / (2 * S**2) - 0.5)
        mean, variance = m, v
    return total


def rollout_kl() -> float:
    """What scoring an independent rollout of the prior gives: its z_(t-1) has mean 0."""
    total, variance = 0.0, 0.0
    for m, v in zip(M, V, strict=True):
        expected = v + m**2 + A**2 * variance
        total += np.sum(np.log(S / np.sqrt(v)) + expected / (2 * S**2) - 0.5)
        variance = A**2 * variance + S**2
    return total


@pytest.fixture(params=CASES, scope="module")
def case(request):
    """A model with the linear prior and the given posteriors, and the names of its noise and KL."""
    model_class, sizes, head, noise_name, kl_name = CASES[request.param]
    model = model_class.from_preset("debug", **SMALL, **sizes)
    # The inverse of `diagonal_normal`: softplus(raw + log(e - 1)) + floor = S.
    raw = np.log(np.expm1(S - distributions.SCALE_FLOOR)) - np.log(np.expm1(1.0))

    def linear_step(previous, states, condition=None):
        return tf.concat([A * previous, tf.fill(tf.shape(previous), np.float32(raw))], -1), states

    def given_posterior(features):
        rows = tf.ones([tf.shape(features)[0], 1, 1])
        mean, deviation = tf.constant(M, tf.float32), tf.constant(np.sqrt(V), tf.float32)
        return tfd.Independent(tfd.Normal(rows * mean, rows * deviation), 1)

    model.prior.step = linear_step
    getattr(model, head).posterior = given_posterior
    return model, noise_name, kl_name


def kl_of(case, noise) -> np.ndarray:
    """The KL term of each row, with this posterior noise `[B, T, D]`."""
    model, noise_name, kl_name = case
    noises = {name: tf.zeros([len(noise), *s]) for name, s in model.noise_shapes(FRAMES).items()}
    noises[noise_name] = tf.constant(noise, tf.float32)
    video = tf.zeros([len(noise), FRAMES, *model.image_shape])
    terms, _ = model.compute_losses({"video": video}, noises, tf.constant(0.0), training=False)
    return terms[kl_name].numpy()


def test_two_sigma_points_give_the_closed_form(case):
    # Each summand is a quadratic in one z_(t-1): its mean over +1 and -1 deviation is exact.
    points = np.stack([np.ones([FRAMES, DIM]), -np.ones([FRAMES, DIM])])
    assert kl_of(case, points).mean() == pytest.approx(teacher_forced_kl(), rel=0, abs=1e-4)


def test_the_mean_over_posterior_samples_is_the_closed_form(case):
    noise = np.random.default_rng(1).normal(size=[20_000, FRAMES, DIM])
    kl = kl_of(case, noise)
    error = kl.std() / np.sqrt(len(kl))
    assert abs(kl.mean() - teacher_forced_kl()) < 4 * error
    assert error < 0.005 * teacher_forced_kl()


def test_scoring_an_independent_rollout_would_be_noticed(case, monkeypatch):
    model, _, _ = case
    forced = model.prior.teacher_forced
    independent = np.random.default_rng(2).normal(size=[20_000, FRAMES, DIM]).astype("float32")

    def scored_on_a_rollout(latents, condition=None):
        return forced(model.prior.rollout(independent, condition), condition)

    monkeypatch.setattr(model.prior, "teacher_forced", scored_on_a_rollout)
    kl = kl_of(case, np.random.default_rng(1).normal(size=independent.shape))
    error = kl.std() / np.sqrt(len(kl))
    assert abs(kl.mean() - rollout_kl()) < 4 * error
    assert rollout_kl() < 0.8 * teacher_forced_kl()
