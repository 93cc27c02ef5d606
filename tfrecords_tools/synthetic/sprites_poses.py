"""Poses of the drawn sprites: a small skeleton, its three actions, and its three views.

Joints are (x, y, z): x to the right of a picture of the front, y down, z ahead of the character.
Arm 0 is the one that holds the blade; it is on the left of a front view and near in a side view.
"""

import dataclasses
import math

import numpy as np

ACTIONS = ("walk", "spellcast", "slash")
VIEWS = ("front", "left", "right")
FRAMES = 8
CENTRE, HEAD_Y, SHOULDER_Y, HIP_Y, GROUND_Y = 31.5, 24, 35, 46, 57
SHOULDER_X, HIP_X = 7.0, 3.5
_SIDES = (-1, 1)
FACING = {"front": 0, "left": -1, "right": 1}

# Elbow and hand from the shoulder, for eight frames; x is positive away from the body.
_CAST_ARMS = (
    ((2.0, 5.0, 0.0), (1.0, 9.5, 3.0)),
    ((2.5, 5.0, 1.0), (-4.0, 7.0, 5.0)),
    ((3.0, 4.0, 2.0), (-4.0, 1.0, 6.0)),
    ((4.5, 0.5, 7.0), (4.0, -9.5, 12.0)),
    ((5.0, -6.0, 5.0), (6.0, -18.0, 8.5)),
    ((5.5, -4.5, 0.0), (11.5, -11.5, 0.0)),
    ((6.0, 0.5, 0.0), (12.0, -1.0, 0.0)),
    ((4.0, 4.0, 0.0), (7.5, 7.0, 1.0)),
)
_CAST_GLOW = (0, 1, 2, 2, 3, 3, 2, 0)
_CAST_BOB = (0, 1, 1, 0, -1, -1, 0, 0)
# The arm with the blade, the direction of the blade, and the other arm.
_SLASH_ARM = (
    ((2.0, 4.5, 0.5), (1.5, 6.5, 5.0)),
    ((4.5, 0.5, -1.0), (5.5, -4.5, -1.0)),
    ((4.0, -3.0, -2.0), (3.5, -9.5, -3.0)),
    ((5.0, -0.5, 3.0), (8.5, -3.5, 8.0)),
    ((1.0, 3.5, 4.0), (-1.5, 5.5, 9.0)),
    ((-3.0, 4.0, 4.0), (-9.0, 6.0, 7.0)),
    ((-3.0, 5.0, 3.0), (-9.5, 9.0, 4.0)),
    ((0.5, 5.0, 1.5), (-3.0, 8.5, 5.0)),
)
_BLADE = (
    (-0.7, -0.75, 0.35),
    (-0.5, -0.85, -0.35),
    (-0.1, -0.8, -0.65),
    (-0.85, -0.5, 0.8),
    (-0.2, 0.75, 0.75),
    (0.85, 0.3, 0.35),
    (0.75, 0.6, -0.35),
    (0.35, -0.75, 0.55),
)
_SLASH_FREE_ARM = (
    ((2.0, 5.0, 0.0), (2.5, 9.5, 2.0)),
    ((3.0, 4.0, 1.0), (3.0, 7.0, 5.0)),
    ((3.5, 3.0, 1.5), (4.0, 4.5, 6.0)),
    ((3.5, 4.0, 0.0), (5.0, 7.0, 3.0)),
    ((3.5, 4.5, -2.0), (5.5, 8.0, -3.0)),
    ((4.0, 4.0, -3.0), (6.5, 6.5, -5.0)),
    ((3.5, 4.5, -2.0), (5.5, 8.0, -4.0)),
    ((2.5, 5.0, -1.0), (3.0, 9.0, -1.0)),
)
_SLASH_LEAN = ((0, 0), (-1, -1), (-1, -2), (0, 0), (1, 2), (2, 3), (2, 2), (1, 1))  # (x, z)
_SLASH_BOB = (0, 0, -1, 0, 1, 1, 1, 0)
_SLASH_FEET = ((-1, 1), (-2, 2), (-3, 2), (-3, 4), (-4, 5), (-4, 5), (-3, 4), (-2, 2))


@dataclasses.dataclass(frozen=True)
class Figure:
    """A pose as seen in a view: joints as screen points [2, 2] by (limb, xy), and what goes on.

    `facing` is 0 in the front view, -1 to the left, 1 to the right.
    """

    facing: int
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
    glow: int = 0
    eyes_closed: bool = False
    blade: np.ndarray | None = None


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
    blade: tuple[float, float, float] | None = None


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
    elbow, hand = _CAST_ARMS[frame]
    return _Pose(
        elbows=_outward(elbow, elbow),
        hands=_outward(hand, hand),
        feet=np.array([[-1.0, 0, 0.8], [1.0, 0, -0.8]]),
        bob=_CAST_BOB[frame],
        sway=(0, 0.5, 1, 0, -1.5, -2, -1, 0)[frame],
        glow=_CAST_GLOW[frame],
        eyes_closed=frame in (1, 2, 3),
    )


def _slash(frame: int) -> _Pose:
    back, ahead = _SLASH_FEET[frame]
    return _Pose(
        elbows=_outward(_SLASH_ARM[frame][0], _SLASH_FREE_ARM[frame][0]),
        hands=_outward(_SLASH_ARM[frame][1], _SLASH_FREE_ARM[frame][1]),
        feet=np.array([[-1.5, 0, back], [1.5, 0, ahead]], np.float64),
        bob=_SLASH_BOB[frame],
        lean=_SLASH_LEAN[frame],
        sway=(0, 1, 2, 0, -2, -3, -1, 0)[frame],
        blade=_BLADE[frame],
    )


_POSES = {"walk": _walk, "spellcast": _spellcast, "slash": _slash}


def _project(joints: np.ndarray, facing: int) -> np.ndarray:
    """Joints [..., 3] -> screen points [..., 2], on half pixels so that limbs keep their width."""
    x, y, z = np.moveaxis(joints, -1, 0)
    if facing:
        # Seen a little from above: what is near (x < 0) stands lower.
        points = np.stack([CENTRE + facing * z, y - 0.15 * x], -1)
    else:
        points = np.stack([CENTRE + x, y + 0.38 * z], -1)
    return np.rint(points * 2) / 2


def _arm_joints(shoulders: np.ndarray, offsets: np.ndarray, facing: int) -> np.ndarray:
    """Joints of both arms; a side view turns the chest a little, so that spread arms are seen."""
    turned = offsets.copy()
    if facing:
        turned[:, 2] += 0.8 * offsets[:, 0]
    return shoulders + turned


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
    hands = _arm_joints(shoulders, pose.hands, facing)
    blade = None
    if pose.blade is not None:
        x, y, z = pose.blade
        direction = np.array([facing * (z + 0.3 * x), y] if facing else [x, y + 0.3 * z])
        blade = direction / np.hypot(*direction)
    return Figure(
        facing=facing,
        head=_project(np.array([0, HEAD_Y, 0]) + lean, facing),
        hip=_project(np.array([0, HIP_Y, 0]), facing),
        shoulders=_project(shoulders * ([0.35, 1, 1] if facing else [1, 1, 1]), facing),
        elbows=_project(_arm_joints(shoulders, pose.elbows, facing), facing),
        hands=_project(hands, facing),
        hips=_project(hips, facing),
        knees=_project(knees, facing),
        feet=_project(feet, facing),
        sway=pose.sway,
        stride=float(abs(pose.feet[0, 2] - pose.feet[1, 2])),
        glow=pose.glow,
        eyes_closed=pose.eyes_closed,
        blade=blade,
    )
