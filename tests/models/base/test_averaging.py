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
from kerasvid.models.base.trainer import EVALUATION_SEED, Trainer, draw_noise
from kerasvid.models.cgan import CGAN
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.registry import MODELS, model_class

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


# === Statistics of batch norm ===


@pytest.fixture
def averaging_gan(strategy_of):
    """A function that makes a GAN whose averaged weights are far from the trained ones."""

    def make(replicas=1):
        with strategy_of(replicas).scope():
            model = MoCoGAN.from_preset("debug", frames=4, image_shape=(16, 16, 3))
            optimizer = AveragedAdam(1e-3, use_ema=True, ema_momentum=0.5)
            optimizers = {name: keras.optimizers.Adam(1e-3) for name in model.network_variables()}
            model.compile({**optimizers, "generator": optimizer}, jit_compile=False)
        clips = np.random.default_rng(0).integers(0, 256, [8, 4, 16, 16, 3], dtype=np.uint8)
        model.fit(clips, batch_size=8, epochs=6, verbose=0)
        generator = np.random.default_rng(1)
        for average in optimizer._model_variables_moving_average:
            average.assign(generator.normal(scale=0.3, size=average.shape))
        return model

    return make


def pooled_moments(model, passes=8, clips=32):
    """The moments of the inputs of the first batch norm, worked out in numpy."""
    inputs = []
    for number in range(passes):
        key = tf.constant([EVALUATION_SEED, number])
        noise = draw_noise(model.noise_shapes(model.frames), clips, key)
        codes = model.codes(noise).numpy()
        dense = model.decoder.seed_layer
        values = codes.reshape(-1, codes.shape[-1]) @ dense.kernel.numpy() + dense.bias.numpy()
        inputs.append(values.reshape(-1, model.decoder.seed_channels))
    pooled = np.concatenate(inputs).astype("float64")
    return pooled.mean(axis=0), pooled.var(axis=0)


@pytest.mark.parametrize("replicas", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_averaged_weights_have_statistics_of_their_own(averaging_gan, replicas):
    model = averaging_gan(replicas)
    layer = model.decoder.seed_normalization
    before = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    with averaged_weights(model):
        mean, variance = pooled_moments(model)
        np.testing.assert_allclose(layer.moving_mean.numpy(), mean, atol=1e-4)
        np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-3)
        again = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        assert layer.momentum == 0.99
    assert np.abs(variance / before[1] - 1.0).max() > 0.2
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before[0])
    np.testing.assert_array_equal(layer.moving_variance.numpy(), before[1])
    apply_ema(model)  # the same to the bit
    np.testing.assert_array_equal(layer.moving_mean.numpy(), again[0])
    np.testing.assert_array_equal(layer.moving_variance.numpy(), again[1])


def test_samples_of_averaged_weights_have_the_contrast_of_training(averaging_gan):
    model = averaging_gan()
    noise = model.sample_noise(64, seed=3)
    with averaged_weights(model):
        in_training = model(noise, training=True).numpy().std()
        assert model(noise).numpy().std() == pytest.approx(in_training, rel=0.1)


def test_frozen_batch_norm_keeps_its_statistics(averaging_gan):
    model = averaging_gan()
    layer = model.decoder.seed_normalization
    before = layer.moving_variance.numpy()
    layer.trainable = False
    model.measure_batch_norm()
    np.testing.assert_array_equal(layer.moving_variance.numpy(), before)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_presets_average_no_longer_than_statistics_that_are_not_measured_anew(name):
    cls = model_class(name)
    if cls.measure_batch_norm is not Trainer.measure_batch_norm and cls is not CGAN:
        return
    for preset, training in cls.TRAINING.items():
        assert training.ema_momentum <= 0.99, preset
