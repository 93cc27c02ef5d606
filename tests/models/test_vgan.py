import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.discriminators import VideoDiscriminator
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.vgan import VGAN, TwoStreamDecoder

SMALL = {"image_shape": (16, 16, 3), "frames": 4}
WHOLE = {**VGAN.PRESETS["debug"]["video_discriminator"], "score": "full"}


def make_model(**overrides):
    return VGAN.from_preset("debug", **{**SMALL, **overrides})


def with_mask(model, logit):
    """Makes the mask head a constant: its channels are the last of every pixel's four."""
    head = model.decoder.foreground.convolutions[-1]
    bias, kernel = head.bias.numpy(), head.kernel.numpy()  # [..., outputs, inputs]
    bias[3::4], kernel[..., 3::4, :] = logit, 0.0
    head.bias.assign(bias)
    head.kernel.assign(kernel)
    return model


def one_step(model, videos, optimizer="adam"):
    model.compile(optimizer, jit_compile=False, seed=3)
    model.fit(videos, batch_size=len(videos), verbose=0)
    return model


@pytest.fixture(scope="module")
def model():
    """A model that tests may read, not train."""
    return make_model()


@pytest.fixture
def videos(moving_squares):
    return moving_squares(3, 4)


# === Streams ===


def test_a_clip_is_the_masked_foreground_before_the_background(model):
    latents = tf.random.stateless_normal([3, 8], [1, 2])
    foreground, mask, background = (part.numpy() for part in model.streams(latents))
    assert foreground.shape == (3, 4, 16, 16, 3)
    assert mask.shape == (3, 4, 16, 16, 1)
    assert background.shape == (3, 16, 16, 3)
    expected = np.empty([3, 4, 16, 16, 3])
    for frame in range(4):
        share = mask[:, frame].astype(float)
        expected[:, frame] = share * foreground[:, frame] + (1.0 - share) * background
    clips = model.decode(tf.repeat(latents[:, None], 4, axis=1))
    np.testing.assert_allclose(clips, expected, atol=1e-6)


def test_the_streams_keep_to_their_ranges(model):
    streams = model.streams(100.0 * tf.random.stateless_normal([3, 8], [1, 2]))
    for part, least in ((streams.foreground, -1.0), (streams.mask, 0.0), (streams.background, -1)):
        assert least <= float(tf.reduce_min(part)) < 0.5 * (least + 1.0)
        assert 0.5 * (least + 1.0) < float(tf.reduce_max(part)) <= 1.0


def test_where_the_mask_is_zero_every_frame_is_the_background():
    model = with_mask(make_model(), -200.0)
    noise = model.sample_noise(2, seed=1)
    clips, background = model(noise), model.streams(noise["latent"]).background
    for frame in range(4):
        np.testing.assert_array_equal(clips[:, frame], background)


def test_where_the_mask_is_one_the_clip_is_the_moving_foreground():
    model = with_mask(make_model(), 200.0)
    noise = model.sample_noise(2, seed=1)
    clips = model(noise).numpy()
    np.testing.assert_array_equal(clips, model.streams(noise["latent"]).foreground)
    assert (np.abs(np.diff(clips, axis=1)).max(axis=(2, 3, 4)) > 1e-3).all()


def test_a_clip_has_one_latent_vector(model):
    noise = model.sample_noise(3, seed=1)
    assert set(noise) == {"latent"}
    codes = model.codes(noise)
    assert codes.shape == (3, 4, 8)
    for frame in range(4):
        np.testing.assert_array_equal(codes[:, frame], noise["latent"])
    other_later = tf.concat([codes[:, :1], tf.zeros_like(codes[:, 1:])], axis=1)
    np.testing.assert_array_equal(model.decode(codes), model.decode(other_later))


def test_the_paper_preset_has_the_published_layers():
    preset = VGAN.PRESETS["paper"]
    decoder = TwoStreamDecoder((64, 64, 3), preset["frames"], **preset["decoder"])
    decoder(tf.zeros([1, 100]))
    assert decoder.foreground.grid == (2, 4, 4)
    assert decoder.background.grid == (4, 4)
    widths = [512, 256, 128, 64]
    for stream, side, last in (
        (decoder.foreground, (4, 4, 4), 3 + 1),
        (decoder.background, (4, 4), 3),
    ):
        shapes = [tuple(convolution.kernel.shape) for convolution in stream.convolutions]
        pairs = zip([*widths[1:], last], widths, strict=True)
        assert shapes == [(*side, outputs, inputs) for outputs, inputs in pairs]


def test_frames_that_the_decoder_cannot_reach_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"20x16 .* enlarges 8 times. Use .* of 8") as error:
        make_model(image_shape=(20, 16, 3))
    assert "\n" not in str(error.value)


