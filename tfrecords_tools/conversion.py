"""What all converters use: videos in, a complete data set out, in parallel and streaming."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import errno
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from kerasvid.data.records import DatasetInfo, Video, finish_example, video_to_example
from kerasvid.data.shards import INFO_FILE, write_info, write_split
from kerasvid.io import atomic_folder, check_unicode_name


class ConversionError(ValueError):
    """A data set cannot be made; the one-line message says why and what to do."""


class UnreadableMedia(ValueError):
    """A file cannot be read; raised by a `load` function, the message names the file."""


def write_dataset(
    out_dir: str | os.PathLike,
    info: DatasetInfo,
    splits: Mapping[str, Sequence[Any]],
    load: Callable[[Any], Video],
    *,
    videos_per_shard: int = 512,
    workers: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    jpeg_quality: int = 95,
) -> DatasetInfo:
    """Writes a data set of records; `out_dir` appears only when it is complete.

    Items are loaded and encoded on all cores, a few ahead, and written in order. The bytes do not
    depend on the number of workers.

    Args:
        out_dir: folder of the data set.
        info: its description without splits; every video must have its frame size. An `fps`
            of -1 becomes the common frame rate of the videos, if they have one.
        splits: the items of each split by name; the position in the list becomes `index`.
        load: makes one `Video` of an item, on any thread; frames uint8 [T, H, W, C].
        videos_per_shard: number of videos in a file.
        workers: number of threads, by default one for each core.
        progress: show a progress bar on stderr.
        overwrite: replace an existing data set in `out_dir`.
        skip_unreadable: skip files for which `load` raises `UnreadableMedia` or OSError, and
            print a line for each.
        jpeg_quality: 1..100, for the encoding "jpeg".

    Returns:
        `info` with its splits filled in, as in `dataset.json`.

    Raises:
        ConversionError: out_dir exists, the disk is full, a file is unreadable, a split is
            empty, or a video has a wrong size or the id of another. Nothing is written then.

    Example:
        >>> info = DatasetInfo("mine", "1", height=64, width=64, channels=3, fps=25.0)
        >>> write_dataset("data/mine", info, {"train": paths}, load=read_video)
    """
    for split, items in splits.items():
        if not len(items):
            raise ConversionError(f"{out_dir}: the split {split!r} is empty; add a video.")
    total = sum(map(len, splits.values()))
    with (
        new_dataset_folder(out_dir, overwrite=overwrite) as building,
        progress_bar(total, progress) as bar,
    ):
        encoder = _Encoder(info, load, workers, skip_unreadable, jpeg_quality, bar)
        written = {
            split: write_split(building, split, encoder.records(items), videos_per_shard)
            for split, items in splits.items()
        }
        common = info.fps < 0 and is_one_rate(encoder.rates)
        fps = float(np.median(list(encoder.rates))) if common else info.fps
        info = dataclasses.replace(info, splits=written, fps=fps)
        write_info(building, info)
    for line in encoder.unreadable:
        print(f"skipped {line}", file=sys.stderr)
    return info


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

    def check() -> None:
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

    try:
        with atomic_folder(out_dir, check) as building:
            yield building
    except (OSError, tf.errors.OpError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space" in str(error)
        if full or isinstance(error, tf.errors.ResourceExhaustedError):
            why = "the disk is full; free some space or give another --out_dir."
        else:
            what = " ".join(str(error).split())
            why = f"cannot be written ({what}); check the path and its permissions."
        raise ConversionError(f"{out_dir}: {why}") from error


class _Encoder:
    """Turns items into serialized records, in order, with a bounded look-ahead."""

    def __init__(self, info, load, workers, skip_unreadable, jpeg_quality, bar) -> None:
        self.info, self.load, self.bar = info, load, bar
        self.workers = workers or os.cpu_count() or 1
        self.skip_unreadable, self.jpeg_quality = skip_unreadable, jpeg_quality
        self.unreadable: list[str] = []
        self.ids: set[str] = set()
        self.rates: set[float] = set()

    def records(self, items: Sequence[Any]) -> Iterator[tuple[bytes, int]]:
        """Pairs of a record and its length; raises at the end if files were unreadable."""
        index = 0
        for name, length, example in self._in_order(items):
            self.bar.update()
            if example is None:
                self.unreadable.append(name)
            # After a fault the rest is only read, so that one run names every bad file.
            if example is None or (self.unreadable and not self.skip_unreadable):
                continue
            if name in self.ids:
                raise ConversionError(f"Two videos have the id {name!r}: give unique ids.")
            self.ids.add(name)
            self.rates.add(round(example.features.feature["fps"].float_list.value[0], 3))
            yield finish_example(example, index), length
            index += 1
        if self.unreadable and not self.skip_unreadable:
            lines = "\n".join(self.unreadable)
            remedy = "or skip unreadable files with --skip_unreadable"
            count = len(self.unreadable)
            raise ConversionError(
                f"{lines}; nothing is written: repair or remove the file, {remedy}."
                if count == 1
                else f"{count} files are unreadable, nothing is written; repair or remove them, "
                f"{remedy}:\n{lines}"
            )

    def _in_order(self, items: Sequence[Any]) -> Iterator[tuple[str, int, Any]]:
        pool = concurrent.futures.ThreadPoolExecutor(self.workers)
        pending: collections.deque[concurrent.futures.Future] = collections.deque()
        try:
            for item in items:
                pending.append(pool.submit(self._encode, item))
                if len(pending) >= 4 * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _encode(self, item: Any) -> tuple[str, int, tf.train.Example | None]:
        """Id, length and record of an item; or its fault, 0 and None."""
        try:
            video = self.load(item)
        except UnreadableMedia as error:
            return str(error), 0, None
        except OSError as error:  # of the source: nothing is written here
            return f"{error.filename or item}: cannot be read ({error.strerror or error})", 0, None
        example = video_to_example(video, self.info.encoding, self.jpeg_quality)
        if video.frames.shape[1:] != self.info.frame_shape:
            raise ConversionError(
                f"Video {video.id!r}: frames are {list(video.frames.shape[1:])}, but the data set "
                f"has {list(self.info.frame_shape)}; resize them or correct the description."
            )
        if len(video.attributes) != len(self.info.attribute_names):
            raise ConversionError(
                f"Video {video.id!r}: {len(video.attributes)} attributes, but the data set has "
                f"{len(self.info.attribute_names)} names; give one value for each name."
            )
        return video.id, len(video.frames), example
