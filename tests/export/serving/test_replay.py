"""Warm-up requests written by the real messages, replayed; the version by saved_model_cli."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export.serving.messages import WARM_UP_FILE
from kerasvid.export.serving.replay import ReplayError, replay

pytest.importorskip("tensorflow_serving", reason="pip install 'kerasvid[serving]'")
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_log_pb2,
)


@pytest.fixture
def version_dir(models_dir, tmp_path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(models_dir / "cvae" / "1", tmp_path / "1"))


def request(signature="serving_default", rows=2, **changes) -> predict_pb2.PredictRequest:
    pixels = np.zeros([rows, 16, 16, 3], np.uint8)
    inputs = {
        "seed": np.arange(rows), "first": pixels, "last": pixels + 90,
        "temperature": np.ones([rows], np.float32), **changes,
    }  # fmt: skip
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "cvae", signature
    for name, value in inputs.items():
        if value is not None:
            message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return message


def write(version_dir: pathlib.Path, *requests) -> pathlib.Path:
    path = version_dir / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for each in requests:
            log = each
            if isinstance(each, predict_pb2.PredictRequest):
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=each)
                )
            writer.write(log.SerializeToString())
    return path


def jpeg_request() -> predict_pb2.PredictRequest:
    coded = tf.io.encode_png(np.zeros([16, 16, 3], np.uint8)).numpy()
    ends = {"first_bytes": [coded], "last_bytes": [coded]}
    return request("between_jpeg", 1, first=None, last=None, **ends)


def test_each_request_runs_through_its_signature_and_is_timed(version_dir):
    write(version_dir, request(rows=1), request("", rows=4), jpeg_request())
    done = replay(version_dir)
    assert [each.signature for each in done] == [
        "serving_default", "serving_default", "between_jpeg"
    ]  # fmt: skip
    assert [each.rows for each in done] == [1, 4, 1]
    assert all(each.seconds > 0 for each in done)
    assert [each.outputs for each in done] == [
        {"video": (1, 4, 16, 16, 3)}, {"video": (4, 4, 16, 16, 3)}, {"frames_bytes": (1, 4)}
    ]  # fmt: skip


def test_errors_name_the_record_that_fails(version_dir, tmp_path):
    with pytest.raises(ReplayError, match=r"warmup_requests: does not exist\. Export this"):
        replay(version_dir)
    classify = prediction_log_pb2.PredictionLog()
    classify.classify_log.request.CopyFrom(classification_pb2.ClassificationRequest())
    for records, message in (
        ([], "has no records"),
        ([request(), request("generate")], r"record 2 \(generate\): the version has no such "
         "signature. It has between_jpeg, serving_default"),
        ([request(temperature=None)], r"record 1 \(serving_default\): the inputs are \['first', "),
        ([request(first=np.zeros([2, 8, 8, 3], np.uint8))], r"record 1 .* fails \("),
        ([request(seed=np.zeros([2], np.float32))], r"record 1 .* fails \("),
        ([classify], "record 1 is not a logged prediction"),
        ([request(), prediction_log_pb2.PredictionLog()], "record 2 is not a logged prediction"),
        ([request(rows=1)] * 1001, "more than 1000 records"),
    ):  # fmt: skip
        write(version_dir, *records)
        with pytest.raises(ReplayError, match=message) as error:
            replay(version_dir)
        assert len(str(error.value).splitlines()) == 1
    path = write(version_dir, request(), request())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ReplayError, match="is damaged after record 1"):
        replay(version_dir)
    write(version_dir, request())
    (version_dir / "saved_model.pb").unlink()
    with pytest.raises(ReplayError, match="cannot be loaded as a SavedModel"):
        replay(version_dir)


def test_the_command_prints_a_line_for_each_request(version_dir, run_command, capsys):
    write(version_dir, request(rows=2), jpeg_request())
    assert run_command("replay", os.fspath(version_dir)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, second, summary = out.splitlines()
    assert first.endswith("ms  serving_default x 2: video [2, 4, 16, 16, 3]")
    assert second.endswith("ms  between_jpeg x 1: frames_bytes [1, 4]")
    assert summary.startswith("2 requests in ")


def test_requests_that_may_not_be_read_are_one_line(version_dir, run_command, capsys, monkeypatch):
    def refuse(path):
        raise tf.errors.PermissionDeniedError(None, None, f"{path}; Permission denied")

    write(version_dir, request())
    monkeypatch.setattr(tf.data, "TFRecordDataset", refuse)
    assert run_command("replay", os.fspath(version_dir)) == 1
    err = capsys.readouterr().err
    assert err.endswith("; Permission denied. Check the permissions.\n") and err.count("\n") == 1


@pytest.mark.slow
def test_saved_model_cli_shows_and_runs_what_a_server_sees(version_dir, tmp_path):
    pixels = np.zeros([2, 16, 16, 3], np.uint8)
    given = {"seed": np.arange(2), "first": pixels, "last": pixels + 90}
    np.savez(tmp_path / "in.npz", **given, temperature=np.ones(2, np.float32))
    names = (*given, "temperature")
    inputs = ";".join(f"{name}={tmp_path / 'in.npz'}[{name}]" for name in names)
    which = (f"--dir={version_dir}", "--tag_set=serve", "--signature_def=serving_default")
    out_dir = tmp_path / "out"
    started = [  # side by side: each spends its time on importing TensorFlow
        subprocess.Popen(
            [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for arguments in (
            ("show", *which), ("run", *which, f"--inputs={inputs}", f"--outdir={out_dir}"),
        )
    ]  # fmt: skip
    shown, ran = (process.communicate(timeout=120)[0] for process in started)
    assert [process.returncode for process in started] == [0, 0], ran
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    seed = lines.index("inputs['seed'] tensor_info:")
    assert lines[seed + 1 : seed + 3] == ["dtype: DT_INT64", "shape: (-1)"]
    video = lines.index("outputs['video'] tensor_info:")
    assert lines[video + 1 : video + 3] == ["dtype: DT_UINT8", "shape: (-1, 4, 16, 16, 3)"]
    assert "Method name is: tensorflow/serving/predict" in lines
    video = np.load(out_dir / "video.npy")
    assert video.shape == (2, 4, 16, 16, 3) and video.dtype == np.uint8
    np.testing.assert_array_equal(video[:, :, 0, 0, 0], [[0, 30, 60, 90]] * 2)
