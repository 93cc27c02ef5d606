"""From a folder of records to batches, as a pure function of the seed and the step.

Order: list shards, interleave, parse, shuffle, repeat, pick frames (only those are decoded),
batch, prefetch. Videos stay uint8; the training step turns them into floats on the device.
"""

import os
from collections.abc import Sequence

import tensorflow as tf

from kerasvid.data.records import DatasetInfo, decode_frames
from kerasvid.data.shards import (
    check_first_records,
    check_shards,
    fetched_ahead,
    load_info,
    parse_checked,
    shard_reader,
    shortest_video,
    split_files,
)
from kerasvid.naming import nearest_names

SHUFFLE_BYTES = 256 << 20  # largest shuffle buffer by default
INTERLEAVED_SHARDS = 4
PICKS = ("window", "frame", "endpoints", "start")
FLIPS = {"time": 0, "horizontal": 2}  # the axis of [T, H, W, C] that is reversed


@tf.autograph.experimental.do_not_convert  # nothing in it needs that, and it takes seconds
def make_pipeline(
    folder: str,
    split: str = "train",
    batch_size: int = 16,
    frames: int = 8,
    stride: int = 1,
    pick: str = "window",
    seed: int = 0,
    start_step: int = 0,
    repeat: bool = False,
    shuffle: bool = True,
    shuffle_buffer: int | None = None,
    verify: bool = True,
    drop_remainder: bool = True,
    batch_repeats: int = 1,
    flips: Sequence[str] = (),
) -> tf.data.Dataset:
    """Batches of videos from a data set on disk.

    The stream depends on the arguments alone. Each epoch has every video once, in an order and
    with windows that follow from (seed, epoch). A batch may have videos of two epochs.

    Args:
        folder: of the data set, with its `dataset.json`.
        split: e.g. "train" or "test".
        batch_size: number of videos in a batch, B.
        frames: number of frames in a clip, T, for the picks "window" and "start".
        stride: distance of two frames of a clip in the video.
        pick: "window" (random), "frame" (one, random), "endpoints" (first and last) or "start".
        seed: of the order and the windows.
        start_step: number of batches to skip at the start, without decoding them.
        repeat: repeat without end, as for training; otherwise one epoch, the same at each reading.
        shuffle: a new order in each epoch; otherwise the order of the records.
        shuffle_buffer: number of videos to draw from; by default the split, or 256 MB of it.
        verify: compare the SHA-256 of the shards first, once per process.
        drop_remainder: leave out a last batch that is not full.
        batch_repeats: how often in succession each batch is given; `start_step` counts all.
        flips: of "horizontal" and "time": half of the clips, drawn for each kind anew, are mirrored
            or run backwards. More variety for small sets.

    Returns:
        A dataset of dicts: "video" uint8 [B, T, H, W, C], and int64 "index" [B], "label" [B],
        "identity" [B], "attributes" [B, A].

    Raises:
        DatasetError: the data set is missing, half-written or altered, or the first record of a
            shard is faulty. For a later record, the iteration raises a `tf.errors.OpError`;
            `kerasvid.io.one_line` makes one line of it.
        ValueError: unknown split or pick, videos too short, or fewer videos than a batch holds.

    Example:
        >>> batches = make_pipeline("data/sprites", batch_size=32, frames=8, repeat=True)
        >>> held_out = make_pipeline("data/sprites", "test", batch_size=32, frames=8)
        >>> model.fit(batches, steps_per_epoch=500, validation_data=held_out)
    """
    folder = os.fspath(folder)
    info = load_info(folder)
    if split not in info.splits:
        raise ValueError(f"{folder}: no split {split!r}; {nearest_names(split, info.splits)}.")
    clips = info.splits[split]
    if pick not in PICKS:
        raise ValueError(f"pick={pick!r}: use one of {', '.join(PICKS)}.")
    check_flips(flips)
    lowest = {"batch_size": (batch_size, 1), "frames": (frames, 1), "stride": (stride, 1)}
    lowest |= {"start_step": (start_step, 0), "batch_repeats": (batch_repeats, 1)}
    for name, (value, low) in lowest.items():
        if value < low:
            raise ValueError(f"{name}={value}: must be {low} or more.")
    span = window_span(frames, stride) if pick in ("window", "start") else 1
    if clips.min_length < span:
        raise ValueError(
            f"{folder}: {frames} frames with stride {stride} span {span}, but the shortest video "
            f"of {split!r} has {clips.min_length}; use fewer frames or a smaller stride."
            + shortest_video(folder, info, split, span)
        )
    if (repeat or drop_remainder) and batch_size > clips.count:
        raise ValueError(
            f"{folder}: batch_size={batch_size}, but the split {split!r} has {clips.count} videos; "
            f"use {clips.count} or fewer."
        )
    check_shards(folder, info, deep=verify)
    check_first_records(folder, info, split)

    first_batch, repeated = divmod(start_step, batch_repeats)
    first_epoch, offset = divmod(first_batch * batch_size, clips.count)
    mean_bytes = sum(shard.bytes for shard in clips.shards) / clips.count
    buffer = shuffle_buffer or max(1, min(clips.count, int(SHUFFLE_BYTES / max(mean_bytes, 1))))

    def epoch_dataset(epoch: tf.Tensor) -> tf.data.Dataset:
        dataset = _epoch(folder, info, split, seed, epoch, shuffle, buffer)
        skipped = tf.where(tf.equal(epoch, first_epoch), tf.constant(offset, tf.int64), 0)
        return dataset.skip(skipped)

    def load_clip(file: tf.Tensor, record: dict, clip_seed: tf.Tensor) -> dict:
        indices = pick_indices(pick, record["length"], frames, stride, clip_seed)
        length = {"frame": 1, "endpoints": 2}.get(pick, frames)
        encoded = tf.ensure_shape(tf.gather(record["frames"], indices), [length])
        video = decode_frames(encoded, info.encoding, *info.frame_shape, where=file)
        return {
            "video": flipped(video, flips, clip_seed),
            "index": record["index"],
            "label": record["label"],
            "identity": record["identity"],
            "attributes": tf.ensure_shape(record["attributes"], [len(info.attribute_names)]),
        }

    last_epoch = tf.int64.max if repeat else 1
    dataset = tf.data.Dataset.range(first_epoch, last_epoch).flat_map(epoch_dataset)
    dataset = dataset.map(load_clip, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    batches = clips.count // batch_size if drop_remainder else -(-clips.count // batch_size)
    if batch_repeats > 1:
        dataset = dataset.flat_map(
            lambda batch: tf.data.Dataset.from_tensors(batch).repeat(batch_repeats)
        ).skip(repeated)
    left = batches * batch_repeats - start_step
    size = tf.data.INFINITE_CARDINALITY if repeat else max(left, 0)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(size))
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def _epoch(
    folder: str,
    info: DatasetInfo,
    split: str,
    seed: int,
    epoch: tf.Tensor,
    shuffle: bool,
    buffer: int,
) -> tf.data.Dataset:
    """One epoch of (file, parsed record, seed of the clip), every video once."""
    epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
    shards = split_files(folder, info.splits[split])
    if shuffle:
        order = tf.range(len(info.splits[split].shards))
        order = tf.random.experimental.stateless_shuffle(order, epoch_seed)
        shards = tuple(tf.gather(each, order) for each in shards)
    clips = info.splits[split]
    files = fetched_ahead(tf.data.Dataset.from_tensor_slices(shards), folder, clips)
    dataset = files.interleave(
        shard_reader(folder, clips),
        # Unshuffled, one shard after the other keeps the order of `index`.
        cycle_length=INTERLEAVED_SHARDS if shuffle else 1,
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    dataset = dataset.map(
        lambda file, *record: (file, parse_checked(info, split, file, *record)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if shuffle:
        # `shuffle` mixes the global seed in: a fixed one in this function's own graph keeps
        # the order a function of the arguments, whatever the caller's global seed is.
        tf.random.set_seed(1)
        bits = tf.random.stateless_uniform([], epoch_seed, 0, tf.int32.max, tf.int32)
        dataset = dataset.shuffle(buffer, tf.cast(bits, tf.int64), reshuffle_each_iteration=False)
    return dataset.enumerate().map(
        lambda position, item: (
            *item,
            tf.random.experimental.stateless_fold_in(epoch_seed, position),
        )
    )


def window_span(frames: int, stride: int = 1) -> int:
    """Number of video frames that a window covers: 8 frames with stride 2 cover 15."""
    return (frames - 1) * stride + 1


def pick_indices(
    pick: str, length: tf.Tensor, frames: int, stride: int, seed: tf.Tensor
) -> tf.Tensor:
    """Frame indices of a pick; all windows and all frames have the same probability.

    Args:
        pick, frames, stride: as of `make_pipeline`.
        length: int scalar, frames in the video, at least `window_span(frames, stride)`.
        seed: int [2].

    Returns:
        int32 [T].

    Example:
        >>> pick_indices("window", 20, frames=4, stride=2, seed=[0, 1])  # e.g. [9, 11, 13, 15]
    """
    length = tf.cast(length, tf.int32)
    if pick == "endpoints":
        return tf.stack([0, length - 1])
    if pick == "start":
        return stride * tf.range(frames)
    if pick == "frame":
        frames = stride = 1
    starts = length - window_span(frames, stride) + 1
    return tf.random.stateless_uniform([], seed, 0, starts, tf.int32) + stride * tf.range(frames)


def check_flips(flips: Sequence[str]) -> None:
    """Raises `ValueError` unless each of the flips is known and given once."""
    if isinstance(flips, str) or not set(flips) <= set(FLIPS) or len(set(flips)) < len(flips):
        raise ValueError(f"flips={flips!r}: use a list of {', '.join(sorted(FLIPS))}, each once.")


def flipped(video: tf.Tensor, flips: Sequence[str], seed: tf.Tensor) -> tf.Tensor:
    """A clip, mirrored or run backwards as a coin decides, one for each kind.

    Args:
        video: `[T, H, W, C]`.
        flips: as of `make_pipeline`.
        seed: int [2].

    Returns:
        The clip in the same shape.

    Example:
        >>> flipped(video, ["horizontal"], seed=[0, 1])
    """
    for kind in flips:
        axis = FLIPS[kind]
        coin = tf.random.experimental.stateless_fold_in(seed, axis + 1)
        turned = tf.random.stateless_uniform([], coin) < 0.5
        video = tf.where(turned, tf.reverse(video, [axis]), video)
    return video


def with_images(
    clips: tf.data.Dataset,
    folder: str,
    batch_size: int,
    split: str = "train",
    seed: int = 0,
    start_step: int = 0,
    flips: Sequence[str] = (),
) -> tf.data.Dataset:
    """Adds images to batches of clips, for models that learn from both.

    Args:
        clips: batches of `make_pipeline`, which tell how many there are.
        folder: of a data set of images or videos; one random frame of each video is taken.
        batch_size: number of images in a batch, N.
        split: of that data set.
        seed: of the order of the images.
        start_step: number of batches to skip at the start, as for the clips.
        flips: of the images, as of `make_pipeline`.

    Returns:
        The batches, with an `"image"` uint8 `[N, H, W, C]` in each.

    Raises:
        DatasetError, ValueError: as `make_pipeline`.

    Example:
        >>> clips = make_pipeline("data/mixed/videos", batch_size=8, frames=16, repeat=True)
        >>> model.fit(with_images(clips, "data/mixed/images", batch_size=8), steps_per_epoch=100)
    """
    images = make_pipeline(
        folder, split, batch_size, pick="frame", seed=seed, start_step=start_step, repeat=True,
        flips=flips,
    )  # fmt: skip
    pairs = tf.data.Dataset.zip(clips, images)
    return pairs.map(lambda clip, image: {**clip, "image": image["video"][:, 0]})


def check_images_fit(folder: str, frame_shape: tuple[int, int, int]) -> None:
    """Checks that a data set of images has the frame size of the clips.

    Raises:
        ValueError: the sizes differ.
    """
    shape = load_info(folder).frame_shape
    if shape != tuple(frame_shape):
        sizes = ["x".join(map(str, each)) for each in (shape, frame_shape)]
        raise ValueError(
            f"{folder}: the images are {sizes[0]}, the clips {sizes[1]}; convert one of the two "
            "data sets again."
        )
