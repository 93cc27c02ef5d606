"""Latent codes that are weights: a row for a video, an identity or an action, trained itself."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

LARGEST_FACTOR = 64  # directions of the Gaussian fitted to a table
FITTED_ROWS = 2048  # of a large table, evenly spread, that the Gaussian is fitted to


@keras.saving.register_keras_serializable(package="kerasvid")
class CodeTable(keras.layers.Layer):
    """A table of latent codes, updated by SGD with momentum on the rows of a batch alone.

    Every vector of a row, along its last axis, lies in the unit ball: after an update it is
    z / max(1, ||z||) (Bojanowski et al., "Optimizing the Latent Space of Generative Networks",
    ICML 2018). Neither the time of an update nor the memory it needs beside the table and its
    momentum grows with the number of rows.

    The codes are no `trainable_variables`: `descend` trains them, no Keras optimizer does. Rows
    that it never updated, of an identity without a training video say, are initial noise: they are
    no part of the Gaussian of the codes (see `learned_rows`).

    Args:
        rows: how many.
        shape: of a row: `(D,)`, or `(T, D)` for a sequence.
        deviation: of the initial Gaussian; 1 / sqrt(D) where `None`, so that vectors begin near
            the border of the ball.

    Raises:
        ValueError: `rows` is less than 1.

    Example:
        >>> table = CodeTable(rows=100, shape=(16, 8))
        >>> table(tf.constant([3, 7])).shape
        TensorShape([2, 16, 8])
    """

    def __init__(self, rows: int, shape: Sequence[int], deviation: float | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)  # codes stay float32
        if not isinstance(rows, int) or rows < 1:
            raise ValueError(f"rows={rows!r} of a table of codes must be 1 or more.")
        self.rows, self.shape, self.deviation = rows, tuple(shape), deviation
        self.size = int(np.prod(self.shape))
        self.build()

    def build(self, input_shape=None) -> None:
        if self.built:
            return
        deviation = self.shape[-1] ** -0.5 if self.deviation is None else self.deviation
        start = keras.initializers.RandomNormal(stddev=deviation)
        directions = min(LARGEST_FACTOR, self.rows, self.size)

        def in_the_ball(shape, dtype=None):
            return projected_to_ball(start(shape, dtype))

        self.codes = self._state("codes", (self.rows, *self.shape), in_the_ball)
        self.momentum = self._state("momentum", (self.rows, *self.shape), "zeros")
        self.learned = self._state("learned", (self.rows,), "zeros")  # 1 where ever updated
        self.mean = self._state("mean", (self.size,), "zeros")
        # Before the first fit: as far apart as the codes begin.
        spread = keras.initializers.RandomNormal(stddev=deviation / directions**0.5)
        self.factor = self._state("factor", (directions, self.size), spread)
        self.built = True

    def _state(self, name: str, shape: Sequence[int], initializer) -> keras.Variable:
        return self.add_weight(
            shape, initializer, "float32", trainable=False, autocast=False, name=name
        )

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """The codes of some rows: int `[B] -> [B, *shape]`."""
        return _looked_up(self.codes, rows)

    # === Training ===

    def descend(
        self,
        rows: tf.Tensor,
        gradients: tf.Tensor,
        rate: tf.Tensor | float,
        momentum: float,
        rank: int | None = None,
    ) -> None:
        """One step of SGD with momentum on some rows, then the projections; in replica context.

            m <- momentum m + g,  z <- z - rate m

        A row that several videos of the batch share, on one replica or on several, gets the sum of
        their gradients. Where a gradient is not finite nothing is changed: loss scaling skips that
        step.

        Args:
            rows: int `[B]`.
            gradients: `[B, *shape]`, of the loss summed over the replicas.
            rate: learning rate.
            momentum: in [0, 1).
            rank: of the matrix of a sequence after the update, see `projected_to_rank`, or `None`.
        """
        rows, gradients = _of_all_replicas(rows, gradients)
        flat = tf.reshape(gradients, [-1, self.size])  # [B, S]
        shared = tf.cast(rows[:, None] == rows[None], tf.float32)  # [B, B]
        total = tf.reshape(tf.matmul(shared, flat), tf.shape(gradients))
        codes, before = _looked_up(self.codes, rows), _looked_up(self.momentum, rows)
        moved = momentum * before + total
        new = codes - rate * moved
        if rank is not None:
            new = projected_to_rank(new, rank)
        finite = tf.reduce_all(tf.math.is_finite(flat))
        # Copies of a shared row hold the same numbers: which of them is written last is no matter.
        self.momentum.value.scatter_update(tf.IndexedSlices(tf.where(finite, moved, before), rows))
        new = tf.where(finite, projected_to_ball(new), codes)
        self.codes.value.scatter_update(tf.IndexedSlices(new, rows))
        marks = tf.maximum(_looked_up(self.learned, rows), tf.cast(finite, tf.float32))
        self.learned.value.scatter_update(tf.IndexedSlices(marks, rows))

    def forget_momentum(self) -> None:
        """Sets the momentum to zero, where a descent begins anew."""
        self.momentum.assign(tf.zeros([self.rows, *self.shape]))

    # === What was learned ===

    def learned_rows(self) -> np.ndarray:
        """The numbers of the rows that were ever updated, int `[N]`; of a fresh table, all."""
        (rows,) = np.nonzero(self.learned.numpy())
        return rows if len(rows) else np.arange(self.rows)

    def learned_mean(self) -> tf.Tensor:
        """The mean `[*shape]` of the rows that were ever updated; of a fresh table, of all."""
        marks = tf.convert_to_tensor(self.learned)
        marks = tf.where(tf.reduce_any(marks > 0), marks, tf.ones_like(marks))[:, None]
        flat = tf.reshape(tf.convert_to_tensor(self.codes), [self.rows, self.size])
        mean = tf.reduce_sum(marks * flat, axis=0) / tf.reduce_sum(marks)
        return tf.reshape(mean, self.shape)

    def fit_gaussian(self) -> None:
        """Fits `mean + e factor`, e ~ N(0, I), to the learned rows, as `sample` draws from it.

        By the largest directions of the covariance, at most 64; of more than 2,048 rows that many,
        evenly spread.
        """
        learned = self.learned_rows()
        spread = np.linspace(0, len(learned) - 1, min(len(learned), FITTED_ROWS)).astype(int)
        chosen = learned[spread]
        codes = _looked_up(self.codes, chosen).numpy().reshape(len(chosen), self.size)
        mean = codes.mean(axis=0, dtype=np.float64)
        factor = np.zeros(self.factor.shape)
        scaled = _largest_directions(codes - mean, len(factor))
        factor[: len(scaled)] = scaled / max(len(chosen) - 1, 1) ** 0.5  # few rows span few
        self.mean.assign(mean)
        self.factor.assign(factor)

    def sample(self, noise: tf.Tensor) -> tf.Tensor:
        """Codes from standard Gaussian noise `[B, K]`, K = `factor.shape[0]`: `[B, *shape]`."""
        flat = self.mean.value + tf.matmul(noise, self.factor.value)
        return projected_to_ball(tf.reshape(flat, [-1, *self.shape]))

    def get_config(self) -> dict:
        own = {"rows": self.rows, "shape": self.shape, "deviation": self.deviation}
        return {**super().get_config(), **own}


def projected_to_ball(codes: tf.Tensor) -> tf.Tensor:
    """z / max(1, ||z||) of every vector along the last axis."""
    norms = tf.norm(codes, axis=-1, keepdims=True)
    return codes / tf.maximum(norms, 1.0)


def projected_to_rank(codes: tf.Tensor, rank: int) -> tf.Tensor:
    """Every sequence `[B, T, D]` from its top `rank` singular vectors.

    Equation (7) of Aich et al.: transient codes of low rank lie on a manifold along which frames
    can be interpolated.
    """
    values, left, right = tf.linalg.svd(codes)  # [B, K], [B, T, K], [B, D, K]
    kept = left[..., :rank] * values[:, None, :rank]
    return tf.matmul(kept, right[..., :rank], transpose_b=True)


def existing_rows(key: str, rows: tf.Tensor, count: int) -> tf.Tensor:
    """The rows int64 `[B]` that a batch names, if a table of `count` rows has them.

    Raises:
        InvalidArgumentError: it has not; without this a GPU would read zeros.
    """
    rows = tf.cast(rows, tf.int64)
    message = (
        f'The batch has another "{key}" than 0 to {count - 1}, the rows that there are codes of '
        "(-1 is unknown)."
    )
    there = tf.reduce_all((rows >= 0) & (rows < count))
    with tf.control_dependencies([tf.debugging.Assert(there, [message, rows], summarize=8)]):
        return tf.identity(rows)


def _looked_up(variable: keras.Variable, rows: tf.Tensor) -> tf.Tensor:
    """Some rows; `tf.gather` would read the whole table of a mirrored variable."""
    table = variable.value
    if tf.distribute.in_cross_replica_context():
        table = tf.distribute.get_strategy().experimental_local_results(table)[0]
    return tf.raw_ops.ResourceGather(resource=table.handle, indices=rows, dtype=table.dtype)


def _largest_directions(rows: np.ndarray, count: int) -> np.ndarray:
    """The right singular vectors `[count, D]` of rows `[N, D]`, times their singular values.

    By the smaller Gram matrix: several times quicker than a decomposition of the rows themselves.
    """
    if len(rows) <= rows.shape[1]:
        _, left = np.linalg.eigh(rows @ rows.T)  # in ascending order
        return left[:, ::-1][:, :count].T @ rows
    values, right = np.linalg.eigh(rows.T @ rows)
    deviations = np.sqrt(np.maximum(values[::-1][:count], 0.0))
    return deviations[:, None] * right[:, ::-1][:, :count].T


def _of_all_replicas(rows: tf.Tensor, gradients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows, gradients
    if isinstance(context.strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return _gathered_by_sum(rows), _gathered_by_sum(gradients)
    return context.all_gather(rows, axis=0), context.all_gather(gradients, axis=0)


def _gathered_by_sum(value: tf.Tensor) -> tf.Tensor:
    """`[B, ...]` of every replica, one after the other; all of them need the same B.

    `all_gather` fails on several workers of one replica each.
    """
    context = tf.distribute.get_replica_context()
    places = tf.range(context.num_replicas_in_sync)
    own = tf.equal(places, context.replica_id_in_sync_group)
    own = tf.reshape(own, [-1] + [1] * value.shape.rank)
    # A choice, not a product: infinity times 0 is not 0.
    mine = tf.where(own, value[None], tf.zeros_like(value)[None])  # [R, B, ...]
    every = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
    return tf.reshape(every, tf.concat([[-1], tf.shape(value)[1:]], axis=0))
