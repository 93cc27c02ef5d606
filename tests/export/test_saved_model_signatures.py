"""What a served model takes, gives and refuses."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export.sample_inputs import sample_inputs
from kerasvid.export.saved_model import save_signatures, served_signatures
from kerasvid.export.signatures import noise_signatures, seed_signatures
from kerasvid.models.registry import model_class

INVALID = tf.errors.InvalidArgumentError


def as_seeds(*values):
    return tf.constant(values, tf.int64)


@pytest.fixture(scope="module")
def drawn():
    """A model and its signatures, traced."""
    model = model_class("mocogan").from_preset("debug", image_shape=(16, 16, 3), frames=4)
    names = ("serving_default", "generate_jpeg", "interpolate")
    signatures = served_signatures(model)
    assert set(signatures) == {*names, "decode"}
    return model, {name: signatures[name].traced() for name in names}


@pytest.fixture(scope="module")
def between():
    """The signatures of the linear interpolation."""
    model = model_class("linear_interpolation").from_preset(
        "debug", image_shape=(8, 16, 3), frames=3
    )
    signatures = served_signatures(model)
    assert set(signatures) == {"serving_default", "between", "between_jpeg", "decode"}
    return {name: signature.traced() for name, signature in signatures.items()}


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_row_does_not_depend_on_its_batch_to_the_bit(drawn, batch):
    model, signatures = drawn
    serve = signatures["serving_default"]
    seeds = np.random.default_rng(batch).integers(0, 2**62 - 1, batch)
    together = serve(seed=tf.constant(seeds))["video"].numpy()
    alone = [serve(seed=tf.constant(seeds[i : i + 1]))["video"][0] for i in range(batch)]
    np.testing.assert_array_equal(together, alone)
    off = np.abs(together[0].astype(int) - model.generate(1, seed=int(seeds[0]))[0])
    assert off.max() <= 1 and together.std() > 1


def test_jpeg_frames_show_the_pixels(drawn):
    _, signatures = drawn
    seeds = as_seeds(1, 2)
    video = signatures["serving_default"](seed=seeds)["video"].numpy()
    encoded = signatures["generate_jpeg"](seed=seeds)["frames_bytes"].numpy()
    assert encoded.shape == (2, 4)
    shown = np.stack([[tf.io.decode_jpeg(frame) for frame in row] for row in encoded])
    assert np.abs(shown.astype(int) - video).mean() < 6  # of noise, which JPEG likes least
    assert np.abs(shown[::-1].astype(int) - video).mean() > np.abs(shown - video.astype(int)).mean()


def test_whole_batches_are_computed_without_a_loop_over_videos():
    model = model_class("glo").from_preset("debug", image_shape=(16, 16, 3), frames=2)
    noise = model.sample_noise(3, seed=1)
    whole, rows = (
        served_signatures(model, whole_batches=w)["decode"].traced() for w in (True, False)
    )
    np.testing.assert_allclose(whole(**noise)["video"], rows(**noise)["video"], atol=1e-5)
    looping = [{op.type for op in each.graph.get_operations()} & {"While", "StatelessWhile"}
               for each in (whole, rows)]  # fmt: skip
    assert not looping[0] and looping[1]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, np.nan])
def test_fractions_out_of_range_are_refused(drawn, fraction):
    with pytest.raises(INVALID, match="fraction: give numbers of 0 to 1, one a row"):
        drawn[1]["interpolate"](seed_from=as_seeds(0), seed_to=as_seeds(1),
                                fraction=tf.constant([fraction], tf.float32))  # fmt: skip


def test_different_numbers_of_rows_are_refused(drawn):
    with pytest.raises(INVALID, match=r"Give as many rows of each of .*fraction"):
        drawn[1]["interpolate"](seed_from=as_seeds(0, 1), seed_to=as_seeds(1, 2),
                                fraction=tf.constant([0.5]))  # fmt: skip


def test_a_video_between_encoded_images_is_that_between_their_pixels(between):
    ends = [tf.fill([8, 16, 3], tf.constant(value, tf.uint8)) for value in (40, 200)]
    more = {"seed": as_seeds(1), "temperature": tf.constant([0.0])}
    pictures = {"first_bytes": tf.io.encode_png(ends[0])[None],
                "last_bytes": tf.io.encode_jpeg(ends[1], quality=100)[None]}  # fmt: skip
    frames = between["between_jpeg"](**pictures, **more)["frames_bytes"][0]
    shown = np.stack([tf.io.decode_jpeg(frame) for frame in frames])
    np.testing.assert_allclose(shown.mean((1, 2, 3)), [40, 120, 200], atol=1.5)
    given = {"first": ends[0][None], "last": ends[1][None], **more}
    for name in ("between", "serving_default"):
        video = between[name](**given)["video"][0].numpy()
        np.testing.assert_allclose(video.mean((1, 2, 3)), [40, 120, 200], atol=0.5)


def test_colours_below_the_transparency_of_encoded_images_do_not_show(between):
    hidden = tf.constant([[[200, 200, 200, 0]]], tf.uint8) + tf.zeros([8, 16, 4], tf.uint8)
    half = tf.constant([[[200, 128]]], tf.uint8) + tf.zeros([8, 16, 2], tf.uint8)  # grey
    pictures = {"first_bytes": tf.io.encode_png(hidden)[None],
                "last_bytes": tf.io.encode_png(half)[None]}  # fmt: skip
    more = {"seed": as_seeds(1), "temperature": tf.constant([0.0])}
    frames = between["between_jpeg"](**pictures, **more)["frames_bytes"][0]
    shown = np.stack([tf.io.decode_jpeg(frame) for frame in frames])
    np.testing.assert_allclose(shown.mean((1, 2, 3)), [0, 50, 100], atol=1.5)


def test_images_of_another_size_and_other_bytes_are_refused(between):
    good, other = (tf.io.encode_png(tf.zeros([8, width, 3], tf.uint8)) for width in (16, 8))
    given = {"seed": as_seeds(0), "temperature": tf.constant([1.0]), "first_bytes": good[None]}
    with pytest.raises(INVALID, match="last_bytes: resize the images to 16x8 pixels"):
        between["between_jpeg"](last_bytes=other[None], **given)
    with pytest.raises(INVALID, match="Unknown image file format"):
        between["between_jpeg"](last_bytes=tf.constant([b"no picture"]), **given)


@pytest.mark.parametrize("temperature", [-0.5, np.inf, np.nan])
def test_temperatures_below_zero_are_refused(between, temperature):
    frame = tf.zeros([1, 8, 16, 3], tf.uint8)
    with pytest.raises(INVALID, match="temperature: give numbers of 0 or more"):
        between["between"](first=frame, last=frame, seed=as_seeds(0),
                           temperature=tf.constant([temperature], tf.float32))  # fmt: skip


def test_sample_inputs_fit_every_signature(between):
    model = model_class("linear_interpolation").from_preset(
        "debug", image_shape=(8, 16, 3), frames=3
    )
    signatures = served_signatures(model)
    assert set(signatures) == set(between)
    for name, each in signatures.items():
        inputs = sample_inputs(model, each, batch=2)
        outputs = between[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(len(value) == 2 for value in outputs.values())


def test_discriminators_are_not_exported(drawn, tmp_path):
    model = drawn[0]
    signature = seed_signatures(noise_signatures(model))["generate"]
    save_signatures({"serving_default": signature}, tmp_path)
    saved = tf.train.list_variables(str(tmp_path / "variables" / "variables"))
    numbers = sum(int(np.prod(shape)) for name, shape in saved if name.startswith("weights"))
    discriminator = sum(int(np.prod(v.shape)) for v in model.video_discriminator.variables)
    assert 0 < numbers <= sum(int(np.prod(v.shape)) for v in model.variables) - discriminator


def test_a_served_row_is_of_its_seed_and_its_label_alone():
    sizes = {"image_shape": (16, 16, 3), "frames": 4, "categories": 3}
    model = model_class("rjgan").from_preset("debug", **sizes)
    signatures = served_signatures(model)
    serve = signatures["serving_default"].traced()
    labels = np.array([2, -1, 0])
    together = serve(seed=as_seeds(1, 2, 3), label=tf.constant(labels))["video"].numpy()
    for row, (seed, label) in enumerate(zip((1, 2, 3), labels, strict=True)):
        alone = serve(seed=as_seeds(seed), label=as_seeds(label))["video"]
        np.testing.assert_array_equal(together[row], alone[0])
        asked = None if label < 0 else label
        off = np.abs(together[row].astype(int) - model.generate(1, seed=seed, label=asked)[0])
        assert off.max() <= 1
    described = signatures["serving_default"].as_json()["inputs"]["label"]
    assert described["range"] == [-1, 2] and described["dtype"] == "int64"
    image = signatures["image"].traced()(seed=as_seeds(4), label=as_seeds(1))["image"]
    np.testing.assert_array_equal(image, model.generate_images(1, seed=4, label=1))
    with pytest.raises(INVALID, match="label: give whole numbers from 0 to 2, or -1"):
        serve(seed=as_seeds(1), label=as_seeds(3))
