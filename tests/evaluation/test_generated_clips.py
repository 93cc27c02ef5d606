"""Clips of models in one graph, compared with those of their public methods."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.generated_clips import (
    clips_of_labels,
    clips_of_rows,
    generated_clips,
    generated_images,
    infilling,
    recall,
    recombination,
    recombined_clips,
    reconstruction,
)
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
def test_clips_are_the_rows_of_generate_in_any_batches(name, frames, request):
    model = request.getfixturevalue("rjvae") if name == "rjvae" else small(name, videos=5)
    expected = model.generate(7, frames, seed=11)
    close(first(generated_clips(model, 3, frames, seed=11), 7), expected)
    assert expected.std() > 0 and not np.array_equal(expected[0], expected[1])


@pytest.mark.parametrize("batch", [4, 5])
def test_devices_share_the_clips_of_a_batch(rjvae, strategy_of, tmp_path, batch):
    rjvae.save(tmp_path / "model.keras")
    with strategy_of(2).scope():
        model = keras.saving.load_model(tmp_path / "model.keras", compile=False)
        made = next(generated_clips(model, batch, seed=11))
        again = reconstruction(model, 4)(made[:3])
        videos, _ = clips_of_rows(model, batch, seed=11)(2)
    close(made, rjvae.generate(batch, seed=11))
    close(videos, rjvae.generate(batch + 2, seed=11)[2:])
    close(again, reconstruction(rjvae, 3)(made[:3]))


def test_images_are_the_rows_of_generate_images(rjvae):
    made = first(generated_images(rjvae, 3, seed=4), 5)
    close(made[:, 0], rjvae.generate_images(5, seed=4))


def test_noise_is_recombined_as_by_the_public_method():
    model = small("rmocogan")
    made = first(recombined_clips(model, 3, 5, content_seed=4, motion_seed=9), 5)
    content_of, motion_of = (model.sample_noise(5, 5, seed) for seed in (4, 9))
    close(made, model.recombine(content_of, motion_of))
    same = first(recombined_clips(model, 3, 5, 4, 4), 5)
    np.testing.assert_array_equal(same, first(generated_clips(model, 3, 5, seed=4), 5))


def test_clips_are_infilled_as_by_between(cvae, moving_squares):
    real = moving_squares(5, 4)
    for temperature in (0.0, 1.0):
        made = map(infilling(cvae, 3, 7, temperature), [real[:3], real[3:]])
        expected = cvae.between(real[:, 0], real[:, -1], 4, 7, temperature)
        close(np.concatenate(list(made)), expected)


def test_clips_are_infilled_with_the_classes_that_are_given(moving_squares):
    model, real = small("cvae", categories=3), moving_squares(5, 4)
    model.set_weights([3.0 * weight + 0.05 for weight in model.get_weights()])
    model.video_prior.class_means.assign(np.random.default_rng(0).normal(size=[3, 8], scale=9.0))
    labels = np.array([2, 0, 1, 2, 0])
    made = map(infilling(model, 3, 7, labels=labels), [real[:3], real[3:]])
    expected = model.between(real[:, 0], real[:, -1], 4, 7, label=labels)
    close(np.concatenate(list(made)), expected)
    drawn = map(infilling(model, 3, 7, labels=np.full(5, -1)), [real[:3], real[3:]])
    drawn = np.concatenate(list(drawn))
    close(drawn, model.between(real[:, 0], real[:, -1], 4, 7))
    assert (drawn != expected).any()


@pytest.mark.parametrize("name", ["dsa", "cvae"])
def test_clips_are_reconstructed_as_by_the_public_method(name, request, moving_squares):
    model, clips = request.getfixturevalue(name), moving_squares(5, 4)
    close(reconstruction(model, 8)(clips), model.reconstruct(clips))


def test_learned_clips_are_recalled_by_their_rows(moving_squares):
    model = small("glo", videos=6)
    rows = {key: np.array([5, 0, 2]) for key in ("index", "identity", "label")}
    made = recall(model, 4)({"video": moving_squares(3, 4), **rows})
    close(made, model.recall(index=[5, 0, 2]))


def test_content_and_motion_are_redrawn_as_by_the_public_methods(
    dsa, moving_squares, redrawn_one_by_one
):
    clips, seeds = moving_squares(3, 4), np.array([5, 6, 10**6])
    for keep_motion in (True, False):
        expected = redrawn_one_by_one(dsa, keep_motion)(clips, seeds)
        close(recombination(dsa, 4, keep_motion)(clips, seeds), expected)


def test_content_is_drawn_from_the_prior_and_motion_is_that_of_the_clip(dsa, moving_squares):
    clips, seeds = moving_squares(3, 4), np.array([5, 6, 7])
    encoded, size = dsa.encode(clips), dsa.content_dim
    found = [recombination(dsa, 3, keep_motion)(clips, seeds) for keep_motion in (True, False)]
    for row, seed in enumerate(seeds):
        drawn = dsa.codes(dsa.sample_noise(1, 4, int(seed))).numpy()[0]  # [T, D + E]
        own_content = np.tile(encoded["content"].numpy()[row], [4, 1])
        expected = (
            np.concatenate([drawn[:, :size], encoded["motion"][row]], axis=1),
            np.concatenate([own_content, drawn[:, size:]], axis=1),
        )
        for shown, codes in zip(found, expected, strict=True):
            frames = dsa.decode(codes[None]).numpy()[0]
            assert shown.dtype == np.uint8
            np.testing.assert_allclose(shown[row], (frames + 1.0) * 127.5, atol=0.6)


def test_clips_that_are_not_finite_are_an_error_and_not_black():
    model = small("rjvae")
    bias = model.decoder.trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match=r"generated clips: pixels of clip 0 .* not finite"):
        next(generated_clips(model, 2))


def test_clips_of_every_label_in_turn_are_those_of_generate():
    model = small("mocogan", categories=3)
    made = np.concatenate([*itertools.islice(clips_of_labels(model, 4, seed=2), 2)])
    close(made, model.generate(8, seed=2, label=np.arange(8) % 3))
    other = model.generate(8, seed=2, label=(np.arange(8) + 1) % 3)
    assert (np.abs(made.astype(int) - other).max(axis=(1, 2, 3, 4)) > 1).all()
