"""ONNX files as they are run: by ONNX Runtime, without TensorFlow."""

import importlib
import os

import numpy as np

from kerasvid.export.lite_model import check_names

PACKAGES = ("onnx", "tf2onnx", "onnxruntime")  # that writing takes; the last one runs
OUT = "_out"  # behind an output named as an input: a graph of ONNX has one set of names
MISSING = "{}, for ONNX files, is not installed: pip install -e '.[onnx]'."


def check_installed(*packages: str) -> None:
    """Raises ImportError, in one line with the remedy, where a package for ONNX is missing."""
    for name in packages or PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ImportError(MISSING.format(name)) from error


class OnnxModel:
    """An ONNX file in ONNX Runtime, on the CPU.

    Args:
        file: its content or its path.
        threads: to run on.

    Raises:
        ImportError: `onnxruntime` is not installed.
        ValueError: the file is no ONNX file.

    Example:
        >>> OnnxModel("rjvae.onnx")(summary=..., residual=...)["video"]
    """

    def __init__(self, file: bytes | str | os.PathLike, threads: int = 2):
        check_installed("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors alone
        source = file if isinstance(file, bytes) else os.fspath(file)
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its classes have no common ancestor of their own
            named = "the file" if isinstance(file, bytes) else source
            raise ValueError(f"{named}: cannot be read as ONNX ({error}); export again.") from error
        self.inputs = [each.name for each in self._session.get_inputs()]
        told = [each.name for each in self._session.get_outputs()]
        renamed = {f"{name}{OUT}": name for name in self.inputs}
        self.outputs = [renamed.get(name, name) for name in told]  # as the verb names them

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name.

        Raises:
            ValueError: the file takes inputs of other names.
        """
        check_names("the file", inputs, self.inputs)
        return dict(zip(self.outputs, self._session.run(None, inputs), strict=True))
