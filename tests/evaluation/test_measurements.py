"""The metrics of a context, compared with values computed directly."""

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video, load_info
from kerasvid.evaluation import measurements
from kerasvid.evaluation.classifiers.store import TrainedClassifier, trained_classifier
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext
from kerasvid.evaluation.metrics.disentanglement import labels_kept
from kerasvid.evaluation.metrics.diversity import novelty
from kerasvid.evaluation.metrics.frame_consistency import frame_consistencies
from kerasvid.evaluation.metrics.fvd import ClipFeatures
from kerasvid.evaluation.metrics.precision_recall import precision_recall
from kerasvid.evaluation.metrics.structural_similarity import structural_similarity
from kerasvid.evaluation.report import Evaluation
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.training.config import make_config
from kerasvid.visualization.nearest_clip import l2_distances
from tfrecords_tools.conversion import write_dataset

CLIPS = 24


def by_numpy(one, other):
    a, b = np.cov(one.T), np.cov(other.T)
    root = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0.0)).sum()
    return np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2.0 * root


def test_frechet_distance_is_that_of_the_classifiers_features(
    context_of, classifiers, values_of, real_clips
):
    context = context_of(classifier_of=classifiers)
    found = values_of(context, "frechet")["frechet"]
    made = context.model.generate(CLIPS)
    features = [classifiers("clip").model.features(clips) for clips in (real_clips(context), made)]
    assert found.value == pytest.approx(by_numpy(*features), rel=1e-2) and found.value > 0
    assert found.low < found.value < found.high and found.clips == CLIPS
    protocol = found.protocol
    assert protocol["split"] == "test" and protocol["frames"] == 4 and protocol["seed"] == 0
    assert protocol["features"]["weights"] == classifiers("clip").model.weights_digest()
    assert protocol["features"]["accuracy"] == {"action": 1.0, "colour": 1.0}
    assert (
        protocol["features"]["note"]
        == "24 clips for 32 features are too few: covariances lack rank"
    )
    notes = Evaluation("", "", "", 0, "", "", 0, (found,)).notes()
    assert notes == ["frechet: 24 clips for 32 features are too few: covariances lack rank"]


def test_the_image_distance_is_that_of_one_frame_of_each_clip(
    context_of, classifiers, values_of, real_clips
):
    context = context_of(classifier_of=classifiers)
    found = values_of(context, "image_frechet")
    made = context.model.generate(CLIPS)
    features = [classifiers("frame").features(c / np.float32(127.5) - 1)
                for c in (real_clips(context), made)]  # fmt: skip
    expected = by_numpy(*features)
    assert found["image_frechet"].value == pytest.approx(expected, rel=2e-2) and expected > 0
    assert found["image_frechet"].protocol["features"]["of"] == "a random one of 4 frames"
    assert set(found) == {"image_frechet", *(f"image_frechet/{part}" for part in
                          ("precision", "recall", "density", "coverage"))}  # fmt: skip


def test_windows_of_one_video_do_not_narrow_an_interval(
    context_of, classifiers, values_of, monkeypatch, tmp_path
):
    """Videos without motion have equal windows: two of each report no more than one."""
    monkeypatch.setattr(measurements, "MIN_SIZE", 16)
    monkeypatch.setattr(
        measurements, "VGG16Features", lambda weights: lambda f: f.reshape(len(f), -1)
    )
    draw = np.random.default_rng(0)
    same = [np.repeat(draw.integers(0, 256, [1, 16, 16, 3], np.uint8), 5, 0) for _ in range(16)]
    info = DatasetInfo("walks", "1", 16, 16, 3, fps=8.0, class_names=("a", "b"))
    splits, folder = {"train": range(4), "test": range(4, 16)}, str(tmp_path / "same")
    load = lambda i: Video(same[i], f"same-{i}", label=i % 2)  # noqa: E731
    write_dataset(folder, info, splits, load, progress=False)
    names = ("reconstruction", "inception", "frame_consistency", "diversity")
    once, often = (
        values_of(context_of("rjvae", folder, classifier_of=classifiers, windows=windows), *names)
        for windows in (1, 2)
    )
    for name in (
        "reconstruction/l2", "reconstruction/ssim", "inception/action/real",
        "diversity/variety/real", "diversity/nearest/real",
    ):  # fmt: skip
        for part in ("value", "low", "high"):
            expected = pytest.approx(getattr(once[name], part), rel=1e-5)
            assert getattr(often[name], part) == expected, (name, part)
    how = often["inception/action/real"].protocol["interval"]
    assert how.endswith("; all windows of a video together")


