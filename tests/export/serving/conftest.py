"""Tiny SavedModels, and servers around them that keep TensorFlow Serving's documented contract.

The server binary is in no package registry. What stands in for it: its REST interface written
after its documentation, and its gRPC interface by its own messages and service classes. Both run
real SavedModels, and both can be asked to fail as a real one does.
"""

import base64
import http.server
import json
import pathlib
import re
import shutil
import socket
import struct
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2

from kerasvid.export.signatures import noise_signatures, seed_signatures
from kerasvid.models.registry import model_class

# === Models ===


def save(model, path: pathlib.Path, signatures: dict) -> None:
    module = tf.Module()
    # Keras' own tracking of a model traces its call; the signatures need its variables alone.
    module.variables_of_model = [getattr(each, "value", each) for each in model.variables]
    tf.saved_model.save(module, str(path), signatures=signatures)


def as_jpeg(video: tf.Tensor) -> tf.Tensor:
    """string [B, T] of uint8 [B, T, H, W, C]."""
    shape = tf.shape(video)
    frames = tf.reshape(video, [-1, *video.shape[2:]])
    coded = tf.map_fn(
        lambda frame: tf.io.encode_jpeg(frame, quality=95, chroma_downsampling=False),
        frames,
        fn_output_signature=tf.string,
    )
    return tf.reshape(coded, [shape[0], video.shape[1]])


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory) -> pathlib.Path:
    """NAME/VERSION folders: rjvae 1 and 2, classes 1, and cvae 1, a linear interpolation."""
    root = tmp_path_factory.mktemp("models")
    kind = model_class("rjvae")
    model = kind(**{**kind.PRESETS["debug"], "image_shape": (16, 16, 3), "frames": 4})
    functions = seed_signatures(noise_signatures(model))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "seed")])
    def generate_jpeg(seed):
        return {"frames_bytes": as_jpeg(functions["generate"](seed=seed)["video"])}

    signatures = {
        name: functions[name].traced() for name in ("interpolate", "image", "encode", "swap")
    }
    signatures["serving_default"] = functions["generate"].traced()
    signatures["generate_jpeg"] = generate_jpeg
    save(model, root / "rjvae" / "1", signatures)
    shutil.copytree(root / "rjvae" / "1", root / "rjvae" / "2")

    kind = model_class("vgan")
    sizes = {"image_shape": (16, 16, 3), "frames": 4, "categories": 3}
    model = kind(**{**kind.PRESETS["debug"], **sizes})
    generate = seed_signatures(noise_signatures(model))["generate"]
    save(model, root / "classes" / "1", {"serving_default": generate.traced()})

    kind = model_class("linear_interpolation")
    model = kind(**{**kind.PRESETS["debug"], "image_shape": (16, 16, 3), "frames": 4})
    between = seed_signatures(noise_signatures(model))["between"]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "last_bytes"),
            tf.TensorSpec([None], tf.int64, "seed"),
            tf.TensorSpec([None], tf.float32, "temperature"),
        ]
    )
    def between_jpeg(first_bytes, last_bytes, seed, temperature):
        first, last = (
            tf.ensure_shape(
                tf.map_fn(
                    lambda coded: tf.io.decode_image(coded, 3, expand_animations=False),
                    each,
                    fn_output_signature=tf.uint8,
                ),
                [None, 16, 16, 3],
            )
            for each in (first_bytes, last_bytes)
        )
        video = between(first=first, last=last, seed=seed, temperature=temperature)["video"]
        return {"frames_bytes": as_jpeg(video)}

    signatures = {"serving_default": between.traced(), "between_jpeg": between_jpeg}
    save(model, root / "cvae" / "1", signatures)
    return root


class NotServed(Exception):
    """No such model or version."""


class Refused(Exception):
    """A request that is wrong."""


