import math

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.discriminators import VideoDiscriminator
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.registry import PARAMETERS, model_class

SMALL = {"image_shape": (8, 8, 3), "frames": 4}
CONTENT, MOTION, CATEGORIES = 8, 4, 3  # of the preset, and of the model below
PAPER = MoCoGAN.PRESETS["paper"]


@pytest.fixture(scope="module")
def model():
    model = MoCoGAN.from_preset("debug", **SMALL, categories=CATEGORIES)
    # Larger weights than fresh ones: what an untrained decoder shows is nearly uniform.
    model.decoder.set_weights([3.0 * weight for weight in model.decoder.get_weights()])
    return model


def parts(codes):
    """z_C, z_M^(t) and the category of a frame's codes."""
    return np.split(np.asarray(codes), [CONTENT, CONTENT + MOTION], axis=-1)


def test_codes_are_content_motion_and_category_side_by_side(model):
    noise = model.sample_noise(3, seed=1)
    content, motion, category = parts(model.codes(noise))
    np.testing.assert_array_equal(content, np.repeat(noise["content"][:, None], 4, axis=1))
    expected = model.motion(noise["motion"], start=noise["start"])
    np.testing.assert_array_equal(motion, expected)
    assert (np.abs(np.diff(motion, axis=1)) > 0).all()
    assert category.shape == (3, 4, CATEGORIES)


def test_classes_need_a_video_discriminator():
    with pytest.raises(ValueError, match="there is no video discriminator to learn the") as error:
        MoCoGAN.from_preset("debug", **SMALL, categories=3, video_discriminator=False)
    assert "\n" not in str(error.value)


def test_without_categories_there_is_no_code():
    model = MoCoGAN.from_preset("debug", **SMALL)
    assert "category" not in model.noise_shapes(4)
    assert model.codes(model.sample_noise(2)).shape == (2, 4, CONTENT + MOTION)
    video = tf.zeros([1, 4, 8, 8, 3])
    assert model.video_discriminator(video).categories is None


def test_the_motion_does_not_depend_on_the_content_and_starts_at_random(model):
    noise = model.sample_noise(2, seed=1)
    _, before, _ = parts(model.codes(noise))
    _, same, _ = parts(model.codes({**noise, "content": noise["content"] + 1.0}))
    np.testing.assert_array_equal(before, same)
    _, other, _ = parts(model.codes({**noise, "start": noise["start"] + 1.0}))
    assert (np.abs(before - other).max(axis=(0, 2)) > 1e-3).all()


def test_a_category_is_one_of_k_alike_for_every_frame_and_equally_often(model):
    noise = {"category": tf.random.stateless_normal([6000, CATEGORIES], [1, 2])}
    counts = np.bincount(model.category_of(noise), minlength=CATEGORIES)
    # Binomial with p = 1/3: a standard deviation of 36.5.
    assert np.abs(counts - 2000).max() < 4 * 36.5
    noise = model.sample_noise(5, seed=3)
    _, _, category = parts(model.codes(noise))
    expected = np.eye(CATEGORIES)[model.category_of(noise)]
    np.testing.assert_array_equal(category, np.repeat(expected[:, None], 4, axis=1))
    assert len(np.unique(model.category_of(noise))) > 1


@pytest.mark.parametrize("category", range(CATEGORIES))
def test_videos_of_a_category_have_its_code_and_the_rest_of_their_seed(model, category):
    noise = model.sample_noise(3, seed=5)
    content, motion, _ = parts(model.codes(noise))
    code = np.tile(np.eye(CATEGORIES)[category], [3, 4, 1])
    codes = np.concatenate([content, motion, code], axis=-1).astype("float32")
    videos = model.generate(3, seed=5, label=category)
    np.testing.assert_array_equal(videos, as_pixels(model.decode(codes)))
    assert (videos != model.generate(3, seed=5, label=(category + 1) % CATEGORIES)).any()


