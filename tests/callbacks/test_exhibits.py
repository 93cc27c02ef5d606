"""What is asked of a model for an exhibit; pictures are tested elsewhere."""

import numpy as np
import pytest

from kerasvid.callbacks.exhibits import EXHIBITS, Request, can_show

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

    def exchange(self, identity, action):
        return np.stack([clip(100 + 10 * i + a) for i, a in zip(identity, action, strict=True)])

    def interpolate_frames(self, first, last, count, index, identity, label):
        return np.stack([clip(50 + i, count) for i in index])


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
    animation = EXHIBITS["swaps"][0](Request(Encoder(), held_out, scale=1)).animation
    levels = [value for value in range(256) if (animation == value).any()]
    assert {1, 2, 11, 12, 21, 22} <= set(levels)


def test_frames_between_stand_between_their_frames(held_out):
    assert can_show(Memory(), "frames_between") and not can_show(Encoder(), "frames_between")
    animation = EXHIBITS["frames_between"][0](Request(Memory(), held_out, rows=ROWS)).animation
    shown = [(frame == 4).any() for frame in animation]
    assert shown == [True, False, False, False, True]  # frames 1 and 3, and three between
    assert all((frame == 54).any() for frame in animation[1:-1])
