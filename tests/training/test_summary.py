"""What a run prints of itself, and the command that it names next."""

import dataclasses

import pytest

from kerasvid.training.config import make_config
from kerasvid.training.summary import describe_run


@pytest.fixture(scope="module")
def config():
    """Of a data set that is not made yet, with nothing beside it."""
    return make_config("rjgan", "squares", "data/squares", None, "debug", seed=0)


@pytest.fixture(scope="module")
def described(config):
    """A function from a config to its lines; the model is that of another one, already built."""
    model = config.make_model()
    return lambda config: describe_run(config, model, "runs/x").splitlines()


@pytest.fixture(scope="module")
def facts_of(described):
    """A function from a config to what its lines say, by name."""

    def facts(config):
        split = (line.partition(": ") for line in described(config))
        return {name.strip(): text for name, _, text in split}

    return facts


def test_a_run_prints_what_it_resolved_to_a_line_each(config, facts_of):
    lines = facts_of(config)
    assert list(lines) == ["model", "data set", "training", "device", "run"]
    assert lines["model"].startswith("rjgan, preset debug, ")
    assert lines["training"] == "60 steps of 8 videos, seed 0" and lines["run"] == "runs/x"


def test_a_run_that_ends_before_its_schedules_names_shorter_ones(described):
    config = make_config("rjvae", "squares", "data/squares", None, "base", seed=0, steps=1000)
    notes = [line for line in described(config) if "note: " in line]
    assert len(notes) == 2
    assert "--set schedule.steps=825" in notes[0] and "training.decay_steps=1000" in notes[1]
    whole = make_config("rjvae", "squares", "data/squares", None, seed=0)
    assert not any("note: " in line for line in described(whole))


@pytest.mark.parametrize(
    ("objective", "noted"),
    [
        ({"instance_noise_std": [0.1, 0]}, True),
        ({"instance_noise_std": [0.1, 0], "instance_noise_steps": 9}, False),
        ({"instance_noise_std": [0.1, 0.1]}, False),
        ({}, False),
    ],
)
def test_noise_that_never_changes_is_noted(config, described, objective, noted):
    of_noise = {**config.hyperparameters, "objective": objective}
    lines = described(dataclasses.replace(config, hyperparameters=of_noise))
    text = "note: objective.instance_noise_std=[0.1,0] is 0 from the first step on. "
    assert any(text in line for line in lines) == any("note: " in line for line in lines) == noted


def test_a_proposed_schedule_is_not_longer_than_the_run(described):
    values = {"schedule.steps": 1200, "training.decay_steps": 2000, "training.steps": 1000}
    config = make_config("rjvae", "squares", "data/squares", None, "debug", values, seed=0)
    notes = [line for line in described(config) if "note: " in line]
    assert [line.rpartition("=")[2] for line in notes] == ["1000"] * 2


def test_images_and_the_source_of_weights_are_printed_if_set(config, facts_of):
    beside = {"images": "mixed", "init_from": "/runs/images"}
    lines = facts_of(dataclasses.replace(config, **beside))
    assert lines["images"] == "mixed, 8 a step"  # not made yet
    assert lines["init_from"] == "weights of /runs/images"
    training = dataclasses.replace(config.training, image_batch=3)
    made = dataclasses.replace(config, **beside, images_folder="data/mixed", training=training)
    assert facts_of(made)["images"] == "mixed in data/mixed, 3 a step"
