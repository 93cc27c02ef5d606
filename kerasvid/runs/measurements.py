"""The metrics that a run is evaluated by: what each needs of a model and its data, and its values.

Every function takes a `Subject` and gives values with their protocol. They stream: what they keep
does not grow with the number of clips. `METRICS` lists them by the names that they are asked for.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from kerasvid.metrics.bootstrap import BootstrapMean, bootstrap_interval, interval_of_replicates
from kerasvid.metrics.clip_batches import counted_clips
from kerasvid.metrics.disentanglement import action_kept, attributes_kept
from kerasvid.metrics.diversity import novelty, variety
from kerasvid.metrics.frame_consistency import frame_consistencies
from kerasvid.metrics.fvd import I3DFeatures, frechet_video_distance
from kerasvid.metrics.i3d import LEAST_FRAMES
from kerasvid.metrics.inception_score import BootstrapEntropies, inception_score
from kerasvid.metrics.jackknife import GROUPS
from kerasvid.metrics.judge import one_frame_each
from kerasvid.metrics.l2_distance import l2_distances
from kerasvid.metrics.motion_consistency import (
    LEAST_SIZE,
    VGG16Features,
    motion_consistency_score,
)
from kerasvid.metrics.reconstruction import reconstruction_scores
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.models.registry import model_class
from kerasvid.runs.evaluation_data import evaluation_split
from kerasvid.runs.evaluation_report import HIGHER, LOWER, Measured
from kerasvid.runs.evaluation_subject import (
    OF_ANSWERS,
    Subject,
    with_judge,
)
from kerasvid.runs.generated_clips import (
    filling,
    generated_images,
    recall,
    recombination,
    reconstruction,
)

IMAGE_BATCHES, IMAGES = 10, 128  # of the residual-vector paper's inception score of images
LEAST_ACCURACY = 0.99  # of a judge of Sprites' disentanglement
QUERIES = 64  # samples, and held-out clips, whose nearest training clips are looked for
TRAINING_WINDOWS = 8  # of each training video among which they are looked for, if it is longer
VARIETY_GROUPS = 20


class Metric(NamedTuple):
    """A metric by its name.

    Args:
        measure: a subject's values.
        refusal: why a subject cannot give it, or `None`; looks at no clip.
        summary: what it tells, in a few words.
    """

    measure: Callable[[Subject], list[Measured]]
    refusal: Callable[[Subject], str | None]
    summary: str


# === What is shown again, or between two frames ===


def reconstructed(subject: Subject) -> list[Measured]:
    """L2, PSNR and SSIM of clips and of what the model makes of them, from its codes."""
    pairs, count, told = _pairs(subject)
    found = reconstruction_scores(pairs, count, seed=subject.seed)
    values = [subject.told("reconstruction/l2", found.l2, LOWER, unit="pixels in [0, 1]", **told)]
    if found.psnr is not None:
        equal = {"equal_clips_left_out": found.equal} if found.equal else {}
        values.append(
            subject.told("reconstruction/psnr", found.psnr, HIGHER, unit="dB", **equal, **told)
        )
    return [*values, subject.told("reconstruction/ssim", found.ssim, HIGHER, **told)]


def _pairs(subject: Subject) -> tuple[Iterator, int, dict]:
    """Clips and what is shown of each, how many, and the protocol."""
    model, plan = subject.model, subject.plan
    keys = model_class(plan.model).code_keys(plan.hyperparameters)
    if not keys:
        again = reconstruction(model, subject.batch)
        pairs = ((clips, again(clips)) for clips in subject.real())
        return pairs, subject.count(), {"codes": "means of the posteriors"}
    split = subject.choices.split or evaluation_split(plan, subject.info)[0]
    if split == "train" or split == evaluation_split(plan, subject.info)[0]:
        again = recall(model, subject.batch)
        pairs = ((each["video"], again(each)) for each in subject.labelled(split))
        which = "training videos" if split == "train" else f"known {' and '.join(sorted(keys))}"
        return pairs, subject.count(split), {"split": split, "codes": f"learned, of {which}"}
    pairs = ((each["video"], _descended(model, each)) for each in subject.labelled(split))
    return pairs, subject.count(split), {"codes": "found by 300 steps of descent on each clip"}


def _descended(model, each: dict[str, np.ndarray]) -> np.ndarray:
    label = each["label"] if model.conditional else None
    return model.decode(model.encode(each["video"], label=label)["codes"]).numpy()


def _no_reconstruction(subject: Subject) -> str | None:
    if not hasattr(subject.model, "reconstruct"):
        return f"{subject.plan.model} has no encoder, and no codes of its videos"
    keys = model_class(subject.plan.model).code_keys(subject.plan.hyperparameters)
    if keys and (subject.frames > subject.model.frames or subject.pick != "start"):
        return "its codes are of the first frames of a video: leave --frames and --windows out"
    return None


def filled_in(subject: Subject) -> list[Measured]:
    """L2 of clips filled in between their ends, beside that of the linear interpolation."""
    model, count, seen = subject.model, subject.count(), 0
    temperatures = {"samples": 1.0, "best_guess": 0.0}
    if not model.noise_shapes(subject.frames):  # there is but one filling
        temperatures = {"model": 1.0}
    fills = {n: filling(model, subject.batch, subject.seed, t) for n, t in temperatures.items()}
    linear = filling(LinearInterpolation(model.image_shape, subject.frames), subject.batch)
    names = [*fills, "linear_interpolation"]
    means, nearer = ({name: BootstrapMean(seed=subject.seed) for name in names} for _ in range(2))
    for clips in counted_clips(subject.real(), count, "real", least_frames=2):
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
        values.append(subject.told(f"between/{name}", means[name].interval(), LOWER, **told))
        if name in fills and subject.plan.model != "linear_interpolation":
            told["unit"] = "share of clips nearer than linear interpolation"
            share = nearer[name].interval()
            values.append(subject.told(f"between/{name}/nearer", share, HIGHER, **told))
    return values


def _not_in_between(subject: Subject) -> str | None:
    if not subject.fills_in:
        return f"{subject.plan.model} makes no video between two frames"
    return None if subject.frames > 1 else "--frames=1: a clip between two frames has 2 or more"


# === Distances of sets of clips ===


def frechet(subject: Subject) -> list[Measured]:
    """The Frechet distance of the clip judge's features."""
    judge, count = subject.judge("clip"), subject.count()
    return [_distance(subject, "frechet", judge.features, count)]


