"""A study of a run and its data, made and counted from the command line."""

import json
import os

import pytest

from kerasvid.comparison.study import load_study
from kerasvid.data import load_info
from kerasvid.training.config import make_config


@pytest.fixture(scope="module")
def run(squares, tmp_path_factory, save_new_run):
    """A run of random weights, clips of 4x16x16x3."""
    values = {"frames": 4, "training.batch_size": 4}
    options = {"precision": "float32", "seed": 0}
    config = make_config(
        "mocogan", "squares", squares, load_info(squares), "debug", values, **options
    )  # fmt: skip
    return os.fspath(save_new_run(config, tmp_path_factory.mktemp("runs") / "moco"))


def write_csv(study, rater: str, wins: int) -> str:
    """Answers that prefer "a" in the first pairs, and "b" in all others."""
    lines = ["study,rater,pair,chosen,seconds"]
    for number, pair in enumerate(study.pairs):
        side = study.sides[pair.order.index("a" if number < wins else "b")]
        lines.append(f"{study.id},{rater},{pair.pair},{side},2.0")
    with open(f"{rater}.csv", "w") as file:
        file.write("\n".join(lines))
    return f"{rater}.csv"


def test_a_study_is_made_answered_and_counted(app_here, run, tmp_path):
    making = (f"--runs={run},real", "--out=study", "--pairs=8", "--seed=4")
    status, out, err = app_here("compare", *making, "--description=Squares.")
    assert (status, err) == (0, "")
    study = load_study("study")
    assert out.startswith(f"study: study {study.id}, 8 pairs, page of 0.0")
    assert "kerasvid compare --study=study --answers=rater1.csv,rater2.csv" in out
    assert (study.frames, study.fps, study.names["b"]) == (4, 8.0, "real")
    assert study.description == "Squares." and study.runs["a"]["model"] == "mocogan"
    page = (tmp_path / "study" / "index.html").read_text()
    assert "Squares." in page and "mocogan" not in page and 'real"' not in page

    files = [write_csv(study, "anna", 8), write_csv(study, "ben", 6)]
    status, out, err = app_here("compare", "--study=study", f"--answers={','.join(files)}")
    assert (status, err) == (0, "")
    assert f"{run} is preferred in 87.5 % (95 %: 64.0 to 96.5) of 16 answers of 2 raters." in out
    written = json.loads((tmp_path / "study" / "preference.json").read_text())
    assert written["pooled"]["preference"]["chosen"] == 14 and written["study"] == study.id
    assert "87.5 %" in (tmp_path / "study" / "preference.md").read_text()

    status, _, err = app_here("compare", *making, "--overwrite")
    assert status == 1 and "study: a study that also holds preference.json." in err
    assert load_study("study") == study
    for name in ("json", "md"):
        (tmp_path / "study" / f"preference.{name}").unlink()
    status, _, err = app_here("compare", *making)
    assert status == 1 and "study: exists. Give another --out, or --overwrite" in err
    status, _, err = app_here("compare", *making, "--overwrite", "--stacked", "--fps=3")
    assert (status, err) == (0, "")
    assert (load_study("study").layout, load_study("study").fps) == ("stacked", 3.0)
    status, _, err = app_here("compare", "--study=study", "--answers=anna.csv")
    assert status == 1 and f"anna.csv, line 2: the study is '{study.id}', not " in err


def test_mistakes_are_refused_in_one_line(app_here, run, tmp_path):
    for flags, message in (
        ([], "Give --runs=runs/a,runs/b with --out, or --study with --answers"),
        (["--runs=a,b"], "Give --runs=runs/a,runs/b with --out"),
        (["--runs=a", "--out=x"], "Give --runs=runs/a,runs/b with --out"),
        (["--runs=nowhere,real", "--out=x"], "nowhere: there is no run"),
        ([f"--runs={run},{run}", "--out=x"], "give two different runs, or a run and real"),
        ([f"--runs={run},real", "--out=x", "--frames=9"], "a clip needs 9 frames"),
        ([f"--runs={run},real", "--out=x", "--data_dir=gone"], "gone"),
        ([f"--runs={run},real", "--out=x", "--pairs=2", "--fps=0"], "--fps=0.0: must be above 0"),
        (["--study=x"], "Counting needs two flags. Give --study=... and --answers="),
        (["--study=x", "--answers=y", "--pairs=3"], "--pairs makes a study, but --study counts "),
        (["--study=x", "--answers=y"], "x: cannot be read (No such file or directory)"),
        (["more"], "'more' is not a flag"),
    ):  # fmt: skip
        status, _, err = app_here("compare", *flags)
        assert status == 1 and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err, err
        assert os.listdir(tmp_path) == []
