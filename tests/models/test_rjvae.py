import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.dsa import DSA
from kerasvid.models.rjvae import RJVAE


@pytest.fixture(scope="module")
def model():
    model = RJVAE.from_preset("debug", image_shape=(16, 16, 3), frames=4, prior_scale=2.0)
    # Larger weights than fresh ones: what an untrained decoder shows is nearly uniform.
    model.decoder.set_weights([3.0 * weight for weight in model.decoder.get_weights()])
    return model


@pytest.fixture
def videos(moving_squares):
    return moving_squares(3, 4)


def test_a_summary_frame_is_the_decoded_summary_of_the_same_row(model):
    images = model.generate_images(3, seed=5)
    assert images.shape == (3, 16, 16, 3)
    assert images.dtype == np.uint8
    summary = 2.0 * model.sample_noise(3, seed=5)["summary"]
    # Without a time axis the additions are ordered otherwise: a pixel may move one level.
    assert np.abs(images.astype(int) - as_pixels(model.decoder(summary))).max() <= 1
    assert (images[0] != images[1]).any()


def test_summary_frames_do_not_run_the_recurrent_prior(model, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the prior ran")

    monkeypatch.setattr(model.prior, "rollout", fail)
    monkeypatch.setattr(model.prior, "step", fail)
    model.generate_images(2)


def test_a_latent_is_the_summary_plus_a_residual(model):
    noise = model.sample_noise(3, seed=1)
    summary = 2.0 * noise["summary"]
    residual = model.prior.rollout(noise["residual"], summary)
    codes = model.codes(noise)
    assert codes.shape == (3, 4, 8)
    np.testing.assert_allclose(codes, summary[:, None] + residual, atol=1e-6)
    assert np.abs(residual).max() > 0.1


def test_the_residual_prior_depends_on_the_summary(model):
    noise = model.sample_noise(2, seed=1)
    other = {**noise, "summary": noise["summary"] + 1.0}
    residuals = [model.codes(n) - 2.0 * n["summary"][:, None] for n in (noise, other)]
    assert np.abs(residuals[0] - residuals[1]).max() > 1e-3


def test_without_residuals_every_frame_is_the_summary_frame(model, monkeypatch):
    monkeypatch.setattr(model.prior, "rollout", lambda noise, *_: tf.zeros_like(noise))
    videos = model.generate(3, frames=5, seed=2).astype(int)
    assert np.abs(videos - model.generate_images(3, seed=2)[:, None]).max() <= 1
    assert (videos == videos[:, :1]).all()


def test_a_residual_posterior_sees_its_own_frame_and_the_summary(model, videos):
    video = as_floats(tf.constant(videos))
    changed = tf.concat([video[:, :2], -video[:, 2:3], video[:, 3:]], axis=1)
    _, summary, before, _ = model.posteriors(video, None)
    features = tf.reshape(model.encoder(tf.reshape(changed, [-1, 16, 16, 3])), [3, 4, -1])
    beside = tf.repeat(summary[:, None], 4, axis=1)
    same_summary = model.residual_head.posterior(tf.concat([features, beside], -1))
    moved = np.abs(before.mean() - same_summary.mean()).max(axis=(0, 2))  # [T]
    assert (moved[[0, 1, 3]] < 1e-5).all()
    assert moved[2] > 1e-4
    # By the summary the whole video reaches every residual.
    after = model.posteriors(changed, None)[2]
    assert (np.abs(before.mean() - after.mean()).max(axis=(0, 2)) > 1e-5).all()


def test_posteriors_draw_with_the_noise_they_are_given(model, videos):
    noise = model.sample_noise(3, seed=4)
    q_summary, summary, q_residual, residual = model.posteriors(
        as_floats(tf.constant(videos)), noise
    )
    expected = q_summary.mean() + q_summary.stddev() * noise["summary"]
    np.testing.assert_allclose(summary, expected, atol=1e-6)
    expected = q_residual.mean() + q_residual.stddev() * noise["residual"]
    np.testing.assert_allclose(residual, expected, atol=1e-6)


def test_the_summary_term_is_scored_against_the_prior_of_its_scale(model, videos):
    noise = model.sample_noise(3, seed=4)
    q_summary = model.posteriors(as_floats(tf.constant(videos)), noise)[0]
    mean, deviation = q_summary.mean().numpy(), q_summary.stddev().numpy()
    expected = np.log(2.0 / deviation) + (deviation**2 + mean**2) / 8.0 - 0.5
    batch = {"video": as_floats(tf.constant(videos))}
    terms, _ = model.compute_losses(batch, noise, tf.constant(0.0), training=False)
    np.testing.assert_allclose(terms["kl_summary"], expected.sum(axis=-1), rtol=1e-4)
    assert terms["kl_residual"].shape == (3,)


def test_a_swap_joins_one_summary_with_the_residuals_of_another(model, videos):
    first, second = videos[:2], videos[1:]
    codes = model.encode(first)["summary"][:, None] + model.encode(second)["residual"]
    np.testing.assert_array_equal(model.swap(first, second), as_pixels(model.decode(codes)))
    assert (model.swap(first, second) != model.swap(second, first)).any()


def test_summary_frames_of_videos_are_decoded_posterior_summaries(model, videos):
    frames = model.summary_frames(videos)
    assert frames.shape == (3, 16, 16, 3)
    expected = as_pixels(model.decoder(model.encode(videos)["summary"]))
    assert np.abs(frames.astype(int) - expected).max() <= 1


def test_the_preset_paper_has_the_networks_and_the_training_of_that_of_dsa():
    ours, theirs = RJVAE.PRESETS["paper"], DSA.PRESETS["paper"]
    for name in ("encoder", "decoder", "schedule", "prior_units"):
        assert ours[name] == theirs[name]
    assert ours["latent_dim"] == theirs["content_dim"]
    assert ours["summary_units"] == theirs["content_units"]
    assert ours["residual_units"] == theirs["motion_units"]
    assert RJVAE.TRAINING["paper"] == DSA.TRAINING["paper"]
