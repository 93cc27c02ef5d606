import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid import losses
from kerasvid.models.glo import GLO
from kerasvid.models.navsynth import Navsynth


def make_model(**overrides):
    keras.utils.set_random_seed(0)
    return GLO.from_preset("debug", image_shape=(16, 16, 3), frames=3, videos=4, **overrides)


def terms_of(model, video, codes, noise):
    """The terms of a training step, `[B]` each."""
    batch = {"video": video, "codes": codes, "label": None}
    return model.compute_losses(batch, noise, tf.constant(0.0), training=True)[0]


def test_every_frame_has_a_code_of_its_own():
    model = make_model()
    codes = model.learned_codes()["frame"]
    assert codes.shape == (4, 3, 12)
    other = codes.copy()
    other[2, 1] = 0.0
    before = model.recall(index=[1, 2])
    model.frame_codes.codes.assign(other)
    after = model.recall(index=[1, 2])
    changed = (before != after).any(axis=(2, 3, 4))
    np.testing.assert_array_equal(changed, [[False, False, False], [False, True, False]])


def test_the_loss_is_the_mean_pyramid_loss_of_the_frames(moving_squares):
    model = make_model()
    video = tf.cast(moving_squares(2, 3), tf.float32) / 127.5 - 1.0
    codes = {"frame": model.frame_codes(tf.constant([0, 3]))}
    terms = terms_of(model, video, codes, {})
    frames = [
        losses.pyramid_loss(video[:, t], model.decoder(codes["frame"][:, t]), 2) for t in range(3)
    ]
    np.testing.assert_allclose(terms["loss"], np.mean(frames, axis=0), rtol=1e-4)
    model.decoded_frames = 2
    order = tf.constant([[0.1, 0.3, 0.2], [0.3, 0.2, 0.1]])
    some = terms_of(model, video, codes, {"decoded_frames": order})
    expected = [frames[0][0] + frames[2][0], frames[2][1] + frames[1][1]]
    np.testing.assert_allclose(some["loss"], np.divide(expected, 2), rtol=1e-4)


def test_the_generator_takes_scaled_codes(moving_squares):
    model, scaled = make_model(), make_model(scaled_codes=True)
    scaled.set_weights(model.get_weights())
    codes = {"frame": model.frame_codes(tf.constant([0, 3]))}
    larger = {"frame": 12**0.5 * codes["frame"]}
    np.testing.assert_allclose(scaled.latents_of(codes, None), larger["frame"], rtol=1e-5)
    video = tf.cast(moving_squares(2, 3), tf.float32) / 127.5 - 1.0
    found = terms_of(scaled, video, codes, {})["loss"]
    expected = terms_of(model, video, larger, {})["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_its_published_training_is_that_of_navsynth():
    ours, theirs = GLO.TRAINING["paper"], Navsynth.TRAINING["paper"]
    assert ours == theirs and ours.batch_size == 1
    assert GLO.PRESETS["paper"]["decoder"] == Navsynth.PRESETS["paper"]["decoder"]


@pytest.mark.parametrize("cls", [GLO, Navsynth])
def test_the_rates_of_the_presets_are_those_of_the_released_code(cls):
    """0.001 and 200 at 256 frames a step, and in proportion."""
    for preset in ("plain", "paper"):
        training, frames = cls.TRAINING[preset], cls.PRESETS[preset]["frames"]
        share = training.batch_size * frames / 256
        assert (training.learning_rate, training.code_rate) == (0.001 * share, 200.0 * share)
