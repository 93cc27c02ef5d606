"""TensorFlow Serving's REST interface, through `requests` (the extra `serving`).

Requests are columnar, `{"inputs": {"seed": [1, 2]}}`. Byte strings are sent as `{"b64": "..."}` in
both directions; the server writes outputs in this form if their names end in `_bytes`.
"""

import base64
import contextlib
import http.client
import json
import math
import os
import random
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from time import sleep
from typing import Any

import numpy as np
import requests
import urllib3
from urllib3.util import Retry

from kerasvid.export.serving.served_signature import (
    START_SERVER,
    Limits,
    NotFoundError,
    ServedSignature,
    ServedTensor,
    ServingError,
)

TRANSIENT_STATUSES = (429, 502, 503, 504)
CHUNK = 1 << 16
REST_PORT = "Is this TensorFlow Serving's REST port, 8501 by default?"


class TransientError(Exception):
    """A failure that may pass by itself: no server yet, a full queue, a lost connection."""

    def __init__(self, what: str, remedy: str, after: float = 0.0):
        super().__init__(what)
        self.remedy, self.after = remedy, after  # seconds that the server asks to wait


class GrowingPauses(Retry):
    """urllib3's retries with a random half of each pause, so that clients do not come together."""

    def get_backoff_time(self) -> float:
        whole = min(self.backoff_factor * 2 ** (len(self.history) - 1), self.backoff_max)
        return random.uniform(whole / 2, whole)


