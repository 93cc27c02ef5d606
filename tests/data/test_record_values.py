import os

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video
from kerasvid.data.shards import DatasetError, record_pairs, record_values
from tfrecords_tools.conversion import write_dataset


@pytest.mark.parametrize(
    ("split", "key", "expected"),
    [
        ("train", "label", {0, 1, -1}),
        ("train", "identity", {5}),
        ("test", "label", {2}),
        ("test", "identity", {6, 7}),
    ],
)
def test_the_values_that_occur_in_a_split_are_listed(tmp_path, split, key, expected):
    labels, identities = [0, 1, 1, -1, 2, 2], [5, 5, 5, 5, 6, 7]
    info = DatasetInfo(
        "people", "1", 8, 8, 3, fps=8.0,
        class_names=("a", "b", "c"), identity_names=tuple("abcdefgh"),
    )  # fmt: skip

    def load(i):
        frames = np.full([2, 8, 8, 3], i, np.uint8)
        return Video(frames, f"clip-{i}", label=labels[i], identity=identities[i])

    folder = str(tmp_path / "people")
    write_dataset(folder, info, {"train": [0, 1, 2, 3], "test": [4, 5]}, load, progress=False)
    assert record_values(folder, split, key) == expected
    pairs = {"train": {(5, 0), (5, 1), (5, -1)}, "test": {(6, 2), (7, 2)}}
    assert record_pairs(folder, split) == pairs[split]


@pytest.mark.parametrize("damage", [os.remove, lambda path: os.truncate(path, 99)])
def test_a_shard_that_cannot_be_read_is_refused_by_name(dataset, damage):
    path = os.path.join(dataset, "train-00000-of-00004.tfrecord")
    damage(path)
    with pytest.raises(DatasetError, match=f"{path}: (the shard is missing|truncated)"):
        record_values(dataset, "train", "label")
