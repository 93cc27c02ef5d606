"""Which clips a run is evaluated on and shows, and how they are batched."""

import functools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data import DatasetError, DatasetInfo, load_info
from kerasvid.data.shards import record_pairs, record_values
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.models.registry import model_class
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.visualization.figures import FigureInputs

HELD_OUT_VIDEOS = 128
SHOWN_VIDEOS = 8


def held_out_batches(config: RunConfig) -> tf.data.Dataset | None:
    """The batches to evaluate on, the same each time; if there are none, `None` and a line why."""
    info = load_info(config.data_folder)
    split, reason = evaluation_split(config, info)
    size = evaluation_batch_size(config, info.splits[split].count) if split else 0
    if split is None or not size:
        reason = reason or f"the split {split!r} has fewer videos than there are replicas"
        print(f"no held-out evaluation: {reason}", flush=True)
        return None
    if split == "train":
        print("evaluating on training videos: the model has codes of these only", flush=True)
    batches = config.clips(split, batch_size=size, pick="start", seed=0)
    return batches.take(max(1, HELD_OUT_VIDEOS // size)).cache()


def compared_training_batches(
    config: RunConfig, held_out: tf.data.Dataset
) -> tf.data.Dataset | None:
    """Training clips to compare scores of held-out ones to, the same each time; `None` for none.

    Only discriminators are compared, and only where the held-out clips are of other videos.
    """
    info = load_info(config.data_folder)
    adversarial = issubclass(model_class(config.model), AdversarialModel)
    if not adversarial or evaluation_split(config, info)[0] == "train":
        return None
    size = int(held_out.element_spec["video"].shape[0])
    batches = config.clips("train", batch_size=size, pick="start", seed=0)
    return batches.take(int(held_out.cardinality())).cache()


def evaluation_batch_size(config: RunConfig, count: int) -> int:
    """Videos a batch, chosen so that few of the `count` videos of a small split are left out."""
    size = config.training.batch_size
    if count < HELD_OUT_VIDEOS:
        size = count // math.ceil(count / size)
    return size - size % config.replicas


def evaluation_split(config: RunConfig, info: DatasetInfo) -> tuple[str | None, str | None]:
    """The split to evaluate on, or `None` and the reason.

    A model with learned codes has none of videos, identities or labels that do not occur in
    training. If the held-out split has such, the training split is used.
    """
    keys = model_class(config.model).code_keys(config.hyperparameters)
    split, reason = held_out_split(info), None
    if split is None:
        reason = "the data set has no held-out split"
    elif (shortest := info.splits[split].min_length) < (span := config.span()):
        reason = f"the split {split!r} has videos of {shortest} frames, a clip needs {span}"
    elif keys:
        values = functools.partial(record_values, config.data_folder)
        if "index" in keys or any(values(split, key) - values("train", key) for key in keys):
            reason = "the model has no codes of these videos"
    if reason:
        return ("train", None) if keys else (None, reason)
    return split, None


def with_fixed_buffers(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, without tuning that lets buffers grow while a slow reader waits."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def shown_batch(config: RunConfig, count: int = SHOWN_VIDEOS) -> dict[str, np.ndarray]:
    """The same few held-out clips each time, or training clips if there are no others.

    Returns:
        `"video"` uint8 `[B, T, H, W, C]`; `"index"`, `"identity"` and `"label"` int64 `[B]`.
    """
    info = load_info(config.data_folder)
    split = evaluation_split(config, info)[0] or "train"
    size = min(count, info.splits[split].count)
    batches = config.clips(split, batch_size=size, pick="start", seed=1)
    return next(batches.as_numpy_iterator())


def compared_clips(config: RunConfig, count: int) -> tuple[np.ndarray, str]:
    """The same clips each time to compare a model's clips to, and their description.

    A split with fewer videos gives random windows, which overlap, if its videos are long enough.

    Returns:
        uint8 `[N, T, H, W, C]`, and e.g. "100 held-out clips".
    """
    info = load_info(config.data_folder)
    split = evaluation_split(config, info)[0] or "train"
    chosen, kind = info.splits[split], "training" if split == "train" else "held-out"
    if chosen.count >= count or chosen.max_length <= config.span():
        clips = shown_batch(config, count)["video"]
        return clips, f"{len(clips)} {kind} clips"
    batches = config.clips(split, batch_size=chosen.count, pick="window", seed=1, repeat=True)
    epochs = batches.take(math.ceil(count / chosen.count)).as_numpy_iterator()
    clips = np.concatenate([batch["video"] for batch in epochs])[:count]
    return clips, f"{count} windows of {chosen.count} {kind} clips"


def real_clips(config: RunConfig, frames: int) -> Iterator[np.ndarray]:
    """Batches of the clips from the start of every video of all splits: uint8 `[N, T, H, W, C]`."""
    for split in load_info(config.data_folder).splits:
        options = {"shuffle": False, "drop_remainder": False, "pick": "start"}
        for batch in config.clips(split, batch_size=256, frames=frames, **options):
            yield batch["video"].numpy()


def frame_rate(config: RunConfig) -> float:
    """Frames a second of clips: the rate of the data over the stride.

    If the data does not state its rate, or is not here any more, 8 stands for it.
    """
    try:
        fps = load_info(config.data_folder).fps
    except (DatasetError, OSError, tf.errors.OpError):
        fps = -1.0
    return (fps if fps > 0 else 8.0) / config.training.stride


def figure_inputs(
    config: RunConfig, model: keras.Model, count: int, reads_data: bool = True, **rest: Any
) -> FigureInputs:
    """What figures of a run's model are made from.

    Args:
        config: of the run.
        model: its trained model.
        count: number of samples and of held-out clips.
        reads_data: whether real clips are needed.
        **rest: `frames`, `seed`, `label` and others of `FigureInputs`.
    """
    if not reads_data:
        return FigureInputs(model, count=count, **rest)
    shown = shown_batch(config, max(2, count))
    rest |= {"rows": shown, "real_clips": functools.partial(real_clips, config)}
    rest["compared"] = functools.partial(compared_clips, config)
    rest["trained_pairs"] = functools.partial(record_pairs, config.data_folder, "train")
    return FigureInputs(model, shown["video"], count, **rest)
