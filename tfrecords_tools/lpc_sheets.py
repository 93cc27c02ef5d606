"""Composes clips of characters from the Liberated Pixel Cup sheets, as Li & Mandt's Sprites does.

A sheet is an 832x1344 RGBA PNG with 13 columns and 21 rows of 64x64 cells, in the same poses for
each garment, so that a character is its sheets laid over each other.
"""

import os
import pathlib
from collections.abc import Mapping

import cv2
import numpy as np

from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.download import download_files
from tfrecords_tools.lpc_checksums import SHEET_CHECKSUMS

SHEET_HEIGHT, SHEET_WIDTH, CELL, COLUMNS = 1344, 832, 64, 13
ATTRIBUTES = ("body", "bottomwear", "topwear", "hair")
VALUES = 6
SHOES = "shoes/1.png"
ACTIONS = ("walk", "spellcard", "slash")
VIEWS = ("front", "left", "right")
FRAMES = 8

# Cells of the eight frames, counted from the first cell of the view.
FRAME_OFFSETS = {
    "walk": (7, 0, 1, 2, 3, 4, 5, 6),
    "spellcard": (0, 1, 2, 3, 4, 5, 4, 6),
    "slash": (0, 1, 2, 3, 4, 5, 4, 0),
}
FIRST_CELL = {
    "walk": {"front": 131, "left": 118, "right": 144},
    "spellcard": {"front": 26, "left": 13, "right": 39},
    "slash": {"front": 182, "left": 169, "right": 195},
}
SOURCE = (
    "the Liberated Pixel Cup art as arranged in the public repository YingzhenLi/Sprites "
    "(CC-BY-SA 3.0 / GPL 3.0, with attribution)"
)
# A commit, not a branch: the sheets behind it cannot change.
ADDRESS = (
    "https://raw.githubusercontent.com/YingzhenLi/Sprites/3ce4048c5227802bd8f1888e293fd3afdba91c0c"
)


class SheetError(ConversionError):
    """A sheet is missing or is not what it should be; the one-line message names the file."""


def clip_cells(action: str, view: str) -> tuple[int, ...]:
    """Cell numbers of a clip's eight frames; cell n is row n // 13, column n % 13 of a sheet.

    Example:
        clip_cells("walk", "front")  # (138, 131, 132, 133, 134, 135, 136, 137)
    """
    first = FIRST_CELL[action][view]
    return tuple(first + offset for offset in FRAME_OFFSETS[action])


def _read_sheet(path: pathlib.Path) -> np.ndarray:
    """One sheet as RGBA, uint8 [1344, 832, 4]."""
    if not path.is_file():
        raise SheetError(f"missing sheet {path}: --source_dir must hold {SOURCE}")
    try:
        sheet = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise SheetError(f"cannot read sheet {path}: fetch it again ({SOURCE})") from error
    if sheet is None:
        raise SheetError(f"{path} is not a readable PNG: fetch it again ({SOURCE})")
    if sheet.shape != (SHEET_HEIGHT, SHEET_WIDTH, 4) or sheet.dtype != np.uint8:
        height, width, *channels = sheet.shape
        raise SheetError(
            f"{path} is a {width}x{height} image with {channels[0] if channels else 1} channel(s), "
            f"not an {SHEET_WIDTH}x{SHEET_HEIGHT} RGBA sheet: fetch it again ({SOURCE})"
        )
    return cv2.cvtColor(sheet, cv2.COLOR_BGRA2RGBA)


def _clips_of(sheet: np.ndarray) -> np.ndarray:
    """Cuts the nine clips out of a sheet: uint8 [3, 3, 8, 64, 64, 4] by action, view, frame."""
    rows = SHEET_HEIGHT // CELL
    cells = sheet.reshape(rows, CELL, COLUMNS, CELL, 4).swapaxes(1, 2)  # [21, 13, 64, 64, 4]
    cells = cells.reshape(rows * COLUMNS, CELL, CELL, 4)
    numbers = [[clip_cells(action, view) for view in VIEWS] for action in ACTIONS]
    return cells[np.array(numbers)]


def download_sheets(folder: str | os.PathLike, *, progress: bool = True) -> None:
    """Downloads the sheets that a folder does not hold yet, 0.4 MB in all.

    Args:
        folder: where they go, and stay; then a source_dir for `load_sheets`.
        progress: show a line of progress on stderr.

    Raises:
        ConversionError: a sheet cannot be had, has another checksum or cannot be written.

    Example:
        download_sheets("data/lpc-sheets")
    """
    title = "Liberated Pixel Cup sheets (CC-BY-SA 3.0 / GPL 3.0)"
    download_files(ADDRESS, SHEET_CHECKSUMS, folder, title=title, progress=progress)


def load_sheets(source_dir: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the 24 attribute sheets and the shoes.

    Args:
        source_dir: folder with the subfolders body, bottomwear, topwear, hair (0.png to 5.png
            each) and shoes (1.png).

    Returns:
        A mapping from "body/0.png" and so on to the nine clips of that sheet, uint8 RGBA
        [3, 3, 8, 64, 64, 4] by action, view and frame.

    Raises:
        SheetError: a sheet is missing, unreadable or has another size.
    """
    folder = pathlib.Path(source_dir)
    if not folder.is_dir():
        raise SheetError(f"no folder {folder}: --source_dir must hold {SOURCE}")
    names = [f"{attribute}/{value}.png" for attribute in ATTRIBUTES for value in range(VALUES)]
    return {name: _clips_of(_read_sheet(folder / name)) for name in [*names, SHOES]}


def compose_clip(
    sheets: Mapping[str, np.ndarray],
    attributes: tuple[int, int, int, int],
    action: str,
    view: str,
) -> np.ndarray:
    """Lays a character's sheets over each other, on black.

    Args:
        sheets: what `load_sheets` returned.
        attributes: values of body, bottomwear, topwear and hair, each 0..5.
        action: one of `ACTIONS`.
        view: one of `VIEWS`.

    Returns:
        The clip, uint8 RGB [8, 64, 64, 3].

    Example:
        frames = compose_clip(load_sheets("lpc_sprites"), (0, 1, 2, 3), "walk", "left")
    """
    clip = ACTIONS.index(action), VIEWS.index(view)
    layers = [f"{name}/{value}.png" for name, value in zip(ATTRIBUTES, attributes, strict=True)]
    canvas = np.zeros((FRAMES, CELL, CELL, 3), np.uint8)
    for name in [*layers, SHOES]:  # the shoes come last: they cover the legs of long trousers
        _lay_over(canvas, sheets[name][clip])
    return canvas


def _lay_over(canvas: np.ndarray, layer: np.ndarray) -> None:
    """Blends an RGBA layer into an opaque RGB canvas in place, rounded to 8 bits."""
    alpha = layer[..., 3]
    opaque = alpha == 255
    canvas[opaque] = layer[opaque, :3]
    partial = (alpha > 0) & ~opaque  # a few pixels of a few sheets
    if partial.any():
        over, under = layer[partial].astype(np.uint16), canvas[partial].astype(np.uint16)
        weight = over[:, 3:]
        canvas[partial] = (over[:, :3] * weight + under * (255 - weight) + 127) // 255
