"""The page of a study: one file of HTML that holds all clips, and needs no network.

It runs from a file as well as from a server. A content policy with the digests of its own script
and style keeps anything else from running or loading. Clips are lossless pictures of all frames.
The page knows of a pair its name and two clips; which run is where, `study.json` alone says.
"""

import base64
import hashlib
import io
import json
import math
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, features

from kerasvid.comparison.study import KEY_FILE, PAGE_FILE, Study, StudyError, load_study
from kerasvid.io import readable_os_errors, replace_folder
from kerasvid.visualization.grids import to_rgb

TEMPLATES = pathlib.Path(__file__).with_name("page")
SCRIPTS = ("answers.js", "clips.js", "instructions.js", "page.js")
LARGEST_PAGE = 128 * 2**20  # bytes that a browser opens without ado


def check_study_folder(out: str | os.PathLike, overwrite: bool = False) -> None:
    """Refuses a folder that is there, unless it is a study without answers and may be replaced.

    A preference was counted of answers, which without this key tell nothing any more.

    Raises:
        StudyError: it may not.
    """
    path = pathlib.Path(out)
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise StudyError(f"{path}: is no folder; give another --out.")
    try:
        load_study(path)
    except StudyError as error:
        raise StudyError(f"{path}: exists and is no study; give another --out.") from error
    if others := sorted({entry.name for entry in path.iterdir()} - {KEY_FILE, PAGE_FILE}):
        raise StudyError(
            f"{path}: is a study with {others[0]} in it, which would be lost; give another --out."
        )
    if not overwrite:
        raise StudyError(f"{path}: exists; give another --out, or --overwrite to replace it.")


def write_study(
    study: Study,
    clips: Mapping[str, np.ndarray],
    out: str | os.PathLike,
    overwrite: bool = False,
) -> int:
    """Writes `index.html`, which raters get, and `study.json`, the key, which they do not.

    Args:
        study: of `make_study`.
        clips: that it was made of.
        out: folder to make.
        overwrite: replace a study without answers.

    Returns:
        The bytes of the page.

    Raises:
        StudyError: the folder may not be written to, or the page would be too large.
        OSError: the disk is full, or the folder cannot be made; one line.
    """
    check_study_folder(out, overwrite)
    page = page_of(study, clips).encode()
    if len(page) > LARGEST_PAGE:
        size = f"{len(page) / 2**20:.0f} MiB, more than {LARGEST_PAGE / 2**20:.0f}"
        raise StudyError(f"The page would have {size}: give fewer --pairs or --frames.")
    out = os.path.abspath(out)
    building = f"{out}.partial-{os.getpid()}"
    try:
        with readable_os_errors(out):
            os.makedirs(building)
            pathlib.Path(building, PAGE_FILE).write_bytes(page)
            pathlib.Path(building, KEY_FILE).write_text(study.to_json(), encoding="utf-8")
            check_study_folder(out, overwrite)
            replace_folder(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return len(page)


def page_of(study: Study, clips: Mapping[str, np.ndarray]) -> str:
    """The text of the page.

    Args:
        study: of `make_study`.
        clips: of the runs "a" and "b", uint8 `[N, T, H, W, C]`.
    """
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    # The last one holds texts of the user's, in which nothing is replaced any more.
    parts = {
        "STYLE_DIGEST": _digest(style),
        "SCRIPT_DIGEST": _digest(script),
        "STYLE": style,
        "SCRIPT": script,
        "STUDY": _as_json(_shown(study, clips)),
    }
    page = (TEMPLATES / "index.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"[[{name}]]", text, 1)
    return page


def frame_sheet(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """All frames of a clip in one picture, row by row, and how many stand in a row.

    Args:
        frames: uint8 `[T, H, W, C]`.

    Returns:
        uint8 `[rows * H, columns * W, 3]`, black where no frame is left, and `columns`.
    """
    frames = to_rgb(frames)
    count, height, width = frames.shape[:3]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * columns, height, width, 3), np.uint8)
    sheet[:count] = frames
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, 3), columns


def _shown(study: Study, clips: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the page knows of the study."""
    kind = "webp" if features.check("webp") else "png"
    pairs = []
    for pair in study.pairs:
        numbers = {"a": pair.a, "b": pair.b}
        pictures = [_encoded(clips[run][numbers[run]], kind) for run in pair.order]
        pairs.append({"pair": pair.pair, "clips": pictures})
    return {
        "id": study.id,
        "title": study.title,
        "question": study.question,
        "description": study.description,
        "stacked": study.layout == "stacked",
        "sides": study.sides,
        "frames": study.frames,
        "height": study.height,
        "width": study.width,
        "fps": study.fps,
        "columns": frame_sheet(clips["a"][0])[1],
        "type": f"image/{kind}",
        "pairs": pairs,
    }


def _encoded(frames: np.ndarray, kind: str) -> str:
    file = io.BytesIO()
    options = {"lossless": True, "quality": 80, "method": 4} if kind == "webp" else {}
    Image.fromarray(frame_sheet(frames)[0]).save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def _as_json(value: Any) -> str:
    """JSON that ends no element of HTML."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _digest(text: str) -> str:
    """As a content policy names what may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
