"""`key=value` from a command line to hyper-parameters of a model and of its recipe."""

import ast
import dataclasses
import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from kerasvid.naming import nearest_names
from kerasvid.training.recipe import Recipe

TRAINING = "training."


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Values by key; a value is JSON or a Python literal, and a string where it is neither.

    Example:
        >>> parse_assignments(["latent_dim=64", "encoder.channels=[64,128]", "posterior=full"])
        {'latent_dim': 64, 'encoder.channels': [64, 128], 'posterior': 'full'}

    Raises:
        ValueError: an assignment has no `=`, or a key stands twice.
    """
    values = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ValueError(f"--set={assignment}: write key=value, as in latent_dim=64.")
        if key in values:
            raise ValueError(f"--set={assignment}: {key} is set twice.")
        values[key] = _parse_value(text)
    return values


def _parse_value(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            continue
    return text


def known_keys(cls: type) -> dict[str, Any]:
    """Every key that `--set` takes for a model, with its default value.

    Args:
        cls: a model with `PRESETS`; an instance of its smallest one tells the nested keys.
    """
    example = cls.from_preset("debug")
    keys: dict[str, Any] = {}  # without image_shape, which the data tells
    for name, default in cls.hyperparameters().items():
        nested = getattr(example, name, None)
        if isinstance(nested, keras.layers.Layer):
            arguments = inspect.signature(type(nested).__init__).parameters.values()
            nested = {p.name: p.default for p in arguments if p.default is not p.empty}
        if isinstance(nested, Mapping):
            keys.update({f"{name}.{k}": v for k, v in nested.items() if k != "image_shape"})
        elif name != "image_shape":
            keys[name] = default
    fields = dataclasses.fields(Recipe)
    keys.update({TRAINING + field.name: field.default for field in fields})
    return keys


def apply_settings(
    cls: type, preset: str, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Recipe]:
    """The hyper-parameters and the recipe of a preset, some of them replaced.

    Args:
        cls: the model's class.
        preset: name of one of its presets.
        values: by dotted key, as `parse_assignments` returns them.

    Raises:
        ValueError: the preset or a key is unknown, or a value has another type than the default;
            the message names near keys.
    """
    if preset not in cls.PRESETS:
        known = nearest_names(preset, cls.PRESETS)
        raise ValueError(f"{cls.__name__} has no preset {preset!r}: {known}.")
    chosen = {**cls.hyperparameters(), **cls.PRESETS[preset]}
    chosen.pop("image_shape", None)
    chosen = {k: dict(v) if isinstance(v, Mapping) else v for k, v in chosen.items()}
    recipe = cls.RECIPES[preset]
    keys = known_keys(cls) if values else {}
    for key, value in values.items():
        if key not in keys:
            raise ValueError(f"--set={key}=...: no such key: {nearest_names(key, keys)}.")
        _check_kind(key, value, keys[key])
        group, dot, name = key.partition(".")
        if key.startswith(TRAINING):
            recipe = dataclasses.replace(recipe, **{name: value})
        elif dot:
            chosen[group] = {**(chosen[group] or {}), name: value}
        else:
            chosen[key] = value
    return chosen, recipe


def _check_kind(key: str, value: Any, default: Any) -> None:
    """Refuses a value of another kind than the default: text for a number, a number for a list."""
    if default is None:
        return
    expected = {bool: bool, int: int, float: (int, float), str: str, tuple: (list, tuple)}
    kinds = expected.get(type(default))
    wrong = kinds is not None and not isinstance(value, kinds)
    if wrong or (isinstance(value, bool) and not isinstance(default, bool)):
        raise ValueError(f"--set={key}={value}: must be of the kind of its default, {default!r}.")
