"""The metrics of an evaluation by name: `METRICS`, at the end of this file.

Each metric has two functions of an `EvaluationContext`: one measures and returns values with their
protocol, the other returns why the model or its data does not support the metric, or `None`, before
any clip is made. Clips are streamed: memory does not grow with their number.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from kerasvid.evaluation.classifiers.store import TrainedClassifier
from kerasvid.evaluation.classifiers.train import named_heads
from kerasvid.evaluation.context import OF_ANSWERS, OF_GROUPS, OF_RATIO, EvaluationContext
from kerasvid.evaluation.generated_clips import (
    clips_of_labels,
    generated_images,
    infilling,
    recall,
    recombination,
    recombined_clips,
    reconstruction,
)
from kerasvid.evaluation.metrics.clip_batches import as_bytes, counted_clips
from kerasvid.evaluation.metrics.disentanglement import answers_held, labels_kept
from kerasvid.evaluation.metrics.diversity import novelty, variety
from kerasvid.evaluation.metrics.frame_consistency import frame_consistencies
from kerasvid.evaluation.metrics.frechet import feature_distance
from kerasvid.evaluation.metrics.fvd import ClipFeatures, I3DFeatures
from kerasvid.evaluation.metrics.i3d import MIN_FRAMES
from kerasvid.evaluation.metrics.imagenet import InceptionFeatures
from kerasvid.evaluation.metrics.inception_score import answer_intervals, inception_score
from kerasvid.evaluation.metrics.intervals import (
    GROUPS,
    bootstrap_interval,
    interval_of_replicates,
    video_ranks,
)
from kerasvid.evaluation.metrics.motion_consistency import (
    DIFFERENCES,
    MIN_SIZE,
    VGG16Features,
    motion_consistency_score,
)
from kerasvid.evaluation.metrics.precision_recall import (
    DENSITY_NEAREST,
    MIN_VIDEOS,
    NEAREST,
    precision_recall,
)
from kerasvid.evaluation.metrics.reconstruction import reconstruction_scores
from kerasvid.evaluation.report import HIGHER, LOWER, Measured
from kerasvid.models.base.categories import class_count
from kerasvid.models.base.protocols import (
    Encoder,
    ImagePrior,
    LearnedCodes,
    Recombinable,
    Swappable,
)
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.models.registry import model_class
from kerasvid.training.clips import evaluation_split
from kerasvid.visualization.nearest_clip import l2_distances

IMAGE_BATCHES, IMAGES = 10, 128  # the inception score of images in the residual-vector paper
MIN_ACCURACY = 0.99  # of the classifier for disentanglement
SAMPLED_BETWEEN = 8  # videos between the same two frames, of which the nearest one is reported
QUERIES = 64  # samples, and held-out clips, whose nearest training clips are searched
TRAINING_WINDOWS = 8  # searched windows of each training video that is longer than a clip
VARIETY_GROUPS = 20
REDRAWN_SEED = 1_000_003  # added to the seed of content or motion that is drawn anew
REAL = {"of": "real clips"}


class ClipSet(NamedTuple):
    """A set of clips: the suffix of its values' names, batches, protocol, and `video_ranks`."""

    suffix: str
    batches: Iterator[np.ndarray]
    facts: dict[str, Any]
    videos: np.ndarray | None


def generated_and_real(context: EvaluationContext, unseen: bool = False) -> Iterator[ClipSet]:
    """Both sets of clips; with `unseen` those for a classifier, see `EvaluationContext.unseen`."""
    facts, videos = unseen_part(context) if unseen else {}, context.generated_videos(unseen)
    yield ClipSet("", context.generated(unseen), {**context.making, **facts}, videos)
    real = context.real(unseen=unseen), {**REAL, **facts}, context.videos(unseen=unseen)
    yield ClipSet("/real", *real)


def unseen_part(context: EvaluationContext) -> dict[str, Any]:
    """The part of a protocol about real clips that a classifier has not learned from."""
    if context.unseen is None:
        return {}
    number = int(context.unseen.sum())
    return {"real_videos": f"{number} training videos that the classifier did not learn from"}


# === Reconstruction, and videos between two frames ===


