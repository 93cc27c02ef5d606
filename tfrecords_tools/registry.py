"""The known data sets and the commands `kerasvid data NAME`, without importing TensorFlow.

To add a data set, write a converter and add a line to `DATASETS` and to `COMMANDS`. The functions
import TensorFlow when they are called, so that a list of the names is quick.
"""

import dataclasses
import importlib
import os
import re
import shlex
import typing
from collections.abc import Callable, Sequence

from kerasvid.io import one_line
from kerasvid.naming import nearest_names

if typing.TYPE_CHECKING:
    import numpy as np

    from kerasvid.data.records import DatasetInfo

# The module of each command `kerasvid data NAME`; its `main(arguments)` runs the command.
COMMANDS = {
    "folder": "tfrecords_tools.converters.folder",
    "huggingface": "tfrecords_tools.converters.huggingface",
    "tfds": "tfrecords_tools.converters.tfds",
    "sprites": "tfrecords_tools.synthetic.sprites",
    "shapes": "tfrecords_tools.synthetic.shapes",
    "turntable": "tfrecords_tools.synthetic.turntable",
    "moving-mnist": "tfrecords_tools.synthetic.moving_mnist",
    "weizmann": "tfrecords_tools.converters.weizmann",
    "chairs": "tfrecords_tools.converters.chairs",
    "mug": "tfrecords_tools.converters.mug",
    "oulu-casia": "tfrecords_tools.converters.oulu_casia",
    "golf": "tfrecords_tools.converters.golf",
    "moments": "tfrecords_tools.converters.moments",
    "kth": "tfrecords_tools.converters.kth",
    "ucf101": "tfrecords_tools.converters.ucf101",
    "bair": "tfrecords_tools.converters.bair",
    "sky-timelapse": "tfrecords_tools.converters.sky_timelapse",
    "verify": "tfrecords_tools.verify",
    "split-frames": "tfrecords_tools.derived.split_frames",
    "hold-out-pairs": "tfrecords_tools.derived.hold_out_pairs",
}


class UnknownDataset(ValueError):
    """No data set has this name; the message lists the nearest names."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set that can be made on first use.

    Args:
        name: as --dataset takes it.
        title, needs: what it shows and what it is made from, a line each.
        converter: "command:function" of `COMMANDS`, called as function(out_dir, source_dir).
        drawing: likewise, called as function(n) for the n-th held-out clip, uint8 `[T, H, W, C]`;
            "" where commands show no such clips.
    """

    name: str
    title: str
    needs: str
    converter: str
    drawing: str = ""

    def load_converter(self) -> Callable:
        return _function(self.converter)

    def command(self, folder: str, source_dir: str | None) -> tuple[str, list[str]]:
        """The command of `kerasvid` that makes the data set, and its flags."""
        flags = [f"--out_dir={folder}"]
        flags += [f"--variant={self.name.partition('/')[2]}"] if "/" in self.name else []
        flags += [f"--source_dir={source_dir}"] if source_dir else []
        return f"data {self.converter.partition(':')[0]}", flags


