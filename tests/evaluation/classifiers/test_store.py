"""Classifiers of squares that move left or right, in two colours."""

import dataclasses
import json
import os
import shutil
import threading

import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.data.records import DatasetError
from kerasvid.evaluation.classifiers import store, train
from kerasvid.evaluation.classifiers.store import folder_name, load_classifier, trained_classifier
from kerasvid.evaluation.classifiers.train import ClassifierError, make_classifier_config
from kerasvid.evaluation.metrics.fvd import frechet_video_distance
from kerasvid.io import parse_sealed_json, sealed_json

ENCODER = {"channels": (16, 32), "strides": (2, 2), "patch": 2, "features": 32}
SMALL = {
    "clip": {"frames": 3, "steps": 80, "network": {"encoder": ENCODER, "units": 16}},
    "frame": {"steps": 100, "network": {"discriminator": {"channels": (16, 32)}}},
}
OPTIONS = {"batch_size": 16, "precision": "float32"}


@pytest.fixture(scope="session")
def classifier_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="session")
def clip_classifier(walks, classifier_dir):
    return trained_classifier(
        walks, "clip", classifier_dir=classifier_dir, **SMALL["clip"], **OPTIONS
    )


@pytest.fixture
def untrained(monkeypatch):
    """Classifiers are made in no time, not examined, and their number is counted."""
    made = []
    counts = {name: np.eye(2, dtype=int) for name in ("action", "colour")}
    result = train.ClassifierReport(counts, 2, "two videos")

    def make(data):
        made.append(data.config)
        return data.config.make_classifier(data.heads)

    monkeypatch.setattr(store, "train_classifier", make)
    monkeypatch.setattr(store, "measure_classifier", lambda classifier, data: result)
    return made


def small(folder, classifier_dir, kind="clip", **rest):
    return trained_classifier(
        folder, kind, classifier_dir=classifier_dir, **{**SMALL[kind], **OPTIONS, **rest}
    )


# === Accuracy ===


def test_a_classifier_recognises_held_out_clips(clip_classifier):
    assert clip_classifier.heads == {"action": 2, "colour": 2}
    assert clip_classifier.report.clips == 20 * 13
    assert "split 'test'" in clip_classifier.report.held_out
    assert clip_classifier.accuracy["action"] > 0.95 and clip_classifier.accuracy["colour"] == 1.0
    clip_classifier.require(0.95)
    assert clip_classifier.model.dtype_policy.name == "float32"


def test_its_confusion_counts_its_answers(square, clip_classifier):
    for start in (0, 1):
        shown = np.stack([square(i)[start : start + 3] for i in range(96, 116)])
        answers = clip_classifier.probabilities(shown)["colour"].argmax(axis=1)
        assert (answers == np.arange(96, 116) // 2 % 2).all()
    for counts in clip_classifier.report.confusion.values():
        np.testing.assert_array_equal(counts.sum(axis=1), [130, 130])


def test_a_frame_classifier_recognises_colours_but_not_motion(walks, classifier_dir):
    classifier = small(walks, classifier_dir, "frame")
    assert classifier.accuracy["colour"] > 0.98 and 0.5 < classifier.accuracy["action"] < 0.97
    assert classifier.config.frames == 1
    with pytest.raises(
        ClassifierError, match=r"action has \d\d.\d\d % accuracy on 260 held-out"
    ) as error:
        classifier.require(0.99)
    assert "less than 99 %. Train for longer (steps=200)" in str(error.value)


def test_a_classifier_s_features_have_its_protocol(square, clip_classifier):
    real = np.stack([square(i) for i in range(12)])
    found = frechet_video_distance([real], [real[:, ::-1]], clip_classifier.features, 12)
    assert found.distance > 0.0
    protocol = found.features
    assert (
        protocol["dataset"] == "walks/two" and protocol["kind"] == "clip" and protocol["size"] == 32
    )
    assert protocol["accuracy"] == clip_classifier.accuracy and protocol["frames"] == 3
    assert (
        protocol["seen_frames"] == 4
        and protocol["weights"] == clip_classifier.model.weights_digest()
    )
    json.dumps(protocol)


def test_the_frame_of_a_frame_classifier_s_features_does_not_depend_on_the_batch(
    square, walks, classifier_dir
):
    classifier = small(walks, classifier_dir, "frame")
    shown = np.stack([square(i) for i in range(40)])
    together, alone = (
        classifier.features(shown),
        [classifier.features(shown[i : i + 1]) for i in range(40)],
    )
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)
    frames = [classifier.model.features(shown[:, t]) for t in range(4)]
    apart = np.abs(np.stack(frames, axis=1) - together[:, None]).max(axis=2)  # [40, 4]
    assert apart.min(axis=1).max() < 1e-5
    assert np.bincount(apart.argmin(axis=1), minlength=4).min() > 2  # each in its turn
    np.testing.assert_array_equal(classifier.features(shown[:, :1]), frames[0])


