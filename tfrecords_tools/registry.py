"""The known data sets by name. Adding one is a converter and one line in `DATASETS`."""

import dataclasses
import difflib
import importlib
import os

from kerasvid.data.shards import INFO_FILE, check_shards, load_info
from tfrecords_tools.conversion import ConversionError


class UnknownDataset(ValueError):
    """No data set has this name; the message tells the nearest."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set that can be made on first use.

    Args:
        name: as --dataset takes it.
        title: what it shows, in one line.
        needs: what making it takes, in one line.
        converter: "module:function", called as function(out_dir, source_dir).
    """

    name: str
    title: str
    needs: str
    converter: str


DATASETS = (
    Dataset("sprites", "drawn characters in 9 actions", "nothing: drawn by code",
            "tfrecords_tools.sprites:prepare_embedded"),
    Dataset("sprites/lpc", "LPC characters in 9 actions (Li & Mandt 2018)",
            "--source_dir with the LPC sheets (body, bottomwear, topwear, hair, shoes)",
            "tfrecords_tools.sprites:prepare_lpc"),
)  # fmt: skip


def names() -> list[str]:
    """Names of the known data sets."""
    return [dataset.name for dataset in DATASETS]


def folder_of(name: str, data_dir: str = "data") -> str:
    """Where a data set lives, made or not: "sprites/lpc" in `data_dir`/sprites-lpc.

    A name that is not known is the path of a folder.
    """
    return os.path.join(data_dir, name.replace("/", "-")) if name in names() else name


def prepare(name: str, data_dir: str = "data", source_dir: str | None = None) -> str:
    """The folder of a data set, which is made first where it is missing.

    Args:
        name: of a known data set, or the path of a folder with a data set.
        data_dir: where data sets live; "sprites/lpc" becomes its subfolder "sprites-lpc".
        source_dir: raw material, for a data set that needs it.

    Returns:
        A folder for `kerasvid.data.make_pipeline`.

    Raises:
        UnknownDataset: neither a known name nor a folder.
        DatasetError: the folder holds a half-written or altered data set.
        ConversionError: making it failed.

    Example:
        >>> prepare("sprites", data_dir="data")
        'data/sprites'
    """
    known = {dataset.name: dataset for dataset in DATASETS}
    if name not in known:
        if not os.path.isdir(name):
            raise UnknownDataset(_unknown(name))
        check_shards(name, load_info(name))
        return name
    folder = folder_of(name, data_dir)
    if not os.path.isdir(folder) or not os.listdir(folder):
        try:
            _converter(known[name])(folder, source_dir)
        except ConversionError:
            # Another process may have made it in the meantime.
            if not os.path.exists(os.path.join(folder, INFO_FILE)):
                raise
    check_shards(folder, load_info(folder))
    return folder


def _converter(dataset: Dataset):
    module, function = dataset.converter.split(":")
    return getattr(importlib.import_module(module), function)


def _unknown(name: str) -> str:
    if name.startswith((".", "~", os.sep)) or name.count(os.sep) > 1:
        return f"{name}: no such folder; give the folder of a data set or one of {_list(names())}."
    nearest = difflib.get_close_matches(name, names(), cutoff=0.4) or names()
    return f"no data set {name!r}; nearest: {_list(nearest)}; a path of a folder works, too."


def _list(items: list[str]) -> str:
    return ", ".join(items)
