"""Runs in MLflow, in wandb, and in trackers that fail."""

import json
import pathlib
import shutil
import sys
import time
from typing import ClassVar

import keras
import pytest
import tensorflow as tf

from kerasvid.training.callbacks import trackers
from kerasvid.training.callbacks.trackers import STATE, Tracking, check_trackers
from kerasvid.training.loop import train
from kerasvid.training.run_folder import RunFolder


class Recorder:
    """A tracker that remembers what it is sent, and fails while `down` is true."""

    sent: ClassVar[list] = []
    made: ClassVar[list] = []
    tries: ClassVar[list] = []
    down = ends_badly = False

    def __init__(self, name, settings, known, keep):
        self.tries.append(name)
        if Recorder.down:
            raise ConnectionError("no server\nat all")
        number = known or f"{name}-{len(self.made)}"
        self.made.append((number, known, dict(settings)))
        keep(number)

    def log(self, step, row):
        if Recorder.down:
            raise ConnectionError("no server")
        self.sent.append((step, row))

    def show(self, step, paths):
        self.sent.append((step, [path.name for path in paths]))

    def finish(self, model):
        if Recorder.ends_badly:
            raise ConnectionError("no server")
        self.sent.append(("end", model and model.name))


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setitem(trackers.TRACKERS, "recorder", Recorder)
    monkeypatch.setattr(Recorder, "sent", [])
    monkeypatch.setattr(Recorder, "made", [])
    monkeypatch.setattr(Recorder, "tries", [])
    monkeypatch.setattr(Recorder, "ends_badly", False)
    monkeypatch.setattr(Recorder, "down", False)
    return Recorder


def row(step, **values):
    return {"step": str(step), **{name: f"{value:.6g}" for name, value in values.items()}}


def tracked_run(config, folder, names):
    run = RunFolder(folder)
    with run.lock():
        run.begin(config)
        train(config, run, tf.distribute.get_strategy(), names)
    return run


# === What is sent, and when ===


def test_rows_samples_and_the_model_are_sent_once(recorder, tmp_path):
    rows = [row(2, loss=1.5), row(4, loss=1.25)]
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step-000004.png").write_bytes(b"")
    tracking = Tracking(["recorder"], tmp_path, {"seed": 3}, lambda: rows)
    for _ in range(2):
        tracking.send()
    tracking.finish(tmp_path / "model.keras")
    files = ["step-000004.png", "step-000004.gif"]
    assert recorder.sent == [(2, {"loss": 1.5}), (4, {"loss": 1.25}), (4, files),
                             ("end", "model.keras")]  # fmt: skip
    assert recorder.made[0][2] == {"seed": 3}


def test_a_resumed_run_continues_its_own(recorder, tmp_path):
    rows = [row(2, loss=1.5)]
    Tracking(["recorder"], tmp_path, {}, lambda: rows).send()
    rows.append(row(4, loss=1.25))
    Tracking(["recorder"], tmp_path, {}, lambda: rows).send()
    assert [step for step, _ in recorder.sent] == [2, 4]
    first, second = recorder.made
    assert first[1] is None and second[1] == first[0]


def test_a_tracker_that_fails_is_named_once_and_gets_the_rest_later(recorder, tmp_path, capsys):
    rows = [row(2, loss=1.5)]
    recorder.down = True
    tracking = Tracking(["recorder"], tmp_path, {}, lambda: rows)
    tracking.send()
    rows.append(row(4, loss=1.25))
    tracking.send()
    err = capsys.readouterr().err.strip()
    assert err.count("\n") == 0 and err.startswith("recorder: no server at all. Training goes on")
    recorder.down = False
    tracking.send()
    assert [step for step, _ in recorder.sent] == [2, 4]


def test_a_tracker_that_fails_is_tried_once_a_row(recorder, tmp_path):
    rows, model = [], keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    recorder.down = True
    tracking = Tracking(["recorder"], tmp_path, {}, lambda: rows)
    tracking.set_model(model)
    for step in range(1, 101):
        if step % 50 == 0:
            rows.append(row(step, loss=1.0))
        tracking.on_step_end(step, {})
    assert len(recorder.tries) == 3  # without a row, and at each of two


def test_samples_and_rows_come_in_the_order_of_their_steps(recorder, tmp_path):
    rows = [row(50, loss=1.5)]
    (tmp_path / "samples").mkdir()
    for step in (37, 60):
        (tmp_path / "samples" / f"step-{step:06d}.png").write_bytes(b"")
    tracking = Tracking(["recorder"], tmp_path, {}, lambda: rows)
    tracking.send()
    rows.append(row(100, loss=1.25))
    tracking.send()
    assert [step for step, _ in recorder.sent] == [37, 50, 60, 100]


def test_an_end_that_fails_comes_with_the_next_command(recorder, config_of, tmp_path, capsys):
    recorder.ends_badly = True
    config = config_of(2, model="rjvae")
    run = tracked_run(config, tmp_path / "run", ["recorder"])
    assert "It lacks the end of the run: run the same command again" in capsys.readouterr().err
    recorder.ends_badly = False
    for _ in range(2):
        tracked_run(config, run.path, ["recorder"])
    assert [step for step, _ in recorder.sent] == [2, "end"]
    shutil.rmtree(run.checkpoints)
    (run.path / STATE).unlink()
    tracked_run(config, run.path, ["recorder"])  # finished, without checkpoints
    assert [step for step, _ in recorder.sent] == [2, "end", 2, "end"]