def test_on_training_videos_classifiers_see_clips_that_they_did_not_learn_from(
    context_of, classifiers, values_of
):
    context = context_of(split="train", classifier_of=classifiers)
    found = values_of(context, "frechet", "inception", "frame_consistency")
    assert found["frechet"].clips == found["frechet/recall"].clips == 16
    assert (
        found["inception/action/real"].clips == 16 and found["frame_consistency/real"].clips == 32
    )
    apart = "16 training videos that the classifier did not learn from"
    assert found["frechet"].protocol["features"]["note"].endswith(f"real clips of {apart}")
    assert found["frechet/recall"].protocol["real_videos"] == apart
    test = values_of(context_of(classifier_of=classifiers), "frechet")
    assert "learn" not in test["frechet"].protocol["features"]["note"]


def test_equal_sets_are_at_the_bounds(context_of, classifiers, values_of, real_clips, showing):
    clips = real_clips(context_of())
    context = context_of(kind=showing(clips), classifier_of=classifiers)
    found = values_of(context, "frechet", "frame_consistency", "inception", "diversity")
    assert all(
        found[f"frechet/{part}"].value == 1.0 for part in ("precision", "recall", "coverage")
    )
    assert found["frechet"].value == pytest.approx(0.0, abs=1e-6) and found["frechet"].low == 0.0
    for name in ("frame_consistency", "inception/action", "diversity/variety"):
        assert found[name].value == pytest.approx(found[f"{name}/real"].value, rel=1e-6)


def sharper(probabilities):
    """Answers that differ by more than rounding: those of new networks are nearly alike."""

    def answer(self, clips):
        powers = {
            name: p.astype(np.float64) ** 40 for name, p in probabilities(self, clips).items()
        }
        return {name: p / p.sum(axis=1, keepdims=True) for name, p in powers.items()}

    return answer


def test_inception_scores_are_those_of_the_answers(context_of, classifiers, monkeypatch, values_of):
    monkeypatch.setattr(measurements, "IMAGES", 3)
    sharp = sharper(TrainedClassifier.probabilities)
    monkeypatch.setattr(TrainedClassifier, "probabilities", sharp)
    context = context_of("rjvae", classifier_of=classifiers)
    found = values_of(context, "inception", "image_inception")
    answers = classifiers("clip").probabilities(context.model.generate(CLIPS))["colour"]
    mean = answers.mean(axis=0)
    divergence = (answers * np.log(answers / mean)).sum(axis=1).mean()
    assert found["inception/colour"].value == pytest.approx(np.exp(divergence), rel=1e-5)
    images = context.model.generate_images(30)
    scores = []
    for part in np.split(classifiers("frame").probabilities(images)["action"], 10):
        scores.append(np.exp((part * np.log(part / part.mean(axis=0))).sum(axis=1).mean()))
    of_images = found["image_inception/action"]
    assert of_images.value == pytest.approx(np.mean(scores), rel=1e-4)
    assert of_images.std == pytest.approx(np.std(scores), rel=0.05)
    assert of_images.protocol["batches"] == "10 of 3, std over them"


def test_content_and_motion_are_redrawn_and_classified(
    context_of, classifiers, values_of, redrawn_one_by_one
):
    context = context_of(classifier_of=classifiers)
    found = values_of(context, "disentanglement")
    for name, keep_motion, key in (("action", True, "label"), ("colour", False, "attributes")):
        redrawn = redrawn_one_by_one(context.model, keep_motion)
        batches = ((b["video"], {name: b[key].reshape(-1)}) for b in context.labelled())
        kept = labels_kept(batches, redrawn, classifiers("clip").probabilities, {name: 2}, CLIPS)[
            name
        ]
        for part in ("accuracy", "score", "conditional", "marginal"):
            value = found[f"disentanglement/{name}/{part}"]
            assert value.value == pytest.approx(getattr(kept, part).mean, rel=1e-2), (name, part)
        accuracy = value.protocol["accuracy_on_the_same_clips_unchanged"]
        assert accuracy == pytest.approx(kept.real_accuracy)


