from typing import Any

import keras

from kerasvid.models.image_gan import ImageGAN
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rmocogan import RMoCoGAN
from kerasvid.naming import constructor_arguments, nearest_names


def test_the_nearest_name_comes_before_the_list():
    assert nearest_names("rjvea", ["rjvae", "dsa"]) == "did you mean 'rjvae'? Known: dsa, rjvae"


def test_capitals_do_not_hide_a_name():
    assert nearest_names("RJVAE", ["rjvae", "dsa"]).startswith("did you mean 'rjvae'?")


def test_a_name_unlike_all_others_gets_only_the_list():
    assert nearest_names("qqqq", ["rjvae", "dsa"]) == "Known: dsa, rjvae"


# === Constructors ===


def test_arguments_of_base_classes_are_found_too():
    found = constructor_arguments(RMoCoGAN)
    assert found["residual_units"] == (int, 128)
    assert found["content_dim"] == (int, 50)  # of MoCoGAN
    assert found["frames"] == (int, 16)  # of FrameGAN
    assert set(found) == {*constructor_arguments(MoCoGAN), "residual_units", "prior_scale"}


def test_a_subclass_overrides_a_default():
    assert constructor_arguments(MoCoGAN)["frames"] == (int, 16)
    assert constructor_arguments(ImageGAN)["frames"] == (int, 1)
    assert "video_discriminator" not in constructor_arguments(ImageGAN)


def test_arguments_of_keras_and_those_without_a_default_are_left_out():
    found = constructor_arguments(RMoCoGAN)
    assert not {"self", "kwargs", "args", "trainable", "dtype", "autocast", "name"} & set(found)
    assert constructor_arguments(keras.layers.Dense) == {}


def test_an_argument_without_an_annotation_may_be_anything():
    class Loose:
        def __init__(self, needed, loose=3, whole: int = 4, *, last: str = "x"):
            pass

    Loose.__module__ = "kerasvid.somewhere"
    expected = {"loose": (Any, 3), "whole": (int, 4), "last": (str, "x")}
    assert constructor_arguments(Loose) == expected
