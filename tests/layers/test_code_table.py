import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers import code_table
from kerasvid.layers.code_table import CodeTable, projected_to_ball, projected_to_rank


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def table():
    keras.utils.set_random_seed(0)
    return CodeTable(rows=6, shape=(3, 2))


def normals(generator, *shape):
    return generator.normal(size=shape).astype("float32")


def by_hand(codes, momentum, rows, gradients, rate, decay):
    """The descent of every row by itself, in numpy."""
    codes, momentum = codes.copy(), momentum.copy()
    for row in set(rows):
        total = sum(g for r, g in zip(rows, gradients, strict=True) if r == row)
        momentum[row] = decay * momentum[row] + total
        codes[row] = codes[row] - rate * momentum[row]
        for vector in codes[row]:
            vector /= max(1.0, np.sqrt(np.sum(vector**2)))
    return codes, momentum


def test_a_descent_is_momentum_and_a_projection_by_hand(table, generator):
    codes, momentum = table.codes.numpy(), table.momentum.numpy()
    for rows in ([4, 1], [1, 5], [4, 1]):
        gradients = normals(generator, 2, 3, 2)
        codes, momentum = by_hand(codes, momentum, rows, gradients, 0.3, 0.9)
        table.descend(tf.constant(rows), tf.constant(gradients), 0.3, 0.9)
        np.testing.assert_allclose(table.codes, codes, atol=1e-6)
        np.testing.assert_allclose(table.momentum, momentum, atol=1e-6)
    norms = np.linalg.norm(table.codes.numpy(), axis=-1)
    assert norms.max() <= 1.0 + 1e-6 and np.isclose(norms, 1.0).any()


def test_rows_outside_the_batch_do_not_change(table, generator):
    table.descend(tf.range(6), tf.constant(normals(generator, 6, 3, 2)), 0.3, 0.9)
    codes, momentum = table.codes.numpy(), table.momentum.numpy()
    table.descend(tf.constant([2, 3]), tf.constant(normals(generator, 2, 3, 2)), 0.3, 0.9)
    others = [0, 1, 4, 5]
    np.testing.assert_array_equal(table.codes.numpy()[others], codes[others])
    np.testing.assert_array_equal(table.momentum.numpy()[others], momentum[others])
    assert (table.codes.numpy()[[2, 3]] != codes[[2, 3]]).all()


def test_a_shared_row_gets_the_sum_of_its_gradients(table, generator):
    rows, gradients = [2, 0, 2, 2], normals(generator, 4, 3, 2)
    expected = by_hand(table.codes.numpy(), table.momentum.numpy(), rows, gradients, 0.1, 0.9)
    table.descend(tf.constant(rows), tf.constant(gradients), 0.1, 0.9)
    np.testing.assert_allclose(table.codes, expected[0], atol=1e-6)
    np.testing.assert_allclose(table.momentum, expected[1], atol=1e-6)


@pytest.mark.parametrize("rows", [([1, 2], [3, 5]), ([1, 2], [2, 4])])
def test_two_replicas_agree_with_one(strategy_of, table, generator, rows):
    strategy = strategy_of(2)
    with strategy.scope():
        shared = CodeTable(rows=6, shape=(3, 2))
    shared.codes.assign(table.codes.numpy())
    gradients = [normals(generator, 2, 3, 2) for _ in rows]

    def of_replica(values):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(values[context.replica_id_in_sync_group])
        )

    @tf.function
    def descend(rows, gradients):
        strategy.run(lambda r, g: shared.descend(r, g, 0.5, 0.9), args=(rows, gradients))

    for _ in range(2):
        descend(of_replica(rows), of_replica(gradients))
        together = tf.constant(np.concatenate(rows)), tf.constant(np.concatenate(gradients))
        table.descend(*together, 0.5, 0.9)
    for name in ("codes", "momentum", "learned"):
        for copy in strategy.experimental_local_results(getattr(shared, name).value):
            np.testing.assert_allclose(copy, getattr(table, name).numpy(), atol=1e-6)


@pytest.mark.parametrize("method", ["call", "descend"])
def test_a_replica_reads_nothing_of_the_size_of_the_table(strategy_of, method):
    strategy = strategy_of(2)
    with strategy.scope():
        table = CodeTable(rows=1009, shape=(4,))  # a prime

    def step(rows, gradients):
        return table(rows) if method == "call" else table.descend(rows, gradients, 0.1, 0.9)

    traced = tf.function(lambda rows, gradients: strategy.run(step, args=(rows, gradients)))
    graph = traced.get_concrete_function(
        tf.TensorSpec([3], tf.int64), tf.TensorSpec([3, 4], tf.float32)
    ).graph
    tensors = [output for node in graph.get_operations() for output in node.outputs]
    sizes = [
        tensor.shape.num_elements()
        for tensor in tensors
        if tensor.dtype != tf.resource and tensor.shape.is_fully_defined()
    ]
    assert 12 in sizes and not any(size and size % 1009 == 0 for size in sizes)


