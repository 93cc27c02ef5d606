"""TensorFlow Serving's REST interface, by the standard library alone.

Requests are columnar (`{"inputs": {"seed": [1, 2]}}`, not a list of `instances`): each input keeps
its name and its type, a signature of one input looks like any other, and an input that happens to
be an object with the key `b64` cannot be taken for bytes. Byte strings travel as
`{"b64": "..."}` both ways; the server writes outputs so whose names end in `_bytes`.
"""

import base64
import http.client
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvid.export.serving.attempts import Deadline, NotFoundError, ServingError, TransientError
from kerasvid.export.serving.signatures import ServedTensor, Signature

TRANSIENT_STATUSES = (429, 502, 503, 504)
CHUNK = 1 << 16
SERVER_DOWN = (
    "start it (export/serving/README.md), or check host and port; REST is 8501 by default."
)


class RestService:
    """A server's REST port.

    Args:
        address: `host:port`, or with `http://` or `https://` before it and a path behind.
        connect_timeout: seconds for one connection to stand.

    Raises:
        ValueError: the address is none.
    """

    def __init__(self, address: str, connect_timeout: float = 5.0):
        url = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
        try:
            port = url.port
        except ValueError:
            port = 0
        if url.scheme not in ("http", "https") or not url.hostname or port == 0:
            raise ValueError(f"address {address!r} is none: write host:port, as localhost:8501.")
        if url.username is not None:
            raise ValueError(
                "the address holds a user, but the client sends no passwords: write host:port, and "
                "let the proxy before the server know its clients by other means."
            )
        self.server = url.netloc
        self._host, self._port, self._prefix = url.hostname, port, url.path.rstrip("/")
        self._secure, self._connect_timeout = url.scheme == "https", connect_timeout

    def signatures(self, model: str, version: int | str | None, deadline: Deadline):
        """The signatures of a model by name; no plumbing of TensorFlow's own (`__saved_model...`).

        Raises:
            NotFoundError: there is no such model or version.
            TransientError, ServingError: as `predict`.
        """
        answer = self._exchange("GET", f"{_path(model, version)}/metadata", None, deadline)
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return {
                name: Signature.from_json(name, definition)
                for name, definition in found.items()
                if not name.startswith("__")
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._strange("metadata without signatures") from error

    def versions(self, model: str, deadline: Deadline) -> dict[int, str]:
        """The state of each version of a model: `{1: "AVAILABLE"}`."""
        answer = self._exchange("GET", _path(model, None), None, deadline)
        try:
            states = answer["model_version_status"]
            return {int(each["version"]): str(each["state"]) for each in states}
        except (KeyError, TypeError, ValueError) as error:
            raise self._strange("a status without versions") from error

    def predict(
        self,
        model: str,
        version: int | str | None,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        deadline: Deadline,
    ) -> dict[str, np.ndarray]:
        """One request. The inputs are as `Signature.checked` gives them.

        Raises:
            NotFoundError: there is no such model or version.
            TransientError: nobody listens, the connection breaks, or the server is overloaded.
            ServingError: the server refuses the request, or its answer cannot be read.
        """
        body = {
            "signature_name": signature.name,
            "inputs": {name: _to_json(array.tolist()) for name, array in inputs.items()},
        }
        answer = self._exchange("POST", f"{_path(model, version)}:predict", body, deadline)
        try:
            outputs = answer["outputs"]
            if len(signature.outputs) == 1:  # then the server leaves the name out
                outputs = {next(iter(signature.outputs)): outputs}
            return {n: _from_json(outputs[n], each) for n, each in signature.outputs.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise self._strange(f"outputs that {signature.name} does not have ({error})") from error

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def _exchange(self, method: str, path: str, body: Any, deadline: Deadline) -> Any:
        """What the server answers, from JSON."""
        payload = None if body is None else json.dumps(body, allow_nan=False).encode()
        status, headers, text = self._transfer(method, path, payload, deadline)
        try:
            answer = json.loads(text)
        except ValueError as error:
            if status != 200:
                answer = {}  # a proxy's page, or the refusal of a server that overflows
            else:
                raise self._strange("an answer that is no JSON") from error
        if status == 200:
            return answer
        said = answer.get("error") if isinstance(answer, dict) else None
        said = " ".join(str(said or http.client.responses.get(status, "no reason")).split())
        if status in TRANSIENT_STATUSES:
            raise TransientError(f"{self.server}: status {status}: {said.rstrip('.')}",
                                 "the server is overloaded or starting: try later.",
                                 _seconds(headers.get("Retry-After")))  # fmt: skip
        if status == 404:
            raise NotFoundError(f"{self.server}: {said}")
        raise ServingError(f"{self.server}: status {status}: {said}")

    def _transfer(self, method: str, path: str, payload: bytes | None, deadline: Deadline):
        """Status, headers and body; every wait ends with the deadline."""
        connection = self._connect(deadline)
        try:
            connection.sock.settimeout(self._left(deadline))
            headers = {"Content-Type": "application/json"} if payload else {}
            connection.request(method, self._prefix + path, payload, headers)
            connection.sock.settimeout(self._left(deadline))
            wire = connection.sock  # the connection lets go of it where the server closes
            answer, parts = connection.getresponse(), []
            while not answer.isclosed():
                wire.settimeout(self._left(deadline))
                part = answer.read1(CHUNK)
                parts.append(part)
                if not part:
                    break
            if answer.length:  # the connection ended early, which `read1` does not tell
                raise http.client.IncompleteRead(b"", answer.length)
            return answer.status, answer.headers, b"".join(parts)
        except TimeoutError as error:
            raise deadline.passed(self.server) from error
        except http.client.IncompleteRead as error:
            raise self._lost("the answer is cut off") from error
        except http.client.RemoteDisconnected as error:
            raise self._lost("it hangs up without an answer") from error
        except http.client.HTTPException as error:
            raise self._strange("something else than HTTP") from error
        except OSError as error:
            raise self._lost(f"the connection is lost ({error.strerror or error})") from error
        finally:
            connection.close()

    def _connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        seconds = min(self._connect_timeout, self._left(deadline))
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=seconds)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise ServingError(f"{self.server}: its certificate is not trusted "
                               f"({error.verify_message}).") from error  # fmt: skip
        except socket.gaierror as error:
            raise ServingError(
                f"{self.server}: there is no such host; check the address."
            ) from error
        except TimeoutError as error:
            raise TransientError(f"{self.server}: no connection within {seconds:g} s",
                                 SERVER_DOWN) from error  # fmt: skip
        except OSError as error:
            what = f"no server answers ({error.strerror or error})"
            raise TransientError(f"{self.server}: {what}", SERVER_DOWN) from error
        return connection

    def _left(self, deadline: Deadline) -> float:
        left = deadline.left()
        if left <= 0:
            raise deadline.passed(self.server)
        return left

    def _lost(self, what: str) -> TransientError:
        return TransientError(f"{self.server}: {what}", "look at the server's log; if it is well, "
                              "is this its REST port, 8501 by default?")  # fmt: skip

    def _strange(self, what: str) -> ServingError:
        return ServingError(f"{self.server}: sends {what}; is this TensorFlow Serving's REST port, "
                            "8501 by default?")  # fmt: skip


def _path(model: str, version: int | str | None) -> str:
    path = f"/v1/models/{urllib.parse.quote(model, safe='')}"
    if version is None:
        return path
    kind = "versions" if isinstance(version, int) else "labels"
    return f"{path}/{kind}/{urllib.parse.quote(str(version), safe='')}"


def _to_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(value: Any, wanted: ServedTensor) -> np.ndarray:
    """The array of an output.

    Raises:
        KeyError, TypeError, ValueError: it is not of the output's type and shape.
    """
    if wanted.dtype == object:
        array = np.array(_decoded(value), dtype=object)
    else:
        array = np.array(value, dtype=wanted.dtype)
    if not wanted.admits(array.shape):
        raise ValueError(f"shape {[*array.shape]} where {wanted} is told")
    return array


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["b64"], validate=True)


def _seconds(retry_after: str | None) -> float:
    """Of a Retry-After header; a date instead of seconds counts as none."""
    return float(retry_after) if retry_after and retry_after.strip().isdigit() else 0.0
