import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.frame_networks import (
    FrameDecoder,
    FrameEncoder,
    FusedBatchNormalization,
    normalization_layer,
)

SMALL_ENCODER = {"channels": (4, 6), "strides": (1, 2), "features": 5}
SMALL_DECODER = {
    "dense_units": (8,),
    "seed_channels": 4,
    "channels": (6, 4),
    "upsampling": (1, 2),
}


def gaussian(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def one_line(error) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# === The encoder ===


@pytest.mark.parametrize("patch", [1, 4])
@pytest.mark.parametrize("size", [(16, 16), (16, 32)])
@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
def test_the_encoder_makes_one_vector_a_frame(patch, size, normalization):
    encoder = FrameEncoder(
        **SMALL_ENCODER, patch=patch, dense_units=(7,), normalization=normalization
    )
    features = encoder(gaussian(3, *size, 3))
    assert features.shape == (3, 5)
    assert np.ptp(features.numpy(), axis=0).max() > 0


def test_frames_are_encoded_independently_of_their_batch():
    encoder, frames = FrameEncoder(**SMALL_ENCODER), gaussian(3, 16, 16, 3)
    together = encoder(frames)
    alone = tf.concat([encoder(frames[i : i + 1]) for i in range(3)], axis=0)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_strided_kernels_are_even_on_patches_and_as_asked_without():
    on_patches, without = FrameEncoder(**SMALL_ENCODER), FrameEncoder(**SMALL_ENCODER, patch=1)
    assert [c.kernel_size for c in on_patches.convolutions] == [(3, 3), (4, 4)]
    assert [c.kernel_size for c in without.convolutions] == [(3, 3), (3, 3)]


def test_frames_that_patches_do_not_tile_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"18x16.*multiples of 4") as error:
        FrameEncoder(**SMALL_ENCODER)(gaussian(1, 18, 16, 3))
    one_line(error)


def test_the_encoder_needs_as_many_strides_as_channels():
    with pytest.raises(ValueError, match="2 channels but 1 strides") as error:
        FrameEncoder(channels=(4, 4), strides=(1,))
    one_line(error)


# === The decoder ===


@pytest.mark.parametrize("patch", [1, 4])
@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 32, 1)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
def test_the_decoder_makes_frames_of_the_size_asked(patch, shape, transposed, normalization):
    decoder = FrameDecoder(
        shape, **SMALL_DECODER, patch=patch, transposed=transposed, normalization=normalization
    )
    frames = decoder(gaussian(3, 7))
    assert frames.shape == (3, *shape)
    assert frames.dtype == tf.float32
    kinds = {type(c) for c in decoder.convolutions}
    assert any(issubclass(k, keras.layers.Conv2DTranspose) for k in kinds) == transposed


@pytest.mark.parametrize("transposed", [False, True])
def test_every_pixel_depends_on_the_latent(transposed):
    decoder = FrameDecoder((16, 32, 3), **SMALL_DECODER, transposed=transposed)
    moved = np.abs(decoder(gaussian(4, 7)) - decoder(gaussian(4, 7, seed=1)))
    assert (moved.max(axis=0) > 0).all()


def test_a_transposed_decoder_writes_its_pixels_by_a_transposed_convolution():
    arguments = {**SMALL_DECODER, "kernel_size": 4, "patch": 2}
    decoder = FrameDecoder((16, 32, 3), **arguments, transposed=True)
    latents = gaussian(2, 7)
    frames = decoder(latents)
    last = decoder.output_layer
    decoder.output_layer = lambda inputs: inputs
    before = decoder(latents)
    assert before.shape[1:3] == (8, 16)
    plain = tf.nn.conv2d_transpose(before, last.kernel, frames.shape, 2, "SAME") + last.bias
    np.testing.assert_allclose(frames, plain, atol=1e-4)


