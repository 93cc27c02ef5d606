"""Functions that XLA may compile; a layer chooses the quicker form of a sum while it is traced."""

import collections
import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_GIVEN = object()  # in place of a tensor
_ARRAYS = np.ndarray, keras.Variable, tf.Variable
_BY_XLA = contextvars.ContextVar("compiled_by_xla", default=False)


def compiled_by_xla() -> bool:
    """Whether the function traced now, by `traced_function`, will be compiled by XLA."""
    return _BY_XLA.get()


@contextlib.contextmanager
def tracing_for_xla(jit_compile: bool = True) -> Iterator[None]:
    """Within the block `compiled_by_xla` returns this value."""
    token = _BY_XLA.set(jit_compile)
    try:
        yield
    finally:
        _BY_XLA.reset(token)


def traced_function(function: Callable, jit_compile: bool) -> Callable:
    """`tf.function` without autograph, in which `compiled_by_xla` returns the value.

    Example:
        >>> double = traced_function(lambda x: 2.0 * x, jit_compile=True)
        >>> double(tf.constant(2.0)).numpy()
        4.0
    """

    def traced(*arguments, **named):
        with tracing_for_xla(jit_compile):
            return function(*arguments, **named)

    # Nothing here has Python control flow by tensors, and its conversion takes seconds.
    return tf.function(traced, jit_compile=jit_compile, autograph=False)


class Traces:
    """Graphs of a model's methods, one for each shape of the inputs; the longest unused goes first.

    A graph holds the variables that the model had when it was traced. Others, as after a prior was
    fitted, lead to a new graph.
    """

    LIMIT = 16

    def __init__(self) -> None:
        # By key the graph, and the variables that the key names: no other may get their identity.
        self._graphs: collections.OrderedDict[Any, tuple[Callable, list]] = (
            collections.OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._graphs)

    def call(self, method: Callable, inputs: Any, variables: Iterable[keras.Variable]) -> Any:
        """`method(*inputs)` by its graph.

        Args:
            method: a bound method, named alike in all calls.
            inputs: its arguments: tensors, arrays and variables, also in dictionaries, and values
                that the graph is made for, such as a number of frames.
            variables: of the model.

        Example:
            >>> Traces().call(model._pixels, (codes,), model.weights)
        """
        inputs = tf.nest.map_structure(
            lambda each: tf.convert_to_tensor(each) if isinstance(each, _ARRAYS) else each, inputs
        )
        leaves, variables = tf.nest.flatten(inputs), list(variables)
        tensors = [each for each in leaves if tf.is_tensor(each)]
        given = [
            (each.shape.as_list(), each.dtype) if tf.is_tensor(each) else each for each in leaves
        ]
        names = [sorted(each) if isinstance(each, dict) else None for each in inputs]
        key = repr((method.__name__, given, names)), tuple(map(id, variables))
        kept = self._graphs.pop(key, None)  # another thread may call, too
        if kept is None:
            # The graph stays, and must not hold the tensors of its first call.
            form = tf.nest.map_structure(
                lambda each: _GIVEN if tf.is_tensor(each) else each, inputs
            )

            def graph(*tensors: tf.Tensor) -> Any:
                rest = iter(tensors)
                return method(*tf.nest.map_structure(
                    lambda each: next(rest) if each is _GIVEN else each, form
                ))  # fmt: skip

            specs = [tf.TensorSpec(each.shape, each.dtype) for each in tensors]
            # A concrete one: of functions TensorFlow warns when many are traced.
            made = tf.function(graph, autograph=False).get_concrete_function(*specs)
            kept = made, variables
        self._graphs[key] = kept
        while len(self._graphs) > self.LIMIT:
            self._graphs.popitem(last=False)
        return kept[0](*tensors)
