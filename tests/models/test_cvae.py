import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.endpoints import frame_times
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.cvae import CVAE

SMALL = {"image_shape": (8, 8, 3), "frames": 4}
SCALE = (0.5, 0.5)
WEIGHTS = {"endpoints_weight": 0.7, "mean_weight": 0.3, "coarse_weight": 0.2}
START = tf.constant(0.0)


def make_model(**overrides):
    model = CVAE.from_preset("debug", **{**SMALL, **overrides})
    model.set_weights([1.5 * weight for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    """Every term of the loss has a weight of its own."""
    return make_model(
        **WEIGHTS,
        schedule={"observation_scale": SCALE, "kl_video": (3.0, 3.0)},
    )


@pytest.fixture(scope="module")
def plain():
    """The poster's model, decoding three frames beside the endpoints where a clip has more."""
    return make_model(decoded_frames=3)


@pytest.fixture
def video():
    pixels = np.random.default_rng(0).uniform(-1, 1, [3, 4, 8, 8, 3])
    return tf.constant(pixels, tf.float32)


@pytest.fixture
def noise(model):
    return model.between_noise(3, 4, seed=2)


def squares(video, shown):
    """Squared error of each frame, float64 `[B, T]`."""
    return np.square(np.asarray(video, float) - np.asarray(shown)).sum(axis=(2, 3, 4))


def coarse_squares(video, shown):
    """Squares of the means of cells of 2, 4 and 8 pixels, times their pixels, float64 `[B, T]`."""
    error, total = np.asarray(video, float) - np.asarray(shown), 0.0
    for side in (2, 4, 8):
        cells = error.reshape(*error.shape[:2], 8 // side, side, 8 // side, side, 3)
        means = cells.mean(axis=(3, 5))
        total = total + side**2 * np.square(means).sum(axis=(2, 3, 4))
    return total / 3


def shown_by(model, video, latents):
    """The unclipped clip of z_video between the endpoints of a clip."""
    endpoints = video[:, 0], video[:, -1]
    return model.decoded(
        latents, model.endpoints_encoder(*endpoints), frame_times(3, 4), *endpoints
    )


def test_the_loss_is_the_posters_objective(model, video, noise):
    """lambda_1 |x - g|^2 + lambda_2 |c(g) - c(x)|^2 + KL, and the clip of z_video = 0."""
    terms, statistics = model.compute_losses({"video": video}, noise, START, training=True)
    q_video = model.posterior(video)
    mean, deviation = q_video.mean().numpy(), q_video.stddev().numpy()
    shown = shown_by(model, video, mean + deviation * noise["video"])
    errors = squares(video, shown)
    guessed = squares(video, shown_by(model, video, tf.zeros([3, 8])))
    kl = (0.5 * (deviation**2 + mean**2 - 1.0) - np.log(deviation)).sum(axis=1)
    weight = 1.0 / (2.0 * 0.5**2)
    expected = {
        "reconstruction_loss": weight * errors.sum(axis=1),
        "endpoints_loss": 0.7 * weight * (errors[:, 0] + errors[:, -1]),
        "mean_reconstruction_loss": 0.3 * weight * guessed[:, 1:-1].sum(axis=1),
        "coarse_loss": 0.2 * weight * coarse_squares(video, shown)[:, 1:-1].sum(axis=1),
        "kl_video": kl,
        "psnr": 10.0 * np.log10(4.0 / (errors.sum(axis=1) / (4 * 8 * 8 * 3))),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    weighted = ("reconstruction_loss", "endpoints_loss", "mean_reconstruction_loss", "coarse_loss")
    total = 3.0 * kl + sum(expected[name] for name in weighted)
    np.testing.assert_allclose(terms["bound"], total, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], 0.5**2 * total, rtol=1e-4)
    assert statistics == {} and set(terms) == set(model.term_names)


def test_without_a_mean_weight_the_poster_alone_is_minimised(plain, video, noise):
    terms, _ = plain.compute_losses({"video": video}, noise, START, training=True)
    assert (
        set(terms)
        == set(plain.term_names)
        == {"loss", "bound", "reconstruction_loss", "endpoints_loss", "kl_video", "psnr"}
    )
    q_video = plain.posterior(video)
    latents = q_video.mean() + q_video.stddev() * noise["video"]
    errors = squares(video, shown_by(plain, video, latents))
    expected = 0.5 * errors.sum(axis=1) + 0.5 * (errors[:, 0] + errors[:, -1]) + terms["kl_video"]
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)


def test_of_some_decoded_frames_the_losses_keep_their_expectation(model, video, noise):
    some = make_model(**WEIGHTS, decoded_frames=1, schedule=model.schedule)
    some.set_weights(model.get_weights())
    assert some.training_noise_shapes(4) == {"video": (8,), "decoded_frames": (2,)}
    assert some.training_noise_shapes(3) == model.training_noise_shapes(4) == {"video": (8,)}
    drawn = []
    for choice in ([0.0, 1.0], [1.0, 0.0]):  # the second frame, then the third
        random_inputs = tf.tile([choice], [3, 1])
        given = {**noise, "decoded_frames": random_inputs}
        drawn.append(some.compute_losses({"video": video}, given, START, training=True)[0])
    whole, _ = model.compute_losses({"video": video}, noise, START, training=True)
    for name in (
        "loss",
        "reconstruction_loss",
        "mean_reconstruction_loss",
        "coarse_loss",
        "endpoints_loss",
    ):
        np.testing.assert_allclose(
            0.5 * (drawn[0][name] + drawn[1][name]), whole[name], rtol=1e-4, err_msg=name
        )
    np.testing.assert_allclose(drawn[0]["endpoints_loss"], whole["endpoints_loss"], rtol=1e-4)
    assert np.abs(drawn[0]["reconstruction_loss"] - drawn[1]["reconstruction_loss"]).max() > 1.0
    errors = [10.0 ** (-0.1 * terms["psnr"].numpy()) for terms in (*drawn, whole)]
    np.testing.assert_allclose(0.5 * (errors[0] + errors[1]), errors[2], rtol=1e-4)


@pytest.mark.parametrize("frames", [4, 2])
def test_exact_endpoints_have_no_loss(model, video, noise, frames):
    video = video[:, :frames]
    exact = make_model(exact_endpoints=True, **WEIGHTS, schedule=model.schedule)
    exact.set_weights(model.get_weights())
    terms, _ = exact.compute_losses({"video": video}, noise, START, training=False)
    q_video = exact.posterior(video)
    latents = q_video.mean() + q_video.stddev() * noise["video"]
    given = exact.endpoints_encoder(video[:, 0], video[:, -1]), frame_times(3, frames), video[:, 0]
    shown = exact.decoded(latents, *given, video[:, -1])
    errors = squares(video, shown)
    np.testing.assert_allclose(errors[:, [0, -1]], 0.0)
    np.testing.assert_allclose(terms["reconstruction_loss"], 2.0 * errors.sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(terms["endpoints_loss"], 0.0)
    if frames == 2:
        with pytest.raises(ValueError, match="no frame to learn with exact_endpoints=True"):
            exact.compute_losses({"video": video}, noise, START, training=True)


def test_encoding_gives_the_posterior_mean(model, video):
    codes = model.encode(video)
    np.testing.assert_allclose(codes["video"], model.posterior(video).mean(), atol=1e-6)
    filled = model.infill(video[:, 0], video[:, -1], codes, 4)  # what `infill` takes as noise
    np.testing.assert_array_equal(as_pixels(filled), model.reconstruct(video))
    with pytest.raises(ValueError, match="frames=1 must be at least 2"):
        model.encode(video[:, :1])
    with pytest.raises(ValueError, match="Resize them"):
        model.encode(video[:, :, :4])


def test_reconstruction_is_that_of_the_posterior_mean_and_the_endpoints(model, video):
    videos = as_pixels(video)
    latents = model.posterior(videos / np.float32(127.5) - 1.0).mean()
    expected = model.infill(video[:, 0], video[:, -1], {"video": latents}, 4)
    difference = np.abs(model.reconstruct(videos).astype(int) - as_pixels(expected))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.05  # pixels were rounded
    assert model.reconstruct(videos[:, :3]).shape == (3, 3, 8, 8, 3)
    with pytest.raises(ValueError, match="frames=1 must be at least 2"):
        model.reconstruct(videos[:, :1])


def test_the_posterior_sees_every_frame(model, video):
    before = model.posterior(video).mean().numpy()
    for frame in range(4):
        bump = tf.one_hot(frame, 4)[None, :, None, None, None]
        moved = np.abs(model.posterior(video * (1.0 - bump)).mean() - before)
        assert (moved.max(axis=1) > 1e-5).all()


@pytest.mark.parametrize("name", WEIGHTS)
def test_negative_weights_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=-1.0 must be 0 or more"):
        CVAE.from_preset("debug", **SMALL, **{name: -1.0})


def test_the_poster_is_the_default_and_its_sizes_are_the_preset_paper():
    defaults = CVAE.hyperparameters()
    assert (
        not defaults["warping"] and not defaults["exact_endpoints"] and defaults["mean_weight"] == 0
    )
    sizes = {**defaults, **CVAE.PRESETS["paper"]}
    assert (sizes["video_dim"], sizes["endpoints_dim"], sizes["frames"]) == (600, 1000, 30)


MOTION = {"cell": 4, "waves": 2, "channels": (8, 8), "units": 8}


@pytest.fixture(scope="module")
def moving():
    return make_model(
        warping=True,
        motion=MOTION,
        exact_endpoints=True,
        track_weight=0.6,
        schedule={"observation_scale": SCALE, "kl_video": (3.0, 3.0)},
    )


def test_the_track_error_of_the_paths_is_part_of_the_bound(moving, video, noise):
    terms, _ = moving.compute_losses({"video": video}, noise, START, training=True)
    latents = moving.code_draws(video, noise)["video"]
    codes = moving.endpoints_encoder(video[:, 0], video[:, -1])
    decoder, ends = moving.timed_decoder, (video[:, 0], video[:, -1])
    paths = decoder.paths(tf.concat([latents, codes], axis=-1), *ends)
    times = frame_times(3, 4)[:, 1:-1]
    track = decoder.motion.track_error(paths, ends, video[:, 1:-1], times)
    lambda_1 = 1.0 / (2.0 * SCALE[0] ** 2)
    np.testing.assert_allclose(terms["track_loss"], 0.6 * lambda_1 * track, rtol=1e-4)
    bound = terms["reconstruction_loss"] + terms["track_loss"] + terms["endpoints_loss"]
    np.testing.assert_allclose(terms["bound"], bound + 3.0 * terms["kl_video"], rtol=1e-5)


def test_samples_of_a_model_with_motion_differ(moving):
    ends = np.random.default_rng(1).integers(0, 256, [2, 3, 8, 8, 3], dtype=np.uint8)
    one, other = (moving.between(*ends, 5, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one[:, [0, -1]], other[:, [0, -1]])
    assert (one[:, 1:-1] != other[:, 1:-1]).any()


def test_a_track_weight_needs_motion():
    with pytest.raises(ValueError, match=r"track_weight=1\.0 trains paths: set motion") as error:
        make_model(warping=True, track_weight=1.0)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_best_guess_is_close_to_the_predictable_part(moving_squares):
    """Clips of one motion: once trained, the clip of z_video = 0 beats the linear interpolation."""
    import keras

    from kerasvid.models.linear_interpolation import LinearInterpolation
    from kerasvid.visualization.nearest_clip import l2_distances

    keras.utils.set_random_seed(0)
    videos = moving_squares(48, 6)
    model = CVAE.from_preset(
        "debug", image_shape=(16, 16, 3), frames=6, warping=True, mean_weight=1.0
    )
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    model.fit(videos[:40], batch_size=20, epochs=200, verbose=0)
    rest = videos[40:]
    guesses = model.between(rest[:, 0], rest[:, -1], temperature=0.0)
    linear = LinearInterpolation((16, 16, 3), 6).between(rest[:, 0], rest[:, -1])
    assert l2_distances(guesses, rest).mean() < 0.7 * l2_distances(linear, rest).mean()


@pytest.mark.parametrize(
    ("cell", "message"),
    [(3, "divides both sides of frames of 8x8"), (0, "1 or more"), (2.0, "a whole number")],
)
def test_frames_are_made_of_whole_cells(cell, message):
    with pytest.raises(ValueError, match=message) as error:
        make_model(warping=True, moving_cell=cell)
    assert "\n" not in str(error.value)


def test_frames_without_cells_have_no_coarse_error():
    with pytest.raises(ValueError, match="have no cells of 2x2"):
        make_model(image_shape=(9, 9, 3), decoder={}, coarse_weight=1.0)
