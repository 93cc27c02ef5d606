import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.tgan import TGAN, TemporalGenerator

SMALL = {"image_shape": (16, 16, 3), "frames": 4}
WHOLE = {**TGAN.PRESETS["debug"]["video_discriminator"], "score": "full"}


def make_model(**overrides):
    return TGAN.from_preset("debug", **{**SMALL, **overrides})


def one_step(model, videos):
    model.compile("adam", jit_compile=False, seed=3)
    model.fit(videos, batch_size=len(videos), verbose=0)
    return model


def doubled(sequence, kernel, bias):
    """A transposed convolution by its definition: every input adds its kernel to the outputs.

    Args:
        sequence: `[T, inputs]`.
        kernel: `[4, outputs, inputs]`; tap k of input i lands on output 2 i + k - 1.

    Returns:
        `[2 T, outputs]`.
    """
    length, outputs = len(sequence), kernel.shape[1]
    result = np.tile(bias.astype(float), [2 * length, 1])
    for i in range(length):
        for k in range(4):
            position = 2 * i + k - 1
            if 0 <= position < 2 * length:
                for o in range(outputs):
                    for c in range(sequence.shape[1]):
                        result[position, o] += kernel[k, o, c] * sequence[i, c]
    return result


@pytest.fixture(scope="module")
def model():
    """A model that tests may read, not train."""
    return make_model()


@pytest.fixture
def videos(moving_squares):
    return moving_squares(3, 4)


# === The temporal generator ===


def test_the_sequence_is_a_transposed_convolution_by_hand():
    layer = TemporalGenerator(frames=6, channels=(4, 2))
    latents = np.random.default_rng(1).normal(size=[3, 5]).astype("float32")
    layer(latents)
    generator = np.random.default_rng(2)
    norm, convolution = layer.normalizations[0], layer.convolutions[0]
    scale, shift, mean = generator.normal(size=[3, 4])
    variance = generator.uniform(0.5, 2.0, 4)
    norm.set_weights([scale, shift, mean, variance])
    convolution.set_weights([generator.normal(size=[4, 2, 4]), generator.normal(size=2)])

    kernel, bias = (weight.astype(float) for weight in convolution.get_weights())
    dense, offset = (weight.astype(float) for weight in layer.first.get_weights())
    for row, latent in enumerate(latents):
        first = (latent @ dense + offset).reshape(3, 4)  # half of six moments
        normal = (first - mean) / np.sqrt(variance + norm.epsilon) * scale + shift
        expected = np.tanh(doubled(np.maximum(normal, 0.0), kernel, bias))
        np.testing.assert_allclose(layer(latents)[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("frames", "start"), [(1, 1), (4, 1), (5, 2), (8, 2), (11, 3)])
def test_the_stages_make_the_length_that_is_asked_for(frames, start):
    layer = TemporalGenerator(frames=frames, channels=(4, 4, 3))
    assert layer(tf.zeros([2, 5])).shape == (2, frames, 3)
    assert layer.start == start


def test_the_published_widths_make_sixteen_moments_of_one():
    layer = TemporalGenerator(frames=16)
    assert layer(tf.zeros([1, 100])).shape == (1, 16, 100)
    assert tuple(layer.first.kernel.shape) == (100, 512)
    shapes = [tuple(convolution.kernel.shape) for convolution in layer.convolutions]
    assert shapes == [(4, 256, 512), (4, 128, 256), (4, 128, 128), (4, 100, 128)]


def test_too_few_stages_are_refused():
    with pytest.raises(ValueError, match=r"temporal_channels=\(8,\) must have two widths or more"):
        make_model(temporal_channels=(8,))


# === Codes ===


def test_codes_keep_the_first_vector_and_unfold_the_second(model):
    noise = model.sample_noise(3, seed=1)
    assert set(noise) == {"latent"}
    codes = model.codes(noise).numpy()
    assert codes.shape == (3, 4, 8 + 6)
    for frame in range(4):
        np.testing.assert_array_equal(codes[:, frame, :8], noise["latent"])
    np.testing.assert_array_equal(codes[:, :, 8:], model.temporal(noise["latent"]))
    assert (np.abs(np.diff(codes[:, :, 8:], axis=1)).max(axis=-1) > 1e-4).all()
    assert np.abs(codes[:, :, 8:]).max() <= 1.0


def test_a_frame_is_made_of_its_own_vector_alone(model):
    codes = model.codes(model.sample_noise(2, seed=1))
    whole = model.decode(codes)
    for frame in range(4):
        alone = model.decode(codes[:, frame : frame + 1])
        np.testing.assert_allclose(alone[:, 0], whole[:, frame], atol=1e-5)


def test_training_normalizes_by_the_batch_in_both_generators(model):
    noise = model.sample_noise(8, seed=1)
    trained = make_model()
    trained.set_weights(model.get_weights())
    generators = (trained.temporal, trained.decoder)
    moving = [w for g in generators for w in g.non_trainable_variables if "moving" in w.name]
    before = [weight.numpy() for weight in moving]
    in_training = trained.fakes(noise, 4, training=True)["video"]
    assert len(moving) == 2 * (2 + 3)
    assert all((a != b.numpy()).any() for a, b in zip(before, moving, strict=True))
    assert np.abs(in_training - model.fakes(noise, 4, training=False)["video"]).max() > 1e-3


# === Networks ===


def test_the_video_discriminator_is_the_only_one(model):
    assert list(model.network_variables()) == ["generator", "video_discriminator"]
    assert model.objective.loss == "wasserstein"
    own = {f"video_discriminator_{term}" for term in ("loss", "real", "fake")}
    assert set(model.term_names) == {"loss", "generator_loss", *own}


def test_options_of_other_models_are_refused():
    with pytest.raises(ValueError, match="no hyper-parameter 'image_discriminator'"):
        make_model(image_discriminator={})


def test_a_step_trains_every_weight(videos):
    model = make_model(video_discriminator=WHOLE)
    before = {name: [v.numpy() for v in own] for name, own in model.network_variables().items()}
    one_step(model, videos)
    last = model.video_discriminator.output_layer.bias  # leaves a difference of scores as it is
    for name, own in model.network_variables().items():
        for a, b in zip(before[name], own, strict=True):
            assert (a != b.numpy()).any() or b is last, (name, b.path)


# === Lengths ===


@pytest.mark.parametrize("frames", [1, 3])
def test_a_shorter_clip_is_the_start_of_the_native_one(model, frames):
    noise = model.sample_noise(2, seed=5)
    np.testing.assert_array_equal(model.codes(noise, frames), model.codes(noise)[:, :frames])
    difference = model.generate(2, frames=frames, seed=5).astype(int)
    difference -= model.generate(2, seed=5)[:, :frames]
    # Sums of products are ordered by the rows: a pixel at a rounding edge may move one level.
    assert np.abs(difference).max() <= 1


# === Presets ===


@pytest.mark.parametrize("preset", ["plain", "paper"])
def test_the_published_optimizer_is_rmsprop(preset):
    """As Adam without momentum, with the decay of 0.99 of the released code."""
    training = TGAN.TRAINING[preset]
    rates = training.learning_rate, training.beta_1, training.beta_2, training.epsilon
    assert rates == (5e-5, 0.0, 0.99, 1e-8)
    assert TGAN.TRAINING["paper"].batch_size == 32


def test_the_published_widths_of_the_frame_generator():
    decoder = TGAN.PRESETS["paper"]["decoder"]
    assert (decoder["seed_channels"], decoder["channels"]) == (512, (256, 128, 64, 32))
