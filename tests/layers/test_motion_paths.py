import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.endpoints import TimedDecoder, composed
from kerasvid.layers.motion_paths import (
    LEAST_IMPORTANCE,
    MISMATCH,
    SPREAD,
    Arrival,
    CellPaths,
    MotionPaths,
    tents,
)

SIDE, CELL = 16, 4
COUNT = (SIDE // CELL) ** 2


@pytest.fixture(scope="module")
def motion():
    keras.utils.set_random_seed(0)
    layer = MotionPaths((SIDE, SIDE, 3), cell=CELL, waves=2, channels=(8, 8), units=8)
    layer(tf.zeros([1, 5]), *[tf.zeros([1, SIDE, SIDE, 3])] * 2)
    return layer


@pytest.fixture
def random():
    return np.random.default_rng(2)


def paths_of(random, rows=2, waves=2, from_last=False):
    """Paths of cells as Gaussians of a few pixels."""

    def gaussians(*shape, scale=3.0):
        return tf.constant(scale * random.normal(size=shape), tf.float32)

    return CellPaths(
        gaussians(rows, COUNT, 2),
        gaussians(rows, COUNT, waves, 2),
        gaussians(rows, COUNT, 1, scale=1.0),
        from_last,
    )


def moved_by(displacement, rows=1, importance=None):
    """Paths without a curve: every cell of the first frame moves by the same."""
    moved = tf.broadcast_to(tf.constant(displacement, tf.float32), [rows, COUNT, 2])
    importance = tf.zeros([rows, COUNT, 1]) if importance is None else importance
    return CellPaths(moved, tf.zeros([rows, COUNT, 1, 2]), importance, from_last=False)


def square(y, x, side=4, colour=(1.0, 0.2, -0.5)):
    """A frame `[1, H, W, 3]` of a square on black."""
    frame = np.full([1, SIDE, SIDE, 3], -1.0, np.float32)
    frame[:, y : y + side, x : x + side] = colour
    return tf.constant(frame)


def test_centres_are_those_of_the_cells(motion):
    centres = motion.centres()
    assert centres.shape == (COUNT, 2) and centres.dtype == np.float32
    np.testing.assert_array_equal(centres[0], [1.5, 1.5])
    np.testing.assert_array_equal(centres[1], [1.5, 5.5])  # row by row
    np.testing.assert_array_equal(centres[-1], [13.5, 13.5])


@pytest.mark.parametrize("from_last", [False, True])
def test_a_path_is_straight_plus_waves_that_are_0_at_both_ends(random, from_last):
    paths = paths_of(random, from_last=from_last)
    times = np.float32([[0.0, 0.2, 0.7, 1.0], [0.0, 0.5, 0.9, 1.0]])
    moved = paths.at(tf.constant(times)).numpy()
    for row in range(2):
        for t, s in enumerate(times[row]):
            straight = 1.0 - s if from_last else s
            expected = straight * paths.displacements[row].numpy()
            for wave in (0, 1):
                curve = paths.curves[row, :, wave].numpy()
                expected = expected + np.sin((wave + 1) * np.pi * s) * curve
            np.testing.assert_allclose(moved[row, t], expected, atol=1e-5)
    at_own_end = moved[:, -1] if from_last else moved[:, 0]
    np.testing.assert_allclose(at_own_end, 0.0, atol=1e-5)


def test_a_pixel_gets_the_mean_of_the_cells_that_reach_it(motion, random):
    paths, times = paths_of(random), tf.constant([[0.3], [0.8]])
    arrival = motion.arrivals(paths, times)
    moved, centres = paths.at(times).numpy(), motion.centres()
    for row in range(2):
        for y, x in ((0, 0), (5, 9), (15, 3), (8, 8)):
            total, mean = 0.0, np.zeros(2)
            for cell in range(COUNT):
                place = centres[cell] + moved[row, 0, cell]
                near = np.clip(1.0 - np.abs([y, x] - place) / (SPREAD * CELL), 0.0, None).prod()
                weight = near * np.exp(float(paths.log_importance[row, cell, 0]))
                total, mean = total + weight, mean + weight * moved[row, 0, cell]
            assert float(arrival.importance[row, 0, y, x, 0]) == pytest.approx(total, abs=1e-4)
            expected = mean / (total + LEAST_IMPORTANCE)
            np.testing.assert_allclose(arrival.displacement[row, 0, y, x], expected, atol=1e-3)


def test_nothing_arrives_where_all_cells_have_left(motion):
    arrival = motion.arrivals(moved_by([0.0, 100.0]), tf.constant([[0.0, 1.0]]))
    assert (arrival.importance[:, 0].numpy() > 0.0).all()
    np.testing.assert_array_equal(arrival.importance[:, 1], 0.0)
    np.testing.assert_array_equal(arrival.displacement[:, 1], 0.0)


def test_tents_fall_from_1_to_0():
    near = tents(tf.constant([2.0, -1.5]), 5, reach=2.0).numpy()
    np.testing.assert_allclose(near, [[0.0, 0.5, 1.0, 0.5, 0.0], [0.25, 0.0, 0.0, 0.0, 0.0]])


def test_things_travel_whole_along_their_path(motion):
    """A square that is found 4 pixels to the right is drawn half-way there, and nowhere else."""
    first, last = square(4, 4), square(4, 8)
    centres, middle = motion.centres(), [[5.5, 5.5]]
    inside = (np.abs(centres - middle).max(axis=1) < 1.0).astype(np.float32)[None, :, None]
    other = (np.abs(centres - [[5.5, 9.5]]).max(axis=1) < 1.0).astype(np.float32)[None, :, None]
    move = tf.constant([0.0, 4.0])
    no_curve = tf.zeros([1, COUNT, 1, 2])
    paths = (
        CellPaths(inside * move, no_curve, 8.0 * inside, from_last=False),
        CellPaths(-other * move, no_curve, 8.0 * other, from_last=True),
    )
    times = tf.constant([[0.5]])
    arrivals = [motion.arrivals(each, times) for each in paths]
    raw = np.zeros([1, 1, SIDE, SIDE, 10], np.float32)
    raw[..., :3], raw[..., -1] = -1.0, -20.0  # black is drawn where nothing arrives
    shown = composed(tf.constant(raw), first, last, times, arrivals=arrivals)[0, 0].numpy()
    np.testing.assert_allclose(shown, square(4, 6)[0], atol=0.05)


def test_arrivals_without_displacement_are_the_linear_interpolation(random):
    first, last = (tf.constant(random.uniform(-1, 1, [1, 8, 8, 3]), tf.float32) for _ in range(2))
    in_place = Arrival(tf.zeros([1, 1, 8, 8, 2]), 1e3 * tf.ones([1, 1, 8, 8, 1]))
    raw = np.zeros([1, 1, 8, 8, 10], np.float32)
    raw[..., -1] = -20.0
    times = tf.constant([[0.25]])
    shown = composed(tf.constant(raw), first, last, times, arrivals=[in_place] * 2)[:, 0]
    np.testing.assert_allclose(shown, 0.75 * first + 0.25 * last, atol=1e-3)


def test_where_nothing_arrives_colours_are_drawn(random):
    ends = [tf.constant(random.uniform(-1, 1, [1, 8, 8, 3]), tf.float32) for _ in range(2)]
    nothing = Arrival(tf.zeros([1, 1, 8, 8, 2]), tf.zeros([1, 1, 8, 8, 1]))
    raw = tf.constant(random.normal(size=[1, 1, 8, 8, 10]), tf.float32)
    shown = composed(raw, *ends, tf.constant([[0.5]]), arrivals=[nothing] * 2)
    np.testing.assert_allclose(shown, raw[..., :3], atol=1e-4)


# === Matching ===


def with_colours(keys):
    """Keys `[1, N, D + 27]`: the given ones `[N, D]`, and zeros for the colours around."""
    return tf.constant(np.concatenate([keys, np.zeros([len(keys), 27])], axis=1)[None], tf.float32)


def test_cells_are_found_where_their_keys_are(motion):
    """Keys that differ: all cells moved by one column, but the last ones, which went round."""
    keys = 10.0 * np.eye(COUNT, dtype=np.float32)
    grid = np.roll(np.arange(COUNT).reshape(SIDE // CELL, SIDE // CELL), 1, axis=1).reshape(-1)
    found, matches = motion.found(with_colours(keys), with_colours(keys[grid]))
    np.testing.assert_allclose(tf.reduce_sum(matches, axis=-1), 1.0, atol=1e-5)
    moved = found[0].numpy().reshape(SIDE // CELL, SIDE // CELL, 2)
    np.testing.assert_allclose(moved[:, :-1], np.broadcast_to([0, CELL], [4, 3, 2]), atol=1e-3)
    np.testing.assert_allclose(moved[:, -1], np.broadcast_to([0, -12], [4, 2]), atol=1e-3)


def test_several_frames_are_searched_as_each_alone(motion, random):
    """Two clips, of three further frames each."""
    keys, others = (
        tf.concat([with_colours(random.normal(size=(COUNT, 16))) for _ in range(count)], axis=0)
        for count in (2, 6)
    )
    together = motion.found(keys, others, 3)
    for row in range(6):
        alone = motion.found(keys[row // 3][None], others[row][None])
        for one, all_rows in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_rows[row], atol=1e-4)


def test_cells_of_one_colour_move_as_their_thing_does(motion):
    """Keys of a thing are alike: each cell gets the way of the whole, not the way to its middle."""
    thing = np.zeros([4, 4], bool)
    thing[0:2, 0:2] = True
    keys = np.where(thing.reshape(-1)[:, None], [1.0, 0.0], [0.0, 1.0]).astype(np.float32)
    moved_keys = np.where(np.roll(thing, 1, 1).reshape(-1)[:, None], [1.0, 0.0], [0.0, 1.0])
    found, _ = motion.found(with_colours(keys), with_colours(moved_keys))
    moved = found[0].numpy()[thing.reshape(-1)]
    np.testing.assert_allclose(moved, np.broadcast_to([0.0, CELL], [4, 2]), atol=0.4)


def test_a_square_is_found_by_an_untrained_network():
    keras.utils.set_random_seed(0)
    motion = MotionPaths((32, 32, 3), cell=4)
    frames = np.full([2, 32, 32, 3], -1.0, np.float32)
    frames[0, 4:12, 4:12] = frames[1, 16:24, 4:12] = (1.0, 0.5, -0.5)
    first, last = tf.constant(frames[:1]), tf.constant(frames[1:])
    paths, _ = motion(tf.zeros([1, 3]), first, last)
    centres = motion.centres()
    inside = (np.abs(centres - [7.5, 7.5]) < 4.0).all(axis=1)
    keys = [motion.keys(each, motion.features(each)) for each in (first, last)]
    moved = motion.found(*keys)
    down, right = moved[0][0].numpy()[inside].mean(axis=0)
    assert 6.0 < down < 15.0 and abs(right) < 2.0
    assert paths.displacements.shape == (1, 64, 2)


def test_the_track_error_is_the_distance_of_paths_from_matches(motion, monkeypatch):
    """By keys that find every cell 2 pixels below; colours that are the same everywhere."""
    first, last = square(4, 0), square(4, 4)
    between = tf.stack([square(4, 2)[0], square(4, 3)[0]])[None]  # [1, 2, H, W, C]
    times = tf.constant([[0.4, 0.8]])
    goal = tf.constant([2.0, 0.0])
    same = tf.eye(COUNT)[None]

    def found(keys, others, frames):
        rows = keys.shape[0] * frames
        return tf.broadcast_to(goal, [rows, COUNT, 2]), tf.repeat(same, rows, axis=0)

    monkeypatch.setattr(motion, "found", found)
    paths = moved_by([5.0, 0.0]), moved_by([0.0, 3.0])
    total = float(motion.track_error(paths, (first, last), between, times)[0])

    expected = 0.0
    for end, own in ((first, [5.0, 0.0]), (last, [0.0, 3.0])):
        for frame, s in zip(between[0], (0.4, 0.8), strict=True):
            cells = tf.abs(
                tf.nn.space_to_depth(frame[None], CELL) - tf.nn.space_to_depth(end, CELL)
            )
            differs = tf.reduce_mean(cells, axis=-1).numpy().reshape(-1)
            weights = differs / (differs.sum() + 1e-3)
            missed = np.sqrt(np.square(s * np.array(own) - [2.0, 0.0]).sum() + 1.0) - 1.0
            unlike = 0.5 * ((weights + 1.0 / COUNT) * differs).sum()  # found at its own place
            expected += 0.5 * (weights.sum() * missed + MISMATCH * unlike)
    assert total == pytest.approx(expected, rel=1e-4)


def test_only_paths_that_pass_where_things_are_found_have_a_small_track_error(motion):
    """A square moves 4 pixels a frame: its own way, and ways that are 3 and 20 pixels wrong."""
    first, last, between = square(4, 0), square(4, 8), square(4, 4)[:, None]
    times, features = tf.constant([[0.5]]), motion.features
    ends = [motion.keys(each, features(each)) for each in (first, last)]
    seen = motion.keys(between[:, 0], features(between[:, 0]))
    ways = [motion.found(end, seen)[0] for end in ends]
    no_curve, even = tf.zeros([1, COUNT, 1, 2]), tf.zeros([1, COUNT, 1])

    def error(wrong):
        paths = [
            CellPaths(2.0 * way + 2.0 * tf.constant([0.0, wrong]), no_curve, even, bool(end))
            for end, way in enumerate(ways)
        ]
        return float(motion.track_error(paths, (first, last), between, times)[0])

    own = error(0.0)
    assert error(3.0) - own == pytest.approx(np.sqrt(10.0) - 1.0, rel=0.02)
    assert error(20.0) - own == pytest.approx(np.sqrt(401.0) - 1.0, rel=0.02)


def test_places_are_goals_of_paths_and_are_not_moved_to_them(motion, monkeypatch):
    first, last = square(4, 0), square(4, 12)
    between, times = square(4, 8)[:, None], tf.constant([[0.5]])
    monkeypatch.setattr("kerasvid.layers.motion_paths.MISMATCH", 0.0)
    paths = moved_by([5.0, 0.0]), moved_by([0.0, 3.0])  # of no network
    with tf.GradientTape() as tape:
        total = motion.track_error(paths, (first, last), between, times)
    gradient = tape.gradient(total, motion.key_layer.kernel)
    assert gradient is None or not np.any(gradient)


def test_colours_train_what_cells_are_found_by_and_places_the_curves(motion):
    first, last = square(4, 0), square(4, 12)
    between, times = square(4, 8)[:, None], tf.constant([[0.5]])
    with tf.GradientTape(persistent=True) as tape:
        fixed = motion.track_error(
            (moved_by([5.0, 0.0]), moved_by([0.0, 3.0])), (first, last), between, times
        )
        paths = motion(tf.ones([1, 5]), first, last)
        total = motion.track_error(paths, (first, last), between, times)
    assert float(tf.norm(tape.gradient(fixed, motion.key_layer.kernel))) > 0.0
    assert float(tf.norm(tape.gradient(total, motion.curve_layer.kernel))) > 0.0


def test_the_latent_vector_chooses_the_curve(motion, random):
    first, last = square(4, 0), square(8, 12)
    kernel = motion.curve_layer.kernel
    before = kernel.numpy()
    kernel.assign(random.normal(size=before.shape))
    one, other = (motion(tf.fill([1, 5], value), first, last)[0] for value in (-2.0, 2.0))
    kernel.assign(before)
    assert np.abs(one.curves - other.curves).max() > 1.0
    assert np.abs(one.displacements - other.displacements).max() < 0.5  # corrected a little


def test_the_curve_of_a_clip_is_the_sine_transform_of_its_way(motion, monkeypatch):
    """All that differs goes right by 6 pixels and half-way back, by matches that say so."""
    frames, times = 7, np.linspace(0.0, 1.0, 7)
    ways = np.stack([np.zeros(frames), 6.0 * np.sin(np.pi * times) + 3.0 * times], axis=1)
    clip = tf.stack(
        [square(4, 4 + (number > 0) * (1 + number % 4))[0] for number in range(frames)]
    )[None]

    def found(keys, others, frames):
        return tf.repeat(tf.constant(ways, tf.float32)[:, None], COUNT, axis=1), None

    monkeypatch.setattr(motion, "found", found)
    curve = motion.curve_of(clip).numpy().reshape(2, 2)
    reached = [min(1.0, t) for t in range(frames)]  # the first frame differs from itself nowhere
    bent = ways * np.array(reached)[:, None] - times[:, None] * ways[-1]
    waves = np.sin(np.pi * times * np.array([[1.0], [2.0]]))
    np.testing.assert_allclose(curve, 2.0 / 6.0 * waves @ bent / (SIDE / 8), atol=2e-3)
    unmoved = tf.repeat(clip[:, :1], frames, axis=1)
    np.testing.assert_allclose(motion.curve_of(unmoved), 0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": 3}, "motion.cell=3: frames of 16x16 pixels are not made of whole cells"),
        ({"cell": 1}, "motion.cell=1 must be a whole number from 2"),
        ({"waves": 1.5}, "motion.waves=1.5 must be a whole number"),
        ({"units": True}, "motion.units=True must be a whole number"),
        ({"channels": ()}, "must have one width or more"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(wrong, message):
    with pytest.raises(ValueError, match=message) as error:
        MotionPaths((SIDE, SIDE, 3), **wrong)
    assert "\n" not in str(error.value)


def test_motion_needs_warping():
    with pytest.raises(ValueError, match="set warping=True"):
        TimedDecoder((SIDE, SIDE, 3), 8, motion={})


def test_the_config_makes_the_layer_again(motion):
    copy = MotionPaths.from_config(motion.get_config())
    copy(tf.zeros([1, 5]), *[tf.zeros([1, SIDE, SIDE, 3])] * 2)
    copy.set_weights(motion.get_weights())
    first, last, latents = square(4, 0), square(0, 8), tf.ones([1, 5])
    for one, other in zip(motion(latents, first, last), copy(latents, first, last), strict=True):
        np.testing.assert_allclose(one.displacements, other.displacements, atol=1e-6)
        np.testing.assert_allclose(one.curves, other.curves, atol=1e-6)
        assert one.from_last == other.from_last
