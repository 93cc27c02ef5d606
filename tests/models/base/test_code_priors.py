"""Priors that are fitted to the codes of a model after training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.layers.fitted_priors import FlowMatchingPrior, GaussianPrior
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.cvae import CVAE
from kerasvid.models.dsa import DSA
from kerasvid.models.glo import GLO
from kerasvid.models.navsynth import Navsynth
from kerasvid.models.rjvae import RJVAE

SHAPE = {"image_shape": (16, 16, 3), "frames": 4}
GROUPS = {RJVAE: {"video": 40}, DSA: {"content": 8, "motion": 16}, CVAE: {"video": 8}}


def make_model(cls, **overrides):
    keras.utils.set_random_seed(0)
    return cls.from_preset("debug", **SHAPE, **overrides)


@pytest.fixture
def batches(moving_squares):
    videos = moving_squares(24, 4)
    return [{"video": videos[:12]}, {"video": videos[12:]}]


def drawn_codes_of(model, batches):
    """Draws of the codes of all videos by group, one vector each, by the model's own method."""
    found, _ = model._drawn_from_posteriors(batches, seed=3)
    return {
        group: np.concatenate([found[name].reshape(len(found[name]), -1) for name in names], 1)
        for group, names in model.code_groups.items()
    }


# === Variational models ===


def test_draws_of_a_video_are_of_its_joint_posterior(moving_squares):
    model = make_model(RJVAE)
    found, _ = model._drawn_from_posteriors([{"video": moving_squares(2, 4)}], seed=0)
    video = as_floats(tf.constant(moving_squares(2, 4)))
    q_summary = model.posteriors(video, None)[0]
    summary = found["summary"].reshape(2, 4, 8)
    scaled = (summary - q_summary.mean()[:, None]) / q_summary.stddev()[:, None]
    assert 0.5 < np.std(scaled) < 1.5 and np.abs(np.diff(summary, axis=1)).min() > 0
    # The residuals are of the posterior given this summary, not given its mean.
    features = over_frames(model.encoder, tf.repeat(video, 4, axis=0))
    beside = tf.repeat(tf.constant(found["summary"])[:, None], 4, axis=1)
    q_residual = model.residual_head.posterior(tf.concat([features, beside], axis=-1))
    scaled = (found["residual"] - q_residual.mean()) / q_residual.stddev()
    assert np.abs(np.std(scaled) - 1.0) < 0.15 and np.abs(np.mean(scaled)) < 0.15


@pytest.mark.parametrize("cls", GROUPS)
def test_a_gaussian_prior_has_the_moments_of_the_posteriors(cls, batches):
    model = make_model(cls)
    before = [weight.numpy() for weight in model.weights]
    assert model.fit_prior("gaussian", batches, seed=3) == dict.fromkeys(model.code_groups)
    for group, codes in drawn_codes_of(model, batches).items():
        assert codes.shape == (24 * 4, GROUPS[cls][group])
        prior = model.priors[group]
        np.testing.assert_allclose(prior.mean, codes.mean(axis=0), atol=1e-5)
        covariance = np.cov(codes.T)
        np.testing.assert_allclose(prior.basis.numpy().T @ prior.basis, covariance, atol=1e-4)
    for old, now in zip(before, model.weights, strict=False):  # those of the priors come last
        np.testing.assert_array_equal(old, now)


@pytest.mark.parametrize("cls", [RJVAE, DSA])
def test_new_videos_are_drawn_from_the_fitted_prior(cls, batches):
    model = make_model(cls)
    noise = model.sample_noise(3, seed=5)
    of_bound = model.codes(noise).numpy()
    model.fit_prior("gaussian", batches)
    codes = model.codes(model.sample_noise(3, seed=5)).numpy()
    assert np.abs(codes - of_bound).max() > 1e-3
    drawn = model.drawn_codes(noise)
    parts = {}
    for group, names in model.code_groups.items():
        flat = np.concatenate([np.reshape(noise[name], [3, -1]) for name in names], axis=1)
        parts[group] = model.priors[group](tf.constant(flat[:, : model.priors[group].components]))
    for group, names in model.code_groups.items():
        joined = np.concatenate([np.reshape(drawn[name], [3, -1]) for name in names], axis=1)
        np.testing.assert_allclose(joined, parts[group], atol=1e-6)
    if cls is RJVAE:
        expected = drawn["summary"][:, None] + drawn["residual"]
        np.testing.assert_allclose(codes, expected, atol=1e-6)
        image = model.image_of(noise)
        np.testing.assert_allclose(image, model.decode(drawn["summary"][:, None])[:, 0], atol=1e-5)


