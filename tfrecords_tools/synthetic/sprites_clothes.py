"""The six tops (with the arms) and the six bottoms (with the legs) of the drawn sprites."""

import numpy as np

from tfrecords_tools.synthetic.sprites_canvas import RAMP, Canvas
from tfrecords_tools.synthetic.sprites_poses import Figure

_TORSO_FRONT = [4.5, 6, 7, 7, 7, 7, 6.5, 6.5, 6, 6, 6, 6.5, 6.5]
_TORSO_SIDE = [3, 4, 4.5, 5, 5, 5, 5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5]
_TORSO_TOP = 33


def draw_arm(canvas: Canvas, figure: Figure, limb: int, value: int) -> None:
    """One arm: 0 bare, 1 in a short sleeve, 2 and 5 a long one, 3 armour, 4 a wide sleeve."""
    top, trim = f"top{value}", f"trim{value}"
    shoulder, elbow, hand = figure.shoulders[limb], figure.elbows[limb], figure.hands[limb]
    joints = [shoulder, elbow, hand]
    wrist = elbow + 0.72 * (hand - elbow)
    canvas.tube(joints, [2.5, 2.1, 1.9], "skin")
    if value == 0:
        canvas.ball(shoulder[0], shoulder[1], 2.6, 2.4, trim)
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
    canvas.ball(hand[0], hand[1], 2.3, 2.3, "skin")


def _half_pixel(x: float) -> float:
    """The nearest middle of a pixel."""
    return np.rint(x - 0.5) + 0.5


def _bob(figure: Figure) -> int:
    return round(figure.head[1]) - 24


def draw_torso(canvas: Canvas, figure: Figure, value: int) -> None:
    """The chest: 0 vest, 1 striped shirt, 2 belted tunic, 3 armour, 4 robe, 5 jacket."""
    top, trim, facing = f"top{value}", f"trim{value}", figure.facing
    x, y = _half_pixel(figure.shoulders[:, 0].mean()), _TORSO_TOP + _bob(figure)
    hip_x = figure.hip[0]
    widths = list(_TORSO_SIDE if facing else _TORSO_FRONT)
    long = value in (2, 4)
    if long:
        skirt = [6.5, 6.5] + [6.5] * (2 * (value == 4))
        widths += [width + 0.5 * i - 2 * bool(facing) for i, width in enumerate(skirt)]
    hem = hip_x + (0.6 * figure.sway if long else 0)
    canvas.rows((x, y), _half_pixel(hem), widths, top, folds=2 if long else 0)

    def patch(widths: list[float], material: str) -> None:
        """Rows from the neck down."""
        canvas.rows((x + 2.5 * facing, y), x + 2.5 * facing, widths, material, outline=False)

    def band(row: int, widths: list[float], material: str, outline: bool = False) -> None:
        """A belt, stripe or hem that follows the torso from `row` on."""
        middle = _half_pixel(x + (hip_x - x) * (row / 12))
        widths = [width - 2.0 * bool(facing) for width in widths]
        canvas.rows((middle, y + row), middle, widths, material, outline=outline)

    if value == 0:
        patch([3, 2.5, 1.6, 0.6], "skin")
        band(11, [6.5, 6.5], trim)
    elif value == 1:
        for row, width in ((3, 7), (6, 6.5), (9, 6)):
            band(row, [width], trim)
    elif value == 2:
        patch([4, 3, 2], trim)
        band(10, [6.2, 6.2], "belt", outline=True)
        buckle = x + (hip_x - x) * 0.8 + 4 * facing
        canvas.rows((buckle, y + 10), buckle, [1.2, 1.2], "gold", outline=False)
    elif value == 3:
        canvas.ball(x + 2.5 * facing, y + 5, 3 if facing else 4.2, 3.6, top)
        patch([4, 3], trim)
        band(10, [6, 6.5], trim, outline=True)
        canvas.ball(x + 2.5 * facing, y + 5, 1.2, 1.6, "hair1", outline=False)
    elif value == 4:
        opening = [2.5, 2.0, 1.5] + [1.0] * 13
        canvas.rows((x + 3.5 * facing, y), hip_x + 3.5 * facing, opening, trim, outline=False)
        band(9, [6.2], "gold")
    else:
        opening, hip = [3, 3, 2.6, 2.6, 2, 2, 2, 2, 2, 2, 2.6, 2.6], hip_x + 4 * facing
        opening = [width * 0.55 if facing else width for width in opening]
        canvas.rows((x + 4 * facing, y), hip, opening, trim)
        canvas.rows((hip, y + 11), hip, [opening[-1]], "belt", outline=False)


def draw_legs(canvas: Canvas, figure: Figure, value: int) -> None:
    """Both legs: 0 trousers, 1 shorts, 2 and 3 short and long skirt, 4 baggy trousers, 5 hose."""
    # The far leg first; in a front view, the one behind.
    order = (1, 0) if figure.facing else np.argsort(figure.feet[:, 1])
    for limb in order:
        _draw_leg(canvas, figure, limb, value)
    x, y = figure.hip
    bob = _bob(figure)
    waist = 4.6 if figure.facing else 6.5
    top = (_half_pixel(x), y - 1 + max(bob, -1))
    material, hem = f"bottom{value}", f"hem{value}"
    if value == 2:
        widths = [waist + 0.55 * i for i in range(8 - max(bob, 0))]
        canvas.rows(top, _half_pixel(x + figure.sway), widths, material, folds=3)
    elif value == 3:
        spread = 0.18 + 0.035 * figure.stride
        widths = [waist + spread * i for i in range(13 - max(bob, 0))]
        end = _half_pixel(x + 0.8 * figure.sway)
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
    x, y = foot
    if figure.facing:
        x = x + 1.4 * figure.facing
        canvas.ball(x, y + 1.0, 4.0, 2.4, "shoes")
    else:
        canvas.ball(x, y + 0.5, 3.1, 2.4, "shoes")
    canvas.stencil(x - 1, y, ("hh",), {"h": RAMP["shoes"] + 4})
