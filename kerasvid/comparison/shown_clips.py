"""The clips that raters see: clips of a run, or real ones."""

import itertools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasvid.comparison.study import RUNS, StudyError
from kerasvid.data import load_info
from kerasvid.data.shards import shortest_video
from kerasvid.evaluation.generated_clips import generated_clips, generated_images, infilling
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import ImagePrior
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.clips import frame_rate
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.training.run_folder import RunFolder

REAL = "real"
_BATCH = 16
_ROUNDS = 4  # passes through the videos, times the passes that give enough windows


class ShownClips(NamedTuple):
    """Clips, uint8 `[N, T, H, W, C]`, and known facts about their source, for `study.json`."""

    clips: np.ndarray
    known: dict[str, Any]


def made_clips(
    model: keras.Model,
    config: RunConfig,
    count: int,
    frames: int,
    seed: int = 0,
    images: bool = False,
) -> np.ndarray:
    """Clips that a model makes from noise; an `InBetween` model makes them between real frames.

    Args:
        model, config: of a run; its data is read for an `InBetween` model.
        count, frames: N and T.
        seed: clip i depends on (seed, i) alone.
        images: single images of the model's image prior, T = 1.

    Returns:
        uint8 `[N, T, H, W, C]`.

    Raises:
        StudyError: the model has no image prior, or there are too few real clips.
        ValueError: the model makes no clips of T frames.
    """
    if images and not isinstance(model, ImagePrior):
        raise StudyError(f"--images: {config.model} has no image prior. Remove the flag.")
    if images:
        batches = generated_images(model, _BATCH, seed)
    elif isinstance(model, InBetween):
        real = real_clips(config, count, frames, seed).clips
        split = np.split(real, range(_BATCH, count, _BATCH))
        batches = map(infilling(model, _BATCH, seed), split)
    else:
        batches = generated_clips(model, _BATCH, frames, seed)
    return np.concatenate([*itertools.islice(batches, math.ceil(count / _BATCH))])[:count]


def real_clips(config: RunConfig, count: int, frames: int, seed: int = 0) -> ShownClips:
    """Different real clips of a run's data: held-out ones if there is such a split.

    Each is of another video; if there are too few, they are random windows, which may overlap.

    Args:
        config: of the run.
        count, frames: N and T.
        seed: of videos and windows.

    Raises:
        StudyError: there are fewer different clips, or the videos are too short.
        DatasetError: the data is missing or damaged.
    """
    info = load_info(config.data_folder)
    split = held_out_split(info) or "train"
    videos = info.splits[split]
    span = (frames - 1) * config.training.stride + 1
    if videos.min_length < span:
        raise StudyError(
            f"{config.dataset}: a clip needs {span} frames, but the split {split!r} has videos of "
            f"{videos.min_length}. Give fewer --frames."
            + shortest_video(config.data_folder, info, split, span)
        )
    batch = min(count, videos.count)
    options: dict[str, Any] = {"pick": "window", "seed": seed, "repeat": True}
    batches = config.clips(split, batch_size=batch, frames=frames, **options)
    found: dict[bytes, np.ndarray] = {}  # by their bytes: windows of short videos can be equal
    for videos_of_round in batches.take(_ROUNDS * math.ceil(count / batch)).as_numpy_iterator():
        for clip in videos_of_round["video"]:
            found.setdefault(clip.tobytes(), clip)
        if len(found) >= count:
            break
    else:
        raise StudyError(
            f"{config.dataset}: the split {split!r} has {len(found)} different clips of {frames} "
            f"frames. Give {len(found)} --pairs or fewer."
        )
    kind = "held-out" if split != "train" else "training"
    windows = f"windows of {videos.count} {kind} videos"
    source = f"{count} {windows if videos.count < count else f'{kind} clips'}"
    known = {"name": REAL, "dataset": config.dataset, "split": split, "seed": seed, "clips": source}
    return ShownClips(np.stack(list(found.values())[:count]), known)


def clips_of_runs(
    names: Sequence[str],
    count: int,
    frames: int | None = None,
    seed: int = 0,
    images: bool = False,
    find_data: Callable[[RunConfig], RunConfig] = lambda config: config,
) -> tuple[dict[str, ShownClips], list[RunConfig]]:
    """Clips of two runs, or of a run and of its data.

    Args:
        names: two run folders, or one and "real".
        count: clips of each.
        frames: T; the models' own if `None`.
        seed: of the clips; the two runs get different noise.
        images: single images of the image priors, beside single real frames.
        find_data: returns the config with the folder where its data lies now.

    Returns:
        The clips of "a" and "b", and the configs of the runs.

    Raises:
        StudyError: the runs are not two, or differ in length; or as `made_clips`.
        RunError: there is no run, or it has no saved weights.

    Example:
        >>> shown, configs = clips_of_runs(["runs/rjvae-sprites", "real"], 128)
        >>> shown["b"].known["clips"]
        '128 held-out clips'
    """
    if len(names) != 2 or len({os.path.realpath(name) for name in names}) < 2 or "" in names:
        raise StudyError(f"--runs={','.join(names)}: give two different runs, or a run and {REAL}.")
    folders = {name: RunFolder(name) for name in names if name != REAL}
    configs = {name: folder.load_config() for name, folder in folders.items()}
    models = {name: folder.load_model() for name, folder in folders.items()}
    if images:
        frames = 1
    elif frames is None:
        lengths = {name: model.frames for name, (model, _) in models.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise StudyError(f"The runs make clips of different frames: {listed}. Give --frames.")
        frames = next(iter(lengths.values()))
    for name, (model, _) in models.items():
        if REAL in names or (isinstance(model, InBetween) and not images):
            configs[name] = find_data(configs[name])
    shown = {}
    for number, (run, name) in enumerate(zip(RUNS, names, strict=True)):
        draw = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31
        if name == REAL:
            shown[run] = real_clips(next(iter(configs.values())), count, frames, draw)
            continue
        (model, weights), config = models[name], configs[name]
        kind = "clips between real endpoints" if isinstance(model, InBetween) else "samples"
        known: dict[str, Any] = {"name": os.path.normpath(name)}
        known |= {key: getattr(config, key) for key in ("model", "preset", "dataset")}
        known |= {"weights": os.path.relpath(weights, name), "step": saved_step(weights)}
        known |= {
            "seed": draw,
            "clips": f"{count} {'images of the image prior' if images else kind}",
        }
        shown[run] = ShownClips(made_clips(model, config, count, frames, draw, images), known)
    return shown, list(configs.values())


def common_frame_rate(configs: Sequence[RunConfig]) -> float:
    """Frames a second of the clips of runs; a StudyError if they differ."""
    rates = {f"{c.dataset} at stride {c.training.stride}": frame_rate(c) for c in configs}
    if len(set(rates.values())) > 1:
        listed = ", ".join(f"{rate:g} of {name}" for name, rate in rates.items())
        raise StudyError(f"The clips have different frame rates: {listed}. Give --fps.")
    return next(iter(rates.values()))
