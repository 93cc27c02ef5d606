"""Splits a share of the training videos of a data set into single frames: videos and images.

    kerasvid data split-frames --data_dir=data/mug --out_dir=data/mug-mixed

This is the mixed data of section 5.1 of "Jointly Trained Image and Video Generation using Residual
Vectors" (WACV 2020). It writes two data sets:

    data/mug-mixed/videos    the other training videos, and all test videos
    data/mug-mixed/images    the frames of the chosen training videos, and of all test videos

A frame is a video of length 1. It keeps label, identity, attributes and its encoded image; its id
is the id of its video with "/frame-0003".
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
import tqdm

from kerasvid.data.records import DatasetInfo, finish_example
from kerasvid.data.shards import check_shards, load_info, write_info, write_split
from tfrecords_tools.conversion import ConversionError, new_dataset_folder, progress_bar
from tfrecords_tools.converter_flags import run_command
from tfrecords_tools.derived.read_records import (
    check_choice,
    division_flags,
    length_of,
    read_records,
    with_origin,
)
from tfrecords_tools.registry import folder_of, locate

PARTS = ("videos", "images")
TRAIN = "train"


def split_frames(
    folder: str | os.PathLike,
    out_dir: str | os.PathLike,
    fraction: float = 0.5,
    seed: int = 0,
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> tuple[DatasetInfo, DatasetInfo]:
    """Writes the data sets `out_dir`/videos and `out_dir`/images; both appear when complete.

    Records are read and written one by one, and no frame is decoded.

    Args:
        folder: of a data set with a split "train"; its other splits go into both data sets.
        out_dir, overwrite, progress: as of `write_dataset`.
        fraction: share of the training videos to split, above 0 and below 1; each of the two data
            sets gets at least one video.
        seed: of the choice of these videos.

    Raises:
        DatasetError: the data set is missing, half-written or altered.
        ConversionError: the fraction is out of range, there are fewer than two training videos,
            or out_dir exists or cannot be written. Nothing is written then.

    Example:
        >>> videos, images = split_frames("data/mug", "data/mug-mixed", fraction=0.5)
    """
    folder = os.fspath(folder)
    info = load_info(folder)
    chosen = choose_videos(info, fraction, seed)
    total = len(PARTS) * sum(split.count for split in info.splits.values())
    with new_dataset_folder(out_dir, holds=PARTS, reads=folder, overwrite=overwrite) as building:
        check_shards(folder, info, deep=True)
        info = with_origin(info, f"by split_frames with fraction={fraction} and seed={seed}")
        with progress_bar(total, progress, "records") as bar:
            written = [_write_part(folder, building, info, part, chosen, bar) for part in PARTS]
    return written[0], written[1]


def locate_half(
    name: str, half: str, data_dir: str = "data", source_dir: str | None = None, make: bool = True
) -> tuple[str, DatasetInfo | None]:
    """The folder of one half of a data set and its description, made at first use.

    Args:
        name, data_dir, source_dir, make: of the whole data set, as `registry.locate` takes them.
            The halves are beside it.
        half: "videos", or "images" for the frames of the other training videos.

    Raises:
        ValueError: the half is unknown.
        UnknownDataset, DatasetError, ConversionError: as `registry.prepare` and `split_frames`.

    Example:
        >>> locate_half("weizmann/strips", "images")[0]
        'data/weizmann-strips-mixed/images'
    """
    if half not in PARTS:
        raise ValueError(f"half={half!r}: use {' or '.join(PARTS)}.")
    divided = f"{os.path.normpath(folder_of(name, data_dir))}-mixed"
    folder = os.path.join(divided, half)
    if not os.path.isdir(divided):
        whole, _ = locate(name, data_dir, source_dir, make)
        if not make:
            return folder, None
        split_frames(whole, divided)
    info = load_info(folder)
    check_shards(folder, info)
    return folder, info


def choose_videos(info: DatasetInfo, fraction: float, seed: int) -> frozenset[int]:
    """The training videos to split, by `index`; they follow from count, fraction and seed."""
    check_choice(fraction, seed)
    if TRAIN not in info.splits:
        what = f"has no split {TRAIN!r} but {', '.join(info.splits)}"
        raise ConversionError(f"{info.name}: {what}; give a data set with training videos.")
    count = info.splits[TRAIN].count
    if count < 2:
        what = f"{count} training video cannot be divided"
        raise ConversionError(f"{info.name}: {what}; give a data set with more.")
    wanted = min(max(round(fraction * count), 1), count - 1)
    return frozenset(np.random.default_rng(seed).permutation(count)[:wanted].tolist())


def _write_part(
    folder: str, building: str, info: DatasetInfo, part: str, chosen: frozenset[int], bar: tqdm.tqdm
) -> DatasetInfo:
    place = os.path.join(building, part)
    os.makedirs(place)
    images = part == "images"

    def records(split: str) -> Iterator[tuple[bytes, int]]:
        index = 0
        for number, example in enumerate(read_records(folder, info, split)):
            bar.update()
            if split == TRAIN and (number in chosen) != images:
                continue
            for record in _frames(example) if images else [example]:
                yield finish_example(record, index), length_of(record)
                index += 1

    size = 16384 if images else 512  # records of a shard
    splits = {split: write_split(place, split, records(split), size) for split in info.splits}
    fps = -1.0 if images else info.fps  # an image has no frame rate
    info = dataclasses.replace(info, name=f"{info.name}/{part}", fps=fps, splits=splits)
    write_info(place, info)
    return info


def _frames(video: tf.train.Example) -> Iterator[tf.train.Example]:
    """The records of a video's frames; the encoded images stay as they are."""
    images = list(video.features.feature["frames"].bytes_list.value)
    name = video.features.feature["id"].bytes_list.value[0]
    frame = tf.train.Example()
    frame.CopyFrom(video)
    feature = frame.features.feature
    feature["length"].int64_list.value[:] = [1]
    feature["fps"].float_list.value[:] = [-1.0]
    for number, image in enumerate(images):
        feature["frames"].bytes_list.value[:] = [image]
        feature["id"].bytes_list.value[:] = [b"%s/frame-%04d" % (name, number)]
        yield frame


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; a mistake of the user ends it with one line on stderr and status 1."""
    values = division_flags("Folder of the two new data sets.", 0.5, "training videos to split")

    def work() -> list[str]:
        given = values.data_dir, values.out_dir, values.fraction, values.seed
        parts = split_frames(*given, overwrite=values.overwrite)
        count = load_info(values.data_dir).splits[TRAIN].count
        chosen = count - parts[0].splits[TRAIN].count
        lines = [f"Split {chosen} of {count} training videos into frames."]
        for part, info in zip(PARTS, parts, strict=True):
            counts = ", ".join(f"{split.count} {name}" for name, split in info.splits.items())
            lines.append(f"{os.path.join(values.out_dir, part)}: {counts} {part}")
        return lines

    run_command(__doc__, values, ["data_dir", "out_dir"], work, arguments)
