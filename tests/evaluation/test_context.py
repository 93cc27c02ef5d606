"""The real clips and the classifiers of an evaluation."""

import numpy as np
import pytest

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