def test_the_text_shows_accuracy_and_confusion(clip_classifier):
    lines = clip_classifier.text().splitlines()
    assert lines[0].endswith(os.fspath(clip_classifier.path))
    assert "260 clips: the 20 videos of the split 'test', 13 random windows each" in lines[2]
    assert f"action: {100 * clip_classifier.accuracy['action']:.2f} %" in lines
    (left,) = [line.split() for line in lines if " left " in line]
    assert left == ["0", "left", *map(str, clip_classifier.report.confusion["action"][0])]


# === Store ===


def test_a_classifier_is_trained_once_wherever_the_data_lies(
    square, clip_classifier, walks, classifier_dir, untrained, tmp_path
):
    moved = shutil.copytree(walks, tmp_path / "elsewhere")
    again = small(moved, classifier_dir)
    assert again.path == clip_classifier.path and not untrained
    shown = np.stack([square(i) for i in range(3)])
    for name, values in clip_classifier.probabilities(shown).items():
        np.testing.assert_array_equal(again.probabilities(shown)[name], values)
    assert again.protocol() == clip_classifier.protocol()
    assert clip_classifier.path.name.startswith("walks-two-clip-3f-")
    assert {path.name for path in clip_classifier.path.iterdir()} == {
        "classifier.keras",
        "classifier.json",
    }


def test_another_config_is_another_classifier(walks):
    config = make_classifier_config(load_info(walks), frames=4)

    def name(**change):
        return folder_name(dataclasses.replace(config, **change))

    changes = ({}, {"seed": 1}, {"frames": 3}, {"steps": 7}, {"batch_size": 8}, {"stride": 2},
               {"data_digest": "0"}, {"kind": "frame"}, {"network": {"units": 8}},
               {"softening": {}}, {"heads": {"action": 3}}, {"precision": "float32"})  # fmt: skip
    assert len({name(**change) for change in changes}) == len(changes)
    # Single frames are the same, whatever length of clips is asked for.
    one, other = (make_classifier_config(load_info(walks), "frame", frames=each) for each in (3, 4))
    assert one == other and one.frames == 1


def test_a_classifier_that_fails_leaves_nothing(walks, tmp_path, untrained, monkeypatch):
    def fail(classifier, data):
        raise RuntimeError("stopped")

    monkeypatch.setattr(store, "measure_classifier", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        small(walks, tmp_path)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_classifier_that_diverges_is_not_kept(walks, tmp_path, monkeypatch):
    make = train.ClassifierConfig.make_classifier

    def broken(config, heads, precision="float32"):
        classifier = make(config, heads, precision)
        classifier.weights[0].assign(np.full(classifier.weights[0].shape, np.inf))
        return classifier

    monkeypatch.setattr(train.ClassifierConfig, "make_classifier", broken)
    with pytest.raises(
        ClassifierError, match=r"classifier of walks/two diverged within 2 steps. Use"
    ):
        small(walks, tmp_path, "frame", steps=2)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_two_processes_train_one_classifier(walks, tmp_path, untrained, monkeypatch):
    train, begun, go_on = store.train_classifier, threading.Event(), threading.Event()

    def slowly(data):
        begun.set()
        assert go_on.wait(30)
        return train(data)

    def notice(line, **options):
        if "waiting for another process" in line:
            go_on.set()

    monkeypatch.setattr(store, "train_classifier", slowly)
    monkeypatch.setattr(store, "print", notice, raising=False)
    found = []
    first = threading.Thread(target=lambda: found.append(small(walks, tmp_path)))
    first.start()
    assert begun.wait(30)
    found.append(small(walks, tmp_path))
    first.join(30)
    assert len(untrained) == 1 and found[0].path == found[1].path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "classifier.keras").unlink(), "classifier.keras: missing"),
        (lambda path: _append(path / "classifier.keras"), "classifier.keras: altered, its SHA-256"),
        (lambda path: (path / "classifier.json").unlink(), "no classifier "),
        (lambda path: (path / "classifier.json").write_text("{"), "classifier.json: damaged"),
        (lambda path: _change(path, format="other"), "classifier.json: damaged"),
        (lambda path: _alter(path), "classifier.json: damaged .altered"),
        (lambda path: _change(path, clips=None, sha256=1), "altered"),
        (lambda path: _change(path, confusion=[]), "classifier.json: damaged"),
        (lambda path: _change_config(path, kind="voice"), "classifier.json: damaged"),
        (lambda path: _change(path, weights="0"), "differs from its classifier.json"),
        (lambda path: _change_config(path, seed=3), "has another seed"),
        (lambda path: _change_config(path, data_digest="0"), "has another data_digest"),
    ],
)
def test_a_damaged_or_other_classifier_is_refused(walks, tmp_path, untrained, damage, message):
    classifier = small(walks, tmp_path)
    damage(classifier.path)
    with pytest.raises(ClassifierError, match=message) as error:
        small(walks, tmp_path)
    assert "\n" not in str(error.value)
    assert f"Delete the folder {classifier.path} to train it again" in str(error.value)
    assert len(untrained) == 1


