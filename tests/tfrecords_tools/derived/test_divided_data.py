"""The halves of a data set: made once, found again, refused where they are damaged."""

import os

import numpy as np
import pytest

from kerasvid.data import DatasetError, load_info
from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import write_dataset
from tfrecords_tools.derived.split_frames import locate_half


@pytest.fixture
def whole(tmp_path):
    """Folder of 4 + 1 videos of three frames."""
    folder = os.fspath(tmp_path / "mine")
    frames = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 8, 3), np.uint8)
    info = DatasetInfo("mine", "1", 6, 8, 3, 12.0)
    splits = {"train": list(range(4)), "test": [4]}
    write_dataset(folder, info, splits, lambda i: Video(frames[i], f"v-{i}"), progress=False)
    return folder


def test_halves_are_made_once_and_found_again(whole):
    assert locate_half(whole, "videos", make=False) == (f"{whole}-mixed/videos", None)
    assert not os.path.exists(f"{whole}-mixed")
    folder, videos = locate_half(f"{whole}/", "videos")
    written = os.stat(os.path.join(folder, "dataset.json")).st_mtime_ns
    other, images = locate_half(whole, "images", make=False)
    assert (folder, other) == (f"{whole}-mixed/videos", f"{whole}-mixed/images")
    assert (videos.splits["train"].count, images.splits["train"].count) == (2, 2 * 3)
    assert videos.splits["test"].count == 1
    assert locate_half(whole, "videos")[0] == folder
    assert os.stat(os.path.join(folder, "dataset.json")).st_mtime_ns == written


def test_halves_of_a_known_data_set_lie_beside_it():
    folder, _ = locate_half("weizmann/strips", "images", "d", make=False)
    assert folder == "d/weizmann-strips-mixed/images"


def test_an_unknown_half_and_a_damaged_one_are_refused(whole):
    with pytest.raises(ValueError, match="half='frames': use videos or images"):
        locate_half(whole, "frames")
    folder, _ = locate_half(whole, "images")
    shard = load_info(folder).splits["train"].shards[0].file
    os.remove(os.path.join(folder, shard))
    with pytest.raises(DatasetError, match="train-00000"):
        locate_half(whole, "images")
