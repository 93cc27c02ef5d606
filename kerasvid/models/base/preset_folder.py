"""Models with weights in folders that can be shared, as the presets of keras-hub.

    config.json         the name of the model and its arguments
    model.weights.h5    its weights, without the state of optimizers
    metadata.json       versions, SHA-256 of these two files, and what is known of the training
    README.md           the model card, which anyone may edit

A folder is written whole or not at all. Nothing in it is executed: the model must be one of this
library, and only its arguments and the values of its variables are read.
"""

import datetime
import inspect
import json
import math
import os
import pathlib
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np
import tensorflow as tf

import kerasvid
from kerasvid import io
from kerasvid.models.base.code_priors import ADDED
from kerasvid.models.registry import MODELS, model_class
from kerasvid.naming import nearest_names

FORMAT = 1
CONFIG, WEIGHTS, METADATA, CARD = "config.json", "model.weights.h5", "metadata.json", "README.md"
RUN_MODEL = "model.keras"  # in the folder of a finished run
# What `metadata.json` says of the model itself.
RESERVED = ("format", "model", "summary", "paper", "frame_shape", "frames", "parameters", "weights",
            "discriminators", "software", "saved", "files", "card", "checksum")  # fmt: skip
# Licences that the hub knows by their short names; others are "other" there.
LICENCES = frozenset({
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsl-1.0", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0",
    "mit", "mpl-2.0", "openrail", "other", "unknown", "unlicense", "wtfpl", "zlib",
})  # fmt: skip
OF_KERAS = ("dtype", "name")  # arguments that every Keras model takes
# As in `Li, Mandt: "Disentangled Sequential Autoencoder", ICML 2018`, or a poster in parentheses.
_PAPER = re.compile(r'[^":]+: "[^"]+"(?: \([^)]*\)|, [A-Za-z ]+ \d{4})?')


class PresetError(ValueError):
    """A preset cannot be read or written; the message names the place and what to do."""


class HasGenerator:
    """Mix-in for a model with parts that only training needs."""

    def generator_part(self) -> tuple[dict[str, bool], list]:
        """Arguments that make the model without these parts, and the weights that it has then."""
        raise NotImplementedError


# === Writing ===


def write_preset(
    model: keras.Model,
    folder: str | os.PathLike,
    facts: Mapping[str, Any] | None = None,
    half: bool = False,
    generator_only: bool = False,
) -> None:
    """Writes a model, as it is, into a preset folder. An earlier preset there is replaced.

    Args:
        model: of this library.
        folder: new, empty, or an earlier preset.
        facts: what `metadata.json` and the card say beside the model, by name; values of JSON. The
            licence under `licence` is also that of the card. Names of what the model says itself,
            such as "frames", are refused.
        half: keep the weights in float16, in half of the space.
        generator_only: leave out the discriminators of a GAN; the model of the preset generates,
            and cannot be trained.

    Raises:
        PresetError: the model is not of this library, it has no discriminators to leave out, a
            weight is not finite or too large for float16, or something else is in the folder.
        OSError: the folder cannot be written.

    Example:
        >>> write_preset(model, "rjvae_mine", {"licence": "CC0-1.0"})
        >>> RJVAE.from_preset("rjvae_mine").generate(8)
    """
    name = _registered_name(model)
    if taken := {*RESERVED} & {*(facts or {})}:
        raise PresetError(f"facts[{min(taken)!r}]: the model says this itself. Use another name.")
    config = {key: value for key, value in model.get_config().items() if key not in OF_KERAS}
    config.pop("trainable", None)
    kept = model.weights
    if generator_only:
        if not isinstance(model, HasGenerator):
            name = type(model).__name__
            raise PresetError(
                f"{name} has no discriminators to leave out. Save it with generator_only=False."
            )
        changed, kept = model.generator_part()
        config |= changed
    bare = type(model).from_config(config)  # without optimizers
    bare.set_weights([weight.numpy() for weight in kept])
    for variable in bare.weights:
        _check_values(variable, half)

    edited = _edited_card(folder)
    with io.atomic_folder(folder, check=lambda: _check_replaceable(folder)) as building:
        place = pathlib.Path(building)
        text = json.dumps({"model": name, "arguments": config}, indent=1) + "\n"
        (place / CONFIG).write_text(text, encoding="utf-8")
        bare.save_weights(place / WEIGHTS)
        if half:
            _halve(place / WEIGHTS)
        metadata = {
            "format": FORMAT,
            "model": name,
            "summary": documentation_of(model).splitlines()[0],
            "paper": paper_of(model),
            "frame_shape": list(model.image_shape),
            "frames": config.get("frames"),
            "parameters": sum(int(np.prod(v.shape)) for v in bare.trainable_variables),
            "weights": "float16" if half else "float32",
            **({"discriminators": "left out"} if generator_only else {}),
            "software": {each.__name__: each.__version__ for each in (kerasvid, tf, keras)},
            "saved": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            **(facts or {}),
            "files": {each: io.file_digest(place / each) for each in (CONFIG, WEIGHTS)},
        }
        (place / CARD).write_text(card_of(metadata), encoding="utf-8")
        metadata["card"] = io.file_digest(place / CARD)
        try:
            text = io.sealed_json(metadata)
        except (TypeError, ValueError) as error:  # also NaN and infinity
            raise PresetError(f"facts: {io.cause_of(error)}. Give values of JSON.") from error
        (place / METADATA).write_text(text, encoding="utf-8")
        if edited is not None:
            (place / CARD).write_bytes(edited)