def fvd(subject: Subject) -> list[Measured]:
    """FVD, by I3D."""
    features = I3DFeatures(subject.choices.i3d_weights, subject.choices.padding)
    return [_distance(subject, "fvd", features, subject.count())]


def _distance(subject: Subject, name: str, features: Callable, count: int) -> Measured:
    found = frechet_video_distance(
        subject.real(), subject.generated(), features, count, subject.split, GROUPS
    )
    told, size = dict(found.features), found.features.get("size", 400)
    if count <= size:
        told["note"] = f"{count} clips for {size} numbers a feature: covariances lack rank"
    return subject.told_alone(
        name, found.distance, LOWER, count, found.deviation, 0.0, features=told
    )


def _no_clip_judge(subject: Subject) -> str | None:
    if subject.frames < 2:
        return f"{subject.plan.model} makes single frames, a clip judge sees two or more"
    return _no_labels(subject)


def _no_labels(subject: Subject) -> str | None:
    if subject.choices.judge_of is None and not subject.heads():
        return f"{subject.plan.dataset} names no classes and no attributes that a judge could tell"
    return None


def _no_i3d(subject: Subject) -> str | None:
    if subject.choices.i3d_weights is None:
        return "needs the weights of I3D: give --i3d_weights"
    if subject.frames < LEAST_FRAMES and subject.choices.padding is None:
        return f"I3D needs {LEAST_FRAMES} frames, clips have {subject.frames}: give --padding"
    return None


# === What a judge says ===


def inception(subject: Subject) -> list[Measured]:
    """IS of clips by the clip judge, for each of its heads, beside that of real clips."""
    judge, count, values = subject.judge("clip"), subject.count(), []
    for what, batches in (("", subject.generated()), ("/real", subject.real())):
        scores = {name: BootstrapEntropies(seed=subject.seed) for name in judge.heads}
        for clips in counted_clips(batches, count, what.strip("/") or "generated"):
            for name, answers in judge.probabilities(clips).items():
                scores[name].update(answers)
        for name, each in scores.items():
            found = each.intervals()
            told = with_judge(judge) | {
                "of": "real clips" if what else "generated clips",
                "classes": judge.heads[name],
                "conditional_entropy": found["conditional"].mean,
                "marginal_entropy": found["marginal"].mean,
            }
            told_as = f"inception/{name}{what}"
            values.append(subject.told(told_as, found["score"], HIGHER, OF_ANSWERS, **told))
    return values