@pytest.mark.parametrize(
    "values",
    [
        [np.array([[1.0, np.inf]], "float32"), np.array([[3.0, 4.0]], "float32")],
        [np.array([2**53 + 1, -1]), np.array([5, 2**24 + 1])],  # numbers that no float holds
    ],
    ids=["gradients", "rows"],
)
def test_rows_of_several_workers_are_gathered_by_a_sum(strategy_of, values):
    strategy = strategy_of(2)
    shares = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(values[context.replica_id_in_sync_group])
    )
    gathered = tf.function(lambda: strategy.run(code_table._gathered_by_sum, args=(shares,)))()
    for copy in strategy.experimental_local_results(gathered):
        assert copy.dtype == values[0].dtype
        np.testing.assert_array_equal(copy, np.concatenate(values))


def test_gradients_that_are_not_finite_change_nothing(table, generator):
    table.descend(tf.range(6), tf.constant(normals(generator, 6, 3, 2)), 0.3, 0.9)
    codes, momentum = table.codes.numpy(), table.momentum.numpy()
    gradients = normals(generator, 2, 3, 2)
    gradients[1, 0, 0] = np.inf
    table.descend(tf.constant([0, 3]), tf.constant(gradients), 0.3, 0.9)
    np.testing.assert_array_equal(table.codes.numpy(), codes)
    np.testing.assert_array_equal(table.momentum.numpy(), momentum)


def test_a_row_whose_gradients_were_never_finite_is_not_learned(table):
    table.descend(tf.constant([1]), tf.fill([1, 3, 2], np.inf), 0.3, 0.9)
    table.descend(tf.constant([4]), tf.ones([1, 3, 2]), 0.3, 0.9)
    table.descend(tf.constant([4]), tf.fill([1, 3, 2], np.nan), 0.3, 0.9)
    np.testing.assert_array_equal(table.learned_rows(), [4])


def test_the_step_holds_nothing_of_the_size_of_the_table():
    table = CodeTable(rows=1000, shape=(4,))
    step = tf.function(lambda rows, gradients: table.descend(rows, gradients, 0.1, 0.9))
    graph = step.get_concrete_function(
        tf.TensorSpec([3], tf.int64), tf.TensorSpec([3, 4], tf.float32)
    ).graph
    tensors = [output for node in graph.get_operations() for output in node.outputs]
    sizes = [t.shape.num_elements() for t in tensors if t.shape.is_fully_defined()]
    assert max(sizes) <= 12


# === Projections ===


def test_the_projection_to_the_ball_scales_longer_vectors_only():
    vectors = tf.constant([[0.3, 0.4], [3.0, 4.0], [0.0, 0.0], [0.6, 0.8]])
    expected = [[0.3, 0.4], [0.6, 0.8], [0.0, 0.0], [0.6, 0.8]]
    np.testing.assert_allclose(projected_to_ball(vectors), expected, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_a_projected_sequence_has_the_rank_and_is_the_nearest(generator, rank):
    sequences = generator.normal(size=[2, 7, 5])
    projected = projected_to_rank(tf.constant(sequences), rank).numpy()
    for sequence, nearest in zip(sequences, projected, strict=True):
        assert np.linalg.matrix_rank(nearest, tol=1e-8) == rank
        left_out = np.linalg.svd(sequence, compute_uv=False)[rank:]  # Eckart and Young
        assert np.isclose(np.sum((sequence - nearest) ** 2), np.sum(left_out**2))


def test_a_descent_keeps_the_rank_through_the_ball(generator):
    table = CodeTable(rows=3, shape=(7, 5), rank=2)
    gradients = tf.constant(normals(generator, 2, 7, 5))
    table.descend(tf.constant([0, 2]), gradients, 0.3, 0.9)
    ranks = np.linalg.matrix_rank(table.codes.numpy(), tol=1e-5)
    assert list(ranks) == [2, 5, 2]


@pytest.mark.parametrize("count", [5, 2])
def test_learned_rows_are_those_that_were_ever_updated(generator, count):
    table = CodeTable(rows=60, shape=(3,))
    assert len(table.learned_rows()) == 60  # of a fresh table nothing better is known
    rows = np.array([3, 5, 8, 13, 21][:count])
    table.descend(tf.constant(rows), tf.constant(normals(generator, count, 3)), 0.3, 0.9)
    np.testing.assert_array_equal(table.learned_rows(), rows)


def test_a_table_without_rows_raises():
    with pytest.raises(ValueError, match=r"rows=0 .* must be 1 or more"):
        CodeTable(rows=0, shape=(2,))


def test_a_rank_beyond_the_matrix_raises():
    with pytest.raises(ValueError, match=r"rank=4 must be from 1 to 3, or None"):
        CodeTable(rows=2, shape=(3, 5), rank=4)
