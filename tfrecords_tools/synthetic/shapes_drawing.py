"""Draws clips of one coloured shape that moves along a smooth curve, on black.

Everything about a clip follows from (seed, number). A shape is drawn from its signed distance,
so that its edge is anti-aliased and moves by less than a pixel where its centre does.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

SIDE, FRAMES = 64, 32
MARGIN = 2.0  # pixels between a shape and the border of the frame; blurred corners take one
MOTIONS = ("horizontal", "vertical", "diagonal", "circular", "figure-eight")
COLOURS = {
    "red": (230, 50, 50),
    "orange": (245, 140, 30),
    "yellow": (240, 225, 60),
    "green": (60, 190, 75),
    "cyan": (60, 210, 230),
    "blue": (65, 100, 235),
    "magenta": (225, 60, 210),
    "white": (240, 240, 240),
}
RADII = {"small": 4.5, "medium": 6.5, "large": 9.0}  # of the circle with the same area
# Half sides and the like that give each shape the area of a circle of radius 1.
_SQUARE = np.sqrt(np.pi) / 2
_TRIANGLE = np.sqrt(np.pi / (3 * np.sqrt(3)))
_CROSS = np.sqrt(9 * np.pi / 20)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = abs(x), abs(y)  # two bars, three times as long as wide
    return np.maximum(np.maximum(x, y) - _CROSS, np.minimum(x, y) - _CROSS / 3)


# By name: signed distance for a radius of 1, and how far the shape reaches from its centroid.
SHAPES: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], float]] = {
    "circle": (lambda x, y: np.hypot(x, y) - 1, 1.0),
    "square": (lambda x, y: np.maximum(abs(x), abs(y)) - _SQUARE, _SQUARE),
    "triangle": (
        lambda x, y: np.maximum(y, np.sqrt(0.75) * abs(x) - y / 2) - _TRIANGLE,
        2 * _TRIANGLE,
    ),
    "diamond": (lambda x, y: (abs(x) + abs(y)) / np.sqrt(2) - _SQUARE, np.sqrt(2) * _SQUARE),
    "cross": (_cross, _CROSS),
}


@dataclasses.dataclass(frozen=True)
class Clip:
    """What a clip shows: names in `MOTIONS`, `SHAPES`, `COLOURS` and `RADII`, and a path."""

    number: int
    motion: str
    shape: str
    colour: str
    size: str
    # [T, 2], column and row of the centroid; pixel i reaches from i to i + 1
    centres: np.ndarray = dataclasses.field(compare=False)


def plan_clip(number: int, seed: int = 0, frames: int = FRAMES) -> Clip:
    """Draws the parameters of a clip by seed; motions take turns."""
    random = np.random.default_rng([seed, number])
    motion = MOTIONS[number % len(MOTIONS)]
    shape, colour, size = (str(random.choice(list(names))) for names in (SHAPES, COLOURS, RADII))
    room = SIDE / 2 - MARGIN - SHAPES[shape][1] * RADII[size]
    path = _path(motion, room, _phases(frames, random), random)  # [T, 2]
    path *= min(1.0, 2 * room / np.ptp(path, axis=0).max())
    # Anywhere in the frame, as far as the whole path fits into it.
    middle = random.uniform(-room - path.min(axis=0), room - path.max(axis=0))
    return Clip(number, motion, shape, colour, size, SIDE / 2 + middle + path)


def _phases(frames: int, random: np.random.Generator) -> np.ndarray:
    """Angles [T] that grow or fall all the time, now faster, now slower."""
    turns = random.uniform(1.0, 1.8)
    uneven = random.uniform(0.1, 0.5) * turns / (2 * np.pi)
    start, swell = random.uniform(0, 1, 2)
    time = np.arange(frames) / frames
    angle = turns * time + uneven * np.sin(2 * np.pi * (time + swell))
    return 2 * np.pi * (start + random.choice([-1, 1]) * angle)


def _path(motion: str, room: float, phases: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The curve of a motion about the origin, float64 [T, 2], column and row."""
    amplitude = random.uniform(0.6, 1.0) * room
    along = amplitude * np.sin(phases)
    bent = random.uniform(-0.25, 0.25) * amplitude * np.sin(phases) ** 2
    if motion == "horizontal":
        return np.stack([along, bent], axis=1)
    if motion == "vertical":
        return np.stack([bent, along], axis=1)
    if motion == "circular":
        return amplitude * np.stack([np.cos(phases), np.sin(phases)], axis=1)
    if motion == "figure-eight":
        eight = [along, 0.5 * amplitude * np.sin(2 * phases)]
        return np.stack(eight if random.random() < 0.5 else eight[::-1], axis=1)
    angle = np.deg2rad(random.choice([45, 135]) + random.uniform(-8, 8))
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([cosine * along - sine * bent, sine * along + cosine * bent], axis=1)


def draw_clip(clip: Clip) -> np.ndarray:
    """Draws a clip: uint8 RGB [T, 64, 64, 3]."""
    radius = RADII[clip.size]
    distance, _ = SHAPES[clip.shape]
    pixels = np.arange(SIDE) + 0.5
    x = (pixels - clip.centres[:, None, :1]) / radius  # [T, 1, W]
    y = (pixels[:, None] - clip.centres[:, None, 1:]) / radius  # [T, H, 1]
    # A pixel that the edge cuts is covered by about as much as its middle lies within.
    cover = np.clip(0.5 - radius * distance(x, y), 0, 1)[..., None]  # [T, H, W, 1]
    return np.rint(cover * np.array(COLOURS[clip.colour])).astype(np.uint8)
