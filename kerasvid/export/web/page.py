"""A folder with a page that runs a model's generator in the browser, for any file server."""

import dataclasses
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
from kerasvid.export.web.directions import Direction, closed_form_directions, leading_directions
from kerasvid.export.web.runtime import NOTICE, add_runtime
from kerasvid.models.base.categories import CATEGORY
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.preset_folder import description_of
from kerasvid.models.base.vae import VariationalModel
from kerasvid.training.clips import frame_rate, shown_batch

FORMAT = "kerasvid-web"  # of model.json
EXAMPLES = 6
DIRECTIONS = 8
LEADING, CLOSED_FORM = "leading", "closed_form"
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


@dataclasses.dataclass(frozen=True)
class PageFacts:
    """What a page says of its model beside what the model itself knows."""

    model: str  # name in the registry
    dataset: str
    preset: str | None = None
    step: int | None = None
    licence: str = ""
    source: str = ""
    classes: tuple[str, ...] = ()
    fps: float = 8.0


def facts_of_run(run: ExportedRun) -> PageFacts:
    """What the page of a run says."""
    info, _ = dataset_info(run.config)
    return PageFacts(
        run.config.model,
        run.config.dataset,
        run.config.preset,
        run.step,
        getattr(info, "licence", ""),
        getattr(info, "source", ""),
        tuple(info.class_names) if info else (),
        frame_rate(run.config),
    )


def facts_of_preset(metadata: Mapping[str, Any]) -> PageFacts:
    """What the page of a preset says, by its `metadata.json`."""
    known = description_of(metadata)
    return PageFacts(
        known.model,
        known.data or "unknown data",
        licence=known.licence,
        classes=known.classes,
        fps=known.fps,
    )


def write_page(
    model: Any,
    facts: PageFacts,
    folder: str | os.PathLike,
    frames: int | None = None,
    clips: int = 6,
    runtime: str | os.PathLike | None = None,
    pairs: np.ndarray | None = None,
    directions: str = LEADING,
) -> dict[str, Any]:
    """Writes the page, the model and the runtime into an empty folder.

    Args:
        model: in float32, as of `load_for_export` or `from_preset`.
        facts: of `facts_of_run` or `facts_of_preset`.
        folder: exists and is empty.
        frames: T of a clip; by default the model's own.
        clips: number of clips in the grid, 1 to 24.
        runtime: packages for `add_runtime`.
        pairs: first and last frames as examples for a model of videos between two frames, uint8
            `[N, 2, H, W, C]`; without them the user gives images.
        directions: what the sliders change: `"leading"`, by `leading_directions`, or
            `"closed_form"`, by `closed_form_directions`.

    Returns:
        The content of `model.json`.

    Raises:
        ValueError: the model cannot make clips of this length, cannot be converted, or has no
            directions in closed form.
        RuntimeUnavailable: the runtime is not available.

    Example:
        >>> run = load_for_export("runs/rjvae-sprites")
        >>> write_page(run.model, facts_of_run(run), "demo")["frames"]
        8
    """
    frames = model.frames if frames is None else frames
    decode, folder = noise_signatures(model, frames)["decode"], pathlib.Path(folder)
    pairs = pairs if "first" in decode.inputs else None
    if directions == CLOSED_FORM:
        found = closed_form_directions(model, DIRECTIONS)  # before minutes of work
    else:
        found = _leading(model, decode, frames, pairs)
    add_runtime(folder / "runtime", runtime)
    for file in importlib.resources.files(__package__).joinpath("static").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "LICENSES.txt").write_text(NOTICE, encoding="utf-8")
    # One clip at a time: LiteRT.js refuses a dynamic batch.
    (folder / "model.tflite").write_bytes(tflite.convert(model, {"decode": decode}, batch=1))
    page = _description(model, facts, decode, frames, clips, pairs)
    page["directions"] = [
        {
            "noise": each.noise,
            "share": round(each.share, 4),
            "vector": [round(float(part), 7) for part in each.vector],
        }
        for each in found
    ]
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
    model: Any,
    facts: PageFacts,
    decode: Signature,
    frames: int,
    clips: int,
    pairs: np.ndarray | None,
) -> dict[str, Any]:
    """The facts about the model that the page needs."""
    shapes = {name: decode.inputs[name].shape for name in decode.noise}
    roles = roles_of(model, shapes, frames)
    height, width, channels = model.image_shape
    kinds = max((shapes[n][0] for n, role in roles.items() if role == "category"), default=0)
    numbered = [f"category {i}" for i in range(kinds)]
    return {
        "format": FORMAT,
        "format_version": 2,
        "model": facts.model,
        "preset": facts.preset,
        "step": facts.step,
        "parameters": sum(v.shape.num_elements() for v in decode.traced(1).variables),
        "dataset": facts.dataset,
        "licence": facts.licence,
        "source": facts.source,
        "file": "model.tflite",
        "signature": "decode",
        "frames": frames,
        "height": height,
        "width": width,
        "channels": channels,
        "fps": facts.fps,
        "clips": clips if shapes else 1,
        "noise": [{"name": n, "shape": list(s), "role": roles[n]} for n, s in shapes.items()],
        "categories": list(facts.classes) if len(facts.classes) == kinds else numbered,
        "endpoints": "first" in decode.inputs,
        "examples": [
            {"first": f"example-{i}-first.png", "last": f"example-{i}-last.png"}
            for i in range(0 if pairs is None else len(pairs))
        ],
    }


def _leading(
    model: Any, decode: Signature, frames: int, pairs: np.ndarray | None
) -> list[Direction]:
    """The leading directions of the content; none if the first and last frames are unknown."""
    roles = roles_of(model, {name: decode.inputs[name].shape for name in decode.noise}, frames)
    vectors = {name for name, each in decode.inputs.items() if len(each.shape) == 1}
    names = [name for name, role in roles.items() if role == "content" and name in vectors]
    if not names or ("first" in decode.inputs and pairs is None):
        return []
    given = {}
    if pairs is not None:
        floats = pairs.astype(np.float32) / 127.5 - 1.0
        given = {"first": floats[:, 0], "last": floats[:, 1]}
    return leading_directions(decode, names, DIRECTIONS, given=given)


def endpoints_of_run(run: ExportedRun) -> np.ndarray | None:
    """First and last frames of held-out clips, uint8 `[N, 2, H, W, C]`, where they are needed.

    `None` for a model without endpoints, and where the data is not there.
    """
    if not isinstance(run.model, InBetween):
        return None
    try:
        clips = shown_batch(run.config, EXAMPLES)["video"]
    except (DatasetError, OSError, tf.errors.OpError):
        return None
    return np.stack([clips[:, 0], clips[:, -1]], axis=1)
