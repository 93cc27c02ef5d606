"""A model's verbs as one TFLite file of built-in operations, a signature a verb.

The weights are stored once, however many signatures use them: what is shared are TensorFlow
variables that the converter freezes, and equal buffers of the file are stored once.

Ranges of the activations of a TFLite file, measured without one overwriting another.

TFLite lets an addition, a product or a bound write its output over its input, where nothing else
reads that input. The converter's calibrator looks at both only when it is done, and so takes the
range of an output for that of the input: the pixels' `(x + 1) * 127.5` lost 20 levels by it. A
tensor that is an output of its graph is never written over, so that all of them are outputs while
ranges are measured.
TFLite files as they are run: by the package `ai-edge-litert`, without TensorFlow.
"""

import contextlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import ConverterError
from tensorflow.lite.python.optimize import calibrator
from tensorflow.lite.tools import flatbuffer_utils

from kerasvid.export.accuracy import FIRST_COMPARED_SEED, Difference, SampleInputs, difference
from kerasvid.export.lite_model import LiteModel
from kerasvid.export.signatures import Verb, noise_verbs
from kerasvid.naming import nearest_names

QUANTIZE = ("none", "float16", "dynamic", "integer")
CALIBRATION_DRAWS = 32  # a verb, that the ranges of an integer file are measured on
COMPARED_DRAWS = 4  # a verb, that the error of a file is measured on


def held_verbs(
    model: keras.Model, frames: int | None = None, names: Iterable[str] | None = None
) -> tuple[dict[str, Verb], list[str]]:
    """The verbs that a file without loops can hold, and the names of those left out.

    Args:
        model: of `load_for_export`.
        frames: T, the model's own where `None`.
        names: only these; all that can be held where `None`.

    Raises:
        ValueError: a name is unknown, or that of a verb that descends by gradients; or the model
            makes clips of another length.
    """
    verbs = noise_verbs(model, frames)
    held = {name: verb for name, verb in verbs.items() if not verb.iterative}
    if names is None:
        return held, [name for name in verbs if name not in held]
    for name in names:
        if name not in verbs:
            raise ValueError(f"This model has no verb {name!r}: {nearest_names(name, verbs)}.")
        if name not in held:
            raise ValueError(
                f"{name} descends by gradients, which a file of operations alone cannot hold: "
                "leave it out, or take the SavedModel."
            )
    return {name: held[name] for name in names}, []


def tracked_module(
    model: keras.Model, traced: Mapping[str, tf.types.experimental.ConcreteFunction]
):
    """A `tf.Module` that owns the variables of traced functions, to save them with.

    Not the Keras model itself: with it, the converter does not freeze the variables, and the file
    reads ones that were never written.
    """
    captured = [variable for function in traced.values() for variable in function.variables]
    weights = [weight.value for weight in model.weights]
    module = tf.Module()
    module.held = list({id(variable): variable for variable in [*captured, *weights]}.values())
    return module


