"""Named hyper-parameters of a model, and how each set of them is trained."""

from collections.abc import Mapping
from typing import Any, ClassVar

from kerasvid.naming import constructor_arguments, nearest_names
from kerasvid.training.recipe import Recipe

OF_KERAS = ("dtype", "name")  # arguments that every Keras model takes


class WithPresets:
    """Mix-in for a `keras.Model` with named hyper-parameters.

    A subclass lists them in the class attribute `PRESETS` and how each is trained in `RECIPES`.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    RECIPES: ClassVar[dict[str, Recipe]] = {}

    @classmethod
    def from_preset(cls, preset: str, /, **overrides: Any):
        """A new model with the named hyper-parameters, some of them replaced.

        `dtype` and `name` are those of every Keras model.

        Example:
            >>> RJVAE.from_preset("debug", frames=4)

        Raises:
            ValueError: the preset or a hyper-parameter is unknown; the message names near ones.
        """
        if preset not in cls.PRESETS:
            known = nearest_names(preset, cls.PRESETS)
            raise ValueError(f"{cls.__name__} has no preset {preset!r}: {known}.")
        accepted = cls.hyperparameters()
        for key in overrides:
            if key not in accepted and key not in OF_KERAS:
                known = nearest_names(key, accepted)
                raise ValueError(f"{cls.__name__} has no hyper-parameter {key!r}: {known}.")
        return cls(**{**cls.PRESETS[preset], **overrides})

    @classmethod
    def hyperparameters(cls) -> dict[str, Any]:
        """The constructor's named arguments and their defaults."""
        return {name: default for name, (_, default) in constructor_arguments(cls).items()}

    @classmethod
    def shortest_clip(cls, hyperparameters: Mapping[str, Any]) -> int:
        """Frames of the shortest clips that a model so made can learn from."""
        return 1

    @classmethod
    def code_keys(cls, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        """The fields of a record by which a model so made looks learned codes up; by default none.

        It has codes of the values that occur in training, and hence of no others.
        """
        return frozenset()