def test_trackers_that_are_left_out_are_continued_later(recorder, monkeypatch, tmp_path):
    monkeypatch.setitem(trackers.TRACKERS, "other", Recorder)
    rows = [row(2, loss=1.5)]
    for names in (["recorder", "other"], ["other"], ["recorder"]):
        Tracking(names, tmp_path, {}, lambda: rows).send()
        rows.append(row(2 * len(rows) + 2, loss=1.0))
    known = [each[1] for each in recorder.made]
    assert known[:2] == [None, None] and None not in known[2:]


@pytest.mark.parametrize("text", ["{", "[]", '{"recorder": {"id": 3}}'])
def test_a_damaged_state_is_named_and_begun_anew(recorder, tmp_path, capsys, text):
    (tmp_path / STATE).write_text(text)
    Tracking(["recorder"], tmp_path, {}, lambda: [row(2, loss=1.5)]).send()
    assert f"{tmp_path / STATE}: cannot be read" in capsys.readouterr().err
    assert recorder.sent == [(2, {"loss": 1.5})]


def test_a_run_sends_the_rows_of_its_file(recorder, config_of, tmp_path):
    config = config_of(4, model="rjvae", sample_every=4)
    run = tracked_run(config, tmp_path / "run", ["recorder"])
    lines = run.metrics.read_text().splitlines()
    steps = [int(line.split(",")[0]) for line in lines[1:]]
    assert [step for step, values in recorder.sent if isinstance(values, dict)] == steps == [2, 4]
    assert (4, ["step-000004.png", "step-000004.gif"]) in recorder.sent
    assert recorder.sent[-1] == ("end", "model.keras")
    assert recorder.made[0][2]["training.learning_rate"] == config.training.learning_rate


def test_a_run_whose_loss_breaks_is_ended_in_its_trackers(recorder, config_of, tmp_path):
    config = config_of(4, {"training.learning_rate": 1e30}, model="rjvae")
    with pytest.raises(RuntimeError):
        tracked_run(config, tmp_path / "run", ["recorder"])
    assert recorder.sent[-1] == ("end", None)


# === Names ===


def test_only_clients_are_made():
    assert check_trackers(["tensorboard"]) == [] and check_trackers([]) == []


def test_an_unknown_tracker_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="--track=mlfow: unknown tracker; did you mean 'mlflow'"):
        check_trackers(["mlfow"])


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=rf"{name} is not installed. .*kerasvid\[{name}\]"):
        check_trackers([name])


# === The real ones ===


@pytest.mark.slow
def test_mlflow_has_parameters_curves_pictures_and_a_model(config_of, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # of artifacts
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_tracking_uri(None)
    config = config_of(4, model="rjvae", sample_every=4)
    run = tracked_run(config, tmp_path / "run", check_trackers(["mlflow"]))
    client = mlflow.MlflowClient()
    number = json.loads((run.path / STATE).read_text())["mlflow"]["id"]
    found = client.get_run(number)
    assert found.info.status == "FINISHED" and found.data.params["training.steps"] == "4"
    curve = client.get_metric_history(number, "loss")
    assert [point.step for point in curve] == [2, 4]
    assert "val_loss" in found.data.metrics
    pictures = [each.path for each in client.list_artifacts(number, "samples")]
    assert pictures == ["samples/step-000004.gif", "samples/step-000004.png"]
    path = client.download_artifacts(number, "model/model.keras")
    trained = keras.models.load_model(path)
    assert trained.generate(1).shape == (1, 3, 16, 16, 3)

    def broken(*args, **options):
        raise ConnectionError("no server")

    fresh = tmp_path / "fresh"
    with monkeypatch.context() as patched:  # parameters that do not arrive are sent later
        patched.setattr(mlflow.MlflowClient, "log_batch", broken)
        Tracking(["mlflow"], fresh.parent, {"seed": 3}, lambda: []).send()
    Tracking(["mlflow"], fresh.parent, {"seed": 3}, lambda: []).send()
    state = json.loads((fresh.parent / STATE).read_text())
    assert client.get_run(state["mlflow"]["id"]).data.params == {"seed": "3"}

    tracked_run(config_of(6, model="rjvae", sample_every=4), run.path, ["mlflow"])  # lengthened
    assert [p.step for p in client.get_metric_history(number, "loss")] == [2, 4, 6]


@pytest.mark.slow
def test_wandb_keeps_a_run_offline(config_of, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, value)
    config = config_of(2, model="rjvae", sample_every=2)
    run = tracked_run(config, tmp_path / "run", check_trackers(["wandb"]))
    (folder,) = pathlib.Path(run.path, "wandb").glob("offline-run-*")
    (store,) = folder.glob("*.wandb")
    wanted, end = (b"training.learning_rate", b"val_loss", b"run-model"), time.monotonic() + 60.0
    while not all(text in store.read_bytes() for text in wanted):  # written by another process
        assert time.monotonic() < end, store.read_bytes()[:500]
        time.sleep(0.1)
    media = [path.suffix for path in (folder / "files" / "media").rglob("*") if path.is_file()]
    assert sorted(media) == [".gif", ".png"]
