import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.training.averaging import averaged_weights

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
