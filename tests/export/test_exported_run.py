"""A run's model as it is exported: which weights it has, and in which precision."""

import dataclasses

import numpy as np
import pytest

from kerasvid.export.exported_run import load_for_export
from kerasvid.models.base.averaging import averaged_variables, inner_optimizer
from kerasvid.training.callbacks.checkpoints import save_model
from kerasvid.training.config import make_config
from kerasvid.training.run_folder import RunError, RunFolder


@pytest.fixture
def make_run(tmp_path):
    """A function that makes the folder of a run that has saved nothing yet."""

    def make(model="image_gan", precision="float32", **values):
        values = {"frames": 1, **values}
        config = make_config(model, "squares", "gone/squares", None, "debug", values,
                         precision=precision, seed=0, steps=60)  # fmt: skip
        sizes = {**config.hyperparameters, "image_shape": (16, 16, 3)}
        run = RunFolder(tmp_path / "run")
        run.checkpoints.mkdir(parents=True)
        run.begin(dataclasses.replace(config, hyperparameters=sizes))
        return run

    return make


def save(run, path, step):
    """Saves a model at a step; the average of each weight that it trains is 7."""
    config = run.load_config()
    model = config.make_model()
    config.compile(model)
    optimizer = inner_optimizer(model)
    optimizer.build(averaged_variables(model))
    optimizer.iterations.assign(step)
    if hasattr(model, "steps_taken"):
        model.steps_taken.assign(step)
    for average in getattr(optimizer, "_model_variables_moving_average", []):
        average.assign(np.full(average.shape, 7.0))
    save_model(model, path, config)
    return model


def generator_weights(model):
    return [variable.numpy() for variable in averaged_variables(model)]


def test_an_unfinished_run_has_averaged_and_trained_weights(make_run):
    run = make_run(**{"training.ema_momentum": 0.9})
    trained = save(run, run.checkpoints / "step-000040.keras", 40)
    for wanted, averaged in ((None, True), ("averaged", True), ("trained", False)):
        found = load_for_export(run.path, wanted)
        assert found.averaged == averaged and found.step == 40
        assert found.weights.name == "step-000040.keras"
        for weight, own in zip(
            generator_weights(found.model), generator_weights(trained), strict=True
        ):
            np.testing.assert_array_equal(weight, np.full_like(own, 7.0) if averaged else own)


def test_an_average_over_few_steps_is_not_exported(make_run):
    run = make_run(**{"training.ema_momentum": 0.9})
    save(run, run.checkpoints / "step-000010.keras", 10)
    assert not load_for_export(run.path).averaged
    with pytest.raises(RunError, match="no averaged weights, or has averaged for too few steps"):
        load_for_export(run.path, "averaged")


def test_a_finished_run_with_an_average_has_no_trained_weights(make_run):
    run = make_run(**{"training.ema_momentum": 0.9})
    save(run, run.model, 60)
    found = load_for_export(run.path)
    assert found.averaged and found.weights == run.model and found.step == 60
    with pytest.raises(
        RunError, match=r"model\.keras of a finished run holds only averaged weights"
    ) as error:
        load_for_export(run.path, "trained")
    assert "\n" not in str(error.value)


def test_without_an_average_the_weights_are_the_trained_ones(make_run):
    run = make_run(**{"training.ema_momentum": 0.0})
    trained = save(run, run.model, 6000)  # for long enough
    for wanted in (None, "trained"):
        found = load_for_export(run.path, wanted)
        assert not found.averaged
        for weight, own in zip(found.model.weights, trained.weights, strict=True):
            np.testing.assert_array_equal(weight, own)
    with pytest.raises(RunError, match="Leave --weights out"):
        load_for_export(run.path, "averaged")


def test_every_run_is_exported_in_float32(make_run):
    run = make_run(precision="mixed_bfloat16")
    save(run, run.model, 60)
    found = load_for_export(run.path)
    assert found.config.precision == "mixed_bfloat16"
    layers = found.model._flatten_layers()
    assert {layer.compute_dtype for layer in layers} == {"float32"}


def test_a_missing_run_or_one_without_weights_is_an_error(make_run, tmp_path):
    run = make_run()
    with pytest.raises(RunError, match="has saved nothing yet"):
        load_for_export(run.path)
    with pytest.raises(RunError, match="there is no run"):
        load_for_export(tmp_path / "none")
    with pytest.raises(ValueError, match="'best': give averaged or trained"):
        load_for_export(run.path, "best")