def _append(path):
    path.write_bytes(path.read_bytes() + b"x")


def _stored(path):
    return parse_sealed_json((path / "classifier.json").read_text())


def _change(path, **values):
    (path / "classifier.json").write_text(sealed_json({**_stored(path), **values}))


def _change_config(path, **values):
    _change(path, config={**_stored(path)["config"], **values})


def _alter(path):
    text = (path / "classifier.json").read_text()
    (path / "classifier.json").write_text(text.replace('"clips": ', '"clips": 1'))


def test_a_classifier_can_be_loaded_by_its_path(clip_classifier):
    assert load_classifier(clip_classifier.path).protocol() == clip_classifier.protocol()


# === Errors ===


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "video"}, "kind='video' is unknown. Use clip or frame"),
        ({"frames": 1}, "frames=1: a clip has 2 or more. Use kind='frame' for one"),
        (
            {"frames": 5},
            "clips of 5 frames with stride 1 span 5, but the shortest video of 'train' has 4",
        ),
        ({"frames": 3, "stride": 2}, "span 5"),
        ({"steps": 0}, "steps=0"),
        ({"seed": -1}, "seed=-1"),
        ({"network": {"width": 3}}, "unexpected keyword argument 'width'. Use arguments of Clip"),
    ],
)
def test_a_classifier_that_cannot_be_trained_is_refused(
    walks, tmp_path, untrained, options, message
):
    options = {"kind": "clip", "frames": 3, **options}
    with pytest.raises(ClassifierError, match=message) as error:
        trained_classifier(walks, classifier_dir=tmp_path / "classifiers", **options)
    assert "\n" not in str(error.value) and not (tmp_path / "classifiers").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"names": False, "label": lambda i: -1}, "no names of classes or attributes"),
        ({"known": False, "label": lambda i: -1}, "no known labels of action, colour"),
        ({"known": False, "label": lambda i: i % 2 if i < 96 else -1}, "no known labels"),
        ({"splits": {"train": range(3)}}, "has 3 training videos, too few to hold some out"),
    ],
)
def test_data_without_labels_is_refused(write_walks, tmp_path, data, message):
    folder = write_walks(tmp_path / "walks", **data)
    with pytest.raises(ClassifierError, match=message) as error:
        small(folder, tmp_path / "classifiers")
    assert "\n" not in str(error.value) and not (tmp_path / "classifiers").exists()


def test_damaged_data_is_refused_before_it_is_read(walks, tmp_path):
    folder = shutil.copytree(walks, tmp_path / "walks")
    (shard,) = folder.glob("train-*.tfrecord")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match="altered, its SHA-256 differs"):
        small(folder, tmp_path / "classifiers")
    assert not (tmp_path / "classifiers").exists()


def test_no_data_set_and_no_share_are_refused(clip_classifier, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        small(tmp_path / "none", tmp_path)
    with pytest.raises(ClassifierError, match=r"is not a share. Use 0 to 1"):
        clip_classifier.require(99.0)
