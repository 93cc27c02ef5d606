"""A small published table, its data, and a measurement that looks at nothing."""

import dataclasses
import os
import pathlib
import shutil
import types

import pytest

from kerasvid.data import DatasetInfo, load_info
from kerasvid.reproduction.measuring import Measuring
from kerasvid.reproduction.published import Column, Part, Row, Table, Training
from kerasvid.reproduction.table import Reproduction
from kerasvid.reproduction.trainings import Options, Trainings
from tfrecords_tools.derived.split_frames import locate_half
from tfrecords_tools.registry import locate


@pytest.fixture(scope="session")
def squares(tmp_path_factory, moving_squares, write_squares) -> str:
    """Folder of a data set of 16 + 4 clips, 4x16x16x3."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    return write_squares(folder, moving_squares(20, 4), 16)


@pytest.fixture(scope="session")
def locate_here():
    """Finds data by its path, as the app does."""

    def find(name, part, make):
        return locate(name, make=make) if part == "whole" else locate_half(name, part, make=make)

    return find


FVD = Column(
    "FVD", "lower", "fvd", ("fvd", "frechet"), weights="i3d_weights", without_weights="frechet"
)


@pytest.fixture
def table(squares) -> Table:
    """Of methods without weights, and one quoted."""
    return small_table(squares)


def small_table(squares: str) -> Table:
    """Of two parts with the same stand-in, methods without weights, and one quoted."""
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
        trainings={
            "short": Training("linear_interpolation", {"frames": 2, "training.steps": 2}),
            "whole": Training("linear_interpolation"),
        },
        clips=10,
        split="train",
        notes=("the paper is short",),
    )


class Planted:
    """A metric that looks at nothing, and counts.

    Args:
        values: by the frames of a clip; an exception is raised.
    """

    def __init__(self, values: dict):
        self.values, self.calls = values, []

    def unavailable_reason(self, context) -> str | None:
        """Why there is none: the value, where it is text."""
        value = self.values[context.frames]
        return value if isinstance(value, str) else None

    def measure(self, context) -> list:
        """One number, with an interval."""
        self.calls.append((context.frames, context.num))
        value = self.values[context.frames]
        if isinstance(value, Exception):
            raise value
        classifier = {"classifier": "a classifier of squares", "accuracy": {"label": 0.5}}
        classifier["accuracy_of"] = "6 clips"
        return [
            types.SimpleNamespace(
                name="frechet", value=value, low=value - 1, high=value + 1, std=None,
                clips=context.num, protocol={"classifier": classifier},
            )
        ]  # fmt: skip


@pytest.fixture
def planted() -> Planted:
    """A metric by which short clips are the best."""
    return Planted({2: 11.0, 4: 20.0})


@pytest.fixture(scope="session")
def trained(squares, locate_here, tmp_path_factory) -> pathlib.Path:
    """A folder of the runs of the small table."""
    runs = tmp_path_factory.mktemp("trained") / "runs"
    options = Options(preset="debug", precision="float32", runs_dir=os.fspath(runs), sample_every=0)
    trainings = Trainings(small_table(squares), squares, options, locate_here)
    for key in ("short", "whole"):
        trainings.ready(key)
    return runs


@pytest.fixture
def reproduction(table, planted, locate_here, tmp_path) -> Reproduction:
    """Of the small table, in an empty folder."""
    options = Options(
        preset="debug", precision="float32", runs_dir=os.fspath(tmp_path / "runs"), sample_every=0
    )
    measuring = Measuring(
        context_of=lambda run, config, choices, clips: types.SimpleNamespace(
            frames=config.frames, num=choices.num
        ),
        metrics={"frechet": planted},
    )
    return Reproduction(table, options, measuring, locate_here, out_dir=os.fspath(tmp_path / "out"))


@pytest.fixture
def ready(reproduction, trained) -> Reproduction:
    """Of the small table, its runs trained already."""
    shutil.copytree(trained, reproduction.options.runs_dir)
    return reproduction


@pytest.fixture
def with_options(reproduction):
    """A function that changes options of the reproduction's trainings."""

    def change(**options):
        changed = dataclasses.replace(reproduction.options, **options)
        return dataclasses.replace(reproduction, options=changed)

    return change


@pytest.fixture(scope="session")
def info(squares) -> DatasetInfo:
    """The description of the squares."""
    return load_info(squares)
