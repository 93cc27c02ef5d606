"""What holds for every model that draws a whole clip at once, by one latent vector."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.gan import FixedLength
from kerasvid.models.registry import MODELS, model_class

FIXED = [name for name in MODELS if issubclass(model_class(name), FixedLength)]


@pytest.fixture(params=FIXED)
def make_model(request):
    """A function from overrides to a small model of 4 frames."""
    cls = model_class(request.param)

    def make(score="patch", **overrides):
        discriminator = {**cls.PRESETS["debug"]["video_discriminator"], "score": score}
        small = {"image_shape": (16, 16, 3), "frames": 4, "video_discriminator": discriminator}
        return cls.from_preset("debug", **{**small, **overrides})

    return make


@pytest.fixture
def videos(moving_squares):
    return moving_squares(3, 4)


def test_vgan_and_tgan_have_a_fixed_length():
    assert {"vgan", "tgan"} <= set(FIXED)


def test_a_longer_clip_is_refused_in_one_line(make_model, moving_squares):
    model = make_model()
    model.compile("adam", jit_compile=False)
    for ask in (
        lambda: model.sample_noise(1, frames=5),
        lambda: model.generate(1, frames=5),
        lambda: model.fit(moving_squares(2, 5), verbose=0),
        lambda: model.evaluate(moving_squares(2, 5), verbose=0),
    ):
        with pytest.raises(ValueError, match=r"frames=5: .* at most 4 frames") as error:
            ask()
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_discriminator_of_patches_trains_on_shorter_clips(make_model, videos):
    model = make_model()
    before = [weight.numpy() for weight in model.network_variables()["generator"]]
    model.compile("adam", jit_compile=False, seed=3)
    model.fit(videos[:, :3], batch_size=len(videos), verbose=0)
    after = model.network_variables()["generator"]
    assert all((a != b.numpy()).any() for a, b in zip(before, after, strict=True))


def test_a_discriminator_of_whole_clips_takes_those_alone(make_model, videos):
    model = make_model(score="full")
    model.compile("adam", jit_compile=False)
    for method in (model.fit, model.evaluate):
        with pytest.raises(
            ValueError, match="Clips of 3 frames do not fit a full score of clips of 4"
        ) as error:
            method(videos[:, :3], verbose=0)
        assert "\n" not in str(error.value)


def test_generation_compiles_and_gives_the_same_clips(make_model):
    model = make_model()
    noise = model.sample_noise(2, frames=3, seed=1)
    assert list(noise) == ["latent"]
    compiled = tf.function(lambda noise: model(noise, frames=3), jit_compile=True)
    np.testing.assert_allclose(compiled(noise), model(noise, frames=3), atol=1e-5)


@pytest.mark.slow
def test_a_discriminator_of_whole_clips_compiles_in_bfloat16(make_model, videos, precision):
    precision("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    model = make_model(score="full")
    model.compile("adam", jit_compile=True)
    logs = model.fit(videos, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
