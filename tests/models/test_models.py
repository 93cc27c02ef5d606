"""What every registered model must do: one line in the registry brings a model all of this."""

import gc
import inspect
import json
import pathlib
import resource
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base import row_noise
from kerasvid.models.base.gan import IMAGE, VIDEO, AdversarialModel
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import Encoder, Swappable
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import LimitedLength, VideoGenerator, as_pixels
from kerasvid.models.registry import MODELS, model_class

SMALL = {"image_shape": (16, 16, 3), "frames": 4}
# Beside each model as it comes, variants of one that run other code; those that go between two
# frames stand at the end, so that tests of the others leave the shared fixtures as they are.
VARIANTS = {
    **{name: (name, {}) for name in MODELS if not issubclass(model_class(name), InBetween)},
    "dsa-full": ("dsa", {"posterior": "full"}),
    "rjvae-classes": ("rjvae", {"categories": 3, "prior_momentum": 0.9}),
    "dsa-classes": (
        "dsa",
        {"categories": 3, "aggregate_start": True, "prior_momentum": 0.9},
    ),
    "rjgan-classes": ("rjgan", {"categories": 3, "objective": {"conditioning": "projection"}}),
    "vgan-classes": ("vgan", {"categories": 3}),
    "tgan-classes": ("tgan", {"categories": 3}),
    "mocogan-categories": ("mocogan", {"categories": 3}),
    "navsynth-pairs": (
        "navsynth",
        {"static_by": "identity", "transient_by": "label", "identities": 3, "classes": 3},
    ),
    **{name: (name, {}) for name in MODELS if issubclass(model_class(name), InBetween)},
    "cvae-guesses": (
        "cvae",
        {
            "warping": True,
            "moving_cell": 4,
            "exact_endpoints": True,
            "mean_weight": 1.0,
            "coarse_weight": 1.0,
            "decoded_frames": 1,
        },
    ),
    "cvae-motion": (
        "cvae",
        {
            "warping": True,
            "motion": {"cell": 4, "waves": 2, "channels": (8,), "units": 8},
            "exact_endpoints": True,
            "track_weight": 1.0,
        },
    ),
    "cgan-warping": ("cgan", {"warping": True, "motion": {"channels": (8,), "units": 8}}),
    "cvae-classes": ("cvae", {"categories": 3}),
    "cgan-classes": ("cgan", {"categories": 3, "intermediate_weight": 1.0}),
}


def variants_of(*bases):
    """The variants of all of these classes, for tests of what not every model can do."""
    classes = {each: model_class(name) for each, (name, _) in VARIANTS.items()}
    return [each for each, cls in classes.items() if all(issubclass(cls, base) for base in bases)]


def make_model(variant, **overrides):
    name, own = VARIANTS[variant]
    return model_class(name).from_preset("debug", **{**SMALL, **own, **overrides})


# One model of each way to train; where a test takes long, the others are in the slow tests.
OF_EACH_KIND = ("rjvae", "image_gan", "navsynth")


def models_first(names, quick=tuple(MODELS)):
    """Registered models as they are, variants of one in the slow tests."""
    slow = pytest.mark.slow
    return [name if name in quick else pytest.param(name, marks=slow) for name in names]


@pytest.fixture(params=models_first(VARIANTS), scope="module")
def variant(request):
    return request.param


