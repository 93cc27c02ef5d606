"""Poses of the drawn sprites: a small skeleton, its three actions, and its three views.

Joints are (x, y, z): x to the right of a picture of the front, y down, z ahead of the character.
Arm 0 is the one that holds the blade; it is on the left of a front view and near in a side view.
"""

import dataclasses
import math

import numpy as np

FRAMES = 8
CENTRE, HEAD_Y, SHOULDER_Y, HIP_Y, GROUND_Y = 31.5, 24, 35, 46, 57
SHOULDER_X, HIP_X = 7.0, 3.5
_SIDES = (-1, 1)
FACING = {"front": 0, "left": -1, "right": 1}
VIEWS = tuple(FACING)


def _table(text: str) -> np.ndarray:
    """A row of numbers for each of the eight frames: float64 [8, columns]."""
    return np.array([line.split() for line in text.strip().splitlines()], np.float64)


# Elbow and hand from the shoulder, three numbers each: x is positive away from the body. Then the
# glow of the hands, the bob of the body, and the sway of hair and skirts.
_CAST = _table("""
    2 5 0       1 9.5 3       0  0   0
    2.5 5 1     -4 7 5        1  1   0.5
    3 4 2       -4 1 6        2  1   1
    4.5 0.5 7   4 -9.5 12     2  0   0
    5 -6 5      6 -18 8.5     3  -1  -1.5
    5.5 -4.5 0  11.5 -11.5 0  3  -1  -2
    6 0.5 0     12 -1 0       2  0   -1
    4 4 0       7.5 7 1       0  0   0
""")
# Elbow and hand of the arm with the blade, direction of the blade, elbow and hand of the other arm.
# Then the lean of the body (x, z), its bob, the sway, and z of the left and the right foot.
_SLASH = _table("""
    2 4.5 0.5   1.5 6.5 5    -0.7 -0.75 0.35   2 5 0       2.5 9.5 2   0 0    0   0   -1 1
    4.5 0.5 -1  5.5 -4.5 -1  -0.5 -0.85 -0.35  3 4 1       3 7 5       -1 -1  0   1   -2 2
    4 -3 -2     3.5 -9.5 -3  -0.1 -0.8 -0.65   3.5 3 1.5   4 4.5 6     -1 -2  -1  2   -3 2
    5 -0.5 3    8.5 -3.5 8   -0.85 -0.5 0.8    3.5 4 0     5 7 3       0 0    0   0   -3 4
    1 3.5 4     -1.5 5.5 9   -0.2 0.75 0.75    3.5 4.5 -2  5.5 8 -3    1 2    1   -2  -4 5
    -3 4 4      -9 6 7       0.85 0.3 0.35     4 4 -3      6.5 6.5 -5  2 3    1   -3  -4 5
    -3 5 3      -9.5 9 4     0.75 0.6 -0.35    3.5 4.5 -2  5.5 8 -4    2 2    1   -1  -3 4
    0.5 5 1.5   -3 8.5 5     0.35 -0.75 0.55   2.5 5 -1    3 9 -1      1 1    0   0   -2 2
""")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A pose as seen in a view: joints as screen points [2, 2] by (limb, xy), and more."""

    facing: int  # 0 in the front view, -1 to the left, 1 to the right
    head: np.ndarray
    hip: np.ndarray
    shoulders: np.ndarray
    elbows: np.ndarray
    hands: np.ndarray
    hips: np.ndarray
    knees: np.ndarray
    feet: np.ndarray
    sway: float  # of hair and skirts, pixels
    stride: float  # how far the feet are apart, pixels
    glow: int
    eyes_closed: bool
    blade: np.ndarray  # its direction [2], 0 if there is none


@dataclasses.dataclass
class _Pose:
    elbows: np.ndarray  # [2, 3] from the shoulders
    hands: np.ndarray  # [2, 3] from the shoulders
    feet: np.ndarray  # [2, 3] from the ground under the hips
    bob: float = 0.0
    lean: tuple[float, float] = (0.0, 0.0)
    sway: float = 0.0
    glow: int = 0
    eyes_closed: bool = False
    blade: np.ndarray | None = None  # [3], its direction


def _outward(right, left) -> np.ndarray:
    """Offsets of both arms, from x away from the body to x of the picture."""
    return np.array([right, left], np.float64) * [[-1, 1, 1], [1, 1, 1]]


def _walk(frame: int) -> _Pose:
    phase = 2 * math.pi * frame / FRAMES
    swing, rise = math.sin(phase), math.cos(phase)
    arms = [_SIDES[0] * swing, _SIDES[1] * swing]  # each arm goes against the leg of its side
    feet = [[s, -2.8 * max(0.0, -s * rise), -s * 5.5 * swing] for s in _SIDES]
    return _Pose(
        elbows=_outward(*[(2.0, 5.0, 3.2 * arm - 0.5) for arm in arms]),
        hands=_outward(*[(1.6, 9.8 - 1.8 * max(arm, 0), 6.0 * arm + 1.2) for arm in arms]),
        feet=np.array(feet) * [0.3, 1, 1],
        bob=(0, -1, 0, 1)[frame % 4],  # passing, rising, on both feet, sinking
        sway=1.6 * math.sin(phase - 0.8),
    )


def _spellcast(frame: int) -> _Pose:
    elbow, hand = np.split(_CAST[frame, :6], 2)
    glow, bob, sway = _CAST[frame, 6:]
    return _Pose(
        elbows=_outward(elbow, elbow),
        hands=_outward(hand, hand),
        feet=np.array([[-1.0, 0, 0.8], [1.0, 0, -0.8]]),
        bob=bob,
        sway=sway,
        glow=int(glow),
        eyes_closed=frame in (1, 2, 3),
    )


def _slash(frame: int) -> _Pose:
    elbow, hand, blade, free_elbow, free_hand = np.split(_SLASH[frame, :15], 5)
    lean_x, lean_z, bob, sway, left, right = _SLASH[frame, 15:]
    return _Pose(
        elbows=_outward(elbow, free_elbow),
        hands=_outward(hand, free_hand),
        feet=np.array([[-1.5, 0, left], [1.5, 0, right]]),
        bob=bob,
        lean=(lean_x, lean_z),
        sway=sway,
        blade=blade,
    )


_POSES = {"walk": _walk, "spellcast": _spellcast, "slash": _slash}
ACTIONS = tuple(_POSES)


def _project(joints: np.ndarray, facing: int) -> np.ndarray:
    """Joints [..., 3] -> screen points [..., 2], on half pixels so that limbs keep their width."""
    x, y, z = np.moveaxis(joints, -1, 0)
    if facing:
        # Seen a little from above: what is near (x < 0) stands lower.
        points = np.stack([CENTRE + facing * z, y - 0.15 * x], -1)
    else:
        points = np.stack([CENTRE + x, y + 0.38 * z], -1)
    return np.rint(points * 2) / 2


def figure(action: str, view: str, frame: int) -> Figure:
    """The skeleton at a frame (0..7) of an action, seen in a view.

    Example:
        figure("walk", "left", 0).hands  # [2, 2]: the near and the far hand, (x, y) on screen
    """
    pose, facing = _POSES[action](frame), FACING[view]
    lean_x, lean_z = pose.lean
    lean = np.array([lean_x if not facing else 0.0, pose.bob, lean_z if facing else 0.0])
    sides = np.array(_SIDES, np.float64)[:, None]  # [2, 1]
    shoulders = sides * [SHOULDER_X, 0, 0] + [0, SHOULDER_Y, 0] + lean
    hips = sides * [HIP_X, 0, 0] + [0, HIP_Y + max(pose.bob, -0.5), 0]
    feet = sides * [HIP_X, 0, 0] + [0, GROUND_Y, 0] + pose.feet
    # Knees bend forward, more so when the foot is lifted or the hip is low.
    bend = 1.0 - 0.8 * pose.feet[:, 1:2] + max(pose.bob, 0)
    knees = (hips + feet) / 2 + bend * np.array([0, 0, 1.0])
    if facing:  # the chest is turned a little, so that spread arms are seen
        for arms in (pose.elbows, pose.hands):
            arms[:, 2] += 0.8 * arms[:, 0]
    blade = np.zeros(2)
    if pose.blade is not None:
        x, y, z = pose.blade
        direction = np.array([facing * (z + 0.3 * x), y] if facing else [x, y + 0.3 * z])
        blade = direction / np.hypot(*direction)
    return Figure(
        facing=facing,
        head=_project(np.array([0, HEAD_Y, 0]) + lean, facing),
        hip=_project(np.array([0, HIP_Y, 0]), facing),
        shoulders=_project(shoulders * ([0.35, 1, 1] if facing else [1, 1, 1]), facing),
        elbows=_project(shoulders + pose.elbows, facing),
        hands=_project(shoulders + pose.hands, facing),
        hips=_project(hips, facing),
        knees=_project(knees, facing),
        feet=_project(feet, facing),
        sway=pose.sway,
        stride=float(abs(pose.feet[0, 2] - pose.feet[1, 2])),
        glow=pose.glow,
        eyes_closed=pose.eyes_closed,
        blade=blade,
    )
