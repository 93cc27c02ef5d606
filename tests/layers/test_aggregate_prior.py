import numpy as np
import pytest
import tensorflow as tf

from kerasvid import distributions
from kerasvid.layers.aggregate_prior import AggregatePrior


def posterior(rows=64, dim=3, seed=0):
    """Off-centre, correlated posterior means, and what they are."""
    generator = np.random.default_rng(seed)
    means = generator.normal(size=[rows, dim]) @ generator.normal(size=[dim, dim]) + 2.0
    raw = generator.uniform(-1.0, 1.0, [rows, dim])
    return distributions.diagonal_normal(tf.constant(np.concatenate([means, raw], -1), tf.float32))


def followed(q, steps=300):
    prior = AggregatePrior(3, momentum=0.9)
    for _ in range(steps):
        prior.update_moments(prior.moments(q))
    return prior


def test_the_fixed_prior_is_an_isotropic_gaussian():
    prior, q = AggregatePrior(3, scale=2.0), posterior()
    noise = tf.constant(np.random.default_rng(1).normal(size=[5, 3]), tf.float32)
    np.testing.assert_array_equal(prior.sample(noise), 2.0 * noise)
    mean, deviation = q.mean().numpy(), q.stddev().numpy()
    expected = np.log(2.0 / deviation) + (deviation**2 + mean**2) / 8.0 - 0.5
    np.testing.assert_allclose(prior.divergence(q), expected.sum(axis=-1), rtol=1e-4)
    assert prior.moments(q) == {}
    assert prior.trainable_variables == []


def test_before_its_first_update_the_other_prior_is_the_fixed_one():
    q = posterior()
    fixed, moving = AggregatePrior(3, 2.0), AggregatePrior(3, 2.0, momentum=0.9)
    np.testing.assert_allclose(moving.divergence(q), fixed.divergence(q), rtol=1e-3)


def test_it_arrives_at_the_moments_of_the_aggregate_posterior():
    q = posterior()
    prior = followed(q)
    means, deviations = q.mean().numpy(), q.stddev().numpy()
    covariance = np.cov(means.T, bias=True) + np.diag((deviations**2).mean(axis=0))
    np.testing.assert_allclose(prior.mean.numpy(), means.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(prior.covariance.numpy(), covariance, rtol=1e-3, atol=1e-3)


def test_samples_have_the_moments_it_arrived_at():
    prior = followed(posterior())
    noise = tf.constant(np.random.default_rng(1).normal(size=[100_000, 3]), tf.float32)
    draws = prior.sample(noise).numpy()
    covariance = prior.covariance.numpy()
    error = 4 * np.sqrt(np.diag(covariance) / len(draws))
    assert (np.abs(draws.mean(axis=0) - prior.mean.numpy()) < error).all()
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.02 * np.abs(covariance).max())


def test_the_divergence_is_the_mean_of_log_ratios_over_draws():
    prior, q = followed(posterior()), posterior(rows=4, seed=3)
    generator = np.random.default_rng(2)
    noise = tf.constant(generator.normal(size=[50_000, 4, 3]), tf.float32)
    draws = distributions.reparameterize(q, noise)
    mean, covariance = prior.mean.numpy(), prior.covariance.numpy().astype("float64")
    off = draws.numpy().astype("float64") - mean
    distance = np.einsum("nbi,ij,nbj->nb", off, np.linalg.inv(covariance), off)
    log_prior = -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1])
    ratios = q.log_prob(draws).numpy() - log_prior
    error = ratios.std(axis=0) / np.sqrt(len(ratios))
    assert (np.abs(ratios.mean(axis=0) - prior.divergence(q).numpy()) < 4 * error + 1e-3).all()


def test_it_arrives_where_the_mean_divergence_is_least():
    q = posterior()
    prior = followed(q)
    least = float(tf.reduce_mean(prior.divergence(q)))
    for change in (1.2, 1 / 1.2):
        other = followed(q)
        other.scale_tril.assign(change * other.scale_tril)
        assert float(tf.reduce_mean(other.divergence(q))) > least
    other = followed(q)
    other.mean.assign_add([0.3, 0.0, 0.0])
    assert float(tf.reduce_mean(other.divergence(q))) > least


