"""A small published table, its data, and a metric that looks at nothing."""

import dataclasses
import os
import pathlib
import shutil
import types

import pytest

from kerasvid.data import DatasetInfo, load_info
from kerasvid.evaluation.report import Measured
from kerasvid.reproduction import measuring
from kerasvid.reproduction.published import Column, Part, PublishedRun, Row, Table
from kerasvid.reproduction.runner import Reproduction
from kerasvid.reproduction.runs import TableRuns

QUICK = {"precision": "float32", "sample_every": 0}


@pytest.fixture(scope="session")
def squares(tmp_path_factory, moving_squares, write_squares) -> str:
    """Folder of a data set of 16 + 4 clips, 4x16x16x3."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    return write_squares(folder, moving_squares(20, 4), 16)


FVD = Column(
    "FVD", "lower", "fvd", ("fvd", "frechet"), weights="i3d_weights", without_weights="frechet"
)


@pytest.fixture
def table(squares) -> Table:
    """Two parts with the same default, methods without weights, and a quoted one."""
    return small_table(squares)


def small_table(squares: str) -> Table:
    parts = tuple(Part(name, name.lower(), (squares,)) for name in ("MUG", "NIR"))
    return Table(
        name="paper/1",
        title="distances",
        paper="Somebody: Something",
        columns=(FVD,),
        parts=parts,
        rows=(
            Row("Short", {"MUG": {"FVD": "99.9"}, "NIR": {"FVD": "105.5"}}, "short"),
            Row("Whole", {"MUG": {"FVD": "134.8"}, "NIR": {"FVD": "125.7"}}, "whole"),
            Row("Quoted", {"MUG": {"FVD": "104.4"}, "NIR": {"FVD": "N/A"}}),
        ),
        runs={
            "short": PublishedRun("linear_interpolation", {"frames": 2, "training.steps": 2}),
            "whole": PublishedRun("linear_interpolation"),
        },
        clips=10,
        split="train",
        notes=("the paper is short",),
    )


class Planted:
    """A metric that looks at nothing, and counts its calls.

    Args:
        values: by the frames of a clip; text is a reason, an exception is raised.
    """

    def __init__(self, values: dict):
        self.values, self.calls = values, []

    def unavailable_reason(self, context) -> str | None:
        value = self.values[context.frames]
        return value if isinstance(value, str) else None

    def measure(self, context) -> list:
        """One number with an interval."""
        self.calls.append((context.frames, context.num))
        value = self.values[context.frames]
        if isinstance(value, Exception):
            raise value
        classifier = {"classifier": "a classifier of squares", "accuracy": {"label": 0.5}}
        protocol = {"classifier": {**classifier, "accuracy_of": "6 clips"}}
        limits = value - 1, value + 1
        return [Measured("frechet", value, *limits, None, context.num, "lower", protocol)]


@pytest.fixture
def planted(monkeypatch) -> Planted:
    """A metric that is best for short clips."""
    metric = Planted({2: 11.0, 4: 20.0})
    monkeypatch.setitem(measuring.ALL_METRICS, "frechet", metric)
    monkeypatch.setattr(
        measuring.EvaluationContext,
        "of_run",
        lambda run, config, evaluation: types.SimpleNamespace(
            frames=config.frames, num=evaluation.num
        ),
    )
    return metric


@pytest.fixture(scope="session")
def trained(squares, tmp_path_factory) -> pathlib.Path:
    """A folder with the runs of the small table."""
    folder = tmp_path_factory.mktemp("trained") / "runs"
    table = small_table(squares)
    runs = TableRuns(table, squares, "debug", config=QUICK, runs_dir=os.fspath(folder))
    for name in ("short", "whole"):
        runs.ready(name)
    return folder


@pytest.fixture
def reproduction(table, planted, tmp_path) -> Reproduction:
    """The small table in an empty folder."""
    runs = TableRuns(table, "", "debug", config=QUICK, runs_dir=os.fspath(tmp_path / "runs"))
    return Reproduction(runs, out_dir=os.fspath(tmp_path / "out"))


@pytest.fixture
def ready(reproduction, trained) -> Reproduction:
    """The small table, its runs trained already."""
    shutil.copytree(trained, reproduction.runs.runs_dir)
    return reproduction


@pytest.fixture
def with_runs(reproduction):
    """A function that changes fields of the reproduction's runs."""

    def change(**fields):
        changed = dataclasses.replace(reproduction.runs, **fields)
        return dataclasses.replace(reproduction, runs=changed)

    return change


@pytest.fixture(scope="session")
def info(squares) -> DatasetInfo:
    """The description of the squares."""
    return load_info(squares)
