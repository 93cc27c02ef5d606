"""A 64x64 pixel-art canvas of palette indices: shaded, outlined shapes without any blur."""

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

SIZE = 64
SHADES = 5  # of each material: outline, dark, middle, light, highlight
# Light falls from above, a little from the left and the front: (x right, y down, z to the viewer).
LIGHT = np.array([-0.4, -0.7, 0.6])
# Colours of the materials, RRGGBB; "skin" is a placeholder for the colour of a body.
_COLOURS = """
skin facda5
hair fcd040 e24a24 3e76f6 b04cde 54d64a e2e8f6
top 22b6aa de3438 f0be36 a8b4cc 8046c8 548e36
trim ececd6 f4f0ec ce6824 ecc454 f6ce5c f0f0f4
bottom 3658cc ee8628 f05ca0 ece2c4 389e5c 68687c
hem 8caaf0 fac86e faf0f6 be3c3c d8be46 f0e8f0
shoes 925830
belt 7a4c2a
steel d6e0f0
gold e8b840
glow 6ee6ff
iris 324c96
white fafafc
body fcd2ac 8a5432 80b24c 5c9ee0 d64642 c4b2d6
"""


def _read_colours() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and colours: "skin", or "hair0" to "hair5" for a line of several colours."""
    for kind, *colours in map(str.split, _COLOURS.strip().splitlines()):
        for number, colour in enumerate(colours):
            yield kind + str(number) * (len(colours) > 1), tuple(bytes.fromhex(colour))


MATERIALS = dict(_read_colours())
BODIES = [MATERIALS.pop(f"body{number}") for number in range(6)]
RAMP = {name: 1 + SHADES * i for i, name in enumerate(MATERIALS)}
# Column and row of every pixel, float [64, 64] each.
X, Y = np.meshgrid(np.arange(SIZE, dtype=np.float64), np.arange(SIZE, dtype=np.float64))


@functools.cache
def palette(body: int) -> np.ndarray:
    """Colours of all palette indices for a body value: uint8 [256, 3], index 0 black."""
    colours = np.zeros((256, 3))
    # Outline, dark, middle and light; shadows are bluish. The highlight follows.
    tints = np.array([[0.22, 0.18, 0.26], [0.60, 0.54, 0.64], [0.83, 0.80, 0.84], [1.0, 1.0, 1.0]])
    for name, colour in MATERIALS.items():
        base = np.array(BODIES[body] if name == "skin" else colour, np.float64)
        highlight = base + 0.55 * (255 - base)
        colours[RAMP[name] : RAMP[name] + SHADES] = [*(base * tints), highlight]
    table = np.rint(colours).astype(np.uint8)
    table.setflags(write=False)
    return table


def lambert(normal_x: np.ndarray, normal_y: np.ndarray) -> np.ndarray:
    """Brightness, about -1 to 1, of a round surface whose normal has these two components."""
    normal_z = np.sqrt(np.clip(1 - normal_x**2 - normal_y**2, 0, None))
    return normal_x * LIGHT[0] + normal_y * LIGHT[1] + normal_z * LIGHT[2]


class Canvas:
    """Palette indices [64, 64], 0 transparent; every shape gets a one-pixel outline of its own.

    Example:
        canvas = Canvas()
        canvas.tube([(20, 20), (28, 32)], [3, 2], "skin")
        picture = palette(body=0)[canvas.index]
    """

    def __init__(self) -> None:
        self.index = np.zeros((SIZE, SIZE), np.uint8)

    def paint(
        self,
        mask: np.ndarray,
        light: np.ndarray,
        material: str,
        at: tuple[slice, slice] = (slice(None), slice(None)),
        outline: bool = True,
    ) -> None:
        """Fills `mask` in the material's shades by brightness, within the window `at`."""
        window, ramp = self.index[at], RAMP[material]
        if outline:
            padded = np.pad(mask, 1)
            ring = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
            window[ring & ~mask] = ramp
        level = 1 + (light > 0.30).astype(np.uint8) + (light > 0.74) + (light > 0.985)
        window[mask] = (ramp + level)[mask]

    def tube(
        self,
        points: Sequence[Sequence[float] | np.ndarray],
        radii: Sequence[float],
        material: str,
        outline: bool = True,
    ) -> None:
        """A round tube through points (x, y) with a radius at each: limbs, sleeves, braids."""
        joints = np.asarray(points, np.float64)  # [J, 2]
        margin = max(radii) + 2
        at = _window(*(joints.min(0) - margin), *(joints.max(0) + margin))
        x, y = X[at], Y[at]
        nearest = np.full(x.shape, np.inf)
        normal_x, normal_y = np.zeros(x.shape), np.zeros(x.shape)
        for i in range(len(joints) - 1):
            (ax, ay), (dx, dy) = joints[i], joints[i + 1] - joints[i]
            along = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9)
            along = np.clip(along, 0, 1)
            radius = radii[i] + along * (radii[i + 1] - radii[i])
            offset_x, offset_y = (x - ax - along * dx) / radius, (y - ay - along * dy) / radius
            distance = np.hypot(offset_x, offset_y)
            closer = distance < nearest
            nearest = np.where(closer, distance, nearest)
            normal_x = np.where(closer, offset_x, normal_x)
            normal_y = np.where(closer, offset_y, normal_y)
        self.paint(nearest <= 1, lambert(normal_x, normal_y), material, at, outline)

    def ball(
        self, x: float, y: float, radius_x: float, radius_y: float, material: str, outline=True
    ) -> None:
        """A shaded ellipse."""
        at = _window(x - radius_x - 2, y - radius_y - 2, x + radius_x + 2, y + radius_y + 2)
        normal_x, normal_y = (X[at] - x) / radius_x, (Y[at] - y) / radius_y
        mask = normal_x**2 + normal_y**2 <= 1
        self.paint(mask, lambert(normal_x, normal_y), material, at, outline)

    def rows(
        self,
        top: tuple[float, float],
        bottom_x: float,
        widths: npt.ArrayLike,
        material: str,
        folds: int = 0,
        outline: bool = True,
    ) -> None:
        """A shape row by row: `widths` are half-widths, its centre goes from `top` to `bottom_x`.

        With `folds`, darker creases run down it, so many across its width.
        """
        half = np.asarray(widths, np.float64)
        count = len(half)
        first = round(top[1])
        reach = half.max() + abs(bottom_x - top[0]) + 3
        at = _window(top[0] - reach, first - 2, top[0] + reach, first + count + 1)
        x, y = X[at], Y[at]
        row = np.clip(y - first, 0, count - 1).astype(int)
        centre = np.rint((top[0] + (bottom_x - top[0]) * row / max(count - 1, 1)) * 2) / 2
        across = (x - centre) / half[row]
        mask = (np.abs(across) <= 1) & (y >= first) & (y < first + count)
        down = row / max(count - 1, 1)
        light = lambert(np.clip(across * 0.92, -1, 1), 0.75 * down - 0.55)
        if folds:
            crease = np.cos((across + 1) * np.pi * folds) > 0.6
            light = light - 0.45 * (crease & (down > 0.15))
        self.paint(mask, light, material, at, outline)

    def wedge(self, points: npt.ArrayLike, material: str, light: float = 0.5, outline=True) -> None:
        """A convex polygon of one brightness."""
        corners = np.asarray(points, np.float64)
        at = _window(*(corners.min(0) - 2), *(corners.max(0) + 2))
        x, y = X[at], Y[at]
        following = np.roll(corners, -1, axis=0)
        sides = [
            (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            for (ax, ay), (bx, by) in zip(corners, following, strict=True)
        ]
        mask = np.all(np.stack(sides) >= -1e-9, 0) | np.all(np.stack(sides) <= 1e-9, 0)
        self.paint(mask, np.full(mask.shape, light), material, at, outline)

    def stencil(
        self, x: float, y: float, art: Sequence[str], key: Mapping[str, int], flip: bool = False
    ) -> None:
        """Sets single pixels: letters of `art` stand for palette indices, a dot for none.

        (x, y) is the upper left corner; with `flip`, x is the right one and art runs to the left.
        """
        for row, line in enumerate(art):
            for column, letter in enumerate(line):
                px, py = round(x + (-column if flip else column)), round(y + row)
                if letter != "." and 0 <= px < SIZE and 0 <= py < SIZE:
                    self.index[py, px] = key[letter]


def _window(x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
    """The part of the canvas that a box touches."""
    left, right = (int(np.clip(v, 0, SIZE)) for v in (np.floor(x0), np.ceil(x1) + 1))
    top, bottom = (int(np.clip(v, 0, SIZE)) for v in (np.floor(y0), np.ceil(y1) + 1))
    return slice(top, bottom), slice(left, right)
