"""delta_C^(t) = R(z_C, z_M^(t)): of nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rmocogan import RMoCoGAN

SMALL = {"image_shape": (8, 8, 3), "frames": 4}
CONTENT, SCALE = 8, 2.0  # of the preset, and of the prior of the model below


@pytest.fixture(params=[0, 3], ids=["plain", "categories"], scope="module")
def model(request):
    model = RMoCoGAN.from_preset("debug", **SMALL, categories=request.param, prior_scale=SCALE)
    generator = np.random.default_rng(0)
    for layer in (model.residual_hidden, model.residual_output):  # fresh ones hardly do anything
        layer.set_weights([0.5 * generator.normal(size=w.shape) for w in layer.get_weights()])
    model.decoder.set_weights([3.0 * weight for weight in model.decoder.get_weights()])
    return model


def residuals(model, noise):
    """delta_C^(t) as the codes have it, `[B, T, D]`."""
    return model.codes(noise)[..., :CONTENT] - SCALE * noise["content"][:, None]


def test_a_frame_has_the_content_plus_its_residual_beside_the_motion(model):
    noise = model.sample_noise(3, seed=1)
    motion = model.motion_codes(noise)
    codes = model.codes(noise)
    np.testing.assert_array_equal(codes[..., CONTENT:], motion)
    assert np.abs(residuals(model, noise)).max() > 0.1
    assert np.abs(np.diff(residuals(model, noise), axis=1)).max() > 1e-3


def test_a_residual_is_a_function_of_the_content_and_of_the_motion_of_its_frame(model):
    noise = model.sample_noise(3, seed=1)
    motion = model.motion_codes(noise)
    hidden, output = (
        [np.float64(w) for w in layer.get_weights()]
        for layer in (model.residual_hidden, model.residual_output)
    )
    delta, content = residuals(model, noise), SCALE * noise["content"]
    for row in range(3):
        for t in range(4):
            beside = np.concatenate([content[row], motion[row, t]]).astype("float64")
            x = beside @ hidden[0] + hidden[1]
            x = np.where(x > 0, x, 0.2 * x)
            np.testing.assert_allclose(delta[row, t], x @ output[0] + output[1], atol=1e-5)
            alone = model.residual(content[row : row + 1, None], motion[row : row + 1, t : t + 1])
            np.testing.assert_allclose(delta[row, t], alone[0, 0], atol=1e-5)


def test_the_future_of_the_motion_does_not_reach_a_residual(model):
    noise = model.sample_noise(3, seed=1)
    before = residuals(model, noise)
    for changed in range(4):
        bump = tf.one_hot(changed, 4)[None, :, None]
        moved = np.abs(before - residuals(model, {**noise, "motion": noise["motion"] + bump}))
        moved = moved.max(axis=(0, 2))  # [T]
        assert (moved[:changed] == 0).all()
        assert (moved[changed:] > 1e-5).all()


def test_the_past_reaches_a_residual_through_the_motion_only(model, monkeypatch):
    noise = model.sample_noise(2, seed=1)
    motion, before = model.motion_codes(noise), residuals(model, noise)
    order = [2, 0, 3, 1]
    shuffled = tf.gather(motion, order, axis=1)
    monkeypatch.setattr(model, "motion_codes", lambda noise, frames: shuffled)
    after = residuals(model, noise)
    np.testing.assert_allclose(after, tf.gather(before, order, axis=1), atol=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_a_residual_depends_on_the_content_of_its_own_row(model):
    noise = model.sample_noise(3, seed=1)
    other = noise["content"] + tf.constant([0.0, 1.0, 0.0])[:, None]
    moved = np.abs(residuals(model, noise) - residuals(model, {**noise, "content": other}))
    moved = moved.max(axis=2)  # [B, T]
    assert (moved[1] > 1e-3).all()
    assert (moved[[0, 2]] < 1e-6).all()


def test_the_motion_does_not_depend_on_the_content(model):
    noise = model.sample_noise(2, seed=1)
    other = {**noise, "content": noise["content"] + 1.0}
    np.testing.assert_array_equal(model.motion_codes(noise), model.motion_codes(other))


def test_images_show_the_content_without_residual_and_motion(model):
    images = model.generate_images(3, seed=2)
    assert images.shape == (3, 8, 8, 3)
    assert images.dtype == np.uint8
    noise = model.sample_noise(3, seed=2)
    beside = [SCALE * noise["content"], np.zeros_like(noise["start"])]
    if model.categories:
        beside.append(np.eye(3, dtype="float32")[np.argmax(noise["category"], axis=-1)])
    expected = as_pixels(tf.tanh(model.decoder(tf.concat(beside, axis=-1))))
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert np.abs(images.astype(int) - model.generate(3, frames=1, seed=2)[:, 0]).max() > 1


def test_images_do_not_run_the_gru(model, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the GRU ran")

    monkeypatch.setattr(model.motion.cell, "call", fail)
    model.generate_images(2)
    with pytest.raises(AssertionError, match="the GRU ran"):
        model.generate(2)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_prior_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=r"prior_scale=.* must be positive"):
        RMoCoGAN.from_preset("debug", **SMALL, prior_scale=scale)


def test_an_untrained_model_is_nearly_a_mocogan():
    keras.utils.set_random_seed(0)
    model, plain = (cls.from_preset("debug", **SMALL) for cls in (RMoCoGAN, MoCoGAN))
    plain.motion.set_weights(model.motion.get_weights())
    noise = model.sample_noise(8, seed=1)
    codes = plain.codes(noise)
    np.testing.assert_allclose(model.codes(noise), codes, atol=0.2)
    assert (model.codes(noise)[..., :CONTENT] != codes[..., :CONTENT]).numpy().all()


def test_the_residual_belongs_to_the_generator(model):
    own = {id(v) for v in model.network_variables()["generator"]}
    for layer in (model.residual_hidden, model.residual_output, model.motion, model.decoder):
        assert {id(v) for v in layer.trainable_variables} <= own
