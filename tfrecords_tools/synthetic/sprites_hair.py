"""Heads and the six hair styles of the drawn sprites."""

from collections.abc import Sequence

import numpy as np

from tfrecords_tools.synthetic.sprites_canvas import RAMP, Canvas, X, Y, lambert
from tfrecords_tools.synthetic.sprites_poses import Figure

_SKIN = RAMP["skin"]
_KEY = {
    "o": _SKIN,
    "d": _SKIN + 1,
    "m": _SKIN + 2,
    "h": _SKIN + 4,
    "w": RAMP["white"] + 3,
    "i": RAMP["iris"] + 3,
    "p": RAMP["iris"],
    "k": RAMP["iris"] + 1,
    "r": RAMP["hair1"] + 2,
    "g": RAMP["gold"] + 3,
}
_EYE = ("ooo", "wip", "wip", "wkp")
_CLOSED_EYE = ("...", "...", "ooo", ".d.")
_SIDE_EYE = ("ooo", "pw.", "iw.", "kw.")
_EAR = (".dd.", "dhmd", "dmdd", ".dd.")
_SIDE_CLOSED_EYE = ("...", "...", "oo.", "d..")


def draw_head(canvas: Canvas, figure: Figure, body: int) -> None:
    """The head with its face: body 2 has fangs, 3 pointed ears, 4 horns."""
    x, y = figure.head
    eye = _CLOSED_EYE if figure.eyes_closed else _EYE
    if figure.facing:
        _draw_profile(canvas, figure, body)
        return
    canvas.rows((x, y + 8), x, [3, 3, 3], "skin")  # neck
    for side in (-1, 1):
        canvas.ball(x + 9 * side, y + 2, 1.6, 2.4, "skin")
        if body == 3:
            tip = [(x + 8 * side, y), (x + 14 * side, y - 3), (x + 9 * side, y + 4)]
            canvas.wedge(tip, "skin", 0.6)
    canvas.ball(x, y - 1, 9.4, 9.2, "skin")
    canvas.ball(x, y + 3, 8.6, 5.8, "skin", outline=False)
    canvas.stencil(x - 5.5, y + 0.4, eye, _KEY)
    canvas.stencil(x + 5.5, y + 0.4, eye, _KEY, flip=True)
    mouth = {2: ("w..w", "oooo"), 4: ("oooo", ".ww.")}.get(body, ("....", ".oo."))
    canvas.stencil(x - 1.5, y + 5.6, mouth, _KEY)
    canvas.stencil(x - 0.5, y + 4.4, ("dd",), _KEY)
    if body == 4:
        for side in (-1, 1):
            canvas.tube([(x + 6 * side, y - 8), (x + 9 * side, y - 13)], [2, 0.8], "gold")


def _draw_profile(canvas: Canvas, figure: Figure, body: int) -> None:
    (x, y), s = figure.head, figure.facing
    flip = s < 0
    canvas.rows((x, y + 8), x, [3, 3, 3], "skin")
    canvas.ball(x, y - 1, 9.0, 9.2, "skin")
    canvas.ball(x + 2.5 * s, y + 3, 6.5, 5.8, "skin", outline=False)
    canvas.stencil(x + 9.5 * s, y + 2.4, ("m", "m", "d"), _KEY)  # nose
    eye = _SIDE_CLOSED_EYE if figure.eyes_closed else _SIDE_EYE
    canvas.stencil(x + 5.5 * s, y + 0.4, eye, _KEY, flip)
    mouth = {2: (".w.", "ooo"), 4: ("ooo", ".w.")}.get(body, ("...", ".oo"))
    canvas.stencil(x + 5.5 * s, y + 5.6, mouth, _KEY, flip)
    if body == 3:
        canvas.wedge([(x - s, y), (x - 7 * s, y - 3), (x - s, y + 4)], "skin", 0.6)
    canvas.stencil(x - 2.5 * s, y + 0.4, _EAR, _KEY, flip)
    if body == 4:
        canvas.tube([(x + 5 * s, y - 8), (x + 7.5 * s, y - 13)], [2, 0.8], "gold")


