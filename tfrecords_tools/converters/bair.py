"""Reads the BAIR robot pushing videos (Ebert, Finn, Lee and Levine 2017): a robot arm, 64x64.

    kerasvid data bair --source_dir=BAIR --out_dir=data/bair

--source_dir is the unpacked bair_robot_pushing_dataset_v0.tar, or the folder in it:

    softmotion30_44k/train/traj_<first>_to_<last>.tfrecords    169 files of 256 videos
    softmotion30_44k/test/traj_0_to_255.tfrecords              256 videos

A record of these files is a video of 30 frames. Its frame t is the feature
"<t>/image_aux1/encoded": 64x64x3 bytes of pixels, not compressed. This is the camera that papers
train on; "image_main", the other camera, the actions and the positions of the arm are left out.
The splits are those of the release, 43,264 and 256 videos. There are no labels.

Files are read one record at a time. A file with a faulty record is unreadable as a whole.
"""

import functools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from kerasvid.data.records import DatasetInfo, Video
from kerasvid.io import one_line
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, file_names

SHAPE = (64, 64, 3)
FRAMES = 30
FEATURE = "{}/image_aux1/encoded"  # of the number of a frame
ROOT = "softmotion30_44k"
SPLITS = ("train", "test")
SUFFIXES = (".tfrecords", ".tfrecord")
LAYOUT = f"expected {ROOT}/train/*.tfrecords and {ROOT}/test/*.tfrecords"
SOURCE = "http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar"
LICENCE = "https://sites.google.com/view/sna-visual-mpc has the terms"
CITATION = (
    "F. Ebert, C. Finn, A. X. Lee and S. Levine. Self-Supervised Visual Planning with Temporal "
    "Skip Connections. CoRL 2017. arXiv:1710.05268."
)
ORIGIN: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": CITATION}
_NEEDS = f"the folder of {ROOT}; unpack {SOURCE} there, 30 GB ({LICENCE}: {CITATION})"


def find_files(source_dir: Folder | None) -> dict[str, list[Clip]]:
    """Lists the files of both splits in natural order, without opening them.

    An id is for instance "test/traj_0_to_255"; "/0" follows it in that of the first video.

    Raises:
        ConversionError: a folder is missing, cannot be listed or has no files of records.
    """
    source_dir = check_source_dir(source_dir, "bair", _NEEDS)
    below = os.path.join(source_dir, ROOT)
    root = below if os.path.isdir(below) else source_dir
    splits = {}
    for split in SPLITS:
        folder = os.path.join(root, split)
        names = file_names(folder, SUFFIXES) if os.path.isdir(folder) else []
        if not names:
            what = "has no *.tfrecords files" if os.path.isdir(folder) else "no such folder"
            raise ConversionError(f"{folder}: {what}; {LAYOUT} of {SOURCE}.")
        splits[split] = [
            Clip(f"{split}/{os.path.splitext(name)[0]}", "", (os.path.join(folder, name),))
            for name in names
        ]
    return splits


def read_frames(record: bytes) -> np.ndarray:
    """The frames of a record of the release, uint8 [30, 64, 64, 3].

    Raises:
        UnreadableMedia: it is not a `tf.train.Example`, or a frame is missing or has a wrong size.
    """
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise UnreadableMedia("is not a tf.train.Example") from error
    size, pixels = int(np.prod(SHAPE)), bytearray()
    for name in map(FEATURE.format, range(FRAMES)):
        values = list(features[name].bytes_list.value)
        if not values:
            raise UnreadableMedia(f"the feature {name!r} is missing")
        frame = values[0]
        if len(frame) != size:
            expected = f"{size} ({'x'.join(map(str, SHAPE))})"
            raise UnreadableMedia(
                f"the feature {name!r} has {len(frame)} bytes, expected {expected}"
            )
        pixels += frame
    return np.frombuffer(pixels, np.uint8).reshape(FRAMES, *SHAPE)


def read_videos(file: Clip) -> Iterator[Video]:
    """The videos of a file, one at a time; UnreadableMedia names the file and the record."""
    path, number = file.paths[0], -1
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(path).as_numpy_iterator()):
            yield Video(read_frames(record), f"{file.id}/{number}")
    except UnreadableMedia as error:
        raise UnreadableMedia(f"{path}: record {number}: {error}") from error
    except tf.errors.OpError as error:
        why = one_line(error.message).split(" [Op:")[0]
        raise UnreadableMedia(f"{path}: record {number + 1}: cannot be read ({why})") from error
    if number < 0:
        raise UnreadableMedia(f"{path}: has no records")


def prepare(out_dir: Folder, source_dir: Folder | None, **writing: bool) -> DatasetInfo:
    """Writes the data set "bair" (see `tfrecords_tools.converters`)."""
    info = DatasetInfo("bair", "1", *SHAPE, **ORIGIN)
    return write_dataset(out_dir, info, find_files(source_dir), read_videos, **writing)


main = functools.partial(run_converter, __doc__, prepare, f"Folder of {ROOT}.")
