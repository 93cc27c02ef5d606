"""Checks a data set: kerasvid data verify [--accept_edits] FOLDER

Prints a line for each split and OK, or a line for each fault and ends with status 1.

--accept_edits takes a dataset.json that was edited by hand or written by an earlier version. If the
data set has no other fault, the file gets a new digest, and the other commands read it again.
"""

import dataclasses
import hashlib
import itertools
import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from kerasvid.data.records import DatasetInfo, ShardInfo, parse_record, record_faults
from kerasvid.data.remote import is_cached, shard_cache
from kerasvid.data.shards import (
    INFO_FILE,
    READ_BYTES,
    DatasetError,
    check_shard,
    hash_file,
    list_folder,
    load_info,
    write_info,
)
from kerasvid.io import one_line, shown_name

FAULTS_A_SHARD = 5  # more of them say nothing new


@dataclasses.dataclass
class Report:
    """The result of a check: a line for each fault, naming the file, and a line for each split."""

    faults: list[str] = dataclasses.field(default_factory=list)
    summaries: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Split:
    """Totals of a split while its shards are read."""

    count: int = 0
    lengths: list[int] = dataclasses.field(default_factory=list)
    pixel_sum: float = 0.0
    pixel_count: int = 0
    pixel_hashes: dict[bytes, str] = dataclasses.field(default_factory=dict)


def verify(folder: str | os.PathLike, accept_edits: bool = False) -> Report:
    """Reads a whole data set and compares it with its `dataset.json`.

    It checks sizes and SHA-256 of the shards, counts, the fields of every record and the size of
    every frame, that `index` is dense, that ids are unique, and that no two splits share a video.
    A bad data set raises no error.

    Args:
        folder: of the data set.
        accept_edits: give a `dataset.json` that was edited by hand, or that an earlier version of
            kerasvid wrote, a new digest, if there is no other fault.

    Example:
        >>> verify("data/sprites").faults
        []
    """
    report = Report()
    folder = os.fspath(folder)
    try:
        info = load_info(folder, edited=accept_edits)
        files = list_folder(folder)
    except (DatasetError, OSError, tf.errors.OpError) as error:
        report.faults.append(one_line(str(error)))
        return report
    ids: dict[str, str] = {}
    splits = {name: _Split() for name in info.splits}
    for name, stated in info.splits.items():
        first = 0
        for shard in stated.shards:
            faults = list(_check_shard(folder, info, shard, first, name, splits[name], ids))
            first += shard.count
            report.faults += faults[:FAULTS_A_SHARD]
            if len(faults) > FAULTS_A_SHARD:
                path = os.path.join(folder, shard.file)
                report.faults.append(f"{path}: {len(faults) - FAULTS_A_SHARD} more faults")
        split, path = splits[name], os.path.join(folder, INFO_FILE)
        low, high = min(split.lengths, default=0), max(split.lengths, default=0)
        if split.count != stated.count:
            fault = f"states {stated.count} videos in {name!r}, but there are {split.count}"
            report.faults.append(f"{path}: {fault}")
        if (low, high) != (stated.min_length, stated.max_length):
            report.faults.append(
                f"{path}: states lengths from {stated.min_length} to {stated.max_length} in "
                f"{name!r}, but they are from {low} to {high}"
            )
        mean = split.pixel_sum / max(split.pixel_count, 1)
        report.summaries.append(
            f"{name}: {split.count} videos of {low} to {high} frames, pixel mean {mean:.2f}"
        )
    report.faults += _check_disjoint(folder, splits)
    known = {shard.file for split in info.splits.values() for shard in split.shards}
    for name in sorted(set(files) - known - {INFO_FILE}):
        if any(part in name for part in (".tfrecord", ".tmp-", "partial-", ".part")):
            path = shown_name(os.path.join(folder, name))
            report.faults.append(f"{path}: {INFO_FILE} does not list this file; remove it")
    if accept_edits and not report.faults:
        try:
            write_info(folder, info)
        except OSError as error:
            report.faults.append(str(error))
    return report


