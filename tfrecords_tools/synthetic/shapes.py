"""Makes the shapes data sets: one coloured shape that moves, 32 frames of 64x64.

    kerasvid data shapes --variant=embedded --out_dir=data/shapes
    kerasvid data shapes --variant=strips --source_dir=STRIPS \\
        --out_dir=data/shapes-strips

`embedded` is drawn by code, after the shape motion data of MoCoGAN, and needs no files. It has
five shapes in eight colours and three sizes, in five motions: 4,000 training and 400 test clips,
whose parameters are independent. The identity is the shape with its colour.

`strips` reads the sample data of MoCoGAN: 8,000 strips, circles and squares in any colour. In
folder 0 they move vertically, in folder 1 horizontally. The test split has 400 of them, by seed,
the same share of both folders; MoCoGAN trains on all.
"""

import functools
from typing import Any

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import write_dataset
from tfrecords_tools.converter_flags import run_converter
from tfrecords_tools.converters.strips import find_strips, read_strip
from tfrecords_tools.source_files import Clip, Folder, split_clips
from tfrecords_tools.synthetic import shapes_drawing
from tfrecords_tools.synthetic.shapes_drawing import COLOURS, MOTIONS, RADII, SHAPES, SIDE

COUNTS = {"train": 4000, "test": 400}
SEED = 0  # of the drawn clips
FPS = 8.0
FACTORS = {"shape": tuple(SHAPES), "colour": tuple(COLOURS), "size": tuple(RADII)}
IDENTITIES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
STRIP_CLASSES = {"0": "vertical", "1": "horizontal"}  # as measured on the strips
STRIP_FRAMES = 32
STRIP_TEST_FRACTION, STRIP_SEED = 0.05, 0
SOURCE = "data/shapes of https://github.com/sergeytulyakov/mocogan"
_CITATION = (
    "S. Tulyakov, M.-Y. Liu, X. Yang and J. Kautz. MoCoGAN: Decomposing Motion and Content for "
    "Video Generation. CVPR 2018. arXiv:1707.04993."
)


def list_clips() -> dict[str, range]:
    """Numbers of the drawn clips of both splits; no number is in both."""
    train, test = COUNTS["train"], COUNTS["test"]
    return {"train": range(train), "test": range(train, train + test)}


def prepare_embedded(
    out_dir: Folder, source_dir: Folder | None = None, **writing: bool
) -> DatasetInfo:
    """Writes the data set "shapes", drawn by code (see `tfrecords_tools.converters`)."""
    info = DatasetInfo(
        "shapes",
        "1",
        height=SIDE,
        width=SIDE,
        fps=FPS,
        class_names=MOTIONS,
        identity_names=IDENTITIES,
        attribute_names=tuple(FACTORS),
        attribute_sizes=tuple(len(values) for values in FACTORS.values()),
        licence="the licence of kerasvid, which draws them",
        source="drawn by tfrecords_tools/synthetic/shapes_drawing.py",
        citation=f"After the shape motion data of: {_CITATION}",
    )
    return write_dataset(out_dir, info, list_clips(), _drawn, **writing)


def _drawn(number: int) -> Video:
    clip = shapes_drawing.plan_clip(number, SEED)
    return Video(
        shapes_drawing.draw_clip(clip),
        id=f"{clip.motion}/{clip.size}-{clip.colour}-{clip.shape}-{number:04d}",
        fps=FPS,
        label=MOTIONS.index(clip.motion),
        identity=IDENTITIES.index(f"{clip.colour} {clip.shape}"),
        attributes=tuple(names.index(getattr(clip, key)) for key, names in FACTORS.items()),
    )


def draw_held_out(number: int) -> np.ndarray:
    """The frames uint8 `[T, H, W, C]` of a clip of the test split, by its place there."""
    return shapes_drawing.draw_clip(shapes_drawing.plan_clip(list_clips()["test"][number], SEED))


def prepare_strips(out_dir: Folder, source_dir: Folder | None, **writing: bool) -> DatasetInfo:
    """Writes the data set "shapes/strips" of MoCoGAN (see `tfrecords_tools.converters`)."""
    strips = find_strips(source_dir, STRIP_CLASSES, ".png", SOURCE)
    class_names = tuple(STRIP_CLASSES.values())

    def load(strip: Clip) -> Video:
        frames = read_strip(strip, STRIP_FRAMES)
        return Video(frames, strip.id, label=class_names.index(strip.class_name))

    licence = "sample data of MoCoGAN, for non-commercial use"
    origin: dict[str, Any] = {"licence": licence, "source": SOURCE, "citation": _CITATION}
    info = DatasetInfo("shapes/strips", "1", SIDE, SIDE, class_names=class_names, **origin)
    splits = split_clips(list(strips.values()), STRIP_TEST_FRACTION, STRIP_SEED)
    return write_dataset(out_dir, info, splits, load, **writing)


main = functools.partial(
    run_converter,
    __doc__,
    {"embedded": prepare_embedded, "strips": prepare_strips},
    "Folder of the strips; for the variant strips.",
)
