"""TFLite files of built-in operations, with several signatures of a model in one file.

The weights are stored once for all signatures: they are TensorFlow variables, which the converter
freezes, and equal buffers of a file are stored once.
"""

import io
import json
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import ConverterError
from tensorflow.lite.python.optimize import calibrator
from tensorflow.lite.tools import flatbuffer_utils

from kerasvid.export.play_tflite import MEMBER
from kerasvid.export.sample_inputs import sample_inputs
from kerasvid.export.saved_model import module_of
from kerasvid.export.signatures import Signature, noise_signatures
from kerasvid.naming import nearest_names

QUANTIZE = ("none", "float16", "dynamic", "integer")  # as explained at `convert`
CALIBRATION_DRAWS = 32  # inputs of each signature that integer ranges are measured on
STATEFUL = ("CUSTOM", "READ_VARIABLE", "ASSIGN_VARIABLE", "WHILE", "CALL")


def loop_free_signatures(
    model: keras.Model, frames: int | None = None, names: Iterable[str] | None = None
) -> tuple[dict[str, Signature], list[str]]:
    """The signatures that a file without loops can hold, and the names of those left out.

    Args:
        model: of `load_for_export`.
        frames: T; by default the model's own.
        names: only these signatures; by default all that a file can hold.

    Raises:
        ValueError: a name is unknown or needs a loop, or the model cannot make clips of this
            length.
    """
    signatures = noise_signatures(model, frames)
    if names is None:
        held = {name: each for name, each in signatures.items() if not each.iterative}
        return held, [name for name in signatures if name not in held]
    chosen = {}
    for name in names:
        if name not in signatures:
            near = nearest_names(name, signatures)
            raise ValueError(f"The model has no signature {name!r}: {near}.")
        if signatures[name].iterative:
            raise ValueError(f"{name}: finds codes by gradient descent, in a loop that TFLite and "
                             "ONNX files cannot hold. Export a SavedModel.")  # fmt: skip
        chosen[name] = signatures[name]
    return chosen, []


def convert(
    model: keras.Model,
    signatures: Mapping[str, Signature],
    quantize: str = "none",
    batch: int = 1,
    integer_io: bool = False,
    seed: int = 0,
) -> bytes:
    """A TFLite file with these signatures, of built-in operations only.

    Args:
        model: the model of the signatures.
        signatures: of `loop_free_signatures`.
        quantize: `none` for float32; `float16` for weights of half the size; `dynamic` for int8
            weights and activations that are quantised at run time; `integer` for int8 weights and
            activations, with ranges measured on random inputs.
        batch: B, fixed in the file.
        integer_io: int8 inputs and outputs in place of float32 ones, for `integer`.
        seed: random seed of the inputs that ranges are measured on.

    Raises:
        ValueError: an unknown `quantize`, `integer_io` without `integer`, or an operation that is
            not built into TFLite.

    Example:
        >>> content = convert(model, loop_free_signatures(model)[0], quantize="float16")
    """
    if quantize not in QUANTIZE:
        raise ValueError(f"Unknown quantize={quantize!r}: {nearest_names(quantize, QUANTIZE)}.")
    if integer_io and quantize != "integer":
        raise ValueError(f"integer_io: needs quantize=integer, not {quantize}.")
    traced = {name: each.traced(batch) for name, each in signatures.items()}
    with tempfile.TemporaryDirectory() as folder:
        # Not the Keras model: with it, the converter does not freeze the variables. A table whose
        # rows are looked up is among the weights only.
        module = module_of(traced, [weight.value for weight in model.weights])
        tf.saved_model.save(module, folder, signatures=traced)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, list(traced))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "integer":
            converter.representative_dataset = lambda: (
                (name, sample_inputs(model, each, batch, seed + draw))
                for name, each in signatures.items()
                for draw in range(CALIBRATION_DRAWS)
            )
            # Operations without an integer kernel (the angle of `interpolate`) stay in floats.
            converter.target_spec.supported_ops.append(tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
            if integer_io:
                converter.inference_input_type = converter.inference_output_type = tf.int8
        try:
            with every_tensor_kept():
                content = converter.convert()
        except ConverterError as error:
            found = sorted({*re.findall(r"\btf\.(\w+)\(", str(error))})
            raise _foreign(found or ["an operation that cannot be converted"]) from error
    check_built_in(content)
    return content


def with_description(content: bytes, facts: Mapping[str, Any]) -> bytes:
    """A file with a description of itself as JSON, in a ZIP archive behind it.

    Interpreters read from the beginning and do not see it; that is how TFLite files carry files.

    Example:
        >>> content = with_description(content, {"model": "rjvae"})
        >>> zipfile.ZipFile(io.BytesIO(content)).read("kerasvid.json")
    """
    whole = io.BytesIO(content)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(facts))
    return whole.getvalue()


def operations(content: bytes) -> Counter:
    """How often each operation is in a file, by its name in the schema, or `CUSTOM:<name>`."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    parsed, kinds = _read(content), []
    for code in parsed.operatorCodes:
        # Files of old writers have codes below 127 in the deprecated field alone.
        kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        kinds.append(f"CUSTOM:{code.customCode.decode()}" if kind == "CUSTOM" else kind)
    return Counter(kinds[each.opcodeIndex] for g in parsed.subgraphs for each in g.operators)


def check_built_in(content: bytes) -> None:
    """Raises ValueError for a file with custom operations, or ones that need state or loops."""
    foreign = [name for name in sorted(operations(content)) if name.startswith(STATEFUL)]
    if foreign:
        raise _foreign(foreign)


def _foreign(names: Iterable[str]) -> ValueError:
    return ValueError(f"The file needs {', '.join(names)}, not built into TFLite. Choose other "
                      "--signatures, or export a SavedModel.")  # fmt: skip


# === Calibration ===


def every_tensor_kept() -> Any:
    """A context in which converters measure ranges without overwriting a tensor.

    TFLite lets an operation write its output over an input that nothing else reads, but the
    calibrator reads both only afterwards: the pixels' `(x + 1) * 127.5` lost 20 levels so. Outputs
    of a graph are never overwritten, so all tensors are outputs while ranges are measured.
    """
    return mock.patch.object(calibrator, "Calibrator", _Calibrator)


class _Calibrator(calibrator.Calibrator):
    """The converter's own, on the file with every computed tensor as an output of its graph."""

    def __init__(self, model_content: bytes, *registerers):
        given = _read(model_content)
        self._outputs = [list(graph.outputs) for graph in given.subgraphs]
        for graph in given.subgraphs:
            computed = [index for op in graph.operators for index in op.outputs if index >= 0]
            graph.outputs = [*graph.outputs, *sorted({*computed} - {*graph.outputs})]
        super().__init__(_written(given), *registerers)

    def calibrate(self, dataset_gen: Callable) -> bytes:
        """The file as it was given, with the ranges of its tensors."""
        measured = _read(super().calibrate(dataset_gen))
        for graph, outputs in zip(measured.subgraphs, self._outputs, strict=True):
            graph.outputs = outputs
        return _written(measured)


def _read(content: bytes) -> schema.ModelT:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _written(model: schema.ModelT) -> bytes:
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
