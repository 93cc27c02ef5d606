"""Replays the warm-up requests of a version folder, as a server does when it loads it.

kerasvid replay export/models/rjvae/1

TensorFlow Serving reads `assets.extra/tf_serving_warmup_requests`, a TFRecord file of at most
1,000 `PredictionLog` messages, and runs each before the version answers anybody. A request that
fails keeps the version from loading: here it is told by its number instead. Needs the extra
`serving`.
"""

import dataclasses
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from kerasvid.cli.command import one_line_errors, run_app, start_tensorflow

WARM_UP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
MOST_RECORDS = 1000


class ReplayError(Exception):
    """Warm-up requests that a server could not replay: one line with the file and the record."""


@dataclasses.dataclass(frozen=True)
class Replayed:
    """A request that went through.

    Args:
        signature: that it asks for.
        rows: of its inputs.
        seconds: that it took.
        outputs: shapes by name.
    """

    signature: str
    rows: int
    seconds: float
    outputs: dict[str, tuple[int, ...]]


def read_requests(version_dir: str | os.PathLike) -> Iterator[Any]:
    """The `PredictRequest` messages of a version folder's warm-up file, in order.

    Raises:
        ReplayError: there is none, it is empty or too long, or a record is no logged prediction.
        ServingError: tensorflow-serving-api is not installed.
    """
    import tensorflow as tf

    from kerasvid.export.serving.remote_calls import protocol_messages

    messages = protocol_messages("apis.prediction_log_pb2")
    path = pathlib.Path(version_dir) / WARM_UP
    if not path.is_file():
        raise ReplayError(f"{path} is not there; export this version with warm-up requests.")
    from google.protobuf.message import DecodeError

    number = 0
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(os.fspath(path)), 1):
            if number > MOST_RECORDS:
                raise ReplayError(f"{path}: more than {MOST_RECORDS} records; a server refuses "
                                  "them, write fewer.")  # fmt: skip
            log = messages.PredictionLog.FromString(record.numpy())
            if log.WhichOneof("log_type") != "predict_log":
                raise ReplayError(f"{path}: record {number} is a {log.WhichOneof('log_type')} "
                                  "where a predict_log is wanted.")  # fmt: skip
            yield log.predict_log.request
    except (tf.errors.DataLossError, DecodeError) as error:
        raise ReplayError(f"{path}: cannot be read behind record {number}; it is damaged, export "
                          "this version again.") from error  # fmt: skip
    if not number:
        raise ReplayError(f"{path}: holds no record; export this version again.")


def replay(
    version_dir: str | os.PathLike, clock: Callable[[], float] = time.perf_counter
) -> list[Replayed]:
    """Runs each warm-up request through the loaded version.

    Args:
        version_dir: folder of a SavedModel, as `export/models/rjvae/1`.
        clock: seconds that only grow.

    Returns:
        what each took, in the order of the file.

    Raises:
        ReplayError: the folder is no SavedModel, the file is not as the server wants it, or a
            request fails.
        ServingError: tensorflow-serving-api is not installed.

    Example:
        >>> [each.signature for each in replay("export/models/rjvae/1")]
        ['serving_default', 'generate_jpeg', 'decode']
    """
    import tensorflow as tf

    requests = list(read_requests(version_dir))
    try:
        # The signatures live as long as the object that they were loaded with.
        loaded = tf.saved_model.load(os.fspath(version_dir))
    except (OSError, tf.errors.OpError) as error:
        raise ReplayError(f"{version_dir}: is no SavedModel that can be loaded ({error}).") from (
            error
        )
    return [_run(loaded, version_dir, n, request, clock) for n, request in enumerate(requests, 1)]


def _run(loaded: Any, version_dir, number: int, request: Any, clock) -> Replayed:
    """One request through its signature."""
    import tensorflow as tf

    name = request.model_spec.signature_name or "serving_default"
    where = f"{pathlib.Path(version_dir) / WARM_UP}: record {number} ({name})"
    if name not in loaded.signatures:
        known = ", ".join(sorted(loaded.signatures))
        raise ReplayError(f"{where}: there is no such signature; there are {known}.")
    call = loaded.signatures[name]
    wanted, given = {*call.structured_input_signature[1]}, {*request.inputs}
    if wanted != given:
        raise ReplayError(f"{where}: has the inputs {sorted(given)} where {sorted(wanted)} are "
                          "wanted.")  # fmt: skip
    try:
        inputs = {key: tf.constant(tf.make_ndarray(t)) for key, t in request.inputs.items()}
        begin = clock()
        outputs = {key: value.numpy() for key, value in call(**inputs).items()}
        seconds = clock() - begin
    except (tf.errors.OpError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise ReplayError(f"{where} fails: {said}") from error
    rows = max((value.shape[0] for value in inputs.values() if value.shape.rank), default=1)
    return Replayed(name, rows, seconds, {key: value.shape for key, value in outputs.items()})


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export.serving.attempts import ServingError

    with one_line_errors(ReplayError, ServingError, ValueError):
        if len(argv) != 2:
            raise ValueError("give one version folder, as export/models/rjvae/1.")
        done = replay(argv[1])
    for number, each in enumerate(done, 1):
        shapes = ", ".join(f"{name} {[*shape]}" for name, shape in sorted(each.outputs.items()))
        print(f"{number:4d}  {each.seconds * 1000:9.1f} ms  {each.signature} x {each.rows}: "
              f"{shapes}")  # fmt: skip
    times = [1000 * each.seconds for each in done]
    median, slowest = statistics.median(times), max(times)
    print(f"{len(done)} requests in {sum(times) / 1000:.2f} s, median {median:.1f} ms, slowest "
          f"{slowest:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    run_app(main, flags.FlagValues(), __doc__)
