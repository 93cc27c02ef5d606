import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.cgan import CGAN

SMALL = {"image_shape": (8, 8, 3), "frames": 4}
LAMBDA = 0.05


def make_model(**overrides):
    model = CGAN.from_preset("debug", **{**SMALL, "endpoints_weight": LAMBDA, **overrides})
    model.set_weights([1.5 * weight for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    """A model that tests may read, not train."""
    return make_model()


@pytest.fixture
def batch():
    pixels = np.random.default_rng(0).uniform(-1, 1, [4, 4, 8, 8, 3])
    return {"video": tf.constant(pixels, tf.float32)}


@pytest.fixture
def fakes(model, batch):
    noise = model.between_noise(4, seed=1)
    return model.fakes({**noise, **model.conditions(batch)}, training=False)


def random_inputs(model):
    return {name: tf.zeros([4, *shape]) for name, shape in model.random_input_shapes(4).items()}


def log_sigmoid(x):
    return -np.log1p(np.exp(-np.asarray(x, float)))


def test_the_generator_pays_for_being_found_out_and_for_other_ends(model, batch, fakes):
    """-log D(G(z)) + lambda |c(G(z)) - c(x)|^2."""
    step = tf.constant(0.0)
    terms = model.generator_losses(fakes, None, random_inputs(model), step, training=False)
    error = np.zeros(4)
    for row in range(4):
        for frame in (0, -1):
            difference = batch["video"][row, frame].numpy() - fakes["video"][row, frame].numpy()
            error[row] += np.square(difference.astype(float)).sum()
    assert error.min() > 1.0
    logits = model.video_discriminator(fakes["video"]).logits
    assert float(terms["ends_loss"]) == pytest.approx(LAMBDA * error.mean(), rel=1e-4)
    expected = -log_sigmoid(logits).mean() + LAMBDA * error.mean()
    assert float(terms["generator_loss"]) == pytest.approx(expected, rel=1e-4)


def test_frames_between_the_ends_are_paid_for_where_they_have_a_weight(batch):
    """mu |m(G(z)) - m(x)|^2 over all frames but the ends, and its slope on the clips."""
    model = make_model(intermediate_weight=0.02)
    assert "middle_loss" in model.term_names and "middle_loss" not in make_model().term_names
    made = model.fakes({**model.between_noise(4, seed=1), **model.conditions(batch)}, False)
    terms = model.generator_losses(
        made, None, random_inputs(model), tf.constant(0.0), training=False
    )
    error = 0.0
    for row in range(4):
        for frame in (1, 2):
            difference = batch["video"][row, frame].numpy() - made["video"][row, frame].numpy()
            error += np.square(difference.astype(float)).sum()
    assert error > 1.0
    assert float(terms["middle_loss"]) == pytest.approx(0.02 * error / 4, rel=1e-4)
    logits = model.video_discriminator(made["video"]).logits
    paid = float(terms["ends_loss"]) + 0.02 * error / 4
    expected = -log_sigmoid(logits).mean() + paid
    assert float(terms["generator_loss"]) == pytest.approx(expected, rel=1e-4)


def test_a_step_follows_the_frames_between_the_ends(batch):
    """Where the discriminator rests and hardly counts, the true frames are approached."""
    model = make_compiled(
        make_model(intermediate_weight=1e3), generator=1e-5, video_discriminator=0.0
    )
    errors = [float(model.train_step(batch)["middle_loss"]) for _ in range(6)]
    assert errors[-1] < 0.99 * errors[0]


def test_the_discriminator_is_asked_for_nine_tenths_at_real_clips(model, batch, fakes):
    step = tf.constant(0.0)
    judged = model.discriminator_losses(batch, fakes, random_inputs(model), step, training=False)
    real, fake = (model.video_discriminator(v["video"]).logits for v in (batch, fakes))
    on_real = 0.9 * log_sigmoid(real) + 0.1 * log_sigmoid(-real)
    expected = -on_real.mean() - log_sigmoid(-fake).mean()
    assert float(judged["video_discriminator"]) == pytest.approx(expected, rel=1e-4)
    assert all(preset["objective"]["real_target"] == 0.9 for preset in CGAN.PRESETS.values())


def test_the_clips_of_a_batch_go_between_its_ends(model, batch, fakes):
    filled = model.infill(
        batch["video"][:, 0], batch["video"][:, -1], model.between_noise(4, seed=1), 4
    )
    np.testing.assert_allclose(filled, tf.clip_by_value(fakes["video"], -1, 1), atol=1e-5)
    conditions = model.conditions(batch)
    np.testing.assert_array_equal(conditions["first"], batch["video"][:, 0])
    np.testing.assert_array_equal(conditions["last"], batch["video"][:, -1])


def test_the_gradient_of_the_lambda_term_pulls_the_ends_to_the_real_ones(model, batch, fakes):
    """Where the discriminator says nothing: d lambda |a - x|^2 / d error is lambda / B a row."""
    _, slopes = make_compiled(model).convince(fakes, None, random_inputs(model), tf.constant(0.0))
    np.testing.assert_allclose(slopes["ends_error"], np.full(4, LAMBDA / 4), rtol=1e-5)


def make_compiled(model, **rates):
    rates = {"generator": 0.1, "video_discriminator": 0.1, **rates}
    model.compile(
        {name: keras.optimizers.SGD(rate) for name, rate in rates.items()}, jit_compile=False
    )
    return model


@pytest.mark.parametrize("resting", ["generator", "video_discriminator"])
def test_a_players_update_leaves_the_other_player_alone(batch, resting):
    model = make_compiled(make_model(), **{resting: 0.0})
    networks = model.network_variables()
    before = {name: [v.numpy() for v in variables] for name, variables in networks.items()}
    assert sum(map(len, networks.values())) == len(model.trainable_variables)
    tf.config.run_functions_eagerly(True)
    try:
        model.train_step(batch)
    finally:
        tf.config.run_functions_eagerly(False)
    for name, variables in networks.items():
        moved = [(v.numpy() != b).any() for v, b in zip(variables, before[name], strict=True)]
        assert not any(moved) if name == resting else all(moved), name


def test_every_turn_of_the_discriminator_sees_clips_between_the_ends_of_its_own_part(batch):
    model = make_model(exact_endpoints=True, objective={"discriminator_steps": 2})
    assert "ends_loss" not in model.term_names  # there is nothing to pay for
    seen = []

    def discriminator(batch, fakes, *rest):
        seen.append((batch["video"], fakes["video"]))
        return CGAN.discriminator(model, batch, fakes, *rest)

    model.discriminator = discriminator
    make_compiled(model)
    tf.config.run_functions_eagerly(True)
    try:
        model.train_step(batch)
        model.test_step(batch)
    finally:
        tf.config.run_functions_eagerly(False)
    assert len(seen) == 2
    np.testing.assert_array_equal(tf.concat([real for real, _ in seen], axis=0), batch["video"])
    for real, fake in seen:
        for frame in (0, -1):
            np.testing.assert_array_equal(real[:, frame], fake[:, frame])
        assert np.abs(real[:, 1] - fake[:, 1]).max() > 0.1


@pytest.mark.parametrize("name", ["endpoints_weight", "intermediate_weight"])
def test_a_negative_weight_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}=-1.0 must be 0 or more"):
        CGAN.from_preset("debug", **SMALL, **{name: -1.0})


def test_the_sizes_of_the_poster_are_the_preset_paper():
    defaults = CGAN.hyperparameters()
    assert not defaults["warping"] and not defaults["exact_endpoints"]
    assert not defaults["intermediate_weight"]
    sizes = {**defaults, **CGAN.PRESETS["paper"]}
    assert (sizes["noise_dim"], sizes["endpoints_dim"], sizes["frames"]) == (600, 1000, 30)
