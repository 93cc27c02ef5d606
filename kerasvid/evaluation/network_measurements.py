"""What of a run is measured by networks: a classifier of its data, I3D, VGG16.

Each function takes a `EvaluationContext` and gives values with their protocol, or says, before any clip is
looked at, why there are none. They stream: what they keep does not grow with the number of clips.
"""

from collections.abc import Callable, Iterator

import numpy as np

from kerasvid.evaluation.classifiers.networks import one_frame_each
from kerasvid.evaluation.context import OF_ANSWERS, OF_REAL, EvaluationContext, with_classifier
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
LEAST_ACCURACY = 0.99  # of a classifier of Sprites' disentanglement


# === Distances of sets of clips ===


def frechet(context: EvaluationContext) -> list[Measured]:
    """The Frechet distance of the clip classifier's features."""
    classifier, count = context.classifier("clip"), context.count()
    return [_distance(context, "frechet", classifier.features, count)]


def fvd(context: EvaluationContext) -> list[Measured]:
    """FVD, by I3D."""
    features = I3DFeatures(context.choices.i3d_weights, context.choices.padding)
    return [_distance(context, "fvd", features, context.count())]


def _distance(context: EvaluationContext, name: str, features: Callable, count: int) -> Measured:
    found = frechet_video_distance(
        context.real(), context.generated(), features, count, context.split, GROUPS
    )
    told, size = dict(found.features), found.features.get("size", 400)
    if count <= size:
        told["note"] = f"{count} clips for {size} numbers a feature: covariances lack rank"
    facts = context.making | {"of": f"{context.making['of']} from real ones", "features": told}
    return context.reported_alone(name, found.distance, LOWER, count, found.std, 0.0, **facts)


def no_clip_classifier(context: EvaluationContext) -> str | None:
    if context.frames < 2:
        return f"{context.config.model} makes single frames, a clip classifier sees two or more"
    return no_labels(context)


def no_labels(context: EvaluationContext) -> str | None:
    if context.choices.classifier_of is None and not context.heads():
        return f"{context.config.dataset} names no classes and no attributes that a classifier could tell"
    return None


def no_images(context: EvaluationContext) -> str | None:
    needed = IMAGE_BATCHES * IMAGES
    there = context.info.splits[context.split].count * context.choices.windows
    if context.infills and there < needed:
        return (
            f"needs {needed:,} images, one of a clip, and between the ends of real clips "
            f"{context.config.model} makes {there}: give more --windows or another --split"
        )
    return no_labels(context)


def no_i3d(context: EvaluationContext) -> str | None:
    if context.choices.i3d_weights is None:
        return "needs the weights of I3D: give --i3d_weights"
    if context.frames < LEAST_FRAMES and context.choices.padding is None:
        return f"I3D needs {LEAST_FRAMES} frames, clips have {context.frames}: give --padding"
    return None


def motion_consistency(context: EvaluationContext) -> list[Measured]:
    """MCS of VGG16's features, with signed and with absolute changes."""
    features, count, values = VGG16Features(context.choices.vgg_weights), context.count(), []
    for way in ("signed", "absolute"):
        found = motion_consistency_score(
            context.real(), context.generated(), features, count, way, GROUPS
        )
        told = context.making | {"of": f"{context.making['of']} from real ones"}
        told |= {"features": "VGG16 relu3_3", "differences": way, "resize": None}
        values.append(
            context.reported_alone(
                f"motion_consistency/{way}", found.score, LOWER, count, found.std, **told
            )
        )
    return values


def no_vgg(context: EvaluationContext) -> str | None:
    if context.choices.vgg_weights is None:
        return "needs the weights of VGG16: give --vgg_weights"
    if min(context.info.frame_shape[:2]) < LEAST_SIZE:
        return f"VGG16 sees frames of {LEAST_SIZE}x{LEAST_SIZE} or more"
    return no_motion(context)


# === What a classifier says ===


def inception(context: EvaluationContext) -> list[Measured]:
    """IS of clips by the clip classifier, for each of its heads, beside that of real clips."""
    classifier, count, values = context.classifier("clip"), context.count(), []
    for what, batches in (("", context.generated()), ("/real", context.real())):
        scores = {name: BootstrapEntropies(seed=context.seed) for name in classifier.heads}
        for clips in counted_clips(batches, count, what.strip("/") or "generated"):
            for name, answers in classifier.probabilities(clips).items():
                scores[name].update(answers)
        for name, each in scores.items():
            found = each.intervals()
            told = (OF_REAL if what else context.making) | {
                **with_classifier(classifier),
                "classes": classifier.heads[name],
                "conditional_entropy": found["conditional"].mean,
                "marginal_entropy": found["marginal"].mean,
            }
            told_as = f"inception/{name}{what}"
            values.append(context.reported(told_as, found["score"], HIGHER, OF_ANSWERS, **told))
    return values