# For tests of models that make videos of noise alone.
of_generators = pytest.mark.parametrize(
    "variant", models_first(variants_of(VideoGenerator)), indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def model(variant):
    """A model that tests may read, not train."""
    return make_model(variant)


@pytest.fixture(params=models_first(variants_of(Encoder, VideoGenerator)), scope="module")
def encoder(request):
    """A model with an encoder, which tests may read, not train."""
    return make_model(request.param)


@pytest.fixture(params=models_first(variants_of(Swappable)), scope="module")
def swapper(request):
    """A model that exchanges content and motion, which tests may read, not train."""
    return make_model(request.param)


@pytest.fixture
def videos(moving_squares):
    """uint8 `[3, 3, 16, 16, 3]`: another length than the model's own."""
    return moving_squares(3, 3)


@pytest.fixture
def clips(moving_squares):
    """uint8 `[3, 4, 16, 16, 3]`, of the length that models with learned codes ask for."""
    return moving_squares(3, 4)


def as_json(config):
    """A configuration as a file holds it: tuples are lists."""
    return json.loads(json.dumps(config))


def compiled_by(model):
    """The model, compiled as its `TrainConfig` says."""
    training = model.TRAINING["debug"]
    optimizers = training.make_optimizers(list(model.network_variables()))
    model.compile(optimizers, jit_compile=False, clip_norm=10.0, seed=3)
    return model


def training_clips(model, videos):
    """A batch as `fit` takes it, of the shape the model trains on: ImageGAN on single frames."""
    rows = np.arange(len(videos))
    return {
        "video": videos[:, : model.frames],
        "index": rows,
        "identity": rows % 3,
        "label": rows % 3,
    }


def made_by(model, count=2, frames=None, seed=1):
    """Videos of a model, uint8 `[B, T, H, W, C]`; between black and white, if it asks for ends."""
    if isinstance(model, VideoGenerator):
        return model.generate(count, frames=frames, seed=seed)
    black = np.zeros([count, *model.image_shape], np.uint8)
    return model.between(black, 255 - black, frames, seed)


def optimizers_of(model):
    return [model.optimizer_of(network) for network in model.network_variables()]


# === Generation ===


@of_generators
@pytest.mark.parametrize("frames", [None, 2, 5])
def test_generate_gives_bytes_of_any_length(model, frames):
    if frames == 5 and isinstance(model, LimitedLength):
        with pytest.raises(ValueError, match=r"frames=5: .* at most 4 frames") as error:
            model.generate(3, frames=frames)
        assert "\n" not in str(error.value)
        return
    videos = model.generate(3, frames=frames, seed=1)
    assert videos.shape == (3, frames or 4, 16, 16, 3)
    assert videos.dtype == np.uint8
    again = model.generate(3, frames=frames, seed=1)
    np.testing.assert_array_equal(videos, again)
    assert (videos != model.generate(3, frames=frames, seed=2)).any()


@of_generators
def test_decoded_pixels_lie_in_the_range_and_are_deterministic(model):
    codes = 10.0 * model.codes(model.sample_noise(3, seed=1))
    videos = model.decode(codes)
    assert videos.dtype == tf.float32
    assert float(tf.reduce_max(tf.abs(videos))) <= 1.0
    np.testing.assert_array_equal(videos, model.decode(codes))


@of_generators
def test_a_row_of_generate_does_not_depend_on_the_batch_size(model):
    noises = {batch: model.sample_noise(batch, seed=5) for batch in (1, 2, 7)}
    for name, value in noises[7].items():
        np.testing.assert_array_equal(noises[1][name], value[:1])
        np.testing.assert_array_equal(noises[2][name], value[:2])
        assert len(np.unique(value.numpy().reshape(7, -1)[:, 0])) == 7
    videos = {batch: model.render(noise).astype(int) for batch, noise in noises.items()}
    for batch in (1, 2):
        difference = np.abs(videos[batch] - videos[7][:batch])
        # Sums of products are ordered by the batch: a pixel at a rounding edge may move one level.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001


@of_generators
@pytest.mark.parametrize("seed", [0, -1, 2**31, 2**40])
def test_any_integer_is_a_seed(model, seed):
    noise, other = model.sample_noise(1, seed=seed), model.sample_noise(1, seed=seed + 1)
    for name, value in noise.items():
        assert value.dtype == tf.float32
        assert (value.numpy() != other[name].numpy()).any()


@of_generators
def test_truncated_noise_is_nearer_to_the_mean_and_keeps_its_category(model):
    noise = model.sample_noise(3, seed=1)
    short = model.truncated(noise, 0.5)
    for name, value in noise.items():
        factor = 1.0 if name == "category" else 0.5
        np.testing.assert_allclose(short[name], factor * value)
    np.testing.assert_array_equal(model.generate(3, seed=1, truncation=0.5), model.render(short))
    with pytest.raises(ValueError, match=r"truncation=-0\.5 must be 0 or more"):
        model.generate(3, truncation=-0.5)


@of_generators
def test_empty_batches_and_videos_are_refused(model):
    for arguments in ({"batch": 0}, {"batch": 1, "frames": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            model.generate(**arguments)


@of_generators
def test_interpolation_ends_at_what_its_noises_show(model):
    a, b = model.sample_noise(2, seed=1), model.sample_noise(2, seed=2)
    videos = model.interpolate(a, b, steps=3)
    assert videos.shape == (2, 3, 4, 16, 16, 3)
    np.testing.assert_array_equal(videos[:, 0], model.render(a))
    np.testing.assert_array_equal(videos[:, -1], model.render(b))
    with pytest.raises(ValueError, match="at least 2"):
        model.interpolate(a, b, steps=1)
    with pytest.raises(ValueError, match="both need the same batch and frames"):
        model.interpolate(a, model.sample_noise(1, seed=2))


@of_generators
def test_no_graph_holds_a_loop(model, assert_unrolled):
    shapes = model.noise_shapes(4)
    noise = {name: tf.TensorSpec([None, *shape]) for name, shape in shapes.items()}
    video = tf.TensorSpec([None, 4, *model.image_shape])
    generate = tf.function(lambda noise: model.decode(model.codes(noise)))
    assert_unrolled(generate.get_concrete_function(noise))
    if isinstance(model, VariationalModel):
        losses = tf.function(lambda x, z: model.compute_losses({"video": x}, z, 0.0, training=True))
        assert_unrolled(losses.get_concrete_function(video, noise))


# === Videos to codes and back ===


def test_encoding_and_decoding_is_reconstruction(encoder, videos):
    model = encoder
    reconstructed = model.reconstruct(videos)
    assert reconstructed.shape == videos.shape
    assert reconstructed.dtype == np.uint8
    np.testing.assert_array_equal(
        as_pixels(model.decode(model.encode(videos)["codes"])), reconstructed
    )
    floats = videos.astype("float32") / 127.5 - 1.0
    difference = np.abs(model.reconstruct(floats).astype(int) - reconstructed)
    assert difference.max() <= 1


def test_swapping_a_video_with_itself_is_reconstruction(swapper, videos):
    np.testing.assert_array_equal(swapper.swap(videos, videos), swapper.reconstruct(videos))
    assert swapper.swap(videos[:2], videos[1:]).shape == (2, 3, 16, 16, 3)


def test_swapping_different_numbers_of_videos_is_refused(swapper, videos):
    with pytest.raises(ValueError, match=r"content_of 1, motion_of 3\): give as many") as error:
        swapper.swap(videos[:1], videos)
    assert "\n" not in str(error.value)


def test_videos_without_a_time_axis_are_refused_in_one_line(encoder, videos):
    methods = [encoder.encode, encoder.reconstruct]
    if isinstance(encoder, Swappable):
        methods.append(lambda v: encoder.swap(v, v))
    for method in methods:
        with pytest.raises(ValueError, match=r"\[B, T, H, W, C\], not the shape") as error:
            method(videos[0])
        assert "\n" not in str(error.value)


def test_frames_of_another_size_are_refused_in_one_line(encoder, moving_squares):
    with pytest.raises(
        ValueError,
        match=r"frames are \(32, 32, 3\), but the model takes \(16, 16, 3\)\. Resize them",
    ) as error:
        encoder.encode(moving_squares(1, 3, size=32))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MODELS)
def test_training_on_frames_of_another_size_is_refused_in_one_line(name, moving_squares):
    model = model_class(name).from_preset("debug", **SMALL)
    model.compile("adam")
    for frames in (moving_squares(3, 4, size=32), moving_squares(3, 4)[..., :1]):
        with pytest.raises(ValueError, match=r"but the model takes \(16, 16, 3\)") as error:
            model.fit(training_clips(model, frames), verbose=0)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["rjgan", "image_gan"])
def test_training_on_images_of_another_size_is_refused_in_one_line(name, clips, moving_squares):
    model = model_class(name).from_preset("debug", **SMALL)
    model.compile("adam")
    batch = {**training_clips(model, clips), "image": moving_squares(3, 1, size=32)[:, 0]}
    with pytest.raises(ValueError, match=r"^image: frames are \(32, 32, 3\)") as error:
        model.fit(batch, verbose=0)
    assert "\n" not in str(error.value)


# === Configuration ===


def test_the_configuration_holds_every_argument(model):
    config = model.get_config()
    arguments = set(inspect.signature(type(model).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(model.hyperparameters()) <= set(config)
    for name, value in {**model.PRESETS["debug"], **SMALL}.items():
        if not isinstance(value, dict):
            assert config[name] == value
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert restored.get_config() == config
    assert [w.shape for w in restored.weights] == [w.shape for w in model.weights]


def test_summary_finds_every_layer_built(model):
    lines = []
    model.summary(print_fn=lines.append, expand_nested=True)
    text = "\n".join(map(str, lines))
    assert "unbuilt" not in text
    assert f"{model.count_params():,}" in text
    assert all(layer.built for layer in model._flatten_layers())


def test_presets_and_hyperparameters_answer_typing_errors(model):
    cls = type(model)
    with pytest.raises(ValueError, match=r"no preset 'debgu': did you mean 'debug'") as error:
        cls.from_preset("debgu")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"'frmaes': did you mean 'frames'") as error:
        cls.from_preset("debug", frmaes=3)
    assert "\n" not in str(error.value)


def test_a_preset_takes_a_precision_and_a_name(variant):
    model = make_model(variant, dtype="mixed_bfloat16", name="mine")
    assert getattr(model, "decoder", model).compute_dtype == "bfloat16" and model.name == "mine"


ADVERSARIAL = [name for name in MODELS if issubclass(model_class(name), AdversarialModel)]


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_generator_without_a_discriminator_cannot_be_trained(name):
    discriminators = {"image_discriminator", "video_discriminator"} & set(
        model_class(name).hyperparameters()
    )
    model = model_class(name).from_preset("debug", **dict.fromkeys(discriminators, False))
    with pytest.raises(ValueError, match="it generates, and cannot be trained") as error:
        model.compile("adam")
    assert "\n" not in str(error.value)
    for discriminator in discriminators:
        refused = f"{discriminator}=3 must be a mapping|has no {discriminator.replace('_', ' ')}"
        with pytest.raises(ValueError, match=refused):
            model_class(name).from_preset("debug", **{discriminator: 3})


def test_every_preset_has_a_train_config(model):
    assert set(model.PRESETS) == set(model.TRAINING) >= {"debug", "base", "paper"}
    accepted = model.hyperparameters()
    for preset in model.PRESETS.values():
        assert set(preset) <= set(accepted)


def test_the_base_preset_builds_and_makes_frames(variant):
    model = model_class(VARIANTS[variant][0]).from_preset("base")
    assert made_by(model, 1, frames=2).shape == (1, 2, 64, 64, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_published_presets_build_and_make_frames(name):
    cls = model_class(name)
    for preset in set(cls.PRESETS) - {"debug", "base"}:
        assert made_by(cls.from_preset(preset), 1, frames=2).shape == (1, 2, 64, 64, 3)


# === Training ===


@pytest.mark.parametrize("variant", models_first(variants_of(Encoder), OF_EACH_KIND))
def test_fitting_a_small_batch_lowers_the_loss(variant, clips):
    keras.utils.set_random_seed(0)
    model = make_model(variant)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    batch = training_clips(model, clips)
    before = model.evaluate(batch, verbose=0, return_dict=True)
    logs = model.fit(batch, epochs=30, verbose=0).history
    after = model.evaluate(batch, verbose=0, return_dict=True)
    assert after["loss"] < 0.7 * before["loss"]
    assert logs["loss"][-1] < 0.7 * logs["loss"][0]
    assert made_by(model).shape == (2, 4, 16, 16, 3)


CODES = {"loss", "psnr"}
GAN = {"loss", "generator_loss"}
OF_IMAGES, OF_CLIPS = (
    {f"{network}_{term}" for term in ("loss", "real", "fake")} for network in (IMAGE, VIDEO)
)
BOUND = {"loss", "bound", "reconstruction_loss", "psnr"}
# What a step of the preset `plain` reports: the terms of the paper, their sum, scores and PSNR.
PLAIN_TERMS = {
    "rjvae": BOUND | {"kl_summary", "kl_residual"},
    "dsa": BOUND | {"kl_content", "kl_motion"},
    "cvae": BOUND | {"kl_video", "endpoints_loss"},
    "navsynth": CODES | {"reconstruction_loss", "static_loss", "triplet_loss"},
    "glo": CODES,
    "image_gan": GAN | OF_IMAGES,
    **dict.fromkeys(("mocogan", "rmocogan", "rjgan"), GAN | OF_IMAGES | OF_CLIPS),
    "tgan": GAN | OF_CLIPS,
    "vgan": GAN | OF_CLIPS | {"mask_loss"},
    "cgan": GAN | OF_CLIPS | {"endpoints_loss"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN_TERMS)
def test_a_step_of_the_preset_plain_has_the_terms_of_the_paper_alone(name, moving_squares):
    model = model_class(name).from_preset("plain")
    optimizers = model.TRAINING["plain"].make_optimizers(list(model.network_variables()))
    model.compile(optimizers, jit_compile=False)
    videos = moving_squares(2, model.frames, size=64)
    logs = model.fit(training_clips(model, videos), verbose=0).history
    assert set(logs) == PLAIN_TERMS[name]
    assert all(np.isfinite(values).all() for values in logs.values())


def graphs_in_memory():
    """How many graphs of functions there are, after those that are free have gone."""
    row_noise._drawn_rows.cache_clear()  # kept for the models to come, and bounded
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return sum(kind.__name__ == "FuncGraph" for kind in kinds)


@pytest.mark.parametrize("name", models_first(MODELS, (*OF_EACH_KIND, "mocogan")))
def test_a_trained_model_leaves_no_graph_in_memory(name, clips):
    def trained():
        model = compiled_by(model_class(name).from_preset("debug", **SMALL))
        batch = training_clips(model, clips)
        model.fit(batch, verbose=0)
        model.evaluate(batch, verbose=0)
        made_by(model)
        return weakref.ref(model)

    before = graphs_in_memory()
    model = trained()
    assert graphs_in_memory() <= before
    assert model() is None


@pytest.mark.slow
def test_twenty_models_in_turn_need_the_memory_of_a_few(clips):
    sizes = []
    for _ in range(20):
        model = compiled_by(model_class("rjvae").from_preset("debug", **SMALL))
        model.fit(training_clips(model, clips), verbose=0)
        del model
        keras.backend.clear_session()
        gc.collect()
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        sizes.append(pages * resource.getpagesize() / 1e6)
    assert sizes[-1] - sizes[4] < 100  # MB


@pytest.mark.parametrize("name", models_first(MODELS, (*OF_EACH_KIND, "rjgan", "glo")))
def test_parts_that_are_not_trainable_stay_as_they_are(name, clips):
    model = model_class(name).from_preset("debug", **SMALL)
    parts = [part for part in vars(model).values() if isinstance(part, keras.Layer)]
    for part in parts:
        part.trainable = False
    before = [part.get_weights() for part in parts]
    compiled_by(model).fit(training_clips(model, clips), verbose=0)
    for part, weights in zip(parts, before, strict=True):
        for weight, value in zip(part.weights, weights, strict=True):
            np.testing.assert_array_equal(weight.numpy(), value, err_msg=weight.path)
    assert int(model.steps_taken.numpy()) == 1


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_noise_names_what_to_use_instead_of_predict_and_export(name, clips, tmp_path):
    model = model_class(name).from_preset("debug", **SMALL)
    if not model.noise_methods:
        assert model.predict(clips, verbose=0).shape == clips.shape
        return
    with pytest.raises(
        ValueError, match=r"predict takes noise, not videos\. Use (gen|betw)"
    ) as error:
        model.predict(clips, verbose=0)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"Use kerasvid\.export\.saved_model") as error:
        model.export(tmp_path / "exported")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MODELS)
def test_another_data_format_of_keras_changes_nothing(name, channels_first):
    model = model_class(name).from_preset("debug", **SMALL)
    assert made_by(model).shape == (2, 4, 16, 16, 3)


@pytest.mark.parametrize(
    "variant", models_first(VARIANTS, OF_EACH_KIND), indirect=True, scope="module"
)
def test_a_saved_model_goes_on_as_the_one_in_memory(variant, clips, tmp_path):
    model = compiled_by(make_model(variant))
    batches = tf.data.Dataset.from_tensors(training_clips(model, clips))
    model.fit(batches, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")

    assert type(restored) is type(model)
    assert as_json(restored.get_config()) == as_json(model.get_config())
    assert restored.get_compile_config() == model.get_compile_config()
    pairs = [(model.weights, restored.weights)]
    for ours, theirs in zip(optimizers_of(model), optimizers_of(restored), strict=True):
        assert len(theirs.variables) == len(ours.variables) > 0
        pairs.append((ours.variables, theirs.variables))
    for one, other in pairs:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(made_by(model), made_by(restored))

    for continued in (model, restored):
        continued.fit(batches, verbose=0)
    for a, b in zip(model.weights, restored.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for optimizer in optimizers_of(restored):
        assert int(optimizer.iterations.numpy()) == 4
    # Other lengths and batches than those of training, 3 clips of 4 frames.
    frames = 3 if isinstance(model, LimitedLength) else 7
    many, few = made_by(restored, 5, frames).astype(int), made_by(restored, 2, frames)
    assert many.shape == (5, frames, *model.image_shape)
    assert np.abs(many[:2] - few).max() <= 1


@pytest.mark.slow
def test_everything_works_in_bfloat16(variant, clips, precision, tmp_path):
    precision("mixed_bfloat16")
    model = compiled_by(make_model(variant))
    logs = model.fit(training_clips(model, clips), epochs=2, verbose=0).history
    assert set(logs) == set(model.term_names)
    assert all(np.isfinite(values).all() for values in logs.values())
    if isinstance(model, VideoGenerator):
        codes = model.codes(model.sample_noise(2))
        assert codes.dtype == tf.float32
        assert model.decode(codes).dtype == tf.float32
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    model.save(tmp_path / "model.keras")
    precision("float32")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert getattr(restored, "decoder", restored).compute_dtype == "bfloat16"
    np.testing.assert_array_equal(made_by(restored), made_by(model))


@pytest.mark.slow
def test_compiled_functions_train_on_two_devices_in_half_precision(
    variant, moving_squares, precision, strategy_of
):
    precision("mixed_bfloat16")
    videos = moving_squares(8, 4)
    with strategy_of(2).scope():
        model = make_model(variant)
        training = model.TRAINING["debug"]
        optimizers = training.make_optimizers(list(model.network_variables()))
        model.compile(optimizers, jit_compile=True, clip_norm=10.0)
    batch = training_clips(model, videos)
    before = [variable.numpy() for variable in model.trainable_variables]
    batches = tf.data.Dataset.from_tensor_slices(batch).batch(4, drop_remainder=True)
    logs = model.fit(batches, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    for variable, start in zip(model.trainable_variables, before, strict=True):
        # Batch norm, and a Wasserstein critic's difference, take some biases away.
        assert "bias" in variable.path or (variable.numpy() != start).any(), variable.path
    assert made_by(model).std() > 0


def test_samples_follow_weights_and_priors_that_change():
    model = model_class("rjvae").from_preset("debug", frames=3)
    first = model.generate(2, seed=1)
    for weight in model.decoder.weights:
        weight.assign(1.5 * weight)
    changed = model.generate(2, seed=1)
    expected = as_pixels(model.decode(model.codes(model.sample_noise(2, seed=1))))
    assert (first != changed).any()
    assert np.abs(changed.astype(int) - expected).max() <= 1

    model.fit_prior("gaussian", [{"video": np.zeros([8, 3, 64, 64, 3], np.uint8)}], steps=2)
    expected = as_pixels(model.decode(model.codes(model.sample_noise(2, seed=1))))
    drawn = model.generate(2, seed=1)
    assert np.abs(drawn.astype(int) - expected).max() <= 1 and (drawn != changed).any()
