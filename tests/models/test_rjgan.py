import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.rjgan import RJGAN

SMALL = {"image_shape": (8, 8, 3), "frames": 4}


def livelier(model):
    """The model with larger weights: what an untrained decoder shows is nearly uniform."""
    model.decoder.set_weights([3.0 * weight for weight in model.decoder.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return livelier(RJGAN.from_preset("debug", **SMALL, prior_scale=2.0))


def test_a_latent_is_the_summary_plus_a_residual_of_noise_and_summary(model):
    noise = model.sample_noise(3, seed=1)
    summary = 2.0 * noise["summary"]
    residual = model.residual(noise["residual"], condition=summary)
    codes = model.codes(noise)
    assert codes.shape == (3, 4, 12)
    np.testing.assert_allclose(codes, summary[:, None] + residual, atol=1e-6)
    assert np.abs(residual).max() > 0.1


def test_residuals_depend_on_the_summary_and_the_noise_up_to_their_frame(model):
    noise = model.sample_noise(2, seed=1)

    def residuals(changed):
        return model.codes(changed) - 2.0 * changed["summary"][:, None]

    before = residuals(noise)
    other = residuals({**noise, "summary": noise["summary"] + 1.0})
    assert (np.abs(before - other).max(axis=(0, 2)) > 1e-3).all()
    bump = tf.one_hot(2, 4)[None, :, None]
    moved = np.abs(before - residuals({**noise, "residual": noise["residual"] + bump}))
    moved = moved.max(axis=(0, 2))  # [T]
    assert (moved[:2] == 0).all()
    assert (moved[2:] > 1e-4).all()


@pytest.mark.parametrize("frames", [1, 5])
def test_without_residuals_every_frame_is_the_summary_frame(frames):
    model = livelier(RJGAN.from_preset("debug", **SMALL, residual_scale=0.0))
    videos = model.generate(3, frames=frames, seed=2).astype(int)
    images = model.generate_images(3, seed=2)
    assert (videos == videos[:, :1]).all()
    # Other batches order sums otherwise: a pixel at a rounding edge may move one level.
    assert np.abs(videos - images[:, None]).max() <= 1
    assert (images[0] != images[1]).any()


def test_with_residuals_frames_differ_from_each_other_and_the_summary_frame(model):
    videos = model.generate(3, seed=2).astype(int)
    assert np.abs(videos - model.generate_images(3, seed=2)[:, None]).max() > 1
    assert np.abs(videos[:, 1:] - videos[:, :-1]).max() > 1


def test_residuals_are_scaled_by_their_factor(model):
    half = RJGAN.from_preset("debug", **SMALL, prior_scale=2.0, residual_scale=0.5)
    half.set_weights(model.get_weights())
    noise = model.sample_noise(2, seed=3)
    summary = 2.0 * noise["summary"][:, None]
    whole = model.codes(noise) - summary
    np.testing.assert_allclose(half.codes(noise) - summary, 0.5 * whole, atol=1e-5)


def test_a_summary_frame_is_the_decoded_summary_of_the_same_row(model):
    images = model.generate_images(3, seed=5)
    assert images.shape == (3, 8, 8, 3)
    assert images.dtype == np.uint8
    summary = 2.0 * model.sample_noise(3, seed=5)["summary"]
    expected = as_pixels(tf.tanh(model.decoder(summary)))
    assert np.abs(images.astype(int) - expected).max() <= 1


def test_summary_frames_do_not_run_the_gru(model, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the GRU ran")

    monkeypatch.setattr(model.residual.cell, "call", fail)
    model.generate_images(2)
    with pytest.raises(AssertionError, match="the GRU ran"):
        model.generate(2)


@pytest.mark.parametrize("training", [False, True])
def test_fakes_are_the_clip_and_its_summary_frame(model, training):
    noise = model.sample_noise(3, seed=1)
    moving = [v for v in model.non_trainable_variables if "moving" in v.path]
    start = [v.numpy() for v in moving]
    fakes = model.fakes(noise, 4, training)
    for variable, value in zip(moving, start, strict=True):
        assert (variable.numpy() != value).any() == training
        variable.assign(value)
    assert set(fakes) == {"video", "image"}
    assert fakes["video"].shape == (3, 4, 8, 8, 3)
    assert fakes["image"].shape == (3, 8, 8, 3)
    # One pass for both, so that batch norm treats them alike.
    both = tf.concat([model.codes(noise), 2.0 * noise["summary"][:, None]], axis=1)
    frames = model.frames_of(both, training)
    np.testing.assert_allclose(fakes["video"], frames[:, :4], atol=1e-6)
    np.testing.assert_allclose(fakes["image"], frames[:, 4], atol=1e-6)
    for variable, value in zip(moving, start, strict=True):
        variable.assign(value)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_prior_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=r"prior_scale=.* must be positive"):
        RJGAN.from_preset("debug", **SMALL, prior_scale=scale)


@pytest.mark.parametrize("left_out", ["image_discriminator", "video_discriminator"])
def test_a_discriminator_can_be_left_out(left_out, moving_squares):
    model = RJGAN.from_preset("debug", **SMALL, **{left_out: False})
    assert getattr(model, left_out) is None
    assert left_out not in model.network_variables()
    model.compile("sgd", jit_compile=False)
    video = moving_squares(2, 4, size=8)
    logs = model.train_step({"video": tf.constant(video), "image": tf.constant(video[:, 0])})
    assert set(logs) == set(model.term_names)
    assert f"{left_out}_loss" not in logs
    assert len(logs) == 5


@pytest.mark.parametrize("name", ["image_discriminator", "video_discriminator"])
@pytest.mark.parametrize("given", ["full", 3, ["channels"]])
def test_a_discriminator_argument_of_a_wrong_type_is_refused_in_one_line(name, given):
    with pytest.raises(ValueError) as error:
        RJGAN.from_preset("debug", **SMALL, **{name: given})
    assert str(error.value) == (
        f"{name}={given!r} must be a mapping of its arguments, or true or false."
    )


def test_clips_too_short_for_the_video_discriminator_are_refused_in_one_line():
    with pytest.raises(ValueError, match="Clips of 2 frames are too short") as error:
        RJGAN.from_preset("debug", **{**SMALL, "frames": 2})
    assert "\n" not in str(error.value)
