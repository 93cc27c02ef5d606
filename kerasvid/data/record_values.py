"""What the records of a split are told by, without a look at their frames."""

import functools
import os

import tensorflow as tf

from kerasvid.data.schema import parse_record
from kerasvid.data.shards import load_info

BATCH = 256  # values fetched at once


@functools.lru_cache(maxsize=32)
def record_values(folder: str, split: str, key: str) -> frozenset[int]:
    """The different values of a field in the records of a split.

    Args:
        folder: of the data set.
        split: one of its splits.
        key: `"label"` or `"identity"`; -1 stands for unknown.

    Raises:
        DatasetError: there is no data set.
        tf.errors.OpError: a record is damaged.

    Example:
        >>> record_values("data/sprites", "test", "label")
        frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8})
    """
    files = [os.path.join(folder, shard.file) for shard in load_info(folder).splits[split].shards]
    values = tf.data.TFRecordDataset(files).map(
        lambda record: parse_record(record)[key], num_parallel_calls=tf.data.AUTOTUNE
    )
    return frozenset(int(value) for batch in values.batch(BATCH) for value in batch.numpy())
