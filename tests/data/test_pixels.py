import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.pixels import as_float_frames, as_floats


def test_bytes_become_floats_from_minus_1_to_1_and_floats_stay():
    floats = as_floats(tf.constant([0, 51, 255], tf.uint8))
    np.testing.assert_allclose(floats, [-1.0, -0.6, 1.0], atol=1e-6)
    assert as_floats(tf.constant([0.5], tf.float16)).dtype == tf.float32
    np.testing.assert_array_equal(as_floats(tf.constant([0.5, -2.0])), [0.5, -2.0])


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64, tf.bool])
def test_pixels_of_other_types_are_refused(dtype):
    with pytest.raises(ValueError, match=f"Pixels of {dtype.name}: give uint8, or floats"):
        as_floats(tf.cast([0, 1], dtype))


def test_float_frames_outside_the_range_are_refused_and_bytes_never():
    assert (
        float(
            tf.reduce_max(as_float_frames(np.full([1, 2, 2, 3], 255, np.uint8), "N, H, W, C", None))
        )
        == 1
    )
    for largest in (255.0, -255.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"first: float pixels reach .* in \[-1, 1\]") as error:
            as_float_frames(np.full([1, 2, 2, 3], largest), "N, H, W, C", None, "first")
        assert "\n" not in str(error.value)


def test_the_overshoot_of_a_bicubic_resize_is_accepted():
    frames = np.full([1, 8, 8, 3], -1.0, np.float32)
    frames[:, 2:5, 2:5] = 1.0
    resized = tf.image.resize(frames, [13, 13], method="bicubic")
    assert float(tf.reduce_max(tf.abs(resized))) > 1.05
    as_float_frames(resized, "N, H, W, C", None)


def test_a_graph_refuses_float_frames_outside_the_range_and_takes_the_others():
    function = tf.function(lambda frames: as_float_frames(frames, "N, H, W, C", None))
    assert float(tf.reduce_min(function(tf.ones([1, 2, 2, 3])))) == 1.0
    for largest in (255.0, np.nan):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"float pixels are not in \[-1"):
            function(tf.fill([1, 2, 2, 3], largest))
