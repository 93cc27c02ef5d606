"""Latent codes that are weights: a trained row for each video, identity or action."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.naming import KeepsArguments


@keras.saving.register_keras_serializable(package="kerasvid")
class CodeTable(KeepsArguments, keras.layers.Layer):
    """A table of latent codes; SGD with momentum updates the rows of a batch.

    After an update every vector of a row, along its last axis, is z / max(1, ||z||) and lies in the
    unit ball (Bojanowski et al., "Optimizing the Latent Space of Generative Networks", ICML 2018).
    Neither the time nor the memory of an update grows with the number of rows.

    The codes are not `trainable_variables`: `descend` trains them, not a Keras optimizer. Rows that
    were never updated, such as those of an identity without a training video, are initial noise.

    Args:
        rows: number of rows.
        shape: of a row: `(D,)`, or `(T, D)` for a sequence.
        rank: of the `(T, D)` matrix of a sequence after every update; `None` for any.

    Raises:
        ValueError: `rows` is less than 1, or `rank` is out of its range.

    Example:
        >>> table = CodeTable(rows=100, shape=(16, 8))
        >>> table(tf.constant([3, 7])).shape
        TensorShape([2, 16, 8])
    """

    def __init__(self, rows: int, shape: Sequence[int], rank: int | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)  # codes stay float32
        if not isinstance(rows, int) or rows < 1:
            raise ValueError(f"rows={rows!r} of a table of codes must be 1 or more.")
        if rank is not None and not (isinstance(rank, int) and 1 <= rank <= min(shape)):
            raise ValueError(f"rank={rank!r} must be from 1 to {min(shape)}, or None.")
        self.rows, self.shape, self.rank = rows, tuple(shape), rank
        self.size = int(np.prod(self.shape))
        self.build()

    def build(self, input_shape=None) -> None:
        if self.built:  # type: ignore[has-type]
            return
        stddev = self.shape[-1] ** -0.5  # vectors begin near the border of the ball
        normal = keras.initializers.RandomNormal(stddev=stddev)
        table = (self.rows, *self.shape)

        def in_ball(shape, dtype=None):
            return projected_to_ball(normal(shape, dtype))

        def add(name: str, shape: Sequence[int], initializer: Any = "zeros") -> keras.Variable:
            kind: dict[str, Any] = {"trainable": False, "autocast": False, "name": name}
            return self.add_weight(shape, initializer, "float32", **kind)

        self.codes, self.momentum = add("codes", table, in_ball), add("momentum", table)
        self.learned = add("learned", (self.rows,))  # 1 where ever updated
        self.built = True

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """The codes of some rows: int `[B] -> [B, *shape]`."""
        return _looked_up(self.codes, rows)

    # === Training ===

    def descend(
        self, rows: tf.Tensor, gradients: tf.Tensor, rate: tf.Tensor | float, momentum: float
    ) -> None:
        """One step of SGD with momentum on some rows, then `project`; in replica context.

            m <- momentum m + g,  z <- z - rate m

        A row that several videos share, also of other replicas, gets the sum of their gradients.
        Nothing changes where a gradient is not finite, because loss scaling skips that step, or
        where the table is not `trainable`.

        Args:
            rows: int `[B]`.
            gradients: `[B, *shape]`, of the loss summed over the replicas.
            rate, momentum: learning rate; in [0, 1).
        """
        if not self.trainable:
            return
        rows, gradients = _of_all_replicas(rows, gradients)
        flat = tf.reshape(gradients, [-1, self.size])  # [B, S]
        shared = tf.cast(rows[:, None] == rows[None], tf.float32)  # [B, B]
        total = tf.reshape(tf.matmul(shared, flat), tf.shape(gradients))
        codes, before = _looked_up(self.codes, rows), _looked_up(self.momentum, rows)
        moved = momentum * before + total
        finite = tf.reduce_all(tf.math.is_finite(flat))
        marks = tf.maximum(_looked_up(self.learned, rows), tf.cast(finite, tf.float32))
        updates = (
            (self.momentum, tf.where(finite, moved, before)),
            (self.codes, tf.where(finite, self.project(codes - rate * moved), codes)),
            (self.learned, marks),
        )
        # Copies of a shared row hold the same numbers, so that any of them may be written last.
        for variable, values in updates:
            variable.value.scatter_update(tf.IndexedSlices(values, rows))

    def project(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes `[B, *shape]` moved to where training keeps them: of `rank`, in the unit ball."""
        if self.rank is not None:
            codes = projected_to_rank(codes, self.rank)
        return projected_to_ball(codes)

    def forget_momentum(self) -> None:
        """Sets the momentum to zero, for a new training."""
        self.momentum.assign(tf.zeros_like(self.momentum))

    # === Learned rows ===

    def learned_rows(self) -> np.ndarray:
        """The numbers of the rows that were ever updated, int `[N]`; all rows of a new table."""
        (rows,) = np.nonzero(self.learned.numpy())
        return rows if len(rows) else np.arange(self.rows)

    def learned_mean(self) -> tf.Tensor:
        """The mean `[*shape]` of the rows that were ever updated; of all rows of a new table."""
        marks = tf.convert_to_tensor(self.learned)
        marks = tf.where(tf.reduce_any(marks > 0), marks, tf.ones_like(marks))
        return tf.tensordot(marks, self.codes.value, 1) / tf.reduce_sum(marks)


def projected_to_ball(codes: tf.Tensor) -> tf.Tensor:
    """z / max(1, ||z||) of every vector along the last axis."""
    norms = tf.norm(codes, axis=-1, keepdims=True)
    return codes / tf.maximum(norms, 1.0)


def projected_to_rank(codes: tf.Tensor, rank: int) -> tf.Tensor:
    """Sequences `[B, T, D]` from their `rank` largest singular vectors: (7) of Aich et al."""
    values, left, right = tf.linalg.svd(codes)  # [B, K], [B, T, K], [B, D, K]
    kept = left[..., :rank] * values[:, None, :rank]
    return tf.matmul(kept, right[..., :rank], transpose_b=True)


def _looked_up(variable: keras.Variable, rows: tf.Tensor) -> tf.Tensor:
    """Some rows of a table; `tf.gather` would read all of a mirrored variable."""
    table = variable.value
    if tf.distribute.in_cross_replica_context():
        table = tf.distribute.get_strategy().experimental_local_results(table)[0]
    return tf.raw_ops.ResourceGather(resource=table.handle, indices=rows, dtype=table.dtype)


def _of_all_replicas(rows: tf.Tensor, gradients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows, gradients
    if isinstance(context.strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return _gathered_by_sum(rows), _gathered_by_sum(gradients)
    return context.all_gather(rows, axis=0), context.all_gather(gradients, axis=0)


def _gathered_by_sum(value: tf.Tensor) -> tf.Tensor:
    """As `all_gather`, which fails on workers of one replica: `[R B, ...]` of equal `[B, ...]`."""
    context = tf.distribute.get_replica_context()
    replicas = tf.range(context.num_replicas_in_sync)
    own = tf.equal(replicas, context.replica_id_in_sync_group)
    own = tf.reshape(own, [-1] + [1] * value.shape.rank)
    # `tf.where`, not a product: infinity times 0 is not 0.
    mine = tf.where(own, value[None], tf.zeros_like(value)[None])  # [R, B, ...]
    every = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
    return tf.reshape(every, tf.concat([[-1], tf.shape(value)[1:]], axis=0))
