"""The page of a study: one HTML file that holds all clips and needs no network.

It opens from a file or a server. Its content security policy holds the digests of its own script
and style, so that nothing else runs or loads. Clips are lossless images of all frames. The page
knows the name and the two clips of a pair; only `study.json` says which run is on which side.
"""

import base64
import functools
import hashlib
import io
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, features

from kerasvid.comparison.study import KEY_FILE, PAGE_FILE, Study, StudyError, load_study
from kerasvid.io import atomic_folder, readable_os_errors
from kerasvid.visualization.grids import to_rgb

TEMPLATES = pathlib.Path(__file__).with_name("page")
# One script: a file uses names of the files before it only.
SCRIPTS = ("answers.js", "clips.js", "instructions.js", "page.js")
LARGEST_PAGE = 128 * 2**20  # bytes that a browser opens without trouble


def check_study_folder(out: str | os.PathLike, overwrite: bool = False) -> None:
    """Raises a StudyError for a folder that exists, unless `overwrite` and it is only a study."""
    path = pathlib.Path(out)
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise StudyError(f"{path}: not a folder. Give another --out.")
    try:
        load_study(path)
    except StudyError as error:
        raise StudyError(f"{path}: exists and is not a study. Give another --out.") from error
    if others := sorted({entry.name for entry in path.iterdir()} - {KEY_FILE, PAGE_FILE}):
        raise StudyError(f"{path}: a study that also holds {others[0]}. Give another --out.")
    if not overwrite:
        raise StudyError(f"{path}: exists. Give another --out, or --overwrite to replace it.")


def write_study(
    study: Study,
    clips: Mapping[str, np.ndarray],
    out: str | os.PathLike,
    overwrite: bool = False,
) -> int:
    """Writes `index.html` for raters, and `study.json`, the key, which raters must not see.

    Args:
        study, clips: as `page_of`.
        out: folder to make.
        overwrite: replace a study without answers.

    Returns:
        The size of the page in bytes.

    Raises:
        StudyError: the folder may not be written, or the page is too large.
        OSError: the disk is full, or the folder cannot be made.
    """
    check_study_folder(out, overwrite)
    page = page_of(study, clips).encode()
    if len(page) > LARGEST_PAGE:
        raise StudyError(
            f"The page has {len(page) / 2**20:.0f} MiB, more than {LARGEST_PAGE / 2**20:.0f}. "
            "Give fewer --pairs or --frames."
        )
    check = functools.partial(check_study_folder, out, overwrite)
    with readable_os_errors(out), atomic_folder(out, check) as building:
        pathlib.Path(building, PAGE_FILE).write_bytes(page)
        pathlib.Path(building, KEY_FILE).write_text(study.to_json(), encoding="utf-8")
    return len(page)


def page_of(study: Study, clips: Mapping[str, np.ndarray]) -> str:
    """The text of the page, of a study of `make_study` and its clips."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    # The study comes last: its texts are the user's, and nothing in them is replaced.
    parts = {
        "STYLE_DIGEST": _digest(style),
        "SCRIPT_DIGEST": _digest(script),
        "STYLE": style,
        "SCRIPT": script,
        # No "<", so that the JSON ends no HTML element.
        "STUDY": json.dumps(_shown(study, clips), ensure_ascii=False).replace("<", "\\u003c"),
    }
    page = (TEMPLATES / "index.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"[[{name}]]", text, 1)
    return page


def frame_sheet(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """All frames `[T, H, W, C]` of a clip in one image, row by row, and the number of columns.

    The image is uint8 `[rows * H, columns * W, 3]`, black after the last frame.
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
        images = [_encoded(clips[run][getattr(pair, run)], kind) for run in pair.order]
        pairs.append({"pair": pair.pair, "clips": images})
    names = ("id", "title", "question", "description", "sides", "frames", "height", "width", "fps")
    return {
        **{name: getattr(study, name) for name in names},
        "stacked": study.layout == "stacked",
        "columns": frame_sheet(clips["a"][0])[1],
        "type": f"image/{kind}",
        "pairs": pairs,
    }


def _encoded(frames: np.ndarray, kind: str) -> str:
    file = io.BytesIO()
    options = {"lossless": True, "quality": 80, "method": 4} if kind == "webp" else {}
    Image.fromarray(frame_sheet(frames)[0]).save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def _digest(text: str) -> str:
    """The source expression of a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
