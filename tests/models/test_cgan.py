import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.gan_losses import AdversarialTerms
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
    return model.fakes({**noise, **model.conditions(batch)}, 4, training=False)


@pytest.fixture
def terms(model):
    return AdversarialTerms(model.objective, {}, training=False)


def log_sigmoid(x):
    return -np.log1p(np.exp(-np.asarray(x, float)))


def squared_error(batch, fakes, frames):
    """The mean over the rows of the squared error of some frames, in float64."""
    real, fake = (np.asarray(clips["video"], float)[:, frames] for clips in (batch, fakes))
    return np.square(real - fake).sum() / len(real)


def test_the_generator_minimises_equation_2(model, batch, fakes, terms):
    """-log D(G(z)) + lambda |c(G(z)) - c(x)|^2."""
    losses = model.generator_losses(batch, fakes, terms)
    error = squared_error(batch, fakes, [0, -1])
    assert error > 1.0
    logits = model.video_discriminator(fakes["video"]).logits
    assert float(losses["endpoints_loss"]) == pytest.approx(LAMBDA * error, rel=1e-4)
    expected = -log_sigmoid(logits).mean() + LAMBDA * error
    assert float(losses["generator_loss"]) == pytest.approx(expected, rel=1e-4)


def test_the_intermediate_frames_have_a_loss_where_they_have_a_weight(batch, terms):
    """mu |m(G(z)) - m(x)|^2 over all frames but the endpoints."""
    model = make_model(intermediate_weight=0.02)
    assert "intermediate_loss" in model.term_names
    assert "intermediate_loss" not in make_model().term_names
    noise = {**model.between_noise(4, seed=1), **model.conditions(batch)}
    fakes = model.fakes(noise, 4, training=False)
    losses = model.generator_losses(batch, fakes, terms)
    error = squared_error(batch, fakes, [1, 2])
    assert error > 1.0
    assert float(losses["intermediate_loss"]) == pytest.approx(0.02 * error, rel=1e-4)
    logits = model.video_discriminator(fakes["video"]).logits
    expected = -log_sigmoid(logits).mean() + float(losses["endpoints_loss"]) + 0.02 * error
    assert float(losses["generator_loss"]) == pytest.approx(expected, rel=1e-4)


def test_steps_bring_the_intermediate_frames_closer(batch):
    """With the discriminator's rate 0 and its loss a small part, true frames are approached."""
    model = make_compiled(
        make_model(intermediate_weight=1e3), generator=1e-5, video_discriminator=0.0
    )
    errors = [float(model.train_step(batch)["intermediate_loss"]) for _ in range(6)]
    assert errors[-1] < 0.99 * errors[0]


def test_the_target_of_the_discriminator_at_real_clips_is_nine_tenths(model, batch, fakes, terms):
    losses = model.discriminator_losses(batch, fakes, terms)
    real, fake = (model.video_discriminator(v["video"]).logits for v in (batch, fakes))
    on_real = 0.9 * log_sigmoid(real) + 0.1 * log_sigmoid(-real)
    expected = -on_real.mean() - log_sigmoid(-fake).mean()
    assert float(losses["video_discriminator"]) == pytest.approx(expected, rel=1e-4)
    assert all(preset["objective"]["real_target"] == 0.9 for preset in CGAN.PRESETS.values())


def test_the_clips_of_a_batch_go_between_its_endpoints(model, batch, fakes):
    filled = model.infill(
        batch["video"][:, 0], batch["video"][:, -1], model.between_noise(4, seed=1), 4
    )
    np.testing.assert_allclose(filled, tf.clip_by_value(fakes["video"], -1, 1), atol=1e-5)
    conditions = model.conditions(batch)
    np.testing.assert_array_equal(conditions["first"], batch["video"][:, 0])
    np.testing.assert_array_equal(conditions["last"], batch["video"][:, -1])


def test_the_gradient_of_the_lambda_term_pulls_the_endpoints_to_the_real_ones(model, batch, fakes):
    """Its part of the gradient is 2 lambda (a - x) / B at the endpoints and 0 between them."""
    free = make_model(endpoints_weight=0.0)
    free.set_weights(model.get_weights())
    weighted, without = (
        make_compiled(m).generator_step(batch, fakes, {})[1]["video"] for m in (model, free)
    )
    expected = 2.0 * LAMBDA * (fakes["video"] - batch["video"]).numpy() / 4
    expected[:, 1:-1] = 0.0
    np.testing.assert_allclose(weighted - without, expected, atol=1e-6)


def make_compiled(model, **rates):
    rates = {"generator": 0.1, "video_discriminator": 0.1, **rates}
    model.compile(
        {name: keras.optimizers.SGD(rate) for name, rate in rates.items()}, jit_compile=False
    )
    return model


@pytest.mark.parametrize("resting", ["generator", "video_discriminator"])
def test_an_update_changes_its_own_network_alone(batch, resting):
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


def test_every_update_of_the_discriminator_sees_clips_between_the_endpoints_of_its_part(batch):
    model = make_model(exact_endpoints=True, objective={"discriminator_steps": 2})
    assert "endpoints_loss" not in model.term_names  # it would be 0
    seen = []

    def discriminator_step(batch, fakes, *rest):
        seen.append((batch["video"], fakes["video"]))
        return CGAN.discriminator_step(model, batch, fakes, *rest)

    model.discriminator_step = discriminator_step
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
