"""The six tops (with the arms) and the six bottoms (with the legs) of the drawn sprites."""

import numpy as np

from tfrecords_tools.synthetic.sprites_canvas import RAMP, Canvas
from tfrecords_tools.synthetic.sprites_poses import Figure

_TORSO_FRONT = [4.5, 6, 7, 7, 7, 7, 6.5, 6.5, 6, 6, 6, 6.5, 6.5]
_TORSO_SIDE = [3, 4, 4.5, 5, 5, 5, 5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5]
_TORSO_TOP = 33


def draw_arm(canvas: Canvas, figure: Figure, limb: int, value: int) -> None:
    """One arm in the sleeve of a top, and its hand.

    Args:
        limb: 0 the arm that holds the blade, 1 the other.
        value: 0 bare, 1 short sleeve, 2 and 5 long sleeve, 3 armour, 4 wide sleeve.
    """
    top, trim = f"top{value}", f"trim{value}"
    shoulder, elbow, hand = figure.shoulders[limb], figure.elbows[limb], figure.hands[limb]
    joints = [shoulder, elbow, hand]
    wrist = elbow + 0.72 * (hand - elbow)
    canvas.tube(joints, [2.5, 2.1, 1.9], "skin")
    if value == 0:
        canvas.ball(*shoulder, 2.6, 2.4, trim)
    elif value == 1:
        canvas.tube([shoulder, shoulder + 0.75 * (elbow - shoulder)], [3.1, 3.2], top)
        canvas.tube([shoulder + 0.72 * (elbow - shoulder), elbow], [2.9, 2.2], trim, outline=False)
        canvas.tube([elbow, hand], [2.1, 1.9], "skin", outline=False)
    elif value in (2, 5):
        canvas.tube([shoulder, elbow, wrist], [3.0, 2.6, 2.4], top)
        canvas.tube([elbow + 0.55 * (hand - elbow), wrist], [2.4, 2.4], trim, outline=False)
    elif value == 3:
        canvas.tube([elbow, wrist], [2.6, 2.8], top)
        canvas.tube([shoulder, elbow], [2.6, 2.2], "belt")
        canvas.ball(shoulder[0], shoulder[1] - 0.5, 4.0, 3.4, top)
        canvas.ball(shoulder[0], shoulder[1] + 1.5, 3.2, 1.2, trim, outline=False)
    elif value == 4:
        canvas.tube([shoulder, elbow, wrist], [3.0, 3.2, 4.2], top)
        canvas.tube([wrist, elbow + 0.8 * (hand - elbow)], [3.6, 3.6], trim, outline=False)
    canvas.ball(*hand, 2.3, 2.3, "skin")


def _centre(figure: Figure) -> tuple[tuple[float, float], float]:
    """Top of the torso (x, y) and x of its lower end."""
    lean_x = figure.shoulders[:, 0].mean()
    bob = round(figure.head[1]) - 24
    return (np.rint(lean_x - 0.5) + 0.5, _TORSO_TOP + bob), figure.hip[0]


def draw_torso(canvas: Canvas, figure: Figure, value: int) -> None:
    """The chest in one of six tops: vest, striped shirt, belted tunic, armour, robe, jacket."""
    top, trim = f"top{value}", f"trim{value}"
    start, hip_x = _centre(figure)
    widths = list(_TORSO_SIDE if figure.facing else _TORSO_FRONT)
    if value in (2, 4):
        widths += [w + 0.5 * i for i, w in enumerate([6.5, 6.5] + [6.5] * (2 * (value == 4)))]
        if figure.facing:
            widths[13:] = [w - 2 for w in widths[13:]]
    hem = hip_x + (0.6 * figure.sway if value in (2, 4) else 0)
    canvas.rows(start, np.rint(hem - 0.5) + 0.5, widths, top, folds=2 if value in (2, 4) else 0)
    _DETAILS[value](canvas, figure, start, hip_x, top, trim)


def _band(canvas, figure, start, hip_x, row, widths, material, outline=False) -> None:
    """A belt, stripe or hem that follows the torso from `row` on."""
    share = row / 12
    x = np.rint(start[0] + (hip_x - start[0]) * share - 0.5) + 0.5
    less = 2.0 if figure.facing else 0.0
    canvas.rows((x, start[1] + row), x, [w - less for w in widths], material, outline=outline)


def _vest(canvas, figure, start, hip_x, top, trim) -> None:
    x, y = start[0] + 2.5 * figure.facing, start[1]
    canvas.rows((x, y), x, [3, 2.5, 1.6, 0.6], "skin", outline=False)
    _band(canvas, figure, start, hip_x, 11, [6.5, 6.5], trim)


def _striped_shirt(canvas, figure, start, hip_x, top, trim) -> None:
    for row in (3, 6, 9):
        _band(canvas, figure, start, hip_x, row, [7 if row < 6 else 6.5 if row < 9 else 6], trim)


def _tunic(canvas, figure, start, hip_x, top, trim) -> None:
    x, y = start[0] + 2.5 * figure.facing, start[1]
    canvas.rows((x, y), x, [4, 3, 2], trim, outline=False)
    _band(canvas, figure, start, hip_x, 10, [6.2, 6.2], "belt", outline=True)
    buckle = start[0] + (hip_x - start[0]) * 0.8 + 4 * figure.facing
    canvas.rows((buckle, start[1] + 10), buckle, [1.2, 1.2], "gold", outline=False)


