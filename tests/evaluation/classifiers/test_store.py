"""Judges of squares that move left or right, in two colours."""

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
from kerasvid.evaluation.classifiers.store import folder_name, load_judge, trained_judge
from kerasvid.evaluation.classifiers.train import JudgeError, make_judge_plan
from kerasvid.evaluation.metrics.fvd import frechet_video_distance

ENCODER = {"channels": (16, 32), "strides": (2, 2), "patch": 2, "features": 32}
SMALL = {
    "clip": {"frames": 3, "steps": 80, "network": {"encoder": ENCODER, "units": 16}},
    "frame": {"steps": 100, "network": {"discriminator": {"channels": (16, 32)}}},
}
OPTIONS = {"batch_size": 16, "precision": "float32", "report": lambda line: None}


@pytest.fixture(scope="session")
def judge_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(scope="session")
def clip_judge(walks, judge_dir):
    return trained_judge(walks, "clip", judge_dir=judge_dir, **SMALL["clip"], **OPTIONS)


@pytest.fixture
def untrained(monkeypatch):
    """Judges are made in no time, not examined, and their number is counted."""
    made = []
    counts = {name: np.eye(2, dtype=int) for name in ("action", "colour")}
    result = train.Examination(counts, 2, "test", "two videos")

    def make(data, report):
        made.append(data.plan)
        return data.plan.make_judge(data.heads)

    monkeypatch.setattr(store, "train_judge", make)
    monkeypatch.setattr(store, "examine", lambda judge, data: result)
    return made


def small(folder, judge_dir, kind="clip", **rest):
    return trained_judge(folder, kind, judge_dir=judge_dir, **{**SMALL[kind], **OPTIONS, **rest})


# === What it is worth ===


def test_a_judge_tells_held_out_clips(clip_judge):
    assert clip_judge.heads == {"action": 2, "colour": 2}
    assert clip_judge.clips == 20 * 13 and clip_judge.split == "test"
    assert clip_judge.accuracy["action"] > 0.95 and clip_judge.accuracy["colour"] == 1.0
    clip_judge.require(0.95)
    assert clip_judge.model.dtype_policy.name == "float32"


def test_its_confusion_is_what_it_says_of_the_clips(square, clip_judge):
    for start in (0, 1):
        shown = np.stack([square(i)[start : start + 3] for i in range(96, 116)])
        told = clip_judge.probabilities(shown)["colour"].argmax(axis=1)
        assert (told == np.arange(96, 116) // 2 % 2).all()
    for counts in clip_judge.confusion.values():
        np.testing.assert_array_equal(counts.sum(axis=1), [130, 130])


def test_a_frame_judge_tells_colours_and_cannot_tell_motion_from_first_frames(walks, judge_dir):
    judge = small(walks, judge_dir, "frame")
    assert judge.accuracy["colour"] > 0.98 and 0.5 < judge.accuracy["action"] < 0.97
    assert judge.plan.frames == 1
    with pytest.raises(JudgeError, match=r"tells action of \d\d\.\d\d % of 260 held-out") as error:
        judge.require(0.99)
    assert "99 % are asked for: train one for longer (steps=200)" in str(error.value)


def test_a_judge_s_features_tell_their_protocol(square, clip_judge):
    real = np.stack([square(i) for i in range(12)])
    found = frechet_video_distance([real], [real[:, ::-1]], clip_judge.features, 12, "train")
    assert found.distance > 0.0
    told = found.features
    assert told["dataset"] == "walks/two" and told["kind"] == "clip" and told["size"] == 32
    assert told["accuracy"] == clip_judge.accuracy and told["frames"] == 3
    assert told["seen_frames"] == 4 and told["weights"] == clip_judge.model.weights_digest()
    json.dumps(found.as_dict())


def test_which_frame_a_frame_judge_s_features_are_of_does_not_hang_on_the_batch(
    square, walks, judge_dir
):
    judge = small(walks, judge_dir, "frame")
    shown = np.stack([square(i) for i in range(40)])
    together, alone = judge.features(shown), [judge.features(shown[i : i + 1]) for i in range(40)]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)
    frames = [judge.model.features(shown[:, t]) for t in range(4)]
    apart = np.abs(np.stack(frames, axis=1) - together[:, None]).max(axis=2)  # [40, 4]
    assert apart.min(axis=1).max() < 1e-5
    assert np.bincount(apart.argmin(axis=1), minlength=4).min() > 2  # each in its turn
    np.testing.assert_array_equal(judge.features(shown[:, :1]), frames[0])


