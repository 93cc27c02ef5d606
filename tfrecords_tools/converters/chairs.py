"""Reads the rendered chairs of "Seeing 3D chairs" (Aubry et al. 2014), also called Chair-CAD.

    kerasvid data chairs --source_dir=rendered_chairs --out_dir=data/chairs

--source_dir is the unpacked archive rendered_chairs.tar, or the folder above it:

    rendered_chairs/<model>/renders/image_<number>_p<020|030>_t<azimuth>_r096.png

It has 1,393 models, each seen from the elevations 20 and 30 degrees at 31 azimuths, 000, 011, 023
and so on to 348: 62 images of 600x600 a model.

After Aich et al. (CVPR 2020): --models=820 of the models, chosen by seed, and the first
--frames=16 azimuths of each. The middle of each image, 400x400, becomes 64x64; the paper does not
state its crop. A video is one model at one elevation. The label is the elevation, the identity is
the model.

The paper trains on all videos, as does --test_fraction=0. By default, a tenth of the videos is the
test split, by seed: one elevation each of as many models, by turns; the other is in the training
split. Models with missing images are left out and listed.
"""

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.source_files import (
    Clip,
    Folder,
    check_source_dir,
    file_names,
    named_splits,
    subfolders,
)

SIDE = 64
LAYOUT = "rendered_chairs/<model>/renders/image_<number>_p<020|030>_t<azimuth>_r096.png"
ELEVATIONS = (20, 30)
AZIMUTHS = tuple(360 * k // 31 for k in range(31))
CLASSES = tuple(f"elevation-{elevation}" for elevation in ELEVATIONS)
SOURCE = "https://www.di.ens.fr/willow/research/seeing3Dchairs/"
LICENCE = "its page has the terms"
_NAME = re.compile(r"image_\d+_p(\d{3})_t(\d{3})_r\d{3}\.png", re.IGNORECASE)
_CITATION = (
    "M. Aubry, D. Maturana, A. A. Efros, B. C. Russell and J. Sivic. Seeing 3D chairs: exemplar "
    "part-based 2D-3D alignment using a large dataset of CAD models. CVPR 2014."
)
_NEEDS = (
    f"the folder rendered_chairs; download rendered_chairs.tar from {SOURCE} and unpack it "
    f"({_CITATION})"
)


@dataclasses.dataclass(frozen=True)
class ChairOptions(Options):
    """Which chairs become videos, and how."""

    models: int = option(820, "Number of models, chosen by seed.", 1)
    frames: int = option(16, "Number of azimuths of a video, from 000 on.", 1, len(AZIMUTHS))
    crop: int = option(400, "Side in pixels of the middle of an image that is kept.", 1)
    test_fraction: float = option(0.1, "Share of the videos in the test split.", 0, 0.5)
    seed: int = option(0, "Seed for the choice of models and the division into splits.", 0)


def find_clips(source_dir: Folder | None, frames: int = 16) -> list[tuple[Clip, Clip]]:
    """Lists both clips of each model, by name, without reading them.

    An id is for instance "elevation-20/1a2b8749a1756a09932a5c2746cd09a4". Models with missing
    images are left out; a line on stderr lists them.

    Raises:
        ConversionError: the folder is missing, cannot be listed or has another layout, an image
            has an unexpected name or shows the view of another, or no model is complete.
    """
    source_dir = check_source_dir(source_dir, "chairs", _NEEDS)
    complete, lacking, found = [], [], 0
    root = os.path.join(source_dir, "rendered_chairs")
    root = root if os.path.isdir(root) else source_dir
    views = [(elevation, azimuth) for elevation in ELEVATIONS for azimuth in AZIMUTHS[:frames]]
    for model in subfolders(root):
        renders = os.path.join(root, model, "renders")
        images = _find_images(renders) if os.path.isdir(renders) else {}
        found += bool(images)
        if missing := [view for view in views if view not in images]:
            lacking.append(f"{model} (p{missing[0][0]:03d}_t{missing[0][1]:03d})")
            continue
        paths = tuple(images[view] for view in views)
        low, high = (
            Clip(f"{name}/{model}", name, part, model)
            for name, part in zip(CLASSES, (paths[:frames], paths[frames:]), strict=True)
        )
        complete.append((low, high))
    if not found:
        raise ConversionError(f"{source_dir}: no chairs found, expected {LAYOUT}; give {_NEEDS}.")
    some = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
    wanted = f"one of the first {frames} azimuths at 20 or 30 degrees, first missing: {some}"
    if not complete:
        what = f"all {len(lacking)} models lack {wanted}"
        raise ConversionError(f"{source_dir}: {what}; unpack the archive again or lower --frames.")
    if lacking:
        total = len(lacking) + len(complete)
        print(f"left out {len(lacking)} of {total} models that lack {wanted}", file=sys.stderr)
    return complete


def _find_images(renders: str) -> dict[tuple[int, int], str]:
    """The PNG files of a model by elevation and azimuth."""
    images: dict[tuple[int, int], str] = {}
    for name in file_names(renders, ".png"):
        path = os.path.join(renders, name)
        match = _NAME.fullmatch(name)
        if not match or int(match[1]) not in ELEVATIONS:
            raise ConversionError(
                f"{path}: expected image_<number>_p<020|030>_t<azimuth>_r096.png; rename it or "
                "move it elsewhere."
            )
        view = int(match[1]), int(match[2])
        if other := images.get(view):
            raise ConversionError(f"{path}: {other} shows the same view; remove one of them.")
        images[view] = path
    return images


def choose_models(
    pairs: Sequence[tuple[Clip, Clip]], options: ChairOptions
) -> list[tuple[Clip, Clip]]:
    """Chooses models by seed, or all with a line on stderr if there are fewer."""
    if len(pairs) < options.models:
        line = f"took all {len(pairs)} complete models; --models={options.models} asks for more"
        print(line, file=sys.stderr)
    order = np.random.default_rng(options.seed).permutation(len(pairs))
    return [pairs[k] for k in sorted(order[: options.models])]


def split_clips(pairs: Sequence[tuple[Clip, Clip]], options: ChairOptions) -> dict[str, list[Clip]]:
    """The splits; "test" has one of the two clips of some models, elevations by turns."""
    wanted = round(options.test_fraction * 2 * len(pairs))
    wanted = max(1, wanted) if options.test_fraction else 0
    order = np.random.default_rng([options.seed, 1]).permutation(len(pairs))[:wanted]
    held_out = {pairs[k][turn % 2] for turn, k in enumerate(order)}
    clips = [clip for pair in pairs for clip in pair]
    return named_splits(clips, [clip in held_out for clip in clips])


def prepare(
    out_dir: Folder, source_dir: Folder | None, options: ChairOptions | None = None, **writing: bool
) -> DatasetInfo:
    """Writes the data set "chairs" (see `tfrecords_tools.converters`)."""
    options = options or ChairOptions()
    found = find_clips(source_dir, options.frames)
    pairs = choose_models(found, options)
    numbers = {pair[0].identity: number for number, pair in enumerate(pairs)}

    def load(clip: Clip) -> Video:
        frames = np.stack([_read_frame(path, options.crop) for path in clip.paths])  # [T, H, W, C]
        label, identity = CLASSES.index(clip.class_name), numbers[clip.identity]
        return Video(frames, clip.id, label=label, identity=identity)

    names: dict[str, Any] = {"class_names": CLASSES, "identity_names": tuple(numbers)}
    source = f"{SOURCE}, {len(pairs)} of {len(found)} models, seed {options.seed}"
    origin: dict[str, Any] = {"licence": LICENCE, "source": source, "citation": _CITATION}
    info = DatasetInfo("chairs", "1", SIDE, SIDE, **names, **origin)
    return write_dataset(out_dir, info, split_clips(pairs, options), load, **writing)


def _read_frame(path: str, crop: int) -> np.ndarray:
    image = media.read_image(path)
    height, width = image.shape[:2]
    if min(height, width) < crop:
        raise UnreadableMedia(f"{path}: {height}x{width}, smaller than --crop={crop}")
    top, left = (height - crop) // 2, (width - crop) // 2
    return media.resize_and_crop(image[top : top + crop, left : left + crop], SIDE, SIDE)


main = functools.partial(
    run_converter, __doc__, prepare, "Folder of the models.", options=ChairOptions
)
