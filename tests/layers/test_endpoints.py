import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.endpoints import (
    EndpointsEncoder,
    TimedDecoder,
    composed,
    frame_times,
    straight,
    time_features,
    with_exact_endpoints,
)

ENCODER = {"channels": (4,), "strides": (2,), "features": 6}
DECODER = {"dense_units": (8,), "seed_channels": 4, "channels": (4,), "upsampling": (2,)}


@pytest.fixture
def ends():
    """Two frames `[3, 8, 8, 3]` of Gaussian pixels."""
    random = np.random.default_rng(0)
    return [tf.constant(random.normal(size=[3, 8, 8, 3]), tf.float32) for _ in range(2)]


@pytest.mark.parametrize("frames", [2, 3, 30])
def test_times_go_from_0_to_1_in_equal_steps(frames):
    rows = frame_times(2, frames).numpy()
    np.testing.assert_allclose(rows, [np.linspace(0, 1, frames)] * 2, atol=1e-7)
    assert (rows[:, 0] == 0.0).all() and (rows[:, -1] == 1.0).all()


def test_a_single_frame_is_refused():
    with pytest.raises(ValueError, match="frames=1 must be at least 2") as error:
        frame_times(1, 1)
    assert "\n" not in str(error.value)


def test_the_features_of_a_time_are_itself_and_four_waves():
    times = np.float32([[0.0, 0.3, 1.0]])
    features = time_features(tf.constant(times)).numpy()
    waves = [np.pi * n * times for n in (1, 2, 3, 4)]
    expected = [2.0 * times - 1.0, *map(np.sin, waves), *map(np.cos, waves)]
    np.testing.assert_allclose(features, np.stack(expected, axis=-1), atol=1e-6)


def test_frames_equal_the_endpoints_at_times_0_and_1_alone(ends):
    times, drawn = frame_times(3, 100), tf.random.stateless_normal([3, 100, 8, 8, 3], [1, 2])
    shown = with_exact_endpoints(drawn, *ends, times)
    np.testing.assert_array_equal(shown[:, 0], ends[0])
    np.testing.assert_array_equal(shown[:, -1], ends[1])
    for number in (1, 2, 30):
        s = number / 99.0
        gate = 1.0 - (2.0 * s - 1.0) ** 64
        between = (1.0 - s) * ends[0] + s * ends[1]
        expected = gate * drawn[:, number] + (1.0 - gate) * between
        np.testing.assert_allclose(shown[:, number], expected, atol=1e-5)
    np.testing.assert_allclose(shown[:, 30], drawn[:, 30], atol=1e-6)
    np.testing.assert_array_equal(straight(*ends, times)[:, -1], ends[1])


def test_one_network_encodes_both_endpoints(ends):
    encoder = EndpointsEncoder(4, ENCODER)
    codes = encoder(*ends)
    assert codes.shape == (3, 8) and codes.dtype == tf.float32
    swapped = encoder(*ends[::-1])
    np.testing.assert_allclose(codes[:, :4], swapped[:, 4:], atol=1e-6)
    assert np.abs(codes[:, :4] - codes[:, 4:]).max() > 1e-3


def test_a_frame_depends_on_its_own_time_alone(ends):
    decoder = TimedDecoder((8, 8, 3), 16, decoder={**DECODER, "patch": 2})
    latents, times = tf.random.stateless_normal([3, 5], [3, 4]), frame_times(3, 5)
    frames = decoder(latents, times, *ends)
    assert frames.shape == (3, 5, 8, 8, 3)
    np.testing.assert_allclose(decoder(latents, times[:, 1:3], *ends), frames[:, 1:3], atol=1e-6)
    assert all(np.abs(frames[:, t] - frames[:, t + 1]).max() > 1e-3 for t in range(4))


def test_bounded_colours_go_through_a_tanh_and_the_rest_is_as_it_was(ends):
    latents, times = 100.0 * tf.random.stateless_normal([3, 5], [3, 4]), frame_times(3, 4)
    decoder = TimedDecoder(
        (8, 8, 3), 16, bounded=True, warping=True, decoder={**DECODER, "patch": 2}
    )
    shown = decoder(latents, times, *ends)
    features = decoder.time_layer(time_features(times))  # [B, T, units]
    hidden = tf.nn.leaky_relu(decoder.latent_layer(latents)[:, None] + features)
    raw = tf.stack([decoder.decoder(hidden[:, t]) for t in range(4)], axis=1)
    assert np.abs(raw[..., :3]).max() > 1.5
    tame = [tf.clip_by_value(end, -1.0, 1.0) for end in ends]
    assert np.abs(decoder(latents, times, *tame)).max() <= 1.0 + 1e-6
    expected = composed(tf.concat([tf.tanh(raw[..., :3]), raw[..., 3:]], -1), *ends, times)
    np.testing.assert_allclose(shown, expected, atol=1e-5)
