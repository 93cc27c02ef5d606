"""Runs in one process: what they write, how they resume, and what they refuse."""

import csv
import dataclasses
import os
import shutil
import signal
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import make_pipeline
from kerasvid.export.exported_run import load_for_export
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.training.callbacks.checkpoints import (
    Checkpoints,
    latest,
    save_model,
    saved_step,
    saved_steps,
)
from kerasvid.training.callbacks.metrics_log import HeldOutEvaluation
from kerasvid.training.clips import (
    compared_clips,
    compared_training_batches,
    evaluation_batch_size,
    held_out_batches,
    shown_batch,
)
from kerasvid.training.loop import _make_callbacks, copy_with_prior, train
from kerasvid.training.run_folder import RunError, RunFolder


def of_steps(config, steps):
    """The config of a longer or shorter run."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))


def run_to_end(config, folder, strategy=None):
    run = RunFolder(folder)
    with run.lock():
        run.begin(config)
        return run, train(config, run, strategy or tf.distribute.get_strategy())


@pytest.fixture(scope="module")
def finished_run(config_of, tmp_path_factory):
    """A config of 4 steps and the folder of its run, which nothing may change."""
    config = config_of(4, model="rjvae", sample_every=4)
    run, _ = run_to_end(config, tmp_path_factory.mktemp("runs") / "finished")
    return config, run


@pytest.fixture
def finished(finished_run, tmp_path):
    """A config of 4 steps and a copy of the folder of its run."""
    config, run = finished_run
    return config, RunFolder(shutil.copytree(run.path, tmp_path / "finished"))


def weights_of(path):
    model = keras.models.load_model(path)
    return [v.numpy() for v in [*model.weights, *model.optimizer.variables]]


@pytest.mark.slow
def test_a_lengthened_run_ends_where_an_uninterrupted_one_does(config_of, tmp_path, capsys):
    prior = {"prior_momentum": 0.9, "prior_couplings": 2, "training.prior_steps": 5}
    config = config_of(4, {"frames": 2, **prior}, model="rjvae", sample_every=4)
    whole, outcome = run_to_end(config, tmp_path / "whole")
    assert (outcome.step, outcome.trained, outcome.signal) == (4, 4, None)
    assert "summary_prior: fitted to posteriors, " in capsys.readouterr().out
    written = {path.stem: path.read_bytes() for path in whole.samples.glob("*.png")}
    assert set(written) >= {"final", "step-000004"}  # a slow machine writes early samples too
    assert written["final"] != written["step-000004"]
    fitted, following = (
        keras.models.load_model(path).summary_prior.mean.numpy()
        for path in (whole.model, latest(whole.checkpoints))
    )
    assert np.max(np.abs(fitted - following)) > 1e-3  # what a longer run goes on from is not fitted
    run_to_end(of_steps(config, 2), tmp_path / "parts")
    parts, outcome = run_to_end(config, tmp_path / "parts")
    assert (outcome.step, outcome.trained) == (4, 2)
    expected = weights_of(whole.model)
    assert len(expected) > 50
    for value, other in zip(expected, weights_of(parts.model), strict=True):
        np.testing.assert_array_equal(other, value)


def test_a_run_ends_with_the_prior_that_it_asks_for(config_of, tmp_path, capsys):
    prior = {"training.prior": "flow_matching", "training.prior_steps": 2}
    config = config_of(2, prior, model="rjvae", sample_every=2)
    run, _ = run_to_end(config, tmp_path / "run")
    assert "fitting a flow_matching prior to the codes, 2 updates" in capsys.readouterr().out
    assert {path.stem for path in run.samples.glob("*.png")} >= {"final"}
    model, source = run.load_model()
    assert source == run.model and set(model.priors) == {"video"}
    same = keras.models.load_model(run.model)
    np.testing.assert_array_equal(model.generate(2, seed=1), same.generate(2, seed=1))
    assert load_for_export(run.path).model.prior_config == {"kind": "flow_matching"}
    run.model.unlink()
    assert run.load_model()[0].prior_config is None  # checkpoints go on without it


def test_a_copy_of_a_run_has_another_prior_and_the_same_weights(finished, tmp_path):
    config, run = finished
    training = dataclasses.replace(config.training, prior="gaussian")
    config, copy = dataclasses.replace(config, training=training), RunFolder(tmp_path / "copy")
    copy_with_prior(run, copy, config)
    one, other = run.load_model()[0], copy.load_model()[0]
    for own, value in zip(one.weights, other.weights, strict=False):
        np.testing.assert_array_equal(own, value)
    assert one.prior_config is None and other.prior_config == {"kind": "gaussian"}
    assert (one.generate(2, seed=1) != other.generate(2, seed=1)).any()
    assert copy.load_config().training.prior == "gaussian"
    with pytest.raises(RunError, match="started with other settings"):
        mixture = dataclasses.replace(training, prior="mixture")
        copy_with_prior(run, copy, dataclasses.replace(config, training=mixture))
    run.model.unlink()
    with pytest.raises(RunError, match="the run is not finished"):
        copy_with_prior(run, RunFolder(tmp_path / "other"), config)


def test_a_prior_of_a_model_without_codes_is_refused(config_of):
    with pytest.raises(ValueError, match=r"training.prior=flow: mocogan has no codes"):
        config_of(2, {"training.prior": "flow"}, model="mocogan")
    with pytest.raises(ValueError, match=r"prior='flo' must be one of gaussian, mixture"):
        config_of(2, {"training.prior": "flo"}, model="rjvae")


def test_a_mixture_is_refused_at_once_without_scikit_learn(config_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(ValueError, match="prior='mixture' needs scikit-learn"):
        config_of(2, {"training.prior": "mixture"}, model="rjvae")


def test_a_run_writes_its_configuration_metrics_samples_and_model(finished_run):
    config, run = finished_run
    assert run.load_config() == dataclasses.replace(config, **_as_json(config))
    names = {path.name for path in run.path.iterdir()} - {".lock"}
    expected = {"config.json", "model.keras", "checkpoints", "samples", "metrics.csv", "events"}
    assert names == expected
    assert {p.name for p in run.samples.iterdir()} >= {"step-000004.png", "step-000004.gif"}
    assert "val_psnr" in run.metrics.read_text().splitlines()[0]
    model, source = run.load_model()
    assert source == run.model and model.generate(2).shape == (2, 3, 16, 16, 3)


def _as_json(config):
    return {"hyperparameters": config.as_dict()["hyperparameters"]}


def test_a_checkpoint_is_shown_with_its_averaged_weights(config_of, tmp_path):
    run, _ = run_to_end(config_of(6, {"training.ema_momentum": 0.5}, model="rjvae"), tmp_path)
    finished = run.load_model()[0].get_weights()
    run.model.unlink()
    model, source = run.load_model()
    assert source.parent == run.checkpoints
    for value, expected in zip(model.get_weights(), finished, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_other_settings_are_refused_by_name_and_longer_runs_are_not(config_of, tmp_path):
    run = RunFolder(tmp_path)
    run.begin(config_of(6))
    run.checkpoints.mkdir()
    (run.checkpoints / "step-000002.keras").write_bytes(b"")
    run.begin(config_of(9, log_every=7, strategy="mirrored", jit_compile=True))
    before = run.config_path.read_bytes()
    other = config_of(6, {"code_dim": 5, "training.learning_rate": 0.5}, seed=4)
    with pytest.raises(RunError) as error:
        run.begin(other)
    for text in ("code_dim is 12, not 5", "seed is 0, not 4",
                 "training.learning_rate is 0.001, not 0.5"):  # fmt: skip
        assert text in str(error.value)
    assert str(error.value).count(", not ") == 3 and "\n" not in str(error.value)
    assert run.config_path.read_bytes() == before


def test_settings_are_compared_where_the_data_lies_on_another_file_system(
    config_of, squares, tmp_path
):
    run, folder = RunFolder(tmp_path), f"file://{squares}"
    run.begin(config_of(folder=folder))
    run.model.write_bytes(b"")
    with pytest.raises(RunError, match=r"seed is 0, not 4"):
        run.begin(config_of(folder=folder, seed=4))


def test_held_out_videos_are_evaluated_without_samples_too(config_of):
    callbacks, *_ = _make_callbacks(config_of(6, model="rjvae"), RunFolder("nowhere"))
    (held_out,) = [each for each in callbacks if isinstance(each, HeldOutEvaluation)]
    assert [held_out.due(step) for step in (1, 5, 6)] == [False, False, True]


def test_signals_are_freed_if_training_fails(config_of, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)

    def fail(*_):
        assert signal.getsignal(signal.SIGTERM) != before
        raise OSError("no space")

    monkeypatch.setattr(Checkpoints, "save", fail)
    with pytest.raises(OSError, match="no space"):
        run_to_end(config_of(2), tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


def content_of(folder):
    """Every file of a run but its lock, with what is in it."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.read_bytes() for path in files}


