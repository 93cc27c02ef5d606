"""The runs of a table: their configs and folders, what is trained and what is found."""

import dataclasses
import json
import os

import pytest

from kerasvid.reproduction.published import IMAGES, VIDEOS, Training
from kerasvid.reproduction.trainings import Options, Trainings
from kerasvid.training.run_folder import RunError, RunFolder


@pytest.fixture
def trainings(ready):
    """Of the small table on the squares, trained already."""
    ((_, trainings),) = ready.sections()
    return trainings


@pytest.fixture
def of(table, squares, locate_here, tmp_path):
    """A function that makes trainings of one key, "x"."""

    def make(training, **options):
        changed = dataclasses.replace(table, rows=(), trainings={"x": training})
        options = {"preset": "debug", "precision": "float32",
                   "runs_dir": os.fspath(tmp_path / "runs"), **options}  # fmt: skip
        return Trainings(changed, squares, Options(**options), locate_here)

    return make


def changed_run(trainings, **fields):
    """The folder of the run "short", its configuration changed."""
    run = RunFolder(trainings.folder("short"))
    run.config_path.write_text(json.dumps({**json.loads(run.config_path.read_text()), **fields}))
    return os.fspath(run.path)


def test_a_plan_has_the_steps_and_hyperparameters_of_the_table(of):
    config = of(Training("glo", {"frames": 2}, steps=3)).config("x")
    assert (config.model, config.steps, config.frames, config.preset) == ("glo", 3, 2, "debug")
    assert of(Training("glo")).config("x").steps == 60


def test_options_replace_steps_but_not_of_a_model_without_weights(of):
    assert of(Training("glo", steps=3), steps=7).config("x").steps == 7
    config = of(Training("linear_interpolation"), steps=7, frames=3).config("x")
    assert (config.steps, config.frames) == (1, 3)


def test_clips_are_as_long_as_the_videos_allow(of, info):
    assert of(Training("rjgan")).values(Training("rjgan"), info) == {"frames": 4}
    assert of(Training("rjgan"), frames=3).values(Training("rjgan"), info) == {"frames": 3}
    strided = Training("rjgan", {"training.stride": 2})
    assert of(strided).values(strided, info)["frames"] == 2
    assert of(Training("image_gan")).values(Training("image_gan"), info) == {}
    assert of(Training("rjgan")).values(Training("rjgan"), None) == {}


def test_schedules_end_with_a_shorter_training(of, info):
    training = Training("dsa")  # base: 8,000 steps, schedules of 6,600 and 8,000
    shorter = of(training, preset="base", steps=1_000).values(training, info)
    assert shorter == {"frames": 4, "schedule.steps": 825, "training.decay_steps": 1_000}
    longer = of(training, preset="base", steps=9_000).values(training, info)
    assert longer == {"frames": 4}


def test_the_preset_paper_is_that_of_the_data_set(of):
    training = Training("navsynth", published_preset="golf")
    assert of(training, preset="paper").preset(training) == "golf"
    assert of(training, preset="base").preset(training) == "base"


def test_runs_that_begin_with_others_or_learn_from_halves_name_them(table, squares, locate_here):
    trainings = {
        "images": Training("image_gan", data=IMAGES),
        "mixed": Training("rjgan", data=VIDEOS, with_images=True, init_from="images"),
    }
    table = dataclasses.replace(table, rows=(), trainings=trainings)
    made = Trainings(table, squares, Options(preset="debug"), locate_here)
    assert made.needed(["mixed"]) == ["images", "mixed"]
    split, first, second = made.commands("mixed")
    assert split.endswith(f"tfrecords_tools.derived.split_frames --data_dir={squares} "
                          f"--out_dir={squares}-mixed")  # fmt: skip
    assert f"--dataset={squares}-mixed/images" in first
    assert f"--images={squares}-mixed/images" in second
    assert f"--init_from={made.folder('images')}" in second
    config = made.config("mixed")
    assert config.images == f"{squares}-mixed/images" and config.images_folder is None
    assert config.init_from == os.path.realpath(made.folder("images"))
    assert not os.path.exists(f"{squares}-mixed")  # planned, not made


