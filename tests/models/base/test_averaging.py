import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.averaging import (
    AveragedAdam,
    apply_ema,
    averaged_weights,
    ema_ready,
)

SIZE = 2 * 2 * 2 * 3
MOMENTUM = 0.7


class StopBeforeOverwrite(keras.callbacks.Callback):
    """Keeps the trained weights and averages of the last step: `fit` ends by swapping them."""

    def on_train_batch_end(self, batch, logs=None):
        self.trained = self.model.w.numpy()
        with averaged_weights(self.model):
            self.averaged = self.model.w.numpy()


def trained(linear_model, strategy, videos, wrap=lambda optimizer: optimizer):
    with strategy.scope():
        model = linear_model(SIZE)
        optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=MOMENTUM)
        model.compile(wrap(optimizer), jit_compile=False)
    watch = StopBeforeOverwrite()
    data = tf.data.Dataset.from_tensor_slices(videos).batch(4, drop_remainder=True)
    model.fit(data, verbose=0, callbacks=[watch])
    return model, watch


@pytest.fixture
def videos():
    """Five batches of four."""
    return np.random.default_rng(0).uniform(-1, 1, [20, 2, 2, 2, 3]).astype("float32")


def path(videos):
    """Weights and averages after each step, in numpy: the first average is the first weights."""
    weights, average, steps = np.zeros(SIZE), None, []
    for batch in np.split(videos.reshape(20, SIZE).astype("float64"), 5):
        weights = weights - batch.mean(axis=0)
        average = weights if average is None else MOMENTUM * average + (1 - MOMENTUM) * weights
        steps.append((weights, average))
    return steps


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_average_follows_the_weights_on_any_number_of_replicas(
    linear_model, strategy_of, videos, replicas
):
    model, watch = trained(linear_model, strategy_of(replicas), videos)
    weights, average = path(videos)[-1]
    np.testing.assert_allclose(watch.trained, weights, atol=1e-5)
    np.testing.assert_allclose(watch.averaged, average, atol=1e-5)
    assert np.abs(weights - average).max() > 0.05
    for copy in strategy_of(replicas).experimental_local_results(model.w.value):
        np.testing.assert_allclose(copy, average, atol=1e-5)  # as `fit` leaves it


def test_the_average_is_found_behind_loss_scaling(linear_model, strategy_of, videos):
    _, watch = trained(linear_model, strategy_of(1), videos, keras.optimizers.LossScaleOptimizer)
    np.testing.assert_allclose(watch.averaged, path(videos)[-1][1], atol=1e-5)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_trained_weights_come_back_to_the_bit(linear_model, strategy_of, videos, replicas):
    model, watch = trained(linear_model, strategy_of(replicas), videos)
    model.w.assign(watch.trained)
    with averaged_weights(model):
        np.testing.assert_array_equal(model.w.numpy(), watch.averaged)
    np.testing.assert_array_equal(model.w.numpy(), watch.trained)
    with pytest.raises(RuntimeError, match="on purpose"), averaged_weights(model):
        raise RuntimeError("on purpose")
    for copy in strategy_of(replicas).experimental_local_results(model.w.value):
        np.testing.assert_array_equal(copy, watch.trained)


def test_without_an_average_nothing_changes(linear_model):
    model = linear_model(SIZE)
    with averaged_weights(model):  # not compiled
        np.testing.assert_array_equal(model.w.numpy(), np.zeros(SIZE))
    model.compile("sgd")
    model.w.assign(np.ones(SIZE))
    with averaged_weights(model):  # keeps none
        np.testing.assert_array_equal(model.w.numpy(), np.ones(SIZE))


def test_before_the_first_step_the_weights_are_their_own_average(linear_model):
    model = linear_model(SIZE)
    model.w.assign(np.ones(SIZE))
    model.compile(keras.optimizers.SGD(1.0, use_ema=True))
    with averaged_weights(model):
        np.testing.assert_array_equal(model.w.numpy(), np.ones(SIZE))


# === An average that stays in the optimizer ===


class KeptSGD(keras.optimizers.SGD):
    """As `AveragedAdam`, of plain descent, whose path is computed by hand."""

    finalize_variable_values = AveragedAdam.finalize_variable_values


