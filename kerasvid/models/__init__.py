"""The models by class name, imported on first use: `from kerasvid.models import RJVAE`.

`upload_preset` shares the weights of a model, `load_preset` loads those of any.
"""

import importlib
from typing import Any

from kerasvid.models.registry import MODELS, model_class

_NAMES = {path.partition(":")[2]: name for name, path in MODELS.items()}

_FUNCTIONS = "load_preset", "upload_preset"

__all__ = sorted([*_NAMES, *_FUNCTIONS])


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("kerasvid.models.base.preset_sources"), name)
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return model_class(_NAMES[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
