"""The clips of a run, or real ones, that people are shown."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasvid.comparison.study import RUNS, StudyError
from kerasvid.data import load_info, make_pipeline
from kerasvid.training.callbacks.checkpoints import saved_step
from kerasvid.training.clips import frame_rate
from kerasvid.training.config import RunConfig, held_out_split
from kerasvid.training.run_folder import RunFolder

REAL = "real"
_BATCH = 16
_ROUNDS = 4  # through the videos, beyond those that windows as many as asked for take


@dataclasses.dataclass(frozen=True)
class ShownClips:
    """Clips, and what is known of them.

    Args:
        clips: uint8 `[N, T, H, W, C]`.
        known: how they came about, for the key of the study.
    """

    clips: np.ndarray
    known: dict[str, Any]


def made_clips(
    model: keras.Model,
    config: RunConfig,
    count: int,
    frames: int | None = None,
    seed: int = 0,
    images: bool = False,
) -> np.ndarray:
    """Clips that a model makes: from noise, or else between the ends of real ones.

    Args:
        model: of a run, with `generate`, or `between`.
        config: of the run; its data is read for a model of what is in between.
        count: N.
        frames: T; the model's own where `None`.
        seed: any integer of 0 or more.
        images: single frames of the model's image prior, T = 1.

    Returns:
        uint8 `[N, T, H, W, C]`.

    Raises:
        StudyError: the model makes no such clips, or there are too few real ones.
        ValueError: the model makes no clips of T frames.
    """
    if images and not hasattr(model, "generate_images"):
        raise StudyError(f"{config.model} has no image prior of its own: leave --images out.")
    ends = None
    if not images and not hasattr(model, "generate"):
        ends = real_clips(config, count, frames or model.frames, seed).clips[:, [0, -1]]
    batches, draws = math.ceil(count / _BATCH), np.random.SeedSequence(seed)
    made = []
    for number, draw in enumerate(draws.generate_state(batches).tolist()):
        draw, size = draw % 2**31, min(_BATCH, count - number * _BATCH)
        if images:
            made.append(model.generate_images(size, seed=draw)[:, None])
        elif ends is None:
            made.append(model.generate(size, frames, seed=draw))
        else:
            part = ends[number * _BATCH : number * _BATCH + size]
            made.append(model.between(part[:, 0], part[:, 1], frames, seed=draw))
    return np.concatenate(made)


def real_clips(config: RunConfig, count: int, frames: int, seed: int = 0) -> ShownClips:
    """Held-out clips of a run's data set, each of another video; of training if none are held out.

    Of a split of fewer but longer videos, random windows; they overlap, which is told.

    Args:
        config: whose data set, and stride.
        count: N.
        frames: T.
        seed: of the videos and windows.

    Raises:
        StudyError: there are fewer different clips, or videos are too short.
        DatasetError: the data set is not there, or altered.
    """
    info = load_info(config.data_folder)
    split = held_out_split(info) or "train"
    videos = info.splits[split]
    span = (frames - 1) * config.training.stride + 1
    if videos.min_length < span:
        raise StudyError(
            f"{config.dataset}: the split {split!r} has videos of {videos.min_length} frames, a clip "
            f"needs {span}; give a smaller --frames."
        )
    batch = min(count, videos.count)
    batches = make_pipeline(
        config.data_folder, split, batch, frames, config.training.stride, seed=seed
    )
    found = {}  # by their bytes: windows of short videos coincide
    for videos_of_round in batches.take(_ROUNDS * math.ceil(count / batch)).as_numpy_iterator():
        for clip in videos_of_round["video"]:
            found.setdefault(clip.tobytes(), clip)
        if len(found) >= count:
            break
    else:
        raise StudyError(
            f"{config.dataset}: the split {split!r} has {len(found)} different clips, {count} are "
            "asked for; give fewer --pairs, none are shown twice."
        )
    clips = np.stack(list(found.values())[:count])
    kind = "held-out" if split != "train" else "training"
    told = f"{count} {kind} clips"
    if videos.count < count:
        told = f"{count} windows of {videos.count} {kind} videos"
    known = {"name": REAL, "dataset": config.dataset, "split": split, "seed": seed, "clips": told}
    return ShownClips(clips, known)


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
        names: two folders of runs, or one and "real".
        count: clips of each.
        frames: T; what the runs make where `None`.
        seed: of the clips; two runs draw other noise.
        images: single frames of the image priors, beside single real frames.
        find_data: the config with the folder in which its data lies now; asked if data is needed.

    Returns:
        The clips of "a" and "b", and the configs of the runs, with the folders that were asked for.

    Raises:
        StudyError: not two different runs, models of different lengths, or as `made_clips`.
        RunError: there is no run, or it has saved nothing yet.

    Example:
        >>> shown, configs = clips_of_runs(["runs/rjvae-sprites", "real"], 128)
        >>> shown["b"].known["clips"]
        '128 held-out clips'
    """
    if len(names) != 2 or len({os.path.realpath(name) for name in names}) < 2 or "" in names:
        raise StudyError(f"{','.join(names)}: give two different runs, or a run and {REAL}.")
    folders = {name: RunFolder(name) for name in names if name != REAL}
    configs = {name: folder.load_config() for name, folder in folders.items()}
    models = {name: folder.load_model() for name, folder in folders.items()}
    if images:
        frames = 1
    elif frames is None:
        lengths = {name: model.frames for name, (model, _) in models.items()}
        if len(set(lengths.values())) > 1:
            told = " and ".join(f"{name} of {length}" for name, length in lengths.items())
            raise StudyError(f"The runs make clips of different frames, {told}; give --frames.")
        frames = next(iter(lengths.values()))
    for name, (model, _) in models.items():
        if REAL in names or not (images or hasattr(model, "generate")):
            configs[name] = find_data(configs[name])
    shown = {}
    for number, (run, name) in enumerate(zip(RUNS, names, strict=True)):
        draw = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31
        if name == REAL:
            shown[run] = real_clips(next(iter(configs.values())), count, frames, draw)
            continue
        (model, weights), config = models[name], configs[name]
        known = {
            "name": os.path.normpath(name),
            "model": config.model,
            "preset": config.preset,
            "dataset": config.dataset,
            "weights": os.path.relpath(weights, name),
            "step": saved_step(weights),
            "seed": draw,
            "clips": f"{count} {_how(model, images)}",
        }
        shown[run] = ShownClips(made_clips(model, config, count, frames, draw, images), known)
    return shown, list(configs.values())


def _how(model: keras.Model, images: bool) -> str:
    if images:
        return "images of the image prior"
    return "samples" if hasattr(model, "generate") else "clips between the ends of real ones"


def common_frame_rate(configs: Sequence[RunConfig]) -> float:
    """Frames a second of the clips of runs: those of the data, of which every `stride`-th is taken.

    Raises:
        StudyError: they have several.
    """
    rates = {
        f"{config.dataset} at stride {config.training.stride}": frame_rate(config)
        / config.training.stride
        for config in configs
    }
    if len(set(rates.values())) > 1:
        told = ", ".join(f"{rate:g} of {name}" for name, rate in rates.items())
        raise StudyError(f"The clips have different frames a second ({told}): give --fps.")
    return next(iter(rates.values()))