@pytest.mark.parametrize("cls", [RJVAE, DSA])
def test_shorter_clips_begin_and_longer_ones_go_on_from_the_bound(cls, batches):
    model = make_model(cls)
    model.fit_prior("gaussian", batches)
    clips = [model.generate(2, frames, seed=3) for frames in (2, 4, 6)]
    assert [clip.shape[1] for clip in clips] == [2, 4, 6]
    np.testing.assert_array_equal(clips[0], clips[1][:, :2])
    np.testing.assert_array_equal(clips[1], clips[2][:, :4])


def test_the_clip_between_two_frames_takes_the_fitted_prior(batches):
    model = make_model(CVAE)
    ends = batches[0]["video"][:2, 0], batches[0]["video"][:2, -1]
    before = model.between(*ends, seed=1)
    model.fit_prior("gaussian", batches)
    noise = model.between_noise(2, seed=1)
    z = model.priors["video"](noise["video"])
    model.set_prior(None)
    first, last = (as_floats(tf.constant(each)) for each in ends)
    expected = model.infill(first, last, {"video": z}, 4)
    model.fit_prior("gaussian", batches)
    np.testing.assert_allclose(model.infill(first, last, noise, 4), expected, atol=1e-5)
    assert (model.between(*ends, seed=1) != before).any()


def test_a_mixture_takes_noise_of_its_own_for_each_group(batches):
    model = make_model(DSA)
    model.fit_prior("mixture", batches, clusters=2)
    noise = model.sample_noise(3, seed=2)
    assert noise["further"].shape == (3, 2)
    flat = {name: np.reshape(noise[name], [3, -1]) for name in ("content", "motion")}
    for number, (group, size) in enumerate(GROUPS[DSA].items()):
        own = np.concatenate([flat[group], noise["further"][:, number : number + 1]], axis=1)
        expected = model.priors[group](tf.constant(own))
        drawn = np.reshape(model.drawn_codes(noise)[group], [3, size])
        np.testing.assert_allclose(drawn, expected, atol=1e-5)


def test_only_a_gaussian_prior_can_be_truncated(batches):
    model = make_model(DSA, prior_momentum=0.9, prior_couplings=2)
    refused = r"truncation=0.5 needs a Gaussian prior: .*--prior=gaussian"
    with pytest.raises(ValueError, match=refused):
        model.generate(2, truncation=0.5)  # the flow of the bound's own prior
    model.fit_prior("gaussian", batches)
    means = [model.priors[group].mean for group in ("content", "motion")]
    mean = np.asarray(means[0]), np.reshape(means[1], [4, 4])
    codes = model.codes(model.truncated(model.sample_noise(2), 0.0)).numpy()
    np.testing.assert_allclose(codes[0, :, :8], np.broadcast_to(mean[0], (4, 8)), atol=1e-6)
    np.testing.assert_allclose(codes[0, :, 8:], mean[1], atol=1e-6)
    model.fit_prior("mixture", batches, clusters=2)
    with pytest.raises(ValueError, match=refused):
        model.generate(2, truncation=0.5)
    assert model.generate(2, truncation=1.0).shape == (2, 4, 16, 16, 3)


def test_training_goes_on_as_before_the_fit(batches):
    def trained(fit):
        model = make_model(RJVAE)
        model.compile("adam")
        model.fit(batches[0]["video"], batch_size=4, epochs=1, verbose=0)
        if fit:
            model.fit_prior("nearest", batches, steps=1, units=4)
        model.fit(batches[0]["video"], batch_size=4, epochs=1, verbose=0)
        return [weight.numpy() for weight in model.trainable_weights]

    # Weights of a network of the prior are not among those that the optimizer trains.
    for plain, fitted in zip(trained(False), trained(True), strict=True):
        np.testing.assert_array_equal(plain, fitted)


def test_clips_of_another_length_cannot_be_fitted(moving_squares):
    with pytest.raises(ValueError, match=r"residual codes of shape \(3, 8\).*clips of 4 frames"):
        make_model(RJVAE).fit_prior("gaussian", [{"video": moving_squares(4, 3)}])


def test_predictions_follow_another_prior(batches):
    model = Navsynth.from_preset("debug", image_shape=(16, 16, 3), videos=12)
    model.fit_prior("gaussian")
    noise = model.sample_noise(2, seed=1)
    model.predict(noise, verbose=0)
    model.fit_prior("nearest", steps=1)
    found = model.predict(noise, verbose=0)
    np.testing.assert_allclose(found, model(noise), atol=1e-5)


def test_the_temperature_of_another_prior_is_refused(batches):
    model = make_model(CVAE)
    model.fit_prior("nearest", batches, steps=1)
    ends = batches[0]["video"][:2, 0], batches[0]["video"][:2, -1]
    assert model.between(*ends).shape == (2, 4, 16, 16, 3)
    with pytest.raises(ValueError, match=r"temperature=0.5 needs a Gaussian prior"):
        model.between(*ends, temperature=0.5)


