"""What is asked of a model for an exhibit; pictures are tested elsewhere."""

import numpy as np
import pytest

from kerasvid.visualization.figures import EXHIBITS, Request, between_pictures, can_show

ROWS = {"index": np.array([4, 2]), "identity": np.array([0, 1]), "label": np.array([2, 3])}


def clip(value, frames=4):
    return np.full([frames, 8, 8, 3], value, np.uint8)


class Encoder:
    """Shows a pair as 10 times its content plus its motion."""

    def reconstruct(self, videos):
        return videos + 1

    def swap(self, content_of, motion_of):
        return (10 * content_of + motion_of).astype(np.uint8)


class Memory(Encoder):
    """Has learned codes: of persons by identity, of actions by label."""

    static_by, transient_by, frames = "identity", "label", 4

    def recall(self, index, identity, label):
        return np.stack([clip(i) for i in index])

    def exchange(self, identity, action, label):
        assert list(action) == list(label)
        return np.stack([clip(100 + 10 * i + a) for i, a in zip(identity, action, strict=True)])

    def interpolate_frames(self, first, last, count, index, identity, label):
        return np.stack([clip(50 + i, count) for i in index])


class Between:
    """Fills a clip with twice the sum of its ends, or with the sum where the temperature is 0.

    Args:
        chance: whether it takes noise.
    """

    def __init__(self, chance=True):
        self.chance, self.seeds = chance, []

    def between_noise(self, batch, frames):
        return {"noise": np.zeros([batch, 2])} if self.chance else {}

    def between(self, first, last, frames, seed=0, temperature=1.0):
        self.seeds.append(seed)
        level = (first + last) * (2 if temperature else 1)
        return np.repeat(level[:, None], frames, axis=1).astype(np.uint8)


@pytest.fixture
def held_out():
    return np.stack([clip(1), clip(2)])


def test_clips_are_reconstructed_or_recalled_by_their_rows(held_out):
    encoded = Request(Encoder(), held_out, rows=ROWS).reconstructed()
    assert list(encoded[:, 0, 0, 0, 0]) == [2, 3]
    recalled = Request(Memory(), held_out, rows=ROWS).reconstructed()
    assert list(recalled[:, 0, 0, 0, 0]) == [4, 2]


def test_clips_are_swapped_or_their_rows_exchanged(held_out):
    content, motion = np.array([0, 0]), np.array([0, 1])
    swapped = Request(Encoder(), held_out, rows=ROWS).swapped(content, motion)
    assert list(swapped[:, 0, 0, 0, 0]) == [11, 12]
    exchanged = Request(Memory(), held_out, rows=ROWS).swapped(content, motion)
    assert list(exchanged[:, 0, 0, 0, 0]) == [102, 103]


def test_swaps_have_a_row_a_content_and_a_column_a_motion(held_out):
    animation = EXHIBITS["swaps"].show(Request(Encoder(), held_out, scale=1)).animation
    levels = [value for value in range(256) if (animation == value).any()]
    assert {1, 2, 11, 12, 21, 22} <= set(levels)


def test_frames_between_stand_between_their_frames(held_out):
    assert can_show(Memory(), "frames_between") and not can_show(Encoder(), "frames_between")
    animation = EXHIBITS["frames_between"].show(Request(Memory(), held_out, rows=ROWS)).animation
    shown = [(frame == 4).any() for frame in animation]
    assert shown == [True, False, False, False, True]  # frames 1 and 3, and three between
    assert all((frame == 54).any() for frame in animation[1:-1])


def test_what_is_filled_in_stands_between_the_real_clip_and_the_linear_interpolation():
    real = np.stack([clip(10), clip(20)])
    real[:, -1] = 40
    exhibit = EXHIBITS["between"].show(Request(Between(), real, scale=1))
    assert can_show(Between(), "between") and not can_show(Encoder(), "between")
    cells = exhibit.picture[18 + 5 :: 10, 5::10, 0]  # under the caption
    assert cells.tolist() == [
        [10, 10, 10, 40], [100] * 4, [10, 20, 30, 40],
        [20, 20, 20, 40], [120] * 4, [20, 27, 33, 40],
    ]  # fmt: skip


def distances(filled, real):
    """The L2 distances of clips `[B, T]` of one level a frame, 8x8x3 pixels each."""
    squares = np.square((np.asarray(filled, float) - real) / 255).sum(axis=1) * 8 * 8 * 3
    return np.sqrt(squares)


def told(filled, real, linear=None):
    """The remark's figures of them, and in how many clips they are nearer than another filling."""
    ours = distances(filled, real)
    figures = f"{ours.mean():.2f} ± {ours.std():.2f}"
    if linear is None:
        return figures
    return f"{figures}, {sum(ours < distances(linear, real))} nearer"


def test_the_distances_of_samples_of_their_mean_and_of_interpolations_are_told_of_more_clips():
    levels = np.array([[10, 10, 10, 40]] * 10 + [[0, 60, 60, 30]] * 7)
    more = levels[..., None, None, None] * np.ones([8, 8, 3]).astype(np.uint8)
    asked, model = [], Between()
    request = Request(
        model, more[:2].astype(np.uint8), seed=5,
        compared=lambda count: asked.append(count) or (more.astype(np.uint8), "17 clips"),
    )  # fmt: skip
    remark = EXHIBITS["between"].show(request).remark
    sums = (levels[:, :1] + levels[:, -1:]) * np.ones(4)
    linear = np.round(np.linspace(levels[:, 0], levels[:, -1], 4, axis=1))
    assert asked == [100] and model.seeds == [5, *[5, 6, 7] * 2]  # no noise twice in a measure
    assert remark == (
        f"L2 distance over 17 clips: linear interpolation {told(linear, levels)}; samples "
        f"{told(2 * sums, levels, linear)}; at temperature 0 {told(sums, levels, linear)}"
    )
    assert remark.endswith("7 nearer")


def test_a_model_without_chance_has_one_distance():
    real = np.stack([clip(10), clip(20)])
    remark = EXHIBITS["between"].show(Request(Between(chance=False), real)).remark
    assert "; model " in remark
    assert "samples" not in remark


def test_several_videos_go_between_two_given_pictures():
    exhibit = between_pictures(Between(), clip(3)[0], clip(4)[0], count=2, frames=5, scale=1)
    assert exhibit.animation.shape[0] == 5 and exhibit.picture.shape[:2] == (2 * 10 + 2, 5 * 10 + 2)
    assert (exhibit.picture[5, 5::10] == 14).all() and (exhibit.picture[15, 5::10] == 14).all()
