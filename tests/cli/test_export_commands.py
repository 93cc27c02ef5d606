"""to_tflite, to_onnx and check_parity as a user runs them, on the run of a small model."""

import json

import numpy as np
import pytest

from kerasvid.export import onnx
from kerasvid.export.play_tflite import description
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


def test_a_tflite_file_is_written_with_its_description(export_here, tmp_path):
    flags = (
        "--out=a.tflite",
        "--quantize=integer",
        "--signatures=decode",
        "--batch=2",
        "--frames=3",
    )
    status, out, err = export_here("to_tflite", *flags)
    assert (status, err) == (0, "")
    assert "decode: video differs from Keras by max" in out and "PSNR" in out
    facts = json.loads((tmp_path / "a.tflite.json").read_text())
    assert description(str(tmp_path / "a.tflite")) == facts  # the same is in the file
    assert facts["fps"] > 0 and isinstance(facts["classes"], list)
    assert (facts["model"], facts["quantize"], facts["frames"]) == ("glo", "integer", 3)
    decode = facts["signatures"]["decode"]
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
def test_signatures_that_need_a_loop_are_left_out(export_here):
    status, out, _ = export_here("to_tflite", "--out=a.tflite")
    assert status == 0
    assert out.startswith("left out, as they need a loop: encode, reconstruct")


def test_an_onnx_file_is_written_and_replaced_only_if_asked(export_here, tmp_path):
    (tmp_path / "a.onnx").write_text("old")
    status, _, err = export_here("to_onnx", "--out=a.onnx")
    assert status == 1 and "a.onnx: exists already" in err
    assert (tmp_path / "a.onnx").read_text() == "old"
    status, out, err = export_here("to_onnx", "--out=a.onnx", "--overwrite")
    assert (status, err) == (0, "") and "opset 17" in out
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_a_failure_leaves_the_old_file(export_here, tmp_path, monkeypatch):

    def broken(*_):
        raise ValueError("no such operation.")

    monkeypatch.setattr(onnx, "convert", broken)
    (tmp_path / "a.onnx").write_text("old")
    status, _, err = export_here("to_onnx", "--out=a.onnx", "--overwrite")
    assert (status, err) == (1, "error: no such operation.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "old"


def test_errors_are_one_line_and_leave_nothing(export_here, tmp_path):
    for command, given, message in (
        ("to_tflite", ["--out=a.bin"], "the name must end in .tflite"),
        ("to_tflite", ["--out=a.tflite", "--integer_io"], "integer_io: needs quantize=integer"),
        (
            "to_tflite",
            ["--out=a.tflite", "--signatures=encode"],
            "encode: finds codes by gradient descent",
        ),
        ("to_tflite", ["--out=a.tflite", "--run_dir=nowhere"], "nowhere: there is no run"),
        ("to_tflite", ["--out=none/a.tflite"], "the folder none does not exist"),
        ("to_onnx", ["--out=a.onnx", "--signature=swop"], "no signature 'swop'"),
        ("to_onnx", ["--out=a.tflite"], "the name must end in .onnx"),
        ("check_parity", ["--tflite=none.tflite"], "none.tflite: does not exist. Leave it out"),
    ):
        status, _, err = export_here(command, *given)
        assert status == 1 and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
        assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_the_command_that_installs_it(export_here, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    status, _, err = export_here("to_tflite", "--out=a.tflite")
    assert status == 1 and err.endswith("is not installed. Run pip install 'kerasvid[tflite]'.\n")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    status, _, err = export_here("to_onnx", "--out=a.onnx")
    assert status == 1 and "tf2onnx" in err and "pip install 'kerasvid[onnx]'" in err


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
def test_a_form_of_another_length_is_named(export_here):
    assert export_here("to_tflite", "--out=a.tflite", "--signatures=decode", "--frames=3")[0] == 0
    status, _, err = export_here("check_parity", "--tflite=a.tflite", "--repeats=1")
    assert status == 1 and len(err.splitlines()) == 1
    assert err.startswith("error: TFLite a.tflite: ")
