"""The models by class name, imported on first use: `from kerasvid.models import RJVAE`."""

from typing import Any

from kerasvid.models.registry import MODELS, model_class

_NAMES = {path.partition(":")[2]: name for name, path in MODELS.items()}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return model_class(_NAMES[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
