import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.gan_losses import Objective
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.image_gan import ImageGAN
from kerasvid.models.rjgan import RJGAN

SMALL = {"image_shape": (8, 8, 3)}


@pytest.fixture(scope="module")
def model():
    model = ImageGAN.from_preset("debug", **SMALL, prior_scale=2.0)
    # Larger weights than fresh ones: what an untrained decoder shows is nearly uniform.
    model.decoder.set_weights([3.0 * weight for weight in model.decoder.get_weights()])
    return model


def test_an_image_is_decoded_from_its_own_draw_of_the_prior(model):
    noise = model.sample_noise(3, 2, seed=1)
    codes = model.codes(noise)
    assert codes.shape == (3, 2, 12)
    np.testing.assert_array_equal(codes, 2.0 * noise["image"])
    videos = model.generate(3, frames=2, seed=1)
    expected = as_pixels(tf.tanh(model.decoder(tf.reshape(codes, [6, 12]))))
    assert np.abs(videos.astype(int).reshape(6, 8, 8, 3) - expected).max() <= 1
    assert (videos[:, 0] != videos[:, 1]).any()


def test_images_are_generated_clips_of_one_frame(model):
    images = model.generate_images(3, seed=4)
    assert images.dtype == np.uint8
    assert model.generate(3, seed=4).shape == (3, 1, 8, 8, 3)
    np.testing.assert_array_equal(images, model.generate(3, seed=4)[:, 0])


def test_there_are_two_networks(model):
    assert list(model.network_variables()) == ["generator", "image_discriminator"]
    own = (f"image_discriminator_{term}" for term in ("loss", "real", "fake"))
    assert model.term_names == ("loss", "generator_loss", *own)
    with pytest.raises(ValueError, match="no hyper-parameter 'video_discriminator'"):
        ImageGAN.from_preset("debug", **SMALL, video_discriminator={"channels": (4,)})
    assert ImageGAN.from_config(model.get_config()).get_config() == model.get_config()


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_prior_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=r"prior_scale=.* must be positive"):
        ImageGAN.from_preset("debug", **SMALL, prior_scale=scale)


@pytest.mark.parametrize("preset", ImageGAN.PRESETS)
def test_its_networks_are_those_of_rjgan_in_every_preset(preset):
    for name in ("decoder", "image_discriminator"):
        assert ImageGAN.PRESETS[preset][name] == RJGAN.PRESETS[preset][name]
    size = ImageGAN.hyperparameters()["latent_dim"]
    own = ImageGAN.PRESETS[preset].get("latent_dim", size)
    assert own == RJGAN.PRESETS[preset].get("latent_dim", RJGAN.hyperparameters()["latent_dim"])


def test_rjgan_can_begin_with_its_weights(model):
    videos = RJGAN.from_preset("debug", **SMALL, frames=3, prior_scale=2.0)
    for name in ("decoder", "image_discriminator"):
        ours, theirs = getattr(model, name), getattr(videos, name)
        theirs.set_weights(ours.get_weights())
    summary = 2.0 * videos.sample_noise(3, seed=4)["summary"]
    expected = as_pixels(model.decode(summary[:, None]))[:, 0]
    np.testing.assert_array_equal(videos.generate_images(3, seed=4), expected)


def test_images_train_both_networks_as_clips_of_one_frame(model, moving_squares):
    model.compile("sgd", jit_compile=False)
    start = {name: [v.numpy() for v in own] for name, own in model.network_variables().items()}
    images = tf.constant(moving_squares(4, 1, size=8))
    logs = model.train_step({"video": images, "image": images})
    assert all(np.isfinite(value) for value in logs.values())
    for name, variables in model.network_variables().items():
        for variable, before in zip(variables, start[name], strict=True):
            assert (variable.numpy() != before).any(), variable.path


@pytest.mark.parametrize("preset", ["plain", "paper"])
def test_a_step_sees_as_many_images_as_that_of_rjgan(preset):
    """Equation (1) of the paper shows D_I two frames of every clip, and two generated ones."""
    image_frames = Objective.of(RJGAN.PRESETS[preset].get("objective")).image_frames
    images = (image_frames + 1) * RJGAN.TRAINING[preset].batch_size
    own = Objective.of(ImageGAN.PRESETS[preset].get("objective")).image_frames
    assert own * ImageGAN.TRAINING[preset].batch_size == images
    ours, theirs = (
        dataclasses.replace(cls.TRAINING[preset], batch_size=1, stride=1)
        for cls in (ImageGAN, RJGAN)
    )
    assert ours == theirs
