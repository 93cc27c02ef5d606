"""Plans of short runs on a few squares."""

import os

import pytest

from kerasvid.data import DatasetInfo, Video, load_info
from kerasvid.runs.plan import make_plan
from tfrecords_tools.conversion import write_dataset


@pytest.fixture(scope="session")
def write_squares():
    """A function that writes a data set of 12 + 8 clips into a folder, and returns its path."""

    def write(folder, videos) -> str:
        info = DatasetInfo("squares", "1", 16, 16, 3, fps=8.0)
        splits = {"train": list(range(12)), "test": list(range(12, 20))}
        write_dataset(
            os.fspath(folder), info, splits, lambda i: Video(videos[i], f"square-{i}"),
            progress=False,
        )  # fmt: skip
        return os.fspath(folder)

    return write


@pytest.fixture(scope="session")
def squares(tmp_path_factory, moving_squares, write_squares) -> str:
    """Folder of a data set of 12 + 8 clips, 4x16x16x3."""
    return write_squares(tmp_path_factory.mktemp("data") / "squares", moving_squares(20, 4))


@pytest.fixture(scope="session")
def plan_of(squares):
    """A function that makes a plan of a few steps on the squares, of what is quickest to build."""

    def make(steps=6, values=None, folder=squares, model="glo", **rest):
        values = {"frames": 3, "training.batch_size": 4, **(values or {})}
        rest = {"seed": 0, "log_every": 2, "checkpoint_every": 2, "sample_every": 0, **rest}
        return make_plan(
            model, "squares", folder, load_info(folder), "debug", values,
            precision="float32", steps=steps, **rest,
        )  # fmt: skip

    return make
