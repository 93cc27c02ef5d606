"""Deviations in words, of what differs."""

import dataclasses

import pytest

from kerasvid.models.dsa import DSA
from kerasvid.models.glo import GLO
from kerasvid.reproduction import deviations
from kerasvid.reproduction.published import Column, Part, PublishedRun
from kerasvid.reproduction.results import Cell
from kerasvid.training.config import make_config


@pytest.fixture(scope="module")
def config_of(squares, info):
    """A function that makes the config of a run on the squares."""

    def make(model="glo", preset="debug", values=None, **rest):
        values = {"frames": 4, "training.batch_size": 4, **(values or {})}
        return make_config(
            model, "squares", squares, info, preset, values, precision="float32", seed=0, **rest
        )

    return make


def test_another_data_set_names_the_published_one():
    parts = [Part("MUG", "mug"), Part("NIR", "oulu_casia")]
    assert deviations.of_data("mug", parts) == ["data set: mug in place of NIR (oulu_casia)"]
    assert deviations.of_data("shapes", parts) == [
        "data set: shapes in place of MUG (mug) and NIR (oulu_casia)"
    ]
    assert deviations.of_data("mug", parts[:1]) == []


def test_a_run_with_the_published_sizes_and_steps_has_no_deviation(config_of):
    sizes = {**DSA.hyperparameters(), **DSA.PRESETS["paper"]}
    training = DSA.TRAINING["paper"]
    config = dataclasses.replace(
        config_of(), model="dsa", preset="paper", hyperparameters=sizes, training=training
    )
    assert deviations.of_runs({"dsa": (PublishedRun("dsa"), config)}) == []
    changed = dataclasses.replace(config, hyperparameters={**sizes, "motion_dim": 5})
    assert deviations.of_runs({"dsa": (PublishedRun("dsa"), changed)}) == [
        "dsa: preset paper, changed: motion_dim 5 (32)"
    ]


def test_runs_with_the_same_differences_share_a_line(config_of):
    runs = {
        "a": (PublishedRun("glo", steps=60), config_of(steps=60)),
        "b": (PublishedRun("glo", steps=60), config_of(steps=60)),
        "c": (PublishedRun("glo", steps=1_000), config_of(steps=60)),
        "d": (PublishedRun("glo"), config_of(steps=60)),
    }
    lines = deviations.of_runs(runs)
    sizes = [line for line in lines if "preset debug in place of paper: " in line]
    assert len(sizes) == 1 and sizes[0].startswith("a, b, c, d: ")
    assert "frames 4 (16)" in sizes[0] and "training.batch_size 4 (" in sizes[0]
    assert "image_shape" not in sizes[0] and "training.steps" not in sizes[0]
    assert [line for line in lines if "steps" in line and line not in sizes] == [
        "c: 60 steps in place of 1,000",
        f"d: 60 steps; the preset paper has {GLO.TRAINING['paper'].steps:,}",
    ]


def test_another_metric_is_named_with_its_classifier():
    column = Column("FVD", "lower", "fvd", ("fvd",))
    classifier = {
        "classifier": {"classifier": "clip classifier trained on squares", "kind": "clip"}
    }
    cell = Cell("frechet", 1.0, None, None, None, 9, "lower", classifier, {"windows": 10})
    assert deviations.of_metrics([(column, "fvd")], {}) == []
    (line,) = deviations.of_metrics([(column, "frechet")], {"FVD": cell})
    assert line.startswith("metric: frechet (clip classifier trained on squares) in place of FVD: ")
    features = {
        "features": {**classifier["classifier"], "accuracy": {"label": 0.9875}, "accuracy_of": "80"}
    }
    distance = dataclasses.replace(cell, protocol=features)
    assert deviations.of_metrics([(column, "frechet")], {"FVD": distance}) == [line]
    (line,) = deviations.of_classifiers([distance, distance])
    assert line == "clip classifier trained on squares: recognises label 98.8 % of 80"
    vgg = dataclasses.replace(cell, protocol={"features": "VGG16 relu3_3"})
    assert deviations.of_classifiers([vgg, dataclasses.replace(cell, protocol={})]) == []
    (line,) = deviations.of_metrics([(column, "frechet")], {})
    assert line.startswith("metric: frechet in place of FVD: ")
    assert deviations.of_windows([dataclasses.replace(cell, asked={"windows": 1})]) == []
    (line,) = deviations.of_windows([cell, cell])
    assert line.startswith("real clips: 10 random windows of each video, which may overlap")


def test_other_numbers_of_clips_are_named():
    assert deviations.of_clips([624, 624], 624) == []
    assert deviations.of_clips([], 624) == []
    assert deviations.of_clips([10, 624, 9], 624) == ["9 and 10 clips measured in place of 624"]
    assert deviations.of_clips([10], None) == []