@pytest.mark.parametrize("given", [[], iter([])])
def test_a_prior_needs_batches(given):
    with pytest.raises(ValueError, match="There are no batches"):
        make_model(RJVAE).fit_prior("gaussian", given)


# === Learned codes ===


@pytest.fixture(scope="module")
def learned():
    """A model whose 12 videos have codes in the unit ball."""
    keras.utils.set_random_seed(0)
    return Navsynth.from_preset("debug", image_shape=(16, 16, 3), videos=12)


def test_static_and_transient_codes_of_a_video_are_drawn_together(learned):
    static, transient = learned.static_codes.codes.numpy(), learned.transient_codes.codes.numpy()
    together = np.concatenate([static, transient.reshape(12, -1)], axis=1)
    learned.fit_prior("gaussian")
    prior = learned.priors["index"]
    np.testing.assert_allclose(prior.mean, together.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(prior.basis.numpy().T @ prior.basis, np.cov(together.T), atol=1e-4)
    assert learned.noise_shapes(8) == {"index": (12,)}
    codes = prior(noise := tf.random.stateless_normal([3, 12], [1, 2])).numpy()
    norms = np.linalg.norm(codes[:, :8], axis=-1, keepdims=True)
    expected = learned.latents_of(
        {
            "static": tf.constant(codes[:, :8] / np.maximum(norms, 1.0)),
            "transient": _in_ball(codes[:, 8:].reshape(3, 8, 4)),
        },
        None,
    )
    np.testing.assert_allclose(learned.codes({"index": noise}), expected, atol=1e-5)


def _in_ball(codes):
    return tf.constant(codes / np.maximum(np.linalg.norm(codes, axis=-1, keepdims=True), 1.0))


def test_codes_by_label_are_rows_and_have_no_prior():
    pairs = {"static_by": "identity", "transient_by": "label", "identities": 3, "classes": 4}
    model = Navsynth.from_preset("debug", image_shape=(16, 16, 3), **pairs)
    model.fit_prior("gaussian")
    assert set(model.priors) == {"identity"}
    assert model.noise_shapes(8) == {"identity": (3,), "category": (4,)}


def test_codes_by_label_alone_have_no_prior_to_fit():
    by_label = {"static_by": "label", "transient_by": "label", "classes": 4}
    model = Navsynth.from_preset("debug", image_shape=(16, 16, 3), **by_label)
    with pytest.raises(ValueError, match="no codes by video or identity to fit a prior to"):
        model.fit_prior("gaussian")
    assert model.prior_config is None


def test_weights_alone_bring_the_codes_that_new_ones_are_drawn_from(moving_squares, tmp_path):
    def new():
        return GLO.from_preset("debug", image_shape=(16, 16, 3), videos=8)

    model = new()
    model.compile("adam", code_rate=1.0)
    batch = {"video": moving_squares(8, 8), "index": np.arange(8)}
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    other = new()
    other.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
    difference = other.generate(2, seed=1).astype(int) - model.generate(2, seed=1)
    assert np.abs(difference).max() <= 1


def test_further_training_puts_gaussians_in_place_of_a_prior(moving_squares):
    model = GLO.from_preset("debug", image_shape=(16, 16, 3), videos=8)
    model.compile("adam", code_rate=1.0)
    batch = {"video": moving_squares(8, 8), "index": np.arange(8)}
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    assert isinstance(model.priors["index"], GaussianPrior)
    model.fit_prior("nearest", steps=2)
    drawn = model.generate(2, seed=1)
    np.testing.assert_array_equal(model.generate(2, seed=1), drawn)  # stays while codes do
    assert model.prior_config == {"kind": "nearest"}
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    assert model.prior_config == {"kind": "gaussian"}
    codes = model.frame_codes.codes.numpy().reshape(8, -1)
    np.testing.assert_allclose(model.priors["index"].mean, codes.mean(axis=0), atol=1e-5)


# === An encoder of learned codes ===


def with_codes_that_frames_show(videos):
    """A model whose static codes are mean colours of the 8 videos, and such batches."""
    model = GLO.from_preset("debug", image_shape=(16, 16, 3), videos=len(videos), code_dim=3)
    colours = videos.mean(axis=(2, 3)) / 255.0 - 0.3
    model.frame_codes.codes.assign(colours.astype("float32"))
    return model, [{"video": videos, "index": np.arange(len(videos))}]


def test_an_encoder_guesses_codes_that_frames_show(moving_squares):
    model, batches = with_codes_that_frames_show(moving_squares(8, 8))
    loss = model.fit_encoder(batches, steps=150, channels=(8, 8), units=16)
    codes = model.frame_codes.codes.numpy()
    assert loss < 0.1 * 3 * np.mean(codes**2)
    guess = model.encode(batches[0]["video"], steps=0)["frame"]
    assert np.mean((guess - codes) ** 2) < 0.1 * np.mean(codes**2)
    short = model.encode(batches[0]["video"][:, :5], steps=0)["frame"].numpy()
    mean = codes.mean(axis=0)
    np.testing.assert_allclose(short[:, 5:], np.broadcast_to(mean[5:], (8, 3, 3)), atol=1e-5)
    np.testing.assert_allclose(short[:, :5], guess[:, :5], atol=0.1)


def test_an_encoder_needs_a_step(moving_squares):
    model, batches = with_codes_that_frames_show(moving_squares(2, 8))
    with pytest.raises(ValueError, match="steps=0 must be 1 or more"):
        model.fit_encoder(batches, steps=0)


def test_descent_from_a_guess_is_shorter(moving_squares, monkeypatch):
    model, batches = with_codes_that_frames_show(moving_squares(8, 8))
    steps = []
    monkeypatch.setattr(
        model, "_fitted", lambda _v, _l, start, count, _r: steps.append(float(count)) or start
    )
    model.encode(batches[0]["video"])
    model.fit_encoder(batches, steps=1, channels=(4, 4), units=4)
    model.encode(batches[0]["video"])
    assert steps == [300.0, 60.0]


def test_a_saved_model_has_its_encoder_and_training_leaves_it(moving_squares, tmp_path):
    model, batches = with_codes_that_frames_show(moving_squares(8, 8))
    own = len(model.trainable_weights)
    model.fit_encoder(batches, steps=1, channels=(4, 4), units=4)
    model.fit_prior("nearest", steps=1, units=4)
    model.trainable = False
    model.trainable = True
    assert len(model.trainable_weights) == own
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert again.encoder_config == {"channels": [4, 4], "units": 4}
    video = batches[0]["video"][:2]
    for name, codes in model.encode(video, steps=1).items():
        np.testing.assert_allclose(again.encode(video, steps=1)[name], codes, atol=1e-6)


def test_an_encoder_needs_batches(moving_squares):
    with pytest.raises(ValueError, match="There are no batches"):
        with_codes_that_frames_show(moving_squares(2, 8))[0].fit_encoder([], steps=1)


# === What all of them share ===


@pytest.mark.parametrize("cls", [RJVAE, GLO])
def test_a_saved_model_has_its_prior(cls, batches, tmp_path):
    own = {} if cls is RJVAE else {"videos": 8}
    model = make_model(cls, **own)
    arguments, own_weights = (batches,) if cls is RJVAE else (), len(model.trainable_weights)
    model.fit_prior("flow_matching", *arguments, steps=2, units=8, depth=1, ode_steps=2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert again.prior_config == model.prior_config
    assert len(again.trainable_weights) == len(model.trainable_weights) == own_weights
    assert all(isinstance(prior, FlowMatchingPrior) for prior in again.priors.values())
    np.testing.assert_array_equal(again.generate(2, seed=1), model.generate(2, seed=1))


def test_a_prior_can_replace_another_and_leaves_no_weights(batches):
    model = make_model(RJVAE)
    count = len(model.weights)
    model.fit_prior("mixture", batches, clusters=2)
    model.fit_prior("gaussian", batches)
    assert len(model.weights) == count + 2 and model.prior_config == {"kind": "gaussian"}
    model.set_prior(None)
    assert len(model.weights) == count and "prior" not in model.get_config()


def test_the_private_tracker_of_keras_is_as_it_was_seen():
    # Seen in Keras 3.12 to 3.15; `set_prior` relies on it.
    layer = keras.layers.Dense(2)
    tracker = layer._tracker
    layer.build([None, 3])
    assert tracker.locked is True
    tracker.unlock()
    layer.extra = {"a": keras.layers.Dense(1)}
    assert layer.extra["a"] in layer._layers
    tracker.untrack(layer.extra["a"])
    assert layer.extra["a"] not in layer._layers
    tracker.lock()


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("flow_maching", {}, "did you mean 'flow_matching'"),
        ("gaussian", {"units": 3}, "A gaussian prior has no 'units'"),
        ("gaussian", {"categories": 2}, "those of its model. Remove categories"),
    ],
)
def test_an_unknown_kind_or_argument_raises_and_changes_nothing(kind, arguments, message, batches):
    model = make_model(RJVAE)
    with pytest.raises(ValueError, match=message):
        model.fit_prior(kind, batches, **arguments)
    assert model.priors == {} and model.prior_config is None
