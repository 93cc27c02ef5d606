"""A folder with a page that runs a model's generator in the browser, for any file server."""

import importlib.resources
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from kerasvid.data import DatasetError
from kerasvid.export import tflite
from kerasvid.export.exported_run import ExportedRun, dataset_info
from kerasvid.export.signatures import Signature, noise_signatures
from kerasvid.export.web.directions import leading_directions
from kerasvid.export.web.runtime import NOTICE, add_runtime
from kerasvid.models.base.categories import CATEGORY
from kerasvid.models.base.vae import VariationalModel
from kerasvid.training.clips import frame_rate, shown_batch

FORMAT = "kerasvid-web"  # of model.json
EXAMPLES = 6
DIRECTIONS = 8
OF_MOTION = "start"  # name of noise without a frame axis that decides the motion: that of an RNN


def check_target(out: str, overwrite: bool) -> None:
    """Raises ValueError for an existing folder, unless it is such a page and may be replaced."""
    if not os.path.lexists(out) or (os.path.isdir(out) and not os.listdir(out)):
        return
    try:
        page = json.loads(pathlib.Path(out, "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        page = None
    if not isinstance(page, dict) or page.get("format") != FORMAT:
        raise ValueError(f"{out}: exists and was not made by this command. Give another --out.")
    if not overwrite:
        raise ValueError(f"{out}: exists. Give another --out, or --overwrite to replace it.")


def write_page(
    run: ExportedRun,
    folder: str | os.PathLike,
    frames: int | None = None,
    clips: int = 6,
    runtime: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Writes the page, the model and the runtime into an empty folder.

    Args:
        run: of `load_for_export`.
        folder: exists and is empty.
        frames: T of a clip; by default the model's own.
        clips: number of clips in the grid, 1 to 24.
        runtime: packages for `add_runtime`.

    Returns:
        The content of `model.json`.

    Raises:
        ValueError: the model cannot make clips of this length, or cannot be converted.
        RuntimeUnavailable: the runtime is not available.

    Example:
        >>> write_page(load_for_export("runs/rjvae-sprites"), "demo")["frames"]
        8
    """
    frames = run.model.frames if frames is None else frames
    decode, folder = noise_signatures(run.model, frames)["decode"], pathlib.Path(folder)
    add_runtime(folder / "runtime", runtime)
    for file in importlib.resources.files(__package__).joinpath("static").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "LICENSES.txt").write_text(NOTICE, encoding="utf-8")
    # One clip at a time: LiteRT.js refuses a dynamic batch.
    (folder / "model.tflite").write_bytes(tflite.convert(run.model, {"decode": decode}, batch=1))
    pairs = _endpoints(run) if "first" in decode.inputs else None
    page = _description(run, decode, frames, clips, pairs)
    for names, pair in zip(page["examples"], pairs if pairs is not None else (), strict=True):
        for key, image in zip(("first", "last"), pair, strict=True):
            _, encoded = cv2.imencode(".png", image[..., ::-1])  # OpenCV writes BGR
            (folder / names[key]).write_bytes(encoded.tobytes())
    (folder / "model.json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    return page


def roles_of(model: Any, shapes: Mapping[str, tuple[int, ...]], frames: int) -> dict[str, str]:
    """What each noise decides: "content", "motion" or "category".

    Where a fitted prior draws content and motion together, all of it is "content".
    """
    fitted = isinstance(model, VariationalModel) and bool(model.priors)
    groups = model.code_groups.values() if fitted else ()
    together = {name for names in groups if len(names) > 1 for name in names}

    def role(name: str, shape: tuple[int, ...]) -> str:
        if name == CATEGORY:
            return "category"
        each_frame = len(shape) > 1 and shape[0] == frames and name not in together
        return "motion" if each_frame or name == OF_MOTION else "content"

    return {name: role(name, shape) for name, shape in shapes.items()}


def _description(
    run: ExportedRun, decode: Signature, frames: int, clips: int, pairs: np.ndarray | None
) -> dict[str, Any]:
    """The facts about the model that the page needs."""
    info, _ = dataset_info(run.config)
    shapes = {name: decode.inputs[name].shape for name in decode.noise}
    roles = roles_of(run.model, shapes, frames)
    height, width, channels = run.model.image_shape
    classes = info.class_names if info else ()
    kinds = max((shapes[n][0] for n, role in roles.items() if role == "category"), default=0)
    numbered = [f"category {i}" for i in range(kinds)]
    return {
        "format": FORMAT,
        "format_version": 2,
        "model": run.config.model,
        "preset": run.config.preset,
        "step": run.step,
        "parameters": sum(v.shape.num_elements() for v in decode.traced(1).variables),
        "dataset": run.config.dataset,
        **{key: getattr(info, key, "") for key in ("licence", "source")},
        "file": "model.tflite",
        "signature": "decode",
        "frames": frames,
        "height": height,
        "width": width,
        "channels": channels,
        "fps": frame_rate(run.config),
        "clips": clips if shapes else 1,
        "noise": [{"name": n, "shape": list(s), "role": roles[n]} for n, s in shapes.items()],
        "categories": list(classes) if len(classes) == kinds else numbered,
        "directions": _directions(decode, roles, pairs),
        "endpoints": "first" in decode.inputs,
        "examples": [
            {"first": f"example-{i}-first.png", "last": f"example-{i}-last.png"}
            for i in range(0 if pairs is None else len(pairs))
        ],
    }


def _directions(decode: Signature, roles: dict[str, str], pairs: np.ndarray | None) -> list[dict]:
    """The leading directions of the content; none if the first and last frames are unknown."""
    vectors = {name for name, each in decode.inputs.items() if len(each.shape) == 1}
    names = [name for name, role in roles.items() if role == "content" and name in vectors]
    if not names or ("first" in decode.inputs and pairs is None):
        return []
    given = {}
    if pairs is not None:
        floats = pairs.astype(np.float32) / 127.5 - 1.0
        given = {"first": floats[:, 0], "last": floats[:, 1]}
    found = leading_directions(decode, names, DIRECTIONS, given=given)
    return [
        {
            "noise": each.noise,
            "share": round(each.share, 4),
            "vector": [round(float(part), 7) for part in each.vector],
        }
        for each in found
    ]


def _endpoints(run: ExportedRun) -> np.ndarray | None:
    """First and last frames of held-out clips, uint8 `[N, 2, H, W, C]`, if the data is there."""
    try:
        clips = shown_batch(run.config, EXAMPLES)["video"]
    except (DatasetError, OSError, tf.errors.OpError):
        return None
    return np.stack([clips[:, 0], clips[:, -1]], axis=1)
