"""to_tflite, to_onnx and check_parity as a user runs them, on the run of a small model."""

import json

import numpy as np
import pytest

from kerasvid.export import onnx
from kerasvid.training.config import make_config

for package in ("ai_edge_litert", "tf2onnx", "onnxruntime"):
    pytest.importorskip(package, reason="pip install -e '.[tflite,onnx]'")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, save_new_run):
    """A finished run of a glo with new weights."""
    config = make_config("glo", "squares", "gone", None, "debug", precision="float32", seed=0)
    config.hyperparameters.update(image_shape=(16, 16, 3), frames=4)
    return save_new_run(config, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def export_here(capsys, monkeypatch, tmp_path, run_dir, run_command):
    """Runs a command of export/ in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *given: str) -> tuple[int, str, str]:
        given = [each for each in given if each.startswith("--")]
        if not any(each.startswith("--run_dir") for each in given):
            given.append(f"--run_dir={run_dir}")
        status = run_command(name, *given)
        return status, *capsys.readouterr()

    return run


def test_a_file_of_tflite_is_written_with_what_it_holds_beside_it(export_here, tmp_path):
    flags = ("--out=a.tflite", "--quantize=integer", "--verbs=decode", "--batch=2", "--frames=3")
    status, out, err = export_here("to_tflite", *flags)
    assert (status, err) == (0, "")
    assert "decode: video differs from Keras by max" in out and "PSNR" in out
    facts = json.loads((tmp_path / "a.tflite.json").read_text())
    assert (facts["model"], facts["quantize"], facts["frames"]) == ("glo", "integer", 3)
    decode = facts["verbs"]["decode"]
    assert decode["outputs"]["video"]["shape"] == [2, 3, 16, 16, 3]
    assert decode["error"]["video"]["psnr_db"] > 20.0
    assert facts["operations"]["CONV_2D"] > 0

    before = (tmp_path / "a.tflite").read_bytes()
    status, _, err = export_here("to_tflite", "--out=a.tflite")
    assert status == 1 and err == (
        "error: a.tflite: exists already; give another name, or --overwrite.\n"
    )
    assert (tmp_path / "a.tflite").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.tflite", "a.tflite.json"}


@pytest.mark.slow
def test_verbs_of_descent_are_left_out_and_told(export_here):
    status, out, _ = export_here("to_tflite", "--out=a.tflite")
    assert status == 0
    assert out.startswith("left out, as they descend by gradients: encode, reconstruct")


def test_a_file_of_onnx_is_written_and_replaced_where_asked(export_here, tmp_path):
    (tmp_path / "a.onnx").write_text("old")
    status, _, err = export_here("to_onnx", "--out=a.onnx")
    assert status == 1 and "a.onnx: exists already" in err
    assert (tmp_path / "a.onnx").read_text() == "old"
    status, out, err = export_here("to_onnx", "--out=a.onnx", "--overwrite")
    assert (status, err) == (0, "") and "opset 17" in out
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_a_failure_leaves_what_was_there(export_here, tmp_path, monkeypatch):

    def broken(*_):
        raise ValueError("no such operation.")

    monkeypatch.setattr(onnx, "convert", broken)
    (tmp_path / "a.onnx").write_text("old")
    status, _, err = export_here("to_onnx", "--out=a.onnx", "--overwrite")
    assert (status, err) == (1, "error: no such operation.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "old"


def test_what_cannot_be_exported_is_told_in_one_line(export_here, tmp_path):
    for command, given, message in (
        ("to_tflite", ["--out=a.bin"], "give a name that ends in .tflite"),
        ("to_tflite", ["--out=a.tflite", "--integer_io"], "goes with --quantize=integer"),
        ("to_tflite", ["--out=a.tflite", "--verbs=encode"], "encode descends by gradients"),
        ("to_tflite", ["--out=a.tflite", "--run_dir=nowhere"], "nowhere: there is no run"),
        ("to_tflite", ["--out=none/a.tflite"], "the folder none does not exist"),
        ("to_onnx", ["--out=a.onnx", "--verb=swop"], "no verb 'swop'"),
        ("to_onnx", ["--out=a.tflite"], "give a name that ends in .onnx"),
        ("check_parity", ["--tflite=none.tflite"], "none.tflite: is not there; leave it out"),
    ):
        status, _, err = export_here(command, *given)
        assert status == 1 and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
        assert not list(tmp_path.iterdir())


def test_a_missing_package_is_told_with_its_command(export_here, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    status, _, err = export_here("to_tflite", "--out=a.tflite")
    assert status == 1 and err.endswith("is not installed: pip install -e '.[tflite]'.\n")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    status, _, err = export_here("to_onnx", "--out=a.onnx")
    assert status == 1 and "tf2onnx" in err and "pip install -e '.[onnx]'" in err


@pytest.mark.slow
def test_all_forms_stand_in_one_table(export_here, tmp_path):
    status, out, err = export_here("check_parity", "--repeats=3", "--out=parity.json")
    assert (status, err) == (0, "")
    rows = {row["form"]: row for row in json.loads((tmp_path / "parity.json").read_text())["forms"]}
    assert list(rows) == [
        "Keras generate", "Keras graph", "SavedModel", "TFLite float32", "TFLite float16",
        "TFLite dynamic range", "TFLite integer", "ONNX",
    ]  # fmt: skip
    assert all(name in out for name in rows)
    for name in ("Keras graph", "SavedModel", "TFLite float32", "ONNX"):
        assert rows[name]["max"] < 1e-4
    for row in rows.values():
        assert row["latency_ms"] > 0 and row["size_mb"] > 0
        assert np.isclose(row["speed"], rows["Keras generate"]["latency_ms"] / row["latency_ms"])
    # TensorFlow is in no process of the small runtimes.
    assert rows["TFLite float32"]["memory_mb"] < rows["SavedModel"]["memory_mb"] / 2


@pytest.mark.slow
def test_a_form_of_other_frames_is_told_by_name(export_here):
    assert export_here("to_tflite", "--out=a.tflite", "--verbs=decode", "--frames=3")[0] == 0
    status, _, err = export_here("check_parity", "--tflite=a.tflite", "--repeats=1")
    assert status == 1 and len(err.splitlines()) == 1
    assert err.startswith("error: TFLite a.tflite: ")
