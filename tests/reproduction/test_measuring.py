"""What a table's rows are measured by, and on which clips."""

import dataclasses
import types

import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.evaluation.classifiers import train
from kerasvid.evaluation.classifiers.networks import FrameJudge
from kerasvid.evaluation.context import Choices
from kerasvid.evaluation.evaluate import METRICS
from kerasvid.evaluation.metrics.motion_consistency import motion_consistency_score
from kerasvid.reproduction import measuring
from kerasvid.reproduction.judge_motion import JudgeMaps
from kerasvid.reproduction.measuring import ALL_METRICS, LearnedSubject, Measuring, judge_names
from kerasvid.reproduction.published import LEARNED, REAL, Column, Row
from kerasvid.reproduction.registry import TABLES
from kerasvid.training.config import make_plan
from kerasvid.training.run_folder import RunFolder


@pytest.fixture
def plan_of(squares, info):
    """A function that plans a run on the squares."""

    def make(frames=4, model="linear_interpolation", **rest):
        values = {"frames": frames, "training.batch_size": 4}
        return make_plan(
            model, "squares", squares, info, "debug", values, precision="float32", seed=0, **rest
        )

    return make


def test_every_column_is_measured_by_a_metric_there_is():
    for table in TABLES.values():
        for column in table.columns:
            assert column.metric in ALL_METRICS and column.measures
            assert (column.weights is None) == (column.without_weights is None)
            if column.weights:
                assert column.without_weights in ALL_METRICS and hasattr(
                    Measuring(), column.weights
                )


def test_weights_of_the_published_network_bring_its_metric(table):
    (column,) = table.columns
    assert Measuring(i3d_weights="weights.npz").metric(column) == "fvd"
    assert Measuring().metric(column) == "frechet"
    assert Measuring().metric(Column("L2", "lower", "between", ("x",))) == "between"


def test_as_many_clips_are_measured_as_published_or_as_there_are(table, plan_of):
    def chosen(frames, clips, num=None, split="test"):  # 4 videos of 4 frames, 16 in "train"
        changed = dataclasses.replace(table, clips=clips, split=split)
        found = Measuring(num=num).choices(changed, plan_of(frames))
        return found.num, found.windows, found.split

    assert chosen(4, 3) == (3, 1, "test")
    assert chosen(4, 624) == (4, 1, "test")  # a clip is a whole video
    assert chosen(3, 7) == (7, 2, "test")
    assert chosen(2, 624) == (12, 3, "test")
    assert chosen(2, 624, num=624) == (624, 3, "test")  # the evaluation refuses it
    assert chosen(4, None) == (None, 1, "test")
    assert chosen(4, 10, split="train") == (10, 1, "train")
    assert chosen(4, 10, split=None) == (4, 1, "test")
    with pytest.raises(ValueError, match="--split=val: squares has train, test"):
        Measuring(split="val").choices(table, plan_of())


def test_a_metric_with_a_number_of_its_own_takes_no_other():
    table = TABLES["residual_vectors/5"]
    Measuring().check(table)
    with pytest.raises(ValueError, match=r"--num=9: IS of residual_vectors/5 is always of 1,280"):
        Measuring(num=9).check(table)
    Measuring(num=9).check(TABLES["residual_vectors/2"])


def test_where_no_real_clips_are_looked_at_no_windows_are_taken(table, plan_of):
    (column,) = table.columns
    images = dataclasses.replace(table, columns=(dataclasses.replace(column, clips=1280),))
    found = Measuring().choices(images, plan_of(2))
    assert (found.num, found.windows) == (None, 1)


def test_what_was_asked_for_tells_the_run_the_clips_and_the_choices(table, plan_of, tmp_path):
    (column,) = table.columns
    row, run = table.rows[0], RunFolder(tmp_path)
    plan = plan_of()
    choices = Measuring(judge_dir="j").choices(table, plan)
    asked = Measuring().asked(row, column, choices, run, plan)
    judges = asked.pop("judges")
    assert asked == {
        "run": str(tmp_path), "step": -1, "saved": None, "clips": "generated",
        "metric": "frechet", "num": 10, "split": "train", "seed": 0, "windows": 1, "judge_dir": "j",
    }  # fmt: skip
    real = dataclasses.replace(row, clips=REAL)
    assert Measuring().asked(real, column, choices, run, plan) is None
    of_real = dataclasses.replace(column, of_real=("frechet/real",))
    assert Measuring().asked(real, of_real, choices, run, plan)["clips"] == REAL
    assert judges == judge_names(plan)


