"""Fixtures that every test may use."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of sample data beside the checkout; the test skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no sample data at {SHARED.name} beside the checkout")
    return SHARED
