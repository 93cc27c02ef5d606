"""Warm-up messages, byte for byte those of TensorFlow Serving's own package."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError

from kerasvid.export.serving.messages import message_class, parsed_request, warm_up_request

INPUTS = {
    "seed": np.array([0, 2**62 - 1]),
    "fraction": np.array([0.25, 1.0], np.float32),
    "video": np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4),
    "first_bytes": np.array([b"\x89PNG", b""], object),
}


def test_a_request_is_read_back_as_it_was_written():
    model, signature, inputs = parsed_request(warm_up_request("mine", "swap", INPUTS))
    assert (model, signature, set(inputs)) == ("mine", "swap", set(INPUTS))
    for name, value in INPUTS.items():
        np.testing.assert_array_equal(inputs[name], value)
        assert inputs[name].dtype == value.dtype


def test_the_bytes_are_the_same_whatever_the_order_of_the_inputs():
    backwards = dict(reversed(INPUTS.items()))
    there, back = (warm_up_request("m", "s", i) for i in (INPUTS, backwards))
    assert there == back


def test_the_bytes_are_those_written_by_hand():
    """Field number and wire type, length, content, as the encoding of protocol buffers has it."""
    tensor = tf.make_tensor_proto(np.array([7])).SerializeToString(deterministic=True)

    def field(number, content):
        assert len(content) < 128
        return bytes([number << 3 | 2, len(content)]) + content

    spec = field(1, b"m") + field(3, b"s")
    entry = field(1, b"seed") + field(2, tensor)
    request = field(1, spec) + field(2, entry)
    expected = field(6, field(1, request))
    assert warm_up_request("m", "s", {"seed": np.array([7])}) == expected


def test_bytes_of_no_message_are_refused():
    with pytest.raises(DecodeError):
        parsed_request(b"\xff\xff\xff")


def test_the_package_of_tensorflow_serving_writes_the_same_bytes_and_reads_ours():
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    theirs = logs.PredictionLog()
    request = theirs.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "mine", "swap"
    for name, value in INPUTS.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    ours = warm_up_request("mine", "swap", INPUTS)
    assert theirs.SerializeToString(deterministic=True) == ours
    assert logs.PredictionLog.FromString(ours) == theirs
    assert message_class("PredictionLog").DESCRIPTOR.full_name == theirs.DESCRIPTOR.full_name