def _registered_name(model: Any) -> str:
    """The name of a model in the registry."""
    for name, path in MODELS.items():
        if path == f"{type(model).__module__}:{type(model).__qualname__}":
            return name
    raise PresetError(f"{type(model).__qualname__}: no model of kerasvid. Save it with "
                      "model.save(path).")  # fmt: skip


def _check_values(variable: Any, half: bool) -> None:
    values = variable.numpy()
    if not np.isfinite(values).all():
        raise PresetError(f"{variable.path}: its weights are not finite. Save an earlier model.")
    if half and values.dtype == np.float32 and np.abs(values).max(initial=0.0) > 65504.0:
        raise PresetError(f"{variable.path}: too large for float16. Save it with half=False.")


def _check_replaceable(folder: str | os.PathLike) -> None:
    """Raises `PresetError` if something else than a preset would be replaced."""
    if not os.path.exists(folder) or (os.path.isdir(folder) and not os.listdir(folder)):
        return
    files = {CONFIG, WEIGHTS, METADATA, CARD}
    try:
        if not os.path.isdir(folder) or not set(os.listdir(folder)) <= files:
            raise PresetError("other files")
        read_metadata(folder)
    except PresetError as error:
        raise PresetError(
            f"{folder}: is no preset that could be replaced. Give a new folder."
        ) from error


def _edited_card(folder: str | os.PathLike) -> bytes | None:
    """The card of an earlier preset that a person has edited, which a new one keeps."""
    try:
        stated, card = read_metadata(folder)["card"], pathlib.Path(folder, CARD)
        if io.file_digest(card) == stated:
            return None
        print(f"{card}: it was edited and is kept. Check what it says.", file=sys.stderr)
        return card.read_bytes()
    except (KeyError, OSError, PresetError):
        return None


def _halve(path: pathlib.Path) -> None:
    """Writes the float32 arrays of a file as float16, compressed without a loss."""
    whole = path.with_name(f"whole-{path.name}")
    path.rename(whole)
    with h5py.File(whole) as source, h5py.File(path, "w", libver=("v110", "v110")) as target:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                values = values.astype(np.float16) if values.dtype == np.float32 else values
                # The bytes with signs and exponents, side by side, are much alike.
                options = {"compression": "gzip", "shuffle": True} if values.size > 1_000 else {}
                target.create_dataset(name, data=values, **options)
            else:
                target.require_group(name)
            for key, value in item.attrs.items():
                target[name].attrs[key] = value

        source.visititems(copy)
        for key, value in source.attrs.items():
            target.attrs[key] = value
    whole.unlink()


# === Reading ===


def read_preset(
    folder: str | os.PathLike,
    expected: type | None = None,
    load_weights: bool = True,
    **overrides: Any,
) -> keras.Model:
    """The model of a preset folder, or of the folder of a finished run.

    Args:
        folder: with the files of `write_preset`, or with the `model.keras` of a run.
        expected: class that the model must have.
        load_weights: `False` gives it new weights.
        **overrides: `dtype` and `name` as in Keras; without weights also the model's arguments.

    Raises:
        PresetError: a file is missing or not as it was written, the model is another one than
            expected or none of this library, or an argument would not fit the weights.

    Example:
        >>> read_preset("rjvae_mine", RJVAE, dtype="mixed_bfloat16")
    """
    place = pathlib.Path(folder)
    is_run = not (place / METADATA).exists() and (place / RUN_MODEL).exists()
    name, arguments = (_read_run if is_run else _read_config)(place)
    if name not in MODELS:
        raise PresetError(f"{place}: there is no model {name!r}: {nearest_names(name, MODELS)}.")
    cls = model_class(name)
    if expected is not None and not issubclass(cls, expected):
        raise PresetError(
            f"{place}: it has a model of {cls.__name__}. Use {cls.__name__}.from_preset."
        )
    if unknown := arguments.keys() - {*cls.hyperparameters(), *ADDED}:
        raise PresetError(f"{place}: {cls.__name__} has no argument {min(unknown)!r}. The preset "
                          "is of another version of kerasvid.")  # fmt: skip
    refused = [key for key in overrides if key not in OF_KERAS]
    if refused and load_weights:
        raise PresetError(f"{place}: {refused[0]} is part of the trained model. Leave it out, or "
                          "use load_weights=False.")  # fmt: skip
    check_hyperparameters(cls, overrides)
    try:
        model = cls.from_config({**arguments, **overrides})
    except Exception as error:  # arguments of anyone: too large ones have many kinds
        raise PresetError(f"{place}: {name} cannot be made of its arguments "
                          f"({io.cause_of(error)}).") from error  # fmt: skip
    if load_weights:
        (_load_run_weights if is_run else _load_weights)(model, place)
    return model