def test_the_report_shows_what_is_taken_for_what(clip_judge):
    lines = clip_judge.report().splitlines()
    assert lines[0].endswith(os.fspath(clip_judge.path))
    assert "260 clips: the 20 videos of the split 'test', 13 random windows each" in lines[2]
    assert f"action: {100 * clip_judge.accuracy['action']:.2f} %" in lines
    (left,) = [line.split() for line in lines if " left " in line]
    assert left == ["0", "left", *map(str, clip_judge.confusion["action"][0])]


# === What is kept ===


def test_a_judge_is_trained_once_wherever_the_data_lies(
    square, clip_judge, walks, judge_dir, untrained, tmp_path
):
    moved = shutil.copytree(walks, tmp_path / "elsewhere")
    again = small(moved, judge_dir)
    assert again.path == clip_judge.path and not untrained
    shown = np.stack([square(i) for i in range(3)])
    for name, values in clip_judge.probabilities(shown).items():
        np.testing.assert_array_equal(again.probabilities(shown)[name], values)
    assert again.protocol() == clip_judge.protocol()
    assert clip_judge.path.name.startswith("walks-two-clip-3f-")
    assert {path.name for path in clip_judge.path.iterdir()} == {"judge.keras", "judge.json"}


def test_what_a_judge_is_made_of_makes_it_another(walks):
    plan = make_judge_plan(load_info(walks), frames=4)

    def name(**change):
        return folder_name(dataclasses.replace(plan, **change))

    changes = ({}, {"seed": 1}, {"frames": 3}, {"steps": 7}, {"batch_size": 8}, {"stride": 2},
               {"data_digest": "0"}, {"kind": "frame"}, {"network": {"units": 8}},
               {"softening": {}}, {"heads": {"action": 3}}, {"precision": "float32"})  # fmt: skip
    assert len({name(**change) for change in changes}) == len(changes)
    # Single frames are the same, whatever length of clips is asked for.
    one, other = (make_judge_plan(load_info(walks), "frame", frames=each) for each in (3, 4))
    assert one == other and one.frames == 1


def test_a_judge_that_fails_leaves_nothing(walks, tmp_path, untrained, monkeypatch):
    def fail(judge, data):
        raise RuntimeError("stopped")

    monkeypatch.setattr(store, "examine", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        small(walks, tmp_path)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_judge_that_diverges_is_not_kept(walks, tmp_path, monkeypatch):
    make = train.JudgePlan.make_judge

    def broken(plan, heads, precision="float32"):
        judge = make(plan, heads, precision)
        judge.weights[0].assign(np.full(judge.weights[0].shape, np.inf))
        return judge

    monkeypatch.setattr(train.JudgePlan, "make_judge", broken)
    with pytest.raises(JudgeError, match=r"walks/two diverged in 2 steps and is not kept: train"):
        small(walks, tmp_path, "frame", steps=2)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_two_processes_train_one_judge(walks, tmp_path, untrained, monkeypatch):
    train, begun, go_on = store.train_judge, threading.Event(), threading.Event()

    def slowly(data, report):
        begun.set()
        assert go_on.wait(30)
        return train(data, report)

    def waiting(line):
        if "waiting" in line:
            go_on.set()

    monkeypatch.setattr(store, "train_judge", slowly)
    found = []
    first = threading.Thread(target=lambda: found.append(small(walks, tmp_path)))
    first.start()
    assert begun.wait(30)
    found.append(small(walks, tmp_path, report=waiting))
    first.join(30)
    assert len(untrained) == 1 and found[0].path == found[1].path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "judge.keras").unlink(), "judge.keras: missing"),
        (lambda path: _append(path / "judge.keras"), "judge.keras: altered, its SHA-256"),
        (lambda path: (path / "judge.json").unlink(), "no judge is there"),
        (lambda path: (path / "judge.json").write_text("{"), "judge.json: damaged"),
        (lambda path: _change(path, format="other"), "judge.json: damaged"),
        (lambda path: _change(path, clips=None, sha256=1), "altered"),
        (lambda path: _change(path, confusion=[]), "judge.json: damaged"),
        (lambda path: _change_plan(path, kind="voice"), "judge.json: damaged"),
        (lambda path: _change(path, weights="0"), "is not the network that judge.json tells of"),
        (lambda path: _change_plan(path, seed=3), "is a judge of other seed"),
        (lambda path: _change_plan(path, data_digest="0"), "is a judge of other data_digest"),
    ],
)
def test_a_damaged_or_other_judge_is_refused(walks, tmp_path, untrained, damage, message):
    judge = small(walks, tmp_path)
    damage(judge.path)
    with pytest.raises(JudgeError, match=message) as error:
        small(walks, tmp_path)
    assert "\n" not in str(error.value)
    assert f"delete the folder {judge.path} to have it trained again" in str(error.value)
    assert len(untrained) == 1


