"""What models make in one graph, beside what their verbs make."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.generated_clips import (
    filling,
    generated_clips,
    generated_images,
    infilled_clips,
    recall,
    recombination,
    reconstruction,
)
from kerasvid.evaluation.metrics.disentanglement import redrawn_content, redrawn_motion
from kerasvid.models.base.row_noise import noise_of_rows, row_noise
from kerasvid.models.registry import model_class


def small(name, **rest):
    return model_class(name).from_preset("debug", image_shape=(16, 16, 3), frames=4, **rest)


@pytest.fixture(scope="module")
def rjvae():
    return small("rjvae")


@pytest.fixture(scope="module")
def dsa():
    return small("dsa")


@pytest.fixture(scope="module")
def cvae():
    return small("cvae")


def close(made, expected):
    """Alike but for the rounding of a level: another batch size adds in another order."""
    assert made.dtype == np.uint8 and made.shape == expected.shape
    assert np.abs(made.astype(int) - expected).max() <= 1 and (made == expected).mean() > 0.99


def first(batches, count):
    parts = itertools.islice(batches, -(-count // 3))
    return np.concatenate(list(parts))[:count]


def test_rows_of_noise_are_those_of_many_to_the_bit():
    shapes = {"b": (3,), "a": (2, 2)}
    whole, some = row_noise(shapes, 9, seed=2**33 + 5), tf.function(noise_of_rows)
    found = some(shapes, tf.constant([4, 5, 8]), seed=2**33 + 5)
    for name in shapes:
        np.testing.assert_array_equal(found[name], whole[name].numpy()[[4, 5, 8]])
    assert noise_of_rows({}, tf.range(3)) == {}


@pytest.mark.parametrize(("name", "frames"), [("rjvae", None), ("rjvae", 6), ("glo", 3)])
def test_clips_are_the_rows_of_generate_whatever_the_batch(name, frames, request):
    model = request.getfixturevalue("rjvae") if name == "rjvae" else small(name, videos=5)
    expected = model.generate(7, frames, seed=11)
    close(first(generated_clips(model, 3, frames, seed=11), 7), expected)
    assert expected.std() > 0 and not np.array_equal(expected[0], expected[1])


def test_images_are_the_rows_of_generate_images(rjvae):
    made = first(generated_images(rjvae, 3, seed=4), 5)
    close(made[:, 0], rjvae.generate_images(5, seed=4))


def test_clips_are_filled_in_as_by_between(cvae, moving_squares):
    real = moving_squares(5, 4)
    for temperature in (0.0, 1.0):
        made = infilled_clips(cvae, [real[:3], real[3:]], 3, 7, temperature)
        expected = cvae.between(real[:, 0], real[:, -1], 4, 7, temperature)
        close(np.concatenate(list(made)), expected)
    close(filling(cvae, 3, seed=7)(real[3:], 3), expected[3:])


@pytest.mark.parametrize("name", ["dsa", "cvae"])
def test_clips_are_reconstructed_as_by_the_verb(name, request, moving_squares):
    model, clips = request.getfixturevalue(name), moving_squares(5, 4)
    close(reconstruction(model, 8)(clips), model.reconstruct(clips))


def test_learned_clips_are_recalled_by_their_rows(moving_squares):
    model = small("glo", videos=6)
    rows = {key: np.array([5, 0, 2]) for key in ("index", "identity", "label")}
    made = recall(model, 4)({"video": moving_squares(3, 4), **rows})
    close(made, model.recall(index=[5, 0, 2]))


def test_content_and_motion_are_redrawn_as_by_the_metric(dsa, moving_squares):
    clips, seeds = moving_squares(3, 4), np.array([5, 6, 10**6])
    made = recombination(dsa, 4, keep_motion=True)(clips, seeds)
    close(made, redrawn_content(dsa)(clips, seeds))
    close(recombination(dsa, 4, keep_motion=False)(clips, seeds), redrawn_motion(dsa)(clips, seeds))


def test_what_is_not_finite_is_refused_and_not_painted_black():
    model = small("rjvae")
    bias = model.decoder.trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match=r"generated clips: pixels of clip 0 .* not finite"):
        next(generated_clips(model, 2))
