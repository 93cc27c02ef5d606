"""One of a model's verbs as an ONNX file of any batch size.

ONNX files as they are run: by ONNX Runtime, without TensorFlow.
"""

import dataclasses
import logging
import os
from collections.abc import Mapping

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from kerasvid.export.accuracy import FIRST_COMPARED_SEED, Difference, SampleInputs, difference
from kerasvid.export.onnx_session import OUT, OnnxModel, check_installed
from kerasvid.export.signatures import Verb

OPSET = 17  # of ONNX 1.12 (2022): every runtime in use reads it


def convert(model: keras.Model, verb: Verb, name: str, batch: int | None = None) -> bytes:
    """An ONNX file of a verb, with named inputs and outputs.

    An output that is named as an input (`video` of `reconstruct`) is `video_out` in the file. Of
    `recall` and `exchange`, the tables of codes are in the file; a row past their end is an error
    of the runtime, and a negative one counts from the end.

    Args:
        model: whose verb it is.
        verb: of `held_verbs`.
        name: of the graph.
        batch: B; any, as the axis `batch`, where `None`.

    Raises:
        ImportError: `tf2onnx` is not installed.
        ValueError: an operation has no counterpart in opset 17.

    Example:
        >>> content = convert(model, noise_verbs(model)["decode"], "decode")
    """
    check_installed()
    import onnx
    from tf2onnx import convert as tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    traced = _frozen(model, _distinct(verb)).traced(batch)
    proto, _ = tf2onnx.from_function(_Traced(traced), input_signature=[], opset=OPSET)
    proto.graph.name = name
    proto.producer_name = "kerasvid"
    if batch is None:
        for value in [*proto.graph.input, *proto.graph.output]:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(proto)
    foreign = sorted({node.domain for node in proto.graph.node} - {"", "ai.onnx"})
    if foreign:
        raise ValueError(f"{name}: needs operations of {', '.join(foreign)}, which ONNX has not.")
    return proto.SerializeToString()


def _distinct(verb: Verb) -> Verb:
    """The verb with no output named as an input."""

    def function(**given):
        return {f"{n}{OUT}" if n in given else n: value for n, value in verb(**given).items()}

    return dataclasses.replace(verb, function=function)


def _frozen(model: keras.Model, verb: Verb) -> Verb:
    """The verb with its weights as constants: rows of a variable have no counterpart in ONNX."""
    tables = model.tables().values() if hasattr(model, "tables") else ()

    def body(**given):
        for table in tables:  # rows are looked up by the handle alone, which freezing cannot trace
            tf.convert_to_tensor(table.codes.value)
        return verb(**given)

    def function(**given):
        specs = {name: tf.TensorSpec.from_tensor(value, name) for name, value in given.items()}
        with tf.init_scope():
            traced = tf.function(body, autograph=False).get_concrete_function(**specs)
            frozen = convert_variables_to_constants_v2(traced)
        inputs = [given[tensor.name.partition(":")[0]] for tensor in frozen.inputs]
        return dict(zip(sorted(traced.structured_outputs), frozen(*inputs), strict=True))

    return dataclasses.replace(verb, function=function)


class _Traced:
    """A traced function in the clothes of a `tf.function`, which the converter asks for."""

    def __init__(self, concrete):
        self.concrete = concrete

    def get_concrete_function(self, *_):
        return self.concrete


def measure_error(
    model: keras.Model,
    verbs: Mapping[str, Verb],
    name: str,
    file: bytes | str | os.PathLike,
    batch: int = 1,
) -> dict[str, Difference]:
    """The difference of a file's outputs to the model's, by output, on seeded inputs.

    Raises:
        ValueError: what the file gives is not finite.
    """
    verb = verbs[name]
    inputs = SampleInputs(model, verbs).draw(name, batch, seed=FIRST_COMPARED_SEED)
    ours = OnnxModel(file)(**inputs)
    reference = verb.traced(batch)(**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: difference(ours[key], value.numpy()) for key, value in reference.items()}
