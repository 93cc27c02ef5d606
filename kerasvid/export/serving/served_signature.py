"""What a model server reports: the signatures of a model, and errors.

Inputs are checked against a signature before anything is sent: the server's own messages about a
wrong input name nodes of a graph.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvid.naming import nearest_names

LARGEST_SEED = 2**62 - 1
ANY_CLASS = -1
START_SERVER = (
    "Start the server (`kerasvid export serving-config` writes its files), or check host and port; "
    "REST is 8501 and gRPC 8500 by default."
)
# TensorFlow's types in protocol messages, as far as the models use them.
_NUMPY = {"BOOL": "bool", "UINT8": "uint8", "INT32": "int32", "INT64": "int64",
          "FLOAT": "float32", "DOUBLE": "float64", "STRING": "object"}  # fmt: skip
DTYPES = {f"DT_{name}": np.dtype(own) for name, own in _NUMPY.items()}


class ServingError(Exception):
    """A call to a model server that failed: one line with the server, the cause and the remedy."""

    @classmethod
    def timed_out(cls, server: str, seconds: float) -> "ServingError":
        """The error of a call whose time is over."""
        remedy = "Read the server's log, ask for fewer rows or raise the timeout."
        return cls(f"{server}: no answer within {seconds:g} s. {remedy}")

    @classmethod
    def after_attempts(cls, what: str, attempts: int, remedy: str) -> "ServingError":
        """The error of a call that was repeated and failed each time."""
        return cls(f"{what} ({attempts} attempt{'s' if attempts > 1 else ''}). {remedy}")


class NotFoundError(ServingError):
    """The server has no such model or version."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The time and the attempts of a call.

    Args:
        timeout: seconds for a request with its retries and their pauses.
        connect_timeout: seconds for one connection.
        retries: further attempts after errors that may pass (no server yet, a full queue).
        backoff: seconds before the second attempt; doubled before each further one, up to 10 s.

    Raises:
        ValueError: a number is out of range.
    """

    timeout: float = 60.0
    connect_timeout: float = 5.0
    retries: int = 3
    backoff: float = 0.25

    def __post_init__(self):
        if min(self.timeout, self.connect_timeout) <= 0 or min(self.retries, self.backoff) < 0:
            raise ValueError(f"{self}: give positive timeouts, and no negative number.")


@dataclasses.dataclass(frozen=True)
class ServedTensor:
    """An input or output of a signature."""

    dtype: np.dtype  # `object` for byte strings
    shape: tuple[int | None, ...] | None  # `None` for an axis of any size, and for any rank

    def __str__(self) -> str:
        kind = "bytes" if self.dtype == object else self.dtype
        if self.shape is None:
            return f"{kind} of any shape"
        return f"{kind} [{', '.join('any' if n is None else str(n) for n in self.shape)}]"

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        if self.shape is None:
            return True
        pairs = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(size in (None, own) for size, own in pairs)


@dataclasses.dataclass(frozen=True)
class ServedSignature:
    """A named computation of a served model."""

    name: str
    inputs: Mapping[str, ServedTensor]
    outputs: Mapping[str, ServedTensor]

    @classmethod
    def all_from_json(cls, definitions: Mapping[str, Any]) -> "dict[str, ServedSignature]":
        """Signatures by name from `SignatureDef`s in protobuf's JSON, where sizes are strings.

        TensorFlow's internal signatures (`__saved_model...`) are left out.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: the JSON is malformed.
        """

        def tensor(info: Mapping[str, Any]) -> ServedTensor:
            shape = info.get("tensor_shape", {})
            sizes = [int(dim.get("size", 0)) for dim in shape.get("dim", [])]
            known = tuple(None if size < 0 else size for size in sizes)
            return ServedTensor(DTYPES[info["dtype"]], None if shape.get("unknown_rank") else known)

        return {
            name: cls(name, *({key: tensor(info) for key, info in definition.get(side, {}).items()}
                              for side in ("inputs", "outputs")))
            for name, definition in definitions.items()
            if not name.startswith("__")
        }  # fmt: skip

    def defaults(self) -> dict[str, int]:
        """The inputs that may be left out, and what stands for them."""
        labels = {seed.replace("seed", "label") for seed in self.inputs if seed.startswith("seed")}
        return {name: ANY_CLASS for name in self.inputs if name in labels}

    def checked(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The inputs in the types and shapes of the signature, all with the same number of rows.

        An input without the batch axis is repeated for each row: `temperature=0.5`. A `label`
        beside a seed is -1, any class, where it is not given.

        Raises:
            ValueError: an input is missing or unknown, or has a wrong type, shape or range.
        """
        for name in arrays:
            if name not in self.inputs:
                known = nearest_names(name, self.inputs)
                raise ValueError(f"{self.name} has no input {name!r}: {known}.")
        arrays = {**self.defaults(), **arrays}
        missing = [f"{name} ({each})" for name, each in self.inputs.items() if name not in arrays]
        if missing:
            raise ValueError(f"{self.name}: give the missing input {', '.join(missing)}.")
        given = {
            name: _as_tensor(f"{self.name}: {name}", name, arrays[name], each)
            for name, each in self.inputs.items()
        }
        rows = {n: len(a) for n, a in given.items() if a.ndim and self.inputs[n].admits(a.shape)}
        if len({*rows.values()}) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in sorted(rows.items()))
            raise ValueError(f"{self.name}: the numbers of rows differ: {counts}. Give as many of "
                             "each.")  # fmt: skip
        batch = next(iter(rows.values()), 1)
        if batch == 0:
            raise ValueError(f"{self.name}: the inputs have no rows. Give at least one.")
        return {
            name: array if name in rows else np.broadcast_to(array, [batch, *array.shape])
            for name, array in given.items()
        }


