import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder
from kerasvid.models.base.trainer import EVALUATION_SEED, draw_noise, replica_key
from kerasvid.models.cvae import CVAE
from kerasvid.models.dsa import DSA
from kerasvid.models.rjvae import RJVAE
from kerasvid.naming import constructor_arguments

SCHEDULE = {
    "observation_scale": (0.1, 0.4),
    "kl_summary": (0.0, 2.0),
    "kl_residual": (5.0, 3.0),
    "steps": 100,
}


# Every option that adds a term or leaves frames out.
OF_EACH = {
    RJVAE: {"summary_weight": 0.3, "decoded_frames": 2},
    DSA: {"decoded_frames": 3, "aggregate_start": True},
    CVAE: {"mean_weight": 0.5, "coarse_weight": 0.2, "decoded_frames": 1},
}


def terms_of(model, video, noise, step=0.0):
    return model.compute_losses({"video": video}, noise, tf.constant(float(step)), training=True)[0]


def make_model(schedule):
    return RJVAE.from_preset("debug", image_shape=(8, 8, 3), frames=2, schedule=schedule)


@pytest.fixture(scope="module")
def model():
    return make_model(SCHEDULE)


@pytest.fixture
def batch(model, moving_squares):
    """A float video and the noise of its posteriors."""
    video = tf.constant(moving_squares(4, 2, size=8) / 127.5 - 1.0, tf.float32)
    return video, model.sample_noise(4, 2, seed=1)


# === Schedules ===


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"kl_sumary": (0, 1)}, "no 'kl_sumary': did you mean 'kl_summary'"),
        ({"kl_summary": 1.0}, r"kl_summary=1.0 must be a pair: \[start, end\]"),
        ({"kl_summary": (1.0, 2.0, 3.0)}, "must be a pair"),
        ({"kl_summary": "12"}, "must be a pair"),
        ({"kl_summary": ("a", "b")}, "must be a pair"),
        ({"kl_residual": (-1.0, 1.0)}, "must not be negative"),
        ({"observation_scale": (0.0, 1.0)}, "must be two positive numbers"),
        ({"steps": -5}, "steps=-5 must be a number of steps, 0 or more"),
        ({"steps": "many"}, "steps='many'"),
    ],
)
def test_a_wrong_schedule_is_refused_in_one_line(schedule, message):
    with pytest.raises(ValueError, match=message) as error:
        make_model(schedule)
    assert "\n" not in str(error.value)


def test_names_left_out_stand_for_the_plain_bound():
    plain = make_model({"kl_summary": [0.5, 0.5]})
    assert plain.schedule == {
        "observation_scale": (1.0, 1.0),
        "kl_summary": (0.5, 0.5),
        "kl_residual": (1.0, 1.0),
        "steps": 0,
    }


def test_further_terms_are_left_out_unless_they_are_asked_for():
    plain, asked = (DSA.from_preset("debug", schedule=s) for s in ({}, {"shared": [0.0, 2.0]}))
    assert plain.schedule["shared"] == (0.0, 0.0) and plain.schedule["kl_motion"] == (1.0, 1.0)
    assert "shared" not in plain.term_names and "shared" in asked.term_names


@pytest.mark.parametrize("kind", OF_EACH)
def test_the_preset_plain_has_no_option_of_the_library(kind):
    """The paper's loss and prior: what is no size is left at its default, all weights at 1."""
    sizes = {"encoder", "decoder", "schedule"}
    defaults = kind.hyperparameters()
    own = {name for name in kind.PRESETS["plain"] if not name.endswith(("_dim", "_units"))}
    assert own == sizes and set(kind.PRESETS["plain"]["schedule"]) == {"observation_scale"}
    assert not any(defaults[name] for name in OF_EACH[kind])
    assert kind.TRAINING["plain"].prior_steps == 0