def _check_shard(
    folder: str,
    info: DatasetInfo,
    shard: ShardInfo,
    first: int,
    name: str,
    split: _Split,
    ids: dict[str, str],
) -> Iterator[str]:
    path = os.path.join(folder, shard.file)
    try:
        check_shard(folder, shard, deep=True)
    except DatasetError as error:
        yield str(error)
        if not os.path.isfile(path) and "://" not in path:
            return
    copy = path
    if is_cached(path):
        try:
            if hash_file(path)[0] != shard.sha256:  # a copy in the cache says nothing of the store
                yield f"{path}: altered, its SHA-256 differs from {INFO_FILE}"
                return
            copy = shard_cache().fetch(path, shard)
        except Exception as error:  # each store has its own kinds
            yield f"{path}: cannot be read ({one_line(str(error))})"
            return
    count = 0
    try:
        for record, wrong in _read_records(copy, info, name, first):
            yield from (f"{path}: record {count}: {what}" for what in wrong)
            if not wrong:
                faults = _check_record(record, info, name, split, ids)
                yield from (f"{path}: record {count}: {what}" for what in faults)
            count += 1
            split.count += 1
    except (tf.errors.OpError, UnicodeDecodeError) as error:  # the latter from quoted bytes
        kind = "damaged" if isinstance(error, tf.errors.DataLossError) else "not a tf.train.Example"
        yield f"{path}: record {count} cannot be read, it is {kind}"
    if count != shard.count:
        yield f"{path}: {count} readable records instead of {shard.count}"


def _read_records(
    path: str, info: DatasetInfo, split: str, first: int
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Parsed records, each with the faults of its fields."""
    messages: list[str] = []

    def parse(place: tf.Tensor, serialized: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        record = parse_record(serialized)
        faults = record_faults(record, info, split, place)
        messages[:] = [what for _, what in faults]
        return record, tf.stack([wrong for wrong, _ in faults])

    dataset = tf.data.TFRecordDataset(path, buffer_size=READ_BYTES).enumerate(first)
    dataset = dataset.map(parse, tf.data.AUTOTUNE, deterministic=True)
    for record, flags in dataset.prefetch(16).as_numpy_iterator():
        yield record, [what for what, wrong in zip(messages, flags, strict=True) if wrong]


def _check_record(
    record: dict[str, Any], info: DatasetInfo, name: str, split: _Split, ids: dict[str, str]
) -> Iterator[str]:
    video_id = record["id"].decode(errors="replace")
    if video_id in ids:
        yield f"the id {video_id!r} is in {ids[video_id]!r} already"
    ids[video_id] = name
    digest = hashlib.sha256()
    for number, image in enumerate(record["frames"]):
        frame = _decode(image, info)
        if frame is None or frame.shape != info.frame_shape:
            found = "nothing" if frame is None else "x".join(map(str, frame.shape))
            size = "x".join(map(str, info.frame_shape))
            yield f"frame {number} of {video_id!r} decodes to {found} instead of {size}"
            return
        digest.update(frame.tobytes())
        split.pixel_sum += float(frame.sum(dtype=np.int64))
        split.pixel_count += frame.size
    split.lengths.append(int(record["length"]))
    split.pixel_hashes.setdefault(digest.digest(), video_id)


def _decode(image: bytes, info: DatasetInfo) -> np.ndarray | None:
    pixels = np.frombuffer(image, np.uint8)
    if info.encoding == "raw":
        right = pixels.size == math.prod(info.frame_shape)
        return pixels.reshape(info.frame_shape) if right else None
    try:
        frame: Any = cv2.imdecode(pixels, cv2.IMREAD_UNCHANGED) if image else None
    except cv2.error:  # of an image larger than it allows
        frame = None
    if frame is None or frame.dtype != np.uint8:
        return None
    return frame[..., None] if frame.ndim == 2 else frame  # [H, W, C]


def _check_disjoint(folder: str, splits: dict[str, _Split]) -> Iterator[str]:
    for first, second in itertools.combinations(splits, 2):
        ours, theirs = splits[first].pixel_hashes, splits[second].pixel_hashes
        shared = sorted(ours.keys() & theirs.keys(), key=lambda digest: ours[digest])
        for digest in shared[:FAULTS_A_SHARD]:
            yield (
                f"{folder}: {ours[digest]!r} of {first!r} and {theirs[digest]!r} of {second!r} "
                "have the same pixels"
            )
        if len(shared) > FAULTS_A_SHARD:
            yield f"{folder}: {len(shared)} videos in all are in {first!r} and {second!r}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: the folder, and --accept_edits before or after it."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--help" in arguments:
        print(__doc__)
        return
    folders = [each for each in arguments if each != "--accept_edits"]
    if len(folders) != 1 or folders[0].startswith("-"):
        sys.exit("error: give one folder: kerasvid data verify FOLDER")
    report = verify(folders[0], accept_edits=len(folders) < len(arguments))
    print("\n".join(report.summaries or []))
    if report.faults:
        sys.exit("\n".join(report.faults))
    print("OK")