def reconstructed(context: EvaluationContext) -> Iterator[Measured]:
    """L2, PSNR and SSIM of the model's reconstructions."""
    pairs, count, facts = _reconstructed_pairs(context)
    videos = context.videos(facts.get("split"), count=count)
    found = reconstruction_scores(pairs, count, context.seed, videos)
    l2_facts = {"unit": "pixels in [0, 1]", **facts}
    yield context.reported("reconstruction/l2", found.l2, LOWER, **l2_facts)
    if found.psnr is not None:
        psnr_facts = {"unit": "dB", **facts}
        if found.equal:
            psnr_facts["equal_clips_left_out"] = found.equal
        yield context.reported("reconstruction/psnr", found.psnr, HIGHER, **psnr_facts)
    yield context.reported("reconstruction/ssim", found.ssim, HIGHER, **facts)


def _reconstructed_pairs(context: EvaluationContext) -> tuple[Iterator, int, dict]:
    """Pairs of real clips and their reconstructions, the number of clips, and the protocol."""
    model, config = context.model, context.config
    keys = model_class(config.model).code_keys(config.hyperparameters)
    if not keys:
        again = reconstruction(model, context.batch)
        pairs = ((clips, again(clips)) for clips in context.real())
        return pairs, context.count(), {"codes": "means of the posteriors"}
    known, _ = evaluation_split(config, context.info)
    split = context.evaluation_config.split or known
    if split in ("train", known):
        found = recall(model, context.batch)
        which = "training videos" if split == "train" else f"known {' and '.join(sorted(keys))}"
        codes = f"learned, of {which}"
    else:
        start = "the mean" if model.encoder_config is None else "the guess of an encoder"
        codes = f"found by {model.descent_steps()} steps of descent on each clip from {start}"

        def found(each: Mapping[str, np.ndarray]) -> np.ndarray:
            label = each["label"] if model.conditional else None
            return model.decode(model.encode(each["video"], label=label)["codes"]).numpy()

    pairs = ((each["video"], found(each)) for each in context.labelled(split))
    return pairs, context.count(split), {"split": split, "codes": codes}


def no_reconstruction(context: EvaluationContext) -> str | None:
    config, model = context.config, context.model
    if not isinstance(context.model, Encoder):
        return f"{config.model} has no encoder and no learned codes"
    keys = model_class(config.model).code_keys(config.hyperparameters)
    if keys and (context.frames > model.frames or context.pick != "start"):
        return "its codes are of the first frames of a video. Omit --frames and --windows"
    return None


def infilled(context: EvaluationContext) -> Iterator[Measured]:
    """L2 of videos between two frames, beside that of linear interpolation.

    Of `SAMPLED_BETWEEN` samples of each clip also the nearest one, for there is more than one way
    from a frame to another, and how far they are from each other. A model with classes takes those
    of the clips.
    """
    model, count = context.model, context.count()
    deterministic = not model.noise_shapes(context.frames)
    temperatures = {"model": 1.0} if deterministic else {"samples": 1.0, "best_guess": 0.0}
    labels = context.labels()
    fills = {
        n: infilling(model, context.batch, context.seed, t, labels) for n, t in temperatures.items()
    }
    seeds = () if deterministic else range(context.seed + 1, context.seed + SAMPLED_BETWEEN)
    further = [infilling(model, context.batch, seed, labels=labels) for seed in seeds]
    linear = infilling(LinearInterpolation(model.image_shape, context.frames), context.batch)
    names = [*fills, "linear_interpolation"]
    best, apart = f"best_of_{SAMPLED_BETWEEN}", "apart"
    distances: dict[str, list[np.ndarray]] = {name: [] for name in (*names, best, apart)}
    for clips in counted_clips(context.real(), count, "real", min_frames=2):
        made = {n: fill(clips) for n, fill in {**fills, "linear_interpolation": linear}.items()}
        for name, each in made.items():
            distances[name].append(l2_distances(each, clips))
        if further:
            samples = [made["samples"], *(fill(clips) for fill in further)]
            to_clips = [l2_distances(each, clips) for each in samples]
            distances[best].append(np.min(to_clips, axis=0))
            pairs = [l2_distances(*pair) for pair in itertools.combinations(samples, 2)]
            distances[apart].append(np.mean(pairs, axis=0))
    straight, videos = np.concatenate(distances["linear_interpolation"]), context.videos()
    for name in [*names, *((best, apart) if further else ())]:
        own = np.concatenate(distances[name])
        temperature = 1.0 if name in (best, apart) else temperatures.get(name)
        facts: dict[str, Any] = {"temperature": temperature, "unit": "pixels in [0, 1]"}
        mean = bootstrap_interval(own, seed=context.seed, videos=videos)
        better = HIGHER if name == apart else LOWER
        yield context.reported(f"between/{name}", mean, better, **facts)
        if name in fills and context.config.model != "linear_interpolation":
            facts["unit"] = "share of clips with a smaller L2 than linear interpolation"
            share = bootstrap_interval(own < straight, seed=context.seed, videos=videos)
            yield context.reported(f"between/{name}/nearer", share, HIGHER, **facts)