def test_recombined_videos_have_the_content_of_one_and_the_motion_of_another(model, monkeypatch):
    one, other = (model.sample_noise(3, seed=seed) for seed in (0, 1))
    content, _, _ = parts(model.codes(one))
    _, motion, category = parts(model.codes(other))
    rendered = []
    monkeypatch.setattr(model, "render", rendered.append)
    model.recombine(content_of=one, motion_of=other)
    expected = np.concatenate([content, motion, category], axis=-1)
    np.testing.assert_array_equal(model.codes(rendered[0]), expected)
    monkeypatch.undo()
    np.testing.assert_array_equal(model.recombine(one, one), model.render(one))
    assert (model.recombine(one, other) != model.render(other)).any()


def test_labelled_clips_train_the_classification(model, moving_squares):
    video = tf.constant(moving_squares(3, 4, size=8))
    model.compile("sgd", jit_compile=False)
    kernel, start, ways = model.video_discriminator.output_layer.kernel, model.get_weights(), []
    own = kernel.numpy()
    for labels in ([0, 1, 2], [2, 1, 0], [-1, -1, -1]):
        model.set_weights(start)
        model.train_step({"video": video, "label": tf.constant(labels)})
        ways.append(kernel.numpy())
    # Column 0 is real against generated, the others are the categories.
    for way in ways[:2]:
        assert (np.abs(way - own).max(axis=(0, 1, 2)) > 0).all()
    np.testing.assert_array_equal(ways[0][..., 0], ways[1][..., 0])
    assert (ways[0][..., 1] != ways[1][..., 1]).any()
    np.testing.assert_array_equal(ways[2][..., 1:], own[..., 1:])
    model.set_weights(start)


# === Presets ===


@pytest.mark.parametrize("name", ["mocogan", "rmocogan", "rjgan"])
def test_the_preset_paper_reads_every_second_frame_as_the_released_code(name):
    cls = model_class(name)
    training = cls.TRAINING["paper"]
    assert (training.stride, training.batch_size, training.steps) == (2, 32, 100_000)
    rates = training.learning_rate, training.beta_1, training.beta_2, training.epsilon
    assert rates == (2e-4, 0.5, 0.999, 1e-8)
    assert (training.warmup_steps, training.decay_steps) == (0, 0)
    assert cls.PRESETS["paper"]["video_discriminator"] == PAPER["video_discriminator"]
    assert cls.PRESETS["paper"]["image_discriminator"] == PAPER["image_discriminator"]


def test_the_published_discriminator_of_clips_has_a_fourth_convolution_and_one_score():
    """Of 16 frames, each convolution of 4 takes 3 away: 4x4 positions of 4 moments are left."""
    discriminator = VideoDiscriminator(**PAPER["video_discriminator"], categories=6)
    output = discriminator(tf.zeros([1, 16, 64, 64, 3]))
    assert output.logits.shape == (1, 1) and output.categories.shape == (1, 6)
    inputs = (3, 64, 128, 256)
    shapes = [tuple(convolution.kernel.shape) for convolution in discriminator.convolutions]
    widths = zip(inputs, (64, 128, 256, 512), strict=True)
    assert shapes == [(4, 4, 4 * before, width) for before, width in widths]
    assert tuple(discriminator.output_layer.kernel.shape) == (4, 4, 4 * 512, 1 + 6)
    kernels = 4**3 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * (1 + 6))
    biases, batch_norm = 64 + 128 + 256 + 512 + (1 + 6), 2 * (128 + 256 + 512)
    found = sum(math.prod(weight.shape) for weight in discriminator.trainable_variables)
    assert found == kernels + biases + batch_norm


def test_the_published_preset_has_the_sizes_of_the_released_code():
    assert (PAPER["content_dim"], PAPER["motion_dim"]) == (50, 10)
    generator = 60 * 512 * 4**2 + 4**2 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    biases, batch_norm = 512 * 4**2 + 256 + 128 + 64 + 3, 2 * (512 + 256 + 128 + 64)
    gru = 3 * (10 * 10 + 10 * 10 + 2 * 10)
    d_i = 4**2 * (3 * 64 + 64 * 128 + 128 * 256 + 256) + (64 + 128 + 256 + 1) + 2 * (128 + 256)
    d_v = 4**3 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    d_v += (64 + 128 + 256 + 512 + 1) + 2 * (128 + 256 + 512)
    assert PARAMETERS["mocogan"]["paper"] == generator + biases + batch_norm + gru + d_i + d_v
