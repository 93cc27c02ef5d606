"""The messages of TensorFlow Serving that warm a server up, without its package.

`tensorflow-serving-api` brings gRPC with it, which an export has no use for. A warm-up request is
a `PredictionLog` with a `PredictLog` with a `PredictRequest`: four small messages around the
`TensorProto` of TensorFlow. They are defined here with the names and field numbers of TensorFlow
Serving, in a pool of their own, so that both may be imported into one process.

    message ModelSpec { string name = 1; string signature_name = 3; }
    message PredictRequest { ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2; }
    message PredictLog { PredictRequest request = 1; }
    message PredictionLog { oneof log_type { PredictLog predict_log = 6; } }

They have no other fields: of a message with more, the parser keeps these as unknown ones.
"""

import functools
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from tensorflow.core.framework import tensor_pb2

PACKAGE = "tensorflow.serving"
_FIELD = descriptor_pb2.FieldDescriptorProto


def warm_up_request(
    model: str, signature: str, inputs: Mapping[str, np.ndarray | tf.Tensor]
) -> message.Message:
    """A `PredictionLog` of one request.

    Args:
        model: name that it is served under.
        signature: name.
        inputs: by name, the batch axis first.

    Example:
        >>> log = warm_up_request("rjvae", "serving_default", {"seed": np.array([0])})
        >>> log.predict_log.request.model_spec.signature_name
        'serving_default'
    """
    log = message_class("PredictionLog")()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        value = value.numpy() if tf.is_tensor(value) else value
        # The same message in another pool: they meet in bytes.
        encoded = tf.make_tensor_proto(value).SerializeToString(deterministic=True)
        request.inputs[name].ParseFromString(encoded)
    return log


def as_bytes(log: message.Message) -> bytes:
    """A message in bytes, the same ones each time: maps are sorted."""
    return log.SerializeToString(deterministic=True)


def parsed_request(record: bytes) -> tuple[str, str, dict[str, np.ndarray]]:
    """Model, signature and inputs of a record of a warm-up file.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    log = message_class("PredictionLog").FromString(record)
    request = log.predict_log.request
    inputs = {
        name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(value.SerializeToString()))
        for name, value in request.inputs.items()
    }
    return request.model_spec.name, request.model_spec.signature_name, inputs


def message_class(name: str) -> type[message.Message]:
    """One of the four messages as a class."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """The four messages, and TensorFlow's that they hold."""
    pool = descriptor_pool.DescriptorPool()
    _copy(tensor_pb2.DESCRIPTOR, pool, set())
    pool.AddSerializedFile(_definitions().SerializeToString())
    return pool


def _copy(file, pool: descriptor_pool.DescriptorPool, done: set[str]) -> None:
    """Adds a file of definitions to a pool, after those that it builds on."""
    if file.name in done:
        return
    for needed in file.dependencies:
        _copy(needed, pool, done)
    pool.AddSerializedFile(file.serialized_pb)
    done.add(file.name)


def _definitions() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="kerasvid/serving_messages.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[tensor_pb2.DESCRIPTOR.name],
    )
    spec = file.message_type.add(name="ModelSpec")
    for name, number in (("name", 1), ("signature_name", 3)):
        spec.field.add(
            name=name, number=number, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL
        )
    request = file.message_type.add(name="PredictRequest")
    _add_message(request, "model_spec", 1, f".{PACKAGE}.ModelSpec")
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    _add_message(entry, "value", 2, ".tensorflow.TensorProto")
    entries = f".{PACKAGE}.PredictRequest.InputsEntry"
    _add_message(request, "inputs", 2, entries).label = _FIELD.LABEL_REPEATED
    log = file.message_type.add(name="PredictLog")
    _add_message(log, "request", 1, f".{PACKAGE}.PredictRequest")
    either = file.message_type.add(name="PredictionLog")
    either.oneof_decl.add(name="log_type")
    _add_message(either, "predict_log", 6, f".{PACKAGE}.PredictLog").oneof_index = 0
    return file


def _add_message(
    holder: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str
) -> descriptor_pb2.FieldDescriptorProto:
    """A field that is a message."""
    return holder.field.add(
        name=name,
        number=number,
        type=_FIELD.TYPE_MESSAGE,
        type_name=kind,
        label=_FIELD.LABEL_OPTIONAL,
    )
