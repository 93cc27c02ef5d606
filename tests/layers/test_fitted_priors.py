import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers import fitted_priors
from kerasvid.layers.fitted_priors import PRIORS, Draws, make_prior, mean_distance

CORNERS = np.array([[2.0, 0.0, 0.0], [-1.0, 2.0, 0.0], [-1.0, -2.0, 0.5]])
SMALL = {
    "gaussian": {},
    "mixture": {"clusters": 3},
    "flow": {"couplings": 4, "units": 32},
    "nearest": {"noise_dim": 3, "units": 32, "depth": 2},
    "flow_matching": {"units": 64, "depth": 1, "ode_steps": 8},
}
# The share of samples near a cluster, of which a Gaussian has the least.
NEAR = {"mixture": 0.95, "flow": 0.25, "nearest": 0.2, "flow_matching": 0.7}


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def clustered(generator, rows=600, std=0.05):
    """Codes of three clusters of different size."""
    chosen = generator.choice(3, rows, p=[0.5, 0.3, 0.2])
    return (CORNERS[chosen] + std * generator.normal(size=(rows, 3))).astype("float32")


def drawn(prior, rows=2_000):
    return prior(tf.random.stateless_normal([rows, prior.noise_size], [3, 4])).numpy()


def distances(samples):
    """From samples `[N, 3]` to the three corners."""
    return np.linalg.norm(samples[:, None] - CORNERS, axis=-1)


# === The principal components ===


@pytest.mark.parametrize("count", [40, 5, 2, 1])  # more and fewer than dimensions
def test_a_gaussian_has_the_moments_of_the_codes(generator, count):
    codes = generator.normal(size=(count, 6)) @ generator.normal(size=(6, 6))
    prior = make_prior("gaussian", 6, 6)
    assert prior.fit(codes) is None
    np.testing.assert_allclose(prior.mean, codes.mean(axis=0), atol=1e-5)
    covariance = np.cov(codes.T) if count > 1 else np.zeros((6, 6))
    np.testing.assert_allclose(prior.basis.numpy().T @ prior.basis, covariance, atol=1e-4)
    np.testing.assert_allclose(np.cov(drawn(prior, 20_000).T), covariance, atol=0.6)


@pytest.mark.parametrize(("rows", "size"), [(90, 100), (100, 90)])
def test_few_components_are_the_largest(generator, rows, size):
    codes = generator.normal(size=(rows, size))
    prior = make_prior("gaussian", size, 64)
    prior.fit(codes)
    values, axes = np.linalg.eigh(np.cov(codes.T))
    nearest = (axes[:, -64:] * values[-64:]) @ axes[:, -64:].T  # Eckart and Young
    np.testing.assert_allclose(prior.basis.numpy().T @ prior.basis, nearest, atol=1e-5)


def test_scaled_codes_have_unit_variance_and_go_back(generator):
    codes = generator.normal(size=(50, 4)) * [1.0, 10.0, 0.1, 0.0]
    prior = make_prior("gaussian", 4, 4)
    prior.set_components(codes)
    scaled = prior.scaled(codes)
    np.testing.assert_allclose(scaled.std(axis=0, ddof=1), [1, 1, 1, 0], atol=1e-4)
    again = prior.mean.numpy() + scaled @ prior.basis.numpy()
    np.testing.assert_allclose(again, codes, atol=1e-4)


# === The kinds ===


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_that_was_fitted_draws_what_it_was_fitted_to(kind, generator):
    keras.utils.set_random_seed(0)
    prior = make_prior(kind, 3, 3, **SMALL[kind])
    prior.fit(clustered(generator), steps=600, seed=1)
    near = distances(drawn(prior)).min(axis=1) < 0.5
    if kind == "gaussian":
        assert near.mean() < 0.15
        return
    assert near.mean() > NEAR[kind]
    closest = distances(drawn(prior)[near]).argmin(axis=1)
    shares = np.bincount(closest, minlength=3) / len(closest)
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.2)


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_comes_back_from_its_config_and_weights(kind, generator):
    prior = make_prior(kind, 3, 3, **SMALL[kind])
    prior.fit(clustered(generator, 30), steps=3)
    again = type(prior).from_config(prior.get_config())
    again.set_weights(prior.get_weights())
    np.testing.assert_array_equal(drawn(again, 5), drawn(prior, 5))
    assert prior.get_config().keys() >= SMALL[kind].keys()


