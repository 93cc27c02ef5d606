"""What a table's rows are measured by, and on which clips."""

import dataclasses
import types

import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.evaluation.classifiers import train
from kerasvid.evaluation.classifiers.networks import FrameClassifier
from kerasvid.evaluation.context import EvaluationConfig
from kerasvid.evaluation.evaluate import METRICS
from kerasvid.evaluation.metrics.motion_consistency import motion_consistency_score
from kerasvid.reproduction import measuring
from kerasvid.reproduction.measuring import (
    ALL_METRICS,
    LearnedContext,
    UnlearnedContext,
    asked,
    check_num,
    classifier_names,
    feature_maps,
    metric_of,
    resolved,
)
from kerasvid.reproduction.published import LEARNED, REAL, TABLES, Column, Row
from kerasvid.training.config import make_config
from kerasvid.training.run_folder import RunFolder


@pytest.fixture
def config_of(squares, info):
    """A function that makes the config of a run on the squares."""

    def make(frames=4, model="linear_interpolation", **rest):
        values = {"frames": frames, "training.batch_size": 4}
        return make_config(
            model, "squares", squares, info, "debug", values, precision="float32", seed=0, **rest
        )

    return make


def test_every_column_has_a_known_metric():
    for table in TABLES.values():
        for column in table.columns:
            assert column.metric in ALL_METRICS and column.measures
            assert (column.weights is None) == (column.without_weights is None)
            if column.weights:
                assert column.without_weights in ALL_METRICS and hasattr(
                    EvaluationConfig(), column.weights
                )


def test_given_weights_select_the_published_metric(table):
    (column,) = table.columns
    assert metric_of(column, EvaluationConfig(i3d_weights="weights.npz")) == "fvd"
    assert metric_of(column, EvaluationConfig(i3d_weights="auto")) == "fvd"
    assert metric_of(column, EvaluationConfig()) == "frechet"
    assert metric_of(Column("L2", "lower", "between", ("x",)), EvaluationConfig()) == "between"


def test_the_number_of_clips_is_the_published_one_or_what_the_data_has(table, config_of):
    def chosen(frames, clips, num=None, split="test"):  # 4 videos of 4 frames, 16 in "train"
        changed = dataclasses.replace(table, clips=clips, split=split)
        found = resolved(EvaluationConfig(num=num), changed, config_of(frames))
        return found.num, found.windows, found.split

    assert chosen(4, 3) == (3, 1, "test")
    assert chosen(4, 624) == (4, 1, "test")  # a clip is a whole video
    assert chosen(3, 7) == (7, 2, "test")
    assert chosen(2, 624) == (12, 3, "test")
    assert chosen(2, 624, num=624) == (624, 3, "test")  # the evaluation refuses it
    assert chosen(4, None) == (None, 1, "test")
    assert chosen(4, 10, split="train") == (10, 1, "train")
    assert chosen(4, 10, split=None) == (4, 1, "test")
    with pytest.raises(
        ValueError, match=r"--split=val: squares has no such split\. Use train, test"
    ):
        resolved(EvaluationConfig(split="val"), table, config_of())


def test_a_metric_with_its_own_number_of_clips_refuses_another():
    table = TABLES["residual_vectors/5"]
    check_num(table, EvaluationConfig())
    with pytest.raises(ValueError, match=r"--num=9: IS of residual_vectors/5 always has 1,280"):
        check_num(table, EvaluationConfig(num=9))
    check_num(TABLES["residual_vectors/2"], EvaluationConfig(num=9))


def test_metrics_without_real_clips_use_one_window(table, config_of):
    (column,) = table.columns
    images = dataclasses.replace(table, columns=(dataclasses.replace(column, clips=1280),))
    found = resolved(EvaluationConfig(), images, config_of(2))
    assert (found.num, found.windows) == (None, 1)


def test_a_measurement_is_identified_by_run_clips_and_choices(table, config_of, tmp_path):
    (column,) = table.columns
    row, run = table.rows[0], RunFolder(tmp_path)
    config = config_of()
    choices = resolved(EvaluationConfig(classifier_dir="j"), table, config)
    known = asked(row, column, choices, run, config)
    classifiers = known.pop("classifiers")
    assert known == {
        "run": str(tmp_path), "step": -1, "saved": None, "clips": "generated",
        "metric": "frechet", "num": 10, "split": "train", "seed": 0, "windows": 1,
        "classifier_dir": "j", "padding": "mirror",
    }  # fmt: skip
    real = dataclasses.replace(row, clips=REAL)
    assert asked(real, column, choices, run, config) is None
    of_real = dataclasses.replace(column, of_real=("frechet/real",))
    assert asked(real, of_real, choices, run, config)["clips"] == REAL
    assert classifiers == classifier_names(config)


