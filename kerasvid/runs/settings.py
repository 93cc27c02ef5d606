"""`key=value` from a command line to hyper-parameters of a model and of its recipe."""

import ast
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from kerasvid.naming import constructor_arguments, nearest_names
from kerasvid.training.recipe import Recipe

TRAINING = "training."
# What a model tells its parts itself.
FROM_MODEL = ("image_shape", "categories")
# What the data set tells.
FROM_DATA = ("image_shape", "videos", "identities", "classes")


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


@functools.cache  # it makes a model
def known_keys(cls: type) -> dict[str, Any]:
    """Every key that `--set` takes for a model, with the type of its values.

    Args:
        cls: a model with `PRESETS`; an instance of its smallest one tells the nested keys.
    """
    example = cls.from_preset("debug")
    keys: dict[str, Any] = {}
    for name, kind in _argument_types(cls).items():
        nested = getattr(example, name, None)
        if isinstance(nested, keras.layers.Layer):
            nested = _argument_types(type(nested))
        elif isinstance(nested, Mapping):  # the model checks its parts
            nested = dict.fromkeys(nested, Any)
        if isinstance(nested, Mapping):
            keys.update({f"{name}.{k}": v for k, v in nested.items() if k not in FROM_MODEL})
        elif name not in FROM_DATA:
            keys[name] = kind
    keys.update({TRAINING + k: kind for k, kind in typing.get_type_hints(Recipe).items()})
    return keys


def _argument_types(cls: type) -> dict[str, Any]:
    """The annotations of a constructor's arguments that have a default."""
    return {name: kind for name, (kind, _) in constructor_arguments(cls).items()}


def apply_settings(
    cls: type, preset: str, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Recipe]:
    """The hyper-parameters and the recipe of a preset, some of them replaced.

    Args:
        cls: the model's class.
        preset: name of one of its presets.
        values: by dotted key, as `parse_assignments` returns them.

    Raises:
        ValueError: the preset or a key is unknown, or a value is of a wrong type or out of
            its range; the message names near keys.
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
            meant = key.rpartition(".")[2]  # of the model, where it was looked for in a part
            near = nearest_names(meant if meant in keys else key, keys)
            raise ValueError(f"--set={key}=...: no such key: {near}.")
        _check_kind(key, value, keys[key])
        group, dot, name = key.partition(".")
        if key.startswith(TRAINING):
            recipe = _replaced(recipe, key, name, value)
        elif dot:
            chosen[group] = {**(chosen[group] or {}), name: value}
        else:
            chosen[key] = value
    return chosen, recipe


def _replaced(recipe: Recipe, key: str, name: str, value: Any) -> Recipe:
    try:
        return dataclasses.replace(recipe, **{name: value})
    except ValueError as error:
        raise ValueError(f"--set={key}={value}: {error}") from error


def _check_kind(key: str, value: Any, kind: Any) -> None:
    """Refuses a value of another type: text for a number, a number for a list."""
    if not _fits(value, kind):
        raise ValueError(f"--set={key}={value}: must be {_described(kind)}.")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value from the command line is of an annotated type."""
    if kind is Any:
        return True
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin in (Sequence, list, tuple):
        listed = isinstance(value, list | tuple)
        return listed and all(_fits(each, arguments[0]) for each in value)
    if origin is not None:
        return isinstance(value, origin)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _described(kind: Any) -> str:
    """A type in words: `a whole number or None`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_described(each) for each in arguments)
    if origin in (Sequence, list, tuple):
        return f"a list, each item {_described(arguments[0])}"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return "None" if kind is type(None) else words.get(kind, str(kind))
