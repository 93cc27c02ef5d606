"""What is measured of models, beside numbers worked out directly, and what is refused."""

import dataclasses
import itertools
import os

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video, load_info
from kerasvid.metrics.disentanglement import labels_kept, redrawn_content, redrawn_motion
from kerasvid.metrics.diversity import novelty
from kerasvid.metrics.frame_consistency import frame_consistencies
from kerasvid.metrics.l2_distance import l2_distances
from kerasvid.metrics.structural_similarity import structural_similarity
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.runs import evaluation_subject
from kerasvid.runs import network_measurements as network
from kerasvid.runs import pixel_measurements as pixel
from kerasvid.runs.evaluation import check_metrics, evaluate_run, evaluate_subject
from kerasvid.runs.evaluation_subject import Choices, NotMeasurable, Subject
from kerasvid.runs.judge_training import Examination, JudgeError, make_judge_plan
from kerasvid.runs.judging import TrainedJudge, trained_judge
from kerasvid.runs.plan import make_plan
from kerasvid.runs.run_folder import RunFolder
from kerasvid.runs.strategy import make_strategy
from kerasvid.runs.training_run import train
from tfrecords_tools.conversion import write_dataset

NETWORK = {
    "encoder": {"channels": (16, 32), "strides": (2, 2), "patch": 2, "features": 32}, "units": 16,
}  # fmt: skip
COLOURS = ((230, 60, 60), (60, 90, 230))
NAMES = {"class_names": ("left", "right"), "attribute_names": ("colour",), "attribute_sizes": (2,)}
CLIPS = 24