@pytest.mark.parametrize("wrap", [lambda o: o, keras.optimizers.LossScaleOptimizer])
def test_fit_leaves_the_trained_weights_and_apply_ema_decides(linear_model, videos, wrap):
    for momentum, ready in ((MOMENTUM, False), (0.3, True)):  # of five steps
        model, watch = linear_model(SIZE), StopBeforeOverwrite()
        model.compile(wrap(AveragedAdam(0.1, use_ema=True, ema_momentum=momentum)))
        model.fit(videos, batch_size=4, verbose=0, callbacks=[watch])
        np.testing.assert_array_equal(model.w.numpy(), watch.trained)
        assert np.abs(watch.averaged - watch.trained).max() > 0.01
        assert ema_ready(model) is ready
        apply_ema(model)
        np.testing.assert_array_equal(model.w.numpy(), watch.averaged if ready else watch.trained)


def test_an_optimizer_without_an_average_is_never_ready(linear_model, videos):
    model = linear_model(SIZE)
    assert not ema_ready(model)
    model.compile(AveragedAdam(0.1, ema_momentum=0.0))
    model.fit(videos, batch_size=4, verbose=0)
    assert not ema_ready(model)


# === Several networks ===


class WatchNetworks(keras.callbacks.Callback):
    """Keeps all weights as the last step left them, and as they are within `averaged_weights`."""

    def on_train_batch_end(self, batch, logs=None):
        self.trained = copied(self.model)
        with averaged_weights(self.model):
            self.within = copied(self.model)
        self.after = copied(self.model)


def copied(model):
    networks = model.network_variables().items()
    return {name: [v.numpy() for v in variables] for name, variables in networks}


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("wrap", [lambda o: o, keras.optimizers.LossScaleOptimizer])
def test_of_several_networks_the_generator_alone_has_an_average(
    linear_gan, strategy_of, replicas, wrap
):
    discriminators = ("image_discriminator", "video_discriminator")
    with strategy_of(replicas).scope():
        model = linear_gan()
        average = {"use_ema": True, "ema_momentum": MOMENTUM}
        optimizers = {"generator": wrap(KeptSGD(0.05, **average))}
        optimizers |= {name: wrap(keras.optimizers.SGD(0.05)) for name in discriminators}
        model.compile(optimizers, jit_compile=False)
    path = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: path.append(float(model.gain.g.numpy()))
    )
    watch = WatchNetworks()
    clips = np.random.default_rng(0).uniform(-1, 1, [44, 2, 1, 2, 1]).astype("float32")
    data = tf.data.Dataset.from_tensor_slices(clips).batch(4, drop_remainder=True)
    model.fit(data, verbose=0, callbacks=[record, watch])

    expected = path[0]
    for value in path[1:]:
        expected = MOMENTUM * expected + (1 - MOMENTUM) * value
    assert watch.within["generator"] == pytest.approx([expected], abs=1e-5)
    assert abs(expected - path[-1]) > 1e-3
    for name, values in watch.trained.items():
        np.testing.assert_array_equal(watch.after[name], values)
        np.testing.assert_array_equal(copied(model)[name], values)  # as `fit` leaves it
    apply_ema(model)
    end = copied(model)
    assert end["generator"] == pytest.approx([expected], abs=1e-5)
    for name in discriminators:
        for values in (watch.within, end):
            np.testing.assert_array_equal(values[name], watch.trained[name])


def test_an_average_that_all_networks_copy_is_used_in_the_generator_alone(linear_gan):
    model = linear_gan()
    model.compile(AveragedAdam(0.1, use_ema=True, ema_momentum=0.5))
    watch = WatchNetworks()
    clips = np.random.default_rng(0).uniform(-1, 1, [24, 2, 1, 2, 1]).astype("float32")
    model.fit(clips, batch_size=4, shuffle=False, verbose=0, callbacks=[watch])
    apply_ema(model)
    end = copied(model)
    assert end["generator"] == watch.within["generator"] != watch.trained["generator"]
    np.testing.assert_array_equal(end["video_discriminator"], watch.trained["video_discriminator"])


@pytest.mark.parametrize("wrap", [lambda o: o, keras.optimizers.LossScaleOptimizer])
def test_an_optimizer_that_would_write_its_average_to_all_networks_is_refused(linear_gan, wrap):
    with pytest.raises(ValueError, match=r"SGD with use_ema=True .* Use .*AveragedAdam") as error:
        linear_gan().compile(wrap(keras.optimizers.SGD(0.5, use_ema=True)))
    assert "\n" not in str(error.value)
