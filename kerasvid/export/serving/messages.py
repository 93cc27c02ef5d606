"""TensorFlow Serving's messages for warm-up requests, without its package.

`tensorflow-serving-api` needs gRPC, which an export does not. A warm-up request is four small
messages around TensorFlow's `TensorProto`. They are defined here as in TensorFlow Serving, as far
as needed, in a pool of their own, so that both can be imported into one process.
"""

import functools
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format
from tensorflow.core.framework import tensor_pb2

WARM_UP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
DEFINITIONS = """
name: "kerasvid/serving_messages.proto" package: "tensorflow.serving" syntax: "proto3"
dependency: "tensorflow/core/framework/tensor.proto"
message_type { name: "ModelSpec"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "signature_name" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "PredictRequest"
  field { name: "model_spec" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
    type_name: ".tensorflow.serving.ModelSpec" }
  field { name: "inputs" number: 2 type: TYPE_MESSAGE label: LABEL_REPEATED
    type_name: ".tensorflow.serving.PredictRequest.InputsEntry" }
  nested_type { name: "InputsEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL
      type_name: ".tensorflow.TensorProto" } } }
message_type { name: "PredictLog"
  field { name: "request" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
    type_name: ".tensorflow.serving.PredictRequest" } }
message_type { name: "PredictionLog" oneof_decl { name: "log_type" }
  field { name: "predict_log" number: 6 type: TYPE_MESSAGE label: LABEL_OPTIONAL oneof_index: 0
    type_name: ".tensorflow.serving.PredictLog" } }
"""


def warm_up_request(model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A `PredictionLog` of one request; the same bytes each time, as maps are sorted.

    Example:
        >>> record = warm_up_request("rjvae", "serving_default", {"seed": np.array([0])})
        >>> parsed_request(record)[1]
        'serving_default'
    """
    log = message_class("PredictionLog")()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        # The same message in another pool: they meet in bytes.
        encoded = tf.make_tensor_proto(value).SerializeToString(deterministic=True)
        request.inputs[name].ParseFromString(encoded)
    return log.SerializeToString(deterministic=True)


def parsed_request(record: bytes) -> tuple[str, str, dict[str, np.ndarray]]:
    """Model, signature and inputs of a record of a warm-up file.

    Raises:
        google.protobuf.message.DecodeError: the bytes are not a message.
        ValueError: the message is not a logged prediction.
    """
    log = message_class("PredictionLog").FromString(record)
    if log.WhichOneof("log_type") != "predict_log":
        raise ValueError("is not a logged prediction")
    request = log.predict_log.request
    inputs = {
        name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(value.SerializeToString()))
        for name, value in request.inputs.items()
    }
    return request.model_spec.name, request.model_spec.signature_name, inputs


def message_class(name: str) -> type[message.Message]:
    """One of the four messages as a class."""
    found = _pool().FindMessageTypeByName(f"tensorflow.serving.{name}")
    return message_factory.GetMessageClass(found)


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """The four messages, and TensorFlow's that they hold."""
    pool, done = descriptor_pool.DescriptorPool(), set()

    def copy(file) -> None:
        if file.name not in done:
            for needed in file.dependencies:
                copy(needed)
            pool.AddSerializedFile(file.serialized_pb)
            done.add(file.name)

    copy(tensor_pb2.DESCRIPTOR)
    own = text_format.Parse(DEFINITIONS, descriptor_pb2.FileDescriptorProto())
    pool.AddSerializedFile(own.SerializeToString())
    return pool
