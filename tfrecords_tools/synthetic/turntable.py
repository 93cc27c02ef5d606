"""Makes the turntable data set: coloured solids that turn under a camera, 16 frames of 64x64.

    kerasvid data turntable --out_dir=data/turntable

It is drawn by code and needs no files. It has the structure of the rendered chairs (see
`converters.chairs`), which it can replace: 16 solids in 8 colours are 128 identities, each seen
from two elevations, 20 and 40 degrees, which are the labels: 256 clips. All clips begin at azimuth
0, the front of the solid, and turn it to the right by 1/31 of a full turn per frame, as the first
half of the chairs' 31 azimuths. So all clips of a class show the same view at the same time.

Of each solid, one colour lacks one elevation in the training split, by seed: 240 training clips,
in which every identity occurs, and 16 test clips, eight an elevation and two a colour.
"""

import functools

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import write_dataset
from tfrecords_tools.converter_flags import run_converter
from tfrecords_tools.source_files import Folder, named_splits
from tfrecords_tools.synthetic import turntable_drawing
from tfrecords_tools.synthetic.turntable_drawing import COLOURS, ELEVATIONS, SIDE, Clip
from tfrecords_tools.synthetic.turntable_solids import SOLIDS, make_solid

SPLIT_SEED = 0
FPS = 8.0
FACTORS = {"solid": tuple(SOLIDS), "colour": tuple(COLOURS)}
IDENTITIES = tuple(f"{colour} {solid}" for solid in SOLIDS for colour in COLOURS)
CLASSES = tuple(f"elevation-{elevation}" for elevation in ELEVATIONS)


def list_clips() -> dict[str, list[Clip]]:
    """The 240 training and 16 test clips, by solid, colour and elevation."""
    random = np.random.default_rng(SPLIT_SEED)
    # Two solids a colour and eight an elevation.
    colours, elevations = (
        random.permutation(np.resize(names, len(SOLIDS))) for names in (list(COLOURS), ELEVATIONS)
    )
    held_out = {Clip(*case) for case in zip(SOLIDS, colours, elevations, strict=True)}
    clips = [Clip(s, c, e) for s in SOLIDS for c in COLOURS for e in ELEVATIONS]
    return named_splits(clips, [clip in held_out for clip in clips])


def prepare(out_dir: Folder, source_dir: Folder | None = None, **writing: bool) -> DatasetInfo:
    """Writes the data set "turntable", drawn by code (see `tfrecords_tools.converters`)."""
    info = DatasetInfo(
        "turntable",
        "1",
        height=SIDE,
        width=SIDE,
        fps=FPS,
        class_names=CLASSES,
        identity_names=IDENTITIES,
        attribute_names=tuple(FACTORS),
        attribute_sizes=tuple(len(values) for values in FACTORS.values()),
        licence="the licence of kerasvid, which draws them",
        source="drawn by tfrecords_tools/synthetic/turntable_drawing.py",
        citation="After the rendered chairs of: M. Aubry, D. Maturana, A. A. Efros, B. C. Russell "
        "and J. Sivic. Seeing 3D chairs. CVPR 2014.",
    )
    for name in SOLIDS:
        make_solid(name)  # once, before the threads of the writer ask for it
    return write_dataset(out_dir, info, list_clips(), _drawn, **writing)


def _drawn(clip: Clip) -> Video:
    label = ELEVATIONS.index(clip.elevation)
    return Video(
        turntable_drawing.draw_clip(clip),
        id=f"{CLASSES[label]}/{clip.colour}-{clip.solid}",
        fps=FPS,
        label=label,
        identity=IDENTITIES.index(f"{clip.colour} {clip.solid}"),
        attributes=tuple(names.index(getattr(clip, key)) for key, names in FACTORS.items()),
    )


main = functools.partial(run_converter, __doc__, prepare, "Not needed.")