def check_hyperparameters(cls: Any, overrides: Mapping[str, Any]) -> None:
    """Raises `PresetError` for arguments that a class of models does not have."""
    accepted = cls.hyperparameters()
    for key in overrides:
        if key not in accepted and key not in OF_KERAS:
            raise PresetError(
                f"{cls.__name__} has no hyper-parameter {key!r}: {nearest_names(key, accepted)}."
            )


def read_metadata(folder: str | os.PathLike) -> dict[str, Any]:
    """The fields of a preset's `metadata.json`.

    Raises:
        PresetError: the file is missing or was altered, or is of a later version.
    """
    path = pathlib.Path(folder, METADATA)
    try:
        metadata = io.parse_sealed_json(io.read_text(path))
    except FileNotFoundError as error:
        if pathlib.Path(folder, RUN_MODEL).exists():
            advice = "Use --run_dir, or make a preset of it with kerasvid export preset"
            raise PresetError(f"{folder}: a run, not a preset. {advice}.") from error
        raise PresetError(
            f"{folder}: no preset, {METADATA} is missing. Give a folder of save_to_preset."
        ) from error
    except OSError as error:
        raise PresetError(io.described(error)) from error
    except ValueError as error:
        raise PresetError(f"{path}: {error}. Get the preset again.") from error
    if metadata.get("format") != FORMAT or not isinstance(metadata.get("files"), dict):
        raise PresetError(f"{path}: of another version of kerasvid. Update it.")
    return metadata


class Description(NamedTuple):
    """What commands use of the facts of a preset, which anyone may have written."""

    model: str
    fps: float  # 8 where unknown
    classes: tuple[str, ...]
    data: str
    licence: str


def description_of(metadata: Mapping[str, Any]) -> Description:
    """The facts of a preset's metadata; what has another type than it should counts as unknown."""
    data = metadata.get("data")
    data = data if isinstance(data, Mapping) else {}
    fps, classes = metadata.get("fps"), data.get("classes")
    known = isinstance(fps, (int, float)) and math.isfinite(fps) and 0.0 < fps <= 1000.0
    named = isinstance(classes, list) and all(isinstance(each, str) for each in classes)
    texts = (data.get("name"), metadata.get("licence"))
    name, licence = (text if isinstance(text, str) else "" for text in texts)
    return Description(
        str(metadata.get("model")), float(fps) if known and fps else 8.0,
        tuple(classes) if named and classes else (), name, licence,
    )  # fmt: skip


def check_files(folder: str | os.PathLike, names: tuple[str, ...] = (CONFIG, WEIGHTS)) -> None:
    """Raises `PresetError` if files of a preset are missing or not as they were written."""
    stated = read_metadata(folder)["files"]
    for name in names:
        path = pathlib.Path(folder, name)
        try:
            found = io.file_digest(path)
        except FileNotFoundError as error:
            raise PresetError(f"{path}: missing. Get the preset again.") from error
        except OSError as error:
            raise PresetError(io.described(error)) from error
        if found != stated.get(name):
            raise PresetError(f"{path}: altered, its SHA-256 is not the one in {METADATA}. Get the "
                              "preset again.")  # fmt: skip


def _read_config(place: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """The name and the arguments of a preset's model."""
    check_files(place, (CONFIG,))
    try:
        fields = io.parse_json(io.read_text(place / CONFIG))
    except ValueError as error:
        raise PresetError(f"{place / CONFIG}: {error}. Get the preset again.") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("arguments"), dict):
        raise PresetError(f"{place / CONFIG}: not the configuration of a preset.")
    return str(fields.get("model")), fields["arguments"]