def image_inception(subject: Subject) -> list[Measured]:
    """IS of images by the frame judge: mean and deviation over 10 batches of 128."""
    judge, count = subject.judge("frame"), IMAGE_BATCHES * IMAGES
    parts: dict[str, list] = {name: [] for name in judge.heads}
    for images in counted_clips(_images(subject), count, "generated"):
        for name, answers in judge.probabilities(images).items():
            parts[name].append(answers)
    has_images = hasattr(subject.model, "still_of")
    told = with_judge(judge) | {
        "of": "generate_images" if has_images else "one random frame of each generated clip",
        "batches": f"{IMAGE_BATCHES} of {IMAGES}, deviation over them",
    }
    values = []
    for name, answers in parts.items():
        mean, deviation = inception_score(np.concatenate(answers), IMAGE_BATCHES)
        values.append(
            subject.told_alone(
                f"image_inception/{name}", mean, HIGHER, count, deviation=deviation, **told
            )
        )
    return values


def _images(subject: Subject) -> Iterator[np.ndarray]:
    """Clips of one frame each, without an end."""
    if hasattr(subject.model, "still_of"):
        return generated_images(subject.model, subject.batch, subject.seed)
    return (
        one_frame_each(clips, seed=subject.seed * 1_000_003 + number)
        for number, clips in enumerate(subject.generated())
    )


def disentanglement(subject: Subject) -> list[Measured]:
    """What the clip judge sees when content, or motion, is drawn anew, as `disentanglement.py`."""
    judge, count = subject.judge("clip", LEAST_ACCURACY), subject.count()
    heads = judge.heads
    attributes = {name: k for name, k in heads.items() if name in subject.info.attribute_names}
    label = next((name for name in heads if name not in attributes), None)
    kept, redrawn = {}, {}
    if label is not None:
        batches = ((each["video"], each["label"]) for each in subject.labelled())
        of_label = lambda clips: judge.probabilities(clips)[label]  # noqa: E731
        made = recombination(subject.model, subject.batch, keep_motion=True)
        kept[label] = action_kept(batches, made, of_label, count, heads[label], subject.seed)
        redrawn[label] = "content drawn from its prior, motion kept"
    if attributes:
        columns = [subject.info.attribute_names.index(name) for name in attributes]
        batches = ((b["video"], b["attributes"][:, columns]) for b in subject.labelled())
        made = recombination(subject.model, subject.batch, keep_motion=False)
        kept |= attributes_kept(batches, made, judge.probabilities, count, attributes, subject.seed)
        redrawn |= dict.fromkeys(attributes, "motion drawn from its learned prior, content kept")
    better = {"accuracy": HIGHER, "score": HIGHER, "conditional": LOWER, "marginal": HIGHER}
    values = []
    for name, found in kept.items():
        told = with_judge(judge) | {
            "redrawn": redrawn[name],
            "classes": heads[name],
            "classes_count": "alike",
            "accuracy_on_the_same_clips_unchanged": found.real_accuracy,
        }
        for part, way in better.items():
            if part in found.intervals:
                measured_as = f"disentanglement/{name}/{part}"
                interval = found.intervals[part]
                values.append(subject.told(measured_as, interval, way, OF_ANSWERS, **told))
    return values


def _not_apart(subject: Subject) -> str | None:
    model, name = subject.model, subject.plan.model
    # Of learned codes a trial would descend for long; the flow of other models is quick to see.
    if hasattr(model, "encode") and not hasattr(model, "tables") and not subject.fills_in:
        clips = np.zeros([1, subject.frames, *model.image_shape], np.uint8)
        if {"content", "motion", "codes"} <= set(model.encode(clips)):
            return _no_clip_judge(subject)
    return f"{name} has no codes of content and of motion apart of new videos, as dsa has"


# === Whether clips move as real ones do ===


def frame_consistency(subject: Subject) -> list[Measured]:
    """FCS of generated clips, and of real ones."""
    count, values = subject.count(), []
    for what, batches in (("", subject.generated()), ("/real", subject.real())):
        mean = BootstrapMean(seed=subject.seed)
        for clips in counted_clips(batches, count, what.strip("/") or "generated", 2):
            mean.update(frame_consistencies(clips))
        told = {"of": "real clips" if what else "generated clips", "first_frame_counts": False}
        values.append(subject.told(f"frame_consistency{what}", mean.interval(), None, **told))
    return values


def _no_motion(subject: Subject) -> str | None:
    return "clips of one frame do not move" if subject.frames < 2 else None


