"""Signatures of a served model, as its metadata tells them, and the arrays that they take.

What is wrong with an input is told before anything is sent: a server's own words for it name
nodes of a graph.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

LARGEST_SEED = 2**62 - 1

# Names of TensorFlow's types in protocol messages, as far as the models use them.
DTYPES: dict[str, np.dtype] = {
    "DT_BOOL": np.dtype(bool),
    "DT_UINT8": np.dtype(np.uint8),
    "DT_INT32": np.dtype(np.int32),
    "DT_INT64": np.dtype(np.int64),
    "DT_FLOAT": np.dtype(np.float32),
    "DT_DOUBLE": np.dtype(np.float64),
    "DT_STRING": np.dtype(object),
}


@dataclasses.dataclass(frozen=True)
class ServedTensor:
    """An input or output of a signature.

    Args:
        dtype: of numpy; `object` for byte strings.
        shape: with the batch axis, `None` where any size goes; `None` itself where not even the
            rank is told.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{'bytes' if self.dtype == object else self.dtype} of any shape"
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{'bytes' if self.dtype == object else self.dtype} [{sizes}]"

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of the shape is one."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(size in (None, own) for own, size in zip(shape, self.shape, strict=True))
        )

    def admits_row(self, shape: tuple[int, ...]) -> bool:
        """Whether the shape is that of one row, without the batch axis."""
        return bool(self.shape) and self.admits((self.shape[0] or 1, *shape))


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a server computes under one name.

    Example:
        >>> client.signatures()["serving_default"].inputs["seed"]
        ServedTensor(dtype=dtype('int64'), shape=(None,))
    """

    name: str
    inputs: Mapping[str, ServedTensor]
    outputs: Mapping[str, ServedTensor]

    @classmethod
    def from_json(cls, name: str, definition: Mapping[str, Any]) -> "Signature":
        """Of a `SignatureDef` in protobuf's JSON, in which sizes are strings.

        Raises:
            KeyError, TypeError, ValueError: it is none, or has a type that no verb has.
        """

        def tensors(infos: Mapping[str, Any]) -> dict[str, ServedTensor]:
            return {
                name: ServedTensor(DTYPES[info["dtype"]], _shape(info.get("tensor_shape", {})))
                for name, info in infos.items()
            }

        inputs, outputs = (tensors(definition.get(way, {})) for way in ("inputs", "outputs"))
        return cls(name, inputs, outputs)

    def checked(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The inputs in the types and shapes of the signature, all of one batch size.

        An input without the batch axis holds for each row: `temperature=0.5`.

        Raises:
            ValueError: an input is missing, unknown, or of another type, shape or range.
        """
        wanted = list_of(f"{name} {each}" for name, each in self.inputs.items())
        for name in arrays:
            if name not in self.inputs:
                raise ValueError(f"{self.name} has no input {name!r}{nearest(name, self.inputs)}; "
                                 f"it takes {wanted}.")  # fmt: skip
        missing = [name for name in self.inputs if name not in arrays]
        if missing:
            raise ValueError(f"{self.name}: {list_of(missing)} missing; it takes {wanted}.")
        given = {
            name: _as_tensor(self.name, name, arrays[name], each)
            for name, each in self.inputs.items()
        }
        rows = {n: len(a) for n, a in given.items() if a.ndim and self.inputs[n].admits(a.shape)}
        if len({*rows.values()}) > 1:
            counts = list_of(f"{name} {count}" for name, count in sorted(rows.items()))
            raise ValueError(f"{self.name}: numbers of rows differ: {counts}; give one of each.")
        batch = next(iter(rows.values()), 1)
        if batch == 0:
            raise ValueError(f"{self.name}: there is no row; give one at least.")
        return {
            name: array if name in rows else np.broadcast_to(array, [batch, *array.shape])
            for name, array in given.items()
        }


def _shape(shape: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """Of a `TensorShapeProto` in JSON; -1 stands for any size."""
    if shape.get("unknown_rank"):
        return None
    sizes = [int(dim.get("size", 0)) for dim in shape.get("dim", [])]
    return tuple(None if size < 0 else size for size in sizes)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'generate'?)`, or nothing where no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""


def list_of(names: Iterable[str]) -> str:
    return ", ".join(names)


def _as_tensor(signature: str, name: str, value: Any, wanted: ServedTensor) -> np.ndarray:
    where = f"{signature}: {name}"
    if name == "seed" or name.startswith("seed_"):
        _refuse_seeds(where, value)
    array = _bytes_array(where, value) if wanted.dtype == object else _numbers(where, value, wanted)
    if not (wanted.admits(array.shape) or wanted.admits_row(array.shape)):
        raise ValueError(f"{where} has the shape {[*array.shape]} where {wanted} is wanted.")
    return array


def _refuse_seeds(where: str, value: Any) -> None:
    """Raises ValueError for whole numbers that are no seeds; other mistakes are told later."""
    for seed in np.asarray(value, dtype=object).flat:
        if isinstance(seed, (int, np.integer)) and not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"{where} {seed} is outside of 0 to 2^62 - 1.")


def _bytes_array(where: str, value: Any) -> np.ndarray:
    """An array of `bytes`, which numpy's own type of strings would cut at trailing zeros."""
    array = np.empty((), object)
    if isinstance(value, bytes):
        array[()] = value
    else:
        array = np.array(value, dtype=object)
    for item in array.flat:
        if not isinstance(item, bytes):
            raise ValueError(f"{where} holds {type(item).__name__} where bytes are wanted, as "
                             "those of an encoded picture.")  # fmt: skip
    return array


def _numbers(where: str, value: Any, wanted: ServedTensor) -> np.ndarray:
    """The value in the wanted type, if nothing but its number format changes."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where} is no array: its rows differ in length.") from error
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[wanted.dtype.kind]
    if array.size and array.dtype.kind not in kinds:
        raise ValueError(f"{where} is {array.dtype} where {wanted} is wanted.")
    if wanted.dtype.kind in "iu" and array.size:
        ends = np.iinfo(wanted.dtype)
        for worst in (array.min(), array.max()):
            if not ends.min <= worst <= ends.max:
                raise ValueError(f"{where} holds {worst}, outside of {ends.min} to {ends.max}.")
    if wanted.dtype.kind == "f" and not np.isfinite(array.astype(wanted.dtype)).all():
        raise ValueError(f"{where} holds a number that is not finite.")
    return array.astype(wanted.dtype)
