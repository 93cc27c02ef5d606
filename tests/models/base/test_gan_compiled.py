"""The adversarial step of a real model and of a linear one: compiled, on one and two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base import gan
from kerasvid.models.rjgan import RJGAN

# XLA takes seconds for each convolution, twice on two devices: as few as possible.
SMALL = {
    "image_shape": (8, 8, 3),
    "frames": 2,
    "decoder": {"dense_units": (), "seed_channels": 8, "channels": (), "upsampling": ()},
    "image_discriminator": {"channels": (8,), "patch": 4, "score": "full", "spectral": True},
    "video_discriminator": {"channels": (8,), "patch": 4, "score": "full", "temporal_kernel": 2},
}
RATE = 0.05


@pytest.fixture
def same_rows(monkeypatch):
    """Noise that does not depend on the replica: every row gets the same Gaussians."""

    def draw(shapes, batch, key):
        rows = {name: tf.random.stateless_normal([1, *s], [1, 2]) for name, s in shapes.items()}
        return {name: tf.repeat(row, batch, axis=0) for name, row in rows.items()}

    monkeypatch.setattr(gan, "draw_noise", draw)


@pytest.fixture
def videos(moving_squares):
    """Three batches of four."""
    return moving_squares(12, 2, size=8)


def trained(strategy, videos, jit_compile, rate=RATE, epochs=1, **overrides):
    """A model after `epochs` of three steps of 4 rows, from the same weights each time."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = RJGAN.from_preset("debug", **{**SMALL, **overrides})
        model.compile(keras.optimizers.SGD(rate), jit_compile=jit_compile, clip_norm=5.0)
    model.start = {name: flat(own) for name, own in model.network_variables().items()}
    data = tf.data.Dataset.from_tensor_slices({"video": videos, "image": videos[:, 0]})
    batches = data.batch(4, drop_remainder=True)
    model.logs = model.fit(batches, epochs=epochs, verbose=0).history
    return model


def flat(variables) -> np.ndarray:
    return np.concatenate([v.numpy().ravel() for v in variables])


def moved(model) -> dict:
    """How far training moved each network, as one vector."""
    networks = model.network_variables().items()
    return {name: flat(own) - model.start[name] for name, own in networks}


def assert_same_way(one, other, atol):
    for name, way in moved(one).items():
        np.testing.assert_allclose(way, moved(other)[name], atol=atol, err_msg=name)
        assert np.abs(way).max() > 100 * atol, name


@pytest.mark.slow
def test_two_replicas_train_a_model_as_one_does(same_rows, strategy_of, videos):
    # Of pictures, the sums of two halves differ in the last digits alone.
    one, two = (trained(strategy_of(n), videos, False) for n in (1, 2))
    assert_same_way(one, two, atol=2e-5)
    for name in one.term_names:
        np.testing.assert_allclose(one.logs[name], two.logs[name], rtol=1e-4)
    singular = two.image_discriminator.output_layer.singular
    first, second = (copy.numpy() for copy in singular.value.values)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, one.image_discriminator.output_layer.singular, atol=1e-4)


@pytest.mark.parametrize(
    "objective",
    [
        {},
        pytest.param(
            {"loss": "wasserstein", "gradient_penalty": 10.0, "r1_weight": 1.0},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"loss": "hinge", "instance_noise_std": (0.3, 0.3), "discriminator_steps": 2},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "r1_weight": 1.0,
                "r1_interval": 2,
                "augmentation": ["color", "translation", "cutout"],
                "augmentation_target": 0.6,
                "augmentation_ramp": 16,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["plain", "penalties", "noise", "augmentation"],
)
def test_compiled_and_uncompiled_functions_agree(linear_gan, objective):
    generator, ways = np.random.default_rng(0), []
    data = {
        "video": generator.uniform(-1, 1, [8, 2, 1, 2, 1]).astype("float32"),
        "image": generator.uniform(-1, 1, [8, 1, 2, 1]).astype("float32"),
        "label": np.arange(8) % 3 - 1,
    }
    for jit_compile in (False, True):
        model = linear_gan(objective, categories=2 * ("r1_weight" not in objective))
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile, seed=2)
        start = flat(model.trainable_variables)
        logs = model.fit(data, batch_size=4, shuffle=False, verbose=0).history
        ways.append((flat(model.trainable_variables) - start, logs))
    (plain, plain_logs), (compiled, compiled_logs) = ways
    np.testing.assert_allclose(compiled, plain, atol=1e-5)
    assert (np.abs(plain) > 1e-4).all()
    for name, values in plain_logs.items():
        np.testing.assert_allclose(compiled_logs[name], values, rtol=1e-4)


def test_replicas_agree_on_the_running_statistics_of_their_rows(strategy_of, videos):
    """Each replica normalises its own rows; what is kept is the mean of both."""
    decoder = {**SMALL["decoder"], "normalization": "batch"}
    model = trained(strategy_of(2), videos, False, decoder=decoder)
    running = [v.value for v in model.non_trainable_variables if "moving" in v.path]
    assert len(running) == 2
    for variable in running:
        one, other = (copy.numpy() for copy in variable.values)
        np.testing.assert_array_equal(one, other)
        assert np.ptp(one) > 0


@pytest.mark.slow
def test_compiled_functions_run_on_two_devices(linear_gan, strategy_of, same_rows):
    clips, ways = np.random.default_rng(0).uniform(-1, 1, [8, 2, 1, 2, 1]).astype("float32"), []
    for replicas, jit_compile in ((1, False), (2, True)):
        with strategy_of(replicas).scope():
            model = linear_gan({"gradient_penalty": 1.0})
            model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile, clip_norm=1.0)
        start = flat(model.trainable_variables)
        data = tf.data.Dataset.from_tensor_slices(clips).batch(4, drop_remainder=True)
        model.fit(data, verbose=0)
        ways.append(flat(model.trainable_variables) - start)
    np.testing.assert_allclose(*ways, atol=1e-5)
    assert (np.abs(ways[0]) > 1e-3).all()


@pytest.mark.slow
def test_a_compiled_model_trains_as_an_uncompiled_one(strategy_of, videos):
    plain, compiled = (trained(strategy_of(1), videos, jit) for jit in (False, True))
    assert_same_way(compiled, plain, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_compiled_functions_in_half_precision_train_about_as_float32(
    precision, strategy_of, videos, policy
):
    full = moved(trained(strategy_of(1), videos, False))
    precision(policy)
    half = trained(strategy_of(1), videos, True)
    assert half.decoder.compute_dtype == policy.removeprefix("mixed_")
    assert set(half.logs) == set(half.term_names)
    for name, way in moved(half).items():
        lengths = np.linalg.norm(way), np.linalg.norm(full[name])
        assert way @ full[name] / np.prod(lengths) > 0.95, name
        assert lengths[0] == pytest.approx(lengths[1], rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_compiled_functions_of_a_model_train_on_two_devices(precision, strategy_of, videos, policy):
    precision(policy)
    decoder = {**SMALL["decoder"], "normalization": "batch"}
    objective = {"instance_noise_std": (0.1, 0.1), "r1_weight": 1.0}
    model = trained(strategy_of(2), videos, True, epochs=2, decoder=decoder, objective=objective)
    assert all(np.isfinite(values).all() for values in model.logs.values())
    for name, way in moved(model).items():
        assert np.abs(way).max() > 1e-3, name
    moving = [v.numpy() for v in model.non_trainable_variables if "moving" in v.path]
    assert len(moving) == 2
    assert all(np.isfinite(value).all() and np.ptp(value) > 0 for value in moving)
