"""A 64x64 pixel-art canvas of palette indices: shaded, outlined shapes without any blur."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

SIZE = 64
SHADES = 5  # of each material: outline, dark, middle, light, highlight
# Light falls from above, a little from the left and the front: (x right, y down, z to the viewer).
LIGHT = np.array([-0.4, -0.7, 0.6])
# The colours of the materials; "skin" is a placeholder that a palette of a body replaces.
MATERIALS: Mapping[str, tuple[int, int, int]] = {
    "skin": (250, 205, 165),
    "hair0": (252, 208, 64),
    "hair1": (226, 74, 36),
    "hair2": (62, 118, 246),
    "hair3": (176, 76, 222),
    "hair4": (84, 214, 74),
    "hair5": (226, 232, 246),
    "top0": (34, 182, 170),
    "top1": (222, 52, 56),
    "top2": (240, 190, 54),
    "top3": (168, 180, 204),
    "top4": (128, 70, 200),
    "top5": (84, 142, 54),
    "trim0": (236, 236, 214),
    "trim1": (244, 240, 236),
    "trim2": (206, 104, 36),
    "trim3": (236, 196, 84),
    "trim4": (246, 206, 92),
    "trim5": (240, 240, 244),
    "bottom0": (54, 88, 204),
    "bottom1": (238, 134, 40),
    "bottom2": (240, 92, 160),
    "bottom3": (236, 226, 196),
    "bottom4": (56, 158, 92),
    "bottom5": (104, 104, 124),
    "hem0": (140, 170, 240),
    "hem1": (250, 200, 110),
    "hem2": (250, 240, 246),
    "hem3": (190, 60, 60),
    "hem4": (216, 190, 70),
    "hem5": (240, 232, 240),
    "shoes": (146, 88, 48),
    "belt": (122, 76, 42),
    "steel": (214, 224, 240),
    "gold": (232, 184, 64),
    "glow": (110, 230, 255),
    "iris": (50, 76, 150),
    "white": (250, 250, 252),
}
RAMP = {name: 1 + SHADES * i for i, name in enumerate(MATERIALS)}
BODIES = (
    (252, 210, 172),
    (138, 84, 50),
    (128, 178, 76),
    (92, 158, 224),
    (214, 70, 66),
    (196, 178, 214),
)
_X, _Y = np.meshgrid(np.arange(SIZE, dtype=np.float64), np.arange(SIZE, dtype=np.float64))


def _shades(colour: Sequence[int]) -> np.ndarray:
    """Outline, dark, middle, light and highlight of a colour, float [5, 3]; shadows turn bluish."""
    base = np.array(colour, np.float64)
    tints = np.array([[0.22, 0.18, 0.26], [0.60, 0.54, 0.64], [0.83, 0.80, 0.84], [1.0, 1.0, 1.0]])
    return np.concatenate([base * tints, [base + 0.55 * (255 - base)]])


@functools.cache
def palette(body: int) -> np.ndarray:
    """Colours of all palette indices for a body value: uint8 [256, 3], index 0 black."""
    colours = np.zeros((256, 3))
    for name, base in MATERIALS.items():
        shades = _shades(BODIES[body] if name == "skin" else base)
        colours[RAMP[name] : RAMP[name] + SHADES] = shades
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
        points: Sequence[Sequence[float]],
        radii: Sequence[float],
        material: str,
        outline: bool = True,
    ) -> None:
        """A round tube through points (x, y) with a radius at each: limbs, sleeves, braids."""
        points = np.asarray(points, np.float64)
        margin = max(radii) + 2
        at = _window(*(points.min(0) - margin), *(points.max(0) + margin))
        x, y = _X[at], _Y[at]
        nearest = np.full(x.shape, np.inf)
        normal_x, normal_y = np.zeros(x.shape), np.zeros(x.shape)
        for i in range(len(points) - 1):
            (ax, ay), (dx, dy) = points[i], points[i + 1] - points[i]
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
        normal_x, normal_y = (_X[at] - x) / radius_x, (_Y[at] - y) / radius_y
        mask = normal_x**2 + normal_y**2 <= 1
        self.paint(mask, lambert(normal_x, normal_y), material, at, outline)

    def rows(
        self,
        top: tuple[float, float],
        bottom_x: float,
        widths: Sequence[float],
        material: str,
        folds: int = 0,
        outline: bool = True,
    ) -> None:
        """A shape row by row: `widths` are half-widths, its centre goes from `top` to `bottom_x`.

        With `folds`, darker creases run down it, so many across its width.
        """
        widths = np.asarray(widths, np.float64)
        count = len(widths)
        first = round(top[1])
        reach = widths.max() + abs(bottom_x - top[0]) + 3
        at = _window(top[0] - reach, first - 2, top[0] + reach, first + count + 1)
        x, y = _X[at], _Y[at]
        row = np.clip(y - first, 0, count - 1).astype(int)
        centre = np.rint((top[0] + (bottom_x - top[0]) * row / max(count - 1, 1)) * 2) / 2
        across = (x - centre) / widths[row]
        mask = (np.abs(across) <= 1) & (y >= first) & (y < first + count)
        down = row / max(count - 1, 1)
        light = lambert(np.clip(across * 0.92, -1, 1), 0.75 * down - 0.55)
        if folds:
            crease = np.cos((across + 1) * np.pi * folds) > 0.6
            light = light - 0.45 * (crease & (down > 0.15))
        self.paint(mask, light, material, at, outline)

    def wedge(
        self, points: Sequence[Sequence[float]], material: str, light: float = 0.5, outline=True
    ) -> None:
        """A convex polygon of one brightness."""
        points = np.asarray(points, np.float64)
        at = _window(*(points.min(0) - 2), *(points.max(0) + 2))
        x, y = _X[at], _Y[at]
        following = np.roll(points, -1, axis=0)
        sides = [
            (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            for (ax, ay), (bx, by) in zip(points, following, strict=True)
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


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates x and y of the whole canvas, float [64, 64] each."""
    return _X, _Y
