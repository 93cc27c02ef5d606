import pytest
import tensorflow as tf

from kerasvid.runs.benchmark import count_operations, median_seconds


def graph_of(function, *specs):
    return tf.function(function).get_concrete_function(*specs).graph


def gradients(forward):
    def run(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.reduce_sum(tf.square(forward(x, w)))
        return tape.gradient(y, [x, w])

    return run


def test_a_matrix_product_and_its_gradients():
    x, w = tf.TensorSpec([5, 7]), tf.TensorSpec([7, 11])
    assert count_operations(graph_of(tf.matmul, x, w)) == 2 * 5 * 7 * 11
    assert count_operations(graph_of(gradients(tf.matmul), x, w)) == 3 * 2 * 5 * 7 * 11


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_and_its_gradients(stride):
    x, w = tf.TensorSpec([2, 8, 8, 3]), tf.TensorSpec([3, 3, 3, 5])
    forward = lambda x, w: tf.nn.conv2d(x, w, stride, "SAME")  # noqa: E731
    expected = 2 * 2 * (8 // stride) ** 2 * 3 * 3 * 3 * 5
    assert count_operations(graph_of(forward, x, w)) == expected
    assert count_operations(graph_of(gradients(forward), x, w)) == 3 * expected


def test_a_batch_of_unknown_size_is_refused():
    x, w = tf.TensorSpec([None, 7]), tf.TensorSpec([7, 11])
    with pytest.raises(ValueError, match="not static"):
        count_operations(graph_of(tf.matmul, x, w))


def test_the_median_leaves_the_warm_up_out(monkeypatch):
    from kerasvid.runs import benchmark

    clock = iter([0, 100, 200, 300, 301, 400, 403, 500, 502])  # one look a warm-up, then two
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    assert median_seconds(lambda: None, 3, warm_up=3) == 2
