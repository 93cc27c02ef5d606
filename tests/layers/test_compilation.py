import threading

import pytest
import tensorflow as tf

from kerasvid.layers.compilation import compiled_by_xla, traced_function, tracing_for_xla


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
