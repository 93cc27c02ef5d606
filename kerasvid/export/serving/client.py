"""A client of served models: videos of seeds, and every other signature, by REST or gRPC.

kerasvid client --address=localhost:8501 --model=rjvae --seeds=1,2,3 --out=clips.gif
kerasvid client --address=localhost:8500 --protocol=grpc --model=rjvae --version=stable
kerasvid client --model=cvae --first=a.png --last=b.png --seeds=0,1 --out=between.mp4
kerasvid client --model=rjvae --signature=swap --inputs=clips.npz --out=swapped.png

By REST, frames travel as JPEG (the signature `generate_jpeg`), never as numbers in JSON, if the
model has it; by gRPC as pixels. It needs the package's own dependencies only; gRPC the extra
`serving`.
"""

import os
import time
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, run_app, start_tensorflow
from kerasvid.export.serving.attempts import Attempts, Deadline, NotFoundError, ServingError
from kerasvid.export.serving.remote_calls import GrpcService
from kerasvid.export.serving.rest import RestService
from kerasvid.export.serving.signatures import Signature, nearest
from kerasvid.io import atomic_write
from kerasvid.visualization.grids import clip_rows, grid, mosaic, write_gif, write_mp4, write_png

PROTOCOLS = {"rest": RestService, "grpc": GrpcService}
PORTS = {"rest": 8501, "grpc": 8500}
COLUMNS = 4  # of clips beside each other

FLAGS = _F = flags.FlagValues()


def define_flags() -> None:
    """The flags of the command line; by a function, so that the class can be imported alone."""
    flags.DEFINE_string(
        "address", None, "host:port; localhost and the protocol's port by default.", flag_values=_F
    )
    flags.DEFINE_string(
        "model", None, "Name of the model on the server.", required=True, flag_values=_F
    )
    flags.DEFINE_string(
        "version", None, "Number or label, as 3 or stable; else the newest.", flag_values=_F
    )
    flags.DEFINE_enum("protocol", "rest", [*PROTOCOLS], "To speak.", flag_values=_F)
    flags.DEFINE_list("seeds", ["0"], "A video each.", flag_values=_F)
    flags.DEFINE_string(
        "first", None, "Picture to begin with, for models of what is in between.", flag_values=_F
    )
    flags.DEFINE_string("last", None, "Picture to end with.", flag_values=_F)
    flags.DEFINE_float(
        "temperature", 1.0, "Of videos between pictures; 0: the best guess.", 0.0, flag_values=_F
    )
    flags.DEFINE_string(
        "signature", None, "Another one; --inputs, --seeds are what it takes.", flag_values=_F
    )
    flags.DEFINE_string(
        "inputs", None, ".npz of arrays by the names of the signature's inputs.", flag_values=_F
    )
    flags.DEFINE_string(
        "out", "clips.gif", "A .gif, .mp4, .png, or .npz of what is answered.", flag_values=_F
    )
    flags.DEFINE_float("fps", 8.0, "Frames a second.", 0.1, flag_values=_F)
    flags.DEFINE_integer("scale", None, "Enlargement of a frame.", lower_bound=1, flag_values=_F)
    flags.DEFINE_float(
        "timeout", 60.0, "Seconds for a request with its further attempts.", 0.001, flag_values=_F
    )
    flags.DEFINE_float("connect_timeout", 5.0, "Seconds for a connection.", 0.001, flag_values=_F)
    flags.DEFINE_integer(
        "retries", 3, "Further attempts after errors that may pass.", 0, flag_values=_F
    )
    flags.DEFINE_bool(
        "list", False, "Print the signatures and versions of the model instead.", flag_values=_F
    )


