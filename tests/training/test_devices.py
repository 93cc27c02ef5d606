import pytest

from kerasvid.training.devices import PRECISIONS, resolve_precision


def test_a_named_precision_stays_and_auto_is_one_of_them():
    assert resolve_precision("mixed_float16") == "mixed_float16"
    assert resolve_precision("auto") in PRECISIONS


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision='flaot32' is unknown"):
        resolve_precision("flaot32")