def no_infilling(context: EvaluationContext) -> str | None:
    if not context.infills:
        return f"{context.config.model} makes no video between two frames"
    return None if context.frames > 1 else "--frames=1 leaves no second frame. Use 2 or more"


# === Distances of sets of clips ===


def frechet(context: EvaluationContext) -> Iterator[Measured]:
    """The Frechet distance, precision and recall by the clip classifier's features."""
    yield from _distances(context, "frechet", context.classifier("clip").features, unseen=True)


def image_frechet(context: EvaluationContext) -> Iterator[Measured]:
    """The same of one random frame of each clip, by the frame classifier or by Inception V3."""
    if (weights := context.evaluation_config.inception_weights) is not None:
        yield from _distances(context, "image_frechet", InceptionFeatures(weights))
    else:
        features = context.classifier("frame").features
        yield from _distances(context, "image_frechet", features, unseen=True)


def no_image_features(context: EvaluationContext) -> str | None:
    weights = context.evaluation_config.inception_weights
    return no_labels(context) if weights is None else None


def no_clip_classifier(context: EvaluationContext) -> str | None:
    if context.frames < 2:
        return f"clips of {context.config.model} have one frame; a clip classifier needs two"
    return no_labels(context)


def no_labels(context: EvaluationContext) -> str | None:
    if not named_heads(context.info):
        return f"{context.config.dataset} has no classes or attributes to train a classifier on"
    return None


def fvd(context: EvaluationContext) -> Iterator[Measured]:
    """FVD, and precision and recall, by I3D."""
    config = context.evaluation_config
    yield from _distances(context, "fvd", I3DFeatures(config.i3d_weights, config.padding))


def no_i3d(context: EvaluationContext) -> str | None:
    if context.evaluation_config.i3d_weights is None:
        return "needs the weights of I3D. Use --i3d_weights"
    if context.frames < MIN_FRAMES and context.evaluation_config.padding is None:
        return f"I3D needs {MIN_FRAMES} frames, but clips have {context.frames}. Use --padding"
    return None


def _distances(
    context: EvaluationContext, name: str, features: ClipFeatures, unseen: bool = False
) -> Iterator[Measured]:
    """The Frechet distance of features, and the precision, recall, density and coverage."""
    real, made = (
        find(features, unseen) for find in (context.real_features, context.generated_features)
    )
    videos = context.videos(unseen=unseen), context.generated_videos(unseen)
    count, facts, notes = len(real), features.protocol(context.frames), []
    if count <= real.shape[1]:
        notes += [f"{count} clips for {real.shape[1]} features are too few: covariances lack rank"]
    if padding := facts.get("padding"):
        notes += [f"clips of {context.frames} frames, padded to {facts['seen_frames']}: {padding}"]
    apart = unseen_part(context) if unseen else {}
    notes += [f"real clips of {which}" for which in apart.values()]
    facts |= {"note": "; ".join(notes)} if notes else {}
    protocol = {**from_real(context), **apart, "features": facts}
    distance, std = feature_distance(real, made, GROUPS, *videos)
    yield context.reported_alone(name, distance, LOWER, count, std, 0.0, **protocol)
    numbers = (len(set(video_ranks(count, each))) for each in videos)
    if min(numbers) < MIN_VIDEOS:
        return
    facts = {key: value for key, value in facts.items() if key != "note"}
    for part, score in precision_recall(real, made, GROUPS, *videos).items():
        most = math.inf if part == "density" else 1.0
        nearest = NEAREST if part in ("precision", "recall") else DENSITY_NEAREST
        protocol = {**from_real(context), **apart, "features": facts, "nearest": nearest}
        scores = score.value, HIGHER, count, score.std, 0.0, most
        yield context.reported_alone(f"{name}/{part}", *scores, **protocol)


