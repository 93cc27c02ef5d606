"""The class of a generated video, among its noise."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.categories import (
    CATEGORY,
    category_code,
    category_of,
    checked_labels,
    class_number,
    label_code,
    with_label,
)


@pytest.fixture
def noise():
    drawn = np.random.default_rng(0).normal(size=[4, 3])
    return {CATEGORY: tf.constant(drawn, tf.float32), "latent": tf.ones([4, 2])}


def test_the_largest_entry_of_the_noise_is_the_class(noise):
    expected = np.argmax(noise[CATEGORY], axis=1)
    np.testing.assert_array_equal(category_of(noise), expected)
    np.testing.assert_array_equal(category_code(noise), np.eye(3)[expected])
    assert category_code({"latent": tf.ones([4, 2])}) is None


def test_a_row_of_zeros_is_an_unknown_class(noise):
    zeros = {CATEGORY: tf.zeros([2, 3])}
    np.testing.assert_array_equal(category_code(zeros), np.zeros([2, 3]))
    np.testing.assert_array_equal(category_of(zeros), [-1, -1])


def test_unknown_labels_have_no_class():
    np.testing.assert_array_equal(
        label_code(tf.constant([2, -1, 0], tf.int64), 3, 3), [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    )
    np.testing.assert_array_equal(label_code(None, 2, 3), np.zeros([2, 3]))
    assert label_code(tf.constant([1]), 1, 0) is None


@pytest.mark.parametrize("label", [1, np.int64(1), [1, 1, 1, 1], np.array([1, 1, 1, 1], np.int8)])
def test_a_label_takes_the_place_of_the_drawn_class_alone(noise, label):
    asked = with_label(noise, label)
    np.testing.assert_array_equal(category_of(asked), [1, 1, 1, 1])
    assert asked["latent"] is noise["latent"] and asked[CATEGORY].dtype == tf.float32
    np.testing.assert_array_equal(category_of(with_label(noise, [0, 2, 1, 0])), [0, 2, 1, 0])
    assert with_label(noise, None) == noise


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (3, "label=3: the model has 3 classes, counted from 0."),
        (-1, "label=-1: the model has 3 classes, counted from 0."),
        ([0, 1, 2, 3], "label=[0, 1, 2, 3]: the model has 3 classes, counted from 0."),
        ([0, 1], "label has 2 numbers for 4 videos. Give one a video."),
        (1.0, "label=1.0 must be a whole number, or one for each video."),
        (True, "label=True must be a whole number, or one for each video."),
        ("walk", "label=walk must be a whole number, or one for each video."),
        ([[1]], "label=[[1]] must be a whole number, or one for each video."),
    ],
)
def test_a_wrong_label_is_refused_in_one_line(noise, label, message):
    with pytest.raises(ValueError) as error:
        with_label(noise, label)
    assert str(error.value) == message


def test_a_label_for_a_model_without_classes_is_refused_in_one_line():
    with pytest.raises(ValueError) as error:
        with_label({"latent": tf.zeros([1, 2])}, 0)
    assert str(error.value) == (
        "label=0: the model makes no videos of a class that is asked for. Leave the label out, or "
        "train a model with --set=conditional=true."
    )


def test_labels_of_a_batch_are_numbers_from_minus_1():
    label = checked_labels(tf.constant([-1, 0, 2], tf.int32), 3, categories=3)
    assert label.dtype == tf.int64
    np.testing.assert_array_equal(label, [-1, 0, 2])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([0, 3], "not from -1 to 2: there are 3 classes"),
        ([0, -2], "not from -1 to 2"),
        ([0.0, 1.0], "float32 of shape"),
        ([[0], [1]], "must be whole numbers of shape"),
        ([0, 1, 2], "3 numbers for 2 videos"),
    ],
)
def test_wrong_labels_of_a_batch_are_refused_in_one_line(label, message):
    with pytest.raises(ValueError, match=message) as error:
        checked_labels(tf.constant(label), 2, categories=3)
    assert "\n" not in str(error.value)


def test_wrong_labels_are_found_in_a_graph_too():
    checked = tf.function(lambda label: checked_labels(label, 2, 3), autograph=False)
    np.testing.assert_array_equal(checked(tf.constant([0, 2])), [0, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not from -1 to 2"):
        checked(tf.constant([0, 3]))


def test_people_name_a_class_or_give_its_number():
    names = ["walk", "slash"]
    assert class_number("slash", names) == class_number("1", names) == 1
    assert class_number("7", []) == 7
    with pytest.raises(ValueError, match="label=slsh: unknown class; did you mean 'slash'") as e:
        class_number("slsh", names)
    assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match="label=2: unknown class; Known: slash, walk"):
        class_number("2", names)
    with pytest.raises(ValueError, match=r"label=walk: the classes have no names. Give a number"):
        class_number("walk", [])
