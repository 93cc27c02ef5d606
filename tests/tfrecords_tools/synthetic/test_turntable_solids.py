"""The solids: closed meshes with the right volumes, normals and marks."""

import collections

import numpy as np
import pytest

from tfrecords_tools.synthetic import turntable_solids
from tfrecords_tools.synthetic.turntable_solids import (
    SIDES,
    SOLIDS,
    ball,
    box,
    make_solid,
    place,
    torus,
)


def _volume(solid):
    """By the divergence theorem: positive if the facets face outwards."""
    a, b, c = np.moveaxis(solid.corners, 1, 0)
    return np.einsum("fi,fi->", a, np.cross(b, c)) / 6


def _face_normals(solid):
    a, b, c = np.moveaxis(solid.corners, 1, 0)
    normals = np.cross(b - a, c - a)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_is_closed_and_fits_the_unit_sphere(name):
    solid = make_solid(name)
    edges = collections.Counter()
    points = [[tuple(corner) for corner in facet] for facet in solid.corners]  # to the bit
    for facet in points:
        assert len(set(facet)) == 3
        for k in range(3):
            edges[facet[k - 1], facet[k]] += 1
    assert all(edges[end, start] == count for (start, end), count in edges.items())
    corners = solid.corners.reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(corners, axis=1).max(), 1)
    np.testing.assert_allclose(corners.min(axis=0), -corners.max(axis=0), atol=1e-12)


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_are_of_length_1_and_point_outwards(name):
    solid = make_solid(name)
    np.testing.assert_allclose(np.linalg.norm(solid.normals, axis=-1), 1)
    along = np.einsum("fki,fi->fk", solid.normals, _face_normals(solid))
    # Flat faces have one normal; round ones differ by about half a facet.
    assert along.min() > np.cos(np.radians(12))
    if name in ("box", "pyramid", "wedge", "L", "T", "arch", "stairs", "chair", "table", "house"):
        np.testing.assert_allclose(along, 1)


# A regular polygon of SIDES corners has this share of the area of the circle around it.
POLYGON = SIDES / (2 * np.pi) * np.sin(2 * np.pi / SIDES)


@pytest.mark.parametrize(
    ("name", "volume", "tolerance"),
    [
        ("box", 1.8 * 0.9 * 1.1, 1e-9),
        ("pyramid", 1.6 * 1.6 * 1.5 / 3, 1e-9),
        ("cone", POLYGON * np.pi * 0.75**2 * 1.6 / 3, 1e-9),
        ("cylinder", POLYGON * np.pi * 0.55**2 * 1.5, 1e-9),
        ("ball", 4 / 3 * np.pi, 0.02),
        ("ring", 2 * np.pi**2 * 0.75 * 0.25**2, 0.03),
        ("wedge", 1.8 * 1.05 / 2 * 1.0, 1e-9),
        ("L", 0.6 * (1.3 * 0.5 + 0.5 * 1.5), 1e-9),
        ("T", 0.6 * (1.8 * 0.5 + 0.5 * 1.45), 1e-9),
        ("arch", 0.7 * (2 * 0.45 * 1.15 + 2 * 0.45), 1e-9),
        ("stairs", 0.5 * 0.4 * (1 + 2 + 3 + 4), 1e-9),
        ("chair", 0.14 + 0.86 * 0.14 + 4 * 0.75 * 0.14**2, 1e-9),
        ("table", 2 * 0.14 * 1.3 + 4 * 0.85 * 0.16**2, 1e-9),
        ("house", 1.2 * 0.8 * 1.6 + 1.5 * 0.7 / 2 * 1.8 + 0.4 * 0.55 * 0.05, 1e-9),
    ],
)
def test_a_solid_has_the_volume_of_its_formula(name, volume, tolerance):
    np.testing.assert_allclose(_volume(SOLIDS[name]()), volume, rtol=tolerance)


def test_a_mug_is_hollow():
    whole = POLYGON * np.pi * 0.6**2 * 1.4
    hollow = POLYGON * np.pi * 0.48**2 * 1.25
    handle = 2 * 0.48 * 0.18 * 0.2 + 0.18 * 0.54 * 0.2
    np.testing.assert_allclose(_volume(SOLIDS["mug"]()), whole - hollow + handle)


def test_round_surfaces_have_the_normals_of_their_formula():
    sphere = ball(2.0)
    np.testing.assert_allclose(sphere.normals, sphere.corners / 2, atol=1e-12)
    ring = torus(3.0, 0.5)
    x, y, z = np.moveaxis(ring.corners, -1, 0)
    from_axis = np.hypot(x, z)
    expected = np.stack([x - 3 * x / from_axis, y, z - 3 * z / from_axis], axis=-1) / 0.5
    np.testing.assert_allclose(ring.normals, expected, atol=1e-12)


@pytest.mark.parametrize("up, seen", [("x", (6, 2, 4)), ("y", (2, 6, 4)), ("z", (2, 4, 6))])
def test_a_solid_is_tipped_over_without_mirroring_it(up, seen):
    tipped = place(box((-1, -3, -2), (1, 3, 2)), (10, 0, 0), up)
    size = np.ptp(tipped.corners.reshape(-1, 3), axis=0)
    assert size[["x", "y", "z"].index(up)] == 6 and sorted(size) == sorted(seen)
    np.testing.assert_allclose(_volume(tipped), 48)
    np.testing.assert_allclose(tipped.normals[:, 0], _face_normals(tipped))
    np.testing.assert_allclose(tipped.corners.reshape(-1, 3).mean(axis=0)[0], 10, atol=1)


def test_marks_lie_in_their_sectors():
    solid = ball(1.0, [(-30, 20), (90, 120)])
    middles = solid.corners.mean(axis=1)
    degrees = np.degrees(np.arctan2(middles[:, 0], middles[:, 2]))  # from the front to the right
    inside = ((degrees > -30) & (degrees < 20)) | ((degrees > 90) & (degrees < 120))
    np.testing.assert_array_equal(solid.marked, inside)
    assert not ball(1.0).marked.any()


def test_marks_begin_and_end_where_facets_do():
    for name, degrees in {"cone": 120, "cylinder": 140, "ball": 190, "ring": 60}.items():
        assert make_solid(name).marked.mean() * 360 == pytest.approx(degrees)


def test_a_solid_is_made_once():
    assert make_solid("mug") is turntable_solids.make_solid("mug")