class RestService:
    """A model behind a server's REST port.

    Args:
        address: `host:port`, or with `http://` or `https://` before it and a path after it.
        model: its name on the server.
        version: a number, a label, or `None` for the server's default.
        limits: of time and attempts.

    Raises:
        ValueError: the address is malformed.
    """

    def __init__(self, address: str, model: str, version: int | str | None, limits: Limits):
        url = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
        try:
            port = url.port
        except ValueError:
            port = 0
        if url.scheme not in ("http", "https") or not url.hostname or port == 0:
            raise ValueError(f"Address {address!r} is malformed. Write host:port, as in "
                             "localhost:8501.")  # fmt: skip
        if url.username is not None:
            raise ValueError("The address holds a user name, but the client sends no passwords. "
                             "Write host:port.")  # fmt: skip
        self.server, self._limits = url.netloc, limits
        self._retry = GrowingPauses(limits.retries, backoff_factor=limits.backoff, backoff_max=10)
        base = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
        model, label = (urllib.parse.quote(str(name), safe="") for name in (model, version))
        self._model = self._version = f"{base}/v1/models/{model}"
        if version is not None:
            self._version += f"/{'versions' if isinstance(version, int) else 'labels'}/{label}"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies of the environment, no password of a .netrc
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True

    def signatures(self) -> dict[str, ServedSignature]:
        """The signatures of the model by name."""
        answer = self._call(f"{self._version}/metadata")
        with self._reading("metadata without signatures"):
            found = answer["metadata"]["signature_def"]["signature_def"]
            return ServedSignature.all_from_json(found)

    def versions(self) -> dict[int, str]:
        """The state of each version of the model: `{1: "AVAILABLE"}`."""
        answer = self._call(self._model)
        with self._reading("a status without versions"):
            states = answer["model_version_status"]
            return {int(each["version"]): str(each["state"]) for each in states}

    def predict(
        self, signature: ServedSignature, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The outputs of one request, for inputs of `ServedSignature.checked`.

        Raises:
            NotFoundError: the server has no such model or version.
            ServingError: no server answers, it refuses the request, or its answer is malformed.
        """
        columns = {name: array.tolist() for name, array in inputs.items()}
        body = {"signature_name": signature.name, "inputs": columns}
        answer = self._call(f"{self._version}:predict", body)
        with self._reading(f"outputs that {signature.name} does not have"):
            outputs = answer["outputs"]
            if len(signature.outputs) == 1:  # then the server leaves the name out
                outputs = {next(iter(signature.outputs)): outputs}
            return {n: _as_array(outputs[n], each) for n, each in signature.outputs.items()}

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    def _call(self, url: str, body: Any = None) -> Any:
        """The server's JSON answer; attempts are repeated as long as the time allows."""
        payload = None
        if body is not None:
            payload = json.dumps(body, allow_nan=False, default=_object_of_bytes).encode()
        deadline, retry = time.monotonic() + self._limits.timeout, self._retry
        while True:
            try:
                return self._answer(*self._attempt(url, payload, deadline))
            except TransientError as error:
                attempts, pause = len(retry.history) + 1, math.inf
                if attempts <= self._limits.retries:
                    retry = retry.increment(error=error)
                    pause = max(retry.get_backoff_time(), error.after)
                if pause >= deadline - time.monotonic():
                    what = f"{self.server}: {error}"
                    raise ServingError.after_attempts(what, attempts, error.remedy) from error
                sleep(pause)

    def _attempt(self, url: str, payload: bytes | None, deadline: float):
        """The response and its body, read in chunks that are each timed."""
        headers = {"Content-Type": "application/json"} if payload else {}
        timeout, left = self._limits.connect_timeout, self._left(deadline)
        try:
            with self._session.request(
                "POST" if payload else "GET", url, data=payload, headers=headers, stream=True,
                timeout=(min(timeout, left), left), allow_redirects=False,
            ) as response:  # fmt: skip
                parts: list[bytes] = []
                wire = getattr(response.raw.connection, "sock", None)
                while not parts or parts[-1]:
                    left = self._left(deadline)
                    if wire is not None:
                        wire.settimeout(left)
                    parts.append(response.raw.read1(CHUNK, decode_content=True))
                return response, b"".join(parts)
        except requests.exceptions.SSLError as error:
            raise ServingError(f"{self.server}: the TLS connection fails ({_cause(error)}). Check "
                               "the server's certificate and the address.") from error  # fmt: skip
        except requests.ConnectTimeout as error:
            raise TransientError("no connection in time", START_SERVER) from error
        except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise ServingError.timed_out(self.server, self._limits.timeout) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._connection_error(_cause(error)) from error

    def _answer(self, response: requests.Response, text: bytes) -> Any:
        """The JSON of a response, or the error of its status."""
        status, answer = response.status_code, None
        try:
            answer = json.loads(text, object_hook=_bytes_of_object)
        except (TypeError, ValueError) as error:  # TypeError: bytes that are not a text
            if status == 200:  # others may be pages of a proxy
                raise self._unexpected("an answer that is not JSON") from error
        if status == 200:
            return answer
        reason = answer.get("error") if isinstance(answer, dict) else None
        reason = " ".join(str(reason or response.reason).split()).rstrip(".")
        if status == 404:
            raise NotFoundError(f"{self.server}: {reason}.")
        if status not in TRANSIENT_STATUSES:
            raise ServingError(f"{self.server}: status {status}: {reason}.")
        seconds = None
        with contextlib.suppress(urllib3.exceptions.InvalidHeader):
            seconds = self._retry.get_retry_after(response.raw)
        remedy = "The server is overloaded or starting. Try again later."
        raise TransientError(f"status {status}: {reason}", remedy, seconds or 0.0)

    def _connection_error(self, cause: BaseException) -> Exception:
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return ServingError(f"{self.server}: the host is unknown. Check the address.")
        if isinstance(cause, urllib3.exceptions.NewConnectionError):
            reason = getattr(cause.__cause__, "strerror", None) or cause
            return TransientError(f"no server answers ({reason})", START_SERVER)
        if isinstance(cause, (OSError, http.client.IncompleteRead)):
            reason = getattr(cause, "strerror", None) or "the server ended it early"
            remedy = f"Read the server's log. {REST_PORT}"
            return TransientError(f"the connection is lost ({reason})", remedy)
        return self._unexpected("an answer that is not HTTP")

    @contextlib.contextmanager
    def _reading(self, otherwise: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unexpected(f"{otherwise} ({error})") from error

    def _unexpected(self, what: str) -> ServingError:
        return ServingError(f"{self.server}: sends {what}. {REST_PORT}")

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ServingError.timed_out(self.server, self._limits.timeout)
        return left


def _cause(error: BaseException) -> BaseException:
    """The innermost error that requests and urllib3 have wrapped."""
    for inner in (getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(inner, BaseException):
            return _cause(inner)
    return error


def _object_of_bytes(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _bytes_of_object(value: dict) -> dict | bytes:
    return base64.b64decode(value["b64"], validate=True) if [*value] == ["b64"] else value


def _as_array(value: Any, wanted: ServedTensor) -> np.ndarray:
    """The array of an output; raises TypeError or ValueError for another type or shape."""
    array = np.array(value, dtype=wanted.dtype)
    if not wanted.admits(array.shape):
        raise ValueError(f"shape {[*array.shape]} in place of {wanted}")
    if wanted.dtype == object:  # names that do not end in `_bytes` come as text
        encoded = np.frompyfunc(lambda each: each.encode() if isinstance(each, str) else each, 1, 1)
        return encoded(array)
    return array
