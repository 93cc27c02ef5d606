"""A new model starts from the weights of the parts that it shares with another."""

import numpy as np
import pytest

from kerasvid.models.glo import GLO
from kerasvid.models.image_gan import ImageGAN
from kerasvid.models.rjgan import RJGAN
from kerasvid.models.rjvae import RJVAE
from kerasvid.training.loop import copy_weights, parts_of

SMALL = {"image_shape": (16, 16, 3)}


def values_of(layer):
    return [weight.numpy() for weight in layer.weights]


@pytest.mark.parametrize(("source", "target"), [(ImageGAN, RJGAN), (RJGAN, ImageGAN)])
def test_an_image_generator_and_its_discriminator_are_copied_both_ways(source, target):
    source_model, model = (cls.from_preset("debug", **SMALL) for cls in (source, target))
    before = {name: values_of(layer) for name, layer in parts_of(model).items()}
    copied, rest = copy_weights(model, source_model)
    assert copied == ["decoder", "image_discriminator"]
    assert rest == (["residual", "video_discriminator"] if target is RJGAN else [])
    for name, layer in parts_of(model).items():
        expected = values_of(parts_of(source_model)[name]) if name in copied else before[name]
        for value, other in zip(values_of(layer), expected, strict=True):
            np.testing.assert_array_equal(value, other)
    decoders = zip(before["decoder"], values_of(model.decoder), strict=True)
    assert any((one != other).any() for one, other in decoders)


def test_learned_codes_are_copied_without_their_momentum():
    source_model, model = (GLO.from_preset("debug", **SMALL, frames=2, videos=3) for _ in range(2))
    source_model.frame_codes.momentum.assign(0.5 + source_model.frame_codes.momentum)
    copied, _ = copy_weights(model, source_model)
    assert "frame_codes" in copied
    np.testing.assert_array_equal(model.frame_codes.codes, source_model.frame_codes.codes)
    assert not model.frame_codes.momentum.numpy().any()
    assert source_model.frame_codes.momentum.numpy().all()


def test_parts_of_other_sizes_are_not_copied():
    source_model = ImageGAN.from_preset("debug", **SMALL, latent_dim=5)
    copied, rest = copy_weights(RJGAN.from_preset("debug", **SMALL), source_model)
    assert copied == ["image_discriminator"] and "decoder" in rest


def test_models_with_nothing_in_common_raise_one_line():
    source_model = RJVAE.from_preset("debug", **SMALL)
    with pytest.raises(
        ValueError, match="no weights of the RJVAE fit the RJGAN: decoder has other sizes"
    ):
        copy_weights(RJGAN.from_preset("debug", **SMALL), source_model)
