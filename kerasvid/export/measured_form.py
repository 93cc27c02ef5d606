"""One exported form, loaded and run in a process of its own, so that its memory is its own.

`python -m kerasvid.export.measured_form TASK.json` takes the arguments of `run` from a file and
prints the measurements as JSON. TensorFlow is imported only for the forms that need it.
"""

import json
import pathlib
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

FORMS = ("generate", "graph", "saved_model", "tflite", "onnx")
GENERATE, GRAPH, SAVED_MODEL, TFLITE, ONNX = FORMS
WARM_UP = 3


def peak_memory() -> float:
    """The most memory that this process has held, in MB (10^6 bytes)."""
    # On Linux the resource usage of a new process begins with its parent's.
    status = pathlib.Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024 / 1e6
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage * (1 if sys.platform == "darwin" else 1024) / 1e6


def run(
    form: str, path: str, inputs: str, outputs: str, frames: int, seed: int, repeats: int,
    threads: int,
) -> dict[str, float]:  # fmt: skip
    """Loads and runs a form and writes its outputs.

    Args:
        form: one of `FORMS`: Keras eagerly, Keras in a `tf.function`, or an exported form.
        path: run folder (for Keras), folder or file.
        inputs, outputs: NPZ files, to read and to write, of the signature `decode`.
        frames: T.
        seed: random seed of the inputs; `generate` draws its own noise from it.
        repeats: number of calls.
        threads: number of threads.

    Returns:
        `latency_ms`, the median of the calls, and `memory_mb`, as `peak_memory`.
    """
    with np.load(inputs) as stored:
        given = dict(stored)
    call: Callable
    decode: Callable
    if form == TFLITE:
        from kerasvid.export.runtimes import LiteModel

        decode = call = partial(LiteModel(path, threads), "decode", **given)
    elif form == ONNX:
        from kerasvid.export.runtimes import OnnxModel

        decode = call = partial(OnnxModel(path, threads), **given)
    else:
        call, decode = _loaded_by_tensorflow(form, path, given, frames, seed, threads)
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    results: dict[str, Any] = decode()
    np.savez(outputs, **results)
    return {"latency_ms": 1000.0 * float(np.median(times)), "memory_mb": peak_memory()}


def _loaded_by_tensorflow(
    form: str, path: str, inputs: dict, frames: int, seed: int, threads: int
) -> tuple[Callable, Callable]:
    """The call to time, and the one that gives the outputs of `decode` as numpy arrays."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    given = {name: tf.constant(value) for name, value in inputs.items()}

    def call_of(function: Callable) -> Callable:
        return lambda: {name: value.numpy() for name, value in function(**given).items()}

    if form == SAVED_MODEL:
        loaded = tf.saved_model.load(path)
        if "decode" not in loaded.signatures:
            raise ValueError(f"{path}: has no signature decode. Leave --saved_model out.")
        # The lambda keeps `loaded`: a signature alone does not hold the variables of its model.
        call = call_of(lambda **tensors: loaded.signatures["decode"](**tensors))
        return call, call
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.signatures import noise_signatures
    from kerasvid.models.base.in_between import InBetween

    model = load_for_export(path).model
    decode = noise_signatures(model, frames)["decode"]
    if form == GRAPH:
        call = call_of(decode.traced(1))
        return call, call
    if isinstance(model, InBetween):
        first, last = given["first"], given["last"]
        return lambda: model.between(first, last, frames, seed=seed), call_of(decode)
    return lambda: model.generate(1, frames, seed), call_of(decode)


if __name__ == "__main__":
    try:
        print(json.dumps(run(**json.loads(pathlib.Path(sys.argv[1]).read_text()))))
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"error: {error}")