def from_real(context: EvaluationContext) -> dict[str, Any]:
    """The part of a protocol about a distance of generated clips from real ones."""
    return {**context.making, "of": f"{context.making['of']} from real ones"}


def motion_consistency(context: EvaluationContext) -> Iterator[Measured]:
    """MCS of VGG16's features, with signed and with absolute differences."""
    features, count = VGG16Features(context.evaluation_config.vgg_weights), context.count()
    for kind in DIFFERENCES:
        found = motion_consistency_score(
            context.real(), context.generated(), features, count, kind, GROUPS,
            context.videos(), context.generated_videos(),
        )  # fmt: skip
        facts: dict[str, Any] = {"features": "VGG16 relu3_3", "differences": kind, "resize": None}
        facts |= from_real(context)
        name = f"motion_consistency/{kind}"
        yield context.reported_alone(name, found.score, LOWER, count, found.std, **facts)


def no_vgg(context: EvaluationContext) -> str | None:
    if context.evaluation_config.vgg_weights is None:
        return "needs the weights of VGG16. Use --vgg_weights"
    if min(context.info.frame_shape[:2]) < MIN_SIZE:
        return f"VGG16 needs frames of {MIN_SIZE}x{MIN_SIZE} or more"
    return no_motion(context)


def no_motion(context: EvaluationContext) -> str | None:
    return "clips of one frame have no motion" if context.frames < 2 else None


def frame_consistency(context: EvaluationContext) -> Iterator[Measured]:
    """FCS of generated clips and of real ones."""
    for suffix, batches, facts, videos in generated_and_real(context):
        clips = counted_clips(batches, context.count(), facts["of"].removesuffix(" clips"), 2)
        values = np.concatenate([frame_consistencies(as_bytes(each)) for each in clips])
        mean = bootstrap_interval(values, seed=context.seed, videos=videos)
        name = f"frame_consistency{suffix}"
        yield context.reported(name, mean, None, **facts, first_frame_counts=False)


# === Answers of classifiers ===


def inception(context: EvaluationContext) -> Iterator[Measured]:
    """IS of clips by the clip classifier, for each head, beside that of real clips."""
    classifier, count = context.classifier("clip"), context.count(unseen=True)
    for suffix, batches, facts, videos in generated_and_real(context, unseen=True):
        clips = counted_clips(batches, count, facts["of"].removesuffix(" clips"))
        for name, answers in _answers(classifier, clips).items():
            found = answer_intervals(answers, seed=context.seed, videos=videos)
            own = {
                "classifier": classifier.protocol(),
                "classes": classifier.heads[name],
                "conditional_entropy": found["conditional"].mean,
                "marginal_entropy": found["marginal"].mean,
            }
            name = f"inception/{name}{suffix}"
            yield context.reported(name, found["score"], HIGHER, OF_ANSWERS, **facts, **own)


def _answers(classifier: TrainedClassifier, batches: Iterable) -> dict[str, np.ndarray]:
    """The probabilities `[N, K]` of all clips by head."""
    parts = [classifier.probabilities(clips) for clips in batches]
    return {head: np.concatenate([part[head] for part in parts]) for head in classifier.heads}


def image_inception(context: EvaluationContext) -> Iterator[Measured]:
    """IS of images by the frame classifier: mean and std over 10 batches of 128."""
    classifier, count = context.classifier("frame"), IMAGE_BATCHES * IMAGES
    facts = context.making
    if isinstance(context.model, ImagePrior):
        images = generated_images(context.model, context.batch, context.seed)
        facts |= {"of": "images", "made": "by generate_images"}
    else:
        images = single_frames(context.generated(), context.seed * 1_000_003)
        facts |= {"of": "one random frame of each generated clip"}
    facts |= {"classifier": classifier.protocol()}
    facts |= {"batches": f"{IMAGE_BATCHES} of {IMAGES}, std over them"}
    counted = counted_clips(images, count, "generated")
    for head, answers in _answers(classifier, counted).items():
        mean, std = inception_score(answers, IMAGE_BATCHES)
        name = f"image_inception/{head}"
        yield context.reported_alone(name, mean, HIGHER, count, std=std, **facts)