def test_noise_of_content_and_motion_is_redrawn_and_classified(context_of, classifiers, values_of):
    context = context_of("mocogan", classifier_of=classifiers)
    found, model = values_of(context, "disentanglement"), context.model
    noise, other = (model.sample_noise(CLIPS, seed=s) for s in (0, measurements.REDRAWN_SEED))
    answers = [
        {head: each.argmax(axis=1) for head, each in classifiers("clip").probabilities(c).items()}
        for c in (model.render(noise), model.recombine(other, noise), model.recombine(noise, other))
    ]
    for head in ("action", "colour"):
        for place, held in enumerate(("motion_held", "content_held"), start=1):
            value = found[f"disentanglement/{head}/{held}"]
            share = np.mean(answers[0][head] == answers[place][head])
            assert value.value == pytest.approx(share, abs=1.5 / CLIPS)  # rounding of a level
            chance = found[f"disentanglement/{head}/{held}/chance"].value
            assert chance == value.protocol["agreement_by_chance"]
    better = {name: each.better for name, each in found.items() if "chance" not in name}
    assert better["disentanglement/action/motion_held"] == "higher"
    assert better["disentanglement/action/content_held"] is None
    assert better["disentanglement/attributes/content_held"] == "higher"
    why = measurements.no_disentanglement(context_of("rjgan"))
    assert "rjgan does not encode new videos to content and motion" in why


class OfPixels(TrainedClassifier):
    """Sees a colour in every frame, and an action in a clip, in their first pixel."""

    def __init__(self, trained):
        super().__init__(**vars(trained))

    def probabilities(self, clips):
        red, green = (clips[:, 0, 0, 0, channel] > 127 for channel in (0, 1))
        doubt = np.where(clips[:, 0, 0, 0, 2] > 127, 0.5, 0.0)  # blue: unsure of the action
        action = np.abs(np.eye(2)[green.astype(int)] - doubt[:, None])
        return {"colour": np.eye(2)[red.astype(int)], "action": action}


def test_frames_of_one_attribute_are_constant_and_clear_actions_have_no_entropy(
    context_of, classifiers, values_of, showing
):
    clips = np.zeros([CLIPS, 4, 16, 16, 3], np.uint8)
    clips[:6, 2, ..., 0] = 255  # the third frame has another colour
    clips[:12, ..., 2] = 255
    of = {kind: OfPixels(classifiers(kind)) for kind in ("clip", "frame")}.get
    context = context_of(kind=showing(clips), classifier_of=of)
    found = values_of(context, "constancy")
    assert found["constancy/colour"].value == found["constancy/attributes"].value == 18 / CLIPS
    assert found["constancy/colour"].low < 18 / CLIPS < found["constancy/colour"].high
    entropy = found["constancy/action/conditional_entropy"]
    assert entropy.value == pytest.approx(np.log(2) / 2) and entropy.better == "lower"
    assert found["constancy/colour/real"].protocol["of"] == "real clips"
    assert {each.clips for each in found.values()} == {CLIPS}


def test_clips_without_attributes_have_no_constancy(context_of, write_walks, tmp_path):
    folder = write_walks(tmp_path / "unnamed", {"train": range(8), "test": range(8, 16)},
                         names=False, name="unnamed")  # fmt: skip
    assert measurements.no_constancy(context_of(folder=folder)) == "unnamed has no attributes"


def colours_and_changes(clips):
    clips = clips.reshape(len(clips), -1, 3).astype(np.float64)
    return np.concatenate([clips.mean(axis=1), np.diff(clips, axis=1).std(axis=1)], axis=1)


class SlowFeatures(ClipFeatures):
    """In place of I3D: counts the clips that it sees."""

    slow = True

    def __init__(self, weights="w", padding=None):
        self.weights, self.padding, self.seen = weights, padding, 0

    def protocol(self, frames):
        return {"weights": self.weights, "padding": self.padding, "seen_frames": 10}

    def __call__(self, clips):
        self.seen += len(clips)
        return colours_and_changes(clips)


