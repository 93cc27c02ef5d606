"""Plans of short runs on a few squares, and squares that walk left or right, in two colours."""

import os

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video, load_info
from kerasvid.runs.plan import make_plan
from tfrecords_tools.conversion import write_dataset

COLOURS = ((230, 60, 60), (60, 90, 230))


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


@pytest.fixture(scope="session")
def square():
    """A function that draws a video of a walking square."""

    def draw(index: int, length: int = 4) -> np.ndarray:
        """Video `index` goes right if it is odd, in the second colour if index // 2 is."""
        generator, frames = np.random.default_rng(index), np.full([length, 16, 16, 3], 20, np.uint8)
        top, left = generator.integers(0, 12), generator.integers(5, 8)
        for frame in range(length):
            start = max(left + (2 if index % 2 else -2) * frame, 0)
            frames[frame, top : top + 4, start : start + 4] = COLOURS[index // 2 % 2]
        return frames

    return draw


@pytest.fixture(scope="session")
def write_walks(square):
    """A function that writes a data set of walking squares, and returns its path."""

    def write(folder, splits=None, length=4, label=lambda i: i % 2, known=True, names=True):
        classes = {"class_names": ("left", "right")} if names else {}
        colours = {"attribute_names": ("colour",), "attribute_sizes": (2,)} if names else {}
        info = DatasetInfo("walks/two", "1", 16, 16, 3, fps=8.0, **classes, **colours)
        splits = splits or {"train": range(96), "test": range(96, 116)}
        load = lambda i: Video(  # noqa: E731
            square(i, length), f"walk-{i}", label=label(i),
            attributes=(i // 2 % 2 if known else -1,) if names else (),
        )  # fmt: skip
        write_dataset(os.fspath(folder), info, splits, load, progress=False)
        return os.fspath(folder)

    return write


@pytest.fixture(scope="session")
def walks(tmp_path_factory, write_walks):
    return write_walks(tmp_path_factory.mktemp("data") / "walks")
