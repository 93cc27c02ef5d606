"""A folder with a page that runs a model's generator in the browser, for any file server."""

import json
import os
import pathlib
import shutil
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from export import tflite
from export.exported_run import ExportedRun
from export.latent_directions import leading_directions
from export.litert_runtime import NOTICE, add_runtime
from export.verbs import Verb, noise_verbs
from kerasvid.callbacks.files import faults_named
from kerasvid.data import DatasetError, DatasetInfo, load_info
from kerasvid.runs.evaluation_data import frame_rate, pictured_batch
from kerasvid.runs.plan import digest_of

FORMAT = "kerasvid-web"  # of model.json

PAGE = pathlib.Path(__file__).with_name("web")
EXAMPLES = 6
DIRECTIONS = 8
MAX_CLIPS = 24
# Noise without an axis of frames that says how a clip moves all the same: where an RNN starts, and
# the codes of a whole video's movement.
_OF_MOTION = ("start", "transient")
_LENGTHS = ("length", "until")


def is_page(folder: str) -> bool:
    """Whether a folder was made by `write_page`; files of other programs are named alike."""
    try:
        with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
            return json.load(file).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


def check_target(out: str, overwrite: bool) -> None:
    """Refuses a folder that is there, unless it is such a page and may be replaced.

    Raises:
        ValueError: it may not.
    """
    if not os.path.lexists(out) or (os.path.isdir(out) and not os.listdir(out)):
        return
    if not is_page(out):
        raise ValueError(f"{out}: exists and is no such page; give another --out.")
    if not overwrite:
        raise ValueError(f"{out}: exists; give another --out, or --overwrite to replace it.")


def write_page(
    run: ExportedRun,
    folder: str | os.PathLike,
    frames: int | None = None,
    clips: int = 6,
    runtime: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Writes the page, the model and the runtime into an empty folder.

    Args:
        run: whose model is shown.
        folder: exists and is empty.
        frames: T of a clip, the model's own where `None`.
        clips: in the grid, 1 to 24.
        runtime: `add_runtime`'s packages.

    Returns:
        What `model.json` states.

    Raises:
        ValueError: the model does not make clips of T frames, cannot be converted, or `clips` is
            out of range.
        RuntimeUnavailable: the runtime cannot be had.

    Example:
        >>> write_page(load_for_export("runs/rjvae-sprites"), "demo")["frames"]
        8
    """
    if not 1 <= clips <= MAX_CLIPS:
        raise ValueError(f"clips={clips} must lie between 1 and {MAX_CLIPS}.")
    frames = run.model.frames if frames is None else frames
    verbs = noise_verbs(run.model, frames)
    decode, folder = verbs["decode"], pathlib.Path(folder)
    add_runtime(folder / "runtime", runtime)
    for file in sorted(PAGE.iterdir()):
        shutil.copyfile(file, folder / file.name)
    (folder / "LICENSES.txt").write_text(NOTICE, encoding="utf-8")
    # One clip at a time: LiteRT.js refuses a dynamic batch.
    (folder / "model.tflite").write_bytes(tflite.convert(run.model, {"decode": decode}, batch=1))
    ends = _ends(run) if "first" in decode.inputs else None
    page = _description(run, verbs, frames, clips, ends)
    if ends is not None:
        for number, pair in enumerate(ends):
            for name, picture in zip(("first", "last"), pair, strict=True):
                _write_png(folder / page["examples"][number][name], picture)
    (folder / "model.json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    return page


def role_of(name: str, shape: tuple[int, ...], frames: int) -> str:
    """What a noise decides: "content", "motion", "category", or of the "length" its shape alone.

    Example:
        >>> role_of("residual", (8, 24), frames=8), role_of("summary", (24,), frames=8)
        ('motion', 'content')
    """
    if name == "category":
        return "category"
    if name in _LENGTHS:
        return "length"
    each_frame = len(shape) > 1 and shape[0] == frames
    return "motion" if each_frame or name.startswith(_OF_MOTION) else "content"


def _description(
    run: ExportedRun, verbs: dict[str, Verb], frames: int, clips: int, ends: np.ndarray | None
) -> dict[str, Any]:
    """What the page must know of the model."""
    decode, info = verbs["decode"], _info(run)
    shapes = {name: decode.inputs[name].shape for name in decode.noise}
    roles = {name: role_of(name, shape, frames) for name, shape in shapes.items()}
    height, width, channels = run.model.image_shape
    between = "first" in decode.inputs
    classes = info.class_names if info else ()
    kinds = max((shapes[n][0] for n, role in roles.items() if role == "category"), default=0)
    return {
        "format": FORMAT,
        "format_version": 1,
        "model": run.plan.model,
        "preset": run.plan.preset,
        "step": run.step,
        "parameters": sum(v.shape.num_elements() for v in decode.traced(1).variables),
        "dataset": run.plan.dataset,
        "licence": info.licence if info else "",
        "source": info.source if info else "",
        "file": "model.tflite",
        "signature": "decode",
        "frames": frames,
        "height": height,
        "width": width,
        "channels": channels,
        "fps": frame_rate(run.plan),
        "clips": clips if shapes else 1,
        "noise": [
            {"name": name, "shape": list(shape), "role": roles[name]}
            for name, shape in shapes.items()
        ],
        "categories": [
            classes[i] if len(classes) == kinds else f"category {i}" for i in range(kinds)
        ],
        "directions": _directions(decode, roles, ends),
        "ends": between,
        "examples": [
            {"first": f"example-{i}-first.png", "last": f"example-{i}-last.png"}
            for i in range(0 if ends is None else len(ends))
        ],
        "verbs": sorted(verbs),
    }


def _directions(decode: Verb, roles: dict[str, str], ends: np.ndarray | None) -> list[dict]:
    """The leading directions of what stays the same over a clip; none where ends are unknown."""
    names = [
        n for n, role in roles.items() if role == "content" and len(decode.inputs[n].shape) == 1
    ]
    if "first" in decode.inputs and ends is None:
        return []
    given = {}
    if ends is not None:
        floats = ends.astype(np.float32) / 127.5 - 1.0
        given = {"first": floats[:, 0], "last": floats[:, 1]}
    found = leading_directions(decode, names, DIRECTIONS, given=given) if names else []
    return [
        {
            "noise": each.noise,
            "share": round(each.share, 4),
            "vector": [round(float(part), 7) for part in each.vector],
        }
        for each in found
    ]


def _info(run: ExportedRun) -> DatasetInfo | None:
    """What the data set states of itself, where it is at hand as the run read it."""
    try:
        info = load_info(run.plan.data_folder)
        return info if digest_of(info, run.plan.images_folder) == run.plan.data_digest else None
    except (DatasetError, OSError, tf.errors.OpError):
        return None


def _ends(run: ExportedRun) -> np.ndarray | None:
    """First and last frames of held-out clips, uint8 `[N, 2, H, W, C]`, where data is at hand."""
    try:
        clips = pictured_batch(run.plan, EXAMPLES)["video"]
    except (DatasetError, OSError, tf.errors.OpError):
        return None
    return np.stack([clips[:, 0], clips[:, -1]], axis=1)


def _write_png(path: pathlib.Path, picture: np.ndarray) -> None:
    with faults_named(path):
        _, encoded = cv2.imencode(".png", picture[..., ::-1])  # OpenCV writes BGR
        path.write_bytes(encoded.tobytes())
