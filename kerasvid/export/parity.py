"""The same noise through a model and everything that it is exported to, side by side.

One exported form, loaded and run in a process of its own, so that its memory is its own.

python -m kerasvid.export.parity TASK.json

The task is what `Task` holds; the outputs go into an NPZ file, the figures to stdout as JSON.
TensorFlow is imported for the forms that need it alone.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from kerasvid.export import onnx, tflite
from kerasvid.export.accuracy import Difference, SampleInputs, difference
from kerasvid.export.exported_run import ExportedRun
from kerasvid.export.measured_form import Task
from kerasvid.export.saved_model import save_signatures, served_verbs

KINDS = {"none": "float32", "float16": "float16", "dynamic": "dynamic range", "integer": "integer"}
HEADER = ("form", "max diff.", "mean diff.", "PSNR dB", "MB", "ms", "memory MB", "x generate")
MEGABYTE = 1e6


@dataclasses.dataclass(frozen=True)
class Form:
    """Something to run: what it is called in the table, its kind, and where it is."""

    name: str
    kind: str
    path: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Measured:
    """A row of the table.

    Args:
        form: its name.
        difference: of `decode` to the eager model.
        size_mb: on disk, in 10^6 bytes.
        latency_ms: median of one clip; of `generate` with the drawing of its noise.
        memory_mb: the most that a process held that ran this alone.
        speed: how many times quicker than `generate`.
    """

    form: str
    difference: Difference
    size_mb: float
    latency_ms: float
    memory_mb: float
    speed: float

    def as_json(self) -> dict:
        """Plain numbers by name."""
        numbers = {
            name: getattr(self, name) for name in ("size_mb", "latency_ms", "memory_mb", "speed")
        }
        return {"form": self.form, **self.difference.as_json(), **numbers}


def make_forms(
    run: ExportedRun,
    folder: pathlib.Path,
    frames: int | None = None,
    given: Mapping[str, Sequence[str]] | None = None,
    quantize: Sequence[str] = tuple(KINDS),
) -> list[Form]:
    """What is compared: Keras twice, and each exported form, made in `folder` if not given.

    Args:
        run: of `load_for_export`.
        folder: to make forms in.
        frames: T, the model's own where `None`.
        given: paths by kind (`saved_model`, `tflite`, `onnx`), as others have made them.
        quantize: kinds of TFLite files to make.

    Raises:
        ImportError: a package is not installed, and the form that needs it was not given.
        ValueError: a given path is not there.
    """
    given = given or {}
    forms = [Form("Keras generate", GENERATE, run.folder), Form("Keras graph", GRAPH, run.folder)]
    for kind, title in ((SAVED_MODEL, "SavedModel"), (TFLITE, "TFLite"), (ONNX, "ONNX")):
        for path in map(pathlib.Path, given.get(kind, ())):
            if not path.exists():
                raise ValueError(f"--{kind}={path}: is not there; leave it out to make one.")
            forms.append(Form(f"{title} {path.name}", kind, path))
    verbs, _ = tflite.held_verbs(run.model, frames, ["decode"])
    if not given.get(SAVED_MODEL):
        served = {"decode": served_verbs(run.model, frames)["decode"]}
        save_signatures(served, folder / "saved_model")
        forms.append(Form("SavedModel", SAVED_MODEL, folder / "saved_model"))
    for kind in () if given.get(TFLITE) else quantize:
        path = folder / f"{kind}.tflite"
        path.write_bytes(tflite.convert(run.model, verbs, kind))
        forms.append(Form(f"TFLite {KINDS[kind]}", TFLITE, path))
    if not given.get(ONNX):
        (folder / "decode.onnx").write_bytes(onnx.convert(run.model, verbs["decode"], "decode"))
        forms.append(Form("ONNX", ONNX, folder / "decode.onnx"))
    order = [GENERATE, GRAPH, SAVED_MODEL, TFLITE, ONNX]
    return sorted(forms, key=lambda form: order.index(form.kind))


def compare(
    run: ExportedRun,
    forms: Sequence[Form],
    frames: int | None = None,
    seed: int = 0,
    repeats: int = 30,
    threads: int = 2,
) -> list[Measured]:
    """Runs every form on the same seeded inputs of one clip, each in a process of its own.

    Args:
        run: of `load_for_export`.
        forms: of `make_forms`; the first is the reference, `generate`.
        frames: T, the model's own where `None`.
        seed: of the noise.
        repeats: that latencies are medians of.
        threads: of each.

    Raises:
        ValueError: a form cannot be run, in one line with its name; or it gives other shapes.

    Example:
        >>> rows = compare(run, make_forms(run, pathlib.Path("/tmp/forms")))
    """
    frames = run.model.frames if frames is None else frames
    verbs, _ = tflite.held_verbs(run.model, frames, ["decode"])
    inputs = SampleInputs(run.model, verbs).draw("decode", 1, seed)
    rows, reference, slowest = [], None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        stored = pathlib.Path(folder, "inputs.npz")
        np.savez(stored, **inputs)
        for number, form in enumerate(forms):
            out = pathlib.Path(folder, f"{number}.npz")
            task = Task(form.kind, os.fspath(form.path), os.fspath(stored), os.fspath(out),
                        frames, seed, repeats, threads)  # fmt: skip
            told = _in_own_process(task, form.name, pathlib.Path(folder, "task.json"))
            with np.load(out) as outputs:
                video = outputs["video"]
            if reference is None:
                reference, slowest = video, told["latency_ms"]
            try:
                gap = difference(video, reference)
            except ValueError as error:
                raise ValueError(f"{form.name}: {error} Export it again, --frames too.") from error
            speed = slowest / told["latency_ms"]
            rows.append(Measured(form.name, gap, _size(form, run), **told, speed=speed))
    return rows


def _in_own_process(task: Task, name: str, path: pathlib.Path) -> dict[str, float]:
    path.write_text(json.dumps(dataclasses.asdict(task)))
    root = os.fspath(pathlib.Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        [sys.executable, "-m", "kerasvid.export.parity", os.fspath(path)],
        capture_output=True, text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": search},
    )  # fmt: skip
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        raise ValueError(f"{name}: {lines[-1].removeprefix('error: ')}")
    return json.loads(ended.stdout.splitlines()[-1])


def _size(form: Form, run: ExportedRun) -> float:
    """Of the weights' file, for Keras, or of all files of a form, in MB."""
    if form.kind in (GENERATE, GRAPH):
        files = [run.weights]
    else:
        files = form.path.rglob("*") if form.path.is_dir() else [form.path]
    return sum(file.stat().st_size for file in files if file.is_file()) / MEGABYTE


def as_table(rows: Sequence[Measured]) -> str:
    """The rows as a Markdown table, aligned."""
    cells = [HEADER]
    for row in rows:
        psnr = "" if row.difference.psnr is None else f"{row.difference.psnr:.1f}"
        numbers = (f"{row.difference.largest:.1e}", f"{row.difference.mean:.1e}", psnr)
        rest = (f"{row.size_mb:.1f}", f"{row.latency_ms:.1f}", f"{row.memory_mb:.0f}")
        cells.append((row.form, *numbers, *rest, f"{row.speed:.1f}"))
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    lines = [
        "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w)
                          for i, (c, w) in enumerate(zip(line, widths, strict=True))) + " |"
        for line in cells
    ]  # fmt: skip
    rule = "|" + "|".join(("-" * (w + 2)) if i == 0 else "-" * (w + 1) + ":"
                          for i, w in enumerate(widths)) + "|"  # fmt: skip
    return "\n".join([lines[0], rule, *lines[1:]])


GENERATE, GRAPH, SAVED_MODEL, TFLITE, ONNX = "generate", "graph", "saved_model", "tflite", "onnx"
