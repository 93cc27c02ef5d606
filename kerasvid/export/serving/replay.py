"""Replays the warm-up requests of a version folder, as a server does when it loads the version.

TensorFlow Serving runs each `PredictionLog` message of `assets.extra/tf_serving_warmup_requests`,
at most 1,000. A request that fails keeps the version from loading; here it is an error.
"""

import os
import pathlib
import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from kerasvid.export.serving.messages import WARM_UP_FILE, parsed_request

MAX_RECORDS = 1000


class ReplayError(ValueError):
    """Warm-up requests that a server cannot replay: one line with the file and the record."""


class Replayed(NamedTuple):
    """A request that succeeded: its signature, rows and seconds, and the shapes of its outputs."""

    signature: str
    rows: int
    seconds: float
    outputs: dict[str, tuple[int, ...]]


def _requests(path: pathlib.Path) -> list[tuple[str, dict[str, np.ndarray]]]:
    """The signature and inputs of each request in a warm-up file."""
    if not path.is_file():
        raise ReplayError(f"{path}: does not exist. Export this version again.")
    requests = []
    try:
        for record in tf.data.TFRecordDataset(os.fspath(path)):
            _, signature, inputs = parsed_request(record.numpy())
            requests.append((signature or "serving_default", inputs))
    except (tf.errors.DataLossError, DecodeError) as error:
        raise ReplayError(f"{path}: is damaged after record {len(requests)}. Export this version "
                          "again.") from error  # fmt: skip
    except (TypeError, ValueError) as error:
        raise ReplayError(f"{path}: record {len(requests) + 1} {error}.") from error
    if len(requests) > MAX_RECORDS:
        raise ReplayError(f"{path}: has more than {MAX_RECORDS} records, which a server refuses. "
                          "Write fewer.")  # fmt: skip
    if not requests:
        raise ReplayError(f"{path}: has no records. Export this version again.")
    return requests


def replay(version_dir: str | os.PathLike) -> list[Replayed]:
    """Runs each warm-up request through the loaded version.

    Raises:
        ReplayError: the folder is not a SavedModel, its warm-up file is missing, empty, damaged
            or too long, or a request fails.

    Example:
        >>> [each.signature for each in replay("export/models/rjvae/1")]
        ['serving_default', 'generate_jpeg', 'decode']
    """
    path = pathlib.Path(version_dir, WARM_UP_FILE)
    requests = _requests(path)
    try:
        loaded = tf.saved_model.load(os.fspath(version_dir))
    except (OSError, tf.errors.OpError) as error:
        message = f"{version_dir}: cannot be loaded as a SavedModel ({error}). Export it again."
        raise ReplayError(message) from error
    return [
        _run(loaded, f"{path}: record {number} ({name})", name, inputs)
        for number, (name, inputs) in enumerate(requests, 1)
    ]


def _run(loaded: Any, where: str, name: str, arrays: dict[str, np.ndarray]) -> Replayed:
    if name not in loaded.signatures:
        known = ", ".join(sorted(loaded.signatures))
        raise ReplayError(f"{where}: the version has no such signature. It has {known}.")
    call = loaded.signatures[name]
    wanted = {*call.structured_input_signature[1]}
    if wanted != {*arrays}:
        raise ReplayError(f"{where}: the inputs are {sorted(arrays)}, not {sorted(wanted)}. Export "
                          "this version again.")  # fmt: skip
    try:
        inputs = {key: tf.constant(value) for key, value in arrays.items()}
        begin = time.perf_counter()
        outputs = {key: value.numpy() for key, value in call(**inputs).items()}
        seconds = time.perf_counter() - begin
    except (tf.errors.OpError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ReplayError(f"{where} fails ({reason}). Export this version again.") from error
    rows = max((value.shape[0] for value in inputs.values() if value.shape.rank), default=1)
    return Replayed(name, rows, seconds, {key: value.shape for key, value in outputs.items()})
