"""ONNX files: one signature of a model each, of any batch size."""

import dataclasses
import logging
import types

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from kerasvid.export.runtimes import OUT, check_installed
from kerasvid.export.signatures import Signature
from kerasvid.models.base.latent_codes import LatentCodeModel

OPSET = 17  # of ONNX 1.12 (2022): every runtime in use reads it


def convert(model: keras.Model, signature: Signature, name: str, batch: int | None = None) -> bytes:
    """An ONNX file of a signature, with named inputs and outputs.

    An output with the name of an input (`video` of `reconstruct`) is `video_out` in the file. The
    files of `recall` and `exchange` hold the tables of codes; the runtime refuses a row after their
    end, and counts a negative one from the end.

    Args:
        model, signature: the model and one of its `loop_free_signatures`.
        name: of the graph.
        batch: B; any, as the axis `batch`, if `None`.

    Raises:
        ImportError: `tf2onnx` is not installed.
        ValueError: opset 17 lacks an operation.

    Example:
        >>> content = convert(model, noise_signatures(model)["decode"], "decode")
    """
    check_installed("onnx")
    import onnx
    from tf2onnx import convert as tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    traced = _frozen(model, signature).traced(batch)
    # The converter calls one method of a `tf.function`.
    function = types.SimpleNamespace(get_concrete_function=lambda *_: traced)
    proto, _ = tf2onnx.from_function(function, input_signature=[], opset=OPSET)
    proto.graph.name = name
    proto.producer_name = "kerasvid"
    if batch is None:
        for value in [*proto.graph.input, *proto.graph.output]:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(proto)
    foreign = sorted({node.domain for node in proto.graph.node} - {"", "ai.onnx"})
    if foreign:
        raise ValueError(f"{name}: needs operations of {', '.join(foreign)}, which ONNX lacks. "
                         "Export a SavedModel.")  # fmt: skip
    return proto.SerializeToString()


def _frozen(model: keras.Model, signature: Signature) -> Signature:
    """The signature with weights as constants (for look-ups) and no output named as an input."""
    tables = model.tables().values() if isinstance(model, LatentCodeModel) else ()

    def body(**given):
        for table in tables:  # rows are looked up by the handle alone, which freezing cannot trace
            tf.convert_to_tensor(table.codes.value)
        outputs = signature(**given)
        return {f"{n}{OUT}" if n in given else n: value for n, value in outputs.items()}

    def function(**given):
        specs = {name: tf.TensorSpec.from_tensor(value, name) for name, value in given.items()}
        with tf.init_scope():
            traced = tf.function(body, autograph=False).get_concrete_function(**specs)
            frozen = convert_variables_to_constants_v2(traced)
        inputs = [given[tensor.name.partition(":")[0]] for tensor in frozen.inputs]
        return dict(zip(sorted(traced.structured_outputs), frozen(*inputs), strict=True))

    return dataclasses.replace(signature, function=function)
