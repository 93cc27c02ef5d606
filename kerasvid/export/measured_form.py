"""One exported form, loaded and run in a process of its own, so that its memory is its own.

    python -m kerasvid.export.measured_form TASK.json

The task file holds the fields of `Task`. The outputs are written to an NPZ file, the measurements
to stdout as JSON. TensorFlow is imported only for the forms that need it.
"""

import dataclasses
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable

import numpy as np

GENERATE, GRAPH, SAVED_MODEL, TFLITE, ONNX = FORMS = (
    "generate", "graph", "saved_model", "tflite", "onnx",
)  # fmt: skip
WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Task:
    """What to run.

    Args:
        form: `generate` (Keras, eager), `graph` (Keras in a `tf.function`), `saved_model`,
            `tflite` or `onnx`.
        path: run folder (for Keras), folder or file.
        inputs: NPZ file of the inputs of `decode`.
        outputs: NPZ file to write.
        frames: T.
        seed: random seed of the inputs; `generate` draws its own noise from it.
        repeats: number of calls; the latency is their median.
        threads: number of threads.
    """

    form: str
    path: str
    inputs: str
    outputs: str
    frames: int
    seed: int
    repeats: int = 30
    threads: int = 2


def peak_memory() -> float:
    """The most memory that this process has held, in MB (10^6 bytes).

    On Linux from /proc: the resource usage of a new process begins with its parent's.
    """
    status = pathlib.Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024 / 1e6
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage * (1 if sys.platform == "darwin" else 1024) / 1e6


def run(task: Task) -> dict[str, float]:
    """Loads and runs a form and writes its outputs; returns `latency_ms` and `memory_mb`."""
    with np.load(task.inputs) as stored:
        inputs = dict(stored)
    call, outputs = _loaded(task, inputs)
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(task.repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    np.savez(task.outputs, **outputs())
    return {"latency_ms": 1000.0 * float(np.median(times)), "memory_mb": peak_memory()}


def _loaded(task: Task, inputs: dict) -> tuple[Callable, Callable]:
    """The call to time, and the one that gives the outputs of `decode` as numpy arrays."""
    if task.form == TFLITE:
        from kerasvid.export.lite_model import LiteModel

        lite = LiteModel(task.path, task.threads)
        call = lambda: lite("decode", **inputs)  # noqa: E731
    elif task.form == ONNX:
        from kerasvid.export.onnx_session import OnnxModel

        session = OnnxModel(task.path, task.threads)
        call = lambda: session(**inputs)  # noqa: E731
    else:
        return _loaded_by_tensorflow(task, inputs)
    return call, call


def _loaded_by_tensorflow(task: Task, inputs: dict) -> tuple[Callable, Callable]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.threads)
    given = {name: tf.constant(value) for name, value in inputs.items()}

    def calling(function: Callable) -> Callable:
        return lambda: {name: value.numpy() for name, value in function(**given).items()}

    if task.form == SAVED_MODEL:
        loaded = tf.saved_model.load(task.path)
        if "decode" not in loaded.signatures:
            raise ValueError(f"{task.path}: has no signature decode. Leave --saved_model out.")
        # The lambda keeps `loaded`: a signature alone does not hold the variables of its model.
        call = calling(lambda **tensors: loaded.signatures["decode"](**tensors))
        return call, call
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.signatures import noise_signatures
    from kerasvid.models.base.in_between import InBetween

    model = load_for_export(task.path).model
    decode = noise_signatures(model, task.frames)["decode"]
    if task.form == GRAPH:
        call = calling(decode.traced(1))
        return call, call
    if isinstance(model, InBetween):
        frames = given["first"], given["last"]
        return lambda: model.between(*frames, task.frames, seed=task.seed), calling(decode)
    return lambda: model.generate(1, task.frames, task.seed), calling(decode)


def main() -> None:
    task = Task(**json.loads(pathlib.Path(sys.argv[1]).read_text()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        measured = run(task)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"error: {error}")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
