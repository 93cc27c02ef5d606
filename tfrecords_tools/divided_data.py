"""The halves of a data set, one as videos, one as images, made when they are first asked for."""

import os

from kerasvid.data.records import DatasetInfo
from kerasvid.data.shards import check_shards, load_info
from tfrecords_tools.registry import folder_of, locate
from tfrecords_tools.split_frames import PARTS, split_frames


def divided_folder(name: str, data_dir: str = "data") -> str:
    """Where the halves of a data set lie: "weizmann/strips" in `data_dir`/weizmann-strips-mixed."""
    return f"{os.path.normpath(folder_of(name, data_dir))}-mixed"


def locate_half(
    name: str,
    half: str,
    data_dir: str = "data",
    source_dir: str | None = None,
    make: bool = True,
) -> tuple[str, DatasetInfo | None]:
    """The folder of one half and its description; without `make`, `None` where it is missing.

    Args:
        name: of the whole data set, as `registry.locate` takes it.
        half: "videos", or "images" of the other training videos' frames.
        data_dir: where data sets live, and the halves beside the whole.
        source_dir: raw material, for a data set that needs it.
        make: make what is missing, the whole data set, too.

    Raises:
        ValueError: there is no such half.
        UnknownDataset, DatasetError, ConversionError: as `registry.prepare` and `split_frames`.

    Example:
        >>> locate_half("weizmann/strips", "images")[0]
        'data/weizmann-strips-mixed/images'
    """
    if half not in PARTS:
        raise ValueError(f"half={half!r}: use {' or '.join(PARTS)}.")
    divided = divided_folder(name, data_dir)
    folder = os.path.join(divided, half)
    if not os.path.isdir(divided):
        whole, _ = locate(name, data_dir, source_dir, make)
        if not make:
            return folder, None
        split_frames(whole, divided)
    info = load_info(folder)
    check_shards(folder, info)
    return folder, info
