"""After training a prior is moved to where the posteriors are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.models.base import vae
from kerasvid.models.base.vae import fit_aggregate_prior
from kerasvid.models.dsa import DSA
from kerasvid.models.rjvae import RJVAE


def clustered(rows=400, seed=0, deviation=0.1):
    """Means in four clusters on a ring, far from the origin, and deviations."""
    random = np.random.RandomState(seed)
    corner = random.choice([-2.0, 2.0], (rows, 2))
    means = corner + 0.05 * random.normal(size=(rows, 2)) + [5.0, -3.0]
    return means.astype("float32"), np.full((rows, 2), deviation, "float32")


def test_moments_become_those_of_the_posteriors_held_out_ones_aside():
    means, deviations = clustered()
    prior = AggregatePrior(2, momentum=0.99)
    fit = fit_aggregate_prior(prior, means, deviations)
    learned = np.arange(400) % 10 != 0
    rows = means[learned].astype("float64")
    covariance = np.cov(rows.T, bias=True) + 0.01 * np.eye(2)
    np.testing.assert_allclose(prior.mean, rows.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(prior.covariance, covariance, rtol=1e-4, atol=1e-5)
    tril = np.linalg.cholesky(covariance + 1e-5 * np.eye(2))
    np.testing.assert_allclose(prior.scale_tril, tril, rtol=1e-4, atol=1e-5)

    # KL of diagonal Gaussians to N(mean, covariance), in closed form.
    offset = means[~learned].astype("float64") - rows.mean(axis=0)
    inverse = np.linalg.inv(covariance)
    mahalanobis = np.einsum("nd,de,ne->n", offset, inverse, offset).mean()
    expected = 0.5 * (0.01 * np.trace(inverse) + mahalanobis - 2)
    expected += 0.5 * np.log(np.linalg.det(covariance)) - 2 * np.log(0.1)
    np.testing.assert_allclose(fit.after, expected, rtol=1e-3)
    assert fit.before > fit.after + 10.0


def share_inside(prior):
    """How many draws lie in one of the clusters."""
    noise = np.random.RandomState(1).normal(size=(500, 2)).astype("float32")
    draws = prior.sample(noise).numpy() - [5.0, -3.0]
    return np.mean(np.all(np.abs(np.abs(draws) - 2.0) < 0.5, axis=1))


def test_a_flow_learns_the_clusters_that_moments_do_not_know():
    keras.utils.set_random_seed(0)
    means, deviations = clustered(deviation=0.4)  # the clusters are wide by their draws alone
    gaussian = AggregatePrior(2, momentum=0.99)
    flow = AggregatePrior(2, momentum=0.99, couplings=4, units=32)
    least, fit = (
        fit_aggregate_prior(prior, means, deviations, steps=600, rate=1e-2)
        for prior in (gaussian, flow)
    )
    # Two bits tell a cluster: no density needs less.
    assert np.log(4.0) - 0.1 < fit.after < least.after - 0.7
    assert share_inside(flow) > 1.3 * share_inside(gaussian)


def test_a_fit_that_would_be_worse_leaves_the_prior_as_it_was():
    means, deviations = clustered()
    prior = AggregatePrior(2, momentum=0.99, couplings=2, units=8)
    fit_aggregate_prior(prior, means, deviations, steps=100)
    before = [weight.copy() for weight in prior.get_weights()]
    fit = fit_aggregate_prior(prior, means, deviations, steps=10, rate=50.0)
    assert fit.after == fit.before
    for old, new in zip(before, prior.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_fit_is_a_function_of_its_seed():
    means, deviations = clustered()
    whole = AggregatePrior(2, momentum=0.99, couplings=2, units=8)
    ends = []
    for seed in (0, 0, 1):
        prior = AggregatePrior.from_config(whole.get_config())
        prior.set_weights(whole.get_weights())
        fit_aggregate_prior(prior, means, deviations, steps=10, seed=seed)
        ends.append(np.concatenate([w.numpy().ravel() for w in prior.trainable_variables]))
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 1e-6


@pytest.mark.parametrize("steps", [3, 10, 25])
def test_a_flow_learns_for_as_many_steps_as_asked(monkeypatch, steps):
    counts = []
    monkeypatch.setattr(vae, "_learner", lambda *arguments: counts.append)
    prior = AggregatePrior(2, momentum=0.99, couplings=2, units=8)
    fit_aggregate_prior(prior, *clustered(), steps=steps)
    assert sum(counts) == steps


@pytest.mark.parametrize(
    ("prior", "rows"), [(AggregatePrior(2), 400), (AggregatePrior(2, momentum=0.9), 9)]
)
def test_a_fixed_prior_or_too_few_posteriors_change_nothing(prior, rows):
    means, deviations = clustered(rows)
    before = prior.get_weights()
    assert fit_aggregate_prior(prior, means, deviations) is None
    for old, new in zip(before, prior.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_prior_by_class_learns_the_mean_of_each_class():
    means, deviations = clustered()
    labels = (means[:, 0] > 5.0).astype("int64")
    unknown = np.where(np.arange(400) % 7 == 3, -1, labels)
    prior, one = AggregatePrior(2, momentum=0.99, categories=2), AggregatePrior(2, momentum=0.99)
    fit = fit_aggregate_prior(prior, means, deviations, unknown)
    known = unknown >= 0
    own, classes = means[known], labels[known]
    learned = np.arange(len(own)) % 10 != 0
    rows = [own[learned & (classes == label)].mean(axis=0) for label in (0, 1)]
    expected = rows - own[learned].mean(axis=0)
    np.testing.assert_allclose(prior.class_means, expected, rtol=1e-4)
    assert fit.after < fit_aggregate_prior(one, means, deviations).after - 0.5


def test_a_prior_by_class_stays_as_it_is_without_labels():
    prior = AggregatePrior(2, momentum=0.99, categories=2)
    prior.class_means.assign([[3.0, 0.0], [-3.0, 0.0]])
    before = prior.get_weights()
    assert fit_aggregate_prior(prior, *clustered()) is None
    for old, new in zip(before, prior.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_class_without_rows_keeps_its_mean():
    means, deviations = clustered()
    prior = AggregatePrior(2, momentum=0.99, categories=3)
    prior.class_means.assign([[0.0, 0.0], [0.0, 0.0], [7.0, 5.0]])
    labels = (means[:, 0] > 5.0).astype("int64")
    fit_aggregate_prior(prior, means, deviations, labels)
    np.testing.assert_allclose(prior.mean + prior.class_means[2], [7.0, 5.0], atol=1e-4)


def test_a_flow_by_class_puts_samples_where_the_class_is():
    keras.utils.set_random_seed(0)
    means, deviations = clustered(deviation=0.4)
    # Two classes of the same mean: the corners of one diagonal and those of the other.
    labels = ((means[:, 0] > 5.0) == (means[:, 1] > -3.0)).astype("int64")
    prior = AggregatePrior(2, momentum=0.99, couplings=4, units=32, categories=2)
    fit_aggregate_prior(prior, means, deviations, labels, steps=600, rate=1e-2)
    noise = np.random.RandomState(1).normal(size=(500, 2)).astype("float32")
    for label in (0, 1):
        draws = prior.sample(noise, tf.one_hot([label] * 500, 2)).numpy() - [5.0, -3.0]
        same_sign = (draws[:, 0] > 0) == (draws[:, 1] > 0)
        assert np.mean(same_sign == label) > 0.9


FITTED = {
    DSA: ({"content_prior", "start_prior"}, {"aggregate_start": True}),
    RJVAE: ({"summary_prior"}, {}),
}


@pytest.mark.parametrize("kind", [DSA, pytest.param(RJVAE, marks=pytest.mark.slow)])
def test_a_model_fits_the_priors_that_follow_its_posteriors(kind, moving_squares):
    names, own = FITTED[kind]
    shape = {"image_shape": (16, 16, 3), "frames": 4, "prior_momentum": 0.9}
    model = kind.from_preset("debug", prior_couplings=2, **shape, **own)
    videos = moving_squares(24, 4)
    others = [w.numpy() for w in model.decoder.weights + model.encoder.weights]
    fits = model.fit_aggregate_priors([{"video": videos[:12]}, {"video": videos[12:]}], steps=20)
    assert set(fits) == names
    assert all(fit.after < fit.before for fit in fits.values())
    posterior = model.aggregated(as_floats(tf.constant(videos)))[min(names)]
    learned = np.arange(24) % 10 != 0
    means = posterior.mean().numpy()[learned]
    np.testing.assert_allclose(getattr(model, min(names)).mean, means.mean(axis=0), atol=1e-5)
    for old, new in zip(others, model.decoder.weights + model.encoder.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_model_of_fixed_priors_has_nothing_to_fit(moving_squares):
    model = RJVAE.from_preset("debug", image_shape=(16, 16, 3), frames=4)
    assert model.fit_aggregate_priors([moving_squares(24, 4)]) == {}
