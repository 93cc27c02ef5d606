"""Reads the rendered chairs of "Seeing 3D chairs" (Aubry et al. 2014), also called Chair-CAD.

    kerasvid data chairs --source_dir=rendered_chairs --out_dir=data/chairs

--source_dir is the unpacked archive rendered_chairs.tar, or the folder above it:

    rendered_chairs/<model>/renders/image_<number>_p<020|030>_t<azimuth>_r096.png

It has 1,393 models, each seen from the elevations 20 and 30 degrees at 31 azimuths, 000, 011, 023
and so on to 348: 62 images of 600x600 a model.

After Aich et al. (CVPR 2020): --models=820 of the models, chosen by seed, and the first
--frames=16 azimuths of each, from 000 on; the middle of each image, 400x400, becomes 64x64. That
paper does not state its crop; 400 leaves little but ground away. It counts four videos a model,
which the archive does not have: here a video is one model at one elevation, two a model. The label
is the elevation, the identity is the model.

The paper trains on all videos. Here a tenth of them is held out as test split, by seed: of as many
models one elevation each, which take turns; the other one of these models is in the training
split. --test_fraction=0 trains on all. Models that lack an image are left out, and said so.
"""

import dataclasses
import os
import re
import sys
from collections.abc import Sequence

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError, UnreadableMedia, write_dataset
from tfrecords_tools.converter_flags import run_with_options
from tfrecords_tools.converters.expressions import subfolders