def single_frames(batches: Iterator[np.ndarray], seed: int) -> Iterator[np.ndarray]:
    """A random frame of each clip, given by seed + i for clip i, as clips of one frame."""
    for clips in batches:
        seeds = range(seed, seed + len(clips))
        chosen = [int(np.random.default_rng(s).random() * clips.shape[1]) for s in seeds]
        yield clips[np.arange(len(clips)), chosen][:, None]
        seed += len(clips)


def no_images(context: EvaluationContext) -> str | None:
    needed = IMAGE_BATCHES * IMAGES
    available = context.info.splits[context.split].count * context.windows
    if context.infills and available < needed:
        return (
            f"needs {needed:,} images, one of each clip, but {context.config.model} makes only "
            f"{available} clips between real frames. Use more --windows or another --split"
        )
    return no_labels(context)


def disentanglement(context: EvaluationContext) -> Iterator[Measured]:
    """Labels that the clip classifier finds after content, or motion, was drawn anew."""
    of_clips = isinstance(context.model, Recombinable)
    return _noise_redrawn(context) if of_clips else _codes_redrawn(context)


def _noise_redrawn(context: EvaluationContext) -> Iterator[Measured]:
    """Of generated clips: how often answers stay, for a held and for a redrawn factor."""
    classifier, attributes = context.classifier("clip"), context.info.attribute_names
    groups = {name: [name] for name in classifier.heads}
    if own := [name for name in classifier.heads if name in attributes]:
        groups["attributes"] = own
    seed, other = context.seed, context.seed + REDRAWN_SEED

    def clips_of(content: int, motion: int) -> Iterator[np.ndarray]:
        return recombined_clips(context.model, context.batch, context.frames, content, motion)

    redrawn = {"motion_held": clips_of(other, seed), "content_held": clips_of(seed, other)}
    answers = classifier.probabilities
    found = answers_held(context.generated(), redrawn, answers, groups, context.count(), seed)
    for held, by_group in found.items():
        for group, values in by_group.items():
            keeps = (group in attributes or group == "attributes") == (held == "content_held")
            facts = {
                **context.making,
                "classifier": classifier.protocol(),
                "labels": "the classifier's answers on the clips as generated",
                "held": held.removesuffix("_held"),
                "classes": [classifier.heads[label] for label in groups[group]],
                "agreement_by_chance": values.chance,
            }
            name, better = f"disentanglement/{group}/{held}", HIGHER if keeps else None
            yield context.reported(name, values.agreement, better, **facts)
            size = values.agreement.size
            yield context.reported_alone(f"{name}/chance", values.chance, None, size, **facts)


def _codes_redrawn(context: EvaluationContext) -> Iterator[Measured]:
    """Of real clips: their own labels, for a held factor."""
    classifier, attributes = context.classifier("clip", MIN_ACCURACY), context.info.attribute_names
    better = {"accuracy": HIGHER, "score": HIGHER, "conditional": LOWER, "marginal": HIGHER}
    for keep_motion, redrawn in (
        (True, "content drawn from its prior, motion kept"),
        (False, "motion drawn from its learned prior, content kept"),
    ):
        heads = {n: k for n, k in classifier.heads.items() if (n not in attributes) == keep_motion}
        if not heads:
            continue
        batches = (
            (b["video"], {n: b["label"] if keep_motion else b["attributes"][:, attributes.index(n)]
                          for n in heads})
            for b in context.labelled(unseen=True)
        )  # fmt: skip
        kept = labels_kept(
            batches, recombination(context.model, context.batch, keep_motion),
            classifier.probabilities, heads, context.count(unseen=True), context.seed,
            context.videos(unseen=True),
        )  # fmt: skip
        for head, found in kept.items():
            facts = {
                "classifier": classifier.protocol(),
                "redrawn": redrawn,
                "classes": classifier.heads[head],
                "weights_of_classes": "equal",
                "accuracy_on_the_same_clips_unchanged": found.real_accuracy,
                **unseen_part(context),
            }
            for part, direction in better.items():
                name, value = f"disentanglement/{head}/{part}", getattr(found, part)
                yield context.reported(name, value, direction, OF_ANSWERS, **facts)


