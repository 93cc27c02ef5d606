"""The step of a real model: compiled or not, on one or two devices, in every precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base import trainer
from kerasvid.models.dsa import DSA
from kerasvid.models.rjvae import RJVAE

COMPILED_OR_NOT = [False, pytest.param(True, marks=pytest.mark.slow)]
# XLA takes seconds for each convolution, twice on two devices: as few as possible.
SMALL = {
    "image_shape": (8, 8, 3),
    "frames": 2,
    "encoder": {"channels": (8,), "strides": (2,), "features": 16},
    "decoder": {"dense_units": (), "seed_channels": 8, "channels": (8,), "upsampling": (2,)},
}


def trained(strategy, videos, jit_compile, optimizer, model_class=RJVAE, epochs=1, **overrides):
    """A model after `epochs` of steps of 4 rows, from the same weights each time."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = model_class.from_preset("debug", **{**SMALL, **overrides})
        model.compile(optimizer(), jit_compile=jit_compile, clip_norm=5.0)
    model.start = [w.numpy() for w in model.trainable_variables]
    data = tf.data.Dataset.from_tensor_slices({"video": videos}).batch(4, drop_remainder=True)
    model.logs = model.fit(data, epochs=epochs, verbose=0).history
    return model


def moved(model) -> np.ndarray:
    """How far training moved all weights, as one vector."""
    pairs = zip(model.trainable_variables, model.start, strict=True)
    return np.concatenate([(w.numpy() - start).ravel() for w, start in pairs])


def descent():
    return keras.optimizers.SGD(0.01, momentum=0.9)


@pytest.fixture
def videos(moving_squares):
    """Three batches of four."""
    return moving_squares(12, 2, size=8)


@pytest.fixture(scope="module")
def reference(strategy_of, moving_squares):
    """How far one replica goes in float32, uncompiled."""
    return moved(trained(strategy_of(1), moving_squares(12, 2, size=8), False, descent))


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_compiled_function_trains(precision, strategy_of, videos, replicas, policy):
    precision(policy)
    adam = lambda: keras.optimizers.Adam(1e-2)  # noqa: E731
    model = trained(strategy_of(replicas), videos, True, adam, epochs=5)
    assert model.decoder.compute_dtype == policy.removeprefix("mixed_")
    assert all(np.isfinite(values).all() for values in model.logs.values())
    assert model.logs["reconstruction_loss"][-1] < 0.9 * model.logs["reconstruction_loss"][0]
    assert set(model.logs) == set(RJVAE.term_names)


def test_compiled_gradients_are_the_uncompiled_ones(strategy_of, videos, reference):
    compiled = moved(trained(strategy_of(1), videos, True, descent))
    np.testing.assert_allclose(compiled, reference, atol=2e-5)
    assert np.abs(reference).max() > 0.01


@pytest.mark.slow
def test_a_compiled_step_in_float16_is_close_to_float32(precision, strategy_of, videos, reference):
    precision("mixed_float16")
    # From a scale that no gradient overflows, else the first steps are left out.
    scaled = lambda: keras.optimizers.LossScaleOptimizer(descent(), initial_scale=64.0)  # noqa: E731
    model = trained(strategy_of(1), videos, True, scaled)
    assert int(model.optimizer.inner_optimizer.iterations.numpy()) == 3
    way = moved(model)
    cosine = way @ reference / (np.linalg.norm(way) * np.linalg.norm(reference))
    assert cosine > 0.99
    assert np.linalg.norm(way) == pytest.approx(np.linalg.norm(reference), rel=0.05)


@pytest.mark.parametrize("model_class", [RJVAE, pytest.param(DSA, marks=pytest.mark.slow)])
def test_two_replicas_train_a_model_as_one_does(monkeypatch, strategy_of, videos, model_class):
    def without_noise(shapes, batch, key):
        return {name: tf.zeros([batch, *shape]) for name, shape in shapes.items()}

    monkeypatch.setattr(trainer, "draw_noise", without_noise)
    one, two = (trained(strategy_of(n), videos, False, descent, model_class) for n in (1, 2))
    np.testing.assert_allclose(moved(one), moved(two), atol=2e-5)
    assert np.abs(moved(one)).max() > 0.01
    for name in model_class.term_names:
        np.testing.assert_allclose(one.logs[name], two.logs[name], rtol=1e-4)


@pytest.mark.parametrize("jit_compile", COMPILED_OR_NOT)
def test_batch_statistics_move_inside_the_compiled_function(strategy_of, videos, jit_compile):
    networks = {name: SMALL[name] for name in ("encoder", "decoder")}
    with_norm = {name: {**own, "normalization": "batch"} for name, own in networks.items()}
    model = trained(strategy_of(1), videos, jit_compile, descent, **with_norm)
    moving = [v.numpy() for v in model.non_trainable_variables if "moving" in v.path]
    assert len(moving) == 2 * (1 + 2)  # mean and variance behind each convolution and the grid
    for name, values in zip(["mean", "variance"] * 3, moving, strict=True):
        assert (values != (0.0 if name == "mean" else 1.0)).any()
    assert np.isfinite(model.generate(2)).all()


@pytest.mark.parametrize("jit_compile", COMPILED_OR_NOT)
def test_replicas_keep_one_prior(strategy_of, videos, jit_compile):
    options = {"prior_momentum": 0.5, "prior_couplings": 2, "decoded_frames": 1}
    model = trained(strategy_of(2), videos, jit_compile, descent, summary_weight=0.1, **options)
    covariance = model.summary_prior.covariance
    first, second = (value.numpy() for value in covariance.value.values)
    np.testing.assert_array_equal(first, second)
    # Posteriors start with deviations of about 0.2: three steps at 0.5 leave little of the 1.
    assert (np.diag(first) < 0.3).all()
    np.testing.assert_allclose(
        model.summary_prior.scale_tril.numpy() @ model.summary_prior.scale_tril.numpy().T,
        first,
        atol=1e-4,
    )
