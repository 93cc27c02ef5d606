"""TensorFlow Serving's gRPC interface, with its own protocol messages (the extra `serving`).

gRPC itself repeats calls after errors that may pass, by the retry policy of the channel.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from kerasvid.export.serving.served_signature import (
    START_SERVER,
    Limits,
    NotFoundError,
    ServedSignature,
    ServingError,
)

TRANSIENT_CODES = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
MAX_RETRIES = 4  # gRPC itself makes no more
UNCONNECTED = ("failed to connect", "DNS resolution failed", "name resolution", "Domain name not")


class GrpcService:
    """A model behind a server's gRPC port.

    Args:
        address: `host:port`, or with `https://` before it for TLS.
        model, version, limits: as of `RestService`; gRPC makes at most 4 retries.

    Raises:
        ValueError: the address is malformed, or there are more retries.
    """

    def __init__(self, address: str, model: str, version: int | str | None, limits: Limits):
        scheme, _, self.server = address.rpartition("://")
        port = self.server.rpartition(":")[2]
        if scheme not in ("", "http", "https", "grpc") or not (port.isdigit() and int(port)):
            raise ValueError(f"Address {address!r} is malformed. Write host:port, as in "
                             "localhost:8500.")  # fmt: skip
        self._model, self._version, self._timeout = model, version, limits.timeout
        if limits.retries > MAX_RETRIES:
            raise ValueError(f"retries={limits.retries}: gRPC makes at most {MAX_RETRIES}. Give 0 "
                             f"to {MAX_RETRIES}, or use the protocol rest.")  # fmt: skip
        self._attempts = limits.retries + 1
        options = [
            # Videos are larger than gRPC's limit of 4 MiB.
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 100),
            # The least pause between connections is also how long one of them may take.
            ("grpc.min_reconnect_backoff_ms", max(100, int(limits.connect_timeout * 1e3))),
            ("grpc.service_config", json.dumps(_retry_policy(self._attempts, limits.backoff))),
            # Larger requests than the buffer are not repeated.
            ("grpc.per_rpc_retry_buffer_size", 2**31 - 1),
        ]
        if scheme == "https":
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(self.server, credentials, options)
        else:
            self._channel = grpc.insecure_channel(self.server, options)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def signatures(self) -> dict[str, ServedSignature]:
        """As `RestService.signatures`."""
        messages = get_model_metadata_pb2
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        answer = self._call(self._predictions.GetModelMetadata, self._addressed(request))
        found = messages.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        read = json_format.MessageToDict(found, preserving_proto_field_name=True)
        return ServedSignature.all_from_json(read["signature_def"])

    def versions(self) -> dict[int, str]:
        """As `RestService.versions`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        answer = self._call(self._models.GetModelStatus, request)
        state = get_model_status_pb2.ModelVersionStatus.State.Name
        return {each.version: state(each.state) for each in answer.model_version_status}

    def predict(
        self, signature: ServedSignature, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """As `RestService.predict`."""
        request = self._addressed(predict_pb2.PredictRequest())
        request.model_spec.signature_name = signature.name
        for name, array in inputs.items():
            dtype = tf.string if array.dtype == object else array.dtype
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array, dtype, array.shape))
        answer = self._call(self._predictions.Predict, request)
        missing = [name for name in signature.outputs if name not in answer.outputs]
        if missing:
            remedy = "The version may have changed: make a new client."
            raise ServingError(f"{self.server}: sent no output {missing[0]}. {remedy}")
        return {name: tf.make_ndarray(answer.outputs[name]) for name in signature.outputs}

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _addressed(self, request: Any) -> Any:
        """The request with the names of the model and the version."""
        request.model_spec.name = self._model
        if isinstance(self._version, int):
            request.model_spec.version.value = self._version
        elif self._version is not None:
            request.model_spec.version_label = self._version
        return request

    def _call(self, method: Callable, request: Any) -> Any:
        deadline = time.monotonic() + self._timeout
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            left = deadline - time.monotonic()
            raise self._explained(error.code().name, error.details() or "", left) from error

    def _explained(self, code: str, details: str, left: float) -> ServingError:
        reason = " ".join(details.split()).rstrip(".") or "no reason given"
        if code == "DEADLINE_EXCEEDED" and left <= 0.01:
            return ServingError.timed_out(self.server, self._timeout)
        what, remedy = f"{self.server}: {code}: {reason}", "The server is overloaded. Try later."
        if code == "UNAVAILABLE" and any(text in reason for text in UNCONNECTED):
            what, remedy = f"{self.server}: no server answers by gRPC", START_SERVER
        if code in TRANSIENT_CODES:
            return ServingError.after_attempts(what, self._attempts, remedy)
        if code == "NOT_FOUND":
            return NotFoundError(f"{self.server}: {reason}.")
        if code == "UNIMPLEMENTED":
            what += ". Is this TensorFlow Serving's gRPC port, 8500 by default?"
        return ServingError(what)


def _retry_policy(attempts: int, backoff: float) -> dict[str, Any]:
    """gRPC's service config: pauses that double, after each status that may pass."""
    first = f"{max(backoff, 0.001):.3f}s"
    policy = {"maxAttempts": attempts, "retryableStatusCodes": TRANSIENT_CODES,
              "initialBackoff": first, "backoffMultiplier": 2, "maxBackoff": "10s"}  # fmt: skip
    return {"methodConfig": [{"name": [{}], "retryPolicy": policy}]} if attempts > 1 else {}
