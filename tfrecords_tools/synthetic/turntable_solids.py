"""Sixteen solids as meshes of triangles, made of boxes, prisms and turned outlines.

x points right, y up and z out of the front of a solid. Corners of a facet run counterclockwise as
seen from outside. A solid is scaled and moved so that it fits into the sphere of radius 1 about the
origin and its bounding box is centred there; it turns about the y axis.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

SIDES = 36  # of what is round: facets of 10 degrees, at which the sectors of marks may begin


@dataclasses.dataclass(frozen=True)
class Solid:
    """A mesh of F triangles."""

    corners: np.ndarray  # float64 [F, 3, 3], x, y and z of the three corners of each facet
    normals: np.ndarray  # float64 [F, 3, 3], unit vectors of the surface at these corners
    marked: np.ndarray  # bool [F], the facets of the darker tone


def join(*parts: Solid) -> Solid:
    """One solid of several, which may touch or overlap."""
    fields = ("corners", "normals", "marked")
    return Solid(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def polygon(points: Sequence[Sequence[float]], marked: bool = False) -> Solid:
    """A flat convex face: its corners [K, 3] run counterclockwise as seen from outside."""
    corners = np.array([[points[0], *points[k : k + 2]] for k in range(1, len(points) - 1)], float)
    normal = np.cross(corners[0, 1] - corners[0, 0], corners[0, 2] - corners[0, 0])
    normals = np.broadcast_to(normal / np.linalg.norm(normal), corners.shape)
    return Solid(corners, normals, np.full(len(corners), marked))


def prism(
    outline: Sequence[tuple[float, float]], back: float, front: float, marked: bool = False
) -> Solid:
    """A convex outline [K, 2] of x and y, counterclockwise, from z `back` to z `front`."""
    near = [(x, y, front) for x, y in outline]
    far = [(x, y, back) for x, y in outline]
    faces = [near, far[::-1]]
    for k in range(len(outline)):
        faces.append([near[k - 1], far[k - 1], far[k], near[k]])
    return join(*(polygon(face, marked) for face in faces))


def box(low: Sequence[float], high: Sequence[float], marked: bool = False) -> Solid:
    """A box from its lowest x, y and z to its highest."""
    (left, bottom, back), (right, top, front) = low, high
    outline = [(left, bottom), (right, bottom), (right, top), (left, top)]
    return prism(outline, back, front, marked)


def lathe(
    profile: npt.ArrayLike,
    marks: Sequence[tuple[float, float]] = (),
    normals: np.ndarray | None = None,
) -> Solid:
    """The surface of a profile [K, 2], radius and y upwards outside, turned about the y axis.

    `marks` are sectors of the darker tone, in degrees from the front to the right. `normals`
    [K, 2] are those of the surface at the points of the profile; by default it has edges there.
    """
    points = np.array(profile, float)
    ends = np.stack([points[:-1], points[1:]], axis=1)  # [K-1, 2 ends, 2]
    if normals is None:
        along = ends[:, 1] - ends[:, 0]
        across = np.stack([along[:, 1], -along[:, 0]], axis=1)
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        directions = np.stack([across, across], axis=1)
    else:
        directions = np.stack([normals[:-1], normals[1:]], axis=1)
    angles = 2 * np.pi * np.arange(SIDES + 1) / SIDES
    angles[-1] = 0  # to the bit the first one, so that the mesh closes
    around = np.stack([angles[:-1], angles[1:]], axis=1)  # [SIDES, 2]
    quads = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])  # end of the segment, end of the sector
    split = [[0, 1, 2], [0, 2, 3]]
    corners, directions = (
        _turn(values[:, None, quads[:, 0]], around[None, :, quads[:, 1]])[:, :, split]
        for values in (ends, directions)
    )  # [K-1, SIDES, 2 triangles, 3 corners, 3]
    middles = np.degrees(angles[:-1]) + 180 / SIDES
    marked = np.zeros(SIDES, bool)
    for first, last in marks:
        marked |= (middles - first) % 360 < last - first
    marked = np.broadcast_to(marked[None, :, None], corners.shape[:3])
    edges = corners[..., 1:, :] - corners[..., :1, :]
    whole = np.linalg.norm(np.cross(edges[..., 0, :], edges[..., 1, :]), axis=-1) > 1e-12
    return Solid(corners[whole], directions[whole], marked[whole])


def _turn(values: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Radius and y [..., 2] at angles [...] from the front to the right: [..., 3]."""
    radius, height = np.broadcast_arrays(values[..., 0], values[..., 1])
    return np.stack(
        [radius * np.sin(angles), height + 0 * angles, radius * np.cos(angles)], axis=-1
    )


