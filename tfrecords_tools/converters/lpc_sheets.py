"""Composes clips of characters from the Liberated Pixel Cup sheets, as Li & Mandt's Sprites does.

A sheet is an 832x1344 RGBA PNG with 13 columns and 21 rows of 64x64 cells. All garments have the
same poses, so that a character is its sheets laid over each other.
"""

import os
import pathlib
from collections.abc import Mapping

import cv2
import numpy as np

from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.download import download_files

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
FIRST_CELL = {"walk": 118, "spellcard": 13, "slash": 169}  # of the row of the left view
VIEW_ROWS = {"left": 0, "front": 1, "right": 2}
SOURCE = (
    "the Liberated Pixel Cup art as arranged in the public repository YingzhenLi/Sprites "
    "(CC-BY-SA 3.0 / GPL 3.0, with attribution)"
)
_REMEDY = f"give a --source_dir with {SOURCE}"
# A commit, not a branch: the sheets of a commit cannot change.
ADDRESS = (
    "https://raw.githubusercontent.com/YingzhenLi/Sprites/3ce4048c5227802bd8f1888e293fd3afdba91c0c"
)
# SHA-256 of the sheets, by name.
SHEET_CHECKSUMS = {
    "body/0.png": "27d1ac78db37c42f35a20d15c42705efc5e58d47c236cc01423879d4f797f151",
    "body/1.png": "1535e9228357b884df80f777a0d1dac10ac35e550e4d8d077105ccad014a1460",
    "body/2.png": "7c241033b4897501cb3721b6c3a9ebfa94b13db10a539edbd9bcc3e0c2a4bcb9",
    "body/3.png": "055f5aa33fc112d8444b42fce2cf50608a9fbbf2466c54ceaa46c777589a717a",
    "body/4.png": "57f3b9c510482379aba9a32fc0de7d48e9cbe3dc40f2447283547f773b77ca72",
    "body/5.png": "91e49453aeab5ebbb4fd2b48253812895dcfb4cb1829b84e24425c66de8f04ff",
    "bottomwear/0.png": "4ec356c488e272fde2d2d0d722b12a80217871e41161d43ba784caf243969ec2",
    "bottomwear/1.png": "0674312eaa4ab548f8bb31ef95d7dbd46b41555758cec51bd6c3e9fac9a0f936",
    "bottomwear/2.png": "3b464feb0d20ff34b0ca2a6d1fd00766ad86e2229c3d56ff91379fe27588a893",
    "bottomwear/3.png": "b366e84ea0519d06cf693f51e0ee2f9ac32b3132d27c75dfdc4b6f52fca072de",
    "bottomwear/4.png": "4ed7e7702e4f50b9692c0043be04b7296a108d85ea97230fb50d13c150d98771",
    "bottomwear/5.png": "a5c5e7e33f13fe5ad37b5836a5a74fb0d2094a0877c2146961b88688ff85840d",
    "topwear/0.png": "b917edcf2b3c35d51ef57a6fad67557c5edf048785bea29db09a640d09ac9a90",
    "topwear/1.png": "e33c6cb31ed1268a2c0dc73b665b1c9b9420e22baf3321880222bdb22682368b",
    "topwear/2.png": "2b9b8fefa08894b7ea536cd62b86d494aefe6e54495c5c1d83460827b13b6448",
    "topwear/3.png": "807f5b628592f6747e2814be9435963069dba6c360577168c02f57bbe903433d",
    "topwear/4.png": "b51b17878503877e179ce4f9231713bf2b2d2d666c3ec9ee29f4e784469867a2",
    "topwear/5.png": "1b6049d43f83ebfda857cc405d1936ac9fd80be480fa6ad239024a6a75ad0372",
    "hair/0.png": "e4007b0635a239ad16cdebfe90759349ccc73dfc6836c9d19625714be185f43d",
    "hair/1.png": "fa6369f84d3310705df6d8ca8c9d515a7d211e73d2826c50a9cb5bb285652c66",
    "hair/2.png": "1b8046752be7233e829ebe9b11048e171d8d181ee6f68e07042b34f57bb8af0d",
    "hair/3.png": "333783285c5fd94ff434ae5000d2da39aac7940269f173119eaa70d34c8acfa1",
    "hair/4.png": "24df8e9b291cbd444f6c4d12d35b3d43d909cd13f04e6401e0fd8ab10216d5a2",
    "hair/5.png": "4dd471cc20e0b1cf71adcaab01c88598767e5cfe680adacdf560ca91574f17ae",
    "shoes/1.png": "d56a561616a20a12030d2d40a52eeec63e6d048871bf3b6994221869362151f1",
}


def clip_cells(action: str, view: str) -> tuple[int, ...]:
    """Cell numbers of a clip's eight frames; cell n is row n // 13, column n % 13 of a sheet."""
    first = FIRST_CELL[action] + COLUMNS * VIEW_ROWS[view]
    return tuple(first + offset for offset in FRAME_OFFSETS[action])


def _read_sheet(path: pathlib.Path) -> np.ndarray:
    """One sheet as RGBA, uint8 [1344, 832, 4]."""
    if not path.is_file():
        raise ConversionError(f"{path}: the sheet is missing; {_REMEDY}.")
    data = np.fromfile(path, np.uint8)
    sheet = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if sheet is None:
        raise ConversionError(f"{path}: not a readable PNG; {_REMEDY}.")
    shape = (SHEET_HEIGHT, SHEET_WIDTH, 4)
    if sheet.shape != shape or sheet.dtype != np.uint8:
        raise ConversionError(
            f"{path}: the image is {list(sheet.shape)} instead of {list(shape)}; {_REMEDY}."
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
    """Downloads the sheets that a folder lacks, 0.4 MB in all; ConversionError if it fails."""
    title = "Liberated Pixel Cup sheets (CC-BY-SA 3.0 / GPL 3.0)"
    download_files(ADDRESS, SHEET_CHECKSUMS, folder, title=title, progress=progress)


def load_sheets(source_dir: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the 24 attribute sheets and the shoes.

    Args:
        source_dir: folder with the subfolders body, bottomwear, topwear, hair (0.png to 5.png
            each) and shoes (1.png).

    Returns:
        The nine clips of each sheet by its name, for instance "body/0.png": uint8 RGBA
        [3, 3, 8, 64, 64, 4] by action, view and frame.
    """
    folder = pathlib.Path(source_dir)
    if not folder.is_dir():
        raise ConversionError(f"{folder}: no such folder; {_REMEDY}.")
    names = [f"{attribute}/{value}.png" for attribute in ATTRIBUTES for value in range(VALUES)]
    return {name: _clips_of(_read_sheet(folder / name)) for name in [*names, SHOES]}


def compose_clip(
    sheets: Mapping[str, np.ndarray], attributes: tuple[int, ...], action: str, view: str
) -> np.ndarray:
    """Lays a character's sheets over each other, on black: uint8 RGB [8, 64, 64, 3].

    Args:
        sheets: the result of `load_sheets`.
        attributes: values of body, bottomwear, topwear and hair, each 0..5.
        action, view: one of `ACTIONS` and one of `VIEWS`.
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
