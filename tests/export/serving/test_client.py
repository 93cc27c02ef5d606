"""The client against servers that keep TensorFlow Serving's contract, well and failing."""

import io
import json
import shutil
import ssl
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.export.serving import rest_service
from kerasvid.export.serving.client import Client
from kerasvid.export.serving.served_signature import ServingError


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts by REST, which are noted and not waited."""
    noted = []
    monkeypatch.setattr(rest_service, "sleep", noted.append)
    return noted


@pytest.fixture
def client_of(rest, pauses):
    """A function that makes a client of the REST server."""

    def make(model="rjvae", version=None, **options) -> Client:
        return Client(rest.address, model, version, **options)

    return make


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


# === What is asked and answered ===


def test_proxies_of_the_environment_are_not_used(client_of, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert client_of().generate([3]).shape == (1, 4, 16, 16, 3)


def test_videos_of_seeds_are_sent_as_jpeg_and_nearly_unchanged(client_of, rest, expected_video):
    client = client_of()
    videos = client.generate([3, 5])
    method, path, body = rest.seen[-1]
    expected = expected_video([3, 5])
    assert videos.shape == expected.shape == (2, 4, 16, 16, 3) and videos.dtype == np.uint8
    assert np.abs(videos.astype(int) - expected).mean() < 3  # JPEG
    frames = client.call("generate_jpeg", seed=[3, 5])["frames_bytes"]
    decoded = [[np.asarray(Image.open(io.BytesIO(f))) for f in row] for row in frames]
    np.testing.assert_array_equal(videos, decoded)  # red and blue have not changed places
    assert (method, path) == ("POST", "/v1/models/rjvae:predict")
    assert json.loads(body) == {"signature_name": "generate_jpeg", "inputs": {"seed": [3, 5]}}


def test_every_signature_can_be_called_with_named_arrays(client_of, served_models, expected_video):
    client = client_of()
    assert set(client.signatures()) == {
        "serving_default", "generate_jpeg", "interpolate", "image", "encode", "swap"
    }  # fmt: skip
    videos = expected_video([1, 2])
    np.testing.assert_array_equal(client.call("serving_default", seed=[1, 2])["video"], videos)
    codes = client.call("encode", video=videos)  # several outputs: the answer is an object
    expected = served_models.run(("rjvae", 2), "encode", {"video": videos})
    assert set(codes) == set(expected) and len(codes) > 1
    for name, code in codes.items():
        assert code.dtype == np.float32
        np.testing.assert_allclose(code, expected[name], rtol=1e-5, atol=1e-6)
    ends = client.call("interpolate", seed_from=[1, 1], seed_to=[2, 2], fraction=[0.0, 1.0])
    assert np.abs(ends["video"].astype(int) - videos).max() <= 1
    same = client.call("swap", content_of=videos, motion_of=videos)["video"]
    assert same.shape == videos.shape and same.dtype == np.uint8


def test_an_input_without_the_batch_axis_holds_for_all_rows(client_of, expected_video):
    client = client_of()
    half = client.call("interpolate", seed_from=[1, 2], seed_to=7, fraction=0.5)["video"]
    given = {"seed_from": [1, 2], "seed_to": [7, 7], "fraction": [0.5, 0.5]}
    np.testing.assert_array_equal(half, client.call("interpolate", **given)["video"])
    alone = client.call("serving_default", seed=4)["video"]
    np.testing.assert_array_equal(alone, expected_video([4]))


def test_many_rows_are_sent_in_parts(client_of, rest, expected_video):
    client = client_of(rows=2)
    videos = client.call("serving_default", seed=[0, 1, 2, 3, 4])["video"]
    np.testing.assert_array_equal(videos, expected_video([0, 1, 2, 3, 4]))
    sent = [json.loads(body)["inputs"]["seed"] for _, _, body in rest.seen if body]
    assert sent == [[0, 1], [2, 3], [4]]


def test_seeds_keep_all_their_62_bits(client_of, expected_video):
    largest = 2**62 - 1
    videos = client_of().call("serving_default", seed=[largest, largest - 1])["video"]
    np.testing.assert_array_equal(videos, expected_video([largest, largest - 1]))
    assert (videos[0] != videos[1]).any()


def test_a_class_is_asked_for_by_its_number_or_left_to_the_seed(client_of, rest, served_models):
    client = client_of("classes")

    def expected(label):
        tensors = {"seed": np.array([3, 4]), "label": np.array(label)}
        return served_models.run(("classes", 1), "serving_default", tensors)["video"]

    np.testing.assert_array_equal(client.generate([3, 4], label=2), expected([2, 2]))
    np.testing.assert_array_equal(client.generate([3, 4], label=[2, 0]), expected([2, 0]))
    np.testing.assert_array_equal(client.generate([3, 4]), expected([-1, -1]))
    assert json.loads(rest.seen[-1][2])["inputs"] == {"seed": [3, 4], "label": [-1, -1]}
    with pytest.raises(ValueError, match="has no input 'label'"):
        client_of().generate([3], label=1)


def test_videos_go_between_images_that_are_sent_as_png(client_of, rest):
    first, last = np.zeros([2, 16, 16, 3], np.uint8)
    first[..., 0], last[..., 2] = 200, 100
    videos = client_of("cvae").between(first, last, seeds=[0, 1], temperature=0.5)
    assert videos.shape == (2, 4, 16, 16, 3)
    way = np.linspace([200, 0, 0], [0, 0, 100], 4)  # [T, 3]
    assert np.abs(videos.mean((0, 2, 3)) - way).max() < 4  # JPEG
    sent = json.loads(rest.seen[-1][2])["inputs"]
    assert sent["temperature"] == [0.5, 0.5] and [*sent["first_bytes"][0]] == ["b64"]


def test_a_version_is_asked_for_by_number_or_label(client_of, rest):
    client_of(version=1).generate([1])
    client_of(version="canary").generate([1])
    assert [path for _, path, _ in rest.seen] == [
        "/v1/models/rjvae/versions/1/metadata",
        "/v1/models/rjvae/versions/1:predict",
        "/v1/models/rjvae/labels/canary/metadata",
        "/v1/models/rjvae/labels/canary:predict",
    ]
    assert client_of().versions() == {1: "AVAILABLE", 2: "AVAILABLE"}


# === What fails and passes by itself ===


@pytest.mark.parametrize(
    "fault", [429, 502, 503, 504, "reset", "hang_up", "truncate"], ids=lambda fault: str(fault)
)
def test_transient_errors_are_retried_after_growing_pauses(
    client_of, rest, pauses, fault, expected_video
):
    client = client_of(backoff=0.2)
    client.signatures()
    rest.faults = [fault, fault]
    videos = client.call("serving_default", seed=[1])["video"]
    np.testing.assert_array_equal(videos, expected_video([1]))
    assert len(rest.seen) == 4 and rest.faults == []
    first, second = pauses
    assert 0.1 <= first <= 0.2 <= second <= 0.4


def test_retry_after_of_the_server_is_respected(client_of, rest, pauses):
    client = client_of()
    rest.faults = ["busy"]
    client.signatures()
    assert pauses == [7.0]


def test_the_last_error_names_the_number_of_attempts(client_of, rest):
    client = client_of(retries=2)
    rest.faults = [503] * 9
    with pytest.raises(ServingError) as error:
        client.generate([1])
    assert one_line(error) == (
        f"{rest.address}: status 503: asked to fail with 503 (3 attempts). The server is "
        "overloaded or starting. Try again later."
    )
    assert len(rest.seen) == 3


@pytest.mark.parametrize("fault", [400, 403, 500, "no_json", "other_output"], ids=str)
def test_permanent_errors_are_not_retried(client_of, rest, pauses, fault):
    client = client_of()
    client.signatures()
    rest.faults = [fault]
    with pytest.raises(ServingError) as error:
        client.call("serving_default", seed=[1])
    assert len(rest.seen) == 2 and pauses == []
    messages = {
        "no_json": "sends an answer that is not JSON. Is this TensorFlow Serving's REST port",
        "other_output": "outputs that serving_default does not have (shape [2, 2] in place of",
    }
    assert messages.get(fault, f"status {fault}: asked to fail with {fault}") in one_line(error)


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_the_timeout_also_ends_a_slow_answer(client_of, rest, fault):
    client = client_of(timeout=0.4)
    client.signatures()
    rest.faults = [fault] * 5
    begin = time.monotonic()
    with pytest.raises(ServingError) as error:
        client.generate([1])
    assert 0.3 < time.monotonic() - begin < 5
    assert one_line(error).startswith(
        f"{rest.address}: no answer within 0.4 s. Read the server's log"
    )


def test_no_attempt_starts_after_the_deadline(client_of, rest, pauses):
    client = client_of(timeout=3)
    client.signatures()
    rest.faults = ["busy"] * 5  # asks for 7 seconds
    with pytest.raises(ServingError, match=r"queue is full \(1 attempt\)"):
        client.generate([1])
    assert pauses == []


def test_a_server_that_is_down_is_retried(free_address, pauses):
    with pytest.raises(ServingError) as error:
        Client(free_address, "rjvae", retries=2).generate([1])
    assert one_line(error) == (
        f"{free_address}: no server answers (Connection refused) (3 attempts). Start the server "
        "(`kerasvid export serving-config` writes its files), or check host and port; REST is 8501 "
        "and gRPC 8500 by default."
    )
    assert len(pauses) == 2
    with pytest.raises(ServingError, match=r"the host is unknown\. Check the address"):
        Client("no-such-host.invalid:8501", "rjvae").generate([1])


# === What is wrong with what is asked ===


def test_errors_about_unknown_models_and_versions_list_the_known_ones(client_of, rest):
    with pytest.raises(ServingError) as error:
        client_of("rjvea").generate([1])
    assert one_line(error) == (
        f"{rest.address}: Servable not found for request: Latest(rjvea). Give a model of its "
        "models.config instead of 'rjvea'."
    )
    for version, said in ((7, "Specific(rjvae, 7)"), ("gold", "version label: gold")):
        with pytest.raises(ServingError) as error:
            client_of(version=version).generate([1])
        assert said in one_line(error)
        assert "Give a version of rjvae: 1 (AVAILABLE), 2 (AVAILABLE), or a label" in one_line(
            error
        )


def test_wrong_inputs_are_refused_before_anything_is_sent(client_of, rest):
    client = client_of()
    client.signatures()
    asked = len(rest.seen)
    video = np.zeros([2, 4, 16, 16, 3], np.uint8)
    for signature, inputs, message in (
        ("generate_jpg", {"seed": [1]}, "rjvae has no signature 'generate_jpg': did you mean "
         "'generate_jpeg'? Known: encode, generate_jpeg"),
        ("serving_default", {}, "serving_default: give the missing input seed (int64 [any])."),
        ("serving_default", {"sed": [1]}, "has no input 'sed': did you mean 'seed'?"),
        ("serving_default", {"seed": [0.5]}, "seed: the type is float64. Give int64 [any]."),
        ("serving_default", {"seed": ["1"]}, "seed: the type is <U1. Give int64 [any]."),
        ("serving_default", {"seed": [True]}, "seed: the type is bool."),
        ("serving_default", {"seed": [3, -1]}, "seed: -1 is out of range. Give 0 to 2^62 - 1"),
        ("serving_default", {"seed": [2**62]}, f"seed: {2**62} is out of range. Give 0 to 2^62"),
        ("serving_default", {"seed": [2**99]}, f"seed: {2**99} is out of range. Give 0 to 2^62"),
        ("serving_default", {"seed": []}, "the inputs have no rows"),
        ("serving_default", {"seed": [[1]]}, "seed: the shape is [1, 1]. Give int64 [any]."),
        ("encode", {"video": video[:, :3]}, "video: the shape is [2, 3, 16, 16, 3]. Give uint8 "
         "[any, 4, 16, 16, 3]."),
        ("encode", {"video": video / 255}, "video: the type is float64. Give uint8 [any, 4, 16,"),
        ("encode", {"video": video + np.int64(300)}, "video: 300 is out of range. Give 0 to 255"),
        ("encode", {"video": [[1], [1, 2]]}, "video: the rows differ in length. Give an array."),
        ("swap", {"content_of": video, "motion_of": video[:1]}, "the numbers of rows differ: "
         "content_of has 2, motion_of has 1"),
        ("interpolate", {"seed_from": [1], "seed_to": [2], "fraction": [np.nan]},
         "fraction: holds a number that is not finite"),
        ("interpolate", {"seed_from": [-4], "seed_to": [2], "fraction": [0]}, "seed_from: -4 is"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as error:
            client.call(signature, **inputs)
        assert message in one_line(error)
    with pytest.raises(ValueError, match=r"first_bytes: holds str\. Give bytes"):
        given = {"last_bytes": [b"x"], "seed": [1], "temperature": 1}
        client_of("cvae").call("between_jpeg", first_bytes=["a.png"], **given)
    assert len(rest.seen) == asked + 1  # the metadata of cvae


def test_an_error_of_the_model_itself_is_passed_on_in_one_line(client_of, rest):
    given = {"last_bytes": [b"x"], "seed": [1], "temperature": 1}
    with pytest.raises(ServingError) as error:
        client_of("cvae").call("between_jpeg", first_bytes=[b"no picture"], **given)
    assert one_line(error).startswith(f"{rest.address}: status 400: ")
    assert len(rest.seen) == 2


def test_malformed_arguments_are_refused():
    for arguments, message in (
        (("localhost", "a b", None, "rset"), r"Unknown protocol 'rset': did you mean 'rest'\?"),
        (("localhost:x", "rjvae"), "Address 'localhost:x' is malformed. Write host:port"),
        (("ftp://a:1", "rjvae"), "Address 'ftp://a:1' is malformed"),
        (("http://me:secret@a:1", "rjvae"), "holds a user name, but the client sends no passwords"),
        (("localhost:1", "models/rjvae"), "Model 'models/rjvae' is malformed"),
    ):
        with pytest.raises(ValueError, match=message):
            Client(*arguments)
    for options in ({"timeout": 0}, {"retries": -1}, {"rows": 0}):
        with pytest.raises(ValueError):
            Client("localhost:1", "rjvae", **options)


# === gRPC ===


@pytest.fixture
def grpc_client_of(grpc_double):
    def make(model="rjvae", version=None, **options) -> Client:
        return Client(grpc_double.address, model, version, protocol="grpc", **options)

    return make


def test_grpc_reports_the_same_signatures_and_gives_the_exact_pixels(
    grpc_client_of, client_of, expected_video
):
    with grpc_client_of(rows=2) as client:
        assert client.signatures() == client_of().signatures()
        np.testing.assert_array_equal(client.generate([3, 5, 6]), expected_video([3, 5, 6]))
        videos = expected_video([1, 2])
        codes, same = client.call("encode", video=videos), client_of().call("encode", video=videos)
        for name, code in codes.items():
            np.testing.assert_allclose(code, same[name], rtol=1e-5, atol=1e-6)
        assert client.versions() == {1: "AVAILABLE", 2: "AVAILABLE"}
        frames = client.call("generate_jpeg", seed=[3])["frames_bytes"]
    assert frames.shape == (1, 4) and frames[0, 0].startswith(b"\xff\xd8")


def test_grpc_goes_between_images_and_takes_bytes(grpc_client_of):
    first, last = np.zeros([16, 16, 3], np.uint8), np.full([16, 16, 3], 90, np.uint8)
    client = grpc_client_of("cvae")
    videos = client.between(first, last, seeds=[0])
    np.testing.assert_array_equal(videos[0, :, 0, 0, 0], [0, 30, 60, 90])
    coded = [cv2.imencode(".png", picture)[1].tobytes() for picture in (first, last)]
    ends = dict(zip(("first_bytes", "last_bytes"), ([c] for c in coded), strict=True))
    frames = client.call("between_jpeg", **ends, seed=[0], temperature=1.0)["frames_bytes"]
    assert cv2.imdecode(np.frombuffer(frames[0, 3], np.uint8), 0).mean() == pytest.approx(90, abs=1)


@pytest.mark.parametrize("fault", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
def test_transient_grpc_errors_are_retried_after_growing_pauses(grpc_client_of, grpc_double, fault):
    client = grpc_client_of(backoff=0.2)
    grpc_double.faults = [fault, fault]
    assert "serving_default" in client.signatures()
    assert len(grpc_double.seen) == 3
    first, second = np.diff(grpc_double.times)
    assert first >= 0.15 and second >= 0.3  # gRPC varies 0.2 and 0.4 by a fifth


def test_large_grpc_requests_are_retried_too(grpc_client_of, grpc_double):
    video = np.zeros([400, 4, 16, 16, 3], np.uint8)  # 1.2 MB
    client = grpc_client_of(backoff=0.01, rows=400)
    client.signatures()
    grpc_double.faults = ["UNAVAILABLE"]
    client.call("encode", video=video)
    assert len(grpc_double.seen) == 3


def test_the_last_grpc_error_names_the_number_of_attempts(grpc_client_of, grpc_double):
    grpc_double.faults = ["UNAVAILABLE"] * 9
    with pytest.raises(ServingError, match=r"asked to fail with UNAVAILABLE \(3 attempts\)\. The"):
        grpc_client_of(backoff=0.01, retries=2).signatures()
    assert len(grpc_double.seen) == 3
    with pytest.raises(ServingError, match=r"\(1 attempt\)"):
        grpc_client_of(retries=0).signatures()
    assert len(grpc_double.seen) == 4


def test_more_retries_than_grpc_makes_are_refused(free_address):
    with pytest.raises(ValueError, match=r"retries=5: gRPC makes at most 4\. Give 0 to 4, or use"):
        Client(free_address, "rjvae", protocol="grpc", retries=5)
    Client(free_address, "rjvae", protocol="rest", retries=5)


def test_permanent_grpc_errors_are_one_line_and_not_retried(
    grpc_client_of, grpc_double, free_address
):
    grpc_double.faults = ["INVALID_ARGUMENT"]
    with pytest.raises(ServingError) as error:
        grpc_client_of().signatures()
    address = grpc_double.address
    assert one_line(error) == f"{address}: INVALID_ARGUMENT: asked to fail with INVALID_ARGUMENT"
    assert len(grpc_double.seen) == 1
    with pytest.raises(ServingError) as error:
        grpc_client_of(version=7).generate([1])
    assert "Give a version of rjvae: 1 (AVAILABLE), 2 (AVAILABLE), or a label" in one_line(error)
    with pytest.raises(ServingError) as error:
        grpc_client_of("rjvea").generate([1])
    assert "Give a model of its models.config" in one_line(error)
    client = grpc_client_of(timeout=0.4)
    client.signatures()
    grpc_double.faults = [2.0]
    with pytest.raises(ServingError, match=r"no answer within 0.4 s"):
        client.generate([1])
    client, begin = Client(free_address, "rjvae", protocol="grpc", retries=1), time.monotonic()
    with pytest.raises(ServingError) as error:
        client.generate([1])
    assert f"{free_address}: no server answers by gRPC (2 attempts). Start the" in one_line(error)
    assert time.monotonic() - begin > 0.2


def test_the_wrong_port_is_suspected(rest, grpc_double):
    options = {"retries": 0, "timeout": 3, "connect_timeout": 1}
    with pytest.raises(ServingError, match=r"Is this .*REST port, 8501 by default\?"):
        Client(grpc_double.address, "rjvae", **options).generate([1])
    with pytest.raises(ServingError, match="gRPC"):
        Client(rest.address, "rjvae", protocol="grpc", **options).generate([1])


@pytest.mark.parametrize(
    ("protocol", "package"), [("rest", "requests"), ("grpc", "tensorflow_serving")]
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch, protocol, package
):
    for name in [*sys.modules]:
        if name.startswith((package, "kerasvid.export.serving.rest", "kerasvid.export.serving.gr")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ServingError, match=rf"{package} is .* pip install 'kerasvid\[serving\]'"):
        Client("localhost:8500", "rjvae", protocol=protocol)


# === TLS ===


def test_certificates_are_checked(rest, pauses, tmp_path, monkeypatch):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed, which makes a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    rest.socket = context.wrap_socket(rest.socket, server_side=True)
    with pytest.raises(ServingError) as error:
        Client(f"https://{rest.address}", "rjvae").versions()
    assert "the TLS connection fails" in one_line(error) and "certificate" in one_line(error)
    assert pauses == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert Client(f"https://{rest.address}", "rjvae").versions() == {1: "AVAILABLE", 2: "AVAILABLE"}
