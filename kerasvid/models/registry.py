"""The models by name: one line here brings a model all commands and the model tests."""

import importlib
import importlib.abc
import importlib.machinery
import pathlib
import sys
from typing import Any

from kerasvid.naming import nearest_names

MODELS = {
    "cgan": "kerasvid.models.cgan:CGAN",
    "cvae": "kerasvid.models.cvae:CVAE",
    "dsa": "kerasvid.models.dsa:DSA",
    "glo": "kerasvid.models.glo:GLO",
    "image_gan": "kerasvid.models.image_gan:ImageGAN",
    "linear_interpolation": "kerasvid.models.linear_interpolation:LinearInterpolation",
    "mocogan": "kerasvid.models.mocogan:MoCoGAN",
    "navsynth": "kerasvid.models.navsynth:Navsynth",
    "rjgan": "kerasvid.models.rjgan:RJGAN",
    "rjvae": "kerasvid.models.rjvae:RJVAE",
    "rmocogan": "kerasvid.models.rmocogan:RMoCoGAN",
    "tgan": "kerasvid.models.tgan:TGAN",
    "vgan": "kerasvid.models.vgan:VGAN",
}

# Trainable parameters by model and preset, at the default image shape; a test builds each model.
PARAMETERS = {
    "cgan": {"debug": 57_081, "plain": 6_319_809, "base": 6_368_305, "paper": 40_158_380},
    "cvae": {
        "debug": 77_096,
        "plain": 4_598_048,
        "base": 5_291_171,
        "small": 892_307,
        "paper": 49_324_187,
    },
    "dsa": {
        "debug": 55_192,
        "plain": 5_003_232,
        "base": 5_331_232,
        "small": 935_752,
        "paper": 166_932_867,
    },
    "glo": {"debug": 28_108, "plain": 1_087_203, "base": 1_087_203, "paper": 4_861_379},
    "image_gan": {"debug": 27_721, "plain": 1_612_900, "base": 1_634_964, "paper": 3_921_412},
    "linear_interpolation": {"debug": 0, "base": 0, "paper": 0},
    "mocogan": {"debug": 31_178, "plain": 3_027_001, "base": 3_201_233, "paper": 14_979_929},
    "navsynth": {
        "debug": 29_232,
        "plain": 1_318_147,
        "base": 1_318_147,
        "small": 604_731,
        "paper": 5_714_429,
        "weizmann": 6_096_499,
        "golf": 6_014_579,
    },
    "rjgan": {
        "debug": 32_138,
        "plain": 3_050_101,
        "base": 3_224_333,
        "small": 1_691_637,
        "paper": 15_003_029,
    },
    "rjvae": {
        "debug": 56_232,
        "plain": 5_042_176,
        "base": 5_212_352,
        "small": 870_448,
        "paper": 168_375_555,
    },
    "rmocogan": {"debug": 31_522, "plain": 3_041_259, "base": 3_215_491, "paper": 14_994_187},
    "tgan": {"debug": 33_911, "plain": 4_356_246, "base": 3_095_166, "paper": 16_293_832},
    "vgan": {"debug": 72_853, "plain": 7_425_373, "base": 6_163_525, "paper": 27_310_408},
}


SHIPPED = pathlib.Path(__file__).with_name("weights")  # a folder for each preset with weights


def shipped_presets() -> list[str]:
    """Names of the presets whose weights come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/metadata.json"))


def model_class(name: str) -> Any:
    """The class of a model, imported on first use.

    Raises:
        ValueError: the name is unknown; the message names near ones.
    """
    if name not in MODELS:
        raise ValueError(f"There is no model {name!r}: {nearest_names(name, MODELS)}.")
    module, attribute = MODELS[name].split(":")
    return getattr(importlib.import_module(module), attribute)


class _ModelOfFile:
    """Stands for a model in Keras's table of classes until its module is imported."""

    def __init__(self, name: str):
        self.name = name

    def from_config(self, config: dict) -> Any:
        return model_class(self.name).from_config(config)


class _KerasImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports Keras as usual, then registers the models with it."""

    loader: Any

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == "keras" else None
        if spec is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        sys.meta_path.remove(self)
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _register(module)


def _register(keras: Any) -> None:
    known = keras.saving.get_custom_objects()
    for name, path in MODELS.items():
        known.setdefault(f"kerasvid>{path.partition(':')[2]}", _ModelOfFile(name))


def register_when_keras_is_imported() -> None:
    """Registers the models for `load_model`, now or once Keras, slow to import, is imported."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    else:
        sys.meta_path.insert(0, _KerasImport())