def no_disentanglement(context: EvaluationContext) -> str | None:
    model = context.model
    if isinstance(model, Recombinable):
        return no_clip_classifier(context)
    if isinstance(model, Swappable) and not isinstance(model, LearnedCodes):
        clips = np.zeros([1, context.frames, *context.info.frame_shape], np.uint8)
        if {"content", "motion", "codes"} <= set(model.encode(clips)):
            return no_clip_classifier(context)
    return (
        f"{context.config.model} does not encode new videos to content and motion, as dsa does, "
        "or make them of separate noise of the two, as mocogan does"
    )


def constancy(context: EvaluationContext) -> Iterator[Measured]:
    """How often all frames of a clip show the same attributes, and how clear its action is.

    A clip is constant in an attribute if the frame classifier gives the same answer for all of its
    frames. The action is as clear as H(y | x) of the clip classifier is low. Real clips are beside.
    """
    frame, clip = context.classifier("frame"), context.classifier("clip")
    attributes = [name for name in frame.heads if name in context.info.attribute_names]
    count = context.count(unseen=True)
    for suffix, batches, facts, videos in generated_and_real(context, unseen=True):
        constant: dict[str, list[np.ndarray]] = {name: [] for name in attributes}
        answers: dict[str, list[np.ndarray]] = {
            name: [] for name in clip.heads if name not in attributes
        }
        for clips in counted_clips(batches, count, facts["of"].removesuffix(" clips")):
            frames = clips.reshape(-1, 1, *clips.shape[2:])  # [N * T, 1, H, W, C]
            of_frames, of_clips = frame.probabilities(frames), clip.probabilities(clips)
            for name in attributes:
                shown = of_frames[name].argmax(axis=1).reshape(len(clips), -1)  # [N, T]
                constant[name].append((shown == shown[:, :1]).all(axis=1))
            for name, parts in answers.items():
                parts.append(of_clips[name])
        joined = {name: np.concatenate(parts) for name, parts in constant.items()}
        joined["attributes"] = np.all([*joined.values()], axis=0)
        facts["unit"] = "share of clips whose frames all have the same answer"
        own = {**facts, "classifier": frame.protocol()}
        for name, values in joined.items():
            share = bootstrap_interval(values, seed=context.seed, videos=videos)
            yield context.reported(f"constancy/{name}{suffix}", share, HIGHER, **own)
        own = {**facts, "classifier": clip.protocol(), "unit": "H(y | x) in nats"}
        for name, parts in answers.items():
            joined_answers = np.concatenate(parts)
            found = answer_intervals(joined_answers, seed=context.seed, videos=videos)
            name = f"constancy/{name}/conditional_entropy{suffix}"
            yield context.reported(name, found["conditional"], LOWER, OF_ANSWERS, **own)


def no_constancy(context: EvaluationContext) -> str | None:
    if not {*named_heads(context.info)} & {*context.info.attribute_names}:
        return f"{context.config.dataset} has no attributes"
    return no_clip_classifier(context)


def label_accuracy(context: EvaluationContext) -> Iterator[Measured]:
    """How often the clip classifier finds the label that was asked for, over all labels alike."""
    classifier, head = context.classifier("clip"), label_head(context)
    count, names = class_count(context.model), context.info.class_names
    clips = counted_clips(
        clips_of_labels(context.model, context.batch, context.frames, context.seed),
        context.count(), "generated",
    )  # fmt: skip
    answers = _answers(classifier, clips)[head]
    asked = np.arange(len(answers)) % count
    facts = {
        **context.making,
        "of": "generated clips of every label in turn",
        "classifier": classifier.protocol(),
        "classes": classifier.heads[head],
        "by_chance": 1.0 / count,
    }
    found = answer_intervals(answers, asked, seed=context.seed)["accuracy"]
    yield context.reported("label_accuracy", found, HIGHER, OF_ANSWERS, **facts)
    hits = answers.argmax(axis=1) == asked
    for label, name in enumerate(names):
        if (own := hits[asked == label]).size > 1:
            share = bootstrap_interval(own, seed=context.seed)
            yield context.reported(f"label_accuracy/{name}", share, HIGHER, **facts)


