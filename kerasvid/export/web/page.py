"""A folder with a page that runs a model's generator in the browser, for any file server.

The directions of a clip's noise that change its pictures the most: what sliders move.
"""

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from kerasvid.data import DatasetError, DatasetInfo, load_info
from kerasvid.export import tflite
from kerasvid.export.exported_run import ExportedRun
from kerasvid.export.signatures import Verb, noise_verbs
from kerasvid.export.web.runtime import NOTICE, add_runtime
from kerasvid.io import readable_os_errors
from kerasvid.training.clips import frame_rate, shown_batch
from kerasvid.training.config import digest_of

FORMAT = "kerasvid-web"  # of model.json

PAGE = pathlib.Path(__file__).with_name("static")
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
        "model": run.config.model,
        "preset": run.config.preset,
        "step": run.step,
        "parameters": sum(v.shape.num_elements() for v in decode.traced(1).variables),
        "dataset": run.config.dataset,
        "licence": info.licence if info else "",
        "source": info.source if info else "",
        "file": "model.tflite",
        "signature": "decode",
        "frames": frames,
        "height": height,
        "width": width,
        "channels": channels,
        "fps": frame_rate(run.config),
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
        info = load_info(run.config.data_folder)
        return info if digest_of(info, run.config.images_folder) == run.config.data_digest else None
    except (DatasetError, OSError, tf.errors.OpError):
        return None


def _ends(run: ExportedRun) -> np.ndarray | None:
    """First and last frames of held-out clips, uint8 `[N, 2, H, W, C]`, where data is at hand."""
    try:
        clips = shown_batch(run.config, EXAMPLES)["video"]
    except (DatasetError, OSError, tf.errors.OpError):
        return None
    return np.stack([clips[:, 0], clips[:, -1]], axis=1)


def _write_png(path: pathlib.Path, picture: np.ndarray) -> None:
    with readable_os_errors(path):
        _, encoded = cv2.imencode(".png", picture[..., ::-1])  # OpenCV writes BGR
        path.write_bytes(encoded.tobytes())


STEP = 0.5  # deviations to either side: wide enough to see through what saturates
SEEDS = 8
FRAMES = 8
CLIPS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Direction:
    """A unit vector in the space of one noise.

    Args:
        noise: its name.
        vector: float64 `[D]`; the largest of its parts is positive.
        share: of the mean squared change of the pictures by all noise that was looked at, 0 to 1.
    """

    noise: str
    vector: np.ndarray
    share: float


def leading_directions(
    decode: Verb,
    names: Sequence[str],
    count: int = 8,
    seed: int = 0,
    given: Mapping[str, np.ndarray] | None = None,
) -> list[Direction]:
    """Directions that are orthogonal within each noise, the one that changes the most first.

    They are the eigenvectors of the mean of J^T J over clips, J being the Jacobian of the pixels by
    the noise, from central differences.

    Args:
        decode: of `noise_verbs`.
        names: of the noise to look at, one vector a clip each.
        count: how many directions at most, of all noise together.
        seed: of the clips.
        given: further inputs of `decode`, `[N, ...]`, of which each clip takes a row.

    Returns:
        At most `count` directions; those that change nothing are left out.

    Example:
        >>> first, *rest = leading_directions(noise_verbs(model)["decode"], ["summary"])
    """
    rows = _rows(decode, seed, given or {})
    moments = {name: _moment(decode, rows, name) for name in names}
    total = sum(np.trace(moment) for moment in moments.values())
    found = []
    for name, moment in moments.items():
        values, vectors = np.linalg.eigh(moment)
        for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
            if value > 1e-6 * total:
                sign = np.sign(vector[np.argmax(np.abs(vector))])
                found.append(Direction(name, sign * vector, float(value / total)))
    return sorted(found, key=lambda each: -each.share)[:count]


def _rows(decode: Verb, seed: int, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of `SEEDS` clips, `[SEEDS, ...]` by name."""
    generator = np.random.default_rng(seed)
    rows = {}
    for name, tensor in decode.inputs.items():
        if name in decode.noise:
            rows[name] = generator.standard_normal((SEEDS, *tensor.shape)).astype(np.float32)
        else:
            rows[name] = np.resize(given[name], (SEEDS, *tensor.shape)).astype(np.float32)
    return rows


def _moment(decode: Verb, rows: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The mean of J^T J over the rows, `[D, D]`."""
    size = rows[name].shape[1]
    run = tf.function(lambda **tensors: _some_frames(decode(**tensors)["video"]), autograph=False)
    steps = STEP * np.concatenate([np.eye(size), -np.eye(size)])  # [2D, D]
    steps = steps[np.arange(-(-2 * size // CLIPS_AT_ONCE) * CLIPS_AT_ONCE) % (2 * size)]
    moment = np.zeros([size, size])
    for row in range(SEEDS):
        shown = []
        for start in range(0, len(steps), CLIPS_AT_ONCE):
            some = steps[start : start + CLIPS_AT_ONCE]
            inputs = {n: np.repeat(v[row : row + 1], len(some), axis=0) for n, v in rows.items()}
            inputs[name] = (inputs[name] + some).astype(np.float32)
            shown.append(run(**{n: tf.constant(v) for n, v in inputs.items()}).numpy())
        pixels = np.concatenate(shown)[: 2 * size].reshape(2 * size, -1)  # [2D, P]
        slopes = (pixels[:size] - pixels[size:]) / (2 * STEP)  # [D, P], rows of J^T
        moment += (slopes @ slopes.T).astype(np.float64) / SEEDS
    return moment


def _some_frames(video: tf.Tensor) -> tf.Tensor:
    """At most `FRAMES` frames `[B, T, H, W, C]`, spread over the clip, lest memory runs out."""
    frames = video.shape[1]
    chosen = np.unique(np.linspace(0, frames - 1, min(frames, FRAMES)).round().astype(int))
    return tf.gather(video, chosen, axis=1)