def _armour(canvas, figure, start, hip_x, top, trim) -> None:
    x, y = start[0] + 2.5 * figure.facing, start[1]
    canvas.ball(x, y + 5, 4.2 if not figure.facing else 3, 3.6, top)
    canvas.rows((x, y), x, [4, 3], trim, outline=False)
    _band(canvas, figure, start, hip_x, 10, [6, 6.5], trim, outline=True)
    canvas.ball(x, y + 5, 1.2, 1.6, "hair1", outline=False)


def _robe(canvas, figure, start, hip_x, top, trim) -> None:
    x = start[0] + 3.5 * figure.facing
    hip = hip_x + 3.5 * figure.facing
    canvas.rows((x, start[1]), hip, [2.5, 2.0, 1.5] + [1.0] * 13, trim, outline=False)
    _band(canvas, figure, start, hip_x, 9, [6.2], "gold")


def _jacket(canvas, figure, start, hip_x, top, trim) -> None:
    x, hip = start[0] + 4 * figure.facing, hip_x + 4 * figure.facing
    widths = [3, 3, 2.6, 2.6, 2, 2, 2, 2, 2, 2, 2.6, 2.6]
    if figure.facing:
        widths = [w * 0.55 for w in widths]
    canvas.rows(start if not figure.facing else (x, start[1]), hip, widths, trim)
    canvas.rows((hip, start[1] + 11), hip, [widths[-1]], "belt", outline=False)


_DETAILS = (_vest, _striped_shirt, _tunic, _armour, _robe, _jacket)


def draw_legs(canvas: Canvas, figure: Figure, value: int) -> None:
    """Both legs in one of six bottoms, with shoes.

    Args:
        value: 0 trousers, 1 shorts, 2 short skirt, 3 long skirt, 4 baggy trousers, 5 striped hose.
    """
    # The far leg first; in a front view, the one behind.
    order = (1, 0) if figure.facing else np.argsort(figure.feet[:, 1])
    for limb in order:
        _draw_leg(canvas, figure, limb, value)
    x, y = figure.hip
    bob = round(figure.head[1]) - 24
    waist = 4.6 if figure.facing else 6.5
    top = (np.rint(x - 0.5) + 0.5, y - 1 + max(bob, -1))
    material, hem = f"bottom{value}", f"hem{value}"
    if value == 2:
        widths = [waist + 0.55 * i for i in range(8 - max(bob, 0))]
        canvas.rows(top, np.rint(x + figure.sway - 0.5) + 0.5, widths, material, folds=3)
    elif value == 3:
        spread = 0.18 + 0.035 * figure.stride
        widths = [waist + spread * i for i in range(13 - max(bob, 0))]
        end = np.rint(x + 0.8 * figure.sway - 0.5) + 0.5
        canvas.rows(top, end, widths, material, folds=3)
        canvas.rows((end, top[1] + len(widths)), end, [widths[-1]] * 2, hem)
    else:
        canvas.rows(top, top[0], [waist, waist, waist - 0.5], material, outline=False)


def _draw_leg(canvas: Canvas, figure: Figure, limb: int, value: int) -> None:
    hip, knee, foot = figure.hips[limb], figure.knees[limb], figure.feet[limb]
    material, hem = f"bottom{value}", f"hem{value}"
    ankle = foot + [0, -1]
    canvas.tube([hip, knee, ankle], [2.9, 2.6, 2.2], "skin")
    if value == 0:
        canvas.tube([hip, knee, ankle], [3.2, 3.0, 2.7], material)
        canvas.tube([ankle + [0, -0.8], ankle], [2.6, 2.6], hem, outline=False)
    elif value == 1:
        canvas.tube([hip, knee], [3.4, 3.6], material)
        canvas.tube([knee + [0, 1], knee + [0, 1.6]], [3.0, 3.0], hem, outline=False)
        canvas.tube([knee + [0, 3.5], ankle], [2.3, 2.2], "skin", outline=False)
    elif value == 2:
        canvas.tube([knee + 0.3 * (ankle - knee), ankle], [2.4, 2.2], hem)
    elif value == 4:
        canvas.tube([hip, knee, ankle + [0, -1]], [3.4, 4.2, 3.2], material)
        canvas.tube([ankle + [0, -0.5], ankle], [2.4, 2.4], hem, outline=False)
    elif value == 5:
        canvas.tube([hip, knee, ankle], [2.9, 2.7, 2.3], material)
        for i, (a, b) in enumerate(((hip, knee), (knee, ankle)) * 2):
            point = a + (0.45 if i < 2 else 0.9) * (b - a)
            canvas.rows((np.rint(point[0] * 2) / 2, point[1]), point[0], [2.6], hem, outline=False)
    _draw_shoe(canvas, figure, foot)


def _draw_shoe(canvas: Canvas, figure: Figure, foot: np.ndarray) -> None:
    x, y = foot
    if figure.facing:
        x = x + 1.4 * figure.facing
        canvas.ball(x, y + 1.0, 4.0, 2.4, "shoes")
    else:
        canvas.ball(x, y + 0.5, 3.1, 2.4, "shoes")
    canvas.stencil(x - 1, y, ("hh",), {"h": RAMP["shoes"] + 4})