def label_head(context: EvaluationContext) -> str:
    """The classifier's head that answers with the class of a clip."""
    return next(iter(named_heads(context.info)))


def no_label_accuracy(context: EvaluationContext) -> str | None:
    model, classes = context.config.model, len(context.info.class_names)
    if context.infills:
        return f"the class of a clip of {model} is also that of the frames it is between"
    if not class_count(context.model):
        return f"{model} was trained without conditional=true: it makes no clips of a label"
    if classes < 2:
        return f"{context.config.dataset} has less than two classes"
    return no_clip_classifier(context)


# === New and different clips ===


def diversity(context: EvaluationContext) -> Iterator[Measured]:
    """Distances among samples, and to training clips, beside those of real clips."""
    for suffix, batches, facts, videos in generated_and_real(context):
        count = context.count() if videos is None else len(set(videos))  # each video once
        groups = max(1, min(VARIETY_GROUPS, count // 2))
        size = count // groups
        clips = (clip[None] for batch in counted_clips(batches, count, "sampled") for clip in batch)
        means = [variety(itertools.islice(clips, size)) for _ in range(groups)]
        facts["unit"] = "L2 of two clips, pixels in [0, 1]"
        facts["pairs"] = f"within {groups} groups of clips, over which the interval is made"
        mean = bootstrap_interval(np.array(means), seed=context.seed)
        mean = mean._replace(size=size * groups)  # clips, not groups
        name = f"diversity/variety{suffix}"
        yield context.reported(name, mean, HIGHER, OF_GROUPS, **facts)
    if context.split != "train":
        yield from _novelty(context)


def _novelty(context: EvaluationContext) -> Iterator[Measured]:
    """Distances to the nearest training clips."""
    number = min(QUERIES, len(set(context.videos())))  # each video once
    samples, held_out = (
        np.concatenate(list(counted_clips(each.batches, number, "sampled")))
        for each in generated_and_real(context)
    )
    training, videos = context.config.training, context.info.splits["train"]
    several = training.pick != "start" and context.span != videos.max_length
    windows = TRAINING_WINDOWS if several else 1  # of a video that training cuts in several ways
    distances = novelty(samples, held_out, context.training(windows))
    common: dict[str, Any] = {
        "unit": "L2 to the nearest training clip, pixels in [0, 1]",
        "training_clips": videos.count * windows,
        "windows_of_a_training_video": windows,
    }
    means = []
    generator = np.random.default_rng(context.seed)
    for suffix, found, facts in zip(("", "/real"), distances, (context.making, REAL), strict=True):
        mean = bootstrap_interval(found, seed=context.seed)
        name = f"diversity/nearest{suffix}"
        yield context.reported(name, mean, None, **facts, **common)
        means.append(found[generator.integers(len(found), size=[1000, len(found)])].mean(axis=1))
    ratios = means[0] / np.maximum(means[1], 1e-12)
    ratio = interval_of_replicates(ratios, distances[0].mean() / distances[1].mean(), number)
    common["unit"] = "mean distance of samples over that of held-out clips; near 0 for copies"
    yield context.reported("diversity/novelty", ratio, None, OF_RATIO, **common)


class Metric(NamedTuple):
    """Two functions of a context: its values, whose names begin with the metric's, or why not."""

    measure: Callable[[EvaluationContext], Iterable[Measured]]
    unavailable_reason: Callable[[EvaluationContext], str | None]


METRICS = {
    "reconstruction": Metric(reconstructed, no_reconstruction),
    "between": Metric(infilled, no_infilling),
    "frechet": Metric(frechet, no_clip_classifier),
    "image_frechet": Metric(image_frechet, no_image_features),
    "fvd": Metric(fvd, no_i3d),
    "inception": Metric(inception, no_clip_classifier),
    "image_inception": Metric(image_inception, no_images),
    "label_accuracy": Metric(label_accuracy, no_label_accuracy),
    "disentanglement": Metric(disentanglement, no_disentanglement),
    "constancy": Metric(constancy, no_constancy),
    "frame_consistency": Metric(frame_consistency, no_motion),
    "motion_consistency": Metric(motion_consistency, no_vgg),
    "diversity": Metric(diversity, lambda context: None),
}