def _circle(radius: float, first: float, last: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [K, 2] from one angle to another, in degrees, and the directions to them."""
    angles = np.radians(np.linspace(first, last, points))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return radius * directions, directions


def ball(radius: float, marks: Sequence[tuple[float, float]] = ()) -> Solid:
    """A sphere about the origin."""
    profile, normals = _circle(radius, -90, 90, SIDES // 2 + 1)
    profile[[0, -1], 0] = 0  # the poles lie on the axis to the bit
    return lathe(profile, marks, normals)


def torus(radius: float, thickness: float, marks: Sequence[tuple[float, float]] = ()) -> Solid:
    """A torus about the y axis; `thickness` is the radius of the tube."""
    profile, normals = _circle(thickness, 0, 360, SIDES // 2 + 1)
    profile[-1] = profile[0]
    return lathe(profile + [radius, 0], marks, normals)


def place(solid: Solid, offset: Sequence[float] = (0, 0, 0), up: str = "y") -> Solid:
    """A solid that is tipped over, so that its y axis becomes the axis `up`, then moved."""
    axes = {"x": [1, 2, 0], "y": [0, 1, 2], "z": [2, 0, 1]}[up]  # even: no mirror image
    return dataclasses.replace(
        solid, corners=solid.corners[..., axes] + offset, normals=solid.normals[..., axes]
    )


def _legs(x: float, z: float, width: float, bottom: float, top: float) -> Solid:
    """Four legs whose outer edges are `x` and `z` away from the axis."""
    lefts, backs = (-x, x - width), (-z, z - width)
    starts = [(left, back) for left in lefts for back in backs]
    return _boxes(*(((x, bottom, z), (x + width, top, z + width)) for x, z in starts))


def _boxes(*corners: tuple[Sequence[float], Sequence[float]]) -> Solid:
    """Several boxes, each from its lowest to its highest corner."""
    return join(*(box(low, high) for low, high in corners))


def _pyramid() -> Solid:
    base = [(-0.8, -0.6, 0.8), (0.8, -0.6, 0.8), (0.8, -0.6, -0.8), (-0.8, -0.6, -0.8)]
    sides = [polygon([base[k - 1], base[k], (0, 0.9, 0)]) for k in range(4)]
    return join(polygon(base[::-1]), *sides)


def _house() -> Solid:
    roof = [(-0.75, 0.1), (0.75, 0.1), (0, 0.8)]
    door = box((-0.2, -0.7, 0.8), (0.2, -0.15, 0.85), marked=True)
    return join(box((-0.6, -0.7, -0.8), (0.6, 0.1, 0.8)), prism(roof, -0.9, 0.9), door)


def _mug() -> Solid:
    profile = [(0, -0.7), (0.6, -0.7), (0.6, 0.7), (0.48, 0.7), (0.48, -0.55), (0, -0.55)]
    handle = _boxes(
        ((-1.02, 0.27, -0.1), (-0.54, 0.45, 0.1)),
        ((-1.02, -0.45, -0.1), (-0.54, -0.27, 0.1)),
        ((-1.02, -0.27, -0.1), (-0.84, 0.27, 0.1)),
    )
    return join(lathe(profile), handle)


def _dumbbell() -> Solid:
    bar = lathe([(0, -0.6), (0.2, -0.6), (0.2, 0.6), (0, 0.6)])
    small = ball(0.44, marks=[(0, 360)])
    return join(place(ball(0.6), (-0.65, 0, 0)), place(bar, up="x"), place(small, (0.75, 0, 0)))


SOLIDS: dict[str, Callable[[], Solid]] = {
    "box": lambda: box((-0.9, -0.45, -0.55), (0.9, 0.45, 0.55)),
    "pyramid": _pyramid,
    "cone": lambda: lathe([(0, -0.8), (0.75, -0.8), (0, 0.8)], [(-40, 30), (150, 200)]),
    "cylinder": lambda: lathe(
        [(0, -0.75), (0.55, -0.75), (0.55, 0.75), (0, 0.75)], [(-30, 30), (100, 130), (190, 240)]
    ),
    "ball": lambda: ball(1.0, [(-30, 20), (60, 90), (140, 210), (250, 290)]),
    "ring": lambda: place(torus(0.75, 0.25, [(30, 90)]), up="z"),
    "dumbbell": _dumbbell,
    "wedge": lambda: prism([(-0.9, -0.5), (0.9, -0.5), (-0.9, 0.55)], -0.5, 0.5),
    "L": lambda: _boxes(
        ((-0.65, -1, -0.3), (0.65, -0.5, 0.3)), ((-0.65, -0.5, -0.3), (-0.15, 1, 0.3))
    ),
    "T": lambda: _boxes(
        ((-0.9, 0.45, -0.3), (0.9, 0.95, 0.3)), ((-0.25, -1, -0.3), (0.25, 0.45, 0.3))
    ),
    "arch": lambda: _boxes(
        ((-1, -0.8, -0.35), (-0.55, 0.35, 0.35)),
        ((0.55, -0.8, -0.35), (1, 0.35, 0.35)),
        ((-1, 0.35, -0.35), (1, 0.8, 0.35)),
    ),
    "stairs": lambda: _boxes(
        *(((k / 2 - 1, 0, -0.5), (k / 2 - 0.5, (k + 1) * 0.4, 0.5)) for k in range(4))
    ),
    "chair": lambda: join(
        _boxes(((-0.5, 0, -0.5), (0.5, 0.14, 0.5)), ((-0.5, 0.14, -0.5), (0.5, 1.0, -0.36))),
        _legs(0.5, 0.5, 0.14, -0.75, 0),
    ),
    "table": lambda: join(box((-1, 0, -0.65), (1, 0.14, 0.65)), _legs(0.95, 0.6, 0.16, -0.85, 0)),
    "house": _house,
    "mug": _mug,
}


@functools.cache
def make_solid(name: str) -> Solid:
    """The solid of a name in `SOLIDS`, in the middle of the sphere of radius 1."""
    solid = SOLIDS[name]()
    points = solid.corners.reshape(-1, 3)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = np.linalg.norm(points - middle, axis=1).max()
    return dataclasses.replace(solid, corners=(solid.corners - middle) / reach)
