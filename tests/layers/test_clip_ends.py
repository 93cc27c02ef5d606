import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.clip_ends import (
    EndsEncoder,
    PlacedDecoder,
    place_features,
    places,
    straight,
    with_exact_ends,
)

ENCODER = {"channels": (4,), "strides": (2,), "features": 6}
DECODER = {"dense_units": (8,), "seed_channels": 4, "channels": (4,), "upsampling": (2,)}


@pytest.fixture
def ends():
    """Two frames `[3, 8, 8, 3]` of Gaussian pixels."""
    random = np.random.default_rng(0)
    return [tf.constant(random.normal(size=[3, 8, 8, 3]), tf.float32) for _ in range(2)]


@pytest.mark.parametrize("frames", [2, 3, 30])
def test_places_go_from_0_to_1_in_equal_steps(frames):
    rows = places(2, frames).numpy()
    np.testing.assert_allclose(rows, [np.linspace(0, 1, frames)] * 2, atol=1e-7)
    assert (rows[:, 0] == 0.0).all() and (rows[:, -1] == 1.0).all()


def test_a_single_frame_has_no_two_ends():
    with pytest.raises(ValueError, match="frames=1 must be at least 2") as error:
        places(1, 1)
    assert "\n" not in str(error.value)


def test_no_two_places_of_a_long_clip_are_told_alike():
    told = place_features(places(1, 64))[0].numpy()  # [64, F]
    gaps = np.abs(told[:, None] - told[None]).max(axis=-1) + np.eye(64)
    assert gaps.min() > 0.03


def test_frames_turn_into_the_ends_at_their_places_alone(ends):
    place, drawn = places(3, 5), tf.random.stateless_normal([3, 5, 8, 8, 3], [1, 2])
    shown = with_exact_ends(drawn, *ends, place)
    np.testing.assert_array_equal(shown[:, 0], ends[0])
    np.testing.assert_array_equal(shown[:, -1], ends[1])
    gate = 1.0 - 0.5**16
    between = 0.75 * ends[0] + 0.25 * ends[1]
    expected = gate * drawn[:, 1] + (1.0 - gate) * between
    np.testing.assert_allclose(shown[:, 1], expected, atol=1e-6)
    np.testing.assert_array_equal(shown[:, 2], drawn[:, 2])
    np.testing.assert_array_equal(straight(*ends, place)[:, -1], ends[1])


def test_one_network_codes_both_ends(ends):
    encoder = EndsEncoder(4, ENCODER)
    codes = encoder(*ends)
    assert codes.shape == (3, 8) and codes.dtype == tf.float32
    swapped = encoder(*ends[::-1])
    np.testing.assert_allclose(codes[:, :4], swapped[:, 4:], atol=1e-6)
    assert np.abs(codes[:, :4] - codes[:, 4:]).max() > 1e-3


def test_a_frame_depends_on_its_place_and_not_on_the_others(ends):
    decoder = PlacedDecoder((8, 8, 3), 16, decoder={**DECODER, "patch": 2})
    latents, place = tf.random.stateless_normal([3, 5], [3, 4]), places(3, 5)
    frames = decoder(latents, place, *ends)
    assert frames.shape == (3, 5, 8, 8, 3)
    np.testing.assert_allclose(decoder(latents, place[:, 1:3], *ends), frames[:, 1:3], atol=1e-6)
    assert all(np.abs(frames[:, t] - frames[:, t + 1]).max() > 1e-3 for t in range(4))


def test_bounded_colours_stay_in_the_range_and_the_rest_is_as_it_was(ends):
    latents, place = 100.0 * tf.random.stateless_normal([3, 5], [3, 4]), places(3, 4)
    options = {"decoder": {**DECODER, "patch": 2}, "warping": True}
    free, bounded = (PlacedDecoder((8, 8, 3), 16, bounded=b, **options) for b in (False, True))
    ends = [tf.clip_by_value(end, -1.0, 1.0) for end in ends]
    wild = free(latents, place, *ends)
    bounded(latents, place, *ends)
    bounded.set_weights(free.get_weights())
    tame = bounded(latents, place, *ends)
    assert np.abs(wild).max() > 1.5 and np.abs(tame).max() <= 1.0 + 1e-6
    assert len(free.decoder.output_layer.bias.shape) == 1
    assert free.decoder.image_shape == (8, 8, 10)