class _Strands:
    """Paints hair masks given in coordinates of the head: u ahead (or right), v down."""

    def __init__(self, canvas: Canvas, figure: Figure, value: int) -> None:
        self.canvas, self.figure, self.material = canvas, figure, f"hair{value}"
        self.facing = figure.facing or 1
        self.u = (X - figure.head[0]) * self.facing
        self.v = Y - figure.head[1]

    def paint(self, mask: np.ndarray, outline: bool = True, curl: bool = False) -> None:
        """Lit as a ball, with a gleam across the crown, and strands (or curls) of shade."""
        u, v = self.u, self.v
        screen_x = u * self.facing
        light = lambert(np.clip(screen_x / 15, -0.9, 0.9), np.clip((v + 2) / 15, -0.9, 0.9))
        light = light - 0.02 * np.clip(v, 0, None)
        if curl:
            light = light + 0.34 * np.sin(u * 1.9) * np.sin(v * 1.9 + (np.round(u / 3.3) % 2) * 1.6)
        else:
            light = light + 0.16 * np.sin(u * 1.75 + 0.5 * np.sin(v / 2))
            gleam = np.abs(v + 7.5 - 0.035 * u**2) < 1.1
            light = np.where(gleam & (np.sin(u * 1.75) > -0.3) & (np.abs(u) < 7), 1.1, light)
        self.canvas.paint(mask, light, self.material, outline=outline)

    def lock(self, tip: tuple[float, float], root: tuple[float, float], width: float) -> np.ndarray:
        """Mask of a pointed lock: `width` wide (half) at the root, running out at the tip."""
        du, dv = tip[0] - root[0], tip[1] - root[1]
        length = np.hypot(du, dv)
        along = ((self.u - root[0]) * du + (self.v - root[1]) * dv) / length**2
        across = np.abs((self.u - root[0]) * dv - (self.v - root[1]) * du) / length
        return (along >= 0) & (along <= 1) & (across <= width * (1 - along))

    def tube(self, points: Sequence[tuple[float, float]], radii: Sequence[float]) -> None:
        """A tail or braid, points in coordinates of the head."""
        x, y = self.figure.head
        self.canvas.tube([(x + u * self.facing, y + v) for u, v in points], radii, self.material)

    def cap(self, fringe: float = -2.0, jag: float = 1.5, volume: float = 0.0) -> np.ndarray:
        """Mask of hair close to the skull, above a jagged fringe, leaving the face free."""
        u, v = self.u, self.v
        skull = (u / (10.2 + volume)) ** 2 + ((v + 1.5) / (10.6 + volume)) ** 2 <= 1
        if self.figure.facing:
            edge = np.where(u > 0, fringe + jag * (np.abs((u * 1.0) % 4 - 2) - 1), 7.0 + 0.6 * u)
            return skull & ((v < edge) | (u < -1.5)) & (v < 7)
        edge = fringe + jag * (np.abs(u % 4 - 2) - 1)
        return skull & ((v < edge) | ((np.abs(u) > 7.6) & (v < 4)))


def draw_hair(back: Canvas, front: Canvas, figure: Figure, value: int) -> None:
    """Paints one of `_STYLES`: what falls behind the body on `back`, the rest on `front`."""
    _STYLES[value](_Strands(back, figure, value), _Strands(front, figure, value), figure)


def _spikes(back: _Strands, front: _Strands, figure: Figure) -> None:
    tips: list[tuple[float, float]]
    if figure.facing:
        tips = [(9, -13), (2, -18), (-7, -17), (-14, -11), (-16, -3), (-14, 6)]
    else:
        tips = [(-14, 3), (-15, -6), (-11, -14), (-3, -17.5), (6, -17.5), (13, -12), (14.5, -3)]
    sway = figure.sway * 0.5
    locks = [front.lock((u + sway, v), root=(0.45 * u, 0.25 * v), width=5.2) for u, v in tips]
    free = np.abs(front.u) > 6.5 if not figure.facing else front.u < 0
    locks = np.any(locks, 0) & ((front.v < -3) | free)
    front.paint(front.cap(fringe=-1.5, jag=2.2) | locks)


