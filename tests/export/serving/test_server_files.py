"""The files that a server is started with, by protobuf's own parser and by a shell."""

import pathlib
import re
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from kerasvid.export.serving import configuration
from kerasvid.export.serving.client import Client

FOLDER = pathlib.Path(configuration.__file__).parent

# tensorflow-serving-api has no messages for these two files. Their fields, after
# session_bundle_config.proto and monitoring_config.proto of TensorFlow Serving.
INT, TEXT = ".google.protobuf.Int64Value", ".google.protobuf.StringValue"
MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": INT, "batch_timeout_micros": INT, "max_enqueued_batches": INT,
        "num_batch_threads": INT, "thread_pool_name": TEXT, "allowed_batch_sizes": "repeated int64",
        "pad_variable_length_inputs": "bool",
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": ".tensorflow.serving.PrometheusConfig"},
}  # fmt: skip


@pytest.fixture(scope="module")
def message_of():
    """A function from a name and a text form to the message."""
    field = descriptor_pb2.FieldDescriptorProto
    scalars = {"bool": field.TYPE_BOOL, "string": field.TYPE_STRING, "int64": field.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(
        name="configuration.proto", package="tensorflow.serving", syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )  # fmt: skip
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), 1):
            repeated, _, scalar = kind.rpartition(" ")
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            entry = message.field.add(name=key, number=number, label=label)
            if scalar in scalars:
                entry.type = scalars[scalar]
            else:
                entry.type, entry.type_name = field.TYPE_MESSAGE, kind
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pool.Default().FindFileByName("google/protobuf/wrappers.proto")
    pool.AddSerializedFile(wrappers.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())

    def parse(name: str, text: str):
        kind = message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"tensorflow.serving.{name}")
        )
        return text_format.Parse(text, kind())

    return parse


@pytest.fixture(scope="module")
def service() -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["serving"]


def test_batching_parameters_keep_the_rules_of_the_server(message_of):
    given = message_of("BatchingParameters", (FOLDER / "batching.config").read_text())
    sizes = [*given.allowed_batch_sizes]
    assert sizes == sorted({*sizes}) and sizes[-1] == given.max_batch_size.value
    assert given.num_batch_threads.value >= 1 and given.max_enqueued_batches.value >= 1
    assert 0 < given.batch_timeout_micros.value < 1_000_000
    # What the client sends in one request is not refused as too large.
    assert Client("localhost:8501", "rjvae").rows <= given.max_batch_size.value
    with pytest.raises(text_format.ParseError):
        message_of("BatchingParameters", "max_batch_size: 32")  # a wrapped number needs { value }


def test_metrics_are_where_the_health_check_looks(message_of, service):
    given = message_of("MonitoringConfig", (FOLDER / "monitoring.config").read_text())
    assert given.prometheus_config.enable
    assert f"GET {given.prometheus_config.path} HTTP/1.0" in service["healthcheck"]["test"][-1]


def test_the_container_has_the_files_and_ports_that_its_flags_name(service):
    assert re.fullmatch(r"tensorflow/serving:\$\{SERVING_TAG:-\d+\.\d+\.\d+\}", service["image"])
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in service["command"])
    mounted = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume) for volume in service["volumes"]]
    sources = {inside: outside for outside, inside, _ in (each.split(":") for each in mounted)}
    assert sources == {"/models": ".", "/config": "."}
    assert all(volume.endswith(":ro") for volume in mounted)
    for flag in ("batching_parameters_file", "monitoring_config_file"):
        inside = pathlib.PurePosixPath(flags[flag])
        assert (FOLDER / sources[str(inside.parent)] / inside.name).is_file()
    # A folder is mounted, and not the file: what is renamed into place must be seen inside.
    assert flags["model_config_file"] == "/config/models.config"
    assert int(flags["model_config_file_poll_wait_seconds"]) > 0
    for flag in ("enable_batching", "enable_model_warmup"):
        assert flags[flag] == "true"
    assert flags["allow_version_labels_for_unavailable_models"] == "true"
    assert [port.rpartition(":")[2] for port in service["ports"]] == ["8500", "8501"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("fault, healthy", [("metrics", True), (503, False), (None, False)])
def test_the_health_check_passes_for_a_healthy_server(service, rest, fault, healthy):
    """The very line of the compose file, with the port of a server here; `None`: none is there."""
    rest.faults = [fault]
    if fault == "metrics":
        rest.RequestHandlerClass = type(
            "WithMetrics",
            (rest.RequestHandlerClass,),
            {"_metrics": lambda self, body: self._send(200, {})},
        )
    command = service["healthcheck"]["test"]
    assert command[:3] == ["CMD", "bash", "-c"]
    host, _, port = rest.address.partition(":")
    line = command[3].replace("localhost/8501", f"{host}/{1 if fault is None else port}")
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=10)
    assert (done.returncode == 0) == healthy, done.stderr
    assert ("GET", "/monitoring/prometheus/metrics", b"") in rest.seen or fault is None
