import numpy as np
import pytest
import tensorflow as tf

from kerasvid.losses import laplacian_pyramid

TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def mirrored(line):
    """Two more pixels at both ends, without a second copy of the last."""
    return np.pad(line, 2, mode="reflect") if len(line) > 2 else np.pad(line, 2, mode="symmetric")


def halved(line):
    """A line filtered by the five taps at every second pixel, by a loop."""
    padded = mirrored(line)
    return np.array(
        [sum(tap * padded[i + k] for k, tap in enumerate(TAPS)) for i in range(0, len(line), 2)]
    )


def doubled(line):
    """A line with zeros in between, filtered by twice the taps, by a loop."""
    spread = np.zeros(2 * len(line))
    spread[::2] = line
    padded = np.pad(spread, 2, mode="reflect")
    return np.array(
        [sum(2 * tap * padded[i + k] for k, tap in enumerate(TAPS)) for i in range(len(spread))]
    )


def along_both(function, image):
    rows = np.apply_along_axis(function, 0, image)
    return np.apply_along_axis(function, 1, rows)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=[2, 16, 8, 3]).astype("float32")


def test_the_bands_are_those_of_burt_and_adelson(images):
    bands = laplacian_pyramid(tf.constant(images), 2)
    assert [band.shape for band in bands] == [(2, 16, 8, 3), (2, 8, 4, 3), (2, 4, 2, 3)]
    for n in range(2):
        for c in range(3):
            image = images[n, :, :, c].astype(float)
            for band in bands[:-1]:
                coarse = along_both(halved, image)
                expected = image - along_both(doubled, coarse)
                np.testing.assert_allclose(band[n, :, :, c], expected, atol=1e-5)
                image = coarse
            np.testing.assert_allclose(bands[-1][n, :, :, c], image, atol=1e-5)


@pytest.mark.parametrize("levels", [1, 3])
def test_a_pyramid_gives_its_image_back(images, levels):
    *bands, again = laplacian_pyramid(tf.constant(images), levels)
    for band in reversed(bands):
        for axis in (1, 2):
            again = np.apply_along_axis(doubled, axis, again)
        again = band + again
    np.testing.assert_allclose(again, images, atol=1e-6)


def test_a_plain_image_is_in_the_coarsest_band_alone():
    bands = laplacian_pyramid(tf.fill([1, 16, 16, 1], 0.5), 4)
    for band in bands[:-1]:
        np.testing.assert_allclose(band, 0.0, atol=1e-6)
    np.testing.assert_allclose(bands[-1], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "levels", "message"),
    [(12, 3, r"12x12 cannot be halved 3 times"), (16, 0, r"levels=0 .* must be 1 or more")],
)
def test_images_that_do_not_fit_are_refused_in_one_line(size, levels, message):
    with pytest.raises(ValueError, match=message) as error:
        laplacian_pyramid(tf.zeros([1, size, size, 1]), levels)
    assert "\n" not in str(error.value)
