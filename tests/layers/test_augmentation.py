"""Augmentation against pixels that were moved, cut and recoloured by hand."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from kerasvid.layers.augmentation import (
    AUGMENTATION_GAUSSIANS,
    AUGMENTATIONS,
    adapted_probability,
    augmented,
)

# Places of the uniform numbers: whether, then how much.
COLOR, TRANSLATION, CUTOUT = 0, 4, 7


def gaussians(*rows):
    """Gaussians whose uniform numbers are 0.5, but for those given by place, one dict a clip."""
    uniform = np.full([len(rows), AUGMENTATION_GAUSSIANS], 0.5, np.float32)
    for row, given in zip(uniform, rows, strict=True):
        for place, value in given.items():
            row[place] = value
    return tfp.distributions.Normal(0.0, 1.0).quantile(uniform)


@pytest.fixture
def clips():
    return np.random.default_rng(0).uniform(-1, 1, [2, 3, 16, 16, 3]).astype("float32")


def test_a_probability_of_zero_changes_nothing(clips):
    same = augmented(clips, tf.random.stateless_normal([2, 10], [0, 0]), AUGMENTATIONS, 0.0)
    np.testing.assert_array_equal(same, clips)


def test_only_clips_whose_number_is_below_the_probability_are_changed(clips):
    given = gaussians({TRANSLATION: 0.2, 5: 0.99}, {TRANSLATION: 0.4, 5: 0.99})
    changed = augmented(clips, given, ["translation"], 0.3).numpy()
    assert np.abs(changed[0] - clips[0]).max() > 0.1
    np.testing.assert_array_equal(changed[1], clips[1])


def test_a_translation_moves_all_frames_by_the_same_pixels_and_fills_with_black(clips):
    # A side of 16 shifts by up to 2: of five shifts, 0.99 is +2 and 0.01 is -2.
    given = gaussians({5: 0.99, 6: 0.5}, {5: 0.5, 6: 0.01})
    moved = augmented(clips, given, ["translation"]).numpy()
    expected = np.full_like(clips, -1.0)
    expected[0, :, 2:] = clips[0, :, :-2]
    expected[1, :, :, :-2] = clips[1, :, :, 2:]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_every_shift_is_equally_frequent():
    image = np.full([1, 16, 16, 1], -1.0, np.float32)
    image[0, 8, 8] = 1.0
    draws = tf.random.stateless_normal([4000, 10], [1, 2])
    moved = augmented(np.repeat(image, 4000, axis=0), draws, ["translation"]).numpy()
    places = np.argmax(moved.reshape(4000, -1), axis=1)
    rows = np.bincount(places // 16, minlength=16)[6:11]
    assert rows.sum() == 4000
    assert rows.min() > 800 - 5 * np.sqrt(800 * 0.8)


def test_a_cutout_is_a_grey_square_of_half_the_sides(clips):
    given = gaussians({8: 8 / 16 + 0.01, 9: 4 / 16 + 0.01}, {8: 0.0, 9: 0.0})
    cut = augmented(clips, given, ["cutout"]).numpy()
    expected = clips.copy()
    expected[0, :, 4:12, 0:8] = 0.0
    expected[1, :, 0:4, 0:4] = 0.0
    np.testing.assert_array_equal(cut, expected)


def test_colours_change_by_brightness_then_saturation_then_contrast(clips):
    given = gaussians({1: 0.75, 2: 0.25, 3: 0.9}, {1: 0.1, 2: 0.5, 3: 0.5})
    changed = augmented(clips, given, ["color"]).numpy()
    bright = clips[0] + 0.25
    grey = bright.mean(axis=-1, keepdims=True)
    pale = grey + 0.5 * (bright - grey)
    np.testing.assert_allclose(changed[0], pale.mean() + 1.4 * (pale - pale.mean()), atol=1e-5)
    np.testing.assert_allclose(changed[1], clips[1] - 0.4, atol=1e-5)


def test_gradients_pass_through_every_change(clips):
    variable = tf.Variable(clips)
    with tf.GradientTape() as tape:
        changed = augmented(variable, tf.random.stateless_normal([2, 10], [3, 4]), AUGMENTATIONS)
        loss = tf.reduce_sum(changed)
    gradient = tape.gradient(loss, variable).numpy()
    assert np.abs(gradient).max() > 0.1
    step = 1e-2 * np.sign(gradient)
    again = augmented(clips + step, tf.random.stateless_normal([2, 10], [3, 4]), AUGMENTATIONS)
    gained = float(tf.reduce_sum(again) - loss)
    assert gained == pytest.approx(float(np.sum(gradient * step)), rel=1e-3)


def test_frames_are_changed_as_clips_of_one_frame_are(clips):
    draws = tf.random.stateless_normal([2, 10], [5, 6])
    frames = augmented(clips[:, 0], draws, AUGMENTATIONS)
    np.testing.assert_array_equal(frames, augmented(clips[:, :1], draws, AUGMENTATIONS)[:, 0])


def test_an_unknown_kind_is_refused_in_one_line(clips):
    with pytest.raises(ValueError, match=r"'flip' is unknown: use color, translation") as error:
        augmented(clips, tf.zeros([2, 10]), ["flip"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "sign", "after"),
    [(0.5, 0.8, 0.51), (0.5, 0.2, 0.49), (0.995, 1.0, 1.0), (0.0, -1.0, 0.0)],
)
def test_the_probability_moves_towards_the_target_within_its_range(before, sign, after):
    moved = adapted_probability(tf.constant(before), tf.constant(sign), 0.6, 0.01)
    assert float(moved) == pytest.approx(after, abs=1e-6)
