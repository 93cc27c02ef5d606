"""Functions that XLA may compile; a layer chooses the quicker form of a sum while it is traced."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import tensorflow as tf

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
    """`tf.function(function, jit_compile=...)`, in which `compiled_by_xla` returns the value.

    Example:
        >>> double = traced_function(lambda x: 2.0 * x, jit_compile=True)
        >>> double(tf.constant(2.0)).numpy()
        4.0
    """

    def traced(*arguments, **named):
        with tracing_for_xla(jit_compile):
            return function(*arguments, **named)

    return tf.function(traced, jit_compile=jit_compile)