def test_another_judge_measures_anew(table, plan_of, info, tmp_path, monkeypatch):
    labelled = dataclasses.replace(info, class_names=("left", "right"))
    monkeypatch.setattr(measuring, "load_info", lambda folder: labelled)
    (column,) = table.columns
    plan, run = plan_of(), RunFolder(tmp_path)
    choices = Measuring().choices(table, plan)
    before = Measuring().asked(table.rows[0], column, choices, run, plan)
    monkeypatch.setitem(train.STEPS, "clip", 7)
    after = Measuring().asked(table.rows[0], column, choices, run, plan)
    assert before != after and before["judges"]["frame"] == after["judges"]["frame"]


def test_a_metric_without_the_number_of_a_column_is_refused(table, plan_of, tmp_path):
    other = types.SimpleNamespace(name="variety")
    metric = types.SimpleNamespace(refusal=lambda _: None, measure=lambda _: [other])
    measuring = Measuring(subject_of=lambda *_: None, metrics={"frechet": metric})
    choices = Choices(num=2)
    with pytest.raises(ValueError, match="fvd and frechet: not among variety"):
        measuring.measure(table.rows[0], table.columns, choices, RunFolder(tmp_path), plan_of())


def test_learned_clips_are_training_videos_from_their_codes(plan_of, squares):
    plan = plan_of(model="glo")
    model = plan.make_model()
    subject = LearnedSubject(model, plan, Choices(num=6, split="train", batch=4), 0, False)
    made = np.concatenate(list(subject.generated()))
    rows = np.concatenate([each["index"] for each in subject.labelled("train")])
    np.testing.assert_array_equal(made, model.recall(index=rows))
    assert sorted(rows) == list(range(load_info(squares).splits["train"].count))
    assert subject.protocol["split"] == "train"
    found = {each.name: each.protocol for each in METRICS["frame_consistency"].measure(subject)}
    recalled, real = found["frame_consistency"], found["frame_consistency/real"]
    assert recalled["of"] == "recalled clips" and real["of"] == "real clips"
    assert recalled["made"] == "of the learned codes of training videos" and "made" not in real


def test_codes_that_are_recalled_for_several_windows_are_told(plan_of):
    plan = plan_of(3, "glo")
    subject = LearnedSubject(plan.make_model(), plan, Choices(windows=2), 0, False)
    assert subject.making["made"].endswith("videos, each 2 times: intervals are too narrow")


def test_models_without_learned_codes_have_none_to_recall(plan_of):
    plan = plan_of()
    subject = LearnedSubject(plan.make_model(), plan, Choices(), 0, False)
    with pytest.raises(ValueError, match="linear_interpolation has no learned codes"):
        subject.generated()


def test_motion_by_a_judge_is_that_of_its_maps(moving_squares):
    judge = FrameJudge({"label": 3}, (16, 16, 3), {"channels": (4, 6)})
    one, other = moving_squares(6, 4), moving_squares(6, 4, seed=1)
    found = motion_consistency_score([one], [other], JudgeMaps(judge))

    def change(clips):
        floats = (clips / 127.5 - 1.0).astype(np.float32)
        maps = [judge.discriminator.feature_maps(floats[:, t], False) for t in (0, 3)]
        return (np.float64(maps[1]) - np.float64(maps[0])).mean(axis=0) / 3

    expected = np.log10(np.square(change(one) - change(other)).sum())
    assert found.score == pytest.approx(expected, abs=1e-3)
    assert motion_consistency_score([one], [one], JudgeMaps(judge)).score == -np.inf


def test_rows_of_learned_clips_are_of_models_that_have_codes():
    for table in TABLES.values():
        for row in table.rows:
            for part in row.figures:
                if row.clips == LEARNED:
                    assert table.trainings[row.run_in(part)].model == "navsynth"
    assert Row("x", {}).clips == "generated"
