"""Makes the sprites data sets: 1,296 characters, 3 actions in 3 views, 8 frames of 64x64.

    kerasvid data sprites --variant=embedded --out_dir=data/sprites
    kerasvid data sprites --variant=lpc --out_dir=data/sprites-lpc

`embedded` is drawn by code and needs no files. `lpc` is composed as in Li & Mandt (2018) from the
Liberated Pixel Cup sheets, from --source_dir or else downloaded. Both have 9,000 training clips of
1,000 characters and 2,664 test clips of the other 296.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import write_dataset
from tfrecords_tools.converter_flags import run_converter
from tfrecords_tools.converters import lpc_sheets
from tfrecords_tools.converters.lpc_sheets import ATTRIBUTES, VALUES, VIEWS
from tfrecords_tools.source_files import Folder
from tfrecords_tools.synthetic import sprites_drawing

CHARACTERS = VALUES ** len(ATTRIBUTES)
TRAIN_CHARACTERS = 1000
SPLIT_SEED = 423  # the one of Li & Mandt's script, so that their split is reproduced
FPS = 8.0
_CITATION = (
    "Yingzhen Li and Stephan Mandt. Disentangled Sequential Autoencoder. ICML 2018. "
    "arXiv:1803.02991."
)
_SHEETS_LICENCE = (
    "CC-BY-SA 3.0 / GNU GPL 3.0, with attribution to the artists of the Liberated Pixel Cup "
    "(https://lpc.opengameart.org)"
)


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip: the number of a character (0..1295), an action and a view."""

    character: int
    action: str
    view: str

    @property
    def attributes(self) -> tuple[int, ...]:
        """Values of body, bottomwear, topwear and hair: the character's digits in base 6."""
        return tuple(map(int, np.unravel_index(self.character, (VALUES,) * len(ATTRIBUTES))))

    @property
    def character_name(self) -> str:
        """For instance "body3-bottom1-top4-hair0"."""
        return "body{}-bottom{}-top{}-hair{}".format(*self.attributes)


def split_characters() -> dict[str, list[int]]:
    """Numbers of the 1,000 training and the 296 test characters, in Li & Mandt's order."""
    order = np.random.RandomState(SPLIT_SEED).permutation(CHARACTERS).tolist()
    return {"train": order[:TRAIN_CHARACTERS], "test": order[TRAIN_CHARACTERS:]}


def list_clips(actions: Sequence[str]) -> dict[str, list[Clip]]:
    """The clips of both splits: nine for each character, by action, then by view."""
    return {
        split: [Clip(c, action, view) for c in characters for action in actions for view in VIEWS]
        for split, characters in split_characters().items()
    }


def prepare_embedded(
    out_dir: Folder, source_dir: Folder | None = None, **writing: bool
) -> DatasetInfo:
    """Writes the data set "sprites", drawn by code (see `tfrecords_tools.converters`)."""
    sprites_drawing.drawn_layers()  # once, before the threads of the writer ask for it
    return _write(
        out_dir,
        "sprites",
        sprites_drawing.ACTIONS,
        sprites_drawing.draw_clip,
        writing,
        licence="the licence of kerasvid, which draws them",
        source="drawn by tfrecords_tools/synthetic/sprites_drawing.py",
        citation=f"Structure and split after: {_CITATION}",
    )


def prepare_lpc(out_dir: Folder, source_dir: Folder | None = None, **writing: bool) -> DatasetInfo:
    """Writes the data set "sprites/lpc", of the sheets (see `tfrecords_tools.converters`).

    Without source_dir, the sheets are downloaded, 0.4 MB, to the folder lpc-sheets beside out_dir
    and kept there.
    """
    if not source_dir:
        source_dir = os.path.join(os.path.dirname(os.path.abspath(out_dir)), "lpc-sheets")
        lpc_sheets.download_sheets(source_dir, progress=writing.get("progress", True))
    sheets = lpc_sheets.load_sheets(source_dir)
    return _write(
        out_dir,
        "sprites/lpc",
        lpc_sheets.ACTIONS,
        functools.partial(lpc_sheets.compose_clip, sheets),
        writing,
        licence=_SHEETS_LICENCE,
        source=lpc_sheets.SOURCE,
        citation=_CITATION,
    )


def _write(
    out_dir: Folder,
    name: str,
    actions: Sequence[str],
    frames_of: Callable[[tuple[int, ...], str, str], np.ndarray],
    writing: dict[str, bool],
    **origin: Any,
) -> DatasetInfo:
    info = DatasetInfo(
        name,
        "1",
        64,
        64,
        fps=FPS,
        class_names=tuple(f"{action}/{view}" for action in actions for view in VIEWS),
        identity_names=tuple(Clip(c, "", "").character_name for c in range(CHARACTERS)),
        attribute_names=ATTRIBUTES,
        attribute_sizes=(VALUES,) * len(ATTRIBUTES),
        **origin,
    )

    def load(clip: Clip) -> Video:
        return Video(
            frames_of(clip.attributes, clip.action, clip.view),
            id=f"{clip.character_name}-{clip.action}-{clip.view}",
            fps=FPS,
            label=info.class_names.index(f"{clip.action}/{clip.view}"),
            identity=clip.character,
            attributes=clip.attributes,
        )

    return write_dataset(out_dir, info, list_clips(actions), load, **writing)


main = functools.partial(
    run_converter,
    __doc__,
    {"embedded": prepare_embedded, "lpc": prepare_lpc},
    "Folder of the sheets, else downloaded; for the variant lpc.",
)
