import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.gan_losses import divided, frames_at, images_of, joined


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# === Images ===


@pytest.mark.parametrize("time_axis", [False, True])
@pytest.mark.parametrize("given", ["bytes", "floats"])
def test_images_come_with_or_without_a_time_axis_as_bytes_or_floats(time_axis, given):
    pixels = np.random.default_rng(0).integers(0, 256, [3, 1, 2, 1], dtype=np.uint8)
    scaled = pixels.astype("float64") / 127.5 - 1.0
    images = pixels if given == "bytes" else scaled.astype("float32")
    found = images_of(tf.constant(images[:, None] if time_axis else images))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, scaled, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 2, 1, 2, 1), (3, 2, 1)])
def test_images_with_other_axes_are_refused_with_their_shape(shape):
    with pytest.raises(ValueError, match=r"axes \[N, H, W, C\], not the shape \(3, 2, 1") as error:
        images_of(tf.zeros(shape))
    assert "\n" not in str(error.value)


# === Random frames ===


def test_every_frame_is_drawn_equally_often():
    clips = tf.tile(tf.range(3.0)[None, :, None, None, None], [6000, 1, 1, 1, 1])
    frames = frames_at(clips, tf.constant(gaussian(6000, 1, 3)))
    counts = np.bincount(frames.numpy().astype(int).ravel(), minlength=3)
    # Binomial with p = 1/3: a standard deviation of 36.5.
    assert np.abs(counts - 2000).max() < 4 * 36.5


def test_two_draws_are_the_right_frames_of_their_own_clip():
    clips, random_inputs = gaussian(3, 4, 2, 2, 1), gaussian(3, 2, 4, seed=1)
    frames = frames_at(tf.constant(clips), tf.constant(random_inputs))
    assert frames.shape == (6, 2, 2, 1)
    expected = [clips[row, np.argmax(random_inputs[row, k])] for k in range(2) for row in range(3)]
    np.testing.assert_array_equal(frames, expected)
    order = np.argmax(random_inputs, axis=-1)
    assert (order[:, 0] != order[:, 1]).any()


# === Sources ===


def test_every_source_has_the_same_weight_in_the_mean():
    sources = [gaussian(count, 2, seed=count) for count in (6, 1, 3)]
    samples, weights = joined([tf.constant(source) for source in sources])
    np.testing.assert_array_equal(samples, np.concatenate(sources))
    weighted = np.mean(weights[:, None] * samples, axis=0)
    np.testing.assert_allclose(weighted, np.mean([s.mean(axis=0) for s in sources], 0), rtol=1e-5)
    np.testing.assert_array_equal(joined([tf.constant(sources[0])])[1], np.ones(6))


# === Parts of a batch ===


def test_a_batch_is_divided_in_the_order_of_its_rows():
    batch = {"video": tf.range(6), "image": tf.range(3)}
    parts = divided(batch, 3)
    assert [list(part["video"].numpy()) for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert [list(part["image"].numpy()) for part in parts] == [[0], [1], [2]]
    assert [set(part) for part in divided(batch, 1)] == [{"video", "image"}]


def test_a_batch_that_cannot_be_divided_is_refused_in_one_line():
    for batch in ({"video": tf.zeros([5])}, {"video": tf.zeros([4]), "image": tf.zeros([3])}):
        message = r"discriminator_steps=2: the batch has [53] rows of '(video|image)'. Use a mult"
        with pytest.raises(ValueError, match=message) as error:
            divided(batch, 2)
        assert "\n" not in str(error.value)
