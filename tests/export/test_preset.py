"""The model of a run as a preset."""

import dataclasses

import pytest

from kerasvid.evaluation.report import Evaluation, Measured
from kerasvid.export.exported_run import load_for_export
from kerasvid.export.preset import facts_of, write_run_preset
from kerasvid.models.base.preset_folder import read_metadata
from kerasvid.models.glo import GLO
from kerasvid.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def run_dir(save_new_run, config_of, tmp_path_factory):
    """A finished run of a glo with new weights."""
    return save_new_run(config_of(4), tmp_path_factory.mktemp("runs") / "run")


def of_metric(name, value):
    return Measured(name, value, None, None, None, 64, None, {})


def test_the_preset_makes_the_videos_of_the_run(run_dir, tmp_path):
    write_run_preset(load_for_export(run_dir), tmp_path / "glo_squares")
    model = GLO.from_preset(tmp_path / "glo_squares")
    expected = RunFolder(run_dir).load_model()[0].generate(3, seed=5)
    assert (model.generate(3, seed=5) == expected).all()


def test_the_metadata_tell_how_it_was_trained(run_dir, tmp_path):
    write_run_preset(load_for_export(run_dir), tmp_path / "glo_squares")
    metadata = read_metadata(tmp_path / "glo_squares")
    config = RunFolder(run_dir).load_config()
    assert metadata["command"] == config.command()
    assert metadata["data"]["digest"] == config.data_digest
    assert metadata["training"]["seed"] == 0
    assert (
        "trained by\n\n```\nkerasvid train --model=glo"
        in (tmp_path / "glo_squares" / "README.md").read_text()
    )


def test_the_evaluation_of_the_same_step_is_told(run_dir, tmp_path):
    run = load_for_export(run_dir)
    measured = (of_metric("frechet", 3.5),)
    evaluation = Evaluation("run", "glo", "squares", run.step, "averaged", "test", 0, measured)
    evaluation.write(run_dir)
    assert facts_of(run)["evaluation"] == {"frechet": 3.5}
    dataclasses.replace(evaluation, step=run.step + 1).write(run_dir)
    assert facts_of(run)["evaluation"] == {}


def test_infinite_values_are_left_out(run_dir):
    run = load_for_export(run_dir)
    measured = of_metric("mcs", float("inf")), of_metric("l2", 2.0)
    Evaluation("run", "glo", "squares", run.step, "averaged", "test", 0, measured).write(run_dir)
    assert facts_of(run)["evaluation"] == {"l2": 2.0}
