"""Draws solids that turn under a camera, on white: a small rasteriser with a depth buffer.

The camera is in perspective and looks down at the middle of the solid; the light moves with it.
All facets of a frame are drawn at once: each is cut into runs of samples within a row, the runs
into samples, and of those at the same place the nearest to the camera is kept.
"""

import dataclasses

import cv2
import numpy as np

from tfrecords_tools.synthetic.turntable_solids import Solid, make_solid

SIDE, FRAMES = 64, 16
SAMPLES = 3  # a pixel is the mean of 3x3
STEP = 360 / 31  # degrees between frames
ELEVATIONS = (20, 40)  # degrees of the camera above the solid
COLOURS = {
    "red": (222, 44, 44),
    "orange": (250, 140, 20),
    "yellow": (250, 220, 40),
    "green": (50, 175, 70),
    "cyan": (60, 205, 225),
    "blue": (50, 85, 225),
    "purple": (150, 60, 200),
    "grey": (165, 165, 165),
}
GROUND = 255
MARK = 0.45  # brightness of the darker tone
DISTANCE = 4.0  # of the camera from the middle of the solid, in radii of its sphere
MARGIN = 2.0  # pixels between that sphere and the border of the frame
AMBIENT = 0.5  # light on what is turned away from the lamp
SLACK = 1e-9  # samples; else one on the edge that two facets share could belong to neither
LIGHT = np.array([-0.5, 0.65, 0.57])  # direction to the lamp: to the left, above, at the camera


@dataclasses.dataclass(frozen=True)
class Clip:
    """What a clip shows: names in `SOLIDS` and `COLOURS`, and the camera's elevation in degrees."""

    solid: str
    colour: str
    elevation: float


def azimuths(frames: int = FRAMES) -> np.ndarray:
    """How far a solid has turned in each frame, in degrees: float64 [T], from 0 on."""
    return STEP * np.arange(frames)


def view(vectors: np.ndarray, turned: float, elevation: float) -> np.ndarray:
    """Vectors [..., 3] of a turned solid as the camera sees them: x right, y up, z towards it.

    The front of the solid turns to the right by `turned` degrees; the camera is `elevation` degrees
    above the solid.
    """
    turn, tilt = np.radians(turned), np.radians(elevation)
    x, y, z = np.moveaxis(vectors, -1, 0)
    right, near = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    up, towards = y * np.cos(tilt) - near * np.sin(tilt), y * np.sin(tilt) + near * np.cos(tilt)
    return np.stack([right, up, towards], axis=-1)


