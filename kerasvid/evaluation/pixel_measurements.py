"""What of a run is measured on pixels alone: no labels, no classifier, no weights of others.

Each function takes a `EvaluationContext` and gives values with their protocol, or says, before any clip is
looked at, why there are none. They stream: what they keep does not grow with the number of clips.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from kerasvid.evaluation.context import OF_RATIO, OF_REAL, OF_VARIETY, EvaluationContext
from kerasvid.evaluation.generated_clips import filling, recall, reconstruction
from kerasvid.evaluation.metrics.clip_batches import as_bytes, counted_clips
from kerasvid.evaluation.metrics.diversity import novelty, variety
from kerasvid.evaluation.metrics.frame_consistency import frame_consistencies
from kerasvid.evaluation.metrics.intervals import (
    BootstrapMean,
    bootstrap_interval,
    interval_of_replicates,
)
from kerasvid.evaluation.metrics.reconstruction import reconstruction_scores
from kerasvid.evaluation.report import HIGHER, LOWER, Measured
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.models.registry import model_class
from kerasvid.training.clips import evaluation_split
from kerasvid.visualization.nearest_clip import l2_distances

QUERIES = 64  # samples, and held-out clips, whose nearest training clips are looked for
TRAINING_WINDOWS = 8  # of each training video among which they are looked for, if it is longer
VARIETY_GROUPS = 20


# === What is shown again, or between two frames ===


def reconstructed(context: EvaluationContext) -> list[Measured]:
    """L2, PSNR and SSIM of clips and of what the model makes of them, from its codes."""
    pairs, count, told = _pairs(context)
    found = reconstruction_scores(pairs, count, seed=context.seed)
    values = [
        context.reported("reconstruction/l2", found.l2, LOWER, unit="pixels in [0, 1]", **told)
    ]
    if found.psnr is not None:
        equal = {"equal_clips_left_out": found.equal} if found.equal else {}
        values.append(
            context.reported("reconstruction/psnr", found.psnr, HIGHER, unit="dB", **equal, **told)
        )
    return [*values, context.reported("reconstruction/ssim", found.ssim, HIGHER, **told)]


def _pairs(context: EvaluationContext) -> tuple[Iterator, int, dict]:
    """Clips and what is shown of each, how many, and the protocol."""
    model, config = context.model, context.config
    keys = model_class(config.model).code_keys(config.hyperparameters)
    if not keys:
        again = reconstruction(model, context.batch)
        pairs = ((clips, again(clips)) for clips in context.real())
        return pairs, context.count(), {"codes": "means of the posteriors"}
    split = context.choices.split or evaluation_split(config, context.info)[0]
    if split == "train" or split == evaluation_split(config, context.info)[0]:
        again = recall(model, context.batch)
        pairs = ((each["video"], again(each)) for each in context.labelled(split))
        which = "training videos" if split == "train" else f"known {' and '.join(sorted(keys))}"
        return pairs, context.count(split), {"split": split, "codes": f"learned, of {which}"}
    pairs = ((each["video"], _descended(model, each)) for each in context.labelled(split))
    return pairs, context.count(split), {"codes": "found by 300 steps of descent on each clip"}


def _descended(model, each: dict[str, np.ndarray]) -> np.ndarray:
    label = each["label"] if model.conditional else None
    return model.decode(model.encode(each["video"], label=label)["codes"]).numpy()


def no_reconstruction(context: EvaluationContext) -> str | None:
    if not hasattr(context.model, "reconstruct"):
        return f"{context.config.model} has no encoder, and no codes of its videos"
    keys = model_class(context.config.model).code_keys(context.config.hyperparameters)
    if keys and (context.frames > context.model.frames or context.pick != "start"):
        return "its codes are of the first frames of a video: leave --frames and --windows out"
    return None


def filled_in(context: EvaluationContext) -> list[Measured]:
    """L2 of clips filled in between their ends, beside that of the linear interpolation."""
    model, count, seen = context.model, context.count(), 0
    temperatures = {"samples": 1.0, "best_guess": 0.0}
    if not model.noise_shapes(context.frames):  # there is but one filling
        temperatures = {"model": 1.0}
    fills = {n: filling(model, context.batch, context.seed, t) for n, t in temperatures.items()}
    linear = filling(LinearInterpolation(model.image_shape, context.frames), context.batch)
    names = [*fills, "linear_interpolation"]
    means, nearer = ({name: BootstrapMean(seed=context.seed) for name in names} for _ in range(2))
    for clips in counted_clips(context.real(), count, "real", least_frames=2):
        straight = l2_distances(linear(clips, seen), clips)
        means["linear_interpolation"].update(straight)
        for name, fill in fills.items():
            distances = l2_distances(fill(clips, seen), clips)
            means[name].update(distances)
            nearer[name].update(distances < straight)
        seen += len(clips)
    values = []
    for name in names:
        told = {"temperature": temperatures.get(name), "unit": "pixels in [0, 1]"}
        values.append(context.reported(f"between/{name}", means[name].interval(), LOWER, **told))
        if name in fills and context.config.model != "linear_interpolation":
            told["unit"] = "share of clips nearer than linear interpolation"
            share = nearer[name].interval()
            values.append(context.reported(f"between/{name}/nearer", share, HIGHER, **told))
    return values


def not_in_between(context: EvaluationContext) -> str | None:
    if not context.infills:
        return f"{context.config.model} makes no video between two frames"
    return None if context.frames > 1 else "--frames=1: a clip between two frames has 2 or more"


# === Whether clips move as real ones do ===


def frame_consistency(context: EvaluationContext) -> list[Measured]:
    """FCS of generated clips, and of real ones."""
    count, values = context.count(), []
    for what, batches in (("", context.generated()), ("/real", context.real())):
        mean = BootstrapMean(seed=context.seed)
        for clips in counted_clips(batches, count, what.strip("/") or "generated", 2):
            mean.update(frame_consistencies(as_bytes(clips)))
        told = (OF_REAL if what else context.making) | {"first_frame_counts": False}
        values.append(context.reported(f"frame_consistency{what}", mean.interval(), None, **told))
    return values


def no_motion(context: EvaluationContext) -> str | None:
    return "clips of one frame do not move" if context.frames < 2 else None


# === Whether clips are new, and differ ===


def diversity(context: EvaluationContext) -> list[Measured]:
    """How far apart samples are, and how far they are from training clips, beside real clips."""
    values, count = [], context.count()
    for what, batches in (("", context.generated()), ("/real", context.real())):
        groups = _groups_of(counted_clips(batches, count, "sampled"), count)
        means = [variety(group).mean for group in groups]
        told = (OF_REAL if what else context.making) | {
            "unit": "L2 of two clips, pixels in [0, 1]",
            "pairs": f"within {len(means)} groups of clips, over which the interval is made",
        }
        mean = bootstrap_interval(np.array(means), seed=context.seed)
        mean = mean._replace(count=count // len(means) * len(means))  # clips, not groups
        each = context.reported(f"diversity/variety{what}", mean, HIGHER, OF_VARIETY, **told)
        values.append(each)
    return values if context.split == "train" else values + _novelty(context)


def _groups_of(batches: Iterator[np.ndarray], count: int) -> Iterator[Iterator[np.ndarray]]:
    """As many groups of clips, of two or more each, one after the other; all of equal size."""
    number = max(1, min(VARIETY_GROUPS, count // 2))
    clips = (clip[None] for batch in batches for clip in batch)
    return (itertools.islice(clips, count // number) for _ in range(number))


def _novelty(context: EvaluationContext) -> list[Measured]:
    """Distances to the nearest training clips."""
    number = min(QUERIES, context.count())
    samples, held_out = (
        np.concatenate(list(counted_clips(batches, number, "sampled")))
        for batches in (context.generated(), context.real())
    )
    windows = 1 if context.cut_once else TRAINING_WINDOWS
    found = novelty(samples, held_out, context.training(windows))
    told = {
        "unit": "L2 to the nearest training clip, pixels in [0, 1]",
        "training_clips": context.info.splits["train"].count * windows,
        "windows_of_a_training_video": windows,
    }
    values = []
    for what, distances in (("", found.samples), ("/real", found.held_out)):
        of = OF_REAL if what else context.making
        mean = bootstrap_interval(distances, seed=context.seed)
        values.append(context.reported(f"diversity/nearest{what}", mean, None, **of, **told))
    generator = np.random.default_rng(context.seed)
    drawn = [
        each[generator.integers(len(each), size=[1000, len(each)])].mean(axis=1)
        for each in (found.samples, found.held_out)
    ]
    ratio = interval_of_replicates(drawn[0] / np.maximum(drawn[1], 1e-12), found.ratio, number)
    told["unit"] = "mean distance of samples over that of held-out clips; far below 1 are copies"
    return [*values, context.reported("diversity/novelty", ratio, None, OF_RATIO, **told)]