DATASETS = (
    Dataset("sprites", "drawn characters in 9 actions", "nothing: drawn by code",
            "sprites:prepare_embedded"),
    Dataset("sprites/lpc", "LPC characters in 9 actions (Li & Mandt 2018)",
            "the LPC sheets: --source_dir, or a download of 0.4 MB", "sprites:prepare_lpc"),
    Dataset("shapes", "a drawn shape that moves in 5 ways", "nothing: drawn by code",
            "shapes:prepare_embedded", "shapes:draw_held_out"),
    Dataset("shapes/strips", "MoCoGAN's moving shapes (Tulyakov et al. 2018)",
            "--source_dir with the strips (folders 0 and 1 of PNG files)", "shapes:prepare_strips"),
    Dataset("turntable", "16 drawn solids in 8 colours that turn, from 2 elevations",
            "nothing: drawn by code", "turntable:prepare"),
    Dataset("moving_mnist", "2 handwritten digits that bounce (Srivastava et al. 2015)",
            "the digits of MNIST: --source_dir, or a download of 11 MB", "moving-mnist:prepare"),
    Dataset("moving_mnist/stochastic", "digits that bounce at random (Denton & Fergus 2018)",
            "the digits of MNIST: --source_dir, or a download of 11 MB",
            "moving-mnist:prepare_stochastic"),
    Dataset("moving_mnist/test_sequences", "the 10,000 test clips of Srivastava et al. 2015",
            "--source_dir with mnist_test_seq.npy of "
            "http://www.cs.toronto.edu/~nitish/unsupervised_video/",
            "moving-mnist:prepare_test_sequences"),
    Dataset("weizmann", "9 persons in 10 actions (Gorelick et al. 2007)",
            "--source_dir with the AVI files (<person>_<action>[number].avi)",
            "weizmann:prepare_avi"),
    Dataset("weizmann/strips", "9 persons in 4 actions, MoCoGAN's sample data",
            "--source_dir with the strips (folders 0, 1, 3 and 4 of JPEG files)",
            "weizmann:prepare_strips"),
    Dataset("chairs", "820 rendered chairs that turn, from 2 elevations (Aubry et al. 2014)",
            "--source_dir with rendered_chairs of "
            "https://www.di.ens.fr/willow/research/seeing3Dchairs/", "chairs:prepare"),
    Dataset("mug", "faces with 6 expressions (MUG database)",
            "--source_dir with subjects3; licence agreement at https://mug.ee.auth.gr/fed/",
            "mug:prepare"),
    Dataset("oulu_casia", "near-infrared faces with 6 expressions (Oulu-CASIA, strong light)",
            "--source_dir with NI and VL; licence agreement with the University of Oulu",
            "oulu-casia:prepare"),
    Dataset("golf", "500 clips of golf scenes (Vondrick et al. 2016)",
            "--source_dir with frames-stable-many and golf.txt of "
            "http://www.cs.columbia.edu/~vondrick/tinyvideo/", "golf:prepare"),
    Dataset("moments", "erupting and skiing of Moments in Time (Monfort et al. 2019)",
            "--source_dir with training and validation; application at "
            "http://moments.csail.mit.edu/", "moments:prepare"),
    Dataset("kth", "25 persons in 6 actions, grey (Schuldt et al. 2004)",
            "--source_dir with the AVI files and 00sequences.txt of "
            "https://www.csc.kth.se/cvap/actions/", "kth:prepare"),
    Dataset("ucf101", "13,320 videos of 101 actions (Soomro et al. 2012)",
            "--source_dir with UCF-101 and ucfTrainTestlist of "
            "https://www.crcv.ucf.edu/data/UCF101.php", "ucf101:prepare"),
    Dataset("bair", "a robot arm that pushes objects (Ebert et al. 2017)",
            "--source_dir with softmotion30_44k of "
            "http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar",
            "bair:prepare"),
    Dataset("sky_timelapse", "clouds in time-lapse (Xiong et al. 2018)",
            "--source_dir with sky_train and sky_test of https://github.com/weixiong-ur/mdgan",
            "sky-timelapse:prepare"),
)  # fmt: skip


def _function(place: str) -> Callable:
    """The function at "command:function" of `COMMANDS`."""
    command, function = place.split(":")
    return getattr(importlib.import_module(COMMANDS[command]), function)


def drawn_clips(
    name: str, count: int, frames: int, frame_shape: Sequence[int]
) -> "np.ndarray | None":
    """Held-out clips of a data set with a `drawing`, without its files.

    Args:
        name: of the data set.
        count: N.
        frames: T, the first ones of each clip.
        frame_shape: `(H, W, C)`.

    Returns:
        uint8 `[N, T, H, W, C]`; `None` for another data set, longer clips or other frames.

    Example:
        >>> drawn_clips("shapes", 2, 16, (64, 64, 3)).shape
        (2, 16, 64, 64, 3)
    """
    import numpy as np

    drawing = next((each.drawing for each in DATASETS if each.name == name), "")
    if not drawing:
        return None
    clips = np.stack([*map(_function(drawing), range(count))])[:, :frames]
    return clips if clips.shape[1:] == (frames, *frame_shape) else None


def names() -> list[str]:
    """Names of the known data sets."""
    return [dataset.name for dataset in DATASETS]


def folder_of(name: str, data_dir: str = "data") -> str:
    """The folder of a data set, `data_dir`/sprites-lpc for "sprites/lpc"; else `name`."""
    return os.path.join(data_dir, name.replace("/", "-")) if name in names() else name