# === The mask's term ===


def test_the_mask_term_is_the_weighted_mean_of_the_mask():
    model = make_model(mask_weight=0.3)
    noise = model.sample_noise(3, seed=1)
    mask = model.streams(noise["latent"]).mask.numpy()
    expected = [0.3 * np.abs(row).sum() / (4 * 16 * 16) for row in mask]
    terms = AdversarialTerms(model.objective, {})
    values = model.generator_losses({}, model.fakes(noise, 4, training=False), terms)
    np.testing.assert_allclose(values["mask_loss"], np.mean(expected), rtol=1e-5)
    assert "mask_loss" in model.term_names


def test_every_pixel_of_the_mask_has_the_same_gradient():
    model = make_model(mask_weight=0.3)
    model.compile("adam", jit_compile=False)
    fakes = model.fakes(model.sample_noise(3, seed=1), 4, training=False)
    values, gradients = model.generator_step({}, fakes, {})
    np.testing.assert_allclose(gradients["mask"], np.full([3, 4, 16, 16, 1], 0.3 / 3072), rtol=1e-5)
    free = make_model(mask_weight=0.0)
    free.set_weights(model.get_weights())
    without = free.generator_losses({}, fakes, AdversarialTerms(free.objective, {}))
    difference = float(values["generator_loss"] - without["generator_loss"])
    np.testing.assert_allclose(difference, 0.3 * np.mean(fakes["mask"]), rtol=1e-4)


def test_the_mask_term_reaches_the_generator_alone(videos):
    charged, free = (
        make_model(mask_weight=weight, video_discriminator=WHOLE) for weight in (10.0, 0.0)
    )
    free.set_weights(charged.get_weights())
    moved = {}
    for name, model in (("charged", charged), ("free", free)):
        one_step(model, videos, keras.optimizers.SGD(0.1))
        moved[name] = model.network_variables()
    apart = {
        network: max(
            np.abs(one.numpy() - other.numpy()).max()
            for one, other in zip(moved["charged"][network], moved["free"][network], strict=True)
        )
        for network in ("generator", "video_discriminator")
    }
    assert apart["video_discriminator"] < 1e-6
    assert apart["generator"] > 1e-3


def test_a_negative_mask_weight_is_refused():
    with pytest.raises(ValueError, match=r"mask_weight=-0\.1 must be 0 or more"):
        make_model(mask_weight=-0.1)


# === Lengths ===


@pytest.mark.parametrize("frames", [1, 3])
def test_a_shorter_clip_is_the_start_of_the_native_one(model, frames):
    whole, cut = model.generate(2, seed=5), model.generate(2, frames=frames, seed=5)
    np.testing.assert_array_equal(cut, whole[:, :frames])
    codes = model.codes(model.sample_noise(2, seed=5))
    np.testing.assert_array_equal(model.decode(codes[:, :frames]), model.decode(codes)[:, :frames])


def test_codes_of_more_frames_than_the_model_has_are_refused(model):
    with pytest.raises(ValueError, match=r"frames=5: .* at most 4 frames"):
        model.decode(tf.zeros([1, 5, 8]))


def test_a_native_length_that_the_stages_do_not_reach_is_cut():
    model = make_model(frames=6)  # in steps of 4
    assert model.decoder.foreground.grid == (2, 2, 2)
    assert model.generate(1).shape == (1, 6, 16, 16, 3)


# === Presets ===


def test_the_preset_paper_is_trained_as_in_the_released_code():
    preset, training = VGAN.PRESETS["paper"], VGAN.TRAINING["paper"]
    rates = training.learning_rate, training.beta_1, training.beta_2, training.epsilon
    assert rates == (2e-4, 0.5, 0.999, 1e-8)
    assert (training.batch_size, preset["frames"], preset["latent_dim"]) == (64, 32, 100)
    assert VGAN.hyperparameters()["mask_weight"] == 0.1
    assert not {"mask_weight"} & (set(preset) | set(VGAN.PRESETS["plain"]))


def test_the_published_discriminator_has_four_convolutions_and_one_score():
    """Each halves the frames and the sides: 4x4 positions of 2 moments are left of 32 frames."""
    discriminator = VideoDiscriminator(**VGAN.PRESETS["paper"]["video_discriminator"])
    assert discriminator(tf.zeros([1, 32, 64, 64, 3])).logits.shape == (1, 1)
    widths = zip((3, 64, 128, 256), (64, 128, 256, 512), strict=True)
    shapes = [tuple(convolution.kernel.shape) for convolution in discriminator.convolutions]
    assert shapes == [(4, 4, 4 * before, width) for before, width in widths]
    assert tuple(discriminator.output_layer.kernel.shape) == (4, 4, 2 * 512, 1)