class Client:
    """A model on a server.

    Rows are independent of each other, so that calls of many rows are sent in parts: servers that
    batch refuse what is larger than their `max_batch_size`. All calls are functions of what they
    send, and may be sent again.

    Args:
        address: `host:port`; with `https://` before it through TLS.
        model: its name on the server.
        version: a number, or a label such as `stable`; what the server takes by default if `None`.
        protocol: `rest` or `grpc`.
        timeout: seconds for a request, its further attempts and their pauses included.
        connect_timeout: seconds for a connection to stand.
        retries: further attempts after errors that may pass (nobody listens, a full queue).
        backoff: seconds before the second attempt; doubled before each further one.
        rows: of one request, at most.
        sleep: waits between attempts.

    Raises:
        ValueError: an argument is none.
        ServingError: from every method but this one, too: one line with the address, the cause and
            the remedy. Here, if gRPC's messages are not installed.

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
        timeout: float = 60.0,
        connect_timeout: float = 5.0,
        retries: int = 3,
        backoff: float = 0.25,
        rows: int = 16,
        sleep: Callable[[float], None] = time.sleep,
    ):
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol {protocol!r} is unknown{nearest(protocol, PROTOCOLS)}; "
                             f"known: {', '.join(PROTOCOLS)}.")  # fmt: skip
        if not model or {"/", ":"} & {*model}:
            raise ValueError(f"model {model!r} is no name: give that of models.config.")
        if min(timeout, connect_timeout) <= 0 or rows < 1:
            raise ValueError("timeout, connect_timeout and rows must be above 0.")
        self.model, self.version, self.protocol = model, version, protocol
        self._timeout, self._rows = timeout, rows
        self._attempts = Attempts(retries, backoff, sleep)
        self._service = PROTOCOLS[protocol](address, connect_timeout)
        self._signatures: dict[str, Signature] | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._service.close()

    def signatures(self) -> dict[str, Signature]:
        """What the model can be asked, by name; asked for once."""
        if self._signatures is None:
            self._signatures = self._request(self._service.signatures, self.model, self.version)
        return self._signatures

    def versions(self) -> dict[int, str]:
        """The state of each version on the server: `{1: "AVAILABLE"}`."""
        return self._request(self._service.versions, self.model)

    def signature(self, name: str) -> Signature:
        """The signature of a name.

        Raises:
            ValueError: the model has none.
        """
        known = self.signatures()
        if name not in known:
            raise ValueError(f"{self.model} has no signature {name!r}{nearest(name, known)}; "
                             f"it has {', '.join(sorted(known))}.")  # fmt: skip
        return known[name]

    def call(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """What a signature makes of named arrays, the batch axis first.

        Args:
            signature: as `serving_default`, `encode`, `interpolate`.
            **inputs: `[B, ...]` each; what has no batch axis holds for all rows. Byte strings are
                `bytes` in lists.

        Returns:
            `[B, ...]` by name; arrays of `bytes` objects for byte strings.

        Raises:
            ValueError: there is no such signature, or its inputs are missing, or of another type,
                shape or range than its metadata tells; nothing is sent then.
        """
        asked = self.signature(signature)
        checked = asked.checked(inputs)
        batch = len(next(iter(checked.values()))) if checked else 1
        parts = []
        for start in range(0, batch, self._rows):
            part = {name: array[start : start + self._rows] for name, array in checked.items()}
            parts.append(
                self._request(self._service.predict, self.model, self.version, asked, part)
            )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def generate(self, seeds: Sequence[int]) -> np.ndarray:
        """New videos, uint8 `[B, T, H, W, C]`, one a seed from 0 to 2^62 - 1.

        By REST they went through JPEG, if the model has `generate_jpeg`.
        """
        jpeg = self.protocol == "rest" and "generate_jpeg" in self.signatures()
        return as_video(self.call("generate_jpeg" if jpeg else "serving_default", seed=seeds))

    def between(
        self, first: np.ndarray, last: np.ndarray, seeds: Sequence[int], temperature: float = 1.0
    ) -> np.ndarray:
        """Videos from a first to a last frame, uint8 `[B, T, H, W, C]`.

        Args:
            first, last: uint8 `[H, W, C]` for all videos, or `[B, H, W, C]`.
            seeds: one a video.
            temperature: of the noise; 0 for the best guess.
        """
        given = {"seed": seeds, "temperature": temperature}
        if self.protocol == "rest" and "between_jpeg" in self.signatures():
            ends = {"first_bytes": _encoded(first), "last_bytes": _encoded(last)}
            return as_video(self.call("between_jpeg", **ends, **given))
        return as_video(self.call("serving_default", first=first, last=last, **given))

    def _request(self, method: Callable, *arguments: Any) -> Any:
        deadline = Deadline(self._timeout)
        try:
            return self._attempts.call(lambda: method(*arguments, deadline), deadline)
        except NotFoundError as error:
            raise ServingError(f"{error}; {self._what_is_there()}") from error

    def _what_is_there(self) -> str:
        """The remedy of a model or version that the server does not have."""
        try:
            states = self._service.versions(self.model, Deadline(self._timeout))
        except (ServingError, OSError):
            return f"give the name of a model in its models.config instead of {self.model!r}."
        there = ", ".join(f"{number} ({state})" for number, state in sorted(states.items()))
        return f"of {self.model} there is version {there}; a label must stand in models.config."


def as_video(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """The video among outputs, out of its encoded frames where they are.

    Raises:
        ValueError: there is none, or a frame cannot be decoded.
    """
    if "frames_bytes" not in outputs:
        return outputs["video"]
    return np.stack(
        [[_decoded(frame) for frame in frames] for frames in outputs["frames_bytes"]]
    )  # [B, T, H, W, C]


def _decoded(data: bytes) -> np.ndarray:
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if frame is None:
        raise ServingError("the server sent a frame that is no picture; is the version whole?")
    return frame[..., None] if frame.ndim == 2 else frame[..., ::-1]


def _encoded(pictures: np.ndarray) -> bytes | list[bytes]:
    """PNG of each picture: what goes in stays as it is."""
    pictures = np.asarray(pictures)
    if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4):
        raise ValueError(f"Pictures must be uint8 [H, W, C], not {pictures.dtype} of shape "
                         f"{[*pictures.shape]}.")  # fmt: skip
    if pictures.ndim == 4:
        return [_encoded(picture) for picture in pictures]
    return cv2.imencode(".png", np.ascontiguousarray(pictures[..., ::-1]))[1].tobytes()


# === The command line ===


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError, OSError, ServingError):
        refuse_arguments(argv)
        write = _writer(_F.out)
        if _F.signature and (_F.first or _F.last):
            raise ValueError("--first, --last: give them by --inputs with --signature.")
        if _F.inputs and not _F.signature:
            raise ValueError("--inputs needs --signature, which takes them.")
        version = int(_F.version) if _F.version and _F.version.isdigit() else _F.version
        options = {name: _F[name].value for name in ("timeout", "connect_timeout", "retries")}
        if _F.protocol == "grpc":
            start_tensorflow()  # its messages import it
        address = _F.address or f"localhost:{PORTS[_F.protocol]}"
        with Client(address, _F.model, version, _F.protocol, **options) as client:
            if _F.list:
                return _print_signatures(client)
            outputs = _answers(client, [_seed(text) for text in _F.seeds])
        write(outputs)
        shapes = ", ".join(f"{name} {[*array.shape]}" for name, array in outputs.items())
        print(f"{_F.out}: {shapes}")


def _answers(client: Client, seeds: list[int]) -> dict[str, np.ndarray]:
    """What the flags ask for."""
    if _F.signature:
        inputs = _arrays(_F.inputs) if _F.inputs else {}
        if "seed" in client.signature(_F.signature).inputs:
            inputs.setdefault("seed", seeds)
        outputs = client.call(_F.signature, **inputs)
        if "frames_bytes" in outputs:
            outputs = {"video": as_video(outputs)}
        return outputs
    wanted = client.signature("serving_default").inputs
    if "first" not in wanted:
        if _F.first or _F.last:
            raise ValueError(f"--first: {client.model} makes no video between two pictures.")
        return {"video": client.generate(seeds)}
    for name in ("first", "last"):
        if not _F[name].value:
            raise ValueError(f"--{name} is missing: {client.model} goes between two pictures.")
    start_tensorflow()
    from tfrecords_tools.media import read_frame

    size = wanted["first"].shape[1:]
    ends = [read_frame(path, *size) for path in (_F.first, _F.last)]
    return {"video": client.between(*ends, seeds, _F.temperature)}


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"--seeds: {text!r} is no whole number from 0 to 2^62 - 1.") from error


def _arrays(path: str) -> dict[str, np.ndarray]:
    """Of an .npz file.

    Raises:
        ValueError: it is none.
        OSError: it cannot be read.
    """
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise ValueError(f"--inputs: {path} is not there.") from error
    except (ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"--inputs: {path} is no .npz file of plain arrays; write it by "
                         "numpy.savez.") from error  # fmt: skip


def _writer(path: str) -> Callable[[dict[str, np.ndarray]], None]:
    """A function that writes outputs to the path, by its ending; checked before work is asked for.

    Raises:
        ValueError: the ending is unknown, or the folder is not there.
    """
    kinds = {".gif": write_gif, ".mp4": write_mp4, ".png": write_png}
    ending = os.path.splitext(path)[1].lower()
    if ending not in (*kinds, ".npz"):
        raise ValueError(f"--out={path}: the ending must be .gif, .mp4, .png or .npz.")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ValueError(f"--out={path}: its folder is not there; make it.")

    def write(outputs: dict[str, np.ndarray]) -> None:
        if ending == ".npz":
            # To a name numpy would add an ending.
            with atomic_write(path) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, **outputs)
            return
        shown = outputs.get("video", outputs.get("image"))
        if shown is None:
            raise ValueError(f"--out={path}: {', '.join(outputs)} are no pictures; write an .npz.")
        if shown.dtype != np.uint8:  # `decode` gives pixels in [-1, 1]
            shown = np.round((np.clip(shown, -1, 1) + 1) * 127.5).astype(np.uint8)
        videos = shown if shown.ndim == 5 else shown[:, None]  # [B, T, H, W, C]
        if ending == ".png":
            return write_png(path, grid(clip_rows(videos), _F.scale))
        rows = [list(videos[start : start + COLUMNS]) for start in range(0, len(videos), COLUMNS)]
        kinds[ending](path, mosaic(rows, _F.scale), _F.fps)

    return write


def _print_signatures(client: Client) -> None:
    for number, state in sorted(client.versions().items()):
        print(f"version {number}: {state}")
    for name, each in sorted(client.signatures().items()):
        taken, given = (
            ", ".join(f"{tensor}: {spec}" for tensor, spec in side.items())
            for side in (each.inputs, each.outputs)
        )
        print(f"{name}({taken}) -> {given}")


if __name__ == "__main__":
    define_flags()
    run_app(main, FLAGS, __doc__)
