import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.trainer import draw_noise, replica_key, resolve_jit

SIZE = 2 * 2 * 2 * 3  # of the videos below: T * H * W * C


def float_videos(rows, seed=0):
    """float32 `[rows, 2, 2, 2, 3]` in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, [rows, 2, 2, 2, 3]).astype("float32")


def batches(videos, batch_size):
    return tf.data.Dataset.from_tensor_slices(videos).batch(batch_size, drop_remainder=True)


def fitted(linear_model, strategy, videos, batch_size, optimizer=None, noise_weight=0.0, **kwargs):
    """A linear model after one epoch, by default by plain descent with rate 1."""
    with strategy.scope():
        model = linear_model(SIZE, noise_weight)
        optimizer = optimizer() if optimizer else keras.optimizers.SGD(1.0)
        model.compile(optimizer, jit_compile=False, **kwargs)
    model.logs = model.fit(batches(videos, batch_size), verbose=0, shuffle=False).history
    return model


# === Arguments ===


@pytest.mark.parametrize("choice", [True, False])
def test_an_explicit_choice_of_compilation_is_kept(choice):
    assert resolve_jit(choice) is choice


def test_auto_compiles_on_accelerators_only(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert resolve_jit("auto") is False
    devices = {"GPU": ["GPU:0"]}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices.get(kind, []))
    assert resolve_jit("auto") is True


@pytest.mark.parametrize("choice", ["yes", "True", None, 2])
def test_another_choice_of_compilation_is_refused(choice):
    with pytest.raises(ValueError, match=r"use 'auto', True or False\.$"):
        resolve_jit(choice)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0])
def test_a_clip_norm_that_is_not_positive_is_refused(linear_model, clip_norm):
    with pytest.raises(ValueError, match="must be positive"):
        linear_model(SIZE).compile("sgd", clip_norm=clip_norm)


def test_a_loss_or_metric_of_keras_is_refused(linear_model):
    for name, value in (("loss", "mse"), ("metrics", ["mae"])):
        with pytest.raises(ValueError, match=f"{name}=.*brings its own loss and metrics"):
            linear_model(SIZE).compile("sgd", **{name: value})
    linear_model(SIZE).compile("sgd", steps_per_execution=2, run_eagerly=False)


# === Noise ===


def drawn_on(strategy, seed, step):
    def draw():
        return draw_noise({"a": (2, 3), "b": (5,)}, 4, replica_key(seed, step))

    values = strategy.run(draw)
    return {name: strategy.experimental_local_results(value) for name, value in values.items()}


def test_every_replica_draws_its_own_noise_and_draws_it_again(strategy_of):
    mirrored = strategy_of(2)
    first, again = drawn_on(mirrored, 3, 7), drawn_on(mirrored, 3, 7)
    others = [drawn_on(mirrored, 4, 7), drawn_on(mirrored, 3, 8), drawn_on(mirrored, 7, 3)]
    for name, shape in (("a", (4, 2, 3)), ("b", (4, 5))):
        one, two = first[name]
        assert one.shape == shape
        assert not np.isclose(one, two).any()
        for replica in range(2):
            np.testing.assert_array_equal(first[name][replica], again[name][replica])
            for other in others:
                assert not np.isclose(first[name][replica], other[name][replica]).any()


def test_one_replica_draws_what_the_first_of_two_draws(strategy_of):
    alone = drawn_on(strategy_of(1), 3, 7)
    both = drawn_on(strategy_of(2), 3, 7)
    np.testing.assert_array_equal(alone["a"][0], both["a"][0])


def test_noise_is_standard_gaussian_and_differs_between_names_and_rows():
    noise = draw_noise({"a": (1000,), "b": (1000,)}, 4, replica_key(0, 0))
    for value in noise.values():
        assert abs(float(tf.reduce_mean(value))) < 0.06
        assert abs(float(tf.math.reduce_std(value)) - 1.0) < 0.05
    rows = np.concatenate([noise["a"], noise["b"]])
    correlation = np.corrcoef(rows) - np.eye(8)
    assert np.abs(correlation).max() < 0.15


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_training_step_draws_from_seed_iteration_and_replica(
    linear_model, strategy_of, replicas
):
    videos = np.zeros([8, 2, 2, 2, 3], "float32")  # two steps of 4 rows
    model = fitted(linear_model, strategy_of(replicas), videos, 4, noise_weight=1.0, seed=5)
    expected, rows = np.zeros(SIZE), 4 // replicas
    for step in range(2):
        for replica in range(replicas):
            key = tf.random.experimental.stateless_fold_in([5, step], replica)
            noise = draw_noise({"noise": (SIZE,)}, rows, key)["noise"].numpy()
            expected -= noise.mean(axis=0) / replicas
    np.testing.assert_allclose(model.w.numpy(), expected, atol=1e-5)


# === Batches ===


def test_dicts_of_bytes_and_bare_arrays_of_bytes_or_floats_train_alike(linear_model):
    pixels = np.random.default_rng(0).integers(0, 256, [4, 2, 2, 2, 3], dtype=np.uint8)
    scaled = pixels.astype("float64") / 127.5 - 1.0
    expected = -scaled.reshape(4, SIZE).mean(axis=0)
    for data in (pixels, {"video": pixels, "index": np.arange(4)}, scaled.astype("float32")):
        model = linear_model(SIZE)
        model.compile(keras.optimizers.SGD(1.0))
        model.fit(data, batch_size=4, verbose=0)
        np.testing.assert_allclose(model.w.numpy(), expected, atol=1e-5)


def test_videos_without_a_time_axis_are_refused_with_their_shape(linear_model):
    model = linear_model(SIZE)
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"\[B, T, H, W, C\], not the shape \(4, 2, 2, 3\)"):
        model.video_of(tf.zeros([4, 2, 2, 3]))
    with pytest.raises(ValueError, match=r"no \"video\""):
        model.video_of({"frames": tf.zeros([4, 2, 2, 2, 3])})


METHODS = ("fit", "validation", "evaluate", "train_on_batch", "test_on_batch")


def call(model, method, given):
    """Gives data to a method of Keras; `"validation"` to `fit` beside faultless videos."""
    if method == "validation":
        return model.fit(float_videos(4), validation_data=given, verbose=0)
    quiet = {} if method.endswith("on_batch") else {"verbose": 0}
    return getattr(model, method)(given, **quiet)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("largest", [255.0, np.nan], ids=str)
def test_floats_beyond_the_range_are_refused_before_the_first_step(linear_model, method, largest):
    model = linear_model(SIZE)
    model.compile("sgd")
    videos = float_videos(4)
    videos[1, 1] = largest
    with pytest.raises(
        ValueError, match=rf"pixels reach {largest:g} .* in \[-1, 1\]\. Give"
    ) as error:
        call(model, method, videos)
    assert "\n" not in str(error.value)
    assert int(model.steps_taken.numpy()) == 0


@pytest.mark.parametrize("method", METHODS)
def test_wrong_axes_are_refused_in_one_line(linear_model, method):
    model = linear_model(SIZE)
    model.compile("sgd")
    model.fit(float_videos(4), verbose=0)  # of a traced step the shape would be unknown
    with pytest.raises(
        ValueError, match=r"\[B, T, H, W, C\], not the shape \(4, 2, 2, 3\)"
    ) as error:
        call(model, method, float_videos(4)[:, 0])
    assert "\n" not in str(error.value)


def wrapped(kind, videos):
    """Videos as the kinds of data that `fit` takes, one batch of 4 each."""
    if kind == "dataset":
        return batches(videos, 4)
    if kind == "generator":
        return ((part,) for part in np.split(videos, len(videos) // 4))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(videos) // 4

        def __getitem__(self, index):
            return videos[4 * index : 4 * index + 4]

    return Batches()


@pytest.mark.filterwarnings("ignore:Your `PyDataset` class should call")
@pytest.mark.parametrize("kind", ["dataset", "generator", "pydataset"])
def test_the_check_of_the_first_batch_takes_every_kind_of_data_and_no_batch_away(
    linear_model, kind
):
    model = linear_model(SIZE)
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"reach 127\.5 and must be"):
        model.fit(wrapped(kind, 127.5 * np.ones([4, 2, 2, 2, 3])), verbose=0)
    data = model.checked_data(wrapped(kind, float_videos(12)), None, None)
    read = [data[index] for index in range(len(data))] if kind == "pydataset" else list(data)
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(b) for b in read]).ravel(), float_videos(12).ravel()
    )


@pytest.mark.filterwarnings("ignore:Your `PyDataset` class should call")
@pytest.mark.parametrize("method", ["fit", "validation", "evaluate"])
@pytest.mark.parametrize("kind", ["array", "dict", "dataset", "generator", "pydataset"])
def test_floats_beyond_the_range_are_refused_in_a_later_batch_too(linear_model, kind, method):
    model = linear_model(SIZE)
    model.compile("sgd")
    videos = float_videos(40)  # more than the first rows that are checked
    videos[-1] = 255.0
    kinds = {"array": videos, "dict": {"video": videos, "index": np.arange(40)}}
    data = kinds[kind] if kind in kinds else wrapped(kind, videos)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as error:
        call(model, method, data)
    assert "float pixels" in str(error.value) and "in [-1, 1]. Give uint8" in str(error.value)
    assert "\n" not in str(error.value)
    if kind in kinds:
        assert int(model.steps_taken.numpy()) == 0


def test_arguments_by_position_are_checked_as_those_by_name(linear_model):
    model = linear_model(SIZE)
    model.compile("sgd")
    videos = float_videos(4)
    endless = batches(videos, 4).repeat()
    before = (None, 2, 1, 0, None, 0.0)  # validation_data
    with pytest.raises(ValueError, match=r"reach 255 and must be"):
        model.fit(videos, *before, 255.0 * np.ones_like(videos))
    with pytest.raises(ValueError, match="repeats without end"):
        model.fit(videos, *before, endless)
    model.fit(videos, *before, endless, True, None, None, 0, None, 1)  # validation_steps
    model.evaluate(endless, None, None, 0, None, 1)  # steps
    assert int(model.steps_taken.numpy()) == 2


def test_data_without_end_need_a_number_of_steps(linear_model):
    model = linear_model(SIZE)
    model.compile("sgd")
    endless = batches(float_videos(4), 4).repeat()
    for method in ("fit", "validation", "evaluate"):
        with pytest.raises(ValueError, match=r"repeats without end\. Give the number of") as error:
            call(model, method, endless)
        assert "\n" not in str(error.value)
    model.fit(endless, steps_per_epoch=2, validation_data=endless, validation_steps=1, verbose=0)
    model.evaluate(endless, steps=1, verbose=0)
    assert int(model.steps_taken.numpy()) == 2


# === Several replicas ===


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_last_batch_smaller_than_the_replicas_is_refused_in_one_line(
    linear_model, strategy_of, method
):
    with strategy_of(2).scope():
        model = linear_model(SIZE)
        model.compile("sgd", jit_compile=False)
    uneven = tf.data.Dataset.from_tensor_slices(float_videos(5)).batch(4)
    message = r"^The last batch has fewer videos than the 2 replicas\. Batch with drop_remainder"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as error:
        getattr(model, method)(uneven, verbose=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("clip_norm", [None, 0.2])
def test_two_replicas_train_as_one_with_the_whole_batch(linear_model, strategy_of, clip_norm):
    videos = float_videos(16)
    momentum = lambda: keras.optimizers.SGD(0.5, momentum=0.9)  # noqa: E731
    one, two = (
        fitted(linear_model, strategy_of(n), videos, 4, momentum, clip_norm=clip_norm)
        for n in (1, 2)
    )
    np.testing.assert_allclose(one.w.numpy(), two.w.numpy(), rtol=1e-5, atol=1e-6)
    assert np.abs(one.w.numpy()).max() > 0.01
    np.testing.assert_allclose(one.logs["loss"], two.logs["loss"], rtol=1e-5)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("clip_norm", [0.3, 100.0])
def test_clipping_scales_the_gradient_of_the_whole_batch(
    linear_model, strategy_of, replicas, clip_norm
):
    videos = float_videos(8)
    model = fitted(linear_model, strategy_of(replicas), videos, 4, clip_norm=clip_norm)
    expected = np.zeros(SIZE)
    for batch in np.split(videos.reshape(8, SIZE).astype("float64"), 2):
        gradient = batch.mean(axis=0)
        expected -= gradient * min(1.0, clip_norm / np.linalg.norm(gradient))
    np.testing.assert_allclose(model.w.numpy(), expected, atol=1e-6)


def test_the_loss_is_shared_by_the_replicas_and_scaled_by_the_optimizer(linear_model, strategy_of):
    for replicas in (1, 2):
        with strategy_of(replicas).scope():
            model = linear_model(SIZE)
            inner = keras.optimizers.SGD(1.0)
            model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0))
        assert float(model.scaled(tf.constant(3.0))) == 3.0 * 1024.0 / replicas


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("clip_norm", [None, 0.3])
def test_loss_scaling_leaves_the_update_as_it_was(linear_model, strategy_of, replicas, clip_norm):
    videos, strategy = float_videos(8), strategy_of(replicas)
    scaling = lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0))  # noqa: E731
    plain = fitted(linear_model, strategy, videos, 4, clip_norm=clip_norm)
    scaled = fitted(linear_model, strategy, videos, 4, scaling, clip_norm=clip_norm)
    np.testing.assert_allclose(scaled.w.numpy(), plain.w.numpy(), atol=1e-5)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_logged_loss_is_the_mean_over_steps_and_replicas(linear_model, strategy_of, replicas):
    videos = float_videos(8)
    model = fitted(linear_model, strategy_of(replicas), videos, 4)
    rows = videos.reshape(2, 4, SIZE)
    weights = [np.zeros(SIZE), -rows[0].mean(axis=0)]
    losses = [(batch @ w).mean() for batch, w in zip(rows, weights, strict=True)]
    np.testing.assert_allclose(model.logs["loss"], [np.mean(losses)], rtol=1e-5)


@pytest.mark.parametrize("clip_norm", [None, 100.0])
@pytest.mark.parametrize("overflowing", [slice(4, 6), slice(6, 8)], ids=["first", "second"])
def test_an_overflow_on_any_replica_skips_the_step_on_all(
    precision, linear_model, strategy_of, overflowing, clip_norm, monkeypatch
):
    precision("mixed_float16")
    monkeypatch.setattr("kerasvid.data.pixels.LARGEST", np.inf)
    videos, strategy = float_videos(8), strategy_of(2)
    expected = -videos[:4].reshape(4, SIZE).mean(axis=0)  # the first step alone
    videos[overflowing] = 3e38
    model = fitted(linear_model, strategy, videos, 4, clip_norm=clip_norm)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    for copy in strategy.experimental_local_results(model.w.value):
        np.testing.assert_allclose(copy, expected, atol=1e-5)


# === Compile arguments ===


def test_compile_arguments_round_trip(linear_model):
    model = linear_model(SIZE)
    assert model.get_compile_config() is None
    model.compile(keras.optimizers.Adam(0.5), jit_compile=False, clip_norm=2.0, seed=9)
    restored = linear_model(SIZE)
    restored.compile_from_config(model.get_compile_config())
    assert restored.get_compile_config() == model.get_compile_config()
    assert float(restored.optimizer.learning_rate) == 0.5


def test_the_noise_goes_on_with_the_steps_taken_before(linear_model, strategy_of):
    videos = np.zeros([8, 2, 2, 2, 3], "float32")
    whole = fitted(linear_model, strategy_of(1), videos, 4, noise_weight=1.0, seed=5)
    resumed = fitted(linear_model, strategy_of(1), videos[:4], 4, noise_weight=1.0, seed=5)
    resumed.compile_from_config(resumed.get_compile_config())
    resumed.steps_taken.assign(1)
    resumed.fit(batches(videos[:4], 4), verbose=0)
    np.testing.assert_array_equal(resumed.w.numpy(), whole.w.numpy())


def test_a_step_that_loss_scaling_skips_has_used_its_noise(linear_model, precision, monkeypatch):
    precision("mixed_float16")
    monkeypatch.setattr("kerasvid.data.pixels.LARGEST", np.inf)
    model = linear_model(SIZE)
    model.compile("sgd", jit_compile=False)
    overflowing = np.full([4, 2, 2, 2, 3], np.inf, "float32")
    model.fit(batches(np.concatenate([float_videos(4), overflowing]), 4), verbose=0)
    assert int(model.optimizer.inner_optimizer.iterations.numpy()) == 1
    assert int(model.steps_taken.numpy()) == 2
