"""TFLite files in the package `ai-edge-litert`, without TensorFlow."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np


def interpreter_class() -> type:
    """The interpreter of `ai-edge-litert`, or an ImportError that names the package to install."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        message = "ai-edge-litert is not installed. Run pip install 'kerasvid[tflite]'."
        raise ImportError(message) from error
    return Interpreter


class LiteModel:
    """A TFLite file and its signatures.

    Args:
        file: its content or its path.
        threads: number of threads.

    Raises:
        ImportError: `ai-edge-litert` is not installed.
        ValueError: the file is not a TFLite file, or has no signatures.

    Example:
        >>> LiteModel("rjvae.tflite")("decode", summary=..., residual=...)["video"]
    """

    def __init__(self, file: bytes | str | os.PathLike, threads: int = 2):
        name = "The file" if isinstance(file, bytes) else os.fspath(file)
        source = {"model_content": file} if isinstance(file, bytes) else {"model_path": name}
        try:
            self._interpreter = interpreter_class()(num_threads=threads, **source)
        except (ValueError, RuntimeError) as error:
            message = f"{name}: cannot be read as TFLite ({error}). Export it again."
            raise ValueError(message) from error
        self.signatures = self._interpreter.get_signature_list()
        if not self.signatures:
            raise ValueError(f"{name}: has no signatures. Make it with `kerasvid export tflite`.")
        self._runners: dict[str, Any] = {}

    def runner(self, signature: str):
        """The runner of a signature, made on first use; ValueError if the file lacks it."""
        if signature not in self.signatures:
            known = ", ".join(self.signatures)
            raise ValueError(f"The file has no signature {signature}. It has {known}.")
        if signature not in self._runners:
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        return self._runners[signature]

    def __call__(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name; int8 inputs and outputs are floats here, scaled as the file says."""
        runner = self.runner(signature)
        details = runner.get_input_details()
        check_names(signature, inputs, details)
        given = {name: _quantised(value, details[name]) for name, value in inputs.items()}
        details = runner.get_output_details()
        return {name: _floats(value, details[name]) for name, value in runner(**given).items()}


def check_names(what: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    """Raises ValueError if the names of inputs differ from those that a file takes."""
    if set(given) != set(wanted):
        raise ValueError(
            f"{what}: the inputs are {', '.join(sorted(given))}, not {', '.join(sorted(wanted))}. "
            "Give the file of this model."
        )


def _quantised(value: np.ndarray, detail: dict) -> np.ndarray:
    if detail["dtype"] != np.int8 or value.dtype == np.int8:
        return np.ascontiguousarray(value)
    scale, zero = detail["quantization"]
    return np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)


def _floats(value: np.ndarray, detail: dict) -> np.ndarray:
    if detail["dtype"] != np.int8:
        return value
    scale, zero = detail["quantization"]
    return ((value.astype(np.float32) - zero) * scale).astype(np.float32)