def convert(
    model: keras.Model,
    verbs: Mapping[str, Verb],
    quantize: str = "none",
    batch: int = 1,
    integer_io: bool = False,
    seed: int = 0,
) -> bytes:
    """A TFLite file with a signature a verb, of built-in operations only.

    Args:
        model: whose verbs they are.
        verbs: of `held_verbs`.
        quantize: `none` for float32; `float16` for weights of half the size; `dynamic` for int8
            weights, with activations quantised while it runs; `integer` for int8 weights and
            activations, with ranges measured on seeded noise.
        batch: B, fixed in the file.
        integer_io: int8 inputs and outputs in place of float32 ones, for `integer`.
        seed: of the noise that ranges are measured on.

    Raises:
        ValueError: an unknown `quantize`, `integer_io` without `integer`, or an operation that is
            not built into TFLite.

    Example:
        >>> content = convert(model, held_verbs(model)[0], quantize="float16")
    """
    if quantize not in QUANTIZE:
        raise ValueError(f"quantize={quantize!r}: take one of {', '.join(QUANTIZE)}.")
    if integer_io and quantize != "integer":
        raise ValueError(f"integer_io needs quantize=integer, not {quantize}.")
    traced = {name: verb.traced(batch) for name, verb in verbs.items()}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tracked_module(model, traced), folder, signatures=traced)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, list(traced))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "integer":
            samples = SampleInputs(model, verbs)
            converter.representative_dataset = lambda: _calibration(samples, batch, seed)
            # What has no integer kernel (the angle of `interpolate`) stays a float built-in.
            converter.target_spec.supported_ops.append(tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
            if integer_io:
                converter.inference_input_type = converter.inference_output_type = tf.int8
        try:
            with every_tensor_kept():
                content = converter.convert()
        except ConverterError as error:
            named = re.findall(r"\btf\.(\w+)\(", str(error))
            what = f"needs {', '.join(sorted(set(named)))}" if named else "cannot be converted"
            raise ValueError(
                f"A verb {what}, not built into TFLite: leave it out, or take the SavedModel."
            ) from error
    check_built_in(content)
    return content


def _calibration(samples: SampleInputs, batch: int, seed: int):
    """(verb, inputs) in turn, all seeded."""
    for name in samples.verbs:
        for draw in range(CALIBRATION_DRAWS):
            yield name, samples.draw(name, batch, seed + draw)


def operations(content: bytes) -> Counter:
    """How often each operation is in a file, by its name in the schema.

    Custom operations, among them TensorFlow's own ("Flex"), stand under `CUSTOM:<name>`.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    parsed = schema.Model.GetRootAsModel(content, 0)
    codes = [parsed.OperatorCodes(i) for i in range(parsed.OperatorCodesLength())]
    # Files of old writers have codes below 127 in the deprecated field alone.
    kinds = [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
    kinds = [
        f"CUSTOM:{code.CustomCode().decode()}" if kind == "CUSTOM" else kind
        for kind, code in zip(kinds, codes, strict=True)
    ]
    graphs = [parsed.Subgraphs(i) for i in range(parsed.SubgraphsLength())]
    return Counter(
        kinds[graph.Operators(i).OpcodeIndex()]
        for graph in graphs
        for i in range(graph.OperatorsLength())
    )


def check_built_in(content: bytes) -> None:
    """Refuses a file with an operation that is not built into every TFLite.

    Raises:
        ValueError: names the operations: custom ones, and those that need state or loops.
    """
    foreign = [
        name
        for name in sorted(operations(content))
        if name.startswith(("CUSTOM", "READ_VARIABLE", "ASSIGN_VARIABLE", "WHILE", "CALL"))
    ]
    if foreign:
        raise ValueError(
            f"These operations are not built into every TFLite: {', '.join(foreign)}. Leave out "
            "verbs, or take the SavedModel."
        )


def measure_error(
    model: keras.Model,
    verbs: Mapping[str, Verb],
    file: bytes | str | os.PathLike,
    batch: int = 1,
) -> dict[str, dict[str, Difference]]:
    """The difference of a file's outputs to the model's, by verb and output, on seeded noise.

    Raises:
        ValueError: what the file gives is not finite.
        ImportError: `ai-edge-litert` is not installed.
    """
    lite, samples = LiteModel(file), SampleInputs(model, verbs)
    seeds = range(FIRST_COMPARED_SEED, FIRST_COMPARED_SEED + COMPARED_DRAWS)
    told = {}
    for name, verb in verbs.items():
        reference, traced = [], verb.traced(batch)
        ours = []
        for seed in seeds:
            inputs = samples.draw(name, batch, seed)
            ours.append(lite(name, **inputs))
            given = {key: tf.constant(value) for key, value in inputs.items()}
            reference.append({key: value.numpy() for key, value in traced(**given).items()})
        told[name] = {
            key: difference(
                np.concatenate([each[key] for each in ours]),
                np.concatenate([each[key] for each in reference]),
            )
            for key in verb.outputs
        }
    return told


@contextlib.contextmanager
def every_tensor_kept() -> Iterator[None]:
    """Within it, converters measure ranges with no tensor written over.

    Example:
        >>> with every_tensor_kept():
        ...     content = converter.convert()
    """
    with mock.patch.object(calibrator, "Calibrator", _Calibrator):
        yield


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
