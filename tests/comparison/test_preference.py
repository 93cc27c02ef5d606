import json

import numpy as np
import pytest

from kerasvid.comparison.answers import read_answers
from kerasvid.comparison.preference import BY_PAIRS, measure_preference


@pytest.fixture
def measured(study, write_answers):
    """A function of each rater's choices to the preference."""

    def measure(**choices: str):
        files = [write_answers(study, rater, runs) for rater, runs in choices.items()]
        return measure_preference(read_answers(files, study), study)

    return measure


def test_preferences_of_raters_and_of_all(measured):
    found = measured(anna="aaaaaaaabb", ben="aaaaab....", cleo="bbbb......")
    shares = {line.rater: line.preference for line in (*found.raters, found.pooled)}
    assert {name: (s.chosen, s.answers) for name, s in shares.items()} == {
        "anna": (8, 10), "ben": (5, 6), "cleo": (0, 4), "all": (13, 20)
    }  # fmt: skip
    # Wilson by hand: centre (13 + z2/2)/(20 + z2), half z sqrt(13 * 7/20 + z2/4)/(20 + z2)
    z2 = 1.959964**2
    centre = (13 + z2 / 2) / (20 + z2)
    half = z2**0.5 * (13 * 7 / 20 + z2 / 4) ** 0.5 / (20 + z2)
    assert shares["all"].low == pytest.approx(centre - half)
    assert shares["all"].high == pytest.approx(centre + half)
    assert shares["cleo"].p == 2 / 2**4 and shares["ben"].p == pytest.approx(14 / 64)
    assert found.answers_a_pair == (1, 3)
    assert found.conclusion.startswith(
        "No significant preference in 20 answers of 3 raters: runs/f"
    )


def test_the_mean_by_pairs_counts_each_pair_once(measured):
    found = measured(anna="aab", ben="a.b", cleo="b.b")
    means = [2 / 3, 1, 0]
    assert found.by_pairs.preference.share == pytest.approx(np.mean(means))
    assert found.by_pairs.preference.answers == 3
    assert found.pooled.preference.share == pytest.approx(3 / 7)
    assert measured(anna="aab").by_pairs is None


def test_the_interval_by_pairs_is_wider_where_raters_only_repeat_each_other(measured):
    alone = measured(anna="aaaaaaabbb")
    raters = dict.fromkeys(("anna", "ben", "cleo", "dora"), "aaaaaaabbb")
    found = measured(**raters)

    def width(share):
        return share.high - share.low

    assert width(found.pooled.preference) < 0.6 * width(alone.pooled.preference)
    assert width(found.by_pairs.preference) > 1.5 * width(found.pooled.preference)
    assert found.agreement["Krippendorff's alpha"] == 1.0


def test_a_rater_who_always_presses_one_key_prefers_neither(measured, study):
    left = "".join(pair.first for pair in study.pairs)
    found = measured(anna=left)
    (line,) = found.raters
    assert line.side.chosen == 10 and line.side.p == pytest.approx(2 / 1024)
    assert line.preference.share == 0.5 and line.preference.p == 1.0
    assert "more often" not in found.table()  # of so few answers


def test_one_side_chosen_too_often_is_reported(make_clips, study_of, write_answers):
    study = study_of(make_clips(40))
    left = "".join(pair.first for pair in study.pairs)
    files = [write_answers(study, "lefty", left), write_answers(study, "fair", "ab" * 20)]
    table = measure_preference(read_answers(files, study), study).table()
    assert "One side chosen more often than by chance (p < 0.01): lefty." in table


def test_agreement_is_about_the_chosen_sides(measured):
    found = measured(anna="aaaabbbb", ben="aaaabbba")
    assert found.agreement["share of equal answers"] == 7 / 8
    assert set(found.agreement) == {
        "share of equal answers", "Krippendorff's alpha", "Fleiss' kappa", "Cohen's kappa"
    }  # fmt: skip
    assert None not in found.agreement.values()
    found = measured(anna="aaaabbbb", ben="aaa.bbba")
    assert found.agreement["Fleiss' kappa"] is None  # some pairs have one answer, some two
    assert measured(anna="aaaa").agreement == {}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ("aaaaaaaaaa", "runs/first is preferred in 100.0 % (95 %: 72.2 to 100.0) of 10 answers"),
        ("bbbbbbbbbb", "runs/second is preferred in 100.0 % (95 %: 72.2 to 100.0) of 10 answers"),
        ("aaaaabbbbb", "No significant preference in 10 answers of 1 rater: runs/first 50.0 %"),
    ],
)  # fmt: skip
def test_the_conclusion_names_the_run(measured, choices, expected):
    assert measured(anna=choices).conclusion.startswith(expected)


def test_names_of_raters_are_escaped(make_clips, study_of, write_answers):
    study = study_of(make_clips(40), question="Which\nis <b>sharper</b>?")
    left = "".join(pair.first for pair in study.pairs)
    files = [write_answers(study, name, left) for name in ("a|b", "<img src=x>&lt")]
    markdown = measure_preference(read_answers(files, study), study).markdown()
    assert markdown.startswith("# Which is &lt;b>sharper&lt;/b>?\n")
    assert "<" not in markdown and markdown.count("&lt;img src=x>&amp;lt") == 2
    assert "(p &lt; 0.01): &lt;img src=x>&amp;lt, a\\|b." in markdown


def test_the_files_hold_the_same_as_the_table(measured):
    found = measured(anna="aaaaaaaabb", ben="aaaaabbbbb")
    written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert written["pooled"]["preference"]["share"] == 0.65 and written["preference_of"] == "a"
    assert written["runs"]["a"] == {"name": "runs/first", "model": "rjvae"}
    assert [line["rater"] for line in written["raters"]] == ["anna", "ben"]
    assert written["by_pairs"]["rater"] == BY_PAIRS and written["protocol"]["pairs"] == 10
    table, markdown = found.table(), found.markdown()
    for text in ("65.0 %", "for runs/first", "Krippendorff's alpha", "Answers a pair: 2, for 10"):
        assert text in table and text in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == 6 and len({row.count("|") for row in rows}) == 1
    with pytest.raises(ValueError, match="must be"):
        measure_preference([], found.study)