def motion_consistency(subject: Subject) -> list[Measured]:
    """MCS of VGG16's features, with signed and with absolute changes."""
    features, count, values = VGG16Features(subject.choices.vgg_weights), subject.count(), []
    for way in ("signed", "absolute"):
        found = motion_consistency_score(
            subject.real(), subject.generated(), features, count, way, GROUPS
        )
        told = {"features": "VGG16 relu3_3", "differences": way, "resize": None}
        values.append(
            subject.told_alone(
                f"motion_consistency/{way}", found.score, LOWER, count, found.deviation, **told
            )
        )
    return values


def _no_vgg(subject: Subject) -> str | None:
    if subject.choices.vgg_weights is None:
        return "needs the weights of VGG16: give --vgg_weights"
    if min(subject.info.frame_shape[:2]) < LEAST_SIZE:
        return f"VGG16 sees frames of {LEAST_SIZE}x{LEAST_SIZE} or more"
    return _no_motion(subject)


# === Whether clips are new, and differ ===


def diversity(subject: Subject) -> list[Measured]:
    """How far apart samples are, and how far they are from training clips, beside real clips."""
    values, count = [], subject.count()
    for what, batches in (("", subject.generated()), ("/real", subject.real())):
        groups = _groups_of(counted_clips(batches, count, "sampled"), count)
        means = [variety(group).mean for group in groups]
        told = {
            "of": "real clips" if what else "generated clips",
            "unit": "L2 of two clips, pixels in [0, 1]",
            "pairs": f"within {len(means)} groups of clips, over which the interval is made",
        }
        mean = bootstrap_interval(np.array(means), seed=subject.seed)._replace(count=count)
        each = subject.told(f"diversity/variety{what}", mean, HIGHER, OF_ANSWERS, **told)
        values.append(each)
    return values if subject.split == "train" else values + _novelty(subject)


def _groups_of(batches: Iterator[np.ndarray], count: int) -> Iterator[Iterator[np.ndarray]]:
    """As many groups of clips, of two or more each, one after the other; all of equal size."""
    number = max(1, min(VARIETY_GROUPS, count // 2))
    clips = (clip[None] for batch in batches for clip in batch)
    return (itertools.islice(clips, count // number) for _ in range(number))


def _novelty(subject: Subject) -> list[Measured]:
    """Distances to the nearest training clips."""
    number = min(QUERIES, subject.count())
    samples, held_out = (
        np.concatenate(list(counted_clips(batches, number, "sampled")))
        for batches in (subject.generated(), subject.real())
    )
    windows = 1 if subject.cut_once else TRAINING_WINDOWS
    found = novelty(samples, held_out, subject.training(windows))
    told = {
        "unit": "L2 to the nearest training clip, pixels in [0, 1]",
        "training_clips": subject.info.splits["train"].count * windows,
        "windows_of_a_training_video": windows,
    }
    values = [
        subject.told(f"diversity/nearest{what}", bootstrap_interval(distances), None, **told)
        for what, distances in (("", found.samples), ("/real", found.held_out))
    ]
    generator = np.random.default_rng(subject.seed)
    drawn = [
        each[generator.integers(len(each), size=[1000, len(each)])].mean(axis=1)
        for each in (found.samples, found.held_out)
    ]
    ratio = interval_of_replicates(drawn[0] / np.maximum(drawn[1], 1e-12), found.ratio, number)
    told["unit"] = "mean distance of samples over that of held-out clips; far below 1 are copies"
    return [*values, subject.told("diversity/novelty", ratio, None, OF_ANSWERS, **told)]


def _always(subject: Subject) -> None:
    return None


METRICS = {
    "reconstruction": Metric(reconstructed, _no_reconstruction, "L2, PSNR, SSIM of its own codes"),
    "between": Metric(filled_in, _not_in_between, "L2 of videos between two frames"),
    "frechet": Metric(frechet, _no_clip_judge, "Frechet distance of the clip judge's features"),
    "fvd": Metric(fvd, _no_i3d, "Frechet distance of I3D's logits"),
    "inception": Metric(inception, _no_clip_judge, "inception score of clips by the clip judge"),
    "image_inception": Metric(image_inception, _no_labels, "inception score of images"),
    "disentanglement": Metric(disentanglement, _not_apart, "content and motion drawn anew"),
    "frame_consistency": Metric(frame_consistency, _no_motion, "FCS"),
    "motion_consistency": Metric(motion_consistency, _no_vgg, "MCS"),
    "diversity": Metric(diversity, _always, "variety of samples, and whether they are copies"),
}
