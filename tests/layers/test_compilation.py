import gc
import threading
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.compilation import (
    Traces,
    compiled_by_xla,
    traced_function,
    tracing_for_xla,
)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_traced_function_knows_whether_xla_compiles_it(jit_compile):
    seen = []

    def double(x):
        seen.append(compiled_by_xla())
        return 2.0 * x

    assert float(traced_function(double, jit_compile)(tf.constant(3.0))) == 6.0
    assert seen == [jit_compile] and not compiled_by_xla()


def test_the_innermost_function_counts_and_threads_do_not_mix():
    seen = {}
    with tracing_for_xla():
        with tracing_for_xla(False):
            seen["inner"] = compiled_by_xla()
        seen["outer"] = compiled_by_xla()
        thread = threading.Thread(target=lambda: seen.update(thread=compiled_by_xla()))
        thread.start()
        thread.join()
    assert seen == {"inner": False, "outer": True, "thread": False}


def test_a_function_that_fails_leaves_nothing_behind():
    def broken(x):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        traced_function(broken, True)(tf.constant(1.0))
    assert not compiled_by_xla()


class Scaled:
    """Multiplies by a variable; counts how often it is traced or called."""

    def __init__(self):
        self.scale, self.calls = keras.Variable(2.0), 0

    def product(self, named, power):
        self.calls += 1
        return {"product": self.scale**power * named["x"]}


@pytest.fixture
def scaled():
    return Scaled()


def test_a_shape_is_traced_once_and_reads_the_variables_of_now(scaled):
    traces = Traces()
    for value in (2.0, 3.0, 5.0):
        scaled.scale.assign(value)
        made = traces.call(scaled.product, ({"x": tf.ones([3])}, 2), [scaled.scale])
        np.testing.assert_array_equal(made["product"], [value**2] * 3)
    assert scaled.calls == 1


@pytest.mark.parametrize(
    ("tensor", "power"), [(tf.ones([4]), 2), (tf.ones([3], tf.float64), 2), (tf.ones([3]), None)]
)
def test_another_shape_type_or_value_is_traced_anew(scaled, tensor, power):
    scaled.product = lambda named, power: {"x": named["x"], "power": tf.constant(power or 7)}
    scaled.product.__name__ = "product"
    traces = Traces()
    first = traces.call(scaled.product, ({"x": tf.zeros([3])}, 2), [scaled.scale])
    made = traces.call(scaled.product, ({"x": tensor}, power), [scaled.scale])
    assert len(traces) == 2 and int(first["power"]) == 2 and int(made["power"]) == (power or 7)
    assert (made["x"].shape, made["x"].dtype) == (tensor.shape, tensor.dtype)


def test_other_variables_are_traced_anew(scaled):
    traces = Traces()
    inputs = ({"x": tf.ones([3])}, 1)
    traces.call(scaled.product, inputs, [scaled.scale])
    scaled.scale = keras.Variable(11.0)
    made = traces.call(scaled.product, inputs, [scaled.scale])
    np.testing.assert_array_equal(made["product"], [11.0] * 3)


def test_graphs_are_bounded_and_the_longest_unused_goes_first(scaled, monkeypatch):
    monkeypatch.setattr(Traces, "LIMIT", 2)
    traces = Traces()
    for size in (1, 2, 1, 3, 1):  # 2 goes when 3 comes
        traces.call(scaled.product, ({"x": tf.ones([size])}, 1), [scaled.scale])
    assert len(traces) == 2 and scaled.calls == 3
    traces.call(scaled.product, ({"x": tf.ones([2])}, 1), [scaled.scale])
    assert scaled.calls == 4


def test_a_graph_does_not_hold_the_tensors_of_its_first_call(scaled):
    traces, tensor = Traces(), tf.ones([3])
    gone = weakref.ref(tensor)
    traces.call(scaled.product, ({"x": tensor}, 1), [scaled.scale])
    del tensor
    gc.collect()
    assert gone() is None


def test_arrays_are_inputs_and_no_part_of_the_graph(scaled):
    traces, array = Traces(), np.zeros([3_000], np.float32)
    traces.call(scaled.product, ({"x": array}, 1), [scaled.scale])
    array[1_500] = 7.0  # where the text of an array does not show it
    made = traces.call(scaled.product, ({"x": array}, 1), [scaled.scale])
    np.testing.assert_array_equal(made["product"], 2.0 * array)
    assert scaled.calls == 1


def test_many_shapes_are_traced_without_a_warning(scaled, caplog):
    traces = Traces()
    with caplog.at_level("WARNING", "tensorflow"):
        for size in range(1, 9):
            traces.call(scaled.product, ({"x": tf.ones([size])}, 1), [scaled.scale])
    assert caplog.records == [] and len(traces) == 8


def test_variables_that_a_graph_was_made_for_keep_their_identity(scaled):
    traces = Traces()
    gone = weakref.ref(scaled.scale)
    traces.call(scaled.product, ({"x": tf.ones([3])}, 1), [scaled.scale])
    scaled.scale = None
    gc.collect()
    assert gone() is not None