def _append(path):
    path.write_bytes(path.read_bytes() + b"x")


def _change(path, **values):
    told = json.loads((path / "judge.json").read_text())
    (path / "judge.json").write_text(json.dumps({**told, **values}))


def _change_plan(path, **values):
    told = json.loads((path / "judge.json").read_text())
    _change(path, made_of={**told["made_of"], **values})


def test_a_judge_can_be_loaded_by_its_path(clip_judge):
    assert load_judge(clip_judge.path).protocol() == clip_judge.protocol()


# === What is refused ===


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "video"}, "kind='video': use one of clip, frame"),
        ({"frames": 1}, "frames=1: a clip has 2 or more; for one take kind='frame'"),
        (
            {"frames": 5},
            "clips of 5 frames with stride 1 span 5, but the shortest video of 'train' has 4",
        ),
        ({"frames": 3, "stride": 2}, "span 5"),
        ({"steps": 0}, "steps=0"),
        ({"seed": -1}, "seed=-1"),
        ({"network": {"width": 3}}, "unexpected keyword argument 'width'; give arguments of Clip"),
    ],
)
def test_a_judge_that_cannot_be_trained_is_refused(walks, tmp_path, untrained, options, message):
    options = {"kind": "clip", "frames": 3, **options}
    with pytest.raises(JudgeError, match=message) as error:
        trained_judge(walks, judge_dir=tmp_path / "judges", **options)
    assert "\n" not in str(error.value) and not (tmp_path / "judges").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"names": False, "label": lambda i: -1}, "names no classes and no attributes"),
        ({"known": False, "label": lambda i: -1}, "action, colour of its videos are unknown"),
        ({"known": False, "label": lambda i: i % 2 if i < 96 else -1}, "are unknown"),
        ({"known": False, "label": lambda i: i % 3}, "action 2 occurs, but dataset.json names 2"),
        ({"splits": {"train": range(3)}}, "has 3 videos and no split to test on"),
    ],
)
def test_data_that_teach_nothing_are_refused(write_walks, tmp_path, data, message):
    folder = write_walks(tmp_path / "walks", **data)
    with pytest.raises(JudgeError, match=message) as error:
        small(folder, tmp_path / "judges")
    assert "\n" not in str(error.value) and not (tmp_path / "judges").exists()


def test_damaged_data_are_told_before_anything_is_read_of_them(walks, tmp_path):
    folder = shutil.copytree(walks, tmp_path / "walks")
    (shard,) = folder.glob("train-*.tfrecord")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match="altered, its SHA-256 does not match"):
        small(folder, tmp_path / "judges")
    assert not (tmp_path / "judges").exists()


def test_no_data_set_and_no_share_are_refused(clip_judge, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        small(tmp_path / "none", tmp_path)
    for refuse in (clip_judge.require, lambda share: small("none", tmp_path, least_accuracy=share)):
        with pytest.raises(JudgeError, match="give a share from 0 to 1"):
            refuse(99.0)
