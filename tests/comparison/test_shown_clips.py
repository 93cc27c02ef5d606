"""The clips that are shown: of runs of random weights, and real ones."""

import dataclasses
import functools
import os
import shutil

import numpy as np
import pytest

from kerasvid.comparison.shown_clips import clips_of_runs, common_frame_rate, made_clips, real_clips
from kerasvid.comparison.study import StudyError
from kerasvid.data import load_info, write_info
from kerasvid.training.config import make_config


@pytest.fixture(scope="module")
def data(tmp_path_factory, moving_squares, write_squares):
    """40 + 20 clips, 4x16x16x3, at 5 a second."""
    folder, videos = tmp_path_factory.mktemp("data") / "squares", moving_squares(60, 4)
    return write_squares(folder, videos, 40, fps=5.0), videos


@pytest.fixture(scope="module")
def config_of(data):
    """A function of a model's name, and frames of a clip, to a config."""

    def config(model: str, frames: int = 4):
        values = {"frames": frames, "training.batch_size": 4}
        options = {"precision": "float32", "seed": 0}
        info = load_info(data[0])
        return make_config(model, "squares", data[0], info, "debug", values, **options)

    return config


@pytest.fixture(scope="module")
def run_of(config_of, tmp_path_factory, save_new_run):
    """A function of a model's name, and frames of a clip, to the folder of a run."""

    @functools.cache
    def run(model: str, frames: int = 4) -> str:
        folder = tmp_path_factory.mktemp("runs") / model
        return os.fspath(save_new_run(config_of(model, frames), folder))

    return run


@pytest.fixture(scope="module")
def rjgan(run_of):
    return run_of("rjgan")


def test_a_clip_depends_on_the_seed_and_its_row_only(config_of):
    config = config_of("rjgan")
    model = config.make_model()
    made = made_clips(model, config, 20, frames=3, seed=1)
    assert made.shape == (20, 3, 16, 16, 3) and made.dtype == np.uint8
    assert len({clip.tobytes() for clip in made}) == 20
    np.testing.assert_array_equal(made[:5], made_clips(model, config, 5, frames=3, seed=1))
    np.testing.assert_allclose(made, model.generate(20, 3, seed=1), atol=1)
    assert (made != made_clips(model, config, 20, frames=3, seed=2)).any()


def test_real_clips_are_held_out_and_all_different(config_of, data):
    shown = real_clips(config_of("rjvae"), 20, 4, seed=2)
    held_out = {clip.tobytes() for clip in data[1][40:]}
    assert {clip.tobytes() for clip in shown.clips} == held_out and len(shown.clips) == 20
    assert shown.known["clips"] == "20 held-out clips" and shown.known["split"] == "test"
    other = real_clips(config_of("rjvae"), 20, 4, seed=3)
    assert (shown.clips != other.clips).any()


def test_windows_of_longer_videos_are_reported(config_of, data):
    shown = real_clips(config_of("rjvae"), 30, 2)
    windows = {clip[t : t + 2].tobytes() for clip in data[1][40:] for t in range(3)}
    seen = {clip.tobytes() for clip in shown.clips}
    assert len(seen) == 30 and seen <= windows
    assert shown.known["clips"] == "30 windows of 20 held-out videos"


def test_no_real_clip_is_shown_twice(config_of):
    with pytest.raises(
        StudyError, match=r"has 20 different clips of 4 frames\. Give 20 --pairs or fewer"
    ):
        real_clips(config_of("rjvae"), 21, 4)
    with pytest.raises(
        StudyError,
        match=r"a clip needs 5 frames, but the split 'test' has videos of 4\. Give fewer --frames",
    ):
        real_clips(config_of("rjvae"), 1, 5)


def test_a_run_beside_its_data(rjgan, data):
    shown, configs = clips_of_runs(["real", rjgan], 6)
    assert [shown[run].clips.shape for run in "ab"] == [(6, 4, 16, 16, 3)] * 2
    assert shown["a"].known["name"] == "real" and shown["b"].known["name"] == rjgan
    assert shown["b"].known["clips"] == "6 samples" and shown["b"].known["weights"] == "model.keras"
    assert [config.model for config in configs] == ["rjgan"] and common_frame_rate(configs) == 5.0


def test_moved_data_is_found_for_the_frame_rate_too(rjgan, data, tmp_path):
    moved = shutil.copytree(data[0], tmp_path / "moved")
    write_info(moved, dataclasses.replace(load_info(moved), fps=12.0))

    def find(config):
        return dataclasses.replace(config, data_folder=os.fspath(moved))

    _, configs = clips_of_runs([rjgan, "real"], 2, find_data=find)
    assert common_frame_rate(configs) == 12.0


def test_models_in_between_are_shown_between_real_endpoints(run_of, rjgan, data):
    asked = []

    def find(config):
        asked.append(config.model)
        return config

    names = [rjgan, run_of("linear_interpolation")]
    shown, _ = clips_of_runs(names, 5, find_data=find)
    assert asked == ["linear_interpolation"]  # what is made of noise needs no data
    endpoints = {clip[[0, -1]].tobytes() for clip in data[1][40:]}
    filled = shown["b"].clips
    assert all(clip[[0, -1]].tobytes() in endpoints for clip in filled)
    expected = filled[:, 0] + (filled[:, 3].astype(float) - filled[:, 0]) / 3
    assert np.abs(filled[:, 1] - expected).max() <= 1
    assert shown["b"].known["clips"] == "5 clips between real endpoints"


def test_single_images_are_those_of_the_image_prior(rjgan, run_of):
    shown, _ = clips_of_runs([rjgan, "real"], 3, images=True)
    assert [shown[run].clips.shape for run in "ab"] == [(3, 1, 16, 16, 3)] * 2
    assert shown["a"].known["clips"] == "3 images of the image prior"
    with pytest.raises(StudyError, match=r"--images: mocogan has no image prior\. Remove"):
        clips_of_runs([run_of("mocogan", 3), rjgan], 3, images=True)


def test_runs_that_cannot_be_compared_are_refused_in_one_line(rjgan, run_of, config_of):
    for names in ([rjgan], [rjgan, f"{rjgan}/"], ["real", "real"], [rjgan, ""], [rjgan] * 3):
        with pytest.raises(StudyError, match="give two different runs, or a run and real"):
            clips_of_runs(names, 2)
    shorter = run_of("mocogan", 3)
    with pytest.raises(StudyError, match=r"different frames: .* 4, .* 3. Give --frames"):
        clips_of_runs([rjgan, shorter], 2)
    shown, _ = clips_of_runs([rjgan, shorter], 2, frames=5)
    assert shown["a"].clips.shape == shown["b"].clips.shape == (2, 5, 16, 16, 3)
    gone = dataclasses.replace(config_of("rjvae"), dataset="other", data_folder="gone")
    with pytest.raises(StudyError, match=r"5 of squares at .*, 8 of other at .*. Give --fps"):
        common_frame_rate([config_of("rjvae"), gone])


def test_clips_of_every_second_frame_are_shown_half_as_fast(config_of):
    config = config_of("rjvae")
    sparse = dataclasses.replace(config, training=dataclasses.replace(config.training, stride=2))
    assert common_frame_rate([sparse]) == 2.5
    with pytest.raises(StudyError, match=r"5 of squares at stride 1, 2.5 of squares at stride 2"):
        common_frame_rate([config, sparse])
