"""What the converters share: videos in, a complete data set out, in parallel and streaming."""

import collections
import concurrent.futures
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kerasvid.data.records import DatasetInfo, Video, finish_example, video_to_example
from kerasvid.data.shards import write_info, write_split
from tfrecords_tools.dataset_folder import ConversionError, folder_in_making
from tfrecords_tools.progress_line import ProgressLine


class UnreadableMedia(ValueError):
    """Raised by a `load` function for a file that cannot be read; the message names it."""


def write_dataset(
    out_dir: str,
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

    Items are loaded and encoded on all cores, a bounded number ahead, and written in order, so
    that memory does not grow with the data set and the bytes do not depend on the workers.

    Args:
        out_dir: folder of the data set.
        info: its description without splits; every video must have its frame size. An `fps`
            of -1 becomes that of the videos, if they have one in common.
        splits: by name, the items of each; position in the list becomes `index`.
        load: makes one `Video` of an item, on any thread; frames uint8 [T, H, W, C].
        videos_per_shard: number of videos a file.
        workers: number of threads, by default one a core.
        progress: show a line of progress on stderr.
        overwrite: replace a data set that is already there.
        skip_unreadable: leave out what `load` raises `UnreadableMedia` or OSError for, and
            report it.
        jpeg_quality: 1..100, where `info.encoding` is "jpeg".

    Returns:
        `info` with its splits filled in, as `dataset.json` states it.

    Raises:
        ConversionError: out_dir exists, the disk is full, a file is unreadable, a split is
            empty, or a video has a wrong size or an id that another has. Nothing is left then.

    Example:
        >>> info = DatasetInfo("mine", "1", height=64, width=64, channels=3, fps=25.0)
        >>> write_dataset("data/mine", info, {"train": paths}, load=read_video)
    """
    for split, items in splits.items():
        if not len(items):
            raise ConversionError(f"{out_dir}: the split {split!r} is empty; give it a video.")
    total = sum(map(len, splits.values()))
    with (
        folder_in_making(out_dir, overwrite=overwrite) as building,
        ProgressLine(total, progress) as bar,
    ):
        encoder = _Encoder(info, load, workers, skip_unreadable, jpeg_quality, bar)
        written = {
            split: write_split(building, split, encoder.records(items), videos_per_shard)
            for split, items in splits.items()
        }
        info = dataclasses.replace(info, splits=written, fps=encoder.frame_rate())
        write_info(building, info)
    encoder.report_skipped()
    return info


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
            self.bar.advance()
            if example is None:
                self.unreadable.append(name)
            # After a fault the rest is only read, so that one run names every bad file.
            if example is None or (self.unreadable and not self.skip_unreadable):
                continue
            if name in self.ids:
                raise ConversionError(f"two videos have the id {name!r}: make ids unique.")
            self.ids.add(name)
            self.rates.add(round(example.features.feature["fps"].float_list.value[0], 3))
            yield finish_example(example, index), length
            index += 1
        if self.unreadable and not self.skip_unreadable:
            raise ConversionError(_explain_unreadable(self.unreadable))

    def frame_rate(self) -> float:
        """The rate of the data set: as given, or else the one that all videos share."""
        common = self.rates.pop() if len(self.rates) == 1 else -1.0
        return common if self.info.fps < 0 else self.info.fps

    def report_skipped(self) -> None:
        for line in self.unreadable:
            print(f"skipped {line}", file=sys.stderr)

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
        """Id, length and record of an item; or what is wrong with it, 0 and None."""
        try:
            video = self.load(item)
        except UnreadableMedia as error:
            return str(error), 0, None
        except OSError as error:  # of the source; what is written is not touched here
            return f"{error.filename or item}: cannot be read ({error.strerror or error})", 0, None
        example = video_to_example(video, self.info.encoding, self.jpeg_quality)
        if video.frames.shape[1:] != self.info.frame_shape:
            raise ConversionError(
                f"video {video.id!r}: frames are {list(video.frames.shape[1:])}, the data set "
                f"states {list(self.info.frame_shape)}: resize them or correct the description."
            )
        if len(video.attributes) != len(self.info.attribute_names):
            raise ConversionError(
                f"video {video.id!r}: {len(video.attributes)} attributes, the data set names "
                f"{len(self.info.attribute_names)}: give one a name."
            )
        return video.id, len(video.frames), example


def _explain_unreadable(lines: Sequence[str]) -> str:
    remedy = "or leave out what is unreadable with --skip_unreadable"
    if len(lines) == 1:
        return f"{lines[0]}; nothing is written: repair or remove it, {remedy}."
    return f"{len(lines)} unreadable, nothing is written; repair or remove these, {remedy}:\n" + (
        "\n".join(lines)
    )
