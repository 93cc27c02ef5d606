"""Classifiers from the command line."""

import os

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video
from tfrecords_tools.conversion import write_dataset


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Folder of a data set of 16 + 8 still clips, red or blue."""
    folder = os.fspath(tmp_path_factory.mktemp("data") / "colours")
    info = DatasetInfo("colours", "1", 16, 16, 3, fps=8.0, class_names=("red", "blue"))

    def load(i):
        frames = np.full([3, 16, 16, 3], 20, np.uint8)
        frames[..., 2 * (i % 2)] = 120 + i
        return Video(frames, f"clip-{i}", label=i % 2)

    write_dataset(folder, info, {"train": range(16), "test": range(16, 24)}, load, progress=False)
    return folder


def test_a_classifier_is_trained_once_and_shows_its_accuracy_and_confusion(
    app_here, colours, tmp_path
):
    flags = (f"--dataset={colours}", "--kind=frame", "--steps=25", "--precision=float32")
    status, out, err = app_here("classifier", *flags)
    assert (status, err) == (0, "")
    assert "training a frame classifier on colours: 25 steps" in out
    lines = out.splitlines()
    assert "label: 100.00 %" in lines
    assert [line.split() for line in lines[-2:]] == [
        ["0", "red", "128", "0"],
        ["1", "blue", "0", "128"],
    ]
    (folder,) = [path for path in (tmp_path / "classifiers").iterdir() if path.is_dir()]
    assert folder.name.startswith("colours-frame-1f-")
    status, out, err = app_here("classifier", *flags, "--min_accuracy=0.99")
    assert (status, err) == (0, "") and "training" not in out


def test_mistakes_are_one_line(app_here, colours, squares, tmp_path):
    for flags, message in (
        ([f"--dataset={squares}", "--frames=4"], "squares has no names of classes or attributes"),
        ([f"--dataset={colours}", "--frames=9"], "the shortest video of 'train' has 3. Use fewer"),
        (["--dataset=nowhere"], "nowhere"),
        ([f"--dataset={colours}", "more"], "'more' is not a flag"),
        ([f"--dataset={colours}", "--kind=frame", "--steps=0"], "steps=0"),
    ):
        status, _, err = app_here("classifier", *flags)
        assert status == 1 and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
