"""TensorFlow Serving's REST interface, through `requests` (the extra `serving`).

Requests are columnar: `{"inputs": {"seed": [1, 2]}}`, not a list of `instances`. Each input keeps
its name and type, and an input that has a key `b64` is not mistaken for bytes. Byte strings are
sent as `{"b64": "..."}` in both directions; the server writes outputs in this form whose names end
in `_bytes`.
"""

import base64
import http.client
import json
import random
import time
import urllib.parse
from collections.abc import Mapping
from time import sleep
from typing import Any

import numpy as np
import requests
import urllib3
from urllib3.util import Retry

from kerasvid.export.serving.served_signature import (
    NotFoundError,
    ServedSignature,
    ServedTensor,
    ServingError,
)

TRANSIENT_STATUSES = (429, 502, 503, 504)
CHUNK = 1 << 16
START_SERVER = (
    "Start the server (`kerasvid export serving-config` writes its files), or check host and port; "
    "REST is 8501 by default."
)
REST_PORT = "Is this TensorFlow Serving's REST port, 8501 by default?"


class TransientError(Exception):
    """A failure that may pass by itself: no server yet, a full queue, a lost connection.

    Args:
        what: is wrong.
        remedy: if it does not pass.
        after: seconds that the server asks to wait.
    """

    def __init__(self, what: str, remedy: str, after: float = 0.0):
        super().__init__(what)
        self.remedy, self.after = remedy, after


class GrowingPauses(Retry):
    """urllib3's retries with a pause before the first one, too, and a random half of each pause.

    The pause before attempt n + 1 is between half and all of `backoff_factor` * 2^(n - 1) seconds:
    clients that failed together do not come back together.
    """

    def get_backoff_time(self) -> float:
        whole = min(self.backoff_factor * 2 ** (len(self.history) - 1), self.backoff_max)
        return random.uniform(whole / 2, whole)