def test_moments_of_halves_average_to_those_of_the_whole():
    q, prior = posterior(), AggregatePrior(3, momentum=0.9)
    whole = prior.moments(q)
    halves = [
        prior.moments(distributions.diagonal_normal(part))
        for part in tf.split(raw_parameters(q), 2, axis=0)
    ]
    for name, value in whole.items():
        np.testing.assert_allclose((halves[0][name] + halves[1][name]) / 2, value, atol=1e-4)


def raw_parameters(q):
    """The network output behind a `diagonal_normal`."""
    raw = tf.math.log(tf.math.expm1(q.stddev() - distributions.SCALE_FLOOR))
    return tf.concat([q.mean(), raw - np.log(np.e - 1.0)], axis=-1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"scale": 0.0}, "must be positive"), ({"momentum": 1.0}, "between 0 and 1")],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AggregatePrior(3, **arguments)


def test_the_configuration_round_trips():
    prior = AggregatePrior(3, 2.0, 0.9)
    assert AggregatePrior.from_config(prior.get_config()).get_config() == prior.get_config()


def test_moments_that_are_not_finite_are_left_out():
    prior = followed(posterior())
    before = [weight.numpy() for weight in prior.weights]
    moments = prior.moments(posterior())
    prior.update_moments({**moments, "covariance": moments["covariance"] * np.nan})
    for weight, value in zip(prior.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def with_flow(seed: int = 4) -> AggregatePrior:
    """A prior whose flow is far from the identity."""
    prior = AggregatePrior(4, momentum=0.9, couplings=3, units=8)
    for index, head in enumerate(prior.flow.heads):
        noise = tf.random.stateless_normal(head.kernel.shape, [seed, index])
        head.kernel.assign(0.3 * noise)
    return prior


def repeated_posterior(rows: int):
    """One posterior many times over, and a draw from each."""
    parameters = tf.repeat(tf.random.stateless_normal([1, 8], [7, 7]), rows, axis=0)
    q = distributions.diagonal_normal(parameters)
    noise = tf.random.stateless_normal([rows, 4], [8, 8])
    return q, distributions.reparameterize(q, noise)


def test_the_divergence_with_a_flow_is_the_mean_of_log_ratios():
    prior = with_flow()
    q, draws = repeated_posterior(rows=20_000)
    white, log_determinant = prior.flow.inverse(draws)
    standard = -0.5 * np.sum(white.numpy() ** 2, axis=-1) - 2.0 * np.log(2.0 * np.pi)
    ratios = q.log_prob(draws).numpy() - (standard + log_determinant.numpy())
    estimates = prior.divergence(q, draws).numpy()
    error = (ratios.std() + estimates.std()) / np.sqrt(len(ratios))
    assert abs(estimates.mean() - ratios.mean()) < 4 * error


def test_an_untrained_flow_changes_no_divergence():
    q, draws = repeated_posterior(rows=20_000)
    plain, shaped = AggregatePrior(4), AggregatePrior(4, couplings=2, units=8)
    estimates = shaped.divergence(q, draws).numpy()
    error = 4 * estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - plain.divergence(q).numpy()[0]) < error


def test_samples_are_the_image_of_the_noise_under_the_inverse_map():
    prior = with_flow()
    prior.update_moments(
        prior.moments(distributions.diagonal_normal(tf.random.normal([32, 8], seed=3)))
    )
    noise = tf.random.stateless_normal([5, 4], [2, 2])
    centred = (prior.sample(noise) - prior.mean).numpy()
    white = np.linalg.solve(prior.scale_tril.numpy(), centred.T).T
    back, _ = prior.flow.inverse(tf.constant(white, tf.float32))
    np.testing.assert_allclose(back, noise, atol=1e-4)


# === A prior by class ===


def by_class(**arguments) -> AggregatePrior:
    """A prior of 3 classes with other means than 0, and a flow far from the identity if any."""
    prior = AggregatePrior(4, categories=3, **arguments)
    prior.class_means.assign(tf.random.stateless_normal([3, 4], [5, 5]))
    for index, head in enumerate(prior.flow.heads if prior.flow else ()):
        head.kernel.assign(0.3 * tf.random.stateless_normal(head.kernel.shape, [4, index]))
    return prior


CLASSES = tf.one_hot([0, 2, 2, -1], 3)  # the last is unknown