@pytest.mark.parametrize("kind", OF_EACH)
def test_presets_are_written_out_in_full(kind):
    """No size of a network is hidden in the default of a layer."""
    for preset in kind.PRESETS.values():
        sizes = {name for name in kind.hyperparameters() if name.endswith(("_dim", "_units"))}
        assert sizes <= set(preset)
        for name, layer in (("encoder", FrameEncoder), ("decoder", FrameDecoder)):
            assert set(preset[name]) == set(constructor_arguments(layer)) - {"image_shape"}


# === The loss ===


@pytest.mark.parametrize("step", [0, 50, 100, 1000])
def test_the_loss_is_the_weighted_sum_at_the_step(model, batch, step):
    video, noise = batch
    terms = terms_of(model, video, noise, step)
    reconstruction = model.infer(video, noise)
    done = min(step / 100, 1.0)
    scale = 0.1 * 4.0**done
    error = np.sum((video.numpy() - reconstruction.numpy()).astype("float64") ** 2, (1, 2, 3, 4))
    reconstruction_loss = error / (2 * scale**2)
    summary, residual = terms["kl_summary"].numpy(), terms["kl_residual"].numpy()
    expected = reconstruction_loss + 2.0 * done * summary + 5.0 * 0.6**done * residual
    np.testing.assert_allclose(terms["reconstruction_loss"], reconstruction_loss, rtol=1e-4)
    np.testing.assert_allclose(terms["bound"], expected, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], scale**2 * expected, rtol=1e-4)
    assert {name: value.shape for name, value in terms.items()} == dict.fromkeys(
        RJVAE.term_names, (4,)
    )


@pytest.mark.parametrize(("kind", "own"), OF_EACH.items(), ids=lambda value: str(value)[-8:])
def test_the_reported_loss_is_what_is_differentiated(kind, own, moving_squares):
    schedule = {"observation_scale": (0.1, 0.4), "steps": 100}
    model = kind.from_preset("debug", image_shape=(8, 8, 3), frames=4, schedule=schedule, **own)
    model.compile("sgd")
    video = tf.constant(moving_squares(4, 4, size=8) / 127.5 - 1.0, tf.float32)
    noise = draw_noise(model.training_noise_shapes(4), 4, replica_key(0, 1))
    step = tf.constant(50.0)
    means, gradients, _ = model.compute_gradients({"video": video}, noise, step)
    assert float(means["loss"]) == pytest.approx(0.2**2 * float(means["bound"]), rel=1e-5)
    # A small step against the gradient lowers the loss by its square.
    square = sum(float(tf.reduce_sum(g**2)) for g in gradients if g is not None)
    rate = 1e-3 / np.sqrt(square)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        if gradient is not None:
            variable.assign_sub(rate * gradient)
    after = model.compute_gradients({"video": video}, noise, step)[0]["loss"]
    assert float(means["loss"] - after) == pytest.approx(rate * square, rel=0.05)


def test_some_decoded_frames_stand_for_all(batch):
    video, noise = batch
    model = RJVAE.from_preset("debug", image_shape=(8, 8, 3), frames=2, decoded_frames=1)
    assert model.training_noise_shapes(2) == {**model.noise_shapes(2), "decoded_frames": (2,)}
    assert model.training_noise_shapes(1) == model.noise_shapes(1)
    whole = terms_of(model, video, noise)["reconstruction_loss"]
    # Each frame alone, counted twice: their mean is the loss of both.
    orders = [tf.constant([[0.0, 1.0]] * 4), tf.constant([[1.0, 0.0]] * 4)]
    each = [terms_of(model, video, {**noise, "decoded_frames": order}) for order in orders]
    found = [terms["reconstruction_loss"].numpy() for terms in each]
    assert (found[0] != found[1]).all()
    np.testing.assert_allclose(np.mean(found, axis=0), whole, rtol=1e-4)


