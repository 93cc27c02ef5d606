"""The runs of a table: their configs and folders, what is trained and what is found."""

import dataclasses
import os

import pytest

from kerasvid.reproduction.published import IMAGES, VIDEOS, PublishedRun
from kerasvid.reproduction.runs import TableRuns
from kerasvid.training.run_folder import RunError, RunFolder


@pytest.fixture
def runs(ready):
    """Those of the small table on the squares, trained already."""
    ((_, (runs,)),) = ready.sections()
    return runs


@pytest.fixture
def of(table, squares, tmp_path):
    """A function that makes the runs of a table with one run, "x"."""

    def make(run, **fields):
        changed = dataclasses.replace(table, rows=(), runs={"x": run})
        config = {"precision": "float32", "seed": fields.pop("seed", 0)}
        fields = {
            "dataset": squares,
            "preset": "debug",
            "runs_dir": os.fspath(tmp_path / "runs"),
            **fields,
        }
        return TableRuns(changed, config=config, **fields)

    return make


def changed_run(runs, **fields):
    """The folder of the run "short", its configuration changed."""
    run = RunFolder(runs.folder("short"))
    run.config_path.write_text(dataclasses.replace(run.load_config(), **fields).to_json())
    return os.fspath(run.path)


def test_a_config_has_the_steps_and_hyperparameters_of_the_table(of):
    config = of(PublishedRun("glo", {"frames": 2}, steps=3)).make_config("x")
    assert (config.model, config.steps, config.frames, config.preset) == ("glo", 3, 2, "debug")
    assert of(PublishedRun("glo")).make_config("x").steps == 60


def test_a_table_of_presets_keeps_that_of_a_run(of):
    config = of(PublishedRun("glo", preset="plain", own_preset=True)).make_config("x")
    assert config.preset == "plain"


def test_steps_replace_those_of_the_table_except_for_models_without_weights(of):
    assert of(PublishedRun("glo", steps=3), steps=7).make_config("x").steps == 7
    config = of(PublishedRun("linear_interpolation"), steps=7, frames=3).make_config("x")
    assert (config.steps, config.frames) == (1, 3)


def values(runs):
    return runs.arguments("x")["values"]


def test_clips_are_as_long_as_the_videos_allow(of, tmp_path):
    assert values(of(PublishedRun("rjgan"))) == {"frames": 4}
    assert values(of(PublishedRun("rjgan"), frames=3)) == {"frames": 3}
    strided = PublishedRun("rjgan", {"training.stride": 2})
    assert values(of(strided))["frames"] == 2
    assert values(of(PublishedRun("image_gan"))) == {}
    unmade = of(PublishedRun("rjgan"), dataset="sprites", data_dir=os.fspath(tmp_path / "data"))
    assert values(unmade) == {}


def test_the_stride_of_a_preset_does_not_shorten_the_clips_of_short_videos(of):
    """The squares have 4 frames; the preset takes 16 of 31."""
    paper = of(PublishedRun("mocogan"), preset="paper")
    assert values(paper) == {"frames": 4, "training.stride": 1}
    assert values(of(PublishedRun("mocogan"), preset="paper", frames=2)) == {"frames": 2}


def test_schedules_end_with_a_shorter_training(of):
    run = PublishedRun("dsa")  # base: 8,000 steps, schedules of 6,600 and 8,000
    shorter = values(of(run, preset="base", steps=1_000))
    assert shorter == {"frames": 4, "schedule.steps": 825, "training.decay_steps": 1_000}
    assert values(of(run, preset="base", steps=9_000)) == {"frames": 4}


def test_the_preset_paper_is_that_of_the_data_set(of):
    run = PublishedRun("navsynth", preset="golf")
    assert of(run, preset="paper").arguments("x")["preset"] == "golf"
    assert of(run, preset="base").arguments("x")["preset"] == "base"


def test_commands_include_the_runs_and_data_that_a_run_starts_from(table, squares):
    published = {
        "images": PublishedRun("image_gan", data=IMAGES),
        "mixed": PublishedRun("rjgan", data=VIDEOS, images=True, init_from="images"),
    }
    table = dataclasses.replace(table, rows=(), runs=published)
    made = TableRuns(table, squares, "debug")
    assert made.needed(["mixed"]) == ["images", "mixed"]
    split, first, second = made.commands("mixed")
    assert split.endswith(f"data split-frames --data_dir={squares} --out_dir={squares}-mixed")
    assert f"--dataset={squares}-mixed/images" in first
    assert f"--images={squares}-mixed/images" in second
    assert f"--init_from={made.folder('images')}" in second
    config = made.make_config("mixed")
    assert config.images == f"{squares}-mixed/images" and config.images_folder is None
    assert config.init_from == os.path.realpath(made.folder("images"))
    assert not os.path.exists(f"{squares}-mixed")  # planned, not made


