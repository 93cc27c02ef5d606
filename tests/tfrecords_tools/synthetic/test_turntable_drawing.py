"""The drawing of solids, against rays, areas and shades that are worked out here."""

import itertools

import numpy as np
import pytest

from tfrecords_tools.converters import chairs
from tfrecords_tools.synthetic import turntable_drawing as drawing
from tfrecords_tools.synthetic.turntable_drawing import (
    COLOURS,
    ELEVATIONS,
    Clip,
    draw_clip,
    draw_solid,
)
from tfrecords_tools.synthetic.turntable_solids import SOLIDS, Solid, ball, box, join, make_solid

# The solid's sphere is 30 pixels wide around the middle of 64, seen from 4 radii away.
DISTANCE, RADIUS, SIDE = 4.0, 30.0, 64
FOCAL = RADIUS * np.sqrt(DISTANCE**2 - 1)


def _camera(turned, elevation):
    """Where the camera is if the solid stands still, and its axes: right, up, back."""
    a, e = np.radians(turned), np.radians(elevation)
    back = np.array([-np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    return DISTANCE * back, np.stack([right, np.cross(back, right), back])


def _pixels(points, turned, elevation):
    """Column and row [N, 2] of points [N, 3], by a camera that goes around."""
    place, axes = _camera(turned, elevation)
    right, up, back = axes @ (points - place).T
    return np.stack([SIDE / 2 - FOCAL * right / back, SIDE / 2 + FOCAL * up / back], axis=1)


def _cast(solid, columns, rows, turned, elevation):
    """Distance along the ray through each point to each facet, infinite where it misses: [N, F]."""
    place, axes = _camera(turned, elevation)
    towards = np.stack([(columns - SIDE / 2), (SIDE / 2 - rows), np.full(len(columns), -FOCAL)], 1)
    towards = towards @ axes / FOCAL  # depth 1
    a, b, c = np.moveaxis(solid.corners, 1, 0)  # [F, 3] each
    # place + t towards = a + u (b - a) + v (c - a), after Moeller and Trumbore
    across = np.cross(towards[:, None], c - a)  # [N, F, 3]
    scale = np.einsum("fi,nfi->nf", b - a, across)
    beside = np.cross(place - a, b - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.einsum("fi,nfi->nf", place - a, across) / scale
        v = towards @ beside.T / scale
        t = np.einsum("fi,fi->f", c - a, beside) / scale
    hit = (u > -1e-9) & (v > -1e-9) & (u + v < 1 + 1e-9) & (t > 0) & (abs(scale) > 1e-12)
    return np.where(hit, t, np.inf)


def _facets(solid, turned, elevation, side=SIDE):
    return drawing.project(drawing.view(solid.corners, turned, elevation), side)


def _hull_area(points):
    """Area of the convex hull of points [N, 2], by the gift-wrapping of its edges."""
    area = 0.0
    for p, q in itertools.permutations(points, 2):
        along = q - p
        side = along[0] * (points - p)[:, 1] - along[1] * (points - p)[:, 0]
        if (side > -1e-9).all():
            area += (p[0] * q[1] - p[1] * q[0]) / 2
    return area


def _cover(solid, turned, elevation):
    """Share of each pixel that is covered: float [64, 64]."""
    return 1 - draw_solid(solid, (0, 0, 0), elevation, [turned])[0, ..., 0] / 255


@pytest.mark.parametrize("name", SOLIDS)
def test_in_each_sample_the_facet_nearest_along_its_ray_is_seen(name):
    random = np.random.default_rng(list(SOLIDS).index(name))
    solid = make_solid(name)
    turned, elevation = random.uniform(0, 360), random.uniform(-60, 60)
    seen, _ = drawing.find_visible(
        _facets(solid, turned, elevation), np.zeros(solid.marked.shape + (3,)), SIDE
    )
    rows, columns = random.integers(8, 56, (2, 100))
    distances = _cast(solid, columns + 0.5, rows + 0.5, turned, elevation)
    nearest, facets = distances.min(axis=1), seen[rows, columns]
    np.testing.assert_array_equal(facets >= 0, np.isfinite(nearest))
    hit = facets >= 0
    assert 15 < hit.sum() < 100
    np.testing.assert_allclose(distances[hit, facets[hit]], nearest[hit], rtol=1e-9)


def test_values_are_linear_between_the_corners_and_0_on_the_ground():
    facets = _facets(make_solid("house"), 33, 25)
    seen, values = drawing.find_visible(facets, 2 * facets[..., 0] - facets[..., 1], SIDE)
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    expected = np.where(seen >= 0, 2 * column - row, 0)
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_facets_that_meet_in_a_sample_leave_no_gap_and_are_cut_at_the_border():
    ring = [(-7.3, -9.1), (-5.2, 30.7), (28.9, 27.3), (31.1, -6.4)]  # around 16x16 samples
    for column, row in itertools.product(range(16), repeat=2):
        middle = (column + 0.5, row + 0.5)
        fan = np.array([[ring[k - 1], ring[k], middle] for k in range(4)])
        facets = np.concatenate([fan, np.ones((4, 3, 1))], axis=-1)
        seen, _ = drawing.find_visible(facets, np.zeros((4, 3)), 16)
        assert (seen >= 0).all(), middle


def test_facets_that_face_away_are_not_seen():
    facets = _facets(make_solid("box"), 20, 20)
    seen, _ = drawing.find_visible(facets[:, ::-1], np.zeros((12, 3)), SIDE)
    # What is left are the insides of the far faces: as many pixels, other facets.
    again, _ = drawing.find_visible(facets, np.zeros((12, 3)), SIDE)
    assert ((seen >= 0) == (again >= 0)).mean() > 0.99
    assert not set(seen[seen >= 0]) & set(again[again >= 0])


@pytest.mark.parametrize("elevation", ELEVATIONS)
def test_the_silhouette_of_a_ball_is_the_circle_that_fills_the_frame(elevation):
    cover = _cover(ball(1.0), 0, elevation)
    np.testing.assert_allclose(cover.sum(), np.pi * RADIUS**2, rtol=0.01)
    row, column = np.mgrid[:64, :64] + 0.5 - 32
    radius = np.hypot(row, column)
    assert (cover[radius < RADIUS - 1] == 1).all() and (cover[radius > RADIUS + 1] == 0).all()
    edge = cover[abs(radius - RADIUS) < 0.7]
    assert ((edge > 0) & (edge < 1)).mean() > 0.5  # anti-aliased


@pytest.mark.parametrize("turned", [0, 20, 45, 90, 133.7, 270])
@pytest.mark.parametrize("elevation", [0, 20, 40, -30])
def test_the_faces_of_a_box_that_show_are_those_towards_the_camera(turned, elevation):
    size = np.array([0.5, 0.4, 0.6])
    solid = box(-size, size)
    place, _ = _camera(turned, elevation)
    expected = {
        (axis, sign)
        for axis in range(3)
        for sign in (-1, 1)
        if sign * place[axis] > size[axis] + 1e-9
    }
    seen, _ = drawing.find_visible(_facets(solid, turned, elevation), np.zeros((12, 3)), SIDE)
    normals = solid.normals[np.unique(seen[seen >= 0]), 0].round(9)
    assert {(int(np.argmax(abs(n))), int(n.sum())) for n in normals} == expected
    corners = np.array(list(itertools.product(*zip(-size, size, strict=True))))
    area = _hull_area(_pixels(corners, turned, elevation))
    np.testing.assert_allclose(_cover(solid, turned, elevation).sum(), area, rtol=0.01)


def test_the_number_of_faces_grows_from_the_front_to_a_corner():
    def count(turned, elevation):
        solid = make_solid("box")
        seen, _ = drawing.find_visible(_facets(solid, turned, elevation), np.zeros((12, 3)), SIDE)
        return len({tuple(n) for n in solid.normals[np.unique(seen[seen >= 0]), 0].round(9)})

    assert [count(0, 0), count(0, 20), count(40, 0), count(40, 20)] == [1, 2, 2, 3]


def test_the_nearer_of_two_balls_hides_the_other_whichever_comes_first():
    def at(z):
        small = ball(0.3)
        return Solid(small.corners + [0, 0, z], small.normals, np.full(len(small.marked), z > 0))

    for pair in ((at(0.6), at(-0.6)), (at(-0.6), at(0.6))):
        solid = join(*pair)
        front, back = draw_solid(solid, (200, 200, 200), 0, [0, 180])[:, 32, 32, 0]
        assert front < 0.6 * back  # the marked, darker one is in front, then behind


def _shade(normal):
    """Of white: half from all around, half from a lamp to the left, above, at the camera."""
    lamp = np.array([-0.5, 0.65, 0.57])
    return 0.5 + 0.5 * max(0.0, np.dot(normal, lamp) / np.linalg.norm(lamp))


@pytest.mark.parametrize("elevation", ELEVATIONS)
def test_faces_have_the_shade_of_lambert_under_a_lamp_that_stays_with_the_camera(elevation):
    e, colour = np.radians(elevation), np.array([200, 100, 40])
    solid = box((-0.4, -0.4, -0.4), (0.4, 0.4, 0.4))
    for turned in (0, 90, 180, 270):  # the front face is always the same then
        [frame] = draw_solid(solid, tuple(colour), elevation, [turned])
        for middle, normal in (
            ((0, 0, 0.4), (0, -np.sin(e), np.cos(e))),
            ((0, 0.4, 0), (0, np.cos(e), np.sin(e))),
        ):
            [(column, row)] = _pixels(np.array([middle]), 0, elevation).astype(int)
            np.testing.assert_allclose(frame[row, column], colour * _shade(normal), atol=0.51)


def test_round_faces_are_shaded_smoothly():
    [frame] = draw_solid(ball(1.0), (200, 200, 200), 20, [0])
    assert frame[31:33, 31:33, 0].mean() == pytest.approx(200 * _shade([0, 0, 1]), abs=1.5)
    # On the row through the middle, each pixel has the shade of the point of the sphere there.
    for column in range(6, 58):
        place = np.array([0, 0, DISTANCE])
        towards = np.array([column + 0.5 - 32, -0.5, -FOCAL])
        towards /= np.linalg.norm(towards)
        along = -place @ towards - np.sqrt((place @ towards) ** 2 - DISTANCE**2 + 1)
        expected = 200 * _shade(place + along * towards)
        assert abs(frame[32, column, 0] - expected) < 2.5, column


def test_marks_are_darker_by_the_same_factor_everywhere():
    plain = ball(1.0)
    marked = Solid(plain.corners, plain.normals, np.ones(len(plain.marked), bool))
    white, dark = (draw_solid(s, (200, 200, 200), 20, [0])[0, 8:56, 32, 0] for s in (plain, marked))
    np.testing.assert_allclose(dark, 0.45 * white, atol=1)


# Marks, doors and handles have no symmetry.
PERIODS = {"pyramid": 90, "box": 180, "T": 180, "arch": 180, "table": 180}


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_looks_the_same_after_a_turn_of_its_symmetry_only(name):
    turned = 17 + np.array([0, PERIODS.get(name, 360) / 2, PERIODS.get(name, 360)])
    start, between, again = draw_solid(make_solid(name), (255, 0, 0), 20, turned).astype(int)
    np.testing.assert_allclose(start, again, atol=1)
    assert (abs(start - between).max(axis=-1) > 60).sum() > 40


def test_the_front_turns_to_the_right_and_the_camera_looks_down():
    np.testing.assert_allclose(drawing.view(np.eye(3)[2], 90, 0), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(drawing.view(np.eye(3)[2], 0, 90), [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(drawing.view(np.eye(3)[1], 123, 90), [0, 0, 1], atol=1e-12)
    first, *_, last = draw_clip(Clip("chair", "red", 20))
    # First the seat is before the back, at the end the back is before the seat.
    assert abs(first.astype(int) - last).mean() > 5


def test_clips_turn_as_the_chairs_do():
    assert tuple(np.floor(drawing.azimuths(31) + 1e-9)) == chairs.AZIMUTHS
    clip = draw_clip(Clip("mug", "blue", 40))
    wanted = draw_solid(make_solid("mug"), COLOURS["blue"], 40, 360 / 31 * np.arange(16))
    np.testing.assert_array_equal(clip, wanted)


@pytest.fixture(scope="module")
def clips():
    """Some frames of each solid at each elevation, in red: int16 [16, 2, T, H, W, C]."""
    turned = drawing.azimuths()[::4]
    return np.array(
        [[draw_solid(make_solid(n), COLOURS["red"], e, turned) for e in ELEVATIONS] for n in SOLIDS]
    ).astype(np.int16)


def test_clips_stand_on_white_within_the_margin_and_fill_the_frame(clips):
    assert clips.shape == (16, 2, 4, 64, 64, 3)
    inner = clips[..., 1:-1, 1:-1, :]
    assert clips.sum(dtype=int) - inner.sum(dtype=int) == 255 * (clips.size - inner.size)
    drawn = (clips < 250).any(axis=(2, -1))  # [16, 2, H, W]
    width, height = drawn.any(axis=2).sum(axis=-1), drawn.any(axis=3).sum(axis=-1)
    assert np.maximum(width, height).min() > 42


@pytest.mark.parametrize("name", SOLIDS)
def test_turning_shows_from_each_frame_to_the_next(name):
    clip = draw_clip(Clip(name, "red", 20)).astype(int)
    changed = (abs(np.diff(clip, axis=0)).mean(axis=-1) > 20).sum(axis=(1, 2))
    drawn = (clip < 250).any(axis=-1).sum(axis=(1, 2))
    assert (changed / drawn[1:]).min() > 0.05


def test_any_two_solids_and_both_elevations_look_different(clips):
    drawn = (clips < 250).any(axis=-1)  # [16, 2, T, H, W]

    def distance(one, other):
        return abs(clips[one] - clips[other]).sum() / (3 * (drawn[one] | drawn[other]).sum())

    for first, second in itertools.combinations(range(16), 2):
        for e in range(2):
            apart = distance((first, e), (second, e))
            assert apart > 45, (list(SOLIDS)[first], list(SOLIDS)[second], apart)
    for number, name in enumerate(SOLIDS):
        assert distance((number, 0), (number, 1)) > 7, name


def test_any_two_colours_differ_in_hue_or_saturation_whatever_the_shade():
    directions = {name: np.array(c) / np.linalg.norm(c) for name, c in COLOURS.items()}
    assert len(COLOURS) == 8
    for first, second in itertools.combinations(COLOURS, 2):
        angle = np.degrees(np.arccos(directions[first] @ directions[second]))
        assert angle > 12, (first, second, angle)