class ServedModels:
    """What a server holds: versions by model, and labels."""

    def __init__(self, root: pathlib.Path):
        self.labels = {"rjvae": {"stable": 1, "canary": 2}}
        self.versions, self.definitions, self._loaded = {}, {}, {}
        for path in sorted(root.glob("*/*/saved_model.pb")):
            name, version = path.parts[-3], int(path.parts[-2])
            self.versions.setdefault(name, {})[version] = path.parent
            pb = saved_model_pb2.SavedModel.FromString(path.read_bytes())
            self.definitions[name, version] = pb.meta_graphs[0].signature_def

    def resolve(self, name: str, version: int | None, label: str | None) -> tuple[str, int]:
        there = self.versions.get(name, {})
        if label:
            if label not in self.labels.get(name, {}):
                raise NotServed(f"Unrecognized servable version label: {label}")
            return name, self.labels[name][label]
        if not there or (version is not None and version not in there):
            what = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise NotServed(f"Servable not found for request: {what}")
        return name, max(there) if version is None else version

    def run(self, which: tuple[str, int], signature: str, tensors: dict) -> dict:
        if which not in self._loaded:
            self._loaded[which] = tf.saved_model.load(str(self.versions[which[0]][which[1]]))
        return dict(self._loaded[which].signatures[signature](**tensors).items())

    def definition(self, which: tuple[str, int], signature: str):
        if signature not in self.definitions[which]:
            raise Refused(f'Serving signature name: "{signature}" not found in signature def')
        return self.definitions[which][signature]


@pytest.fixture(scope="session")
def served_models(models_dir) -> ServedModels:
    return ServedModels(models_dir)


# === REST ===

PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(?:(/metadata)|(:predict))?"
)