def test_a_finished_run_whose_checkpoints_were_deleted_is_left_as_it_is(finished):
    config, run = finished
    shutil.rmtree(run.checkpoints)
    before = content_of(run.path)
    _, outcome = run_to_end(config, run.path)
    assert (outcome.step, outcome.trained, outcome.saved) == (4, 0, run.model)
    with pytest.raises(RunError, match=r"model\.keras is there \(step 4\), but no checkpoint"):
        run_to_end(of_steps(config, 6), run.path)
    assert content_of(run.path).keys() == before.keys()
    unchanged = [path for path, content in before.items() if path.read_bytes() == content]
    assert set(before) - set(unchanged) <= {run.config_path}  # which states the longer run


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_again(finished):
    config, run = finished
    for path in saved_steps(run.checkpoints).values():
        path.write_bytes(path.read_bytes()[:-50])
    metrics, model = run.metrics.read_bytes(), run.model.read_bytes()
    with pytest.raises(RunError, match="none of the 2 checkpoints can be read") as error:
        run_to_end(of_steps(config, 6), run.path)
    assert "\n" not in str(error.value)
    assert (run.metrics.read_bytes(), run.model.read_bytes()) == (metrics, model)


def flip(path, place=None, bit=0):
    """Flips one bit of a file, by default in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 1 << bit
    path.write_bytes(content)


def rows_of(run):
    with open(run.metrics) as file:
        return [{**row, "seconds": None} for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_an_interrupted_run_writes_the_metrics_of_an_uninterrupted_one(
    config_of, strategy_of, tmp_path, monkeypatch, replicas
):
    every = {"log_every": 4, "checkpoint_every": 3, "sample_every": 7}
    config = config_of(10, replicas=replicas, **every)  # with epochs of 4 steps
    strategy = strategy_of(replicas)
    whole, _ = run_to_end(config, tmp_path / "whole", strategy)
    save = Checkpoints.save

    def save_or_fail(self):
        if int(self.model.steps_taken.numpy()) == 9:
            raise OSError("interrupted")
        return save(self)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_or_fail)
        with pytest.raises(OSError, match="interrupted"):
            run_to_end(config, tmp_path / "parts", strategy)
    parts, outcome = run_to_end(config, tmp_path / "parts", strategy)
    assert (outcome.step, outcome.trained) == (10, 4)
    assert [int(row["step"]) for row in rows_of(whole)] == [4, 8, 10]
    assert rows_of(parts) == rows_of(whole) and rows_of(whole)[1]["val_loss"]


@pytest.mark.slow
def test_weights_of_asked_for_steps_are_those_of_runs_that_end_there(config_of, tmp_path):
    values = {"training.ema_momentum": 0.5}
    config = config_of(5, values, keep_at=[2, 4], checkpoint_every=5)
    run, _ = run_to_end(config, tmp_path / "long")
    short, _ = run_to_end(config_of(2, values), tmp_path / "short")
    kept = run.kept(2)
    assert (kept.load_config().steps, kept.load_config().keep_at) == (2, [])
    assert not run.kept(3).exists()
    expected = short.load_model()[0].generate(2)
    np.testing.assert_array_equal(kept.load_model()[0].generate(2), expected)
    _, outcome = run_to_end(config.ended_at(2), kept.path)
    assert (outcome.step, outcome.trained, saved_step(kept.model)) == (2, 0, 2)
    np.testing.assert_array_equal(kept.load_model()[0].generate(2), expected)
    later, outcome = run_to_end(dataclasses.replace(of_steps(config, 7), keep_at=[6]), run.path)
    assert outcome.trained == 2 and later.kept(6).exists() and later.kept(4).exists()


@pytest.mark.slow
@pytest.mark.parametrize("break_", [flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_model_is_written_again_from_the_last_checkpoint(finished, capsys, break_):
    config, run = finished
    expected = weights_of(run.model)
    break_(run.model)
    _, outcome = run_to_end(config, run.path)
    assert (outcome.step, outcome.trained, saved_step(run.model)) == (4, 0, 4)
    assert f"{run.model}: damaged (" in capsys.readouterr().err
    for value, other in zip(expected, weights_of(run.model), strict=True):
        np.testing.assert_array_equal(other, value)


def test_a_damaged_model_without_checkpoints_is_an_error(finished):
    config, run = finished
    flip(run.model)
    shutil.rmtree(run.checkpoints)
    with pytest.raises(RunError, match=r"model\.keras is damaged, but no checkpoint"):
        run_to_end(config, run.path)


def test_a_run_with_damaged_weights_resumes_and_is_shown_from_older_ones(finished, capsys):
    config, run = finished
    run.model.unlink()
    older, newest = saved_steps(run.checkpoints).values()
    flip(newest, newest.read_bytes().index(b"PK\x01\x02") + 6, bit=6)  # the version of the archive
    _, source = run.load_model()
    assert source == older and f"{newest}: damaged (" in capsys.readouterr().err
    _, outcome = run_to_end(config, run.path)
    assert (outcome.step, outcome.trained) == (4, 2) and saved_step(newest) == 4
    assert f"{newest}: damaged (" in capsys.readouterr().err


def test_without_its_configuration_a_run_goes_on_with_its_own_settings_only(finished, capsys):
    config, run = finished
    before = run.config_path.read_bytes()
    run.config_path.unlink()
    with pytest.raises(RunError, match="started with other settings: seed is 0, not 4"):
        run_to_end(dataclasses.replace(config, seed=4), run.path)
    assert not run.config_path.exists()
    assert f"config.json: missing. Using the settings in {run.model}." in capsys.readouterr().err
    assert RunFolder(run.path).load_config() == dataclasses.replace(config, **_as_json(config))
    run_to_end(config, run.path)
    assert run.config_path.read_bytes() == before
    run.config_path.unlink()
    for path in (run.model, *saved_steps(run.checkpoints).values()):
        flip(path)
    with pytest.raises(RunError, match=r"config\.json: missing, and no saved weights can be read"):
        run_to_end(config, run.path)


def test_a_configuration_of_another_run_does_not_fit_the_weights(finished, capsys):
    config, run = finished
    other = dataclasses.replace(config, seed=4)
    run.config_path.write_text(other.to_json())
    with pytest.raises(RunError, match="none of the 2 checkpoints can be read"):
        run_to_end(other, run.path)
    with pytest.raises(RunError, match="no saved weights can be read"):
        run.load_model()
    assert "saved with other settings (seed is 0, not 4)" in capsys.readouterr().err


def test_damaged_metrics_of_a_finished_run_are_written_again(finished, capsys):
    config, run = finished
    before = run.metrics.read_bytes()
    flip(run.metrics)
    run_to_end(config, run.path)
    assert run.metrics.read_bytes() == before
    assert (run.path / "metrics.csv.damaged").exists()
    assert f"{run.metrics}: damaged (" in capsys.readouterr().err


def test_a_small_held_out_split_is_evaluated_nearly_whole(config_of):
    config = config_of(2)
    for count, batch, replicas, expected in (
        (5, 16, 1, 5), (20, 8, 1, 6), (128, 16, 1, 16), (2664, 16, 1, 16), (7, 4, 2, 2),
        (1, 2, 2, 0),
    ):  # fmt: skip
        training = dataclasses.replace(config.training, batch_size=batch)
        shared = dataclasses.replace(config, training=training, replicas=replicas)
        assert evaluation_batch_size(shared, count) == expected, (count, batch, replicas)


def test_few_long_videos_give_several_windows(config_of, squares):
    config = config_of(model="rjvae")
    clips, what = compared_clips(config, 5)
    assert (clips.shape, what) == ((5, 3, 16, 16, 3), "5 held-out clips")
    clips, what = compared_clips(config, 20)  # of 8 videos of 4 frames, two windows each
    assert (clips.shape, what) == ((20, 3, 16, 16, 3), "20 windows of 8 held-out clips")
    np.testing.assert_array_equal(clips, compared_clips(config, 20)[0])
    whole = next(iter(make_pipeline(squares, "test", 8, 4, repeat=False)))["video"].numpy()
    windows = {clip.tobytes() for video in whole for clip in (video[:3], video[1:])}
    found = {clip.tobytes() for clip in clips}
    assert found <= windows and len(found) > 8
    clips, what = compared_clips(config_of(values={"frames": 4}, model="rjvae"), 20)
    assert what == "8 held-out clips" and len({clip.tobytes() for clip in clips}) == 8


@pytest.mark.slow
def test_a_run_starts_from_the_image_generator_of_another(config_of, tmp_path, capsys):
    run_to_end(config_of(2, {"frames": 1}, model="image_gan"), tmp_path / "images")
    config = config_of(2, model="rjgan", init_from=os.fspath(tmp_path / "images"))
    run, _ = run_to_end(config, tmp_path / "videos")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("weights")]
    assert len(lines) == 1
    assert lines[0].startswith("weights of decoder, image_discriminator from ")
    assert lines[0].endswith("; new weights for residual, video_discriminator")
    shutil.rmtree(tmp_path / "images")  # resuming needs it no more
    run_to_end(of_steps(config, 3), tmp_path / "videos")
    assert saved_step(run.model) == 3
    with pytest.raises(RunError, match="there is no run"):
        run_to_end(config_of(2, model="rjgan", init_from="nowhere"), tmp_path / "other")


@pytest.mark.slow
def test_images_beside_the_videos_are_trained_on_and_compared(config_of, squares, tmp_path):
    images = {"images": "squares", "images_folder": squares}
    config = config_of(4, {"training.image_batch": 3}, model="rjgan", **images)
    whole, _ = run_to_end(config, tmp_path / "whole")
    run_to_end(of_steps(config, 2), tmp_path / "parts")
    parts, _ = run_to_end(config, tmp_path / "parts")
    for value, other in zip(weights_of(whole.model), weights_of(parts.model), strict=True):
        np.testing.assert_array_equal(other, value)
    without = config_of(4, {"training.image_batch": 3}, model="rjgan")
    assert [line.split()[0] for line in config.differences(without)] == ["images_digest"]
    with pytest.raises(ValueError, match="glo has no image discriminator") as error:
        config_of(4, **images)
    assert "\n" not in str(error.value)


def test_a_nan_is_reported_with_its_step(config_of, tmp_path):
    values = {"training.learning_rate": 1e38, "training.warmup_steps": 1}
    with pytest.raises(RunError, match=r"at step [23]"):
        run_to_end(config_of(9, values), tmp_path)
    assert not (tmp_path / "model.keras").exists()
    assert not list((tmp_path / "checkpoints").glob("step-00000[3-9]*"))


@pytest.mark.slow
def test_held_out_videos_that_are_too_short_are_not_evaluated(
    config_of, tmp_path, moving_squares, write_squares, capsys
):
    videos = [*moving_squares(12, 4), *moving_squares(8, 2)]
    config = config_of(2, folder=write_squares(tmp_path / "short", videos, 12), model="rjvae")
    run, _ = run_to_end(config, tmp_path / "run")
    lines = [line for line in capsys.readouterr().out.splitlines() if "held-out" in line]
    assert lines == ["no held-out evaluation: the split 'test' has videos of 2 frames, "
                    "a clip needs 3"]  # fmt: skip
    assert shown_batch(config)["video"].shape == (8, 3, 16, 16, 3) and run.model.exists()


def test_a_run_that_has_saved_nothing_may_start_again(config_of, tmp_path):
    run = RunFolder(tmp_path)
    run.begin(config_of())
    run.begin(config_of(seed=4))
    assert run.load_config().seed == 4
    run.config_path.write_text("{")
    assert run.keep_precision("auto") == "auto"
    run.begin(config_of())
    assert run.load_config().seed == 0


def test_a_process_that_is_not_the_chief_writes_nothing(config_of, tmp_path):
    config, run = config_of(2, sample_every=1), RunFolder(tmp_path, chief=False)
    with run.lock():
        run.begin(config)
        outcome = train(config, run, tf.distribute.get_strategy())
    assert (outcome.step, outcome.saved) == (2, run.model)  # which the chief writes
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_lost_worker_is_named_with_the_checkpoint_to_resume_from(
    config_of, tmp_path, monkeypatch
):
    text = "Collective ops is aborted by: unhealthy tasks. Restart your program to reset."

    def lose(*_):
        raise tf.errors.UnavailableError(None, None, text)

    run_to_end(config_of(2), tmp_path)
    monkeypatch.setattr(Checkpoints, "save", lose)
    with pytest.raises(RunError, match=r"^Another worker was lost.*step-000002.*resume") as e:
        run_to_end(config_of(4), tmp_path)
    assert "\n" not in str(e.value)
    text = "the record is damaged"
    with pytest.raises(tf.errors.UnavailableError, match=text):
        run_to_end(config_of(4), tmp_path)


def other_worker_has(monkeypatch, change):
    """Makes `train` see a second worker, whose text is that of this one after `change`."""
    monkeypatch.setattr(
        "kerasvid.training.loop.texts_of_all_workers", lambda _, text: [text, change(text)]
    )


@pytest.mark.parametrize(
    "ours, theirs, named",
    [
        ('"seed": 0', '"seed": 3', "seed is 3, not 0"),
        ('"log_every": 2', '"log_every": 9', "log_every is 9, not 2"),
        ('"steps of checkpoints": []', '"steps of checkpoints": [2]', r"is \[2\], not \[\]"),
    ],
)
def test_workers_that_differ_are_refused_before_anything_is_written(
    config_of, tmp_path, monkeypatch, ours, theirs, named
):
    other_worker_has(monkeypatch, lambda text: text.replace(ours, theirs))
    with pytest.raises(RunError, match=f"orker 1 .*{named}") as error:
        run_to_end_without_begin(config_of(2), tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_workers_that_read_different_checkpoints_stop(finished, monkeypatch):
    config, run = finished
    monkeypatch.setattr(
        "kerasvid.training.loop.of_all_workers", lambda _, values: np.array([values, [2]])
    )
    before = run.config_path.read_bytes()
    with pytest.raises(RunError, match="different checkpoints, of the steps 4, 2"):
        run_to_end_without_begin(of_steps(config, 6), run.path)
    assert run.config_path.read_bytes() == before


def run_to_end_without_begin(config, folder):
    run = RunFolder(folder)
    with run.lock():
        train(config, run, tf.distribute.get_strategy())


@pytest.mark.slow
def test_an_average_that_is_not_ready_is_not_saved(config_of, tmp_path):
    config = config_of(4, {"training.ema_momentum": 0.999}, model="rjvae")
    run, _ = run_to_end(config, tmp_path)
    trained = weights_of(latest(run.checkpoints))
    for value, expected in zip(weights_of(run.model), trained, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
def test_the_model_of_a_lengthened_run_is_its_newest(config_of, tmp_path):
    config = config_of(4)
    run, _ = run_to_end(of_steps(config, 2), tmp_path)
    stale = run.model.read_bytes()
    run_to_end(config, tmp_path)
    assert saved_step(run.model) == 4 and run.load_model()[1] == run.model
    run.model.write_bytes(stale)  # killed before the model was written
    model, source = run.load_model()
    assert source == saved_steps(run.checkpoints)[4] and int(model.steps_taken.numpy()) == 4
    _, outcome = run_to_end(config, tmp_path)
    assert outcome.trained == 0 and saved_step(run.model) == 4


def test_steps_that_loss_scaling_skipped_count(config_of, tmp_path):
    run = RunFolder(tmp_path)
    config = config_of(3)
    run.begin(config)
    model = config.make_model()
    config.compile(model)
    model.steps_taken.assign(2)  # and the optimizer's count is 0
    run.checkpoints.mkdir()
    save_model(model, run.checkpoints / "step-000002.keras", config)
    assert saved_step(run.checkpoints / "step-000002.keras") == 2
    _, outcome = run_to_end(config, tmp_path)
    assert (outcome.step, outcome.trained) == (3, 1)
    assert list(saved_steps(run.checkpoints)) == [2, 3]


# === Discriminators that know their training clips ===


@pytest.fixture
def adversarial_config(config_of):
    """A function that makes a config of a GAN with evaluations."""

    def make(steps=2, **values):
        settings = {"frames": 4, **values}
        rest = {"sample_every": 2, "checkpoint_every": 100}
        return config_of(steps, values=settings, model="mocogan", **rest)

    return make


@pytest.mark.slow
def test_a_discriminator_is_compared_on_held_out_and_training_clips(adversarial_config, tmp_path):
    config = adversarial_config()
    run_to_end(config, tmp_path)
    (row,) = csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines())
    model, _ = RunFolder(tmp_path).load_model(averaged=False)
    real = {}
    for split in ("train", "test"):
        batches = config.clips(split, batch_size=4, pick="start", seed=0)
        found = model.evaluate(batches.take(2), verbose=0, return_dict=True)
        real[split] = found["video_discriminator_real"]
        fake = found["video_discriminator_fake"]
    expected = (real["train"] - real["test"]) / (real["train"] - fake)
    if real["train"] <= fake:
        expected = 0.0
    assert float(row["val_video_discriminator_divergence"]) == pytest.approx(expected, abs=1e-4)


def test_a_run_ends_where_a_discriminator_knows_its_clips_too_well(
    adversarial_config, tmp_path, monkeypatch
):
    found = {"image_discriminator_divergence": 0.1, "video_discriminator_divergence": 0.9}
    monkeypatch.setattr(AdversarialModel, "divergences", lambda *_: dict(found))
    config = adversarial_config(3, **{"training.max_divergence": 0.5})
    with pytest.raises(RunError, match=r"discriminator_divergence is 0\.90 at step 2") as error:
        run_to_end(config, tmp_path)
    assert "training.max_divergence=0.5" in str(error.value) and "\n" not in str(error.value)
    assert list(saved_steps(tmp_path / "checkpoints")) == [2]
    (row,) = csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines())
    assert row["val_video_discriminator_divergence"] == "0.9"
    raised = adversarial_config(3, **{"training.max_divergence": 0.95})
    assert run_to_end(raised, tmp_path)[1].step == 3


def test_other_models_are_not_compared_on_training_clips(config_of):
    config = config_of(6, model="rjvae")
    assert compared_training_batches(config, held_out_batches(config)) is None


def test_flips_change_the_clips_that_are_trained_on_alone(config_of, tmp_path):
    plain, turned = (
        config_of(2, {"training.flips": flips}, model="rjvae") for flips in ([], ["time"])
    )
    videos = [
        np.stack([batch["video"] for batch in config.clips("test").take(2).as_numpy_iterator()])
        for config in (plain, turned)
    ]
    np.testing.assert_array_equal(*videos)
    weights = [
        run_to_end(config, tmp_path / name)[0].load_model()[0].get_weights()
        for name, config in (("plain", plain), ("turned", turned))
    ]
    assert any((a != b).any() for a, b in zip(*weights, strict=True))
