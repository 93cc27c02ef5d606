"""The real clips and the classifiers of an evaluation."""

import dataclasses

import numpy as np
import pytest

from kerasvid.data import DatasetError
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext

CLIPS = 24


def test_real_clips_are_all_of_the_split_once_in_an_order_by_the_seed(context_of, real_clips):
    clips = {seed: real_clips(context_of(seed=seed)) for seed in (0, 1)}
    again = real_clips(context_of(seed=1, batch=7))
    np.testing.assert_array_equal(clips[1], again)
    assert clips[0].shape == (CLIPS, 4, 16, 16, 3)
    blue = [[tuple(clip[0].max((0, 1))) == (60, 90, 230) for clip in clips[s]] for s in clips]
    assert blue[0] != blue[1] and sum(blue[0]) == sum(blue[1]) == CLIPS / 2


def test_several_windows_of_a_video_are_in_the_protocol(context_of, real_clips):
    context = context_of(windows=2, num=40)
    assert context.count() == 40 and len(real_clips(context)) == 2 * CLIPS
    assert context.protocol["clip_of_a_video"].startswith("2 random windows; they may overlap")
    with pytest.raises(
        ValueError, match=r"--windows=3: .* 5 frames, enough for 2 windows of 4. Use 2"
    ):
        context_of(windows=3)


def test_data_that_the_run_was_not_trained_on_is_refused(context_of, write_walks, tmp_path):
    context = context_of("glo")
    splits = {"train": range(40, 72), "test": range(32)}  # training videos are held out here
    other = write_walks(tmp_path / "walks", splits, 5, name="walks")
    config = dataclasses.replace(context.config, data_folder=other)
    with pytest.raises(DatasetError, match=f"{other}: not the data set that the run was trained"):
        EvaluationContext(context.model, config, EvaluationConfig(), 0, False)


def test_the_protocol_has_the_digests_of_the_data_that_is_read(context_of):
    protocols = {split: context_of("glo", split=split).protocol for split in ("test", "train")}
    assert protocols["test"]["data_digest"] == protocols["train"]["data_digest"]
    assert protocols["test"]["split_digest"] != protocols["train"]["split_digest"]
