"""Reads the sky time-lapses of Xiong, Luo, Ma, Liu and Luo (CVPR 2018), as JPEG frames.

    kerasvid data sky-timelapse --source_dir=sky_timelapse --out_dir=data/sky_timelapse
    kerasvid data sky-timelapse --height=128 --width=128 --min_frames=32 ...

--source_dir is the folder of the release, or the one above it. DTVNet and StyleGAN-V use the same
files:

    sky_timelapse/sky_train/<video>/<clip>/<frame>.jpg    997 videos, 2,392 clips, 640x360
    sky_timelapse/sky_test/<video>/<clip>/<frame>.jpg     111 other videos, 225 clips

A clip is a folder of frames, read in natural order. Frames are resized and cropped to the centre.
Clips of fewer than --min_frames are left out and counted: the shortest have 2 frames. The splits
are those of the release. The identity is the video from which a clip was cut; there are no labels.
"""

import dataclasses
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import Clip, Folder, check_source_dir, image_paths, subfolders

SPLITS = {"train": "sky_train", "test": "sky_test"}  # the folder of each
LAYOUT = "expected sky_train/<video>/<clip>/<frame>.jpg and sky_test/<video>/<clip>/<frame>.jpg"
SOURCE = "https://github.com/weixiong-ur/mdgan"
LICENCE = "its page has the terms; the videos are those of YouTube's users"
CITATION = (
    "W. Xiong, W. Luo, L. Ma, W. Liu and J. Luo. Learning to Generate Time-Lapse Videos Using "
    "Multi-Stage Dynamic Generative Adversarial Networks. CVPR 2018. arXiv:1709.07592."
)
ORIGIN: dict[str, Any] = {"licence": LICENCE, "source": SOURCE, "citation": CITATION}
_NEEDS = f"the folder of sky_train and sky_test; get it at {SOURCE} ({LICENCE}: {CITATION})"


@dataclasses.dataclass(frozen=True)
class SkyOptions(Options):
    """Which clips become videos, and the size of the frames."""

    height: int = option(64, "Height of a frame in pixels.", 1)
    width: int = option(64, "Width of a frame in pixels.", 1)
    min_frames: int = option(16, "Minimal number of frames; shorter clips are left out.", 1)


def find_clips(source_dir: Folder | None) -> dict[str, list[Clip]]:
    """Lists the clips of both splits by video and name, without opening them.

    An id is for instance "2KikwLp-PUI/2KikwLp-PUI_1". A folder without images is a clip of no
    frames.

    Raises:
        ConversionError: a folder is missing, cannot be listed or has no clips, there are images
            beside the folders of clips, or a video is in both splits.
    """
    root = _find_root(check_source_dir(source_dir, "sky_timelapse", _NEEDS))
    splits = {split: _split_clips(os.path.join(root, name)) for split, name in SPLITS.items()}
    train, test = ({clip.identity for clip in clips} for clips in splits.values())
    if both := sorted(train & test, key=media.natural_key):
        raise ConversionError(
            f"{os.path.join(root, SPLITS['test'], both[0])}: the video is in {SPLITS['train']} "
            "too; remove one of them."
        )
    return splits


def _find_root(source_dir: str) -> str:
    """The folder of sky_train and sky_test."""
    below = [os.path.join(source_dir, name) for name in subfolders(source_dir)]
    for root in (source_dir, *below):
        found = [os.path.isdir(os.path.join(root, folder)) for folder in SPLITS.values()]
        if all(found):
            return root
        if any(found):
            missing = list(SPLITS.values())[found.index(False)]
            raise ConversionError(f"{root}: no folder {missing} found; {LAYOUT}.")
    raise ConversionError(f"{source_dir}: no folders sky_train and sky_test found; {LAYOUT}.")


def _split_clips(home: str) -> list[Clip]:
    clips = []
    for video in subfolders(home):
        folder = os.path.join(home, video)
        if images := image_paths(folder):
            raise ConversionError(
                f"{images[0]}: an image that is in no folder of a clip; {LAYOUT}."
            )
        for name in subfolders(folder):
            clips.append(
                Clip(f"{video}/{name}", "", image_paths(os.path.join(folder, name)), video)
            )
    if not clips:
        raise ConversionError(f"{home}: no clips found; {LAYOUT}.")
    return clips


def long_clips(splits: Mapping[str, Sequence[Clip]], min_frames: int) -> dict[str, list[Clip]]:
    """The clips of at least `min_frames`; the others are counted on stderr.

    Raises:
        ConversionError: no clip of a split is long enough.
    """
    kept = {}
    for split, clips in splits.items():
        kept[split] = [clip for clip in clips if len(clip.paths) >= min_frames]
        if not kept[split]:
            raise ConversionError(
                f"None of {len(clips)} clips in {SPLITS[split]} has {min_frames} frames; the "
                f"longest has {max(len(clip.paths) for clip in clips)}: lower --min_frames."
            )
        if short := len(clips) - len(kept[split]):
            print(f"left out {short} of {len(clips)} clips in {SPLITS[split]}, of fewer than "
                  f"{min_frames} frames; see --min_frames", file=sys.stderr)  # fmt: skip
    return kept


def prepare(
    out_dir: Folder,
    source_dir: Folder | None,
    options: SkyOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "sky_timelapse" (see `tfrecords_tools.converters`)."""
    options = options or SkyOptions()
    splits = long_clips(find_clips(source_dir), options.min_frames)
    names = list(dict.fromkeys(clip.identity for clips in splits.values() for clip in clips))
    numbers = {name: number for number, name in enumerate(names)}

    def load(clip: Clip) -> Video:
        folder = os.path.dirname(clip.paths[0])
        frames = map(media.read_image, clip.paths)
        fitted = media.fit_frames(frames, folder, options.height, options.width)
        return Video(media.stack_frames(fitted, folder), clip.id, identity=numbers[clip.identity])

    info = DatasetInfo(
        "sky_timelapse",
        "1",
        options.height,
        options.width,
        encoding="jpeg",
        identity_names=tuple(names),
        **ORIGIN,
    )
    return write_dataset(out_dir, info, splits, load, **writing)


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of sky_train and sky_test.", options=SkyOptions
)
