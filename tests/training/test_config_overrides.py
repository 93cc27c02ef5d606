import pytest

from kerasvid.models.image_gan import ImageGAN
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rjvae import RJVAE
from kerasvid.training.config import apply_settings, parse_assignments


def test_values_are_json_python_or_text():
    given = ["a=64", "b=[64,128]", "c=(1, 2)", "d=true", "e=2e-4", "f=full", "g.h=None"]
    expected = {
        "a": 64,
        "b": [64, 128],
        "c": (1, 2),
        "d": True,
        "e": 2e-4,
        "f": "full",
        "g.h": None,
    }
    assert parse_assignments(given) == expected


@pytest.mark.parametrize(
    ("given", "message"), [(["a"], "key=value"), (["=3"], "key=value"), (["a=1", "a=2"], "twice")]
)
def test_what_is_no_assignment_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        parse_assignments(given)


def test_settings_replace_parts_and_leave_the_preset_alone():
    values = {"latent_dim": 5, "encoder.features": 7, "training.batch_size": 3}
    chosen, training = apply_settings(RJVAE, "debug", values)
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
        ("image_shape", [8, 8, 3], "no such key"),
        ("latent_dim", "many", "a whole number"),
        ("latent_dim", True, "a whole number"),
        ("encoder.channels", 3, "a list, each item a whole number"),
        ("training.learning_rate", "fast", "a number"),
        ("latent_dim", 8.5, "a whole number"),
        ("prior_momentum", "abc", "a number or None"),
        ("decoded_frames", "abc", "a whole number or None"),
        ("encoder.channels", ["a", 2], "a list, each item a whole number"),
        ("training.frames", "abc", "a whole number or None"),
        ("training.frames", 0, "training.frames=0: frames=0 must be 1 or more, or None"),
        ("training.learning_rate", -1, "learning_rate=-1 must be positive"),
    ],
)
def test_unknown_keys_and_wrong_kinds_are_refused(key, value, message):
    with pytest.raises(ValueError, match=message) as error:
        apply_settings(RJVAE, "debug", {key: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cls", "key", "told"),
    [
        (MoCoGAN, "video_discriminator.categories", "did you mean 'categories'?"),
        (MoCoGAN, "image_discriminator.categories", "did you mean 'categories'?"),
        (ImageGAN, "image_discriminator.categories", "did you mean 'image_discriminator."),
    ],
)
def test_categories_are_the_models_own_and_of_no_part_of_it(cls, key, told):
    with pytest.raises(ValueError, match="no such key") as error:
        apply_settings(cls, "debug", {key: 3})
    assert told in str(error.value) and "discriminator.categories'" not in str(error.value)
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
def test_values_of_the_annotated_type_are_taken(key, value):
    chosen, _ = apply_settings(RJVAE, "debug", {key: value})
    group, _, name = key.rpartition(".")
    assert (chosen[group] if group else chosen)[name] == value