def square(index, length=5):
    """Video `index` goes right if it is odd, in the second colour if index // 2 is."""
    generator, frames = np.random.default_rng(index), np.full([length, 16, 16, 3], 20, np.uint8)
    top, left = generator.integers(0, 12), generator.integers(5, 8)
    for frame in range(length):
        start = int(np.clip(left + (2 if index % 2 else -2) * frame, 0, 12))
        frames[frame, top : top + 4, start : start + 4] = COLOURS[index // 2 % 2]
    return frames


@pytest.fixture(scope="module")
def write_walks(tmp_path_factory):
    """A function that writes a data set of squares that walk, and returns its path."""

    def write(name="walks", train=32, test=CLIPS, **described):
        info = DatasetInfo(name, "1", 16, 16, 3, fps=8.0, **described)
        load = lambda i: Video(square(i), f"walk-{i}", label=i % 2, attributes=(i // 2 % 2,))  # noqa: E731
        if not described:
            load = lambda i: Video(square(i), f"walk-{i}")  # noqa: E731
        folder = os.fspath(tmp_path_factory.mktemp("data") / name)
        splits = {"train": list(range(train)), "test": list(range(train, train + test))}
        write_dataset(folder, info, splits, load, progress=False)
        return folder

    return write


@pytest.fixture(scope="module")
def walks(write_walks):
    return write_walks(**NAMES)


@pytest.fixture(scope="module")
def unlabelled(write_walks):
    return write_walks("unlabelled")


@pytest.fixture(scope="module")
def plan_of():
    def make(model, folder, frames=4, **values):
        values = {"frames": frames, "training.batch_size": 4, **values}
        info = load_info(folder)
        return make_plan(
            model, info.name, folder, info, "debug", values, precision="float32", seed=0
        )

    return make


@pytest.fixture(scope="module")
def subject_of(walks, plan_of):
    """A function of a model's name to a subject with new weights; models are made once."""
    models = {}

    def make(name="dsa", folder=walks, kind=Subject, **choices):
        plan = plan_of(name, folder)
        if (name, folder) not in models:
            models[name, folder] = plan.make_model()
        choices = {"batch": 10, "judge_of": None, **choices}
        return kind(models[name, folder], plan, Choices(**choices), 0, False)

    return make


@pytest.fixture(scope="module")
def new_judge():
    """A function of a data set to a judge with new weights that is told to be right so often."""

    def make(folder, kind="clip", accuracy=1.0, frames=4):
        network = NETWORK if kind == "clip" else {"discriminator": {"channels": (8, 16)}}
        plan = make_judge_plan(load_info(folder), kind, frames, network=network)
        right = int(1000 * accuracy)
        counts = {n: np.array([[right, 1000 - right], [0, 0]]) for n in plan.heads}
        told = Examination(counts, 1000, "test", "made up")
        names = {name: ("a", "b") for name in plan.heads}
        return TrainedJudge(plan.make_judge(plan.heads), plan, told, names, "float32", "judges/x")

    return make


@pytest.fixture(scope="module")
def judges(walks, new_judge):
    """Of a kind to the judge with new weights."""
    return {kind: new_judge(walks, kind) for kind in ("clip", "frame")}.get


class Shown(Subject):
    """What it makes is what `shown` holds."""

    shown = None

    def generated(self, temperature=1.0):
        return (self.shown[i : i + 7] for i in range(0, len(self.shown), 7))


def showing(clips):
    return type("Shown", (Shown,), {"shown": clips})


def values_of(subject, *metrics):
    return {each.name: each for each in evaluate_subject(subject, metrics).measured}


def real_clips(subject, split=None):
    return np.concatenate(list(subject.real(split)))


def by_numpy(one, other):
    a, b = np.cov(one.T), np.cov(other.T)
    root = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0.0)).sum()
    return np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2.0 * root


@pytest.fixture(scope="module", autouse=True)
def made_once():
    """What depends on its arguments alone, pipelines and clips of a seed, is made once."""
    read, make = Subject._batches, evaluation_subject.generated_clips
    batches, clips = {}, {}

    def read_once(self, split, pick, windows):
        key = (self.plan.data_folder, self.frames, self.seed, self.batch, split, pick, windows)
        if key not in batches:
            batches[key] = list(read(self, split, pick, windows))
        return iter(batches[key])

    def make_once(model, batch, frames, seed):
        key = (id(model), batch, frames, seed)
        if key not in clips:
            clips[key] = list(itertools.islice(make(model, batch, frames, seed), 4))
        return iter(clips[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Subject, "_batches", read_once)
        patch.setattr(evaluation_subject, "generated_clips", make_once)
        yield


# === Real clips ===


def test_real_clips_are_all_of_the_split_once_in_an_order_by_the_seed(subject_of):
    clips = {seed: real_clips(subject_of(seed=seed)) for seed in (0, 1)}
    again = real_clips(subject_of(seed=1, batch=7))
    np.testing.assert_array_equal(clips[1], again)
    assert clips[0].shape == (CLIPS, 4, 16, 16, 3)
    colours = [[c[0].max() == 230 and tuple(c[0].max((0, 1))) == COLOURS[1] for c in clips[s]]
               for s in clips]  # fmt: skip
    assert colours[0] != colours[1] and sum(colours[0]) == sum(colours[1]) == CLIPS / 2


def test_several_windows_of_a_video_are_taken_where_asked_for_and_told(subject_of):
    subject = subject_of(windows=2, num=40)
    assert subject.count() == 40 and len(real_clips(subject)) == 2 * CLIPS
    assert subject.protocol["clip_of_a_video"].startswith("2 random windows, which may overlap")
    with pytest.raises(ValueError, match=r"--windows=3: .* 5 frames, and 2 windows of 4; give 2"):
        subject_of(windows=3)


# === Metrics beside numbers worked out directly ===


def test_frechet_distance_is_that_of_the_judges_features(subject_of, judges):
    subject = subject_of(judge_of=judges)
    found = values_of(subject, "frechet")["frechet"]
    made = subject.model.generate(CLIPS)
    features = [judges("clip").model.features(clips) for clips in (real_clips(subject), made)]
    assert found.value == pytest.approx(by_numpy(*features), rel=1e-2) and found.value > 0
    assert found.low < found.value < found.high and found.clips == CLIPS
    told = found.protocol
    assert told["split"] == "test" and told["frames"] == 4 and told["seed"] == 0
    assert told["features"]["weights"] == judges("clip").model.weights_digest()
    assert told["features"]["accuracy"] == {"action": 1.0, "colour": 1.0}
    assert told["features"]["note"] == "24 clips for 32 numbers a feature: covariances lack rank"


def test_equal_sets_are_at_the_bounds(subject_of, judges):
    clips = real_clips(subject_of())
    subject = subject_of(kind=showing(clips), judge_of=judges)
    found = values_of(subject, "frechet", "frame_consistency", "inception", "diversity")
    assert found["frechet"].value == pytest.approx(0.0, abs=1e-6) and found["frechet"].low == 0.0
    for name in ("frame_consistency", "inception/action", "diversity/variety"):
        assert found[name].value == pytest.approx(found[f"{name}/real"].value, rel=1e-6)


def test_inception_scores_are_those_of_the_answers(subject_of, judges, monkeypatch):
    monkeypatch.setattr(network, "IMAGES", 3)
    subject = subject_of("rjvae", judge_of=judges)
    found = values_of(subject, "inception", "image_inception")
    answers = judges("clip").probabilities(subject.model.generate(CLIPS))["colour"]
    mean = answers.mean(axis=0)
    divergence = (answers * np.log(answers / mean)).sum(axis=1).mean()
    assert found["inception/colour"].value == pytest.approx(np.exp(divergence), rel=1e-5)
    images = subject.model.generate_images(30)
    scores = []
    for part in np.split(judges("frame").probabilities(images)["action"], 10):
        scores.append(np.exp((part * np.log(part / part.mean(axis=0))).sum(axis=1).mean()))
    of_images = found["image_inception/action"]
    assert of_images.value == pytest.approx(np.mean(scores), rel=1e-4)
    assert of_images.deviation == pytest.approx(np.std(scores), rel=0.05)
    assert of_images.protocol["batches"] == "10 of 3, deviation over them"


def test_reconstructions_are_compared_to_their_own_clips(subject_of):
    subject = subject_of("rjvae")
    found, clips = values_of(subject, "reconstruction"), real_clips(subject)
    shown = subject.model.reconstruct(clips)
    l2, flat = l2_distances(shown, clips), (-1, 16, 16, 3)
    assert found["reconstruction/l2"].value == pytest.approx(l2.mean(), rel=1e-3)
    assert found["reconstruction/l2"].deviation == pytest.approx(l2.std(), rel=1e-2)
    expected = structural_similarity(shown.reshape(flat), clips.reshape(flat)).mean()
    assert found["reconstruction/ssim"].value == pytest.approx(expected, abs=1e-3)


def test_learned_codes_are_measured_on_the_videos_that_they_are_of(subject_of):
    found = values_of(subject_of("glo"), "reconstruction")["reconstruction/l2"]
    assert found.clips == 32 and found.protocol["split"] == "train"
    assert found.protocol["codes"] == "learned, of training videos"
    subject = subject_of("glo", split="train")
    batches = list(subject.labelled("train"))
    shown = np.concatenate([subject.model.recall(index=each["index"]) for each in batches])
    real = np.concatenate([each["video"] for each in batches])
    assert found.value == pytest.approx(l2_distances(shown, real).mean(), rel=1e-3)


def test_videos_between_two_frames_stand_beside_linear_interpolation(subject_of):
    subject = subject_of("cvae")
    found, real = values_of(subject, "between"), real_clips(subject)
    straight = LinearInterpolation((16, 16, 3)).between(real[:, 0], real[:, -1], 4)
    line = l2_distances(straight, real)
    assert found["between/linear_interpolation"].value == pytest.approx(line.mean(), rel=1e-3)
    for name, temperature in (("best_guess", 0.0), ("samples", 1.0)):
        made = subject.model.between(real[:, 0], real[:, -1], 4, 0, temperature)
        distances = l2_distances(made, real)
        assert found[f"between/{name}"].value == pytest.approx(distances.mean(), rel=1e-3)
        share = found[f"between/{name}/nearer"].value
        assert share == pytest.approx(np.mean(distances < line), abs=0.05)


def test_frames_are_compared_to_the_first_one(subject_of):
    subject = subject_of()
    found = values_of(subject, "frame_consistency")
    made = frame_consistencies(subject.model.generate(CLIPS)).mean()
    assert found["frame_consistency"].value == pytest.approx(made, abs=1e-3)
    real = frame_consistencies(real_clips(subject)).mean()
    assert found["frame_consistency/real"].value == pytest.approx(real)


def test_content_and_motion_are_redrawn_and_judged(subject_of, judges):
    subject = subject_of(judge_of=judges)
    found = values_of(subject, "disentanglement")
    for name, redrawn, key in (
        ("action", redrawn_content, "label"), ("colour", redrawn_motion, "attributes"),
    ):  # fmt: skip
        batches = ((b["video"], {name: b[key].reshape(-1)}) for b in subject.labelled())
        kept = labels_kept(
            batches, redrawn(subject.model), judges("clip").probabilities, {name: 2}, CLIPS
        )[name]
        for part in ("accuracy", "score", "conditional", "marginal"):
            value = found[f"disentanglement/{name}/{part}"]
            assert value.value == pytest.approx(getattr(kept, part), rel=1e-2), (name, part)
        told = value.protocol["accuracy_on_the_same_clips_unchanged"]
        assert told == pytest.approx(kept.real_accuracy)


def test_copies_of_training_clips_are_seen(subject_of, monkeypatch):
    monkeypatch.setattr(pixel, "TRAINING_WINDOWS", 40)  # of two there are: every window occurs
    copies = np.stack([square(i)[i % 2 : i % 2 + 4] for i in range(CLIPS)])
    found = values_of(subject_of(kind=showing(copies)), "diversity")
    assert found["diversity/nearest"].value == 0.0 == found["diversity/novelty"].value
    real = real_clips(subject_of())
    train = [np.stack([square(i)[s : s + 4] for i in range(32)]) for s in (0, 1)]
    expected = novelty(copies, real, train).held_out.mean()
    assert found["diversity/nearest/real"].value == pytest.approx(expected, rel=1e-5)
    assert found["diversity/nearest/real"].protocol["training_clips"] == 32 * 40
    assert "diversity/novelty" not in values_of(subject_of(split="train"), "diversity")


def test_variety_is_the_mean_distance_of_clips_within_groups(subject_of):
    found = values_of(subject_of(), "diversity")["diversity/variety/real"]
    pairs = real_clips(subject_of()).reshape(12, 2, 4, 16, 16, 3)
    expected = l2_distances(pairs[:, 0], pairs[:, 1])
    assert found.value == pytest.approx(expected.mean()) and found.clips == CLIPS
    assert found.low < found.value < found.high


def colours_and_changes(clips):
    clips = clips.reshape(len(clips), -1, 3).astype(np.float64)
    return np.concatenate([clips.mean(axis=1), np.diff(clips, axis=1).std(axis=1)], axis=1)


def test_metrics_of_foreign_networks_take_their_weights_and_paddings(subject_of, monkeypatch):
    asked = []

    def features(*given):
        asked.append(given)
        return colours_and_changes

    subject = subject_of(i3d_weights="i3d.npz", vgg_weights="vgg.h5", padding="mirror")
    monkeypatch.setattr(network, "I3DFeatures", features)
    monkeypatch.setattr(network, "VGG16Features", features)
    monkeypatch.setattr(network, "LEAST_SIZE", 16)
    found = values_of(subject, "fvd", "motion_consistency")
    assert asked == [("i3d.npz", "mirror"), ("vgg.h5",)]
    made = subject.model.generate(CLIPS)
    sets = [clips / 127.5 - 1.0 for clips in (real_clips(subject), made)]
    expected = by_numpy(*map(colours_and_changes, sets))
    assert found["fvd"].value == pytest.approx(expected, rel=1e-2)
    means = [np.mean([np.diff(colours_and_changes(c), axis=0).mean(axis=0) for c in clips], axis=0)
             for clips in sets]  # fmt: skip
    signed = found["motion_consistency/signed"]
    assert signed.value == pytest.approx(np.log10(np.sum((means[0] - means[1]) ** 2)), abs=0.05)
    assert signed.low < signed.value < signed.high


# === What the metrics tell apart ===


@pytest.mark.slow
def test_frames_out_of_order_are_worse_for_what_sees_motion_and_alike_for_images(
    subject_of, write_walks, tmp_path, monkeypatch
):
    many = write_walks("many", 96, 240, **NAMES)
    judge = trained_judge(
        many, "clip", 4, tmp_path, steps=200, network=NETWORK, batch_size=16, precision="float32",
        report=lambda line: None,
    )  # fmt: skip
    assert min(judge.accuracy.values()) > 0.95
    order = np.random.default_rng(0)
    other = np.stack([square(i)[i // 4 % 2 :][:4] for i in order.permutation(240) + 400])
    shuffled = np.stack([clip[order.permutation(4)] for clip in other])
    monkeypatch.setattr(network, "VGG16Features", lambda weights: lambda f: f.reshape(len(f), -1))
    monkeypatch.setattr(network, "LEAST_SIZE", 16)

    def found(clips, *metrics):
        options = {"judge_of": {"clip": judge}.get, "vgg_weights": "x"}
        return values_of(subject_of("dsa", many, showing(clips), **options), *metrics)

    ordered, worse = (found(each, "frechet", "motion_consistency") for each in (other, shuffled))
    assert worse["frechet"].value > 3 * ordered["frechet"].value > 0
    for name in ("motion_consistency/signed", "motion_consistency/absolute"):
        assert worse[name].value > ordered[name].value + 0.3
    # What sees frames alone finds the same set of them.
    real = np.concatenate(list(subject_of("dsa", many).real()))
    frames = [colours_and_changes(c.reshape(-1, 16, 16, 3) / 255) for c in (real, other, shuffled)]
    assert by_numpy(frames[0], frames[2]) == pytest.approx(by_numpy(frames[0], frames[1]), abs=1e-9)


# === By name, or all that can be had ===


def test_without_names_all_is_measured_that_can_be_and_the_rest_is_told(subject_of, unlabelled):
    seen = []
    found = evaluate_subject(subject_of("glo", unlabelled), after_each=seen.append)
    assert {each.metric for each in found.measured} == {
        "reconstruction", "frame_consistency", "diversity",
    }  # fmt: skip
    assert found.left_out["frechet"] == (
        "unlabelled names no classes and no attributes that a judge could tell"
    )
    assert found.left_out["fvd"] == "needs the weights of I3D: give --i3d_weights"
    assert found.left_out["between"] == "glo makes no video between two frames"
    assert set(found.left_out) == {
        "between", "frechet", "fvd", "inception", "image_inception", "disentanglement",
        "motion_consistency",
    }  # fmt: skip
    assert [len(each.measured) for each in seen] == [3, 5, 10] and seen[-1] == found


def test_a_judge_that_is_not_good_enough_is_refused_for_disentanglement_alone(
    subject_of, walks, new_judge
):
    judges = {kind: new_judge(walks, kind, accuracy=0.985) for kind in ("clip", "frame")}
    subject = subject_of(judge_of=judges.get)
    with pytest.raises(JudgeError, match=r"98.50 % of 1000 held-out clips .* 99 % are asked for"):
        evaluate_subject(subject, ["disentanglement"])
    found = evaluate_subject(subject)
    assert "98.50 %" in found.left_out["disentanglement"]
    assert found.value("frechet").protocol["features"]["accuracy"]["action"] == 0.985


@pytest.mark.parametrize(
    ("model", "choices", "metric", "message"),
    [
        ("glo", {}, "disentanglement", "glo has no codes of content and of motion apart"),
        ("rjvae", {}, "disentanglement", "rjvae has no codes of content and of motion apart"),
        ("dsa", {}, "between", "dsa makes no video between two frames"),
        ("dsa", {"i3d_weights": "x"}, "fvd", "I3D needs 10 frames, clips have 4: give --padding"),
        ("dsa", {"vgg_weights": "x"}, "motion_consistency", "VGG16 sees frames of 32x32 or more"),
        ("mocogan", {}, "reconstruction", "mocogan has no encoder, and no codes of its videos"),
        ("dsa", {"num": 25}, "frechet", r"--num=25: the split 'test' of walks has 24 clips, which "
         r"are not repeated to fill up: ask for 24 or fewer, .* --windows=2 random windows"),
        ("dsa", {"frames": 6}, "frechet", r"6 frames .* shortest video of 'test' has 5"),
        ("dsa", {"split": "dev"}, "frechet", "--split=dev: walks has train, test"),
        ("glo", {"frames": 5}, "frame_consistency", "at most 4 frames"),
        ("dsa", {"frames": 1}, "frame_consistency", "clips of one frame do not move"),
        ("dsa", {"num": 1}, "diversity", "num=1 must be 2 or more"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_told_in_one_line(subject_of, model, choices, metric, message):
    with pytest.raises(ValueError, match=message) as error:
        evaluate_subject(subject_of(model, **choices), [metric])
    assert "\n" not in str(error.value)


def test_metrics_are_told_by_near_names_and_once():
    with pytest.raises(ValueError, match=r"--metrics=frechett: did you mean 'frechet'\?"):
        check_metrics(["frechett"])
    with pytest.raises(ValueError, match="name each once"):
        check_metrics(["fvd", "fvd"])


def test_a_judge_of_other_classes_or_of_longer_clips_is_refused(subject_of, walks, new_judge):
    judge = new_judge(walks)
    other = dataclasses.replace(judge, model=judge.plan.make_judge({"action": 5, "colour": 2}))
    with pytest.raises(ValueError, match=r"judge of action \(5 classes\) cannot judge walks, which "
                       r"has action \(2 classes\), colour \(2 classes\): take one"):  # fmt: skip
        evaluate_subject(subject_of(judge_of=lambda kind: other), ["frechet"])
    longer = new_judge(walks, frames=5)
    with pytest.raises(ValueError, match=r"4 frames are too short for a judge of 5: give --frames"):
        evaluate_subject(subject_of(judge_of=lambda kind: longer), ["frechet"])


@pytest.mark.parametrize("metric", ["frechet", "frame_consistency", "diversity"])
def test_clips_that_are_not_finite_are_refused(subject_of, judges, metric):
    clips = np.zeros([CLIPS, 4, 16, 16, 3], np.float32)
    clips[9, 2, 3] = np.nan
    subject = subject_of(kind=showing(clips), judge_of=judges)
    with pytest.raises(ValueError, match="pixels of clip 2 of a batch are not finite"):
        evaluate_subject(subject, [metric])


# === Of a run ===


def test_a_run_is_measured_by_its_saved_weights(walks, plan_of, tmp_path):
    plan, run = plan_of("linear_interpolation", walks), RunFolder(tmp_path / "run")
    with run.held():
        run.begin(plan)
        assert train(plan, run, make_strategy("none")).step == 1  # there is nothing to learn
    found = evaluate_run(run, metrics=["between", "frame_consistency"], num=20)
    assert (found.step, found.weights, found.model) == (1, "trained", "linear_interpolation")
    assert [each.name for each in itertools.islice(found.measured, 2)] == [
        "between/model", "between/linear_interpolation",
    ]  # fmt: skip
    assert len({found.value(f"between/{n}").value for n in ("model", "linear_interpolation")}) == 1
    assert found.value("frame_consistency").clips == 20
    assert not (run.path / "evaluation.json").exists()
    assert found.write(run.path) == found
    with pytest.raises(NotMeasurable, match="--metrics=fvd: needs the weights of I3D"):
        evaluate_run(run, metrics=["fvd"])