def _long(back: _Strands, front: _Strands, figure: Figure) -> None:
    u, v = front.u, front.v
    bent = u - figure.sway * np.clip(v, 0, None) / 12
    if figure.facing:
        fall = (bent > -11) & (bent < -1.5 - 0.12 * v) & (v > -4) & (v < 15.5 - 0.8 * (u % 3))
        front.paint(front.cap(fringe=-1.5, jag=1.2) | fall)
        return
    back.paint((np.abs(bent) < 10.5 + 0.06 * v) & (v > -4) & (v < 17.5 - 0.9 * (u % 3)))
    locks = (np.abs(bent) > 7.4) & (np.abs(bent) < 10.8) & (v > -4) & (v < 12.5 - 0.9 * (u % 3))
    parted = front.cap(fringe=-3.4, jag=0.6) & ~((np.abs(u) < 1) & (v > -7))
    front.paint(parted | locks)


def _pony_tail(back: _Strands, front: _Strands, figure: Figure) -> None:
    sway = figure.sway
    if figure.facing:
        tail = [(-6, -9), (-12, -9), (-14.5 - sway, -1), (-13 - 2 * sway, 9)]
    else:
        tail = [(2, -11), (9, -14), (14 + sway, -7), (14 + 2 * sway, 5)]
    back.tube(tail, [2.5, 3.6, 3.4, 1.2])
    front.paint(front.cap(fringe=-3.5, jag=0.8))
    band = (-6.5, -9.5) if figure.facing else (2.5, -11.5)
    x, y = figure.head
    front.canvas.ball(x + band[0] * front.facing, y + band[1], 2.2, 1.8, "gold")


def _afro(back: _Strands, front: _Strands, figure: Figure) -> None:
    u, v = front.u, front.v
    centre = -2.2 if figure.facing else 0.0
    angle = np.arctan2(v + 4, u - centre)
    radius = 13.2 + 0.6 * np.cos(9 * angle)
    puff = ((u - centre) ** 2 + (v + 4 + 0.12 * figure.sway) ** 2) <= radius**2
    face = (u > 0.5 if figure.facing else np.abs(u) < 7.6) & (v > -3.0 + 0.5 * np.abs(u % 4 - 2))
    front.paint(puff & ~face & (v < (7 if figure.facing else 5)), curl=True)


def _mohawk(back: _Strands, front: _Strands, figure: Figure) -> None:
    sway, u, v = 0.5 * figure.sway, front.u, front.v
    tips: list[tuple[float, float]]
    if figure.facing:
        tips = [(11, -13), (6, -18.5), (-1, -20), (-8, -18), (-14, -12), (-16, -4), (-13, 4)]
        radius = np.hypot(u, v + 1)
        crest = (radius < 12) & (radius > 6.5) & (v < 4) & (u < 7) & (v + u < 1)
        locks = [front.lock((x + sway, y), root=(0.4 * x, 0.4 * y), width=3.8) for x, y in tips]
        front.paint(crest | (np.any(locks, 0) & (radius > 6.5) & (v + u < 4)))
        return
    tips = [(-5.5, -16), (0, -20.5), (5.5, -16)]
    locks = [front.lock((x + sway, y), root=(0.2 * x, -7), width=4.5) for x, y in tips]
    front.paint((np.any(locks, 0) | (np.abs(u) < 4.2 + 0.25 * v)) & (v < -3.5))


def _braids(back: _Strands, front: _Strands, figure: Figure) -> None:
    head_x, head_y = figure.head
    swing = figure.sway * 0.8
    for side in (-1,) if figure.facing else (-1, 1):
        u = -7.5 if figure.facing else 9.5 * side
        for knot in range(3, -1, -1):  # the lowest first, each covered by the one above it
            x = u + 0.9 * side * min(knot, 2) + swing * knot / 3
            at = head_x + x * front.facing, head_y + 3 + 4.2 * knot
            front.canvas.ball(*at, 2.9 - 0.25 * knot, 2.6, front.material)
        tip = head_x + (u + 1.8 * side + swing) * front.facing
        front.canvas.ball(tip, head_y + 18.8, 1.6, 1.4, "hair1")
    parted = front.cap(fringe=-2.2, jag=0.4, volume=0.4)
    if not figure.facing:
        parted &= ~((np.abs(front.u) < 1) & (front.v > -8)) & (
            front.v < -4 + 0.35 * np.abs(front.u) + 3 * (np.abs(front.u) > 7.6)
        )
    front.paint(parted)


_STYLES = (_spikes, _long, _pony_tail, _afro, _mohawk, _braids)
