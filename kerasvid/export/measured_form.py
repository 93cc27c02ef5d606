"""One exported form, loaded and run in a process of its own, so that its memory is its own.

python -m kerasvid.export.measured_form TASK.json

The task is what `Task` holds; the outputs go into an NPZ file, the figures to stdout as JSON.
TensorFlow is imported for the forms that need it alone.
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

GENERATE, GRAPH, SAVED_MODEL, TFLITE, ONNX = "generate", "graph", "saved_model", "tflite", "onnx"
WARM_UP = 3


@dataclasses.dataclass(frozen=True)
class Task:
    """What is run.

    Args:
        form: `generate` (Keras, eager), `graph` (Keras in a `tf.function`), `saved_model`,
            `tflite` or `onnx`.
        path: of the run (for Keras), folder or file.
        inputs: NPZ of the inputs of `decode`.
        outputs: NPZ to write.
        frames: T.
        seed: of the inputs, which `generate` draws its own noise from.
        repeats: that the latency is the median of.
        threads: to run on.
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

    On Linux from /proc: the resource usage of a new process begins at what its parent held.
    """
    status = pathlib.Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024 / 1e6
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage * (1 if sys.platform == "darwin" else 1024) / 1e6


def run(task: Task) -> dict[str, float]:
    """Loads and runs a form, writes its outputs, and tells `latency_ms` and `memory_mb`."""
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
    """What is timed, and what gives the outputs of `decode` as numpy."""
    if task.form == TFLITE:
        from kerasvid.export.lite_model import LiteModel

        lite = LiteModel(task.path, task.threads)
        call = lambda: lite("decode", **inputs)  # noqa: E731
        return call, call
    if task.form == ONNX:
        from kerasvid.export.onnx_session import OnnxModel

        onnx = OnnxModel(task.path, task.threads)
        call = lambda: onnx(**inputs)  # noqa: E731
        return call, call
    return _of_tensorflow(task, inputs)


def _of_tensorflow(task: Task, inputs: dict) -> tuple[Callable, Callable]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.threads)
    given = {name: tf.constant(value) for name, value in inputs.items()}
    if task.form == SAVED_MODEL:
        loaded = tf.saved_model.load(task.path)
        if "decode" not in loaded.signatures:
            raise ValueError(f"{task.path}: has no signature decode; leave --saved_model out.")
        # Kept in one name: a signature alone does not hold the variables of its model.
        call = lambda: _arrays(loaded.signatures["decode"](**given))  # noqa: E731
        return call, call
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.signatures import noise_verbs

    model = load_for_export(task.path).model
    verb = noise_verbs(model, task.frames)["decode"]
    eager = lambda: _arrays(verb(**given))  # noqa: E731
    if task.form == GRAPH:
        traced = verb.traced(1)
        call = lambda: _arrays(traced(**given))  # noqa: E731
        return call, call
    if hasattr(model, "between"):
        ends = given["first"], given["last"]
        return lambda: model.between(*ends, task.frames, seed=task.seed), eager
    return lambda: model.generate(1, task.frames, task.seed), eager


def _arrays(outputs: dict) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in outputs.items()}


def main() -> None:
    task = Task(**json.loads(pathlib.Path(sys.argv[1]).read_text()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        told = run(task)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"error: {error}")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
