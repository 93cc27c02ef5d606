"""Which videos a run is evaluated on and pictures, and how they are batched."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data import DatasetError, DatasetInfo, load_info, make_pipeline
from kerasvid.data.shards import record_values
from kerasvid.models.registry import model_class
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.visualization.figures import Request

HELD_OUT_VIDEOS = 128
PICTURED_VIDEOS = 8


def held_out_batches(config: RunConfig) -> tf.data.Dataset | None:
    """The batches to evaluate on, the same each time; `None`, and a line why, if there are none."""
    info = load_info(config.data_folder)
    split, reason = evaluation_split(config, info)
    batch = 0 if reason else held_out_batch(config, info.splits[split].count)
    if reason is None and not batch:
        reason = f"the split {split!r} has fewer videos than there are replicas"
    if reason is not None:
        print(f"no held-out evaluation: {reason}", flush=True)
        return None
    if split == "train":
        print("evaluated on training videos: there are codes of no others", flush=True)
    batches = make_pipeline(
        config.data_folder,
        split,
        batch,
        config.frames,
        config.training.stride,
        pick="start",
        repeat=False,
    )
    return batches.take(max(1, HELD_OUT_VIDEOS // batch)).cache()


def held_out_batch(config: RunConfig, count: int) -> int:
    """Videos a batch of the evaluation: of a small split such that next to none is left out."""
    batch = config.training.batch_size
    if count < HELD_OUT_VIDEOS:
        batch = count // math.ceil(count / batch)
    return batch - batch % config.replicas


def evaluation_split(config: RunConfig, info: DatasetInfo) -> tuple[str | None, str | None]:
    """The split to evaluate on, and why it does not serve, if it does not.

    Where codes are learned, there are none of videos, identities or labels that do not occur in
    training; then training videos serve.
    """
    keys = model_class(config.model).code_keys(config.hyperparameters)
    split, reason = held_out_split(info), None
    if split is None:
        reason = "the data set has no held-out split"
    elif info.splits[split].min_length < config.span():
        shortest, needed = info.splits[split].min_length, f"a clip needs {config.span()}"
        reason = f"the split {split!r} has videos of {shortest} frames, {needed}"
    elif "index" in keys or any(_unknown(config, split, key) for key in keys):
        reason = "there are codes of other videos"
    if reason and keys:
        return "train", None
    return (None, reason) if reason else (split, None)


def _unknown(config: RunConfig, split: str, key: str) -> frozenset[int]:
    """The values of a field in a split that do not occur in training."""
    known, asked = (record_values(config.data_folder, each, key) for each in ("train", split))
    return asked - known


def with_fixed_buffers(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, without the tuning that lets buffers grow while a slow reader waits.

    Example:
        >>> for batch in with_fixed_buffers(make_pipeline("data/sprites", "test", repeat=False)):
        ...     scores.update(frame_consistencies(batch["video"].numpy()))
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def pictured_batch(config: RunConfig, count: int = PICTURED_VIDEOS) -> dict[str, np.ndarray]:
    """The same few held-out clips each time, of "train" if it must be, as the pipeline's batches.

    `"video"` is uint8 `[B, T, H, W, C]`; `"index"`, `"identity"` and `"label"` are int64 `[B]`.
    """
    info = load_info(config.data_folder)
    split = evaluation_split(config, info)[0] or "train"
    batches = make_pipeline(
        config.data_folder,
        split,
        min(count, info.splits[split].count),
        config.frames,
        config.training.stride,
        pick="start",
        seed=1,
        repeat=False,
    )
    return {name: value.numpy() for name, value in next(iter(batches)).items()}


def compared_clips(config: RunConfig, count: int) -> tuple[np.ndarray, str]:
    """The same clips each time to measure a model by, and what they are.

    Of a split of fewer videos, which are longer than a clip, random windows; these overlap.

    Returns:
        uint8 `[N, T, H, W, C]`, and e.g. "100 held-out clips".
    """
    info = load_info(config.data_folder)
    split = evaluation_split(config, info)[0] or "train"
    chosen, kind = info.splits[split], "training" if split == "train" else "held-out"
    if chosen.count >= count or chosen.max_length <= config.span():
        clips = pictured_batch(config, count)["video"]
        return clips, f"{len(clips)} {kind} clips"
    batches = make_pipeline(
        config.data_folder, split, chosen.count, config.frames, config.training.stride, seed=1
    )
    rounds = batches.take(math.ceil(count / chosen.count)).as_numpy_iterator()
    clips = np.concatenate([batch["video"] for batch in rounds])[:count]
    return clips, f"{count} windows of {chosen.count} {kind} clips"


def real_clips(config: RunConfig, frames: int) -> Iterator[np.ndarray]:
    """Batches of every real clip of all splits, from the start of each video.

    Args:
        frames: T.

    Returns:
        uint8 `[N, T, H, W, C]` each.
    """
    for split in load_info(config.data_folder).splits:
        batches = make_pipeline(
            config.data_folder,
            split,
            256,
            frames,
            config.training.stride,
            pick="start",
            repeat=False,
            shuffle=False,
            drop_remainder=False,
        )
        for batch in batches:
            yield batch["video"].numpy()


def frame_rate(config: RunConfig) -> float:
    """Frames a second of the data; 8 where it does not tell, or lies here no more."""
    try:
        fps = load_info(config.data_folder).fps
    except (DatasetError, OSError, tf.errors.OpError):
        return 8.0
    return fps if fps > 0 else 8.0


def make_request(
    config: RunConfig, model: keras.Model, count: int, of_clips: bool = True, **rest: Any
) -> Request:
    """What exhibits of a model are made of, with the held-out and the real clips of its data.

    Args:
        config: of the model's run.
        model: trained.
        count: samples, and held-out clips to show.
        of_clips: whether real clips are needed; without, no data is read.
        **rest: `frames`, `seed` and `scale` of `Request`.
    """
    if not of_clips:
        return Request(model, count=count, **rest)
    pictured = pictured_batch(config, max(2, count))
    return Request(
        model,
        pictured["video"],
        count,
        real_clips=lambda frames: real_clips(config, frames),
        rows=pictured,
        compared=lambda number: compared_clips(config, number),
        **rest,
    )
