"""Records to batches: the schema, shards on disk, frame picking and the input pipeline."""

from kerasvid.data.pipeline import (
    make_pipeline,
    with_images,
)
from kerasvid.data.records import (
    DatasetInfo,
    ShardInfo,
    SplitInfo,
    Video,
    decode_frames,
    encode_video,
    explain_record_error,
    parse_record,
)
from kerasvid.data.shards import DatasetError, ShardWriter, check_shards, load_info, write_info

__all__ = [
    "DatasetError",
    "DatasetInfo",
    "ShardInfo",
    "ShardWriter",
    "SplitInfo",
    "Video",
    "check_shards",
    "decode_frames",
    "encode_video",
    "explain_record_error",
    "load_info",
    "make_pipeline",
    "parse_record",
    "with_images",
    "write_info",
]
