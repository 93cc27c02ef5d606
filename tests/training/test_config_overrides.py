"""Settings by dotted key, as `--set` gives them: known keys, types and ranges."""

import pytest

from kerasvid.models.image_gan import ImageGAN
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rjvae import RJVAE
from kerasvid.training.config import apply_overrides


def test_settings_replace_parts_of_a_copy_of_the_preset():
    values = {"latent_dim": 5, "encoder.features": 7, "training.batch_size": 3}
    chosen, training = apply_overrides(RJVAE, "debug", values)
    preset = RJVAE.PRESETS["debug"]
    assert chosen["latent_dim"] == 5 and chosen["encoder"]["features"] == 7
    assert chosen["encoder"]["channels"] == preset["encoder"]["channels"]
    assert training.batch_size == 3 and training.steps == RJVAE.TRAINING["debug"].steps
    assert preset["latent_dim"] != 5 and preset["encoder"]["features"] != 7


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("latent_dimm", 3, "did you mean 'latent_dim'"),
        ("encoder.chanels", [3], "did you mean 'encoder.channels'"),
        ("batch_size", 3, "did you mean 'training.batch_size'"),
        ("image_shape", [8, 8, 3], "unknown key"),
        ("latent_dim", "many", "a whole number"),
        ("latent_dim", True, "a whole number"),
        ("encoder.channels", 3, "a list, each item a whole number"),
        ("training.learning_rate", "fast", "a number"),
        ("latent_dim", 8.5, "a whole number"),
        ("prior_momentum", "abc", "a number or None"),
        ("decoded_frames", "abc", "a whole number or None"),
        ("encoder.channels", ["a", 2], "a list, each item a whole number"),
        ("training.frames", "abc", "a whole number or None"),
        ("training.frames", 0, "training.frames=0: frames=0 "),
        ("training.learning_rate", -1, "training.learning_rate=-1: learning_rate=-1 "),
    ],
)
def test_unknown_keys_and_wrong_types_raise_one_line(key, value, message):
    with pytest.raises(ValueError, match=message) as error:
        apply_overrides(RJVAE, "debug", {key: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cls", "key", "advice"),
    [
        (MoCoGAN, "video_discriminator.categories", "did you mean 'categories'?"),
        (MoCoGAN, "image_discriminator.categories", "did you mean 'categories'?"),
        (ImageGAN, "image_discriminator.categories", "did you mean 'image_discriminator."),
    ],
)
def test_categories_are_set_for_the_model_and_not_for_a_part(cls, key, advice):
    with pytest.raises(ValueError, match="unknown key") as error:
        apply_overrides(cls, "debug", {key: 3})
    assert advice in str(error.value) and "discriminator.categories'" not in str(error.value)
    assert ("categories" in str(error.value).split("Known: ")[1].split(", ")) == (cls is MoCoGAN)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prior_momentum", None),
        ("prior_momentum", 0.9),
        ("prior_scale", 2),
        ("encoder.channels", (8, 16)),
        ("decoder.transposed", True),
        ("encoder.normalization", "batch"),
    ],
)
def test_values_of_the_annotated_type_are_accepted(key, value):
    chosen, _ = apply_overrides(RJVAE, "debug", {key: value})
    group, _, name = key.rpartition(".")
    assert (chosen[group] if group else chosen)[name] == value
