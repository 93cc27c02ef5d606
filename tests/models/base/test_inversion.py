"""Noise that makes given videos."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.inversion import best_rows, pyramid_levels
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rjvae import RJVAE


class Linear(VideoGenerator):
    """Videos whose pixels are a linear map of the noise."""

    frames, image_shape = 2, (4, 4, 1)

    def __init__(self):
        generator = np.random.default_rng(0)
        self.map = tf.constant(generator.normal(0.0, 0.1, [3, 32]), tf.float32)

    def noise_shapes(self, frames):
        return {"latent": (3,)}

    def codes(self, noise, frames=None):
        return noise["latent"]

    def decode(self, codes):
        return tf.reshape(tf.matmul(codes, self.map), [-1, 2, 4, 4, 1])

    def has_gaussian_prior(self):
        return True


def test_the_noise_of_a_linear_generator_is_found_exactly():
    model = Linear()
    noise = model.sample_noise(3, seed=5)["latent"]
    found = model.invert(model.decode(noise), steps=400, weight=0.0, starts=2)["latent"]
    np.testing.assert_allclose(found, noise, atol=0.02)


def test_many_videos_are_searched_in_parts_of_the_same_noise(monkeypatch):
    model = Linear()
    video = model.decode(model.sample_noise(5, seed=5)["latent"])
    whole = model.invert(video, steps=20)["latent"]
    monkeypatch.setattr("kerasvid.models.base.video_generator.INVERTED_AT_ONCE", 2)
    np.testing.assert_allclose(model.invert(video, steps=20)["latent"], whole, atol=1e-5)


def test_the_weight_holds_noise_near_0():
    model = Linear()
    video = model.decode(3.0 * model.sample_noise(3, seed=5)["latent"])
    norms = [
        float(tf.norm(model.invert(video, steps=200, weight=weight)["latent"]))
        for weight in (0.0, 0.1, 100.0)
    ]
    assert norms[0] > norms[1] > norms[2] and norms[2] < 0.05


def test_the_best_of_the_starts_is_kept():
    noise = {"latent": tf.range(6.0)[:, None]}
    found = best_rows(noise, tf.constant([3.0, 1.0, 2.0, 0.5, 4.0, 0.6]), starts=3)
    np.testing.assert_array_equal(found["latent"], [[1.0], [3.0]])


def test_more_steps_come_nearer_and_0_steps_are_the_draws():
    keras.utils.set_random_seed(0)
    model = RJVAE.from_preset("debug", frames=3, image_shape=(16, 16, 3))
    videos = model.generate(2, seed=9)
    drawn = model.invert(videos, steps=0, starts=1, seed=4)
    for name, value in model.sample_noise(2, 3, 4).items():
        np.testing.assert_array_equal(drawn[name], value)
    errors = []
    for steps in (0, 5, 60):
        again = model.render(model.invert(videos, steps=steps, starts=2))
        errors.append(np.abs(again.astype(float) - videos).mean())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.5 * errors[0]


def test_a_class_stays_as_asked():
    model = MoCoGAN.from_preset("debug", categories=3, frames=4)
    noise = model.invert(model.generate(2, 4, label=1), steps=2, label=[1, 2])
    np.testing.assert_array_equal(noise["category"], [[0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps and weight must be 0 or more"),
        ({"starts": 0}, "starts 1 or more"),
        ({"rate": 0.0}, "rate positive"),
        ({"weight": float("nan")}, "must be 0 or more"),
        ({"label": 1}, "makes no videos of a class"),
    ],
)
def test_wrong_numbers_are_refused(options, message):
    model = Linear()
    with pytest.raises(ValueError, match=message):
        model.invert(np.zeros([1, 2, 4, 4, 1], np.uint8), **options)


def test_other_frame_sizes_are_refused():
    with pytest.raises(ValueError, match="frames are"):
        Linear().invert(np.zeros([1, 2, 8, 8, 1], np.uint8))


def test_a_pyramid_has_as_many_bands_as_the_sides_allow():
    assert [pyramid_levels(*size) for size in ((64, 64), (48, 8), (6, 64))] == [4, 3, 1]
    with pytest.raises(ValueError, match="cannot be halved"):
        pyramid_levels(15, 16)
