"""TFLite and ONNX files in the small runtimes of other programs, without TensorFlow."""

import importlib
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

# The modules that each extra of this package installs.
MODULES = {"tflite": ("ai_edge_litert.interpreter",), "onnx": ("onnx", "tf2onnx", "onnxruntime")}
OUT = "_out"  # ending of an output named as an input: a graph of ONNX has one set of names


def check_installed(extra: str) -> None:
    """Raises ImportError, in one line with the remedy, if a module of an extra is missing."""
    for name in MODULES[extra]:
        imported(name, extra)


def imported(name: str, extra: str) -> Any:
    """A module of an extra; ImportError as `check_installed`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        message = f"{package} is not installed. Run pip install 'kerasvid[{extra}]'."
        raise ImportError(message) from error


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
        module = imported("ai_edge_litert.interpreter", "tflite")
        try:
            self._interpreter = module.Interpreter(num_threads=threads, **source)
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


class OnnxModel:
    """An ONNX file in ONNX Runtime, on the CPU.

    Args:
        file: its content or its path.
        threads: number of threads.

    Raises:
        ImportError: `onnxruntime` is not installed.
        ValueError: the file is not an ONNX file.

    Example:
        >>> OnnxModel("rjvae.onnx")(summary=..., residual=...)["video"]
    """

    def __init__(self, file: bytes | str | os.PathLike, threads: int = 2):
        onnxruntime = imported("onnxruntime", "onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors alone
        source: Any = file if isinstance(file, bytes) else os.fspath(file)
        providers = ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=providers)
        except Exception as error:  # its classes have no common ancestor of their own
            name = "The file" if isinstance(file, bytes) else source
            message = f"{name}: cannot be read as ONNX ({error}). Export it again."
            raise ValueError(message) from error
        self.inputs = [each.name for each in self._session.get_inputs()]
        renamed = {f"{name}{OUT}": name for name in self.inputs}
        outputs = [each.name for each in self._session.get_outputs()]
        self.outputs = [renamed.get(name, name) for name in outputs]  # as the signature names them

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name; ValueError if the file takes inputs of other names."""
        check_names("The file", inputs, self.inputs)
        return dict(zip(self.outputs, self._session.run(None, inputs), strict=True))


def check_names(what: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    """Raises ValueError if the names of inputs differ from those that are wanted."""
    if set(given) != set(wanted):
        found, names = (", ".join(sorted(each)) for each in (given, wanted))
        raise ValueError(f"{what}: the inputs are {found}, not {names}. Export the model again.")


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