def test_i3d_and_vgg16_get_their_weights_and_padding(
    context_of, monkeypatch, values_of, real_clips
):
    given_to = []

    def i3d(*arguments):
        given_to.append(arguments)
        return SlowFeatures(*arguments)

    def vgg16(*arguments):
        given_to.append(arguments)
        return colours_and_changes

    context = context_of(i3d_weights="i3d.npz", vgg_weights="vgg.h5")
    monkeypatch.setattr(measurements, "I3DFeatures", i3d)
    monkeypatch.setattr(measurements, "VGG16Features", vgg16)
    monkeypatch.setattr(measurements, "MIN_SIZE", 16)
    found = values_of(context, "fvd", "motion_consistency")
    assert given_to == [("i3d.npz", "mirror"), ("vgg.h5",)]
    made = context.model.generate(CLIPS)
    sets = [clips / 127.5 - 1.0 for clips in (real_clips(context), made)]
    features = [colours_and_changes(clips) for clips in sets]
    assert found["fvd"].value == pytest.approx(by_numpy(*features), rel=1e-2)
    note = "clips of 4 frames, padded to 10: mirror"
    assert Evaluation("", "", "", 0, "", "", 0, (found["fvd"],)).notes() == [f"fvd: {note}"]
    for part, score in precision_recall(*features).items():
        value = found[f"fvd/{part}"]
        assert value.value == pytest.approx(score.value, abs=0.05), part
        assert value.low <= value.value <= value.high and value.clips == CLIPS
        assert value.protocol["features"]["padding"] == "mirror"
    assert [found[f"fvd/{part}"].protocol["nearest"] for part in ("recall", "coverage")] == [3, 5]
    means = [np.mean([np.diff(colours_and_changes(c), axis=0).mean(axis=0) for c in clips], axis=0)
             for clips in sets]  # fmt: skip
    signed = found["motion_consistency/signed"]
    assert signed.value == pytest.approx(np.log10(np.sum((means[0] - means[1]) ** 2)), abs=0.05)
    assert signed.low < signed.value < signed.high


def test_slow_features_of_real_clips_are_made_once(context_of, monkeypatch, tmp_path):
    monkeypatch.setenv("KERASVID_CACHE", str(tmp_path))
    features = SlowFeatures()
    first = context_of().real_features(features)
    np.testing.assert_array_equal(context_of().real_features(features), first)
    assert first.shape == (CLIPS, 6) and features.seen == CLIPS
    (path,) = (tmp_path / "features").iterdir()
    for damaged in (path.read_bytes()[:50], b""):
        path.write_bytes(damaged)
        features.seen = 0
        np.testing.assert_array_equal(context_of().real_features(features), first)
        assert features.seen == CLIPS
    features.seen = 0
    for other in ({"seed": 1}, {"split": "train"}, {"windows": 2}, {"num": 9}, {"frames": 3}):
        context = context_of(**other)
        context.real_features(features)
        assert features.seen == context.count(), other
        features.seen = 0
    context_of().real_features(other_weights := SlowFeatures("others"))
    assert other_weights.seen == CLIPS and len(list((tmp_path / "features").iterdir())) == 7


def test_a_cache_that_cannot_be_written_stops_nothing(context_of, monkeypatch, tmp_path):
    tmp_path.joinpath("file").touch()
    monkeypatch.setenv("KERASVID_CACHE", str(tmp_path / "file"))
    assert len(context_of().real_features(SlowFeatures())) == CLIPS


def test_the_random_frame_of_a_clip_does_not_depend_on_the_batches():
    clips = np.random.default_rng(0).integers(0, 256, [11, 4, 2, 2, 3], np.uint8)
    whole, parts = (
        np.concatenate(list(measurements.single_frames(batches, seed=5)))
        for batches in ([clips], [clips[:3], clips[3:10], clips[10:]])
    )
    np.testing.assert_array_equal(whole, parts)
    chosen = [[np.array_equal(frame[0], each) for each in clip].index(True)
              for frame, clip in zip(whole, clips, strict=True)]  # fmt: skip
    assert whole.shape == (11, 1, 2, 2, 3) and len(set(chosen)) > 1