def test_the_divergence_from_a_fixed_prior_by_class_is_that_of_a_shifted_gaussian():
    prior, q = by_class(scale=2.0), posterior(rows=4, dim=4)
    means = np.concatenate([prior.class_means.numpy()[[0, 2, 2]], np.zeros([1, 4])])
    mean, deviation = q.mean().numpy() - means, q.stddev().numpy()
    expected = np.log(2.0 / deviation) + (deviation**2 + mean**2) / 8.0 - 0.5
    found = prior.divergence(q, category=CLASSES)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-4)
    noise = tf.random.stateless_normal([4, 4], [1, 1])
    np.testing.assert_allclose(prior.sample(noise, CLASSES), 2.0 * noise + means, rtol=1e-5)


def test_the_divergence_trains_the_means_of_the_classes_that_are_seen():
    prior, q = by_class(), posterior(rows=4, dim=4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(prior.divergence(q, category=CLASSES))
    gradient = tape.gradient(loss, prior.class_means.value)
    means = q.mean().numpy()
    apart = prior.class_means.numpy()[[0, 2, 2]] - means[:3]
    expected = np.stack([apart[0], np.zeros(4), apart[1] + apart[2]])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_running_moments_are_of_what_the_class_means_leave():
    prior, q = by_class(momentum=0.9), posterior(rows=4, dim=4)
    for _ in range(300):
        prior.update_moments(prior.moments(q, CLASSES))
    centred = q.mean().numpy()
    centred[:3] -= prior.class_means.numpy()[[0, 2, 2]]
    np.testing.assert_allclose(prior.mean, centred.mean(axis=0), rtol=1e-3, atol=1e-4)
    noise = tf.random.stateless_normal([4, 4], [1, 1])
    alike = prior.sample(noise, tf.zeros([4, 3])) + prior.shift(CLASSES)
    np.testing.assert_allclose(prior.sample(noise, CLASSES), alike, rtol=1e-5)


def test_a_flow_by_class_has_the_density_of_its_samples():
    prior = by_class(momentum=0.9, couplings=3, units=8)
    prior.update_moments(
        prior.moments(distributions.diagonal_normal(tf.random.normal([4, 8], seed=3)), CLASSES)
    )
    noise = tf.random.stateless_normal([4, 4], [2, 2])
    with tf.GradientTape() as tape:
        tape.watch(noise)
        samples = prior.sample(noise, CLASSES)
    jacobian = tape.batch_jacobian(samples, noise).numpy()
    log_density = -0.5 * np.sum(noise.numpy() ** 2, axis=-1) - 2.0 * np.log(2.0 * np.pi)
    log_density -= np.log(np.abs(np.linalg.det(jacobian)))  # change of variables

    # A posterior that is narrow enough is at its draw: KL = -entropy - log p(draw).
    raw = tf.fill([4, 4], -20.0)
    q = distributions.diagonal_normal(tf.concat([samples, raw], axis=-1))
    entropy = q.entropy().numpy()
    found = prior.divergence(q, samples, CLASSES).numpy()
    np.testing.assert_allclose(found, -entropy - log_density, rtol=1e-4, atol=1e-3)
    other = prior.divergence(
        q, samples, tf.roll(CLASSES, 1, axis=1) + tf.one_hot([-1, -1, -1, 0], 3)
    ).numpy()
    assert (np.abs(other - found) > 1e-3).all()


def test_a_flow_bends_by_class():
    prior = by_class(couplings=3, units=8)
    noise = tf.repeat(tf.random.stateless_normal([1, 4], [2, 2]), 4, axis=0)
    centred = prior.sample(noise, CLASSES) - prior.shift(CLASSES)
    assert np.abs(centred[0] - centred[1]).max() > 1e-3  # not the shift alone
    np.testing.assert_allclose(centred[1], centred[2], rtol=1e-5, atol=1e-6)


def test_without_classes_a_prior_has_the_weights_that_it_had():
    shapes = [tuple(w.shape) for w in AggregatePrior(4, momentum=0.9, couplings=1, units=8).weights]
    flow = [(2, 8), (8,), (8, 8), (8,), (8, 4), (4,)]
    assert sorted(shapes) == sorted([(4,), (4, 4), (4, 4), *flow])
    more = [w.path.rpartition("/")[2] for w in by_class().weights]
    assert sorted(more) == ["class_means", "covariance", "mean", "scale_tril"]
    assert [w.path.rpartition("/")[2] for w in by_class().trainable_weights] == ["class_means"]
    restored = AggregatePrior.from_config(by_class(couplings=2).get_config())
    assert restored.categories == 3 and restored.flow.condition_dim == 3
