import numpy as np
import pytest

from kerasvid.models.glo import GLO
from kerasvid.models.image_gan import ImageGAN
from kerasvid.models.rjgan import RJGAN
from kerasvid.models.rjvae import RJVAE
from kerasvid.training.loop import adopt_weights, parts_of

SMALL = {"image_shape": (16, 16, 3)}


def values_of(layer):
    return [weight.numpy() for weight in layer.weights]


@pytest.mark.parametrize(("source", "target"), [(ImageGAN, RJGAN), (RJGAN, ImageGAN)])
def test_an_image_generator_and_its_discriminator_go_both_ways(source, target):
    lender, model = (cls.from_preset("debug", **SMALL) for cls in (source, target))
    before = {name: values_of(layer) for name, layer in parts_of(model).items()}
    taken, rest = adopt_weights(model, lender)
    assert taken == ["decoder", "image_discriminator"]
    assert rest == (["residual", "video_discriminator"] if target is RJGAN else [])
    for name, layer in parts_of(model).items():
        expected = values_of(parts_of(lender)[name]) if name in taken else before[name]
        for value, other in zip(values_of(layer), expected, strict=True):
            np.testing.assert_array_equal(value, other)
    decoders = zip(before["decoder"], values_of(model.decoder), strict=True)
    assert any((one != other).any() for one, other in decoders)


def test_learned_codes_are_lent_without_their_momentum():
    lender, model = (GLO.from_preset("debug", **SMALL, frames=2, videos=3) for _ in range(2))
    lender.frame_codes.momentum.assign(0.5 + lender.frame_codes.momentum)
    taken, _ = adopt_weights(model, lender)
    assert "frame_codes" in taken
    np.testing.assert_array_equal(model.frame_codes.codes, lender.frame_codes.codes)
    assert not model.frame_codes.momentum.numpy().any()
    assert lender.frame_codes.momentum.numpy().all()


def test_parts_of_other_sizes_begin_anew():
    lender = ImageGAN.from_preset("debug", **SMALL, latent_dim=5)
    taken, rest = adopt_weights(RJGAN.from_preset("debug", **SMALL), lender)
    assert taken == ["image_discriminator"] and "decoder" in rest


def test_models_with_nothing_in_common_are_refused_in_one_line():
    lender = RJVAE.from_preset("debug", **SMALL)
    with pytest.raises(ValueError, match="a RJVAE lends a RJGAN nothing: decoder of other sizes"):
        adopt_weights(RJGAN.from_preset("debug", **SMALL), lender)
