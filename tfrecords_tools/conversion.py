"""What all converters use: videos in, a complete data set out, in parallel and streaming."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import errno
import functools
import itertools
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
import tensorflow as tf
import tqdm

from kerasvid.data.records import (
    JPEG_QUALITY,
    MAX_RECORD_BYTES,
    DatasetError,
    DatasetInfo,
    SplitInfo,
    Video,
    check_split_name,
    finish_example,
    video_to_example,
)
from kerasvid.data.shards import INFO_FILE, ShardWriter, write_info, write_split
from kerasvid.io import atomic_folder, check_unicode_name, temporary_name
from tfrecords_tools.frame_loss import FrameLoss, describe_loss, measure_loss

_BYTES_IN_MEMORY = 8 << 20  # of the records of one item that wait to be written; the rest on disk


_large_item = threading.Lock()  # held by the worker whose item needs more than its share
_worker = threading.local()


class ConversionError(ValueError):
    """A data set cannot be made; the one-line message says why and what to do."""


class UnreadableMedia(ValueError):
    """A file cannot be read; raised by a `load` function, the message names the file."""


def reserve_memory(size: int) -> None:
    """Called by a `load` function before it holds that many bytes of pixels at once.

    The workers share `MAX_RECORD_BYTES` evenly. An item that needs more waits until no other one
    does, and holds the place until it is encoded. So all workers together hold the pixels of two
    records at most.
    """
    held = getattr(_worker, "held", None)
    if held is not None and size > _worker.share:
        held.enter_context(_large_item)
        _worker.share = float("inf")


def decoder_threads() -> int:
    """How many threads a `load` function decodes a video with, 0 for the decoder's default.

    The workers share the cores: with as many videos as cores, one thread each is the fastest.
    """
    return getattr(_worker, "threads", 0)


def write_dataset(
    out_dir: str | os.PathLike,
    info: DatasetInfo,
    splits: Mapping[str, Sequence[Any]],
    load: Callable[[Any], Video | Iterable[Video]],
    *,
    videos_per_shard: int = 512,
    workers: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    jpeg_quality: int | None = None,
    own_rates: bool = False,
) -> DatasetInfo:
    """Writes a data set of records; `out_dir` appears only when it is complete.

    Items are loaded and encoded on all cores, a few ahead, and written in order. The bytes do not
    depend on the number of workers. An item of many videos is never in memory as a whole.

    Args:
        out_dir: folder of the data set.
        info: its description without splits; every video must have its frame size. An `fps`
            of -1 becomes the common frame rate of the videos, if they have one.
        splits: the items of each split by name; the position in the list becomes `index`.
        load: makes one `Video` of an item, or yields several, on any thread; frames uint8
            [T, H, W, C]. Several get the frame rate of the last one, when all has been read.
        videos_per_shard: number of videos in a file.
        workers: number of threads, by default one for each core.
        progress: show a progress bar on stderr.
        overwrite: replace an existing data set in `out_dir`.
        skip_unreadable: skip items for which `load` raises `UnreadableMedia` or OSError, and
            print a line for each. Classes and identities that lose all their videos so are left
            out, and those after them get lower numbers: items name them as `Clip` does. Splits
            without a video are left out too, except the first; a line names each.
        jpeg_quality: 1..100, by default 95, for the encoding "jpeg" only. The PSNR of such frames,
            beside what `load` gives, and the bytes that they save are printed on stderr.
        own_rates: the videos of an item keep the frame rate that each has when it is yielded.

    Returns:
        `info` with its splits filled in, as in `dataset.json`.

    Raises:
        ConversionError: out_dir exists, the disk is full, a file is unreadable, `jpeg_quality` is
            given for another encoding or out of range, a split is empty, the first has no readable
            video, or a video has a wrong size or the id of another. Nothing is written then.

    Example:
        >>> info = DatasetInfo("mine", "1", height=64, width=64, channels=3, fps=25.0)
        >>> write_dataset("data/mine", info, {"train": paths}, load=read_video)
    """
    check_splits(out_dir, splits)
    check_quality(info, jpeg_quality)
    total = sum(map(len, splits.values()))
    with (
        new_dataset_folder(out_dir, overwrite=overwrite) as building,
        progress_bar(total, progress) as bar,
    ):
        encoder = Encoder(info, load, workers, skip_unreadable, jpeg_quality, bar, building)
        encoder.own_rates = own_rates
        written, lost = {}, []
        for split, items in splits.items():
            records = encoder.records(items)
            if first := next(records, None):
                records = itertools.chain([first], records)
                written[split] = write_split(building, split, records, videos_per_shard)
            elif not written:
                raise no_readable_video(out_dir, split, encoder.unreadable)
            else:
                lost.append(lost_split(split))
        if encoder.unreadable:
            info, written, names = _without_lost(building, info, written, encoder)
            lost += names
        common = info.fps < 0 and is_one_rate(encoder.rates)
        fps = float(np.median(list(encoder.rates))) if common else info.fps
        info = dataclasses.replace(info, splits=written, fps=fps)
        write_info(building, info)
    if encoder.losses:
        lost.append(describe_loss(encoder.losses))
    for line in [f"skipped {line}" for line in encoder.unreadable] + lost:
        print(line, file=sys.stderr)
    return info


def check_splits(out_dir: str | os.PathLike, splits: Mapping[str, Sequence[Any]]) -> None:
    """Raises ConversionError for a split that has a wrong name or no items."""
    for split, items in splits.items():
        try:
            check_split_name(split)
        except ValueError as error:
            raise ConversionError(f"{out_dir}: {error}") from error
        if not len(items):
            raise ConversionError(f"{out_dir}: the split {split!r} is empty; add a video.")


def check_quality(info: DatasetInfo, jpeg_quality: int | None) -> None:
    """Raises ConversionError for a quality of another encoding than JPEG, or out of range."""
    if jpeg_quality is not None and info.encoding != "jpeg":
        raise ConversionError(
            f"jpeg_quality={jpeg_quality}: the encoding is {info.encoding}; give --encoding=jpeg "
            "or leave the quality out."
        )
    if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
        raise ConversionError(f"jpeg_quality={jpeg_quality}: must be from 1 to 100.")


def unreadable_files(faults: Sequence[str]) -> ConversionError:
    """The error of files that are unreadable, with a line for each."""
    lines = "\n".join(faults)
    remedy = "or skip unreadable files with --skip_unreadable"
    return ConversionError(
        f"{lines}; nothing is written: repair or remove the file, {remedy}."
        if len(faults) == 1
        else f"{len(faults)} files are unreadable, nothing is written; repair or remove them, "
        f"{remedy}:\n{lines}"
    )


def no_readable_video(
    out_dir: str | os.PathLike, split: str, faults: Sequence[str]
) -> ConversionError:
    """The error of a first split that keeps no video, with a line for each that is skipped."""
    lines = "\n".join(f"skipped {line}" for line in faults)
    return ConversionError(
        f"{out_dir}: the split {split!r} has no readable video, nothing is written; "
        f"repair or add videos:\n{lines}"
    )


def lost_split(split: str) -> str:
    """The line on a further split that keeps no video."""
    return f"left out the split {split!r}: none of its videos is readable"


def repeated_id(name: str) -> ConversionError:
    """The error of two videos of one id."""
    return ConversionError(f"Two videos have the id {name!r}: give unique ids.")


def _without_lost(
    folder: str, info: DatasetInfo, splits: Mapping[str, SplitInfo], encoder: "Encoder"
) -> tuple[DatasetInfo, dict[str, SplitInfo], list[str]]:
    """Leaves out the names of classes and identities that lost all videos; renumbers the records.

    Args:
        folder, info, splits: the data set.
        encoder: which wrote its records.

    Returns:
        The description, the splits, and a line for each name that is left out.
    """
    changed, numbers, lines = kept_names(info, encoder.used, encoder.lost)
    if not numbers:
        return info, dict(splits), lines
    renumbered = {}
    for split, clips in splits.items():
        shards = []
        for shard in clips.shards:
            path = os.path.join(folder, shard.file)
            with ShardWriter(path) as writer:
                for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                    example = tf.train.Example.FromString(record)
                    renumber(example, numbers)
                    writer.write(example.SerializeToString(deterministic=True))
            shards.append(writer.info)
        renumbered[split] = dataclasses.replace(clips, shards=tuple(shards))
    return dataclasses.replace(info, **changed), renumbered, lines


def kept_names(
    info: DatasetInfo, used: Mapping[str, Collection[int]], lost: Mapping[str, Collection[str]]
) -> tuple[dict[str, Any], dict[str, dict[int, int]], list[str]]:
    """The names of classes and identities without those that lost all their videos.

    Args:
        info: with all names.
        used: the values of "label" and "identity" in the records.
        lost: the names of the classes ("label") and identities of unreadable items.

    Returns:
        The fields of `info` that change, the new numbers by old ones of "label" and "identity"
        where they change, and a line for each name that is left out.
    """
    numbers: dict[str, dict[int, int]] = {}
    changed: dict[str, Any] = {}
    lines: list[str] = []
    for field, key, what in (
        ("label", "class_names", "class"), ("identity", "identity_names", "identity")
    ):  # fmt: skip
        names = getattr(info, key)
        kept = [n for n, name in enumerate(names) if n in used[field] or name not in lost[field]]
        if len(kept) == len(names):
            continue
        numbers[field] = {old: new for new, old in enumerate(kept)}
        changed[key] = tuple(names[old] for old in kept)
        lines += [
            f"left out the {what} {name!r}: none of its videos is readable"
            for old, name in enumerate(names)
            if old not in kept
        ]
    return changed, numbers, lines


def renumber(example: tf.train.Example, numbers: Mapping[str, Mapping[int, int]]) -> None:
    """Gives a record the new numbers of `kept_names`."""
    for field, new in numbers.items():
        value = example.features.feature[field].int64_list.value
        value[:] = [new.get(value[0], value[0])]  # -1 is none


def is_one_rate(rates: Collection[float]) -> bool:
    """Whether frame rates are known and the same but for 1 %, as the clocks of cameras drift."""
    return min(rates, default=-1.0) > 0 and max(rates) <= 1.01 * min(rates)


def progress_bar(total: int, shown: bool = True, unit: str = "videos", **options) -> tqdm.tqdm:
    """A progress bar on stderr; in a log file it is updated every 10 s only."""
    pause = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm.tqdm(
        total=total, disable=not shown, unit=f" {unit}", mininterval=pause, leave=True, **options
    )


@contextlib.contextmanager
def new_dataset_folder(
    out_dir: str | os.PathLike,
    *,
    holds: Sequence[str] = (),
    reads: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Iterator[str]:
    """As `kerasvid.io.atomic_folder`, but replaces data sets only.

    An OSError or a TensorFlow error in the block counts as an error of writing.

    Args:
        out_dir: folder of a data set, or of several.
        holds: the subfolders of several data sets.
        reads: folder of a data set that is read in the block; `out_dir` must not contain it.
        overwrite: replace existing data sets in `out_dir`.

    Raises:
        ConversionError: `out_dir` exists and may not be replaced, or it cannot be written.
    """
    out_dir = os.path.abspath(os.fspath(out_dir))
    check = functools.partial(check_out_dir, out_dir, holds=holds, reads=reads, overwrite=overwrite)
    with writing_errors(out_dir, temporary_name(out_dir)), atomic_folder(out_dir, check) as folder:
        yield folder


def check_out_dir(
    out_dir: str,
    *,
    holds: Sequence[str] = (),
    reads: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> None:
    """Checks that a data set may be written to a folder; as `new_dataset_folder`."""
    try:
        check_unicode_name(out_dir)
    except OSError as error:
        raise ConversionError(f"{error.filename}: {error.strerror}.") from error
    place = os.path.realpath(out_dir)
    if reads is not None and os.path.commonpath([os.path.realpath(reads), place]) == place:
        what = "contains the data set that is read"
        raise ConversionError(f"{out_dir}: {what}; give another --out_dir.")
    if not os.path.exists(out_dir) or (os.path.isdir(out_dir) and not os.listdir(out_dir)):
        return
    what = " and ".join(holds) or "a data set"
    infos = [os.path.join(out_dir, part, INFO_FILE) for part in holds or [""]]
    if not all(map(os.path.exists, infos)):
        fault = f"does not contain {what}" if holds else "is not a data set"
        raise ConversionError(f"{out_dir}: exists and {fault}; give another --out_dir.")
    if not overwrite:
        remedy = "replace with --overwrite or give another --out_dir"
        raise ConversionError(f"{out_dir}: contains {what} already; {remedy}.")


@contextlib.contextmanager
def writing_errors(out_dir: str, building: str) -> Iterator[None]:
    """Turns an error of writing in the block into a ConversionError of one line.

    Args:
        out_dir: folder of the data set, which the line names.
        building: the folder in whose place the line names it.
    """
    try:
        yield
    except DatasetError as error:
        raise DatasetError(str(error).replace(building, out_dir)) from error
    except (OSError, tf.errors.OpError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space" in str(error)
        if full or isinstance(error, tf.errors.ResourceExhaustedError):
            why = "the disk is full; free some space or give another --out_dir."
        else:
            what = getattr(error, "strerror", None) or str(error)
            what = " ".join(what.replace(building, out_dir).split())
            why = f"cannot be written ({what}); check the path and its permissions."
        raise ConversionError(f"{out_dir}: {why}") from error


class Encoder:
    """Turns items into serialized records, in order, with a bounded look-ahead.

    Attributes:
        unreadable: a line for each item that could not be read.
        rates: frames per second of the videos.
        used: the values of "label" and "identity" in the records.
        lost: the names of the classes ("label") and identities of the items that it could not read.
        losses: of each video, for the encoding "jpeg"; not in their order.
    """

    def __init__(self, info, load, workers, skip_unreadable, jpeg_quality, bar, folder) -> None:
        self.info, self.load, self.bar, self.folder = info, load, bar, folder
        self.own_rates = False
        self.workers = workers or os.cpu_count() or 1
        self.skip_unreadable, self.jpeg_quality = skip_unreadable, jpeg_quality or JPEG_QUALITY
        self.unreadable: list[str] = []
        self.losses: list[FrameLoss] = []
        self.ids: set[str] = set()
        self.rates: set[float] = set()
        self.used: dict[str, set[int]] = {"label": set(), "identity": set()}
        self.lost: dict[str, set[str]] = {"label": set(), "identity": set()}

    def records(self, items: Sequence[Any]) -> Iterator[tuple[bytes, int]]:
        """Pairs of a record and its length; raises at the end if files were unreadable."""
        index = 0
        for item, found in zip(items, self._in_order(items), strict=True):
            self.bar.update()
            if isinstance(found, str):
                self.unreadable.append(found)
                self.lost["label"].add(getattr(item, "class_name", ""))
                self.lost["identity"].add(getattr(item, "identity", ""))
                continue
            file, rate = found
            with file:
                # After a fault the rest is only read, so that one run names every bad file.
                if self.unreadable and not self.skip_unreadable:
                    continue
                for example in read_examples(file):
                    feature = example.features.feature
                    name = feature["id"].bytes_list.value[0].decode()
                    if name in self.ids:
                        raise repeated_id(name)
                    self.ids.add(name)
                    if not self.own_rates:
                        feature["fps"].float_list.value[:] = [rate]
                    self.rates.add(round(feature["fps"].float_list.value[0], 3))
                    for field, values in self.used.items():
                        values.add(feature[field].int64_list.value[0])
                    length = feature["length"].int64_list.value[0]
                    yield finish_example(example, index), length
                    index += 1
        if self.unreadable and not self.skip_unreadable:
            raise unreadable_files(self.unreadable)

    def _in_order(self, items: Sequence[Any]) -> Iterator[str | tuple[IO[bytes], float]]:
        pool = concurrent.futures.ThreadPoolExecutor(self.workers)
        pending: collections.deque[concurrent.futures.Future] = collections.deque()
        try:
            threads = max(1, (os.cpu_count() or 1) // min(self.workers, len(items)))
            for item in items:
                pending.append(pool.submit(self.encode, item, threads))
                if len(pending) >= 4 * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def encode(self, item: Any, threads: int = 1) -> str | tuple[IO[bytes], float]:
        """A temporary file of the records of an item and their frame rate, or its fault.

        Its video is decoded by so many threads.
        """
        with contextlib.ExitStack() as _worker.held:
            _worker.share, _worker.threads = MAX_RECORD_BYTES / self.workers, threads
            return self._encode(item)

    def _encode(self, item: Any) -> str | tuple[IO[bytes], float]:
        losses: list[FrameLoss] = []
        examples, rate = self._examples(item, losses), -1.0
        with contextlib.ExitStack() as stack:  # a fault drops the records before it
            file: Any = stack.enter_context(
                tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY, dir=self.folder)
            )
            while True:
                try:
                    example = next(examples, None)
                except UnreadableMedia as error:
                    return str(error)
                except OSError as error:  # of the source: nothing is written here
                    return f"{error.filename or item}: cannot be read ({error.strerror or error})"
                if example is None:
                    break
                rate = example.features.feature["fps"].float_list.value[0]
                pickle.dump(example.SerializeToString(), file)
            file.seek(0)
            stack.pop_all()
        self.losses += losses
        return file, rate

    def _examples(self, item: Any, losses: list[FrameLoss]) -> Iterator[tf.train.Example]:
        loaded = self.load(item)
        for video in [loaded] if isinstance(loaded, Video) else loaded:
            example = video_to_example(video, self.info.encoding, self.jpeg_quality)
            if video.frames.shape[1:] != self.info.frame_shape:
                raise ConversionError(
                    f"Video {video.id!r}: frames are {list(video.frames.shape[1:])}, but the data "
                    f"set has {list(self.info.frame_shape)}; resize them or correct the "
                    "description."
                )
            if len(video.attributes) != len(self.info.attribute_names):
                raise ConversionError(
                    f"Video {video.id!r}: {len(video.attributes)} attributes, but the data set has "
                    f"{len(self.info.attribute_names)} names; give one value for each name."
                )
            self._check_numbers(video)
            if self.info.encoding == "jpeg":
                images = example.features.feature["frames"].bytes_list.value
                losses.append(measure_loss(video.frames, images))
            yield example

    def _check_numbers(self, video: Video) -> None:
        info = self.info
        sizes = {"label": len(info.class_names), "identity": len(info.identity_names)}
        numbers = [(name, getattr(video, name), size or None) for name, size in sizes.items()]
        numbers += zip(info.attribute_names, video.attributes, info.attribute_sizes, strict=True)
        for name, number, size in numbers:
            if number < -1 or (size and number >= size):
                raise ConversionError(
                    f"Video {video.id!r}: {name} is {number}, but the data set has "
                    f"{size or 'numbers from 0'}; give -1 for an unknown one."
                )


def read_examples(file: IO[bytes]) -> Iterator[tf.train.Example]:
    """The records that were pickled into a file, one at a time."""
    with contextlib.suppress(EOFError):
        while True:
            yield tf.train.Example.FromString(pickle.load(file))