@pytest.mark.parametrize("kind", sorted({*PRIORS} - {"gaussian", "mixture"}))
def test_a_fit_is_the_same_for_the_same_seed_alone(kind, generator):
    def fitted(seed):
        prior = make_prior(kind, 3, 3, **SMALL[kind])
        prior.fit(codes, steps=3, seed=seed)
        return drawn(prior, 4)

    codes = clustered(generator, 40)
    first = fitted(1)
    np.testing.assert_array_equal(first, fitted(1))
    assert np.abs(first - fitted(2)).max() > 1e-6


def test_a_mixture_draws_by_the_shares_of_its_gaussians():
    prior = make_prior("mixture", 2, 2, clusters=3)
    centres = np.array([[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    prior.set_gaussians(np.array([0.2, 0.5, 0.3]), centres, np.stack([np.eye(2)] * 3))
    prior.basis.assign(np.eye(2))
    first = drawn(prior, 20_000)[:, 0]
    shares = [np.mean(np.abs(first - centre) < 5.0) for centre in (10.0, 20.0, 30.0)]
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3], atol=0.02)
    inside = first[np.abs(first - 20.0) < 5.0]
    assert inside.std() == pytest.approx(1.0, abs=0.03)


def test_a_mixture_without_scikit_learn_says_what_to_install(monkeypatch, generator):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.mixture", None)
    with pytest.raises(RuntimeError, match=r"needs scikit-learn. Install it with pip install"):
        make_prior("mixture", 3, 3).fit(clustered(generator, 20))


def test_a_mixture_of_few_codes_has_fewer_gaussians(generator):
    prior = make_prior("mixture", 3, 3, clusters=8)
    prior.fit(clustered(generator, 20))
    assert np.count_nonzero(np.any(prior.centres.numpy() != 0, axis=1)) == 3  # 20 // (2 * 3)
    assert np.count_nonzero(prior.thresholds.numpy() < 10) == 2


def test_the_ode_of_a_linear_velocity_is_followed_to_second_order():
    prior = make_prior("flow_matching", 2, 2, ode_steps=32)
    prior.velocity = lambda x, time: x * (1.0 + time)  # x(1) = x(0) exp(1 + 1 / 2)
    noise = tf.constant([[1.0, -2.0]])
    np.testing.assert_allclose(prior.transform(noise), noise * np.exp(1.5), rtol=2e-3)


def test_an_odd_number_of_components_has_noise_of_one_more():
    assert make_prior("flow", 3, 3).noise_size == 4
    assert make_prior("flow", 4, 4).noise_size == 4
    assert make_prior("mixture", 4, 4).noise_size == 5


def test_shortest_pairs_are_those_of_the_assignment(generator):
    first, second = generator.normal(size=(5, 3)), generator.normal(size=(7, 3))
    squares = fitted_priors.squared_distances(first, second)
    by_hand = [[np.sum((a - b) ** 2) for b in second] for a in first]
    np.testing.assert_allclose(squares, by_hand, atol=1e-9)
    np.testing.assert_array_equal(
        fitted_priors.nearest_rows(first, second), np.argmin(by_hand, axis=1)
    )


# === Draws, measures and refusals ===


def test_draws_of_a_video_are_held_out_together(generator, monkeypatch):
    seen = []
    monkeypatch.setattr(
        fitted_priors.MixturePrior, "measured", lambda self, *draws: seen.extend(map(len, draws))
    )
    codes = np.repeat(np.arange(400.0), 4)[:, None] * np.ones(3)  # four draws of each video
    fitted = []
    monkeypatch.setattr(
        fitted_priors.MixturePrior,
        "learn",
        lambda self, draws, steps: fitted.append(draws.rows(len(draws))),
    )
    make_prior("mixture", 3, 3).fit(codes + 0.01 * generator.normal(size=codes.shape), draws=4)
    assert seen == [1440, 160]  # 40 of 400 videos
    assert len(np.unique(np.round(fitted[0][:, 0], 1))) > 30


def test_a_fit_is_measured_by_codes_that_were_held_out(generator):
    codes = clustered(generator, 3_000)
    one, good = (make_prior("mixture", 3, 3, clusters=count) for count in (1, 3))
    assert one.fit(codes).precision_distance > 5.0  # a Gaussian
    assert make_prior("gaussian", 3, 3).fit(codes) is None  # fitted to all, at every sample
    fit = good.fit(codes)
    assert fit.precision_distance == pytest.approx(1.0, abs=0.3)
    assert fit.coverage_distance == pytest.approx(1.0, abs=0.3)
    good.transform = lambda noise: 0.01 * noise[:, :3]  # all samples near the mean
    fitted, held_out = (Draws(good.scaled(each), 0) for each in (codes, codes[:9] + 0.01))
    assert good.measured(fitted, held_out).coverage_distance > 5.0


def test_the_mean_distance_is_that_to_the_nearest_row():
    rows, pool = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 1.0], [5.0, 0.0]])
    assert mean_distance(rows, pool) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((4, 2)), r"shape \(4, 2\) must be \[N, 3\]"),
        (np.zeros((0, 3)), r"shape \(0, 3\) must be"),
        (np.full((4, 3), np.nan), "not finite"),
    ],
)
def test_codes_that_cannot_be_fitted_raise(codes, message):
    with pytest.raises(ValueError, match=message):
        make_prior("gaussian", 3, 3).fit(codes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gausian", 3, 3), r"prior='gausian': did you mean 'gaussian'"),
        (("gaussian", 3, 4), r"components=4 of a prior must be from 1 to 3"),
        (("gaussian", 3, 0), r"components=0"),
    ],
)
def test_a_prior_that_cannot_be_made_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_prior(*arguments)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("mixture", "clusters"),
        ("flow", "couplings"),
        ("nearest", "noise_dim"),
        ("nearest", "depth"),
        ("flow_matching", "ode_steps"),
        ("flow_matching", "units"),
    ],
)
@pytest.mark.parametrize("value", [0, 1.5, True])
def test_numbers_of_a_kind_must_be_whole_and_positive(kind, name, value):
    with pytest.raises(ValueError, match=f"{name}={value} of a prior must be a whole number"):
        make_prior(kind, 3, 3, **{name: value})