def test_another_classifier_means_measuring_again(table, config_of, info, tmp_path, monkeypatch):
    labelled = dataclasses.replace(info, class_names=("left", "right"))
    monkeypatch.setattr(measuring, "load_info", lambda folder: labelled)
    (column,) = table.columns
    config, run = config_of(), RunFolder(tmp_path)
    choices = resolved(EvaluationConfig(), table, config)
    before = asked(table.rows[0], column, choices, run, config)
    monkeypatch.setitem(train.STEPS, "clip", 7)
    after = asked(table.rows[0], column, choices, run, config)
    assert before != after and before["classifiers"]["frame"] == after["classifiers"]["frame"]


def test_a_metric_without_the_value_of_a_column_is_refused(table, config_of, tmp_path, monkeypatch):
    other = types.SimpleNamespace(name="variety")
    metric = types.SimpleNamespace(unavailable_reason=lambda _: None, measure=lambda _: [other])
    monkeypatch.setattr(measuring.EvaluationContext, "of_run", lambda *_: None)
    monkeypatch.setitem(ALL_METRICS, "frechet", metric)
    choices = EvaluationConfig(num=2)
    with pytest.raises(ValueError, match="FVD: no fvd or frechet among variety"):
        row, run = table.rows[0], RunFolder(tmp_path)
        measuring.measure_missing(row, {}, table.columns, choices, run, config_of())


def test_learned_clips_are_training_videos_from_their_codes(config_of, squares):
    config = config_of(model="glo")
    model = config.make_model()
    context = LearnedContext(
        model, config, EvaluationConfig(num=6, split="train", batch=4), 0, False
    )
    made = np.concatenate(list(context.generated()))
    rows = np.concatenate([each["index"] for each in context.labelled("train")])
    np.testing.assert_array_equal(made, model.recall(index=rows))
    assert sorted(rows) == list(range(load_info(squares).splits["train"].count))
    assert context.protocol["split"] == "train"
    found = {each.name: each.protocol for each in METRICS["frame_consistency"].measure(context)}
    recalled, real = found["frame_consistency"], found["frame_consistency/real"]
    assert recalled["of"] == "recalled clips" and real["of"] == "real clips"
    assert recalled["made"] == "of the learned codes of training videos" and "made" not in real


def test_codes_recalled_for_several_windows_are_reported(config_of):
    config = config_of(3, "glo")
    context = LearnedContext(config.make_model(), config, EvaluationConfig(windows=2), 0, False)
    assert context.making["made"].endswith("of training videos, each 2 times")
    rows = np.concatenate([each["index"] for each in context.labelled("train")])
    np.testing.assert_array_equal(context.generated_videos(), rows[: context.count()])


def test_unlearned_clips_are_of_codes_as_those_of_a_new_model(config_of):
    config = config_of(model="glo")
    model = config.make_model()
    first = model.generate(4, seed=0)
    model.fit_prior("gaussian")
    model.steps_taken.assign(3)  # codes were trained since
    context = UnlearnedContext(model, config, EvaluationConfig(num=4, batch=4), 0, False)
    assert model.priors == {} and context.making["made"].endswith("as those of a new model")
    np.testing.assert_array_equal(next(iter(context.generated())), first)
    with pytest.raises(ValueError, match="linear_interpolation has no learned codes"):
        UnlearnedContext(config_of().make_model(), config_of(), EvaluationConfig(), 0, False)


def test_models_without_learned_codes_are_refused(config_of):
    config = config_of()
    context = LearnedContext(config.make_model(), config, EvaluationConfig(), 0, False)
    with pytest.raises(ValueError, match="linear_interpolation has no learned codes"):
        context.generated()


def test_motion_consistency_by_a_classifier_uses_its_maps(moving_squares):
    classifier = FrameClassifier({"label": 3}, (16, 16, 3), {"channels": (4, 6)})
    one, other = moving_squares(6, 4), moving_squares(6, 4, seed=1)
    found = motion_consistency_score([one], [other], feature_maps(classifier))

    def change(clips):
        floats = (clips / 127.5 - 1.0).astype(np.float32)
        maps = [classifier.discriminator.feature_maps(floats[:, t], False) for t in (0, 3)]
        return (np.float64(maps[1]) - np.float64(maps[0])).mean(axis=0) / 3

    expected = np.log10(np.square(change(one) - change(other)).sum())
    assert found.score == pytest.approx(expected, abs=1e-3)
    assert motion_consistency_score([one], [one], feature_maps(classifier)).score == -np.inf


def test_rows_of_learned_clips_are_of_models_that_have_codes():
    for table in TABLES.values():
        for row in table.rows:
            for part in row.figures:
                if row.clips == LEARNED:
                    assert table.runs[row.run_in(part)].model == "navsynth"
    assert Row("x", {}).clips == "generated"