def image_inception(context: EvaluationContext) -> list[Measured]:
    """IS of images by the frame classifier: mean and std over 10 batches of 128."""
    classifier, count = context.classifier("frame"), IMAGE_BATCHES * IMAGES
    parts: dict[str, list] = {name: [] for name in classifier.heads}
    for images in counted_clips(_images(context), count, "generated"):
        for name, answers in classifier.probabilities(images).items():
            parts[name].append(answers)
    drawn = {"of": "one random frame of each generated clip"}
    own = {"of": "images", "made": "by generate_images"}
    told = context.making | (own if hasattr(context.model, "image_of") else drawn)
    told |= with_classifier(classifier) | {
        "batches": f"{IMAGE_BATCHES} of {IMAGES}, std over them",
    }
    values = []
    for name, answers in parts.items():
        mean, std = inception_score(np.concatenate(answers), IMAGE_BATCHES)
        values.append(
            context.reported_alone(f"image_inception/{name}", mean, HIGHER, count, std=std, **told)
        )
    return values


def _images(context: EvaluationContext) -> Iterator[np.ndarray]:
    """Clips of one frame each, without an end."""
    if hasattr(context.model, "image_of"):
        return generated_images(context.model, context.batch, context.seed)
    return _one_frame_each(context.generated(), context.seed * 1_000_003)


def _one_frame_each(batches: Iterator[np.ndarray], seed: int) -> Iterator[np.ndarray]:
    """A random frame of each clip; that of clip i follows from seed + i, whatever the batches."""
    for clips in batches:
        frames = [one_frame_each(clip[None], seed + i) for i, clip in enumerate(clips)]
        yield np.concatenate(frames)
        seed += len(clips)


def disentanglement(context: EvaluationContext) -> list[Measured]:
    """What the clip classifier sees when content, or motion, is drawn anew, as `disentanglement.py`."""
    classifier, count = context.classifier("clip", LEAST_ACCURACY), context.count()
    heads = classifier.heads
    attributes = {name: k for name, k in heads.items() if name in context.info.attribute_names}
    label = next((name for name in heads if name not in attributes), None)
    kept, redrawn = {}, {}
    if label is not None:
        batches = ((each["video"], each["label"]) for each in context.labelled())
        of_label = lambda clips: classifier.probabilities(clips)[label]  # noqa: E731
        made = recombination(context.model, context.batch, keep_motion=True)
        kept[label] = action_kept(batches, made, of_label, count, heads[label], context.seed)
        redrawn[label] = "content drawn from its prior, motion kept"
    if attributes:
        columns = [context.info.attribute_names.index(name) for name in attributes]
        batches = ((b["video"], b["attributes"][:, columns]) for b in context.labelled())
        made = recombination(context.model, context.batch, keep_motion=False)
        kept |= attributes_kept(
            batches, made, classifier.probabilities, count, attributes, context.seed
        )
        redrawn |= dict.fromkeys(attributes, "motion drawn from its learned prior, content kept")
    better = {"accuracy": HIGHER, "score": HIGHER, "conditional": LOWER, "marginal": HIGHER}
    values = []
    for name, found in kept.items():
        told = with_classifier(classifier) | {
            "redrawn": redrawn[name],
            "classes": heads[name],
            "classes_count": "alike",
            "accuracy_on_the_same_clips_unchanged": found.real_accuracy,
        }
        for part, way in better.items():
            if part in found.intervals:
                measured_as = f"disentanglement/{name}/{part}"
                interval = found.intervals[part]
                values.append(context.reported(measured_as, interval, way, OF_ANSWERS, **told))
    return values


def not_apart(context: EvaluationContext) -> str | None:
    model, name = context.model, context.config.model
    # Of learned codes a trial would descend for long; the flow of other models is quick to see.
    if hasattr(model, "encode") and not hasattr(model, "tables") and not context.infills:
        clips = np.zeros([1, context.frames, *model.image_shape], np.uint8)
        if {"content", "motion", "codes"} <= set(model.encode(clips)):
            return no_clip_classifier(context)
    return f"{name} has no codes of content and of motion apart of new videos, as dsa has"