def _as_tensor(where: str, name: str, value: Any, wanted: ServedTensor) -> np.ndarray:
    if name == "seed" or name.startswith("seed_"):
        for seed in np.asarray(value, dtype=object).flat:
            if isinstance(seed, (int, np.integer)) and not 0 <= seed <= LARGEST_SEED:
                raise ValueError(f"{where}: {seed} is out of range. Give 0 to 2^62 - 1.")
    array = _bytes_array(where, value) if wanted.dtype == object else _numbers(where, value, wanted)
    row = (wanted.shape[0] or 1, *array.shape) if wanted.shape else ()
    if not (wanted.admits(array.shape) or (row and wanted.admits(row))):
        raise ValueError(f"{where}: the shape is {[*array.shape]}. Give {wanted}.")
    return array


def _bytes_array(where: str, value: Any) -> np.ndarray:
    """An array of `bytes` objects: numpy's own string type drops zeros at the end."""
    array = np.array(value, dtype=object)
    for item in array.flat:
        if not isinstance(item, bytes):
            raise ValueError(f"{where}: holds {type(item).__name__}. Give bytes, as of a PNG file.")
    return array


def _numbers(where: str, value: Any, wanted: ServedTensor) -> np.ndarray:
    """The value in the wanted type, if the conversion loses nothing but precision."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where}: the rows differ in length. Give an array.") from error
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[wanted.dtype.kind]
    if array.size and array.dtype.kind not in kinds:
        raise ValueError(f"{where}: the type is {array.dtype}. Give {wanted}.")
    if wanted.dtype.kind in "iu" and array.size:
        limits = np.iinfo(wanted.dtype)
        for extreme in (array.min(), array.max()):
            if not limits.min <= extreme <= limits.max:
                raise ValueError(f"{where}: {extreme} is out of range. Give {limits.min} to "
                                 f"{limits.max}.")  # fmt: skip
    if wanted.dtype.kind == "f" and not np.isfinite(array.astype(wanted.dtype)).all():
        raise ValueError(f"{where}: holds a number that is not finite. Give finite numbers.")
    return array.astype(wanted.dtype)
