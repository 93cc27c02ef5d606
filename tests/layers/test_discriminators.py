import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.compilation import traced_function
from kerasvid.layers.discriminators import (
    SCORES,
    ImageDiscriminator,
    VideoDiscriminator,
    with_batch_std,
)
from kerasvid.layers.spectral_convolution import SpectralConvolution


def gaussian(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def randomized(discriminator, inputs):
    """The discriminator with random weights, fresh biases being zero."""
    discriminator(inputs)
    generator = np.random.default_rng(1)
    discriminator.set_weights(
        [0.3 * generator.normal(size=w.shape) for w in discriminator.get_weights()]
    )
    return discriminator


# === Frames ===


@pytest.mark.parametrize("score", ["patch", "full"])
@pytest.mark.parametrize("patch", [1, 2])
def test_the_output_for_frames_is_that_of_the_convolutions(score, patch):
    frames = gaussian(3, 8, 12, 2)
    discriminator = ImageDiscriminator((4, 5), (1, 2), kernel_size=3, patch=patch, score=score)
    output = randomized(discriminator, frames)(frames)
    x = tf.nn.space_to_depth(frames, 2) if patch == 2 else frames
    for layer, stride in zip(discriminator.convolutions, (1, 2), strict=True):
        x = tf.nn.leaky_relu(tf.nn.conv2d(x, layer.kernel, stride, "SAME") + layer.bias)
    last = discriminator.output_layer
    if score == "patch":
        x = tf.nn.conv2d(x, last.kernel, 2, "SAME") + last.bias
    else:
        x = tf.einsum("nhwc,hwco->no", x, last.kernel) + last.bias
    expected = tf.reshape(x, [3, -1])
    assert output.logits.shape == expected.shape
    assert expected.shape[1] == {("patch", 1): 6, ("patch", 2): 2}.get((score, patch), 1)
    np.testing.assert_allclose(output.logits, expected, atol=1e-4)
    assert output.categories is None


def test_a_patch_sees_its_neighbourhood_and_a_full_score_the_frame():
    frames, corner = gaussian(1, 16, 16, 1), np.zeros([1, 16, 16, 1], "float32")
    corner[:, 0, 0] = 5.0
    for score, share in (("patch", 0.5), ("full", 1.0)):
        discriminator = ImageDiscriminator((4,), kernel_size=2, score=score)
        randomized(discriminator, frames)
        moved = (discriminator(frames).logits != discriminator(frames + corner).logits).numpy()
        assert moved.any()
        assert moved.mean() <= share
        assert moved[0, 0]


@pytest.mark.parametrize("score", ["patch", "full"])
def test_categories_stand_beside_the_logits_of_real_samples(score):
    frames = gaussian(3, 8, 8, 2)
    discriminator = ImageDiscriminator((4,), score=score, categories=5)
    output = randomized(discriminator, frames)(frames)
    assert output.logits.shape == (3, 4 if score == "patch" else 1)
    assert output.categories.shape == (3, 5)
    # Each of the last layer's outputs by itself, averaged over the patches.
    x = tf.nn.leaky_relu(discriminator.convolutions[0](frames))
    scores = tf.reshape(discriminator.output_layer(x), [3, -1, 6])
    np.testing.assert_allclose(output.logits, scores[..., 0], atol=1e-5)
    np.testing.assert_allclose(output.categories, np.mean(scores[..., 1:], axis=1), atol=1e-5)


def test_all_layers_but_the_first_and_last_are_normalized_in_training():
    frames = gaussian(6, 8, 8, 2)
    discriminator = ImageDiscriminator((4, 4), normalization="batch")
    discriminator(frames)
    moving = [w for w in discriminator.non_trainable_weights if "moving" in w.path]
    assert len(moving) == 2
    before = [w.numpy() for w in moving]
    discriminator(frames, training=False)
    assert all((w.numpy() == b).all() for w, b in zip(moving, before, strict=True))
    discriminator(frames, training=True)
    assert all((w.numpy() != b).any() for w, b in zip(moving, before, strict=True))


def test_the_deviation_is_one_more_channel_the_mean_std_over_the_batch():
    features = np.random.default_rng(0).normal(size=[4, 2, 3, 3, 5]).astype("float32")
    found = with_batch_std(tf.constant(features)).numpy()
    np.testing.assert_array_equal(found[..., :5], features)
    expected = np.sqrt(features.astype("float64").var(axis=0) + 1e-8).mean()
    np.testing.assert_allclose(found[..., 5], expected, rtol=1e-5)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("cls", [ImageDiscriminator, VideoDiscriminator])
def test_with_the_deviation_equal_samples_score_differently_from_different_ones(cls, score):
    keras.utils.set_random_seed(0)
    discriminator = cls(channels=(8, 8), score=score, batch_std=True)
    shape = [4, 16, 16, 3] if cls is ImageDiscriminator else [4, 10, 16, 16, 3]
    samples = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    alone = discriminator(np.repeat(samples[:1], 4, axis=0)).logits[0]
    among_others = discriminator(samples).logits[0]
    kernel = discriminator.output_layer.kernel
    assert kernel.shape[-2] % 9 == 0  # eight features and the deviation, of each moment
    assert np.abs(alone - among_others).max() > 1e-3


def test_spectral_discriminators_normalize_every_kernel():
    discriminator = VideoDiscriminator((4, 5), temporal_kernel=2, spectral=True)
    discriminator(gaussian(1, 4, 8, 8, 1))
    assert all(
        layer.spectral for layer in [*discriminator.convolutions, discriminator.output_layer]
    )


# === Clips ===


def padded(x, size, stride):
    """Zeros at the borders of the frames, as "same" padding has them."""
    margins = [[0, 0], [0, 0]]
    for side in x.shape[2:4]:
        missing = max((-(-side // stride) - 1) * stride + size - side, 0)
        margins.append([missing // 2, missing - missing // 2])
    return tf.pad(x, [*margins, [0, 0]])


def convolution_3d(x, layer, frames, stride, temporal_stride, padding):
    """A direct three-dimensional convolution with the kernel of neighbouring frames unfolded."""
    height, width, stacked, outputs = layer.kernel.shape
    kernel = tf.reshape(layer.kernel, [height, width, frames, stacked // frames, outputs])
    kernel = tf.transpose(kernel, [2, 0, 1, 3, 4])  # [K, h, w, C, O]
    x = x if padding == "same" else padded(x, height, stride)
    strides = [1, temporal_stride, stride, stride, 1]
    return tf.nn.conv3d(x, kernel, strides, padding.upper()) + layer.bias


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("temporal_stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_frames_side_by_side_are_a_convolution_over_time(padding, temporal_stride, patch):
    clips = gaussian(2, 10, 8, 12, 2)
    discriminator = VideoDiscriminator(
        (3, 4),
        (2, 1),
        kernel_size=3,
        patch=patch,
        temporal_kernel=3,
        temporal_stride=temporal_stride,
        temporal_padding=padding,
    )
    if padding == "valid" and temporal_stride == 2:
        clips = gaussian(2, 15, 8, 12, 2)
    output = randomized(discriminator, clips)(clips)
    x = clips
    if patch == 2:
        x = tf.stack([tf.nn.space_to_depth(x[:, t], 2) for t in range(x.shape[1])], axis=1)
    for layer, stride in zip(discriminator.convolutions, (2, 1), strict=True):
        x = tf.nn.leaky_relu(convolution_3d(x, layer, 3, stride, temporal_stride, padding))
    x = convolution_3d(x, discriminator.output_layer, 3, 2, temporal_stride, padding)
    expected = tf.reshape(x, [2, -1])
    assert output.logits.shape == expected.shape
    np.testing.assert_allclose(output.logits, expected, atol=2e-4)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("temporal_stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_frames_beyond_a_short_clip_are_zeros(frames, temporal_stride):
    clips = gaussian(2, frames, 8, 8, 2)
    arguments = {"temporal_kernel": 4, "temporal_stride": temporal_stride}
    discriminator = VideoDiscriminator((3, 4), (2, 1), temporal_padding="same", **arguments)
    output = randomized(discriminator, clips)(clips)
    x = clips
    for layer, stride in zip(discriminator.convolutions, (2, 1), strict=True):
        x = tf.nn.leaky_relu(convolution_3d(x, layer, 4, stride, temporal_stride, "same"))
    scores = convolution_3d(x, discriminator.output_layer, 4, 2, temporal_stride, "same")
    np.testing.assert_allclose(output.logits, tf.reshape(scores, [2, -1]), atol=1e-4)


@pytest.mark.parametrize(("frames", "seen"), [(1, [1, 1, 1]), (2, [2, 1, 1]), (5, [4, 4, 2])])
def test_frames_beyond_a_short_clip_cost_nothing(monkeypatch, frames, seen):
    discriminator = VideoDiscriminator((3, 3), temporal_padding="same", temporal_stride=2)
    clips, shapes, call = gaussian(1, frames, 8, 8, 3), [], SpectralConvolution.call
    discriminator(clips)

    def recorded(layer, inputs, channels=None):
        shapes.append(inputs.shape[-1] // 3)
        return call(layer, inputs, channels)

    monkeypatch.setattr(SpectralConvolution, "call", recorded)
    discriminator(clips)
    assert shapes == seen  # frames side by side, of four


def test_a_full_score_of_a_clip_weighs_every_moment():
    clips = gaussian(2, 4, 4, 4, 2)
    discriminator = VideoDiscriminator((3,), temporal_kernel=2, score="full", categories=2)
    output = randomized(discriminator, clips)(clips)
    x = tf.nn.leaky_relu(convolution_3d(clips, discriminator.convolutions[0], 2, 2, 1, "valid"))
    assert x.shape == (2, 3, 2, 2, 3)
    kernel = np.reshape(discriminator.output_layer.kernel, [2, 2, 3, 3, 3])  # [h, w, T, C, 1 + K]
    expected = np.einsum("bthwc,hwtco->bo", x, kernel) + discriminator.output_layer.bias.numpy()
    np.testing.assert_allclose(output.logits, expected[:, :1], atol=1e-4)
    np.testing.assert_allclose(output.categories, expected[:, 1:], atol=1e-4)


@pytest.mark.parametrize("score", ["patch", "full"])
@pytest.mark.parametrize(
    ("temporal_kernel", "temporal_stride"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2), (2, 3)]
)
def test_the_shortest_clip_is_accepted_and_one_frame_less_refused(
    score, temporal_kernel, temporal_stride
):
    sizes = {"temporal_kernel": temporal_kernel, "temporal_stride": temporal_stride}
    discriminator = VideoDiscriminator((2, 2), score=score, **sizes)
    frames = discriminator.shortest_clip()
    assert discriminator(gaussian(1, frames, 4, 4, 1)).logits.shape == (1, 1)
    if frames > 1:
        with pytest.raises(ValueError, match=f"Clips of {frames - 1} frames are too") as error:
            discriminator.call(gaussian(1, frames - 1, 4, 4, 1))
        assert "\n" not in str(error.value)


def test_three_valid_convolutions_of_four_frames_need_ten():
    assert VideoDiscriminator((4, 4)).shortest_clip() == 10
    assert VideoDiscriminator((4, 4), score="full").shortest_clip() == 7


def test_same_padding_accepts_a_clip_of_one_frame():
    discriminator = VideoDiscriminator((2, 2), temporal_kernel=3, temporal_padding="same")
    assert discriminator.shortest_clip() == 1
    assert discriminator(gaussian(2, 1, 8, 8, 1)).logits.shape == (2, 1)
    assert discriminator(gaussian(2, 5, 8, 8, 1)).logits.shape == (2, 5)


def test_clips_longer_than_the_shortest_have_more_patches():
    discriminator = VideoDiscriminator((2,), temporal_kernel=2)
    assert discriminator(gaussian(2, 3, 8, 8, 1)).logits.shape == (2, 4)
    assert discriminator(gaussian(2, 6, 8, 8, 1)).logits.shape == (2, 4 * 4)


def test_a_full_score_refuses_clips_of_another_length_than_its_own():
    discriminator = VideoDiscriminator((2,), temporal_kernel=2, score="full")
    discriminator(gaussian(1, 2, 4, 4, 1))  # one moment
    with pytest.raises(ValueError, match="frames"):
        discriminator(gaussian(1, 3, 4, 4, 1))


@pytest.mark.parametrize("score", ["patch", "full"])
def test_half_precision_gives_float32_logits(score):
    clips = gaussian(2, 4, 8, 8, 2)
    full = VideoDiscriminator((4,), temporal_kernel=2, score=score, categories=2)
    half = VideoDiscriminator((4,), temporal_kernel=2, score=score, categories=2, dtype="bfloat16")
    randomized(full, clips)
    half(clips)
    half.set_weights(full.get_weights())
    for one, other in zip(full(clips), half(clips), strict=True):
        assert other.dtype == tf.float32
        np.testing.assert_allclose(one, other, atol=0.2)


# === Arguments ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "ful"}, "score='ful' is unknown. Use patch or full"),
        ({"channels": (4, 4), "strides": (2,)}, "2 channels but 1 strides"),
        ({"normalization": "layer"}, "normalization='layer' is unknown"),
        ({"temporal_padding": "zeros"}, "temporal_padding='zeros' must be valid or same"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        VideoDiscriminator(**{"channels": (4, 8), **arguments})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cls", [ImageDiscriminator, VideoDiscriminator])
def test_configurations_round_trip(cls):
    own = {"temporal_kernel": 2, "temporal_stride": 2, "temporal_padding": "same"}
    arguments = {
        "channels": (4, 8),
        "strides": (1, 2),
        "kernel_size": 3,
        "patch": 2,
        "score": "full",
        "normalization": "group",
        "spectral": True,
        "categories": 3,
        **(own if cls is VideoDiscriminator else {}),
    }
    config = cls(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert cls.from_config(config).get_config() == config


@pytest.mark.parametrize("temporal_stride", [1, 2])
def test_penalties_of_gradients_have_gradients_compiled_or_not(temporal_stride):
    clips = gaussian(2, 6, 8, 8, 2)
    discriminator = VideoDiscriminator(
        (3,), temporal_kernel=2, temporal_stride=temporal_stride, temporal_padding="same"
    )
    randomized(discriminator, clips)

    def gradient_of_penalty(clips):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                tape.watch(clips)
                score = tf.reduce_sum(tf.tanh(0.1 * discriminator(clips).logits))
            penalty = tf.reduce_sum(tf.square(tape.gradient(score, clips)))
        return outer.gradient(penalty, discriminator.convolutions[0].kernel.value)

    plain, compiled = (
        traced_function(gradient_of_penalty, jit)(clips).numpy() for jit in (False, True)
    )
    np.testing.assert_allclose(compiled, plain, atol=1e-5)
    assert np.abs(plain).max() > 1e-3
