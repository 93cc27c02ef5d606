"""Panels of what a model can make, as training writes them."""

import numpy as np

from kerasvid.models.base.in_between import InBetween
from kerasvid.models.cvae import CVAE
from kerasvid.visualization.panels import own_labels, panel_animation, panel_image, sample_panel


def test_in_between_videos_are_shown_below_the_real_clips():
    class Between(InBetween):
        def between(self, first, last, frames, seed, label):
            return np.repeat(np.maximum(first, last)[:, None] + seed, frames, axis=1)

    real = np.stack([np.full([3, 64, 64, 3], level, np.uint8) for level in (10, 20)])
    real[:, -1] += 30
    panel = sample_panel(Between(), real, count=8, seed=7)
    assert set(panel) == {"real", "between"}
    cells = panel_image(panel)[18 + 30 :: 66, 30::66, 0]  # under the caption
    assert cells.tolist() == [[10, 10, 40], [47] * 3, [20, 20, 50], [57] * 3]
    frames = panel_animation(panel)
    assert frames[0][30::66, 30::66, 0].tolist() == [[10, 20], [47, 57]]


def test_videos_between_two_frames_of_a_clip_are_of_its_class():
    model = CVAE.from_preset("debug", image_shape=(16, 16, 3), frames=4, categories=3)
    label = np.array([2, 0])
    np.testing.assert_array_equal(own_labels(model, {"label": label}), label)
    assert own_labels(model, {"label": np.array([2, -1])}) is None
    assert own_labels(model, None) is None
    plain = CVAE.from_preset("debug", image_shape=(16, 16, 3), frames=4)
    assert own_labels(plain, {"label": label}) is None