@pytest.mark.slow
def test_shuffled_frames_are_worse_for_metrics_of_motion_and_equal_for_images(
    context_of, write_walks, tmp_path, monkeypatch, values_of, showing, square
):
    splits = {"train": range(96), "test": range(96, 336)}
    many = write_walks(tmp_path / "many", splits, 5, name="many")
    encoder = {"channels": (16, 32), "strides": (2, 2), "patch": 2, "features": 32}
    options = {"batch_size": 16, "precision": "float32"}
    classifiers = {
        kind: trained_classifier(many, kind, 4, tmp_path, steps=steps, network=arguments, **options)
        for kind, steps, arguments in (
            ("clip", 200, {"encoder": encoder, "units": 16}),
            ("frame", 250, {"discriminator": {"channels": (8, 16)}}),
        )
    }
    assert min(classifiers["clip"].accuracy.values()) > 0.95
    assert classifiers["frame"].accuracy["colour"] > 0.9
    order = np.random.default_rng(0)
    other = np.stack([square(i, 5)[i // 4 % 2 :][:4] for i in order.permutation(240) + 400])
    shuffled = np.stack([clip[order.permutation(4)] for clip in other])
    monkeypatch.setattr(
        measurements, "VGG16Features", lambda weights: lambda f: f.reshape(len(f), -1)
    )
    monkeypatch.setattr(measurements, "MIN_SIZE", 16)
    monkeypatch.setattr(measurements, "IMAGES", 24)
    metrics = ("frechet", "motion_consistency", "image_inception")

    def found(clips):
        context = context_of(
            "dsa", many, showing(clips), classifier_of=classifiers.get, vgg_weights="x"
        )
        return values_of(context, *metrics)

    ordered, worse = found(other), found(shuffled)
    assert worse["frechet"].value > 3 * ordered["frechet"].value > 0
    for name in ("motion_consistency/signed", "motion_consistency/absolute"):
        assert worse[name].value > ordered[name].value + 0.3
    images = [each["image_inception/colour"].value for each in (ordered, worse)]
    assert images[0] == pytest.approx(images[1], rel=0.03) and min(images) > 1.5


# === Pixels ===


def test_reconstructions_are_compared_to_their_own_clips(context_of, values_of, real_clips):
    context = context_of("rjvae")
    found, clips = values_of(context, "reconstruction"), real_clips(context)
    shown = context.model.reconstruct(clips)
    l2 = l2_distances(shown, clips)
    assert found["reconstruction/l2"].value == pytest.approx(l2.mean(), rel=1e-3)
    assert found["reconstruction/l2"].std == pytest.approx(l2.std(), rel=1e-2)
    expected = structural_similarity(shown, clips).mean()
    assert found["reconstruction/ssim"].value == pytest.approx(expected, abs=1e-3)


def test_learned_codes_are_measured_on_training_videos(context_of, values_of):
    found = values_of(context_of("glo"), "reconstruction")["reconstruction/l2"]
    assert found.clips == 32 and found.protocol["split"] == "train"
    assert found.protocol["codes"] == "learned, of training videos"
    context = context_of("glo", split="train")
    batches = list(context.labelled("train"))
    shown = np.concatenate([context.model.recall(index=each["index"]) for each in batches])
    real = np.concatenate([each["video"] for each in batches])
    assert found.value == pytest.approx(l2_distances(shown, real).mean(), rel=1e-3)


def test_videos_between_two_frames_are_compared_with_linear_interpolation(
    context_of, values_of, real_clips
):
    context = context_of("cvae")
    found, real = values_of(context, "between"), real_clips(context)
    straight = LinearInterpolation((16, 16, 3)).between(real[:, 0], real[:, -1], 4)
    line = l2_distances(straight, real)
    assert found["between/linear_interpolation"].value == pytest.approx(line.mean(), rel=1e-3)
    for name, temperature in (("best_guess", 0.0), ("samples", 1.0)):
        made = context.model.between(real[:, 0], real[:, -1], 4, 0, temperature)
        distances = l2_distances(made, real)
        assert found[f"between/{name}"].value == pytest.approx(distances.mean(), rel=1e-3)
        share = found[f"between/{name}/nearer"].value
        assert share == pytest.approx(np.mean(distances < line), abs=0.05)


def test_the_nearest_of_eight_videos_between_two_frames_is_reported(
    context_of, values_of, real_clips
):
    context = context_of("cvae")
    found, real = values_of(context, "between"), real_clips(context)
    made = [context.model.between(real[:, 0], real[:, -1], 4, seed) for seed in range(8)]
    nearest = np.min([l2_distances(each, real) for each in made], axis=0).mean()
    assert found["between/best_of_8"].value == pytest.approx(nearest, rel=1e-3)
    assert found["between/best_of_8"].value < found["between/samples"].value
    pairs = [l2_distances(made[i], made[j]).mean() for i in range(8) for j in range(i)]
    assert found["between/apart"].value == pytest.approx(np.mean(pairs), rel=1e-3)
    assert not {"between/best_of_8", "between/apart"} & {
        *values_of(context_of("linear_interpolation"), "between")
    }


def test_frames_are_compared_to_the_first_one(context_of, values_of, real_clips):
    context = context_of()
    found = values_of(context, "frame_consistency")
    made = frame_consistencies(context.model.generate(CLIPS)).mean()
    assert found["frame_consistency"].value == pytest.approx(made, abs=1e-3)
    real = frame_consistencies(real_clips(context)).mean()
    assert found["frame_consistency/real"].value == pytest.approx(real)


def test_copies_of_training_clips_have_no_distance(
    context_of, monkeypatch, values_of, real_clips, showing, square
):
    monkeypatch.setattr(
        measurements, "TRAINING_WINDOWS", 40
    )  # of two there are: every window occurs
    copies = np.stack([square(i, 5)[i % 2 : i % 2 + 4] for i in range(CLIPS)])
    found = values_of(context_of(kind=showing(copies)), "diversity")
    assert found["diversity/nearest"].value == 0.0 == found["diversity/novelty"].value
    real = real_clips(context_of())
    train = [np.stack([square(i, 5)[s : s + 4] for i in range(32)]) for s in (0, 1)]
    expected = novelty(copies, real, train)[1].mean()
    assert found["diversity/nearest/real"].value == pytest.approx(expected, rel=1e-5)
    assert found["diversity/nearest/real"].protocol["training_clips"] == 32 * 40
    assert "diversity/novelty" not in values_of(context_of(split="train"), "diversity")


def test_variety_is_the_mean_distance_of_clips_within_groups(context_of, values_of, real_clips):
    found = values_of(context_of(), "diversity")["diversity/variety/real"]
    pairs = real_clips(context_of()).reshape(12, 2, 4, 16, 16, 3)
    expected = l2_distances(pairs[:, 0], pairs[:, 1])
    assert found.value == pytest.approx(expected.mean()) and found.clips == CLIPS
    assert found.low < found.value < found.high


def test_the_label_accuracy_is_how_often_the_asked_class_is_found(
    long_walks, classifiers, values_of
):
    context = conditional_context(long_walks, "rjvae", classifiers)
    found, model = values_of(context, "label_accuracy"), context.model
    asked = np.arange(CLIPS) % 2
    clips = model.generate(CLIPS, label=asked)
    answers = classifiers("clip").probabilities(clips)["action"].argmax(axis=1)
    of_each = [np.mean(answers[asked == label] == label) for label in (0, 1)]
    assert found["label_accuracy"].value == pytest.approx(np.mean(of_each), abs=0.05)
    for name, share in zip(("left", "right"), of_each, strict=True):
        assert found[f"label_accuracy/{name}"].value == pytest.approx(share, abs=0.1)
        assert found[f"label_accuracy/{name}"].clips == CLIPS // 2
    assert found["label_accuracy"].protocol["by_chance"] == 0.5


def conditional_context(folder, name, classifiers):
    """A context of an untrained model with classes."""
    values = {"frames": 4, "training.batch_size": 4, "conditional": True}
    config = make_config(
        name, "walks", folder, load_info(folder), "debug", values, precision="float32", seed=0
    )
    context = EvaluationContext(config.make_model(), config, EvaluationConfig(batch=10), 0, False)
    context._classifiers = {kind: classifiers(kind) for kind in ("clip", "frame")}
    return context


def test_a_model_whose_clips_have_the_asked_class_is_always_right(
    long_walks, classifiers, values_of, monkeypatch
):
    context = conditional_context(long_walks, "mocogan", classifiers)
    asked = []

    def right(self, clips):
        labels = (len(asked) + np.arange(len(clips))) % 2
        asked.extend(labels)
        return {"action": np.eye(2)[labels], "colour": np.eye(2)[labels]}

    monkeypatch.setattr(TrainedClassifier, "probabilities", right)
    found = values_of(context, "label_accuracy")
    assert all(each.value == 1.0 for each in found.values()) and len(found) == 3


def test_label_accuracy_needs_a_model_of_classes(context_of, long_walks, classifiers):
    why = measurements.no_label_accuracy
    assert why(context_of("rjvae")) == (
        "rjvae was trained without conditional=true: it makes no clips of a label"
    )
    assert "frames it is between" in why(conditional_context(long_walks, "cvae", classifiers))
    assert why(conditional_context(long_walks, "rjvae", classifiers)) is None
