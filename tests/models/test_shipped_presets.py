"""The presets whose weights come with the package."""

import numpy as np
import pytest

from kerasvid.models import load_preset
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.preset_folder import check_files, read_metadata
from kerasvid.models.registry import SHIPPED, shipped_presets
from tfrecords_tools.registry import drawn_clips

NAMES = ["cvae_shapes", "dsa_sprites", "navsynth_turntable", "rjgan_sprites", "rjvae_sprites"]
LARGEST, ALL = 2_000_000, 8_000_000  # bytes


def test_they_are_there_and_small():
    assert shipped_presets() == NAMES
    sizes = [path.stat().st_size for path in SHIPPED.glob("*/*")]
    assert max(sizes) <= LARGEST and sum(sizes) <= ALL


@pytest.mark.parametrize("name", NAMES)
def test_their_cards_say_how_they_were_trained(name):
    check_files(SHIPPED / name)
    metadata = read_metadata(SHIPPED / name)
    assert metadata["weights"] == "float16" and metadata["parameters"] < 1_000_000
    assert metadata["command"].startswith("kerasvid train --model=") and metadata["licence"]
    assert metadata["training"]["minutes"] > 0 and metadata["training"]["seed"] == 0
    assert len(metadata["data"]["digest"]) == 16 and "fvd" in metadata["evaluation"]
    assert "/" not in metadata["data"]["name"]  # drawn by code


@pytest.mark.parametrize("name", NAMES)
def test_they_make_sharp_clips_that_differ_and_move(name):
    model = load_preset(name)
    if isinstance(model, InBetween):
        real = drawn_clips("shapes", 4, model.frames, model.image_shape)
        videos = model.between(real[:, 0], real[:, -1])
    else:
        real, videos = None, model.generate(4, seed=0)
    frames = videos.astype(np.float32) / 255.0
    assert frames.std(axis=(2, 3)).mean() > 0.05  # not of one tone
    edges = np.abs(np.diff(frames, axis=3)).max(axis=(2, 3, 4))
    assert edges.mean() > 0.2  # not blurred
    assert np.abs(frames[:, 1:] - frames[:, :-1]).mean() > 0.003  # moving
    assert np.abs(frames[1:] - frames[:-1]).mean() > 0.02  # several clips
    if (
        real is not None
    ):  # a shape travels, where a blend of both ends shows two of half the brightness
        middle = model.frames // 2
        blend = (real[:, 0] / 255.0 + real[:, -1] / 255.0) / 2.0
        shown, faded = (each.max(axis=(1, 2, 3)) for each in (frames[:, middle], blend))
        apart = faded < 0.6 * frames[:, 0].max(axis=(1, 2, 3))
        assert apart.sum() >= 2 and (shown[apart] > 1.3 * faded[apart]).all()