def test_a_mixture_of_one_code_is_that_code():
    prior = make_prior("mixture", 3, 1, clusters=2)
    prior.fit([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(drawn(prior, 4), np.tile([1.0, 2.0, 3.0], (4, 1)), atol=1e-6)


def test_a_share_that_vanishes_has_a_finite_threshold():
    prior = make_prior("mixture", 2, 2, clusters=3)
    prior.set_gaussians(np.array([1.0, 1e-320, 0.0]), np.zeros([3, 2]), np.zeros([3, 2, 2]))
    assert np.isfinite(prior.thresholds.numpy()).all()


def test_a_sealed_prior_stays_untrainable():
    prior = make_prior("nearest", 3, 3)
    assert prior.trainable_variables
    prior.seal()
    prior.trainable = True
    assert prior.trainable_variables == []


# === Priors by class ===


def by_corner(generator, rows=600, std=0.05):
    """Codes of three clusters, each a class, and one in ten of an unknown class elsewhere."""
    labels = generator.choice(3, rows, p=[0.5, 0.3, 0.2])
    codes = CORNERS[labels] + std * generator.normal(size=(rows, 3))
    unknown = np.arange(rows) % 10 == 4
    codes[unknown] = [30.0, 30.0, 30.0]
    return codes.astype("float32"), np.where(unknown, -1, labels)


def drawn_of(prior, label, rows=1_000):
    noise = tf.random.stateless_normal([rows, prior.noise_size], [3, 4])
    return prior(noise, tf.one_hot([label] * rows, prior.categories)).numpy()


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_by_class_draws_the_codes_of_the_class(kind, generator):
    keras.utils.set_random_seed(0)
    prior = make_prior(kind, 3, 3, **SMALL[kind], categories=3)
    codes, labels = by_corner(generator)
    small = kind == "nearest"  # a small network is smooth, and slow to bend
    prior.fit(codes, steps=1_500 if small else 600, seed=1, labels=labels)
    for label in range(3):
        near = distances(drawn_of(prior, label))
        assert np.mean(near.argmin(axis=1) == label) > 0.98
        assert np.mean(near[:, label] < 0.5) > (0.75 if small else 0.9)


def test_a_gaussian_by_class_has_the_moments_of_each_class(generator):
    labels = np.arange(300) % 2
    codes = generator.normal(size=(300, 4)) @ generator.normal(size=(4, 4)) + 5.0 * labels[:, None]
    prior = make_prior("gaussian", 4, 4, categories=2)
    assert prior.fit(codes, labels=labels) is None
    for label in (0, 1):
        own, samples = codes[labels == label], drawn_of(prior, label, 50_000)
        np.testing.assert_allclose(samples.mean(axis=0), own.mean(axis=0), atol=0.08)
        np.testing.assert_allclose(np.cov(samples.T), np.cov(own.T), rtol=0.05, atol=0.1)


def test_a_class_of_two_codes_lies_on_the_line_between_them(generator):
    codes = np.concatenate([generator.normal(size=(20, 3)), [[9.0, 0.0, 0.0], [9.0, 2.0, 0.0]]])
    prior = make_prior("gaussian", 3, 3, categories=2)
    prior.fit(codes, labels=np.array([0] * 20 + [1] * 2))
    samples = drawn_of(prior, 1)
    np.testing.assert_allclose(samples[:, [0, 2]], np.tile([9.0, 0.0], [1_000, 1]), atol=1e-3)
    assert samples[:, 1].std() == pytest.approx(2.0**0.5, rel=0.1)


def test_noise_is_paired_with_codes_of_its_class_alone(generator):
    labels = np.array([0, 1, 0, 1, 1])
    first, second = generator.normal(size=(2, 5, 3))
    order = fitted_priors.by_class(labels, fitted_priors.shortest_pairs, first, second)
    np.testing.assert_array_equal(labels[order], labels)
    assert sorted(order) == [0, 1, 2, 3, 4]
    nearest = fitted_priors.by_class(labels, fitted_priors.nearest_rows, first, second)
    for row, found in enumerate(nearest):
        same = np.flatnonzero(labels == labels[row])
        apart = np.linalg.norm(second[same] - first[row], axis=1)
        assert found == same[apart.argmin()]


def test_classes_share_the_gaussians_of_a_mixture(generator):
    prior = make_prior("mixture", 3, 3, clusters=7, categories=3)
    assert prior.own_clusters == 2 and prior.centres.shape == (6, 3)
    assert make_prior("mixture", 3, 3, clusters=2, categories=3).own_clusters == 1
    codes, labels = by_corner(generator)
    prior.fit(codes, labels=labels)
    again = type(prior).from_config(prior.get_config())
    again.set_weights(prior.get_weights())
    np.testing.assert_array_equal(drawn_of(again, 2, 5), drawn_of(prior, 2, 5))


@pytest.mark.parametrize("labels", [None, [0, 0, 1, 1, 2], [0, 0, 1, 1, -1]])
def test_a_class_without_codes_is_refused_in_one_line(labels, generator):
    prior = make_prior("gaussian", 3, 3, categories=3)
    with pytest.raises(ValueError, match=r"codes of class .: a prior by class needs two") as error:
        prior.fit(generator.normal(size=(5, 3)), labels=labels)
    assert "\n" not in str(error.value)


def test_without_classes_a_prior_has_the_weights_that_it_had():
    shapes = {kind: [tuple(w.shape) for w in make_prior(kind, 3, 3).weights] for kind in PRIORS}
    assert shapes["gaussian"] == [(3,), (3, 3)]
    assert shapes["mixture"] == [(3,), (3, 3), (64,), (64, 3), (64, 3, 3)]
    assert shapes["nearest"][2] == (3, 256) and shapes["flow_matching"][2] == (12, 256)
