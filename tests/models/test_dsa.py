import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.dsa import DSA, POSTERIORS, join
from kerasvid.models.registry import PARAMETERS


@pytest.fixture(params=POSTERIORS, scope="module")
def model(request):
    return DSA.from_preset("debug", image_shape=(16, 16, 3), frames=4, posterior=request.param)


@pytest.fixture
def videos(moving_squares):
    return moving_squares(3, 4)


def losses_of(model, video, noise, step=0.0):
    """Terms and statistics of `compute_losses`."""
    return model.compute_losses({"video": video}, noise, tf.constant(step), training=False)


def test_an_unknown_posterior_is_refused():
    with pytest.raises(ValueError, match="'half' is unknown: use factorised or full"):
        DSA.from_preset("debug", posterior="half")


def test_content_stands_beside_the_motion_of_every_frame():
    content, motion = tf.constant([[1.0, 2.0]]), tf.constant([[[3.0], [4.0], [5.0]]])
    expected = [[[1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [1.0, 2.0, 5.0]]]
    np.testing.assert_array_equal(join(content, motion), expected)


def test_codes_keep_their_content_and_move_their_motion(model):
    noise = model.sample_noise(3, seed=1)
    codes = model.codes(noise).numpy()
    assert codes.shape == (3, 4, 8 + 4)
    for frame in range(4):
        np.testing.assert_array_equal(codes[:, frame, :8], noise["content"])
    assert (np.abs(np.diff(codes[:, :, 8:], axis=1)) > 1e-4).any()


def test_the_motion_prior_does_not_know_the_content(model):
    noise = model.sample_noise(3, seed=1)
    other = {**noise, "content": noise["content"] + 1.0}
    np.testing.assert_array_equal(model.codes(noise)[:, :, 8:], model.codes(other)[:, :, 8:])


def test_the_factorised_posterior_sees_its_own_frame_and_the_full_one_all(model, videos):
    video = as_floats(tf.constant(videos))
    before = model.posteriors(video, None)[2].mean()
    for frame in range(4):
        flip = 1.0 - 2.0 * tf.one_hot(frame, 4)[None, :, None, None, None]
        after = model.posteriors(video * flip, None)[2].mean()
        moved = np.abs(before - after).max(axis=(0, 2))  # [T]
        if model.posterior == "full":
            assert (moved > 1e-5).all()
        else:
            assert moved[frame] > 1e-4
            assert (np.delete(moved, frame) < 1e-6).all()


def test_only_the_full_posterior_depends_on_the_content(model, videos):
    video = as_floats(tf.constant(videos))
    noise = model.sample_noise(3, seed=1)
    means = [
        model.posteriors(video, {"content": noise["content"] + shift})[2].mean()
        for shift in (0.0, 3.0)
    ]
    moved = np.abs(means[0] - means[1]).max()
    assert moved > 1e-4 if model.posterior == "full" else moved == 0.0


def test_the_content_posterior_sees_every_frame(model, videos):
    video = as_floats(tf.constant(videos))
    before = model.posteriors(video, None)[0].mean()
    for frame in range(4):
        flip = 1.0 - 2.0 * tf.one_hot(frame, 4)[None, :, None, None, None]
        after = model.posteriors(video * flip, None)[0].mean()
        assert np.abs(before - after).max() > 1e-5


def test_the_content_term_is_scored_against_the_standard_normal(model, videos):
    noise = model.sample_noise(3, seed=4)
    q_content = model.posteriors(as_floats(tf.constant(videos)), noise)[0]
    mean, deviation = q_content.mean().numpy(), q_content.stddev().numpy()
    expected = -np.log(deviation) + (deviation**2 + mean**2) / 2.0 - 0.5
    kl, _ = losses_of(model, as_floats(tf.constant(videos)), noise)
    np.testing.assert_allclose(kl["kl_content"], expected.sum(axis=-1), rtol=1e-4)
    assert kl["kl_motion"].shape == (3,)


def test_a_swap_shows_the_content_of_one_in_the_motion_of_another(model, videos):
    first, second = videos[:2], videos[1:]
    content, motion = model.encode(first)["content"], model.encode(second)["motion"]
    expected = as_pixels(model.decode(join(content, motion)))
    np.testing.assert_array_equal(model.swap(content_of=first, motion_of=second), expected)


def test_a_swap_takes_the_length_of_the_motion(model, moving_squares):
    swapped = model.swap(content_of=moving_squares(2, 4), motion_of=moving_squares(2, 3))
    assert swapped.shape == (2, 3, 16, 16, 3)


# === A prior of the first motion vector that follows the posteriors ===


@pytest.fixture(scope="module")
def started():
    """A model whose first motion vector is drawn by a moved `AggregatePrior` with a flow."""
    options = {"aggregate_start": True, "prior_momentum": 0.5, "prior_couplings": 2}
    model = DSA.from_preset("debug", image_shape=(16, 16, 3), frames=4, **options)
    mean = np.linspace(-1.0, 2.0, 4).astype("float32")
    covariance = np.diag([0.1, 0.2, 0.3, 0.4]).astype("float32")
    model.start_prior.update_moments({"mean": mean, "covariance": covariance})
    return model


def test_the_first_motion_vector_is_drawn_by_its_own_prior_and_leads_the_others(started):
    noise = started.sample_noise(3, seed=1)
    motion = started.codes(noise)[:, :, 8:]
    first = started.start_prior.sample(noise["motion"][:, 0])
    np.testing.assert_array_equal(motion[:, 0], first)
    plain = started.prior.rollout(noise["motion"])
    assert np.abs(motion[:, 0] - plain[:, 0]).max() > 0.1
    # Every later vector is that of the recurrent prior after this beginning.
    later = started.prior.teacher_forced(motion)
    expected = later.mean() + later.stddev() * noise["motion"]
    np.testing.assert_allclose(motion[:, 1:], expected[:, 1:], atol=1e-5)


def test_the_motion_term_scores_each_vector_by_the_prior_that_draws_it(started, videos):
    noise = started.sample_noise(3, seed=4)
    video = as_floats(tf.constant(videos))
    _, _, posterior, motion = started.posteriors(video, noise)
    mean, deviation = posterior.mean().numpy(), posterior.stddev().numpy()
    entropy = np.log(deviation[:, 0]).sum(axis=-1) + 0.5 * 4 * (1.0 + np.log(2.0 * np.pi))
    # -log p of the draw, by the change of variables worked backwards through numpy.
    prior = started.start_prior
    white = np.linalg.solve(prior.scale_tril.numpy(), (motion[:, 0] - prior.mean).numpy().T).T
    unshaped, log_determinant = prior.flow.inverse(tf.constant(white, tf.float32))
    log_prior = -0.5 * np.square(unshaped).sum(axis=-1) - 0.5 * 4 * np.log(2.0 * np.pi)
    log_prior += log_determinant.numpy() - np.log(np.diag(prior.scale_tril.numpy())).sum()
    p = started.prior.teacher_forced(motion)
    m, s = p.mean().numpy(), p.stddev().numpy()
    later = np.log(s / deviation) + (deviation**2 + (mean - m) ** 2) / (2.0 * s**2) - 0.5
    expected = -entropy - log_prior + later[:, 1:].sum(axis=(1, 2))
    kl = losses_of(started, video, noise)[0]["kl_motion"]
    np.testing.assert_allclose(kl, expected, rtol=1e-4)


def test_both_priors_follow_the_posteriors_they_belong_to(started, videos):
    _, statistics = losses_of(
        started, as_floats(tf.constant(videos)), started.sample_noise(3, seed=2)
    )
    assert {name: len(moments) for name, moments in statistics.items()} == {
        "content": 2,
        "start": 2,
    }
    q_motion = started.posteriors(as_floats(tf.constant(videos)), started.sample_noise(3, seed=2))[
        2
    ]
    expected = q_motion.mean().numpy()[:, 0].mean(axis=0)
    np.testing.assert_allclose(statistics["start"]["mean"], expected, atol=1e-6)


# === What content and motion both say ===


@pytest.fixture(scope="module")
def unsharing():
    schedule = {"shared": (1.0, 3.0), "steps": 10}
    return DSA.from_preset("debug", image_shape=(16, 16, 3), frames=4, schedule=schedule)


def test_the_shared_term_is_of_draws_of_the_content_and_the_mean_motion(unsharing, videos):
    video = as_floats(tf.constant(videos))
    noise = unsharing.sample_noise(3)
    _, statistics = losses_of(unsharing, video, noise)
    _, content, _, motion = unsharing.posteriors(video, noise)
    said = content, tf.reduce_mean(motion, axis=1)
    both = np.concatenate(said, axis=1)
    np.testing.assert_allclose(statistics["shared"]["mean"], both.mean(axis=0), atol=1e-6)

    unsharing.update_running_statistics(statistics)
    np.testing.assert_allclose(unsharing.shared.mean, 0.01 * both.mean(axis=0), atol=1e-6)
    value = losses_of(unsharing, video, noise)[0]["shared"]
    np.testing.assert_allclose(value, unsharing.shared.term(*said), atol=1e-6)
    assert np.any(np.abs(value) > 1e-8)


def test_the_shared_term_moves_the_content_and_not_the_motion(unsharing, videos):
    video = as_floats(tf.constant(videos))
    for _ in range(3):
        unsharing.update_running_statistics(losses_of(unsharing, video, None)[1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(losses_of(unsharing, video, None)[0]["shared"])
    heads = unsharing.content_head, unsharing.motion_head
    content, motion = (h.trainable_variables for h in heads)
    gradients = tape.gradient(loss, [*content, *motion])
    assert any(g is not None and np.any(g) for g in gradients[: len(content)])
    assert all(g is None for g in gradients[len(content) :])


def test_the_shared_term_counts_by_its_weight(unsharing, videos):
    video = as_floats(tf.constant(videos))
    noise = unsharing.sample_noise(3)
    terms, _ = losses_of(unsharing, video, noise, 20.0)
    bound = terms["reconstruction_loss"] + terms["kl_content"] + terms["kl_motion"]
    np.testing.assert_allclose(terms["bound"], bound + 3.0 * terms["shared"], rtol=1e-5)


# === Presets ===


def lstm(inputs, units):
    """Weights of an LSTM."""
    return 4 * (inputs * units + units * units + units)


def dense(*widths):
    """Weights of dense layers of these widths, one after the other."""
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def test_the_preset_paper_has_the_sizes_of_the_released_code():
    """5x5 convolutions of 256 down to 8x8, dense layers of 4096 and 2048, LSTMs of 512."""
    side, inner = 5 * 5 * 256, 3 * (5 * 5 * 256 * 256 + 256)
    encoder = 3 * side + 256 + inner + 4 * 2 * 256 + dense(8 * 8 * 256, 4096, 2048)
    posteriors = 2 * lstm(2048, 512) + dense(1024, 2 * 256) + dense(2048, 512, 2 * 32)
    prior = lstm(32, 512) + dense(512, 2 * 32)
    decoder = dense(256 + 32, 4096, 8 * 8 * 256) + inner + 3 * side + 3 + 4 * 2 * 256
    assert PARAMETERS["dsa"]["paper"] == encoder + posteriors + prior + decoder


def test_the_preset_paper_is_trained_as_in_the_released_code():
    training = DSA.TRAINING["paper"]
    rates = training.learning_rate, training.beta_1, training.beta_2, training.epsilon
    assert rates == (2e-4, 0.9, 0.999, 1e-8)
    assert (training.batch_size, training.warmup_steps, training.decay_steps) == (25, 0, 0)
    assert training.steps == 200 * math.ceil(6767 / 25)


def test_the_published_loss_is_the_squared_error_plus_the_divergences(videos):
    schedule = DSA.PRESETS["paper"]["schedule"]
    model = DSA.from_preset("debug", image_shape=(16, 16, 3), frames=4, schedule=schedule)
    video, noise = as_floats(tf.constant(videos)), model.sample_noise(3, 4, seed=1)
    terms, _ = losses_of(model, video, noise)
    error = tf.reduce_sum(tf.square(video - model.infer(video, noise)), axis=[1, 2, 3, 4])
    expected = error + terms["kl_content"] + terms["kl_motion"]
    np.testing.assert_allclose(terms["bound"], expected, rtol=1e-5)


def test_the_head_of_the_full_posterior_is_linear(model):
    """It stands on an RNN; on the features of a frame there is a hidden layer."""
    assert (model.motion_head.hidden is None) == (model.posterior == "full")