def test_a_finished_run_is_found_and_left_as_it_is(trainings, capsys):
    assert trainings.state("short") == "finished, 2 steps"
    folder = RunFolder(trainings.folder("short")).path
    before = {path: os.stat(path).st_mtime_ns for path in folder.rglob("*")}
    config, run = trainings.ready("short")
    assert (config.frames, config.steps, run.path) == (2, 2, folder)
    assert {path: os.stat(path).st_mtime_ns for path in folder.rglob("*")} == before
    assert capsys.readouterr().out == ""


def test_an_unfinished_run_goes_on(trainings, capsys):
    longer = Training("linear_interpolation", {"frames": 2, "training.steps": 3})
    trainings.table.trainings["short"] = longer
    assert trainings.state("short") == "finished, 2 steps"
    trainings.ready("short")
    said = capsys.readouterr().out
    assert "=== short ===" in said and "resuming at step 2 from " in said
    assert trainings.state("short") == "finished, 3 steps"


def test_a_run_with_more_steps_than_asked_for_is_refused(trainings):
    fewer = Training("linear_interpolation", {"frames": 2, "training.steps": 1})
    trainings.table.trainings["short"] = fewer
    with pytest.raises(RunError, match="has 2 steps, where 1 are asked for; give another --runs_"):
        trainings.ready("short")


def test_a_run_that_is_given_is_taken_as_it_is(trainings, with_options):
    folder = changed_run(trainings, seed=5)
    ((_, given),) = with_options(runs={"short": folder}, frames=4).sections()
    config, run = given.ready("short")
    assert (config.seed, config.frames, os.fspath(run.path)) == (5, 2, folder)
    assert given.commands("short") == [f"# short: the run of {folder} as it is"]


def test_a_run_of_another_model_or_of_other_data_is_refused(trainings, with_options):
    folder = changed_run(trainings, data_digest="0" * 16, dataset="circles")
    ((_, given),) = with_options(runs={"short": folder}).sections()
    with pytest.raises(RunError, match=r"has learned other data \(circles\) than "):
        given.ready("short")
    changed_run(trainings, model="glo")
    with pytest.raises(RunError, match=r"=.*: is a run of glo, not of linear_interpolation"):
        with_options(runs={"short": folder}).sections()[0][1].ready("short")


def test_a_run_that_is_not_there_or_of_no_training_is_refused(with_options):
    with pytest.raises(ValueError, match=r"--run=shorts=\.\.\.: paper/1 trains short, whole\."):
        with_options(runs={"shorts": "x"}).sections()
    ((_, given),) = with_options(runs={"short": "nowhere"}).sections()
    assert given.state("short") == "not there"
    with pytest.raises(RunError, match="nowhere: no run is there"):
        given.ready("short")


def test_a_folder_with_another_run_is_refused(trainings):
    folder = changed_run(trainings, seed=5)
    said = "was begun with other settings: seed is 5 .* or another --runs_dir"
    with pytest.raises(RunError, match=said):
        trainings.ready("short")
    assert RunFolder(folder).load_config().seed == 5


def test_runs_of_other_presets_and_seeds_have_folders_of_their_own(of):
    training = Training("rjgan", data=VIDEOS)
    folders = [of(training, preset=p, seed=s).folder("x") for p, s in
               (("base", 0), ("paper", 0), ("base", 2))]  # fmt: skip
    assert [folder.rpartition("squares")[2] for folder in folders] == [
        "-videos",
        "-videos-paper",
        "-videos-seed-2",
    ]


def test_what_is_not_trained_is_told_again_without_another_try(reproduction, monkeypatch):
    tries = []

    def fail(*_):
        tries.append(1)
        raise RunError("no luck")

    monkeypatch.setattr("kerasvid.reproduction.trainings.train", fail)
    ((_, trainings),) = reproduction.sections()
    for _ in range(2):
        with pytest.raises(RunError, match="no luck"):
            trainings.ready("short")
    assert len(tries) == 1
