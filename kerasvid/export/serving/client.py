"""A client of served models: videos of seeds, and every other signature, by REST or gRPC.

By REST, frames are sent as JPEG (the signature `generate_jpeg`) if the model has it, never as
numbers in JSON; by gRPC as pixels. It needs the extra `serving`.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from kerasvid.export.serving import served_signature
from kerasvid.export.serving.served_signature import NotFoundError, ServedSignature, ServingError
from kerasvid.naming import nearest_names

SERVICES = {
    "rest": ("kerasvid.export.serving.rest_service", "RestService"),
    "grpc": ("kerasvid.export.serving.grpc_service", "GrpcService"),
}
PORTS = {"rest": 8501, "grpc": 8500}


class Client:
    """A model on a server.

    Calls with many rows are sent in parts: a server refuses requests above its `max_batch_size`.

    Args:
        address: `host:port`; with `https://` before it for TLS.
        model: its name on the server.
        version: a number, or a label such as `stable`; the server's default if `None`.
        protocol: `rest` or `grpc`.
        rows: most rows of one request.
        **limits: of `Limits`: timeout, connect_timeout, retries, backoff.

    Raises:
        ValueError: an argument is malformed.
        ServingError: a package of the extra `serving` is not installed. Every method raises it,
            too: one line with the address, the cause and the remedy.

    Example:
        >>> client = Client("localhost:8501", "rjvae", timeout=30)
        >>> client.generate([1, 2, 3]).shape
        (3, 8, 64, 64, 3)
        >>> client.call("interpolate", seed_from=[1], seed_to=[2], fraction=0.5)["video"].dtype
        dtype('uint8')
    """

    def __init__(
        self,
        address: str,
        model: str,
        version: int | str | None = None,
        protocol: str = "rest",
        *,
        rows: int = 16,
        **limits: Any,
    ):
        if protocol not in SERVICES:
            raise ValueError(f"Unknown protocol {protocol!r}: {nearest_names(protocol, SERVICES)}.")
        if not model or {"/", ":"} & {*model}:
            raise ValueError(f"Model {model!r} is malformed. Give a name of models.config.")
        if rows < 1:
            raise ValueError(f"rows={rows} is too small. Give 1 or more.")
        self.model, self.protocol, self.rows = model, protocol, rows
        module, name = SERVICES[protocol]
        try:
            service = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("kerasvid", ""):
                raise
            message = f"{package} is not installed. Run pip install 'kerasvid[serving]'."
            raise ServingError(message) from error
        self._service = service(address, model, version, served_signature.Limits(**limits))
        self._signatures: dict[str, ServedSignature] | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._service.close()

    def signatures(self) -> dict[str, ServedSignature]:
        """The signatures of the model by name; the server is asked once."""
        if self._signatures is None:
            self._signatures = self._request(self._service.signatures)
        return self._signatures

    def versions(self) -> dict[int, str]:
        """The state of each version on the server: `{1: "AVAILABLE"}`."""
        return self._request(self._service.versions)

    def signature(self, name: str) -> ServedSignature:
        """The signature with a name; ValueError if the model has none."""
        known = self.signatures()
        if name not in known:
            near = nearest_names(name, known)
            raise ValueError(f"{self.model} has no signature {name!r}: {near}.")
        return known[name]

    def call(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs of a signature for named arrays.

        Args:
            signature: as `serving_default`, `encode`, `interpolate`.
            **inputs: as of `ServedSignature.checked`; byte strings are `bytes` in lists.

        Returns:
            `[B, ...]` by name; arrays of `bytes` objects for byte strings.

        Raises:
            ValueError: as `signature` and `ServedSignature.checked`; nothing is sent then.
        """
        asked = self.signature(signature)
        checked = asked.checked(inputs)
        batch = len(next(iter(checked.values()))) if checked else 1
        parts = []
        for start in range(0, batch, self.rows):
            part = {name: array[start : start + self.rows] for name, array in checked.items()}
            parts.append(self._request(self._service.predict, asked, part))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def generate(self, seeds: Sequence[int], label: Any = None) -> np.ndarray:
        """New videos, uint8 `[B, T, H, W, C]`, one for each seed from 0 to 2^62 - 1.

        Args:
            seeds: one for each video.
            label: number of the class of all videos, or of each; `None` for any, and for a model
                without classes.

        Raises:
            ValueError: as `call`; the model has no `label`.
        """
        jpeg = self.protocol == "rest" and "generate_jpeg" in self.signatures()
        given = {"seed": seeds, **({} if label is None else {"label": label})}
        return as_video(self.call("generate_jpeg" if jpeg else "serving_default", **given))

    def between(
        self,
        first: np.ndarray,
        last: np.ndarray,
        seeds: Sequence[int],
        temperature: float = 1.0,
        label: Any = None,
    ) -> np.ndarray:
        """Videos from a first to a last frame, uint8 `[B, T, H, W, C]`.

        Args:
            first, last: uint8 `[H, W, C]` for all videos, or `[B, H, W, C]`.
            seeds: one for each video.
            temperature: standard deviation of the noise; 0 for the video of no noise.
            label: as for `generate`.
        """
        given: dict[str, Any] = {"seed": seeds, "temperature": temperature}
        given |= {} if label is None else {"label": label}
        if self.protocol == "rest" and "between_jpeg" in self.signatures():
            endpoints = {"first_bytes": _encoded(first), "last_bytes": _encoded(last)}
            return as_video(self.call("between_jpeg", **endpoints, **given))
        return as_video(self.call("serving_default", first=first, last=last, **given))

    def _request(self, method: Callable, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except NotFoundError as error:
            try:
                states = sorted(self._service.versions().items())
            except ServingError:
                remedy = f"Give a model of its models.config instead of {self.model!r}."
            else:
                listing = ", ".join(f"{number} ({state})" for number, state in states)
                remedy = f"Give a version of {self.model}: {listing}, or a label of models.config."
            raise ServingError(f"{error} {remedy}") from error


def as_video(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """The video among the outputs of a call, decoded if its frames are encoded.

    Raises:
        ServingError: a frame cannot be decoded.
    """
    if "frames_bytes" not in outputs:
        return outputs["video"]
    return np.stack([[*map(_decoded, frames)] for frames in outputs["frames_bytes"]])


def _decoded(data: bytes) -> np.ndarray:
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if frame is None:
        raise ServingError("The server sent a frame that is not an image. Export the model again.")
    return frame[..., None] if frame.ndim == 2 else frame[..., ::-1]


def _encoded(images: np.ndarray) -> Any:
    """PNG of an image, or a list of those of several."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(f"Images are {images.dtype} {[*images.shape]}. Give uint8 [H, W, C] or "
                         "[B, H, W, C].")  # fmt: skip
    if images.ndim == 4:
        return [*map(_encoded, images)]
    return cv2.imencode(".png", np.ascontiguousarray(images[..., ::-1]))[1].tobytes()