class RestDouble(http.server.ThreadingHTTPServer):
    """TensorFlow Serving's REST port.

    `faults` are taken from its front, one a request: an HTTP status to answer with, or the name of
    a way to fail; `None` answers well. `seen` are the requests: (method, path, body).
    """

    daemon_threads = True

    def __init__(self, models: ServedModels):
        super().__init__(("127.0.0.1", 0), RestHandler)
        self.models, self.faults, self.seen = models, [], []
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.released = threading.Event()

    def handle_error(self, request, client_address):
        """A client that went away is no news."""


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._handle(b"")

    def do_POST(self):
        self._handle(self.rfile.read(int(self.headers["Content-Length"])))

    def _handle(self, body: bytes):
        server = self.server
        server.seen.append((self.command, self.path, body))
        fault = server.faults.pop(0) if server.faults else None
        if fault is None:
            return self._send(*self._answer(body))
        if isinstance(fault, int):
            return self._send(fault, {"error": f"asked to fail with {fault}"})
        getattr(self, f"_{fault}")(body)

    def _send(self, status: int, answer: dict, **headers):
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def _busy(self, _):
        self._send(503, {"error": "queue is full"}, Retry_After="7")

    def _hang(self, _):
        self.server.released.wait(20)
        self.close_connection = True

    def _drip(self, _):
        """A byte at a time: each wait is short, all together are not."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        while not self.server.released.wait(0.03):
            self.wfile.write(b" ")
        self.close_connection = True

    def _reset(self, _):
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _hang_up(self, _):
        self.close_connection = True

    def _truncate(self, body):
        text = json.dumps(self._answer(body)[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[: len(text) // 2])
        self.close_connection = True

    def _no_json(self, _):
        text = b"<html>Welcome</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _other_output(self, _):
        self._send(200, {"outputs": [[1, 2], [3, 4]]})

    def _answer(self, body: bytes) -> tuple[int, dict]:
        match = PATH.fullmatch(self.path)
        if not match:
            return 400, {"error": f"Malformed request: {self.command} {self.path}"}
        name, version, label, metadata, predict = match.groups()
        models = self.server.models
        try:
            if not metadata and not predict:
                return 200, status_json(models, name)
            which = models.resolve(name, version and int(version), label)
            if metadata:
                return 200, metadata_json(models, which)
            return 200, predict_json(models, which, json.loads(body))
        except NotServed as error:
            return 404, {"error": str(error)}
        except (Refused, tf.errors.InvalidArgumentError) as error:
            return 400, {"error": str(error)}


def status_json(models: ServedModels, name: str) -> dict:
    if name not in models.versions:
        raise NotServed(f"Could not find any versions of model {name}")
    good = {"error_code": "OK", "error_message": ""}
    versions = sorted(models.versions[name], reverse=True)
    return {
        "model_version_status": [
            {"version": str(version), "state": "AVAILABLE", "status": good} for version in versions
        ]
    }


def metadata_json(models: ServedModels, which: tuple[str, int]) -> dict:
    definitions = {
        name: json_format.MessageToDict(definition, preserving_proto_field_name=True)
        for name, definition in models.definitions[which].items()
    }
    return {
        "model_spec": {"name": which[0], "signature_name": "", "version": str(which[1])},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }


def predict_json(models: ServedModels, which: tuple[str, int], request: dict) -> dict:
    """The columnar form."""
    signature = request.get("signature_name", "serving_default")
    definition = models.definition(which, signature)
    if {*request["inputs"]} != {*definition.inputs}:
        raise Refused("input keys do not match")
    tensors = {}
    for name, value in request["inputs"].items():
        dtype = tf.dtypes.as_dtype(definition.inputs[name].dtype)
        tensors[name] = tf.constant(bytes_of(value) if dtype == tf.string else value, dtype)
    outputs = models.run(which, signature, tensors)
    columns = {
        name: json_of(value.numpy().tolist(), name.endswith("_bytes"))
        for name, value in outputs.items()
    }
    return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}


def bytes_of(value):
    if isinstance(value, list):
        return [bytes_of(each) for each in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def json_of(value, binary: bool):
    if isinstance(value, list):
        return [json_of(each, binary) for each in value]
    if not isinstance(value, bytes):
        return value
    return {"b64": base64.b64encode(value).decode()} if binary else value.decode()


@pytest.fixture
def rest(served_models):
    server = RestDouble(served_models)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


# === gRPC ===


@pytest.fixture
def grpc_double(served_models):
    """TensorFlow Serving's gRPC port, of the real service classes; `faults` as `RestDouble`'s.

    A fault is the name of a gRPC status, or a number of seconds to wait before the answer.
    """
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving", reason="pip install 'kerasvid[serving]'")
    from concurrent import futures

    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Service(
        prediction_service_pb2_grpc.PredictionServiceServicer,
        model_service_pb2_grpc.ModelServiceServicer,
    ):
        def __init__(self):
            self.faults, self.seen, self.times = [], [], []

        def _resolved(self, request, context):
            spec = request.model_spec
            self.seen.append(request)
            self.times.append(time.monotonic())
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, str):
                context.abort(grpc.StatusCode[fault], f"asked to fail with {fault}")
            if fault:
                time.sleep(fault)
            version = spec.version.value if spec.HasField("version") else None
            try:
                return served_models.resolve(spec.name, version, spec.version_label or None)
            except NotServed as error:
                context.abort(grpc.StatusCode.NOT_FOUND, str(error))

        def Predict(self, request, context):
            which = self._resolved(request, context)
            tensors = {n: tf.constant(tf.make_ndarray(t)) for n, t in request.inputs.items()}
            name = request.model_spec.signature_name or "serving_default"
            answer = predict_pb2.PredictResponse()
            for key, value in served_models.run(which, name, tensors).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return answer

        def GetModelMetadata(self, request, context):
            which = self._resolved(request, context)
            assert [*request.metadata_field] == ["signature_def"]
            found = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in served_models.definitions[which].items():
                found.signature_def[name].CopyFrom(definition)
            answer = get_model_metadata_pb2.GetModelMetadataResponse()
            answer.metadata["signature_def"].Pack(found)
            return answer

        def GetModelStatus(self, request, context):
            self._resolved(request, context)
            answer = get_model_status_pb2.GetModelStatusResponse()
            for version in served_models.versions[request.model_spec.name]:
                state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
                answer.model_version_status.add(version=version, state=state)
            return answer

    service = Service()
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None)


@pytest.fixture
def free_address() -> str:
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def expected_video(served_models):
    """A function from seeds to what rjvae's SavedModel makes of them, uint8 [B, T, H, W, C]."""

    def make(seeds, version=2) -> np.ndarray:
        tensors = {"seed": tf.constant(seeds, tf.int64)}
        return served_models.run(("rjvae", version), "serving_default", tensors)["video"].numpy()

    return make
