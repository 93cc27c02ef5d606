"""The public weights of I3D, read by name from any of the files in which they go about.

- an `.npz` file of arrays by the names of the checkpoint;
- a TensorFlow checkpoint: its prefix (`.../model.ckpt`), its `.index` file, or its folder;
- a SavedModel folder, such as an unpacked TF hub module.

A file must hold exactly the 230 variables of `variable_shapes`. Vectors may also come as
[1, 1, 1, 1, C], as Sonnet 1 keeps the moments of its batch norm. The digest of the contents is the
same for the same weights in all three.
"""

import hashlib
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.i3d import CLASSES, I3D, variable_shapes

# The module tfhub.dev/deepmind/i3d-kinetics-400/1, which the first implementation of FVD used.
# Address and SHA-256 are as PlaidML's Bazel workspace states them; no copy was fetched to check.
HUB_NAME = "i3d-kinetics-400"
HUB_ADDRESS = "https://storage.googleapis.com/tfhub-modules/deepmind/i3d-kinetics-400/1.tar.gz"
HUB_SHA256 = "bafe29bb4528badad428207d8fe86ca2a998b5b1386b82e42175339f12ea2ff5"

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class WeightsError(ValueError):
    """A file that does not hold the weights; one line that names the file and what differs."""


def load_i3d(
    weights: str | os.PathLike,
    digest: str | None = None,
    divisor: int = 1,
    classes: int = CLASSES,
) -> I3D:
    """I3D with the weights of a file.

    Args:
        weights: a path as above, or the name `"i3d-kinetics-400"`, which is downloaded once (about
            50 MB) and checked by its SHA-256.
        digest: of the contents, as `weights_digest`, where the file must be that one.
        divisor, classes: of `I3D`, where the file is of a narrow network.

    Raises:
        WeightsError: the file is absent, unreadable or unknown, a variable is missing, is one too
            many, or has another shape or a number that is not finite, or the digest differs.

    Example:
        >>> network = load_i3d("i3d-kinetics-400.npz")
    """
    path = _downloaded() if os.fspath(weights) == HUB_NAME else pathlib.Path(weights)
    values = read_variables(path, variable_shapes(divisor, classes))
    found = weights_digest(values)
    if digest is not None and found != digest.lower():
        raise WeightsError(
            f"{path}: the weights have the digest {found}, not {digest}: get the file again, or "
            "leave the digest out."
        )
    network = I3D(divisor, classes)
    for name, variable in network.variables_by_name().items():
        variable.assign(values[name])
    return network


def weights_digest(values: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names and float32 numbers, in the order of names, whatever file they are of."""
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(values[name], "<f4").tobytes())
    return digest.hexdigest()


def digest_of(network: I3D) -> str:
    """`weights_digest` of a network's own weights."""
    return weights_digest({n: v.numpy() for n, v in network.variables_by_name().items()})


def read_variables(
    path: str | os.PathLike, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """float32 arrays by name, of exactly these names and shapes.

    Raises:
        WeightsError: as `load_i3d`.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        found, read = _npz(path)
    else:
        found, read = _checkpoint(path, _prefix(path))
    _compare(path, found, shapes)
    values = {}
    for name, shape in shapes.items():
        try:
            value = np.asarray(read(name))
        except (tf.errors.OpError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise WeightsError(f"{path}: {name} cannot be read: get the file again.") from error
        if not np.issubdtype(value.dtype, np.floating) or not np.isfinite(value).all():
            raise WeightsError(f"{path}: {name} has numbers that are not finite floats.")
        values[name] = value.astype(np.float32).reshape(shape)
    return values


def _compare(path, found: Mapping[str, tuple], shapes: Mapping[str, tuple]) -> None:
    """Refuses a file of other variables; of several faults it names the first and their number."""
    for names, fault in ((shapes.keys() - found, "is missing"), (found.keys() - shapes, "unknown")):
        if names:
            rest = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise WeightsError(
                f"{path}: no weights of this I3D: {sorted(names)[0]} {fault}{rest}; give the "
                "checkpoint of kinetics-i3d's rgb_imagenet, or the hub module."
            )
    for name in sorted(shapes):
        own, shape = tuple(found[name]), tuple(shapes[name])
        if own != shape and not (len(shape) == 1 and own == (1, 1, 1, 1, *shape)):
            raise WeightsError(
                f"{path}: no weights of this I3D: {name} has the shape {own}, not {shape}."
            )


def _npz(path: pathlib.Path) -> tuple[dict[str, tuple], Callable[[str], np.ndarray]]:
    """The shapes by name, and what reads one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name.removesuffix(":0"): file[name] for name in file.files}
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such file of I3D weights.") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: no readable .npz file: get it again.") from error
    return {name: value.shape for name, value in values.items()}, values.__getitem__


def _prefix(path: pathlib.Path) -> str:
    """The prefix of the checkpoint that a path means."""
    if path.is_dir():
        if (path / "variables" / "variables.index").is_file():
            return str(path / "variables" / "variables")
        latest = tf.train.latest_checkpoint(str(path))
        if latest is None:
            raise WeightsError(
                f"{path}: a folder without saved_model.pb and variables/, and without a checkpoint."
            )
        return latest
    return str(path).removesuffix(".index").split(".data-")[0]


def _checkpoint(path, prefix: str) -> tuple[dict[str, tuple], Callable[[str], np.ndarray]]:
    """As `_npz`; checkpoints of objects are read by the full names of their variables."""
    if not os.path.exists(f"{prefix}.index"):
        raise WeightsError(
            f"{path}: there is no such file of I3D weights: give an .npz file, a TensorFlow "
            f"checkpoint, a SavedModel folder, or the name {HUB_NAME!r}."
        )
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        keys = {name: name for name in shapes}
        if _OBJECT_GRAPH in shapes:
            keys = _full_names(reader.get_tensor(_OBJECT_GRAPH))
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: no readable checkpoint: get it again.") from error
    found = {name: tuple(shapes[key]) for name, key in keys.items()}
    return found, lambda name: reader.get_tensor(keys[name])


def _full_names(graph: bytes) -> dict[str, str]:
    """Keys of a checkpoint of objects by the full names of the variables."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    parsed = trackable_object_graph_pb2.TrackableObjectGraph.FromString(graph)
    keys = {}
    for node in parsed.nodes:
        for attribute in node.attributes:
            if attribute.full_name and attribute.full_name != "save_counter":
                keys[attribute.full_name.removesuffix(":0")] = attribute.checkpoint_key
    return keys


def _downloaded() -> pathlib.Path:
    """The folder of the hub module, in Keras's own cache; fetched the first time."""
    try:
        folder = keras.utils.get_file(
            f"{HUB_NAME}.tar.gz",
            HUB_ADDRESS,
            cache_subdir="kerasvid",
            file_hash=HUB_SHA256,
            hash_algorithm="sha256",
            extract=True,
        )
    except Exception as error:  # what get_file raises has no narrower class
        raise WeightsError(
            f"{HUB_ADDRESS}: cannot be had ({str(error).splitlines()[0]}): give the path of your "
            "own copy of the weights."
        ) from error
    return pathlib.Path(folder)
