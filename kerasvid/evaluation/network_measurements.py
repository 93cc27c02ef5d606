"""What of a run is measured by networks: a judge of its data, I3D, VGG16.

Each function takes a `Subject` and gives values with their protocol, or says, before any clip is
looked at, why there are none. They stream: what they keep does not grow with the number of clips.
"""

from collections.abc import Callable, Iterator

import numpy as np

from kerasvid.evaluation.classifiers.networks import one_frame_each
from kerasvid.evaluation.context import OF_ANSWERS, OF_REAL, Subject, with_judge
from kerasvid.evaluation.generated_clips import generated_images, recombination
from kerasvid.evaluation.metrics.clip_batches import counted_clips
from kerasvid.evaluation.metrics.disentanglement import action_kept, attributes_kept
from kerasvid.evaluation.metrics.fvd import I3DFeatures, frechet_video_distance
from kerasvid.evaluation.metrics.i3d import LEAST_FRAMES
from kerasvid.evaluation.metrics.inception_score import BootstrapEntropies, inception_score
from kerasvid.evaluation.metrics.intervals import GROUPS
from kerasvid.evaluation.metrics.motion_consistency import (
    LEAST_SIZE,
    VGG16Features,
    motion_consistency_score,
)
from kerasvid.evaluation.pixel_measurements import no_motion
from kerasvid.evaluation.report import HIGHER, LOWER, Measured

IMAGE_BATCHES, IMAGES = 10, 128  # of the residual-vector paper's inception score of images
LEAST_ACCURACY = 0.99  # of a judge of Sprites' disentanglement


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
    facts = subject.making | {"of": f"{subject.making['of']} from real ones", "features": told}
    return subject.told_alone(name, found.distance, LOWER, count, found.deviation, 0.0, **facts)


def no_clip_judge(subject: Subject) -> str | None:
    if subject.frames < 2:
        return f"{subject.plan.model} makes single frames, a clip judge sees two or more"
    return no_labels(subject)


def no_labels(subject: Subject) -> str | None:
    if subject.choices.judge_of is None and not subject.heads():
        return f"{subject.plan.dataset} names no classes and no attributes that a judge could tell"
    return None


def no_images(subject: Subject) -> str | None:
    needed = IMAGE_BATCHES * IMAGES
    there = subject.info.splits[subject.split].count * subject.choices.windows
    if subject.fills_in and there < needed:
        return (
            f"needs {needed:,} images, one of a clip, and between the ends of real clips "
            f"{subject.plan.model} makes {there}: give more --windows or another --split"
        )
    return no_labels(subject)


def no_i3d(subject: Subject) -> str | None:
    if subject.choices.i3d_weights is None:
        return "needs the weights of I3D: give --i3d_weights"
    if subject.frames < LEAST_FRAMES and subject.choices.padding is None:
        return f"I3D needs {LEAST_FRAMES} frames, clips have {subject.frames}: give --padding"
    return None


def motion_consistency(subject: Subject) -> list[Measured]:
    """MCS of VGG16's features, with signed and with absolute changes."""
    features, count, values = VGG16Features(subject.choices.vgg_weights), subject.count(), []
    for way in ("signed", "absolute"):
        found = motion_consistency_score(
            subject.real(), subject.generated(), features, count, way, GROUPS
        )
        told = subject.making | {"of": f"{subject.making['of']} from real ones"}
        told |= {"features": "VGG16 relu3_3", "differences": way, "resize": None}
        values.append(
            subject.told_alone(
                f"motion_consistency/{way}", found.score, LOWER, count, found.deviation, **told
            )
        )
    return values


def no_vgg(subject: Subject) -> str | None:
    if subject.choices.vgg_weights is None:
        return "needs the weights of VGG16: give --vgg_weights"
    if min(subject.info.frame_shape[:2]) < LEAST_SIZE:
        return f"VGG16 sees frames of {LEAST_SIZE}x{LEAST_SIZE} or more"
    return no_motion(subject)


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
            told = (OF_REAL if what else subject.making) | {
                **with_judge(judge),
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
    drawn = {"of": "one random frame of each generated clip"}
    own = {"of": "images", "made": "by generate_images"}
    told = subject.making | (own if hasattr(subject.model, "still_of") else drawn)
    told |= with_judge(judge) | {
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
    return _one_frame_each(subject.generated(), subject.seed * 1_000_003)


def _one_frame_each(batches: Iterator[np.ndarray], seed: int) -> Iterator[np.ndarray]:
    """A random frame of each clip; that of clip i follows from seed + i, whatever the batches."""
    for clips in batches:
        frames = [one_frame_each(clip[None], seed + i) for i, clip in enumerate(clips)]
        yield np.concatenate(frames)
        seed += len(clips)


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


def not_apart(subject: Subject) -> str | None:
    model, name = subject.model, subject.plan.model
    # Of learned codes a trial would descend for long; the flow of other models is quick to see.
    if hasattr(model, "encode") and not hasattr(model, "tables") and not subject.fills_in:
        clips = np.zeros([1, subject.frames, *model.image_shape], np.uint8)
        if {"content", "motion", "codes"} <= set(model.encode(clips)):
            return no_clip_judge(subject)
    return f"{name} has no codes of content and of motion apart of new videos, as dsa has"