def test_the_summary_frame_is_scored_against_every_frame(batch):
    video, noise = batch
    arguments = {"image_shape": (8, 8, 3), "frames": 2, "summary_weight": 0.25}
    model = RJVAE.from_preset("debug", **arguments)
    terms = terms_of(model, video, noise)
    summary = model.posteriors(video, noise)[1]
    image = model.decoder(summary).numpy()[:, None].astype("float64")  # [B, 1, H, W, C]
    apart = np.sum((video.numpy() - image) ** 2, axis=(1, 2, 3, 4)) / 2.0
    bound = terms["reconstruction_loss"] + terms["kl_summary"] + terms["kl_residual"]
    np.testing.assert_allclose(terms["summary_reconstruction_loss"], apart, rtol=1e-4)
    assert set(terms) == set(model.term_names) == {*RJVAE.term_names, "summary_reconstruction_loss"}
    np.testing.assert_allclose(terms["bound"], bound.numpy() + 0.25 * apart, rtol=1e-4)


@pytest.mark.parametrize(
    "values", [{"decoded_frames": 0}, {"decoded_frames": "abc"}, {"summary_weight": -0.1}]
)
def test_decoding_out_of_range_is_refused_by_name(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        RJVAE.from_preset("debug", **values)


def test_every_trainable_variable_gets_a_gradient(model, batch):
    model.compile("sgd")
    video, noise = batch
    gradients = model.compute_gradients({"video": video}, noise, tf.constant(50.0))[1]
    dead = [
        variable.path
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.abs(gradient.numpy()).max() > 0
    ]
    assert dead == []


def test_evaluate_scores_samples_with_the_weights_that_training_ends_at(model, moving_squares):
    model.compile("sgd")
    videos = moving_squares(4, 2, size=8)
    logs = model.evaluate({"video": videos}, batch_size=4, verbose=0, return_dict=True)
    video = tf.constant(videos / 127.5 - 1.0, tf.float32)
    key = replica_key(EVALUATION_SEED, tf.constant(0))
    noise = draw_noise(model.noise_shapes(2), 4, key)
    terms, reconstruction = terms_of(model, video, noise), model.infer(video, noise)
    error = tf.reduce_sum(tf.square(video - reconstruction), [1, 2, 3, 4])
    weighted = error / (2 * 0.4**2) + 2.0 * terms["kl_summary"] + 3.0 * terms["kl_residual"]
    assert set(logs) == set(RJVAE.term_names)
    assert logs["bound"] == pytest.approx(float(tf.reduce_mean(weighted)), rel=1e-4)
    assert logs["loss"] == pytest.approx(0.4**2 * logs["bound"], rel=1e-5)


def test_evaluate_gives_the_psnr_of_posterior_means(model, moving_squares):
    model.compile("sgd")
    videos = moving_squares(4, 2, size=8)
    logs = model.evaluate({"video": videos}, batch_size=4, verbose=0, return_dict=True)
    video = videos / 127.5 - 1.0
    error = np.mean((video - model(tf.constant(video, tf.float32))) ** 2, axis=(1, 2, 3, 4))
    assert logs["psnr"] == pytest.approx(np.mean(10 * np.log10(4.0 / error)), rel=1e-4)


def test_calling_the_model_reconstructs_from_posterior_means(model, batch):
    video, _ = batch
    np.testing.assert_array_equal(model(video), model.infer(video, None))


def test_calling_and_predicting_take_what_fit_takes(model, moving_squares):
    model.compile("sgd")
    videos = moving_squares(4, 2, size=8)
    expected = model(tf.constant(videos / 127.5 - 1.0, tf.float32)).numpy()
    np.testing.assert_allclose(model(videos), expected, atol=1e-6)
    np.testing.assert_allclose(model({"video": videos}), expected, atol=1e-6)
    batches = tf.data.Dataset.from_tensor_slices({"video": videos, "label": [0] * 4}).batch(2)
    np.testing.assert_allclose(model.predict(batches, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(videos, verbose=0), expected, atol=1e-5)
