"""TFLite files as they are run: by the package `ai-edge-litert`, without TensorFlow."""

import os
from collections.abc import Iterable

import numpy as np

MISSING = "ai-edge-litert, which runs TFLite files, is not installed: pip install -e '.[tflite]'."


def interpreter_class() -> type:
    """The interpreter of `ai-edge-litert`.

    Raises:
        ImportError: it is not installed; one line with the remedy.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(MISSING) from error
    return Interpreter


class LiteModel:
    """A TFLite file with a signature a verb.

    Args:
        file: its content or its path.
        threads: to run on.

    Raises:
        ImportError: `ai-edge-litert` is not installed.
        ValueError: the file is no TFLite file, or has no signatures.

    Example:
        >>> LiteModel("rjvae.tflite")("decode", summary=..., residual=...)["video"]
    """

    def __init__(self, file: bytes | str | os.PathLike, threads: int = 2):
        named = "the file" if isinstance(file, bytes) else os.fspath(file)
        source = {"model_content": file} if isinstance(file, bytes) else {"model_path": named}
        try:
            self._interpreter = interpreter_class()(num_threads=threads, **source)
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"{named}: cannot be read as TFLite ({error}); export again."
            ) from error
        self.signatures = self._interpreter.get_signature_list()
        if not self.signatures:
            raise ValueError(f"{named}: has no signatures; make it with export/to_tflite.py.")
        self._runners = {}

    def runner(self, verb: str):
        """The signature runner of a verb, made on first use.

        Raises:
            ValueError: the file does not hold this verb.
        """
        if verb not in self.signatures:
            held = ", ".join(self.signatures)
            raise ValueError(f"The file does not hold the verb {verb}, only: {held}.")
        if verb not in self._runners:
            self._runners[verb] = self._interpreter.get_signature_runner(verb)
        return self._runners[verb]

    def __call__(self, verb: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name; int8 inputs and outputs are floats here, as the file scales them."""
        runner = self.runner(verb)
        details, given = runner.get_input_details(), {}
        check_names(verb, inputs, details)
        for name, value in inputs.items():
            given[name] = _quantised(value, details[name])
        details = runner.get_output_details()
        return {name: _floats(value, details[name]) for name, value in runner(**given).items()}


def check_names(verb: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    """Refuses inputs that a file does not take.

    Raises:
        ValueError: they have other names.
    """
    if set(given) != set(wanted):
        raise ValueError(
            f"{verb} takes {', '.join(sorted(wanted))}, not {', '.join(sorted(given))}: is it the "
            "file of this model?"
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
