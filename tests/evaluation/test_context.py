"""The real clips and the classifiers of an evaluation."""

import dataclasses

import numpy as np
import pytest

from kerasvid.evaluation.evaluate import evaluate_context

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


def test_a_classifier_of_other_classes_or_of_longer_clips_is_refused(
    context_of, long_walks, new_classifier
):
    classifier = new_classifier(long_walks)
    other = dataclasses.replace(
        classifier, model=classifier.config.make_classifier({"action": 5, "colour": 2})
    )
    message = (
        r"has the classes {'action': 5, 'colour': 2}, but walks has {'action': 2, 'colour': 2}. "
        "Use a classifier trained on walks"
    )
    with pytest.raises(ValueError, match=message):
        evaluate_context(context_of(classifier_of=lambda kind: other), ["frechet"])
    longer = new_classifier(long_walks, frames=5)
    with pytest.raises(ValueError, match=r"needs 5 frames, but clips have 4. Use --frames=5"):
        evaluate_context(context_of(classifier_of=lambda kind: longer), ["frechet"])
