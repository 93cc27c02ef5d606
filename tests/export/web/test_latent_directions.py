"""Leading directions of decoders whose Jacobians are known."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export.signatures import Signature, Tensor
from kerasvid.export.web.directions import closed_form_directions, leading_directions
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rjgan import RJGAN
from kerasvid.models.rjvae import RJVAE


@pytest.fixture
def decoder():
    """A function of maps [D, P] by name to a signature that adds up what they make of its noise."""

    def make(given=(), **maps) -> Signature:
        def decode(**tensors):
            pixels = tf.add_n([tensors[n] @ tf.constant(m, tf.float32) for n, m in maps.items()])
            scale = tensors["first"] if given else 1.0
            return {"video": tf.reshape(scale * pixels, [-1, 2, 2, 3, 1])}

        inputs = {n: Tensor((len(m),), tf.float32, "noise") for n, m in maps.items()}
        endpoints = {name: Tensor((1,), tf.float32, "a frame") for name in given}
        return Signature(decode, {**inputs, **endpoints}, {}, "a linear map", noise=tuple(maps))

    return make


def test_directions_of_a_linear_decoder_are_its_singular_vectors(decoder):
    generator = np.random.default_rng(0)
    map_ = generator.standard_normal((5, 12)).astype(np.float32)
    found = leading_directions(decoder(latent=map_), ["latent"], count=4)
    vectors, values, _ = np.linalg.svd(map_)
    assert len(found) == 4 and {each.noise for each in found} == {"latent"}
    shares = [each.share for each in found]
    np.testing.assert_allclose(shares, values[:4] ** 2 / np.sum(values**2), rtol=1e-4)
    for each, expected in zip(found, vectors.T[:4], strict=True):
        assert each.vector[np.argmax(np.abs(each.vector))] > 0
        assert abs(np.dot(each.vector, expected)) == pytest.approx(1.0, abs=1e-4)


def test_directions_of_several_noises_are_ranked_together(decoder):
    strong, weak = np.zeros([2, 12]), np.zeros([3, 12])
    strong[0, 0], strong[1, 1], weak[2, 5] = 3.0, 1.0, 2.0
    signature = decoder(strong=strong, weak=weak)
    found = leading_directions(signature, ["strong", "weak"])
    assert [each.noise for each in found] == ["strong", "weak", "strong"]  # others change nothing
    np.testing.assert_allclose([each.share for each in found], np.array([9, 4, 1]) / 14, rtol=1e-4)
    np.testing.assert_allclose(found[1].vector, [0, 0, 1], atol=1e-6)


def test_given_inputs_are_used(decoder):
    map_ = np.eye(2, 12) * [[2.0], [1.0]]
    signature = decoder(given=("first",), latent=map_)
    shown = leading_directions(signature, ["latent"], given={"first": np.ones([3, 1])})
    assert [round(each.share, 4) for each in shown] == [0.8, 0.2]
    assert leading_directions(signature, ["latent"], given={"first": np.zeros([1, 1])}) == []


@pytest.mark.parametrize(
    ("cls", "noise", "size"), [(RJGAN, "summary", 12), (MoCoGAN, "content", 8)]
)
def test_directions_in_closed_form_are_singular_vectors_of_the_first_layer(cls, noise, size):
    model = cls.from_preset("debug", frames=4)
    found = closed_form_directions(model, count=3)
    first = model.decoder.seed_layer.kernel.numpy()[:size]
    vectors, values, _ = np.linalg.svd(first.astype(np.float64))
    assert [each.noise for each in found] == [noise] * 3
    shares = [each.share for each in found]
    np.testing.assert_allclose(shares, values[:3] ** 2 / np.sum(values**2), rtol=1e-6)
    for each, expected in zip(found, vectors.T[:3], strict=True):
        assert abs(np.dot(each.vector, expected)) == pytest.approx(1.0, abs=1e-6)


def test_the_first_direction_in_closed_form_changes_the_first_layer_most():
    model = MoCoGAN.from_preset("debug", frames=4, categories=2)
    noise = {name: np.copy(each) for name, each in model.sample_noise(1, seed=0).items()}
    first = closed_form_directions(model)[0]
    layer = model.decoder.first_layer()

    def moved_by(vector):
        other = {**noise, "content": noise["content"] + vector.astype(np.float32)}
        return np.linalg.norm(layer(model.codes(other)[0]) - layer(model.codes(noise)[0]))

    assert moved_by(first.vector) > max(map(moved_by, np.eye(8)))


def test_behind_a_fitted_prior_there_are_no_directions_in_closed_form():
    with pytest.raises(ValueError, match="RJVAE: no noise of a clip enters its decoder directly"):
        closed_form_directions(RJVAE.from_preset("debug", frames=3))