class RestService:
    """A model behind a server's REST port.

    Args:
        address: `host:port`, or with `http://` or `https://` before it and a path after it.
        model: its name on the server.
        version: a number, a label, or `None` for the server's default.
        timeout: seconds for a call with its retries and pauses.
        connect_timeout: seconds for one connection.
        retries: further attempts after errors that may pass.
        backoff: seconds before the second attempt; doubled before each further one, up to 10 s.

    Raises:
        ValueError: the address is malformed.
    """

    def __init__(
        self,
        address: str,
        model: str,
        version: int | str | None,
        *,
        timeout: float,
        connect_timeout: float,
        retries: int,
        backoff: float,
    ):
        url = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
        try:
            port = url.port
        except ValueError:
            port = 0
        if url.scheme not in ("http", "https") or not url.hostname or port == 0:
            raise ValueError(f"Address {address!r} is malformed. Write host:port, as in "
                             "localhost:8501.")  # fmt: skip
        if url.username is not None:
            raise ValueError(
                "The address holds a user name, but the client sends no passwords. Write "
                "host:port, and let a proxy identify the clients."
            )
        self.server, self._timeout, self._connect_timeout = url.netloc, timeout, connect_timeout
        self._retry = GrowingPauses(retries, backoff_factor=backoff, backoff_max=10)
        self._model = (
            f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}/v1/models/{_quoted(model)}"
        )
        kind = "versions" if isinstance(version, int) else "labels"
        self._version = self._model + ("" if version is None else f"/{kind}/{_quoted(version)}")
        self._session = requests.Session()
        self._session.auth = lambda request: request  # no password of a .netrc file

    def signatures(self) -> dict[str, ServedSignature]:
        """The signatures of the model by name.

        Raises:
            ServingError: as `predict`.
        """
        answer = self._call(f"{self._version}/metadata")
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return ServedSignature.all_from_json(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unexpected("metadata without signatures") from error

    def versions(self) -> dict[int, str]:
        """The state of each version of the model: `{1: "AVAILABLE"}`."""
        answer = self._call(self._model)
        try:
            states = answer["model_version_status"]
            return {int(each["version"]): str(each["state"]) for each in states}
        except (KeyError, TypeError, ValueError) as error:
            raise self._unexpected("a status without versions") from error

    def predict(
        self, signature: ServedSignature, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The outputs of one request, for inputs of `ServedSignature.checked`.

        Raises:
            NotFoundError: the server has no such model or version.
            ServingError: no server answers, it refuses the request, or its answer is malformed.
        """
        columns = {name: _to_json(array.tolist()) for name, array in inputs.items()}
        body = {"signature_name": signature.name, "inputs": columns}
        answer = self._call(f"{self._version}:predict", body)
        try:
            outputs = answer["outputs"]
            if len(signature.outputs) == 1:  # then the server leaves the name out
                outputs = {next(iter(signature.outputs)): outputs}
            return {n: _from_json(outputs[n], each) for n, each in signature.outputs.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise self._unexpected(f"outputs that {signature.name} does not have ({error})") from (
                error
            )

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    def _call(self, url: str, body: Any = None) -> Any:
        """The server's JSON answer; attempts are repeated as long as the time allows."""
        payload = None if body is None else json.dumps(body, allow_nan=False).encode()
        deadline, retry = time.monotonic() + self._timeout, self._retry
        while True:
            try:
                return self._attempt(url, payload, deadline)
            except TransientError as error:
                attempts = len(retry.history) + 1
                if retry.total > 0:
                    retry = retry.increment(error=error)
                    pause = max(retry.get_backoff_time(), error.after)
                if attempts > self._retry.total or pause >= deadline - time.monotonic():
                    raise ServingError.after_attempts(
                        f"{self.server}: {error}", attempts, error.remedy
                    ) from error
                sleep(pause)

    def _attempt(self, url: str, payload: bytes | None, deadline: float) -> Any:
        try:
            left = self._left(deadline)
            headers = {"Content-Type": "application/json"} if payload else {}
            with self._session.request(
                "POST" if payload else "GET", url, data=payload, headers=headers, stream=True,
                timeout=(min(self._connect_timeout, left), left), allow_redirects=False,
            ) as response:  # fmt: skip
                text = self._content(response.raw, deadline)
        except requests.exceptions.SSLError as error:
            raise ServingError(f"{self.server}: the TLS connection fails ({_cause(error)}). Check "
                               "the server's certificate and the address.") from error  # fmt: skip
        except requests.ConnectTimeout as error:
            raise TransientError("no connection in time", START_SERVER) from error
        except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise ServingError.timed_out(self.server, self._timeout) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._connection_error(_cause(error)) from error
        return self._answer(response, text)

    def _content(self, raw: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """The body, read as it comes: a server that sends single bytes does not stop the clock."""
        parts, wire = [], getattr(raw.connection, "sock", None)
        while not parts or parts[-1]:
            left = self._left(deadline)
            if wire is not None:
                wire.settimeout(left)
            parts.append(raw.read1(CHUNK, decode_content=True))
        return b"".join(parts)

    def _answer(self, response: requests.Response, text: bytes) -> Any:
        status = response.status_code
        try:
            answer = json.loads(text)
        except ValueError as error:
            if status == 200:
                raise self._unexpected("an answer that is not JSON") from error
            answer = None  # the page of a proxy or of a server that is overloaded
        if status == 200:
            return answer
        reason = answer.get("error") if isinstance(answer, dict) else None
        reason = " ".join(str(reason or response.reason).split()).rstrip(".")
        if status in TRANSIENT_STATUSES:
            after = response.headers.get("Retry-After")
            try:
                seconds = self._retry.parse_retry_after(after) if after else 0.0
            except urllib3.exceptions.InvalidHeader:
                seconds = 0.0
            remedy = "The server is overloaded or starting. Try again later."
            raise TransientError(f"status {status}: {reason}", remedy, seconds)
        if status == 404:
            raise NotFoundError(f"{self.server}: {reason}.")
        raise ServingError(f"{self.server}: status {status}: {reason}.")

    def _connection_error(self, cause: BaseException) -> Exception:
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return ServingError(f"{self.server}: the host is unknown. Check the address.")
        if isinstance(cause, urllib3.exceptions.NewConnectionError):
            reason = getattr(cause.__cause__, "strerror", None) or cause
            return TransientError(f"no server answers ({reason})", START_SERVER)
        if isinstance(cause, (OSError, http.client.IncompleteRead)):
            reason = getattr(cause, "strerror", None) or "the server ended it early"
            return TransientError(
                f"the connection is lost ({reason})", f"Read the server's log. {REST_PORT}"
            )
        return self._unexpected("an answer that is not HTTP")

    def _unexpected(self, what: str) -> ServingError:
        return ServingError(f"{self.server}: sends {what}. {REST_PORT}")

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ServingError.timed_out(self.server, self._timeout)
        return left


def _cause(error: BaseException) -> BaseException:
    """The innermost error that requests and urllib3 have wrapped."""
    inner = getattr(error, "reason", None) or next(
        (each for each in reversed(error.args) if isinstance(each, BaseException)), None
    )
    return _cause(inner) if isinstance(inner, BaseException) else error


def _quoted(name: int | str) -> str:
    return urllib.parse.quote(str(name), safe="")


def _to_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(value: Any, wanted: ServedTensor) -> np.ndarray:
    """The array of an output.

    Raises:
        KeyError, TypeError, ValueError: it has another type or shape than the output.
    """
    strings = wanted.dtype == object
    array = np.array(_bytes_of(value) if strings else value, dtype=wanted.dtype)
    if not wanted.admits(array.shape):
        raise ValueError(f"shape {[*array.shape]} in place of {wanted}")
    return array


def _bytes_of(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes_of(each) for each in value]
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["b64"], validate=True)
