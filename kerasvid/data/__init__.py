"""Records to batches: the schema, shards on disk, frame picking and the input pipeline."""

from kerasvid.data.pipeline import make_pipeline, with_images
from kerasvid.data.records import (
    DatasetInfo,
    SplitInfo,
    Video,
    parse_record,
)
from kerasvid.data.shards import DatasetError, check_shards, load_info, write_info

__all__ = [
    "DatasetError",
    "DatasetInfo",
    "SplitInfo",
    "Video",
    "check_shards",
    "load_info",
    "make_pipeline",
    "parse_record",
    "with_images",
    "write_info",
]
