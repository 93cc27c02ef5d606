"""TensorFlow Serving's gRPC interface, by its own protocol messages (the extra `serving`)."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasvid.export.serving.attempts import Deadline, NotFoundError, ServingError, TransientError
from kerasvid.export.serving.signatures import Signature

TRANSIENT_CODES = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
SERVER_DOWN = (
    "start it (export/serving/README.md), or check host and port; gRPC is 8500 by default."
)
NO_MESSAGES = (
    "this needs TensorFlow Serving's protocol messages: pip install 'kerasvid[serving]', or use "
    "the protocol rest, which needs nothing."
)
OPTIONS = [
    # Videos are larger than gRPC's limit of 4 MiB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Attempts are counted in one place, and each connects anew.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
]
UNCONNECTED = ("failed to connect", "DNS resolution failed", "name resolution", "Domain name not")


def protocol_messages(name: str) -> Any:
    """A module of tensorflow-serving-api, as `apis.predict_pb2`.

    Raises:
        ServingError: the package is not installed.
    """
    try:
        return importlib.import_module(f"tensorflow_serving.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("tensorflow_serving", "grpc"):
            raise
        raise ServingError(NO_MESSAGES) from error


class GrpcService:
    """A server's gRPC port.

    Args:
        address: `host:port`, or with `https://` before it for TLS.
        connect_timeout: seconds for the connection to stand.

    Raises:
        ServingError: tensorflow-serving-api is not installed.
        ValueError: the address is none.
    """

    def __init__(self, address: str, connect_timeout: float = 5.0):
        scheme, _, self.server = address.rpartition("://")
        port = self.server.rpartition(":")[2]
        if scheme not in ("", "http", "https", "grpc") or not (port.isdigit() and int(port)):
            raise ValueError(f"address {address!r} is none: write host:port, as localhost:8500.")
        services = protocol_messages("apis.prediction_service_pb2_grpc")
        models = protocol_messages("apis.model_service_pb2_grpc")
        import grpc

        self._grpc = grpc
        # The least pause between connections is also how long one of them may take.
        options = [
            *OPTIONS,
            ("grpc.min_reconnect_backoff_ms", max(100, int(connect_timeout * 1e3))),
        ]
        if scheme == "https":
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(self.server, credentials, options)
        else:
            self._channel = grpc.insecure_channel(self.server, options)
        self._predictions = services.PredictionServiceStub(self._channel)
        self._models = models.ModelServiceStub(self._channel)

    def signatures(self, model: str, version: int | str | None, deadline: Deadline):
        """As `RestService.signatures`."""
        messages = protocol_messages("apis.get_model_metadata_pb2")
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        _address(request.model_spec, model, version)
        answer = self._call(self._predictions.GetModelMetadata, request, deadline)
        found = messages.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        from google.protobuf import json_format

        read = json_format.MessageToDict(found, preserving_proto_field_name=True)
        return {
            name: Signature.from_json(name, definition)
            for name, definition in read["signature_def"].items()
            if not name.startswith("__")
        }

    def versions(self, model: str, deadline: Deadline) -> dict[int, str]:
        """As `RestService.versions`."""
        messages = protocol_messages("apis.get_model_status_pb2")
        request = messages.GetModelStatusRequest()
        _address(request.model_spec, model, None)
        answer = self._call(self._models.GetModelStatus, request, deadline)
        state = messages.ModelVersionStatus.State.Name
        return {each.version: state(each.state) for each in answer.model_version_status}

    def predict(
        self,
        model: str,
        version: int | str | None,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        deadline: Deadline,
    ) -> dict[str, np.ndarray]:
        """As `RestService.predict`."""
        import tensorflow as tf

        request = protocol_messages("apis.predict_pb2").PredictRequest()
        _address(request.model_spec, model, version)
        request.model_spec.signature_name = signature.name
        for name, array in inputs.items():
            dtype = tf.string if array.dtype == object else array.dtype
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array, dtype, array.shape))
        answer = self._call(self._predictions.Predict, request, deadline)
        missing = [name for name in signature.outputs if name not in answer.outputs]
        if missing:
            raise ServingError(f"{self.server}: {signature.name} answers without {missing[0]}; has "
                               "its version changed? Make a new client.")  # fmt: skip
        return {name: tf.make_ndarray(answer.outputs[name]) for name in signature.outputs}

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _call(self, method: Callable, request: Any, deadline: Deadline) -> Any:
        if deadline.left() <= 0:
            raise deadline.passed(self.server)
        try:
            return method(request, timeout=deadline.left())
        except self._grpc.RpcError as error:
            raise self._told(error.code().name, error.details() or "", deadline) from error

    def _told(self, code: str, details: str, deadline: Deadline) -> ServingError:
        """The error of a status."""
        said = " ".join(details.split()).rstrip(".") or "no reason told"
        if code == "DEADLINE_EXCEEDED" and deadline.left() <= 0.01:
            return deadline.passed(self.server)
        if code == "UNAVAILABLE" and any(text in said for text in UNCONNECTED):
            return TransientError(f"{self.server}: no server answers by gRPC", SERVER_DOWN)
        if code in TRANSIENT_CODES:
            remedy = "the server is overloaded, starting or down: try later."
            return TransientError(f"{self.server}: {code}: {said}", remedy)
        if code == "NOT_FOUND":
            return NotFoundError(f"{self.server}: {said}")
        if code == "UNIMPLEMENTED":
            said += "; is this TensorFlow Serving's gRPC port, 8500 by default?"
        return ServingError(f"{self.server}: {code}: {said}")


def _address(spec: Any, model: str, version: int | str | None) -> None:
    """Fills a `ModelSpec`."""
    spec.name = model
    if isinstance(version, int):
        spec.version.value = version
    elif version is not None:
        spec.version_label = version
