"""The embedded sprites: they move, their attributes show, and views differ."""

import itertools

import numpy as np
import pytest

from tfrecords_tools.synthetic import sprites_drawing
from tfrecords_tools.synthetic.sprites_canvas import Canvas, palette
from tfrecords_tools.synthetic.sprites_drawing import ACTIONS, VIEWS, draw_clip
from tfrecords_tools.synthetic.sprites_poses import figure

CLIPS = list(itertools.product(ACTIONS, VIEWS))
ALIKE = [(value,) * 4 for value in range(6)]  # every value of every attribute once


def _distance(a, b):
    """Mean absolute difference over the pixels that are lit in one of the two."""
    lit = (a.max(-1) > 0) | (b.max(-1) > 0)
    return np.abs(a.astype(int) - b.astype(int))[lit].mean()


@pytest.mark.parametrize(("action", "view"), CLIPS)
@pytest.mark.parametrize("attributes", ALIKE)
def test_all_eight_frames_are_in_motion(attributes, action, view):
    clip = draw_clip(attributes, action, view)
    assert clip.shape == (8, 64, 64, 3) and clip.dtype == np.uint8
    assert len({frame.tobytes() for frame in clip}) == 8
    assert min(_distance(clip[t], clip[t + 1]) for t in range(7)) > 10


@pytest.mark.parametrize(("action", "view"), CLIPS)
@pytest.mark.parametrize("attributes", ALIKE)
def test_characters_are_whole_and_about_three_quarters_of_the_frame_high(attributes, action, view):
    lit = draw_clip(attributes, action, view).max(-1) > 0  # [8, 64, 64]
    assert not lit[:, [0, -1]].any() and not lit[:, :, [0, -1]].any()
    height = lit.any(2).sum(1)
    assert (height > 42).all() and (height < 63).all()


@pytest.mark.parametrize("attribute", range(4))
def test_any_two_values_of_an_attribute_look_different(attribute):
    for first, second in itertools.combinations(range(6), 2):
        pair = []
        for value in (first, second):
            attributes = [1, 0, 0, 0]
            attributes[attribute] = value
            pair.append(draw_clip(tuple(attributes), "walk", "front").astype(int))
        changed = np.abs(pair[0] - pair[1]).max(-1) > 40
        assert changed.sum((1, 2)).min() > 60, (first, second)
        assert np.abs(pair[0] - pair[1]).mean() > 1.0, (first, second)


@pytest.mark.parametrize("action", ACTIONS)
def test_views_face_different_ways_from_the_first_frame_on(action):
    front, left, right = (draw_clip((2, 0, 0, 2), action, view)[0] for view in VIEWS)
    assert _distance(front, left) > 25
    assert _distance(front, right) > 25
    assert _distance(left, right) > 25
    # The pony tail is behind the head: on the right when the character looks to the left.
    blue = [(f[..., 2] > 200) & (f[..., 0] < 90) & (f[..., 1] < 140) for f in (left, right)]
    middle = [np.nonzero(mask)[1].mean() for mask in blue]
    assert middle[0] > 34 and middle[1] < 29


def test_walking_swings_arms_against_legs():
    for frame in (1, 2, 3, 5, 6, 7):
        pose = figure("walk", "right", frame)
        arms = pose.hands[0, 0] - pose.hands[1, 0]
        legs = pose.feet[0, 0] - pose.feet[1, 0]
        assert arms * legs < 0


def test_a_spell_raises_both_hands_above_the_eyes():
    heights = [figure("spellcast", "front", frame).hands[:, 1] for frame in range(8)]
    assert (heights[0] > 40).all() and (heights[4] < 24).all() and (heights[7] > 38).all()


def test_a_slash_crosses_the_body():
    poses = [figure("slash", "front", frame) for frame in range(8)]
    tips = [pose.hands[0] + 13 * pose.blade for pose in poses]
    assert tips[2][1] < 16  # wound up above the head
    assert tips[3][0] < 16 and tips[5][0] > 40  # from one side to the other


def test_drawing_is_deterministic_and_shares_nothing():
    first = draw_clip((5, 4, 3, 2), "slash", "left")
    again = first.copy()
    first[:] = 0
    sprites_drawing.drawn_layers.cache_clear()
    np.testing.assert_array_equal(draw_clip((5, 4, 3, 2), "slash", "left"), again)


def test_only_colours_of_the_palette_are_used():
    colours = {tuple(colour) for colour in palette(3).tolist()}
    clip = draw_clip((3, 1, 4, 5), "spellcast", "right")
    assert {tuple(colour) for colour in np.unique(clip.reshape(-1, 3), axis=0).tolist()} <= colours


def test_a_shape_has_an_outline_all_around():
    canvas = Canvas()
    canvas.ball(30, 30, 6, 4, "skin")
    inside = canvas.index > 1
    outline = canvas.index == 1
    for axis, step in itertools.product((0, 1), (-1, 1)):
        beside = np.roll(inside, step, axis) & ~inside
        assert outline[beside].all()


@pytest.mark.parametrize("attributes", [(0, 0, 0), (0, 0, 0, 6), (-1, 0, 0, 0)])
def test_wrong_attributes_are_refused(attributes):
    with pytest.raises(ValueError, match="four values from 0 to 5"):
        draw_clip(attributes, "walk", "front")


def test_an_unknown_clip_is_refused():
    with pytest.raises(ValueError, match="No clip walk/back"):
        draw_clip((0, 0, 0, 0), "walk", "back")