@pytest.mark.parametrize("size", [(18, 16), (16, 20)])
def test_sizes_that_do_not_fit_are_refused_in_one_line(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*multiples of 8") as error:
        FrameDecoder((*size, 3), **SMALL_DECODER)
    one_line(error)


def test_the_decoder_needs_as_many_factors_as_channels():
    with pytest.raises(ValueError, match="2 channels but 1 upsampling") as error:
        FrameDecoder((16, 16, 3), channels=(4, 4), upsampling=(2,))
    one_line(error)


# === Both ===


def test_batch_normalization_uses_batch_statistics_in_training_only():
    encoder = FrameEncoder(**SMALL_ENCODER, normalization="batch")
    decoder = FrameDecoder((16, 16, 3), **SMALL_DECODER, normalization="batch")
    for layer, inputs in ((encoder, gaussian(4, 16, 16, 3)), (decoder, gaussian(4, 7))):
        fixed = layer(inputs).numpy()
        before = [v.numpy() for v in layer.non_trainable_variables]
        np.testing.assert_array_equal(layer(inputs, training=False), fixed)
        trained = layer(inputs, training=True).numpy()
        assert np.abs(trained - fixed).max() > 1e-3
        after = [v.numpy() for v in layer.non_trainable_variables]
        assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("width", [4, 6, 8, 24])
def test_group_normalization_takes_any_width(width):
    layer = normalization_layer("group", width, "float32")
    values = layer(gaussian(2, 4, 4, width) * 5.0 + 3.0).numpy()
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1.0) < 0.1


def test_an_unknown_normalization_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'layer'.*none, batch, group") as error:
        FrameEncoder(**SMALL_ENCODER, normalization="layer")
    one_line(error)


def test_networks_compute_in_the_precision_of_their_policy():
    encoder = FrameEncoder(**SMALL_ENCODER, dtype="mixed_bfloat16")
    decoder = FrameDecoder((16, 16, 3), **SMALL_DECODER, dtype="mixed_bfloat16")
    assert encoder(gaussian(2, 16, 16, 3)).dtype == tf.bfloat16
    assert decoder(gaussian(2, 7)).dtype == tf.float32
    assert decoder.convolutions[0].compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    "layer",
    [
        FrameEncoder((4, 6), (2, 1), 5, 2, (7,), 9, "batch"),
        FrameDecoder((16, 32, 1), (7,), 4, (6, 4), (2, 1), 5, True, 2, "group"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configurations_round_trip_and_hold_every_argument(layer):
    config = keras.saving.serialize_keras_object(layer)
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.get_config() == layer.get_config()
    defaults = type(layer)().get_config()
    own = set(defaults) - {"name", "dtype", "trainable"}
    assert all(defaults[name] != layer.get_config()[name] for name in own)


# === Batch normalization ===


@pytest.mark.parametrize("shape", [(8, 4, 4, 5), (6, 5), (2, 3, 4, 4, 5)])
def test_fused_batch_norm_computes_what_keras_does(shape):
    values = np.random.default_rng(0).normal(1.0, 2.0, shape).astype("float32")
    weights = np.random.default_rng(1).normal(size=[4, 5]).astype("float32") ** 2
    results = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer, inputs = kind(), tf.Variable(values)
        layer.build(shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(tf.sin(outputs))
        gradients = tape.gradient(loss, [inputs, *layer.trainable_variables])
        results.append([outputs, *gradients, *layer.get_weights(), layer(inputs)])
        assert outputs.shape == shape
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert np.abs(results[0][-2] - weights[3]).max() > 1e-3  # the statistics have moved


def test_frozen_batch_norm_uses_its_running_statistics():
    layer = FusedBatchNormalization(trainable=False)
    values = np.random.default_rng(0).normal(1.0, 2.0, [8, 4, 4, 5]).astype("float32")
    np.testing.assert_allclose(layer(values, training=True), values / np.sqrt(1.001), rtol=1e-5)


def test_fused_batch_norm_in_half_precision_keeps_its_statistics_in_float32():
    layer = FusedBatchNormalization(dtype="mixed_bfloat16")
    values = np.random.default_rng(0).normal(3.0, 2.0, [64, 4, 4, 5]).astype("float32")
    outputs = layer(values, training=True)
    assert outputs.dtype == tf.bfloat16 and layer.moving_mean.dtype == "float32"
    expected = 0.01 * tf.cast(values, tf.bfloat16).numpy().astype("float32").mean(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean.numpy(), expected, rtol=1e-3)
