"""The embedded sprites: 1,296 characters with three actions in three views, drawn by code.

A character is its layers laid over each other. Each layer depends on one attribute only: the
layers of all attribute values are drawn once, then every character takes milliseconds.
"""

import functools

import numpy as np

from tfrecords_tools.synthetic.sprites_canvas import RAMP, SIZE, Canvas, palette
from tfrecords_tools.synthetic.sprites_clothes import draw_arm, draw_legs, draw_torso
from tfrecords_tools.synthetic.sprites_hair import draw_hair, draw_head
from tfrecords_tools.synthetic.sprites_poses import ACTIONS, FRAMES, VIEWS, Figure, figure

VALUES = 6  # of each attribute: body, bottomwear, topwear, hair
_BLADE_LENGTH = 13
_TRAIL_FRAMES = (3, 4, 5)
_MIN_SWEEP = 0.9  # radians that leave a trail

_LAYERS = ("hair behind", "arm behind", "legs", "torso", "head", "hair", "arms")  # back to front
_ATTRIBUTES = (3, 2, 1, 2, 0, 3, 2)  # the number of the attribute that each layer depends on


def _draw_glow(canvas: Canvas, pose: Figure, limb: int) -> None:
    """A light on a hand, with rays."""
    if not pose.glow:
        return
    x, y = np.floor(pose.hands[limb]) + [0, -1 - 0.5 * pose.glow]
    ramp = RAMP["glow"]
    for ray in range(1, pose.glow + 3):
        for dx, dy in ((ray, 0), (-ray, 0), (0, ray), (0, -ray)):
            shade = 4 if ray < pose.glow + 1 else 2
            canvas.stencil(x + dx, y + dy, ("x",), {"x": ramp + shade})
    canvas.ball(x, y, 0.6 + 0.7 * pose.glow, 0.6 + 0.7 * pose.glow, "glow", outline=False)
    canvas.ball(x, y, 0.7 + 0.3 * pose.glow, 0.7 + 0.3 * pose.glow, "white", outline=False)


def _blade_tip(pose: Figure) -> np.ndarray:
    return pose.hands[0] + _BLADE_LENGTH * pose.blade


def _draw_trail(canvas: Canvas, before: Figure, now: Figure) -> None:
    """The crescent that the blade's tip has swept since the frame before."""
    pivot = (before.hands[0] + now.hands[0]) / 2
    start, end = _blade_tip(before) - pivot, _blade_tip(now) - pivot
    angle, turn = np.arctan2(start[1], start[0]), np.arctan2(end[1], end[0])
    sweep = (turn - angle + np.pi) % (2 * np.pi) - np.pi
    if abs(sweep) < _MIN_SWEEP:
        return
    for share in np.linspace(0.15, 1, 60):
        radius = np.hypot(*start) * (1 - share) + np.hypot(*end) * share
        direction = np.array([np.cos(angle + share * sweep), np.sin(angle + share * sweep)])
        for depth in np.arange(0, 4.5 * share, 0.5):
            x, y = pivot + (radius - depth) * direction
            shade = RAMP["white"] + 3 if depth < 2.5 * share else RAMP["steel"] + 1
            canvas.stencil(x, y, ("x",), {"x": shade})


def _draw_blade(canvas: Canvas, pose: Figure) -> None:
    hand, tip = pose.hands[0], _blade_tip(pose)
    across = np.array([-pose.blade[1], pose.blade[0]])
    canvas.tube([hand - 2.5 * pose.blade, hand + 2 * pose.blade], [1.0, 1.0], "belt")
    canvas.tube([hand + 4 * pose.blade, tip], [1.6, 1.1], "steel")
    guard = hand + 3 * pose.blade
    canvas.tube([guard - 2.5 * across, guard + 2.5 * across], [0.9, 0.9], "gold")


def _draw_arms(behind: Canvas, ahead: Canvas, action: str, view: str, frame: int, top: int):
    pose = figure(action, view, frame)
    for limb in (1, 0):
        canvas = behind if pose.facing and limb == 1 else ahead
        if limb == 0 and pose.blade.any():
            if frame in _TRAIL_FRAMES:
                _draw_trail(canvas, figure(action, view, frame - 1), pose)
            _draw_blade(canvas, pose)
        draw_arm(canvas, pose, limb, top)
        _draw_glow(canvas, pose, limb)


@functools.cache
def drawn_layers() -> np.ndarray:
    """All layers: palette indices uint8 [7 layers, 6 values, 3 actions, 3 views, 8, 64, 64]."""
    shape = (len(_LAYERS), VALUES, len(ACTIONS), len(VIEWS), FRAMES, SIZE, SIZE)
    layers = np.zeros(shape, np.uint8)
    for value, a, v, t in np.ndindex(shape[1:5]):
        pose = figure(ACTIONS[a], VIEWS[v], t)
        drawn = {name: Canvas() for name in _LAYERS}
        draw_hair(drawn["hair behind"], drawn["hair"], pose, value)
        draw_head(drawn["head"], pose, value)
        draw_torso(drawn["torso"], pose, value)
        draw_legs(drawn["legs"], pose, value)
        _draw_arms(drawn["arm behind"], drawn["arms"], ACTIONS[a], VIEWS[v], t, value)
        layers[:, value, a, v, t] = [canvas.index for canvas in drawn.values()]
    layers.setflags(write=False)
    return layers


def draw_clip(attributes: tuple[int, ...], action: str, view: str) -> np.ndarray:
    """Draws a character in action, on black: uint8 RGB [8, 64, 64, 3].

    Raises:
        ValueError: a value of body, bottomwear, topwear or hair is not in 0..5, or the action is
            not one of `ACTIONS`, or the view of `VIEWS`.
    """
    if len(attributes) != 4 or not all(0 <= value < VALUES for value in attributes):
        raise ValueError(f"attributes={attributes}: give four values from 0 to {VALUES - 1}.")
    if action not in ACTIONS or view not in VIEWS:
        raise ValueError(f"No clip {action}/{view}: use actions {ACTIONS} and views {VIEWS}.")
    layers = drawn_layers()[:, :, ACTIONS.index(action), VIEWS.index(view)]
    index = np.zeros(layers.shape[2:], np.uint8)  # [8, 64, 64]
    for layer, attribute in enumerate(_ATTRIBUTES):
        drawn = layers[layer, attributes[attribute]]
        np.copyto(index, drawn, where=drawn > 0)
    return palette(attributes[0]).take(index, axis=0)  # [8, 64, 64, 3], faster than indexing