def check_name(name: str) -> None:
    """Raises UnknownDataset if `name` is neither a known name nor the path or URL of a folder."""
    if name in names() or "://" in name or os.path.isdir(name):
        return
    if name.startswith((".", "~", os.sep)) or name.count(os.sep) > 1:
        raise UnknownDataset(
            f"{name}: no such folder; give the folder of a data set or one of {', '.join(names())}."
        )
    nearest = nearest_names(name, names())
    raise UnknownDataset(f"Unknown data set {name!r}; {nearest}. Or give the path of a folder.")


def prepare(name: str, data_dir: str = "data", source_dir: str | None = None) -> str:
    """Returns the folder of a data set and makes the data set first if it is missing.

    Args:
        name: of a known data set, or the path of a folder (`s3://` needs the extra `s3`).
        data_dir: the folder of all data sets; "sprites/lpc" becomes its subfolder "sprites-lpc".
        source_dir: raw material, for a data set that needs it.

    Raises:
        UnknownDataset: neither a known name nor a folder.
        DatasetError: the data set in the folder is half-written or altered.
        ConversionError: the data set cannot be made.

    Example:
        >>> prepare("sprites", data_dir="data")
        'data/sprites'
    """
    from kerasvid.data.shards import INFO_FILE, check_shards, load_info
    from tfrecords_tools.conversion import ConversionError

    check_name(name)
    known = {dataset.name: dataset for dataset in DATASETS}
    folder = folder_of(name, data_dir)
    if name in known and (not os.path.isdir(folder) or not os.listdir(folder)):
        try:
            known[name].load_converter()(folder, source_dir)
        except ConversionError as error:
            # Another process may have made it in the meantime.
            if not os.path.exists(os.path.join(folder, INFO_FILE)):
                hint = _command_hint(str(error), known[name], folder, source_dir)
                raise ConversionError(f"{error}{hint}") from error
    check_shards(folder, load_info(folder))
    return folder


def locate(
    name: str, data_dir: str = "data", source_dir: str | None = None, make: bool = True
) -> "tuple[str, DatasetInfo | None]":
    """As `prepare`, with the description; it is `None` for a missing data set without `make`."""
    from kerasvid.data.shards import load_info

    if make or name not in names():
        folder = prepare(name, data_dir, source_dir)
        return folder, load_info(folder)
    folder = folder_of(name, data_dir)
    return folder, load_info(folder) if os.path.isdir(folder) and os.listdir(folder) else None


def find_again(name: str, folder: str, data_dir: str | None = None) -> str:
    """Finds the data set `name`, which was in `folder`; makes it again if it is drawn by code.

    By default, `data_dir` is the parent of `folder`.

    Raises:
        ConversionError: the data set is not there; one line.
        DatasetError: the data set, on a local disk, is half-written or altered.
    """
    import tensorflow as tf

    from kerasvid.data.shards import DatasetError, load_info
    from tfrecords_tools.conversion import ConversionError

    if data_dir is None and os.path.isdir(folder):
        return folder
    if data_dir is None and "://" in folder:
        try:
            load_info(folder)
        except (DatasetError, OSError, tf.errors.OpError) as error:
            why = one_line(str(error)).rstrip(".")
            raise ConversionError(f"{why}; or give --data_dir.") from error
        return folder
    data_dir = data_dir or os.path.dirname(folder) or os.curdir
    if name not in names():  # it was given by its path
        name = os.path.join(data_dir, os.path.basename(os.path.normpath(folder)))
    try:
        return prepare(name, data_dir)
    except (ConversionError, UnknownDataset) as error:  # it may name flags of `kerasvid train`
        raise ConversionError(
            f"{data_dir}: does not contain the data set {name}; give its parent folder as "
            "--data_dir."
        ) from error


def _command_hint(error: str, dataset: Dataset, folder: str, source_dir: str | None) -> str:
    """Names the command that has the flags of an error message, if `prepare` lacks them."""
    if not set(re.findall(r"--\w+", error)) - {"--source_dir"}:
        return ""
    command, flags = dataset.command(folder, source_dir)
    between = "\n" if "\n" in error else " "
    return f"{between}(These are flags of: kerasvid {command} {shlex.join(flags)})"
