import dataclasses

import pytest

from kerasvid.training.config import make_config
from kerasvid.training.loop import Outcome
from kerasvid.training.summary import describe_end, describe_plan


@pytest.fixture(scope="module")
def config():
    """Of a data set that is not made yet, with nothing beside it."""
    return make_config("rjgan", "squares", "data/squares", None, "debug", seed=0)


def lines_of(config):
    lines = describe_plan(config, "runs/x").splitlines()
    return {name.strip(): text for name, _, text in (line.partition(": ") for line in lines)}


def test_what_a_run_resolved_to_is_told_a_line_each(config):
    lines = lines_of(config)
    assert list(lines) == ["model", "data set", "training", "device", "run"]
    assert lines["model"].startswith("rjgan, preset debug, ")
    assert lines["training"] == "60 steps of 8 videos, seed 0" and lines["run"] == "runs/x"


def test_a_run_that_ends_amid_a_schedule_is_told_how_to_end_with_it():
    config = make_config("rjvae", "squares", "data/squares", None, "base", seed=0, steps=1000)
    notes = [line for line in describe_plan(config, "runs/x").splitlines() if "note: " in line]
    assert len(notes) == 2
    assert "--set schedule.steps=825" in notes[0] and "training.decay_steps=1000" in notes[1]
    assert "note: " not in describe_plan(make_config("rjvae", "s", "s", None, seed=0), "runs/x")


@pytest.mark.parametrize(
    ("objective", "noted"),
    [
        ({"instance_noise_std": [0.1, 0]}, True),
        ({"instance_noise_std": [0.1, 0], "instance_noise_steps": 9}, False),
        ({"instance_noise_std": [0.1, 0.1]}, False),
        ({}, False),
    ],
)
def test_noise_that_changes_in_no_steps_is_told(config, objective, noted):
    of_noise = {**config.hyperparameters, "objective": objective}
    told = describe_plan(dataclasses.replace(config, hyperparameters=of_noise), "runs/x")
    text = "note: objective.instance_noise_std=[0.1,0] is 0 from the first step on; --set object"
    assert ("note: " in told, text in told) == (noted, noted)


def test_no_schedule_is_advised_that_is_longer_than_the_run():
    values = {"schedule.steps": 1200, "training.decay_steps": 2000, "training.steps": 1000}
    config = make_config("rjvae", "squares", "data/squares", None, "debug", values, seed=0)
    notes = [line for line in describe_plan(config, "runs/x").splitlines() if "note: " in line]
    assert [line.rpartition("=")[2] for line in notes] == ["1000 would be"] * 2


@pytest.mark.parametrize("app", ["apps/train.py", "/at/apps/train.py", "train.py"])
def test_the_next_command_is_of_the_app_beside(app, tmp_path):
    ended = Outcome(step=7, trained=7, signal=None, saved=tmp_path / "model.keras")
    told = describe_end(ended, "runs/x", [app, "--model=dsa"]).splitlines()
    assert told[-1].endswith(f" {app.replace('train', 'generate')} --run_dir=runs/x")
    stopped = dataclasses.replace(ended, signal=15)
    assert describe_end(stopped, "runs/x", [app, "--model=dsa"]).endswith(f" {app} --model=dsa")


def test_images_and_the_run_to_begin_with_are_told_where_they_are_set(config):
    beside = {"images": "mixed", "init_from": "/runs/images"}
    lines = lines_of(dataclasses.replace(config, **beside))
    assert lines["images"] == "mixed, 8 a step"  # not made yet
    assert lines["init_from"] == "weights of /runs/images"
    training = dataclasses.replace(config.training, image_batch=3)
    made = dataclasses.replace(config, **beside, images_folder="data/mixed", training=training)
    assert lines_of(made)["images"] == "mixed in data/mixed, 3 a step"
