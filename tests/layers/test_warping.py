import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.endpoints import EXTRA_CHANNELS, coherent, composed, warped


@pytest.fixture
def random():
    return np.random.default_rng(3)


def pixels(random, *shape):
    return random.uniform(-1, 1, shape).astype("float32")


def looked_up(image, y, x):
    """A pixel `[C]` of an image `[H, W, C]` between pixels, by the weights of its neighbours."""
    height, width, _ = image.shape
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    value = np.zeros(image.shape[-1])
    for row in range(height):
        for column in range(width):
            weight = max(0.0, 1.0 - abs(row - y)) * max(0.0, 1.0 - abs(column - x))
            value += weight * image[row, column]
    return value


def warped_by_loops(image, displacement):
    """`warped` of one image `[H, W, C]` and one displacement `[H, W, 2]`."""
    result = np.zeros_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            dy, dx = displacement[row, column]
            result[row, column] = looked_up(image, row + dy, column + dx)
    return result


def test_pixels_are_looked_up_between_pixels_and_beyond_borders(random):
    images = pixels(random, 2, 5, 4, 3)
    displacement = 3.0 * pixels(random, 2, 3, 5, 4, 2)  # many lead out of the image
    result = warped(tf.constant(images), tf.constant(displacement))
    assert result.shape == (2, 3, 5, 4, 3)
    for row in range(2):
        for frame in range(3):
            expected = warped_by_loops(images[row], displacement[row, frame])
            np.testing.assert_allclose(result[row, frame], expected, atol=1e-5)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 0), (0, -3), (-1, 2)])
def test_whole_pixels_shift_an_image_and_repeat_its_border(random, down, right):
    image = pixels(random, 1, 6, 7, 2)
    displacement = np.broadcast_to(np.float32([-down, -right]), [1, 1, 6, 7, 2])
    result = warped(tf.constant(image), tf.constant(displacement))[0, 0]
    rows = np.clip(np.arange(6) - down, 0, 5)
    columns = np.clip(np.arange(7) - right, 0, 6)
    np.testing.assert_array_equal(result, image[0][rows][:, columns])


def test_the_gradient_moves_a_displacement_towards_the_target():
    ramp = tf.reshape(tf.range(8.0), [1, 1, 8, 1])  # brighter to the right, one a pixel
    displacement = tf.fill([1, 1, 1, 8, 2], 0.25)
    with tf.GradientTape() as tape:
        tape.watch(displacement)
        seen = tf.reduce_sum(warped(ramp, displacement)[0, 0, 0, :7])
    slopes = tape.gradient(seen, displacement)[0, 0, 0]  # [8, 2]
    np.testing.assert_allclose(slopes[:7, 1], 1.0, atol=1e-6)
    np.testing.assert_allclose(slopes[:7, 0], 0.0, atol=1e-6)


def test_a_displacement_beyond_the_border_has_no_gradient():
    ramp = tf.reshape(tf.range(8.0), [1, 1, 8, 1])
    displacement = tf.zeros([1, 1, 1, 8, 2])
    with tf.GradientTape() as tape:
        tape.watch(displacement)
        seen = tf.reduce_sum(warped(ramp, displacement))
    slopes = tape.gradient(seen, displacement)[0, 0, 0]  # [8, 2]
    np.testing.assert_array_equal(slopes[:, 0], np.zeros(8))  # one row: nothing above or below
    np.testing.assert_array_equal(slopes[:, 1], [1, 1, 1, 1, 1, 1, 1, 0])


def test_an_end_that_is_not_seen_at_all_is_shown_where_there_is_no_other(random):
    first, last = pixels(random, 1, 4, 4, 1), pixels(random, 1, 4, 4, 1)
    raw = np.zeros([1, 2, 4, 4, 1 + EXTRA_CHANNELS], np.float32)
    raw[..., -3:] = -40.0  # neither end, nor a cover
    result = composed(*map(tf.constant, (raw, first, last)), tf.constant([[0.0, 1.0]]))
    np.testing.assert_allclose(result, np.stack([first, last], axis=1), rtol=1e-6)


