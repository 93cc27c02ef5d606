"""Ranges of the activations of a TFLite file, measured without one overwriting another.

TFLite lets an addition, a product or a bound write its output over its input, where nothing else
reads that input. The converter's calibrator looks at both only when it is done, and so takes the
range of an output for that of the input: the pixels' `(x + 1) * 127.5` lost 20 levels by it. A
tensor that is an output of its graph is never written over, so that all of them are outputs while
ranges are measured.
"""

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.optimize import calibrator
from tensorflow.lite.tools import flatbuffer_utils


@contextlib.contextmanager
def every_tensor_kept() -> Iterator[None]:
    """Within it, converters measure ranges with no tensor written over.

    Example:
        >>> with every_tensor_kept():
        ...     content = converter.convert()
    """
    with mock.patch.object(calibrator, "Calibrator", _Calibrator):
        yield


class _Calibrator(calibrator.Calibrator):
    """The converter's own, on the file with every computed tensor as an output of its graph."""

    def __init__(self, model_content: bytes, *registerers):
        given = _read(model_content)
        self._outputs = [list(graph.outputs) for graph in given.subgraphs]
        for graph in given.subgraphs:
            computed = [index for op in graph.operators for index in op.outputs if index >= 0]
            graph.outputs = [*graph.outputs, *sorted({*computed} - {*graph.outputs})]
        super().__init__(_written(given), *registerers)

    def calibrate(self, dataset_gen: Callable) -> bytes:
        """The file as it was given, with the ranges of its tensors."""
        measured = _read(super().calibrate(dataset_gen))
        for graph, outputs in zip(measured.subgraphs, self._outputs, strict=True):
            graph.outputs = outputs
        return _written(measured)


def _read(content: bytes) -> schema.ModelT:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _written(model: schema.ModelT) -> bytes:
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
