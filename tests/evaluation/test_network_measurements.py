"""What is measured by networks, beside numbers worked out directly."""

import numpy as np
import pytest

from kerasvid.evaluation import network_measurements as network
from kerasvid.evaluation.classifiers.store import trained_classifier
from kerasvid.evaluation.metrics.disentanglement import labels_kept, redrawn_content, redrawn_motion

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
    told = found.protocol
    assert told["split"] == "test" and told["frames"] == 4 and told["seed"] == 0
    assert told["features"]["weights"] == classifiers("clip").model.weights_digest()
    assert told["features"]["accuracy"] == {"action": 1.0, "colour": 1.0}
    assert told["features"]["note"] == "24 clips for 32 numbers a feature: covariances lack rank"


def test_equal_sets_are_at_the_bounds(context_of, classifiers, values_of, real_clips, showing):
    clips = real_clips(context_of())
    context = context_of(kind=showing(clips), classifier_of=classifiers)
    found = values_of(context, "frechet", "frame_consistency", "inception", "diversity")
    assert found["frechet"].value == pytest.approx(0.0, abs=1e-6) and found["frechet"].low == 0.0
    for name in ("frame_consistency", "inception/action", "diversity/variety"):
        assert found[name].value == pytest.approx(found[f"{name}/real"].value, rel=1e-6)


def test_inception_scores_are_those_of_the_answers(context_of, classifiers, monkeypatch, values_of):
    monkeypatch.setattr(network, "IMAGES", 3)
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


def test_content_and_motion_are_redrawn_and_classifierd(context_of, classifiers, values_of):
    context = context_of(classifier_of=classifiers)
    found = values_of(context, "disentanglement")
    for name, redrawn, key in (
        ("action", redrawn_content, "label"), ("colour", redrawn_motion, "attributes"),
    ):  # fmt: skip
        batches = ((b["video"], {name: b[key].reshape(-1)}) for b in context.labelled())
        kept = labels_kept(
            batches, redrawn(context.model), classifiers("clip").probabilities, {name: 2}, CLIPS
        )[name]
        for part in ("accuracy", "score", "conditional", "marginal"):
            value = found[f"disentanglement/{name}/{part}"]
            assert value.value == pytest.approx(getattr(kept, part), rel=1e-2), (name, part)
        told = value.protocol["accuracy_on_the_same_clips_unchanged"]
        assert told == pytest.approx(kept.real_accuracy)


def colours_and_changes(clips):
    clips = clips.reshape(len(clips), -1, 3).astype(np.float64)
    return np.concatenate([clips.mean(axis=1), np.diff(clips, axis=1).std(axis=1)], axis=1)


def test_metrics_of_foreign_networks_take_their_weights_and_paddings(
    context_of, monkeypatch, values_of, real_clips
):
    asked = []

    def features(*given):
        asked.append(given)
        return colours_and_changes

    context = context_of(i3d_weights="i3d.npz", vgg_weights="vgg.h5", padding="mirror")
    monkeypatch.setattr(network, "I3DFeatures", features)
    monkeypatch.setattr(network, "VGG16Features", features)
    monkeypatch.setattr(network, "LEAST_SIZE", 16)
    found = values_of(context, "fvd", "motion_consistency")
    assert asked == [("i3d.npz", "mirror"), ("vgg.h5",)]
    made = context.model.generate(CLIPS)
    sets = [clips / 127.5 - 1.0 for clips in (real_clips(context), made)]
    expected = by_numpy(*map(colours_and_changes, sets))
    assert found["fvd"].value == pytest.approx(expected, rel=1e-2)
    means = [np.mean([np.diff(colours_and_changes(c), axis=0).mean(axis=0) for c in clips], axis=0)
             for clips in sets]  # fmt: skip
    signed = found["motion_consistency/signed"]
    assert signed.value == pytest.approx(np.log10(np.sum((means[0] - means[1]) ** 2)), abs=0.05)
    assert signed.low < signed.value < signed.high


def test_the_frame_of_a_clip_that_is_scored_does_not_depend_on_the_batches():
    clips = np.random.default_rng(0).integers(0, 256, [11, 4, 2, 2, 3], np.uint8)
    whole, parts = (
        np.concatenate(list(network._one_frame_each(batches, seed=5)))
        for batches in ([clips], [clips[:3], clips[3:10], clips[10:]])
    )
    np.testing.assert_array_equal(whole, parts)
    chosen = [[np.array_equal(frame[0], each) for each in clip].index(True)
              for frame, clip in zip(whole, clips, strict=True)]  # fmt: skip
    assert whole.shape == (11, 1, 2, 2, 3) and len(set(chosen)) > 1


@pytest.mark.slow
def test_frames_out_of_order_are_worse_for_what_sees_motion_and_alike_for_images(
    context_of, write_walks, tmp_path, monkeypatch, values_of, showing, square
):
    splits = {"train": range(96), "test": range(96, 336)}
    many = write_walks(tmp_path / "many", splits, 5, name="many")
    encoder = {"channels": (16, 32), "strides": (2, 2), "patch": 2, "features": 32}
    options = {"batch_size": 16, "precision": "float32", "report": lambda line: None}
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
    monkeypatch.setattr(network, "VGG16Features", lambda weights: lambda f: f.reshape(len(f), -1))
    monkeypatch.setattr(network, "LEAST_SIZE", 16)
    monkeypatch.setattr(network, "IMAGES", 24)
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
