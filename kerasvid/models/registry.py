"""The models by name: one line registers one, and brings it the apps and the model tests."""

import importlib

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


def model_class(name: str) -> type:
    """The class of a model, imported on first use.

    Raises:
        ValueError: the name is unknown; the message names near ones.
    """
    if name not in MODELS:
        raise ValueError(f"There is no model {name!r}: {nearest_names(name, MODELS)}.")
    module, attribute = MODELS[name].split(":")
    return getattr(importlib.import_module(module), attribute)
