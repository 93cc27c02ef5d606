import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid import distributions
from kerasvid.layers.recurrent import (
    NoiseGRU,
    RecurrentPrior,
    bidirectional_lstm,
    over_frames,
)


def gaussian(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def make_prior(condition=None, scale=1.0, **kwargs):
    """A prior with random weights: fresh ones have zero biases."""
    prior = RecurrentPrior(latent_dim=3, units=5, scale=scale, **kwargs)
    prior.build([None, None, 3], None if condition is None else condition.shape)
    generator = np.random.default_rng(1)
    prior.set_weights([generator.normal(size=w.shape) * 0.5 for w in prior.get_weights()])
    return prior


@pytest.fixture(params=["free", "conditioned"])
def condition(request):
    return gaussian(2, 4, seed=7) if request.param == "conditioned" else None


# === Bidirectional LSTM ===


@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_bidirectional_lstm_runs_its_cells_both_ways(return_sequences):
    sequence = gaussian(2, 4, 3)
    layer = bidirectional_lstm(5, return_sequences)
    outputs = layer(sequence)
    ways = []
    for one, frames in ((layer.forward_layer, range(4)), (layer.backward_layer, range(3, -1, -1))):
        states, path = one.cell.get_initial_state(batch_size=2), {}
        for frame in frames:
            path[frame], states = one.cell(sequence[:, frame], states)
        ways.append(path)
    at = [(0, 0), (1, 1), (2, 2), (3, 3)] if return_sequences else [(3, 0)]
    expected = [np.concatenate([ways[0][f], ways[1][b]], axis=-1) for f, b in at]
    np.testing.assert_allclose(
        outputs, np.squeeze(np.stack(expected, 1), () if return_sequences else 1), atol=1e-6
    )


# === The learned prior ===


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_teacher_forcing_on_a_rollout_gives_the_steps_the_rollout_took(condition, scale):
    prior, noise = make_prior(condition, scale), gaussian(2, 4, 3)
    latents = prior.rollout(noise, condition)
    forced = prior.teacher_forced(latents, condition)
    np.testing.assert_allclose(forced.mean() + forced.stddev() * noise, latents, atol=1e-5)


def test_the_rollout_follows_the_cell_by_hand(condition):
    prior, noise = make_prior(condition, scale=0.7), gaussian(2, 3, 3)
    previous, states = tf.zeros([2, 3]), [tf.zeros([2, 5]), tf.zeros([2, 5])]
    for step in range(3):
        joined = previous if condition is None else tf.concat([previous, condition], -1)
        output, states = prior.cell(joined, states)
        mean, raw = np.split(prior.head(output).numpy(), 2, axis=-1)
        deviation = np.log1p(np.exp(raw + np.log(np.e - 1.0))) + distributions.SCALE_FLOOR
        previous = tf.constant(mean + 0.7 * deviation * noise[:, step].numpy(), tf.float32)
        rolled = prior.rollout(noise, condition)[:, step]
        np.testing.assert_allclose(rolled, previous, atol=1e-5)


def test_a_rollout_without_noise_is_the_path_of_the_means(condition):
    prior = make_prior(condition)
    path = prior.rollout(tf.zeros([2, 4, 3]), condition)
    np.testing.assert_allclose(prior.teacher_forced(path, condition).mean(), path, atol=1e-6)
    assert np.abs(path.numpy()).max() > 0.01


def test_a_step_of_teacher_forcing_depends_on_earlier_latents_only(condition):
    prior, latents = make_prior(condition), gaussian(2, 4, 3)
    before = prior.teacher_forced(latents, condition)
    for changed in range(4):
        bump = tf.one_hot(changed, 4)[None, :, None]
        after = prior.teacher_forced(latents + bump, condition)
        for one, other in ((before.mean(), after.mean()), (before.stddev(), after.stddev())):
            moved = np.abs(one - other).max(axis=(0, 2))  # [T]
            assert (moved[: changed + 1] == 0).all()
            assert (moved[changed + 1 :] > 1e-5).all()


def test_the_condition_reaches_every_step():
    condition = gaussian(2, 4)
    prior, latents = make_prior(condition), gaussian(2, 4, 3)
    before = prior.teacher_forced(latents, condition).mean()
    after = prior.teacher_forced(latents, condition + 1.0).mean()
    assert (np.abs(before - after).max(axis=(0, 2)) > 1e-3).all()


def test_an_untrained_prior_is_about_as_wide_as_its_scale():
    prior = RecurrentPrior(latent_dim=3, units=5, scale=0.2)
    prior.build([None, None, 3])
    deviation = prior.teacher_forced(tf.zeros([1, 1, 3])).stddev()
    # The first step sees zeros alone, so that its raw output is zero.
    np.testing.assert_allclose(deviation, np.full([1, 1, 3], 0.2), rtol=0.02)


def test_latents_stay_float32_where_the_cell_computes_in_bfloat16():
    prior = make_prior(dtype="mixed_bfloat16")
    assert prior.cell.compute_dtype == "bfloat16"
    assert prior.rollout(gaussian(2, 4, 3)).dtype == tf.float32
    assert prior.teacher_forced(gaussian(2, 4, 3)).mean().dtype == tf.float32
    assert prior(gaussian(2, 4, 3)).dtype == tf.float32
    latents = gaussian(2, 4, 3)
    full = make_prior().rollout(latents)
    np.testing.assert_allclose(prior.rollout(latents), full, atol=0.1)


# === The GRU of noise ===


def make_gru(condition=None, **kwargs):
    """A GRU of 4 units with random weights: fresh ones have zero biases."""
    gru = NoiseGRU(units=4, **kwargs)
    gru(tf.zeros([1, 1, 3]), condition=None if condition is None else condition[:1])
    generator = np.random.default_rng(1)
    gru.set_weights([generator.normal(size=w.shape) * 0.7 for w in gru.get_weights()])
    return gru


def gru_by_hand(gru, noise, start, condition):
    """The published equations in float64, with the bias of the candidate inside the reset."""
    kernel, recurrent, (bias, recurrent_bias) = (np.float64(w) for w in gru.cell.get_weights())
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h, outputs = np.float64(start), []
    for t in range(noise.shape[1]):
        x = np.float64(noise[:, t])
        x = x if condition is None else np.concatenate([x, condition], axis=-1)
        xz, xr, xh = np.split(x @ kernel + bias, 3, axis=-1)
        hz, hr, hh = np.split(h @ recurrent + recurrent_bias, 3, axis=-1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xh + r * hh)
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("started", [False, True])
def test_the_noise_gru_follows_its_equations(condition, started):
    gru, noise = make_gru(condition), gaussian(2, 5, 3)
    start = gaussian(2, 4, seed=3) if started else None
    states = gru(noise, start=start, condition=condition)
    expected = gru_by_hand(gru, noise, np.zeros([2, 4]) if start is None else start, condition)
    assert states.shape == (2, 5, 4)
    np.testing.assert_allclose(states, expected, atol=1e-5)
    assert np.abs(np.diff(expected, axis=1)).max() > 0.1


def test_noise_moves_the_states_from_its_own_step_on(condition):
    gru, noise = make_gru(condition), gaussian(2, 4, 3)
    before = gru(noise, condition=condition)
    for changed in range(4):
        bump = tf.one_hot(changed, 4)[None, :, None]
        moved = np.abs(before - gru(noise + bump, condition=condition)).max(axis=(0, 2))  # [T]
        assert (moved[:changed] == 0).all()
        assert (moved[changed:] > 1e-5).all()


def test_states_stay_float32_where_the_gru_computes_in_bfloat16():
    noise, start = gaussian(2, 4, 3), gaussian(2, 4, seed=3)
    half = make_gru(dtype="mixed_bfloat16")
    assert half.cell.compute_dtype == "bfloat16"
    states = half(noise, start=start)
    assert states.dtype == tf.float32
    np.testing.assert_allclose(states, make_gru()(noise, start=start), atol=0.1)


# === Graphs and configurations ===


def test_no_graph_holds_a_loop(assert_unrolled):
    prior, summary, sequence = make_prior(), bidirectional_lstm(4), bidirectional_lstm(4, True)
    gru = make_gru()
    noise = tf.TensorSpec([None, 4, 3])
    inputs = gaussian(2, 4, 3)
    for layer in (summary, sequence):
        layer(inputs)
    for function in (prior.rollout, prior.call, summary, sequence, gru):
        assert_unrolled(
            tf.function(lambda x, function=function: function(x)).get_concrete_function(noise)
        )


def test_the_search_for_loops_finds_those_of_a_keras_lstm(assert_unrolled):
    lstm = keras.layers.LSTM(4)
    lstm(gaussian(2, 4, 3))
    concrete = tf.function(lambda x: lstm(x)).get_concrete_function(tf.TensorSpec([None, 4, 3]))
    with pytest.raises(AssertionError, match="not unrolled"):
        assert_unrolled(concrete)


@pytest.mark.parametrize("layer", [RecurrentPrior(3, 5, 0.5), NoiseGRU(4)])
def test_configurations_round_trip(layer):
    restored = type(layer).from_config(layer.get_config())
    assert restored.get_config() == layer.get_config()


def test_over_frames_applies_a_layer_to_each_frame_by_itself():
    videos = gaussian(2, 3, 4, 4, 1)
    output = over_frames(lambda frames: tf.reduce_sum(frames, axis=[1, 2]) ** 2, videos)
    expected = videos.numpy().sum(axis=(2, 3)) ** 2
    np.testing.assert_allclose(output, expected, rtol=1e-4)
    assert output.shape == (2, 3, 1)