SIDE = 64
LAYOUT = "rendered_chairs/<model>/renders/image_<number>_p<020|030>_t<azimuth>_r096.png"
ELEVATIONS = (20, 30)
AZIMUTHS = tuple(360 * k // 31 for k in range(31))
CLASSES = tuple(f"elevation-{elevation}" for elevation in ELEVATIONS)
SOURCE = "https://www.di.ens.fr/willow/research/seeing3Dchairs/"
_NAME = re.compile(r"image_\d+_p(\d{3})_t(\d{3})_r\d{3}\.png", re.IGNORECASE)
_CITATION = (
    "M. Aubry, D. Maturana, A. A. Efros, B. C. Russell and J. Sivic. Seeing 3D chairs: exemplar "
    "part-based 2D-3D alignment using a large dataset of CAD models. CVPR 2014."
)


@dataclasses.dataclass(frozen=True)
class ChairOptions:
    """Which chairs become videos, and how.

    Args:
        models: how many are chosen; all, if there are fewer.
        frames: azimuths of a video, from 000 on, 1..31.
        crop: side in pixels of the square that is kept from the middle of an image.
        test_fraction: share of the videos in the split "test", at most half; 0 makes none.
        seed: of the choice and of the division into splits.

    Raises:
        ConversionError: a number is out of range.
    """

    models: int = 820
    frames: int = 16
    crop: int = 400
    test_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("models", "frames", "crop"):
            if getattr(self, name) < 1:
                raise ConversionError(f"{name}={getattr(self, name)}: must be 1 or more.")
        if self.frames > len(AZIMUTHS):
            raise ConversionError(f"frames={self.frames}: there are {len(AZIMUTHS)} azimuths.")
        if not 0 <= self.test_fraction <= 0.5:
            raise ConversionError(f"test_fraction={self.test_fraction}: must be from 0 to 0.5.")
        if self.seed < 0:
            raise ConversionError(f"seed={self.seed}: must be 0 or more.")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video to be: its model, its elevation in degrees, and its images in order."""

    model: str
    elevation: int
    paths: tuple[str, ...]

    @property
    def id(self) -> str:
        """For instance "elevation-20/1a2b8749a1756a09932a5c2746cd09a4"."""
        return f"elevation-{self.elevation}/{self.model}"


def find_clips(source_dir: str | os.PathLike, frames: int = 16) -> list[tuple[Clip, Clip]]:
    """Lists both clips of each model, by name, without reading them.

    Models that lack one of the images are left out; a line on stderr tells which.

    Args:
        source_dir: the folder of the models, or the one above it.
        frames: azimuths of a clip, from 000 on.

    Raises:
        ConversionError: the folder is absent, cannot be listed or has another layout, an image's
            name is none of the archive's, an image is there twice, or no model is complete.

    Example:
        >>> find_clips("rendered_chairs")[0][1].elevation
        30
    """
    source_dir = os.fspath(source_dir)
    if not os.path.isdir(source_dir):
        raise ConversionError(f"{source_dir}: no such folder; {_instructions()}")
    complete, lacking, found = [], [], 0
    try:
        root = os.path.join(source_dir, "rendered_chairs")
        root = root if os.path.isdir(root) else source_dir
        for model in subfolders(root):
            renders = os.path.join(root, model, "renders")
            images = _find_images(renders) if os.path.isdir(renders) else {}
            found += bool(images)
            wanted = [(e, t) for e in ELEVATIONS for t in AZIMUTHS[:frames]]
            if missing := [key for key in wanted if key not in images]:
                lacking.append(f"{model} (p{missing[0][0]:03d}_t{missing[0][1]:03d})")
                continue
            paths = [images[key] for key in wanted]
            low, high = paths[:frames], paths[frames:]
            complete.append((Clip(model, 20, tuple(low)), Clip(model, 30, tuple(high))))
    except OSError as error:
        # Left out silently, its models would be missing from the data set.
        raise ConversionError(
            f"{error.filename}: cannot be listed ({error.strerror}); check its rights."
        ) from error
    if not found:
        raise ConversionError(
            f"{source_dir}: no chairs in it, expected {LAYOUT}; {_instructions()}"
        )
    _report_lacking(source_dir, lacking, len(complete), frames)
    return complete


def _find_images(renders: str) -> dict[tuple[int, int], str]:
    """The PNG files of a model by elevation and azimuth."""
    images: dict[tuple[int, int], str] = {}
    for name in sorted(os.listdir(renders)):
        path = os.path.join(renders, name)
        if name[0] == "." or not name.lower().endswith(".png"):
            continue
        match = _NAME.fullmatch(name)
        if not match or int(match[1]) not in ELEVATIONS:
            raise ConversionError(
                f"{path}: expected image_<number>_p<020|030>_t<azimuth>_r096.png; rename it or "
                "move it elsewhere."
            )
        key = int(match[1]), int(match[2])
        if other := images.get(key):
            raise ConversionError(f"{path}: {other} shows the same view; remove one of them.")
        images[key] = path
    return images


def _report_lacking(source_dir: str, lacking: list[str], complete: int, frames: int) -> None:
    if not lacking:
        return
    some = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
    wanted = f"one of the first {frames} azimuths at 20 or 30 degrees, first missing: {some}"
    if not complete:
        raise ConversionError(
            f"{source_dir}: all {len(lacking)} models lack {wanted}; unpack the archive again or "
            "lower --frames."
        )
    print(
        f"left out {len(lacking)} of {len(lacking) + complete} models that lack {wanted}",
        file=sys.stderr,
    )


def choose_models(
    pairs: Sequence[tuple[Clip, Clip]], options: ChairOptions
) -> list[tuple[Clip, Clip]]:
    """Chooses models by seed; all are taken, and a line says so, if there are fewer than asked.

    Returns:
        The chosen pairs, in the order of `pairs`.
    """
    if len(pairs) < options.models:
        print(
            f"there are {len(pairs)} complete models, not {options.models}: all are taken",
            file=sys.stderr,
        )
    order = np.random.default_rng(options.seed).permutation(len(pairs))
    return [pairs[k] for k in sorted(order[: options.models])]


def split_clips(pairs: Sequence[tuple[Clip, Clip]], options: ChairOptions) -> dict[str, list[Clip]]:
    """Holds out one of the two clips of some models, elevations in turns.

    Returns:
        The splits "train" and, unless it would be empty, "test".
    """
    wanted = round(options.test_fraction * 2 * len(pairs))
    wanted = max(1, wanted) if options.test_fraction else 0
    order = np.random.default_rng([options.seed, 1]).permutation(len(pairs))[:wanted]
    held_out = {int(k): turn % 2 for turn, k in enumerate(order)}
    train = [
        clip for k, pair in enumerate(pairs) for e, clip in enumerate(pair) if held_out.get(k) != e
    ]
    test = [pairs[k][held_out[k]] for k in sorted(held_out)]
    return {"train": train, "test": test} if test else {"train": train}


def prepare(
    out_dir: str | os.PathLike,
    source_dir: str | os.PathLike | None = None,
    options: ChairOptions | None = None,
    *,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> DatasetInfo:
    """Writes the data set "chairs".

    Args:
        out_dir: folder of the data set, which appears when it is complete.
        source_dir: the folder of the models, or the one above it.
        options: which chairs become videos, by default `ChairOptions()`.
        skip_unreadable: leave out videos with an image that cannot be read, with a line each.
        overwrite: replace a data set that is already there.
        progress: show a line of progress on stderr.

    Returns:
        The description of the data set.

    Raises:
        ConversionError: no source_dir, see `find_clips`, images unreadable or smaller than the
            crop (each named), or out_dir exists.

    Example:
        prepare("data/chairs", "rendered_chairs", ChairOptions(models=100, frames=31))
    """
    if not source_dir:
        raise ConversionError(f"chairs needs --source_dir: {_instructions()}")
    options = options or ChairOptions()
    there = find_clips(source_dir, options.frames)
    pairs = choose_models(there, options)
    models = [pair[0].model for pair in pairs]
    numbers = {model: number for number, model in enumerate(models)}

    def load(clip: Clip) -> Video:
        return Video(
            np.stack([_read_frame(path, options.crop) for path in clip.paths]),  # [T, H, W, C]
            clip.id,
            label=ELEVATIONS.index(clip.elevation),
            identity=numbers[clip.model],
        )

    info = DatasetInfo(
        "chairs", "1", height=SIDE, width=SIDE, channels=3, fps=-1.0,
        class_names=CLASSES, identity_names=tuple(models),
        licence="its page has the terms",
        source=f"{SOURCE}, {len(pairs)} of {len(there)} models, seed {options.seed}",
        citation=_CITATION,
    )  # fmt: skip
    return write_dataset(
        os.fspath(out_dir), info, split_clips(pairs, options), load,
        skip_unreadable=skip_unreadable, overwrite=overwrite, progress=progress,
    )  # fmt: skip


def _read_frame(path: str, crop: int) -> np.ndarray:
    image = media.read_image(path)
    height, width = image.shape[:2]
    if min(height, width) < crop:
        raise UnreadableMedia(f"{path}: {height}x{width}, smaller than --crop={crop}")
    top, left = (height - crop) // 2, (width - crop) // 2
    return media.resize_and_crop(image[top : top + crop, left : left + crop], SIDE, SIDE)


def _instructions() -> str:
    return (
        f"download rendered_chairs.tar from {SOURCE}, unpack it and give the folder "
        f"rendered_chairs ({_CITATION})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line on stderr and status 1."""
    option_help = {
        "models": "How many to take, by seed.",
        "frames": "Azimuths of a video, 31 at most.",
        "crop": "Side of the middle that is kept, pixels.",
        "test_fraction": "Share of the videos for the test split.",
        "seed": "Of the choice and of the splits.",
    }
    run_with_options(
        __doc__, prepare, ChairOptions, option_help, "Folder of the models.", arguments
    )


if __name__ == "__main__":
    main()