def _load_weights(model: keras.Model, place: pathlib.Path) -> None:
    check_files(place, (WEIGHTS,))
    _check_self_contained(place / WEIGHTS)
    _load(model.load_weights, place / WEIGHTS)


def _check_self_contained(path: pathlib.Path) -> None:
    """Raises `PresetError` for an HDF5 file that takes values from other files of the machine."""
    try:
        with h5py.File(path) as file:
            names: list[str] = []
            file.visit_links(names.append)
            for name in names:
                link = file.get(name, getlink=True)
                outside = isinstance(link, h5py.ExternalLink)
                if isinstance(link, h5py.HardLink) and isinstance(file[name], h5py.Dataset):
                    outside = bool(file[name].external or file[name].is_virtual)
                if outside:
                    raise PresetError(f"{path}: {name} is in another file. Do not use this preset.")
    except PresetError:
        raise
    except Exception as error:  # a damaged file raises many kinds
        why = io.cause_of(error)
        raise PresetError(f"{path}: no HDF5 file ({why}). Get the preset again.") from error


def _load(load: Callable, path: pathlib.Path) -> None:
    try:
        load(path)
    except Exception as error:  # Keras and HDF5 raise many kinds
        why = io.cause_of(error)
        raise PresetError(f"{path}: its weights do not fit the model ({why}).") from error


def _read_run(place: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """The name and the arguments of the model of a finished run, after a check of all bytes."""
    path = place / RUN_MODEL
    try:
        found, stated = io.end_digests(path)
        if found != stated:
            raise ValueError("its SHA-256 differs from the one at its end")
        with zipfile.ZipFile(path) as archive:
            saved = json.loads(archive.read("config.json"))
        registered, arguments = str(saved["registered_name"]), dict(saved["config"])
    except Exception as error:  # a damaged archive raises many kinds
        raise PresetError(f"{path}: damaged ({io.cause_of(error)}).") from error
    names = {f"kerasvid>{each.partition(':')[2]}": name for name, each in MODELS.items()}
    arguments = {k: v for k, v in arguments.items() if k not in (*OF_KERAS, "trainable")}
    return names.get(registered, registered), arguments


def _load_run_weights(model: keras.Model, place: pathlib.Path) -> None:
    trained = keras.saving.load_model(place / RUN_MODEL, compile=False)
    model.set_weights(trained.get_weights())


# === The card ===


def documentation_of(model: Any) -> str:
    """The docstring of a model's file."""
    return inspect.cleandoc(sys.modules[type(model).__module__].__doc__ or type(model).__name__)


def paper_of(model: Any) -> str | None:
    """Authors, title and venue of the paper that a model's file cites first; `None` without one.

    Example:
        >>> paper_of(GLO.from_preset("debug")).partition(":")[0]
        'Bojanowski, Joulin, Lopez-Paz, Szlam'
    """
    paragraphs = documentation_of(model).split("\n\n")[1:]
    found = (_PAPER.match(" ".join(paragraph.split())) for paragraph in paragraphs)
    return next((match[0] for match in found if match), None)


def card_of(metadata: Mapping[str, Any]) -> str:
    """The model card of a preset as Markdown, with the front matter that hubs read."""
    cls, licence = model_class(metadata["model"]), str(metadata.get("licence") or "").lower()
    licence = licence if licence in LICENCES else licence and "other"
    head = {"library_name": "keras", "license": licence,
            "pipeline_tag": "unconditional-image-generation",
            "tags": ["kerasvid", "video-generation", metadata["model"]]}  # fmt: skip
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items() if value)
    call = (
        f"from kerasvid.models import {cls.__name__}\n\n"
        f'model = {cls.__name__}.from_preset("PLACE")  # a folder or an address\n'
        f"videos = model.{cls.EXAMPLE}"
    )
    parts = [f"---\n{front}\n---", f"# {cls.__name__}", metadata["summary"]]
    parts.append(f"```python\n{call}\n```")
    left_out = "files", "format", "summary", "command", "card"
    rows = ((key, _shown(value)) for key, value in metadata.items() if key not in left_out)
    named = [(key.replace("_", " ").capitalize(), io.markdown_text(text)) for key, text in rows]
    parts.append("\n".join(f"- {name}: {text}" for name, text in named if text))
    if metadata.get("command"):
        parts.append(f"It was trained by\n\n```\n{io.one_line(metadata['command'])}\n```")
    return "\n\n".join(parts) + "\n"


def _shown(value: Any) -> str:
    """A value of JSON as text for people; "" for nothing."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items() if _shown(each))
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