def project(points: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Projects points [..., 3] of `view` to column, row and inverse depth, float64 [..., 3].

    `side` is the size of the image in samples; sample i reaches from i to i + 1. Inverse depth,
    unlike depth, is linear over the image of a facet.
    """
    tangent = 1 / np.sqrt(DISTANCE**2 - 1)  # of the angle at which the sphere's edge is seen
    focal = (0.5 - MARGIN / SIDE) * side / tangent
    inverse = 1 / (DISTANCE - points[..., 2])
    column = side / 2 + focal * points[..., 0] * inverse
    row = side / 2 - focal * points[..., 1] * inverse
    return np.stack([column, row, inverse], axis=-1)


def find_visible(
    facets: np.ndarray, values: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the facet that is nearest to the camera in each sample.

    Args:
        facets: [F, 3, 3], column, row and inverse depth of the corners. Facets that run clockwise
            on the image are turned away and not seen.
        values: [F, 3], any value at the corners; between them it is linear on the image.
        side: height and width of the image, in samples.

    Returns:
        int and float64 [side, side]: number of the facet, or -1, and the value there, or 0.
    """
    planes, facing = _weight_planes(facets[..., :2])
    run, row, first, count = _cut_runs(planes, facets[facing, :, 1].T, side)
    nearness, value = (
        np.einsum("kc,kcp->kp", at_corners, planes)[run]  # linear, hence planes, too
        for at_corners in (facets[facing, :, 2], values[facing])
    )
    middle = row + 0.5
    nearness_start = nearness[:, 1] * middle + nearness[:, 2] + 0.5 * nearness[:, 0]
    value_start = value[:, 1] * middle + value[:, 2] + 0.5 * value[:, 0]
    # From here on one entry a sample within a facet.
    entry = np.repeat(np.arange(len(run)), count)
    column = np.arange(len(entry)) + np.repeat(first - np.cumsum(count) + count, count)
    near = nearness[entry, 0] * column + nearness_start[entry]
    places = row[entry] * side + column
    nearest = np.zeros(side * side)
    np.maximum.at(nearest, places, near)
    shown = np.flatnonzero(near == nearest[places])
    entry, column, places = entry[shown], column[shown], places[shown]
    facet_there, value_there = np.full(side * side, -1), np.zeros(side * side)
    facet_there[places] = facing[run[entry]]
    value_there[places] = value[entry, 0] * column + value_start[entry]
    return facet_there.reshape(side, side), value_there.reshape(side, side)


def _weight_planes(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric weights of the triangles, corners [F, 3, 2], that face the camera.

    Returns [K, 3, 3] and the numbers of the K triangles: the weight of corner c in triangle k is
    planes[k, c] @ (column, row, 1).
    """
    start, end = np.roll(corners, -1, axis=1), np.roll(corners, -2, axis=1)  # of the edge opposite
    (across, down), (column, row) = np.moveaxis(end - start, -1, 0), np.moveaxis(start, -1, 0)
    planes = np.stack([-down, across, down * column - across * row], axis=-1)
    area = planes[..., 2].sum(axis=1)  # twice; negative if counterclockwise, as rows point down
    facing = np.flatnonzero(area < -1e-9)
    return planes[facing] / area[facing, None, None], facing


def _cut_runs(
    planes: np.ndarray, rows: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of samples within triangles: triangle, row, first column and length of each.

    Planes [K, 3, 3] are as of `_weight_planes`, rows [3, K] are those of the corners.
    """
    top = np.ceil(rows.min(axis=0) - 0.5).astype(int).clip(0)
    bottom = np.floor(rows.max(axis=0) - 0.5).astype(int).clip(max=side - 1)
    height = (bottom - top + 1).clip(0)
    triangle = np.repeat(np.arange(len(planes)), height)
    row = np.arange(len(triangle)) + np.repeat(top - np.cumsum(height) + height, height)
    # Along a row each weight changes its sign where it vanishes.
    slope, per_row, offset = np.take(planes.T, triangle, axis=2)  # [3 corners, runs] each
    start = per_row * (row + 0.5) + offset
    with np.errstate(divide="ignore", invalid="ignore"):
        vanishes = -start / slope
    never = (slope == 0) & (start < 0)
    low = np.where(slope > 0, vanishes, np.where(never, np.inf, -np.inf)).max(axis=0)
    high = np.where(slope < 0, vanishes, np.inf).min(axis=0)
    first = np.ceil(low.clip(0, side) - 0.5 - SLACK).astype(int).clip(0)
    last = np.floor(high.clip(-1, side) - 0.5 + SLACK).astype(int).clip(max=side - 1)
    some = np.flatnonzero(last >= first)
    return triangle[some], row[some], first[some], (last - first + 1)[some]


def draw_solid(
    solid: Solid, colour: tuple[int, int, int], elevation: float, turned: np.ndarray
) -> np.ndarray:
    """Draws a solid as it turns: uint8 RGB [T, 64, 64, 3].

    The colour is RGB at full light, the elevation that of the camera in degrees; `turned` [T] are
    the degrees that the solid has turned in each frame.
    """
    tone = np.where(solid.marked, MARK, 1.0)[:, None]
    lamp = LIGHT / np.linalg.norm(LIGHT)
    side = SIDE * SAMPLES
    frames = []
    for angle in turned:
        facets = project(view(solid.corners, angle, elevation), side)
        light = AMBIENT + (1 - AMBIENT) * (view(solid.normals, angle, elevation) @ lamp).clip(0)
        facet, light = find_visible(facets, tone * light, side)
        ground = np.where(facet < 0, float(GROUND), 0.0)
        ground, light = (
            cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., None]
            for image in (ground, light)
        )
        frames.append(np.rint(ground + light * np.array(colour)))
    return np.stack(frames).astype(np.uint8)  # [T, H, W, 3]


def draw_clip(clip: Clip) -> np.ndarray:
    """Draws a clip of the data set: uint8 RGB [16, 64, 64, 3]."""
    return draw_solid(make_solid(clip.solid), COLOURS[clip.colour], clip.elevation, azimuths())