def test_no_gradient_flows_into_the_given_frames(random):
    ends = [tf.constant(pixels(random, 1, 4, 4, 1)) for _ in range(2)]
    raw = tf.constant(pixels(random, 1, 2, 4, 4, 1 + EXTRA_CHANNELS))
    with tf.GradientTape() as tape:
        tape.watch([raw, *ends])
        seen = tf.reduce_sum(composed(raw, *ends, tf.constant([[0.3, 0.6]])))
    slopes = tape.gradient(seen, [raw, *ends])
    assert np.abs(slopes[0]).max() > 0.0 and slopes[1:] == [None, None]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_frames_are_composed_by_the_formula(random):
    """Displacements, visibilities and cover by loops over everything."""
    first, last = pixels(random, 2, 4, 6, 3), pixels(random, 2, 4, 6, 3)
    raw = 4.0 * pixels(random, 2, 3, 4, 6, 3 + EXTRA_CHANNELS)
    times = np.float32([[0.0, 0.3, 1.0], [0.5, 0.9, 0.1]])
    result = composed(*map(tf.constant, (raw, first, last, times)))
    for row in range(2):
        for frame in range(3):
            s, said = times[row, frame], raw[row, frame].astype(float)
            unit = np.array([4.0, 6.0]) / 8.0
            from_first = warped_by_loops(first[row].astype(float), s * unit * said[..., 3:5])
            from_last = warped_by_loops(last[row].astype(float), (1 - s) * unit * said[..., 5:7])
            seen = 0.001 + 0.999 * sigmoid(said[..., 7:9])
            a, b = (1 - s) * seen[..., :1], s * seen[..., 1:]
            cover = sigmoid(said[..., 9:10] - 1.0)
            moved = (a * from_first + b * from_last) / (a + b)
            expected = cover * said[..., :3] + (1 - cover) * moved
            np.testing.assert_allclose(result[row, frame], expected, atol=2e-5)


def between_centres(values, times):
    """Linear interpolation of `[N, ...]` at 1.5, 5.5, ...; by its border beyond."""
    at = min(max((times - 1.5) / 4.0, 0.0), len(values) - 1.0)
    low = min(int(at), len(values) - 2)
    return values[low] + (at - low) * (values[low + 1] - values[low])


def test_cells_move_as_one_and_pixels_between_centres_are_interpolated(random):
    said = pixels(random, 2, 3, 8, 12, 2)
    found = coherent(tf.constant(said), 4)
    cells = said.reshape(2, 3, 2, 4, 3, 4, 2).mean(axis=(3, 5))  # [B, T, 2, 3, 2]
    for row, column in np.ndindex(8, 12):
        rows = between_centres(np.moveaxis(cells, 2, 0), row)  # [B, T, 3, 2]
        expected = between_centres(np.moveaxis(rows, 2, 0), column)
        np.testing.assert_allclose(found[:, :, row, column], expected, atol=1e-5)
    np.testing.assert_array_equal(coherent(tf.constant(said), 1), said)
    raw = tf.constant(4.0 * pixels(random, 2, 3, 8, 12, 3 + EXTRA_CHANNELS))
    rest = tf.constant(pixels(random, 2, 8, 12, 3)), tf.constant(pixels(random, 2, 8, 12, 3))
    times, smooth = tf.fill([2, 3], 0.4), [coherent(raw[..., k : k + 2], 4) for k in (3, 5)]
    by_hand = tf.concat([raw[..., :3], *smooth, raw[..., 7:]], axis=-1)
    np.testing.assert_allclose(
        composed(raw, *rest, times, cell=4), composed(by_hand, *rest, times), atol=1e-6
    )


def test_a_decoder_of_zeros_shows_the_linear_interpolation_under_grey(random):
    first, last = pixels(random, 1, 4, 4, 1), pixels(random, 1, 4, 4, 1)
    zeros, times = tf.zeros([1, 2, 4, 4, 1 + EXTRA_CHANNELS]), tf.constant([[0.25, 1.0]])
    result = composed(zeros, tf.constant(first), tf.constant(last), times)
    straight = np.stack([0.75 * first + 0.25 * last, last], axis=1)
    np.testing.assert_allclose(result, (1 - sigmoid(-1.0)) * straight, atol=1e-5)