def test_commands_make_the_data_set_before_they_split_it(table, tmp_path):
    runs = {"mixed": PublishedRun("rjgan", data=VIDEOS, images=True)}
    table = dataclasses.replace(table, rows=(), runs=runs)
    folders = {"data_dir": os.fspath(tmp_path), "source_dir": "my strips"}
    made, split, _ = TableRuns(table, "weizmann/strips", **folders).commands("mixed")
    folder = f"{tmp_path}/weizmann-strips"
    expected = f"data weizmann --out_dir={folder} --variant=strips '--source_dir=my strips'"
    assert made.endswith(expected)
    assert split.endswith(f"data split-frames --data_dir={folder} --out_dir={folder}-mixed")


def test_a_finished_run_is_found_and_left_as_it_is(runs, capsys):
    assert runs.state("short").endswith("-squares-debug: finished, 2 steps")
    folder = RunFolder(runs.folder("short")).path
    before = {path: os.stat(path).st_mtime_ns for path in folder.rglob("*")}
    config, run = runs.ready("short")
    assert (config.frames, config.steps, run.path) == (2, 2, folder)
    assert {path: os.stat(path).st_mtime_ns for path in folder.rglob("*")} == before
    assert capsys.readouterr().out == ""


def test_an_unfinished_run_is_resumed(runs, capsys):
    longer = PublishedRun("linear_interpolation", {"frames": 2, "training.steps": 3})
    runs.table.runs["short"] = longer
    assert runs.state("short").endswith("-squares-debug: finished, 2 steps")
    runs.ready("short")
    said = capsys.readouterr().out
    assert "=== short ===" in said and "resuming at step 2 from " in said
    assert runs.state("short").endswith(": finished, 3 steps")


def test_a_run_with_more_steps_than_asked_for_is_refused(runs):
    fewer = PublishedRun("linear_interpolation", {"frames": 2, "training.steps": 1})
    runs.table.runs["short"] = fewer
    with pytest.raises(RunError, match=r"has 2 steps, more than 1\. Give another --runs_"):
        runs.ready("short")


def test_a_given_run_is_used_unchanged(runs, with_runs):
    folder = changed_run(runs, seed=5)
    ((_, (given,)),) = with_runs(given={"short": folder}, frames=4).sections()
    config, run = given.ready("short")
    assert (config.seed, config.frames, os.fspath(run.path)) == (5, 2, folder)
    assert given.commands("short") == [f"# short: the existing run {folder}"]


def test_a_run_of_another_model_or_of_other_data_is_refused(runs, with_runs):
    folder = changed_run(runs, data_digest="0" * 16, dataset="circles")
    ((_, (given,)),) = with_runs(given={"short": folder}).sections()
    with pytest.raises(RunError, match=r"trained on other data \(circles\). Give "):
        given.ready("short")
    changed_run(runs, model="glo")
    with pytest.raises(RunError, match=r"=.*: a run of glo. Give a run of linear_interpolation"):
        with_runs(given={"short": folder}).sections()[0][1][0].ready("short")


def test_a_given_run_that_is_missing_or_not_in_the_table_is_refused(with_runs):
    with pytest.raises(
        ValueError, match=r"--run=shorts=\.\.\.: paper/1 has no such run. Use short, whole\."
    ):
        with_runs(given={"shorts": "x"}).sections()
    ((_, (given,)),) = with_runs(given={"short": "nowhere"}).sections()
    assert given.state("short") == "short, nowhere: missing"
    with pytest.raises(RunError, match="nowhere: there is no run"):
        given.ready("short")


def test_a_folder_with_another_run_is_refused(runs):
    folder = changed_run(runs, seed=5)
    message = "started with other settings: seed is 5.* or another --runs_dir"
    with pytest.raises(RunError, match=message):
        runs.ready("short")
    assert RunFolder(folder).load_config().seed == 5


def test_runs_of_other_presets_and_seeds_have_folders_of_their_own(of):
    run = PublishedRun("rjgan", data=VIDEOS)
    folders = [of(run, preset=p, seed=s).folder("x") for p, s in
               (("base", 0), ("paper", 0), ("base", 2))]  # fmt: skip
    assert [folder.rpartition("squares")[2] for folder in folders] == [
        "-videos",
        "-videos-paper",
        "-videos-seed-2",
    ]


def test_a_failed_training_is_reported_again_without_another_try(reproduction, monkeypatch):
    tries = []

    def fail(*_):
        tries.append(1)
        raise RunError("no luck")

    monkeypatch.setattr("kerasvid.reproduction.runs.train", fail)
    ((_, (runs,)),) = reproduction.sections()
    for _ in range(2):
        with pytest.raises(RunError, match="no luck"):
            runs.ready("short")
    assert len(tries) == 1
