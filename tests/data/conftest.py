"""A small data set whose pixels tell which video and which frame they are."""

import os

import numpy as np
import pytest

from kerasvid.data.records import DatasetInfo, Video, finish_example, video_to_example
from kerasvid.data.shards import write_info, write_split

COUNTS = {"train": 23, "test": 7}
LENGTH, SIZE = 6, 8


def encode_video(video, index, *encoding):
    return finish_example(video_to_example(video, *encoding), index)


def numbered_video(index: int, split: str = "train") -> Video:
    """Red is the index, green the frame number, blue the split."""
    frames = np.zeros((LENGTH, SIZE, SIZE, 3), np.uint8)
    frames[..., 0] = index
    frames[..., 1] = np.arange(LENGTH)[:, None, None]
    frames[..., 2] = 200 * (split == "test")
    attributes = (index % 2, index % 5)
    return Video(frames, f"{split}-{index}", 12.0, index % 3, index, attributes)


@pytest.fixture
def info() -> DatasetInfo:
    return DatasetInfo(
        "numbers", "1", SIZE, SIZE, 3, fps=12.0,
        class_names=("a", "b", "c"), attribute_names=("two", "five"), attribute_sizes=(2, 5),
    )  # fmt: skip


@pytest.fixture
def make_dataset(tmp_path, info):
    """Writes the data set, optionally with other records for the training split."""
    import dataclasses

    def make(name: str = "numbers", train_records: list[bytes] | None = None) -> str:
        folder = tmp_path / name
        folder.mkdir()
        splits = {}
        for split, count in COUNTS.items():
            records = [encode_video(numbered_video(i, split), i) for i in range(count)]
            if split == "train" and train_records is not None:
                records = train_records
            pairs = [(record, LENGTH) for record in records]
            splits[split] = write_split(os.fspath(folder), split, pairs, videos_per_shard=6)
        write_info(os.fspath(folder), dataclasses.replace(info, splits=splits))
        return os.fspath(folder)

    return make


@pytest.fixture
def dataset(make_dataset) -> str:
    return make_dataset()


@pytest.fixture(name="numbered_video")
def numbered_video_fixture():
    return numbered_video
