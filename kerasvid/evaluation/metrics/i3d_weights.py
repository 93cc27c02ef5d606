"""Loading of the public weights of I3D by name, from three kinds of files:

- an `.npz` file with the names of the checkpoint;
- a TensorFlow checkpoint: its prefix (`.../model.ckpt`), its `.index` file, or its folder;
- a SavedModel folder, such as an unpacked TF hub module.

A file must have exactly the 230 variables of `I3D.variables_by_name`. Vectors may have the shape
[1, 1, 1, 1, C], as the moments of batch norm in Sonnet 1. The digest depends only on the weights.
"""

import hashlib
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.i3d import CLASSES, I3D

# The module tfhub.dev/deepmind/i3d-kinetics-400/1 of the first implementation of FVD.
# Address and SHA-256 come from PlaidML's Bazel workspace; no copy was fetched to check.
HUB_NAME = "i3d-kinetics-400"
HUB_ADDRESS = "https://storage.googleapis.com/tfhub-modules/deepmind/i3d-kinetics-400/1.tar.gz"
HUB_SHA256 = "bafe29bb4528badad428207d8fe86ca2a998b5b1386b82e42175339f12ea2ff5"

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class WeightsError(ValueError):
    """A file does not have the weights of I3D."""


def load_i3d(weights: str | os.PathLike, divisor: int = 1, classes: int = CLASSES) -> I3D:
    """I3D with the weights of a file.

    Args:
        weights: A path as above, or the name `"i3d-kinetics-400"`, which is downloaded once (about
            50 MB) and checked by its SHA-256.
        divisor, classes: As in `I3D`.

    Raises:
        WeightsError: The file is absent or unreadable, or a variable is missing, unknown, of
            another shape or not finite.

    Example:
        >>> network = load_i3d("i3d-kinetics-400.npz")
    """
    path = _downloaded() if os.fspath(weights) == HUB_NAME else pathlib.Path(weights)
    network = I3D(divisor, classes)
    variables = network.variables_by_name()
    found, read = _npz(path) if path.suffix == ".npz" else _checkpoint(path)
    _compare(path, found, {name: tuple(v.shape) for name, v in variables.items()})
    for name, variable in variables.items():
        try:
            value = np.asarray(read(name))
        except (tf.errors.OpError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise WeightsError(f"{path}: {name} is unreadable. Download it again.") from error
        if not np.issubdtype(value.dtype, np.floating) or not np.isfinite(value).all():
            raise WeightsError(f"{path}: {name} has values that are not finite floats.")
        variable.assign(value.reshape(variable.shape))
    return network


def weights_digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of names and float32 arrays or variables, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(name.encode() + b"\0")
        digest.update(tf.convert_to_tensor(values[name]).numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def _compare(path: pathlib.Path, found: Mapping[str, tuple], shapes: Mapping[str, tuple]) -> None:
    """Refuses other names or shapes; the error names the first difference."""
    remedy = "Use kinetics-i3d's checkpoint rgb_imagenet, or the hub module."
    for names, fault in (
        (shapes.keys() - found, "is missing"),
        (found.keys() - shapes, "is unknown"),
    ):
        if names:
            rest = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise WeightsError(f"{path}: {sorted(names)[0]} {fault}{rest}. {remedy}")
    for name in sorted(shapes):
        own, shape = tuple(found[name]), tuple(shapes[name])
        if own != shape and not (len(shape) == 1 and own == (1, 1, 1, 1, *shape)):
            raise WeightsError(f"{path}: {name} has the shape {own}, not {shape}. {remedy}")


def _npz(path: pathlib.Path) -> tuple[dict[str, tuple], Callable[[str], np.ndarray]]:
    """The shapes by name, and a function that reads a variable."""
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name.removesuffix(":0"): file[name] for name in file.files}
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file of I3D weights.") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a readable .npz file. Download it again.") from error
    return {name: value.shape for name, value in values.items()}, values.__getitem__


def _checkpoint(path: pathlib.Path) -> tuple[dict[str, tuple], Callable[[str], np.ndarray]]:
    """As `_npz`; checkpoints of objects are read by the full names of their variables."""
    prefix = str(path).removesuffix(".index").split(".data-")[0]
    if (path / "variables" / "variables.index").is_file():
        prefix = str(path / "variables" / "variables")
    elif path.is_dir():
        prefix = tf.train.latest_checkpoint(str(path))
    if prefix is None or not os.path.exists(f"{prefix}.index"):
        raise WeightsError(
            f"{path}: no weights of I3D. Use an .npz file, a TensorFlow checkpoint, a SavedModel "
            f"folder, or the name {HUB_NAME!r}."
        )
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        keys = {name: name for name in shapes}
        if _OBJECT_GRAPH in shapes:
            keys = _full_names(reader.get_tensor(_OBJECT_GRAPH))
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable checkpoint. Download it again.") from error
    found = {name: tuple(shapes[key]) for name, key in keys.items()}
    return found, lambda name: reader.get_tensor(keys[name])


def _full_names(graph: bytes) -> dict[str, str]:
    """Keys in a checkpoint of objects by the full names of variables."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    parsed = trackable_object_graph_pb2.TrackableObjectGraph.FromString(graph)
    keys = {}
    for node in parsed.nodes:
        for attribute in node.attributes:
            if attribute.full_name and attribute.full_name != "save_counter":
                keys[attribute.full_name.removesuffix(":0")] = attribute.checkpoint_key
    return keys


def _downloaded() -> pathlib.Path:
    """The folder of the hub module in the cache of Keras; downloaded the first time."""
    try:
        name, found = f"{HUB_NAME}.tar.gz", {"file_hash": HUB_SHA256, "cache_subdir": "kerasvid"}
        folder = keras.utils.get_file(name, HUB_ADDRESS, extract=True, **found)
    except Exception as error:  # errors of get_file have no narrower common class
        raise WeightsError(
            f"{HUB_ADDRESS}: download failed ({str(error).splitlines()[0]}). Use the path of your "
            "own copy of the weights."
        ) from error
    return pathlib.Path(folder)
