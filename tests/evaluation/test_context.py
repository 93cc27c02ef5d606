"""The real clips and the classifiers of an evaluation."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from kerasvid.data import DatasetError
from kerasvid.evaluation.classifiers.train import ClassifierData, make_classifier_config
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
    assert context.protocol["clip_of_a_video"] == "2 random windows, which may overlap"
    rows = np.concatenate([each["index"] for each in context.labelled()])[:40]
    videos = context.videos()
    np.testing.assert_array_equal(videos, rows)
    assert len(set(videos)) == CLIPS and sorted(set(context_of().videos())) == list(range(CLIPS))
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


def test_half_of_the_training_videos_is_for_classifiers_and_half_is_unseen(
    context_of, long_walks, tmp_path
):
    held_out = context_of()
    assert held_out.unseen is None and held_out.count(unseen=True) == CLIPS
    context = context_of(split="train", windows=2, num=60)
    config = make_classifier_config(context.info, "clip", 4, split="train")
    learned = ~ClassifierData(long_walks, config).held_out
    rows = np.concatenate([each["index"] for each in context.labelled(unseen=True)])
    assert len(rows) == 2 * len(set(rows)) == 32 == context.count(unseen=True)
    assert set(rows) == set(np.flatnonzero(~learned))
    np.testing.assert_array_equal(context.videos(unseen=True), rows)
    assert context.count() == 60 and len(set(context.videos())) == 32


def test_an_evaluation_on_training_videos_has_a_classifier_of_its_own(context_of, monkeypatch):
    given = []
    monkeypatch.setattr(
        "kerasvid.evaluation.context.trained_classifier",
        lambda *args, **rest: given.append(rest["split"]) or SimpleNamespace(require=lambda _: 0),
    )
    for split in ("train", "test"):
        context_of(split=split).classifier("clip")
    assert given == ["train", "test"]
