"""ONNX files in ONNX Runtime, without TensorFlow."""

import importlib
import os
from typing import Any

import numpy as np

from kerasvid.export.lite_model import check_names

PACKAGES = ("onnx", "tf2onnx", "onnxruntime")  # for writing; the last one runs files
OUT = "_out"  # ending of an output named as an input: a graph of ONNX has one set of names


def check_installed(*packages: str) -> None:
    """Raises ImportError, in one line with the remedy, if a package for ONNX is missing."""
    for name in packages or PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            message = f"{name} is not installed. Run pip install 'kerasvid[onnx]'."
            raise ImportError(message) from error


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
        check_installed("onnxruntime")
        import onnxruntime

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
