"""Deviations in words, of what differs."""

import dataclasses

import pytest

from kerasvid.models.dsa import DSA
from kerasvid.models.glo import GLO
from kerasvid.reproduction import deviations
from kerasvid.reproduction.published import PublishedRun
from kerasvid.reproduction.results import Cell, sections_of
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


@pytest.fixture
def lines_of(table):
    """A function of cells, and of what else differs, to the lines of the small table."""

    def lines(*cells, dataset="mug", metric="fvd", clips=9, parts=1):
        (section,) = sections_of(table)
        section.dataset, section.parts = dataset, section.parts[:parts]
        for row, cell in zip(section.rows, cells, strict=False):
            row.cells[0] = {"FVD": cell}
        changed = dataclasses.replace(table, clips=clips)
        return deviations.of_section(changed, section, {"FVD": metric})

    return lines


CELL = Cell("frechet", 1.0, None, None, None, 9, "lower", {}, {"windows": 1})


def test_another_data_set_names_the_published_one(lines_of):
    assert lines_of() == []
    assert lines_of(parts=2) == ["data set: mug in place of NIR (nir)"]
    assert lines_of(parts=2, dataset="shapes") == [
        "data set: shapes in place of MUG (mug) and NIR (nir)"
    ]


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


def test_another_metric_is_named_with_its_classifier(lines_of):
    facts = {"classifier": "clip classifier trained on squares", "kind": "clip"}
    facts |= {"accuracy": {"label": 0.9875}, "accuracy_of": "80"}
    accuracy = "clip classifier trained on squares: recognises label 98.8 % of 80"
    for key in ("classifier", "features"):
        cell = dataclasses.replace(CELL, protocol={key: facts})
        assert lines_of(cell) == [accuracy]
        line, other = lines_of(cell, cell, metric="frechet")
        assert line.startswith(
            "metric: frechet (clip classifier trained on squares) in place of FVD: "
        )
        assert other == accuracy
    assert lines_of(dataclasses.replace(CELL, protocol={"features": "VGG16 relu3_3"})) == []
    (line,) = lines_of(CELL, metric="frechet")
    assert line.startswith("metric: frechet in place of FVD: ")


def test_several_windows_of_a_video_are_reported(lines_of):
    several = dataclasses.replace(CELL, asked={"windows": 10})
    (line,) = lines_of(several, several)
    assert line.startswith("real clips: 10 random windows of each video, which may overlap")


def test_padded_clips_are_reported(lines_of):
    features = {"padding": "mirror", "seen_frames": 10}
    padded = dataclasses.replace(CELL, name="fvd", protocol={"frames": 8, "features": features})
    assert lines_of(padded, padded) == ["fvd: clips of 8 frames, padded to 10: mirror"]
    features["padding"] = None
    assert lines_of(padded) == []


def test_other_numbers_of_clips_are_named(lines_of):
    other = dataclasses.replace(CELL, clips=624)
    assert lines_of(other, clips=624) == lines_of(clips=624) == lines_of(other, clips=None) == []
    fewer = dataclasses.replace(CELL, clips=10)
    assert lines_of(fewer, CELL, other, clips=624) == ["9 and 10 clips measured in place of 624"]
