import collections
import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

from kerasvid.comparison.study import StudyError, choose_pairs, load_study, make_study


def test_every_clip_is_in_one_pair_and_both_runs_are_equally_often_on_both_sides():
    pairs = choose_pairs(128, seed=5)
    assert sorted(pair.a for pair in pairs) == sorted(pair.b for pair in pairs) == [*range(128)]
    assert collections.Counter(pair.first for pair in pairs) == {"a": 64, "b": 64}
    turns = sum(one.first != next_.first for one, next_ in itertools.pairwise(pairs))
    assert 40 < turns < 87  # of 127, half by chance: 4 deviations
    assert [pair.pair for pair in pairs][:2] == ["001", "002"] and pairs[-1].pair == "128"


def test_pairs_depend_on_the_seed_and_do_not_identify_the_runs():
    assert choose_pairs(20, 1) == choose_pairs(20, 1) != choose_pairs(20, 2)
    chance = {side: 0 for side in "ab"}
    partners = collections.Counter()
    for seed in range(600):
        (pair, *_) = choose_pairs(3, seed)
        chance[pair.first] += 1
        partners[pair.a, pair.b] += 1
    # 300 +- 4 deviations, and 600/9 +- 4: clips meet each other, whatever stands where.
    assert 250 < chance["a"] < 350
    assert len(partners) == 9 and all(35 < n < 100 for n in partners.values())


def test_a_choice_counts_for_the_run_on_the_chosen_side(study):
    for pair in study.pairs:
        other = "b" if pair.first == "a" else "a"
        assert [study.chosen(pair, side) for side in ("left", "right")] == [pair.first, other]
    assert dataclasses.replace(study, layout="stacked").sides == ("top", "bottom")


def test_the_id_differs_with_clips_pairs_and_questions(make_clips, study_of):
    clips = make_clips(4)
    other = {run: videos.copy() for run, videos in clips.items()}
    other["b"][3, 0, 0, 0, 0] += 1
    ids = {
        study_of(*arguments, **options).id
        for arguments, options in (
            ([clips], {}),
            ([clips], {}),  # the same
            ([other], {}),
            ([clips], {"seed": 1}),
            ([clips], {"question": "Which is blurred?"}),
            ([clips], {"stacked": True}),
        )
    }
    assert len(ids) == 5 and all(len(name) == 12 for name in ids)


def test_the_key_is_read_as_it_was_written(study, tmp_path):
    (tmp_path / "study.json").write_text(study.to_json())
    assert load_study(tmp_path) == load_study(tmp_path / "study.json") == study


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda clips: clips["b"][:3], "runs/first has [4, 4, 8, 8, 3], runs/second has [3, 4, 8,"),
        (lambda clips: clips["b"][:, :2], "has [4, 4, 8, 8, 3], runs/second has [4, 2, 8, 8, 3]"),
        (lambda clips: clips["b"][:, :, :4], "runs/second has [4, 4, 4, 8, 3]. Use equal sizes"),
        (lambda clips: clips["b"] / 255.0, "must be uint8"),
    ],
)
def test_clips_that_cannot_be_compared_are_refused_in_one_line(
    make_clips, study_of, change, message
):
    clips = make_clips(4)
    with pytest.raises(StudyError, match=re.escape(message)) as error:
        study_of({**clips, "b": change(clips)})
    assert "\n" not in str(error.value)


def test_impossible_frame_rates_are_refused(make_clips, study_of):
    for fps in (0.0, -1.0, float("nan")):
        with pytest.raises(StudyError, match="must be above 0"):
            study_of(make_clips(2), fps=fps)


def test_a_study_of_single_images_asks_about_images():
    clips = {run: np.zeros([1, 1, 2, 2, 1], np.uint8) for run in "ab"}
    study = make_study(clips, {run: {"name": run} for run in "ab"}, fps=1)
    assert len(study.pairs) == 1 and study.question == "Which image looks more realistic?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not the key file of a comparison study"),
        ("[1]", "the format is not kerasvid-study"),
        ('{"format": "kerasvid-study", "format_version": 2}', "version 2, only 1 is supported"),
        (
            '{"format": "kerasvid-study", "format_version": 1}',
            "not the key file of a comparison study",
        ),
    ],
)
def test_a_damaged_key_is_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StudyError, match=message) as error:
        load_study(tmp_path)
    assert "\n" not in str(error.value)


def test_a_key_with_invalid_pairs_is_refused(study, tmp_path):
    for change in ({"pairs": []}, {"layout": "round"}, {"id": "x"}, {"runs": {}}):
        fields = {**json.loads(study.to_json()), **change}
        (tmp_path / "study.json").write_text(json.dumps(fields))
        with pytest.raises(StudyError, match="not the key file of a comparison study"):
            load_study(tmp_path)
    with pytest.raises(StudyError, match=r"none: cannot be read .No such file"):
        load_study(tmp_path / "none")
