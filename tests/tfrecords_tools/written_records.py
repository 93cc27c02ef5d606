"""What a converter has written, read back."""

import os

import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.records import parse_record


def records_by_id(folder) -> dict:
    """The parsed records of a data set by id, each with the name of its split before it."""
    found = {}
    for split, clips in load_info(folder).splits.items():
        files = [os.path.join(folder, shard.file) for shard in clips.shards]
        for serialized in tf.data.TFRecordDataset(files):
            record = parse_record(serialized)
            found[record["id"].numpy().decode()] = (split, record)
    return found
