import math
import subprocess
import sys

import keras
import pytest

from kerasvid import models
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.registry import MODELS, PARAMETERS, model_class


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_name_leads_to_a_keras_model(name):
    assert issubclass(model_class(name), keras.Model)
    assert model_class(name).__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize(
    "preset", ["debug", "base", pytest.param("others", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", MODELS)
def test_the_recorded_parameter_counts_are_those_of_the_models(name, preset):
    cls, recorded = model_class(name), PARAMETERS[name]
    assert set(recorded) == set(cls.PRESETS)
    for each in {preset} & set(recorded) or set(recorded) - {"debug", "base"}:
        variables = cls.from_preset(each).trainable_variables
        assert sum(math.prod(variable.shape) for variable in variables) == recorded[each], each


# What would be no part of a paper's loss or prior, and its value where it is off.
OFF = {
    "prior_scale": 1.0,  # N(0, I)
    "prior_momentum": None,
    "prior_couplings": 0,
    "aggregate_start": False,
    "summary_weight": 0.0,
    "mean_weight": 0.0,
    "coarse_weight": 0.0,
    "intermediate_weight": 0.0,
    "decoded_frames": None,
    "scaled_codes": False,
    "rank": None,
    "warping": False,
    "moving_cell": 1,
    "exact_endpoints": False,
    "bounded": True,
    "residual_scale": 1.0,
}
TRAINED = [name for name in MODELS if PARAMETERS[name]["debug"]]


@pytest.mark.parametrize("name", TRAINED)
def test_the_preset_plain_of_every_trained_model_has_no_option_of_the_library(name):
    cls = model_class(name)
    plain = {**cls.hyperparameters(), **cls.PRESETS["plain"]}
    assert {option: plain[option] for option in OFF if option in plain} == {
        option: value for option, value in OFF.items() if option in plain
    }
    schedule = plain.get("schedule") or {}
    assert set(schedule) <= {"observation_scale"}  # the terms weigh 1, nothing else is added
    start, end = schedule.get("observation_scale", (1.0, 1.0))
    assert start == end
    training = cls.TRAINING["plain"]
    assert (training.ema_momentum, training.prior_steps, training.clip_norm) == (0.0, 0, 0.0)
    assert training.max_divergence == 0.0


def test_what_has_nothing_to_train_is_the_linear_interpolation():
    assert set(MODELS) - set(TRAINED) == {"linear_interpolation"}


@pytest.mark.parametrize("name", MODELS)
def test_no_published_preset_has_an_average_or_a_prior_that_is_fitted(name):
    """No paper and no released code averages weights."""
    for preset in set(PARAMETERS[name]) - {"debug", "plain", "base", "small"}:
        training = model_class(name).TRAINING[preset]
        assert (training.ema_momentum, training.prior_steps) == (0.0, 0), preset


@pytest.mark.parametrize(
    ("typed", "meant"), [("rjvea", "rjvae"), ("das", "dsa"), ("RJVAE", "rjvae")]
)
def test_a_typing_error_is_answered_with_the_nearest_name(typed, meant):
    with pytest.raises(ValueError, match=f"no model '{typed}': did you mean '{meant}'") as error:
        model_class(typed)
    assert "\n" not in str(error.value)


def test_a_name_unlike_any_other_is_answered_with_the_list():
    with pytest.raises(ValueError, match=f"Known: {', '.join(sorted(MODELS))}"):
        model_class("perceptron")


def printed_by(code):
    """The output of a new Python process."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_library_imports_no_model_before_it_is_asked():
    code = (
        "import sys, kerasvid; from kerasvid.models import registry; "
        "print([m for m in sys.modules if m in ('tensorflow', 'keras', 'kerasvid.models.dsa')])"
    )
    assert printed_by(code) == "[]"


@pytest.mark.parametrize("imports", ["kerasvid, keras", "keras, kerasvid"])
def test_a_saved_model_is_loaded_without_importing_its_module(tmp_path, imports):
    model = model_class("dsa").from_preset("debug", image_shape=(16, 16, 3), frames=2)
    model.compile(TrainConfig().make_optimizers(["model"]))
    model.save(tmp_path / "model.keras")
    load = f"keras.saving.load_model({str(tmp_path / 'model.keras')!r})"
    code = f"import {imports}; model = {load}; print(type(model), model.optimizer.use_ema)"
    assert printed_by(code) == "<class 'kerasvid.models.dsa.DSA'> True"


def test_models_are_imported_by_class_name():
    assert models.RJVAE is model_class("rjvae") and set(models.__all__) <= set(dir(models))
    functions = {"load_preset", "upload_preset"}
    assert {model_class(name).__name__ for name in MODELS} | functions == set(models.__all__)
    with pytest.raises(ImportError, match="RJVEA"):
        exec("from kerasvid.models import RJVEA")
