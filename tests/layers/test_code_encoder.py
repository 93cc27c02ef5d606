import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.code_encoder import CodeEncoder

SHAPES = {"static": (3,), "transient": (4, 2)}


def make_encoder(**sizes):
    keras.utils.set_random_seed(0)
    return CodeEncoder((8, 12, 3), SHAPES, **{"channels": (4, 6), "units": 5, **sizes})


def test_codes_have_the_shapes_of_the_tables_at_the_length_of_the_video():
    for frames in (1, 3, 4):
        codes = make_encoder()(tf.zeros([2, frames, 8, 12, 3]))
        assert {name: tuple(code.shape) for name, code in codes.items()} == {
            "static": (2, 3),
            "transient": (2, frames, 2),
        }


def test_codes_of_a_video_do_not_depend_on_the_order_of_its_frames():
    encoder, video = make_encoder(), tf.random.stateless_normal([2, 4, 8, 12, 3], [1, 2])
    codes, reversed_codes = encoder(video), encoder(video[:, ::-1])
    np.testing.assert_allclose(codes["static"], reversed_codes["static"], atol=1e-6)
    backwards = reversed_codes["transient"][:, ::-1]
    np.testing.assert_allclose(codes["transient"], backwards, atol=1e-6)
    assert np.abs(codes["transient"] - reversed_codes["transient"]).max() > 1e-3


def test_the_loss_is_the_error_of_a_code_times_its_size():
    encoder, video = make_encoder(), tf.random.stateless_normal([2, 4, 8, 12, 3], [1, 2])
    codes = {"static": tf.ones([2, 3]), "transient": tf.zeros([2, 4, 2])}
    guess = {name: code.numpy() for name, code in encoder(video).items()}
    by_hand = 3 * np.mean((guess["static"] - 1.0) ** 2) + 2 * np.mean(guess["transient"] ** 2)
    assert float(encoder.loss(video, codes)) == pytest.approx(by_hand, rel=1e-5)


def test_an_encoder_comes_back_from_its_config_and_weights():
    encoder, video = make_encoder(), tf.random.stateless_normal([2, 4, 8, 12, 3], [1, 2])
    again = CodeEncoder.from_config(encoder.get_config())
    again.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(again(video)["transient"], encoder(video)["transient"])
