import subprocess
import sys

import keras
import pytest

from kerasvid.models.registry import MODELS, model_class


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_name_leads_to_a_keras_model(name):
    assert issubclass(model_class(name), keras.Model)
    assert model_class(name).__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize(
    ("typed", "meant"), [("rjvea", "rjvae"), ("das", "dsa"), ("RJVAE", "rjvae")]
)
def test_a_typing_error_is_answered_with_the_nearest_name(typed, meant):
    with pytest.raises(ValueError, match=f"no model '{typed}': did you mean '{meant}'") as error:
        model_class(typed)
    assert "\n" not in str(error.value)


def test_a_name_unlike_any_other_is_answered_with_the_list():
    with pytest.raises(ValueError, match=f"nothing is near. Known: {', '.join(sorted(MODELS))}"):
        model_class("perceptron")


def test_the_registry_imports_no_model_before_it_is_asked():
    code = (
        "import sys; from kerasvid.models import registry; "
        "print([m for m in sys.modules if m in ('tensorflow', 'keras', 'kerasvid.models.dsa')])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"
