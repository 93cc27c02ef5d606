"""The same noise through a model and everything that it is exported to, side by side."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np
from tabulate import tabulate

from kerasvid.export import onnx, tflite
from kerasvid.export.accuracy import Difference, SampleInputs, difference
from kerasvid.export.exported_run import ExportedRun
from kerasvid.export.measured_form import FORMS, GENERATE, GRAPH, ONNX, SAVED_MODEL, TFLITE, Task
from kerasvid.export.saved_model import save_signatures, served_signatures

KINDS = {"none": "float32", "float16": "float16", "dynamic": "dynamic range", "integer": "integer"}
HEADER = ("form", "max diff.", "mean diff.", "PSNR dB", "MB", "ms", "memory MB", "x generate")
FORMATS = ("", ".1e", ".1e", ".1f", ".1f", ".1f", ".0f", ".1f")


@dataclasses.dataclass(frozen=True)
class Form:
    """Something to run: its name in the table, its kind (one of `FORMS`) and its path."""

    name: str
    kind: str
    path: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Measured:
    """A row of the table.

    Args:
        form: name.
        difference: of `decode` from the eager model.
        size_mb: size on disk in 10^6 bytes.
        latency_ms: median for one clip; of `generate` with the drawing of its noise.
        memory_mb: the most memory of a process that ran only this.
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
        numbers = dataclasses.asdict(self)
        del numbers["difference"]
        return {**numbers, **self.difference.as_json()}


def make_forms(
    run: ExportedRun,
    folder: pathlib.Path,
    frames: int | None = None,
    given: Mapping[str, Sequence[str]] | None = None,
) -> list[Form]:
    """The forms to compare: Keras twice, and each exported form, made in `folder` if not given.

    Args:
        run: of `load_for_export`.
        folder: for the forms that are made.
        frames: T; by default the model's own.
        given: paths of existing forms by kind (`saved_model`, `tflite`, `onnx`).

    Raises:
        ImportError: a package that a form needs is not installed.
        ValueError: a given path does not exist.
    """
    given = given or {}
    forms = [Form("Keras generate", GENERATE, run.folder), Form("Keras graph", GRAPH, run.folder)]
    for kind, title in ((SAVED_MODEL, "SavedModel"), (TFLITE, "TFLite"), (ONNX, "ONNX")):
        for path in map(pathlib.Path, given.get(kind, ())):
            if not path.exists():
                raise ValueError(f"--{kind}={path}: does not exist. Leave it out to make one.")
            forms.append(Form(f"{title} {path.name}", kind, path))
    signatures, _ = tflite.loop_free_signatures(run.model, frames, ["decode"])
    if not given.get(SAVED_MODEL):
        served = served_signatures(run.model, frames)
        save_signatures({"decode": served["decode"]}, folder / "saved_model")
        forms.append(Form("SavedModel", SAVED_MODEL, folder / "saved_model"))
    for kind in () if given.get(TFLITE) else KINDS:
        path = folder / f"{kind}.tflite"
        path.write_bytes(tflite.convert(run.model, signatures, kind))
        forms.append(Form(f"TFLite {KINDS[kind]}", TFLITE, path))
    if not given.get(ONNX):
        path = folder / "decode.onnx"
        path.write_bytes(onnx.convert(run.model, signatures["decode"], "decode"))
        forms.append(Form("ONNX", ONNX, path))
    return sorted(forms, key=lambda form: FORMS.index(form.kind))


def compare(
    run: ExportedRun,
    forms: Sequence[Form],
    frames: int | None = None,
    seed: int = 0,
    repeats: int = 30,
    threads: int = 2,
) -> list[Measured]:
    """Runs every form on the same random inputs of one clip, each in a process of its own.

    Args:
        run: of `load_for_export`.
        forms: of `make_forms`; the first, `generate`, is the reference.
        frames: T; by default the model's own.
        seed: random seed of the noise.
        repeats: number of calls; latencies are their medians.
        threads: number of threads of each form.

    Raises:
        ValueError: a form cannot be run, or gives other shapes; one line with its name.

    Example:
        >>> rows = compare(run, make_forms(run, pathlib.Path("/tmp/forms")))
    """
    frames = run.model.frames if frames is None else frames
    signatures, _ = tflite.loop_free_signatures(run.model, frames, ["decode"])
    rows, reference = [], None
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        np.savez(
            folder / "inputs.npz", **SampleInputs(run.model, signatures).draw("decode", 1, seed)
        )
        for number, form in enumerate(forms):
            inputs, out = os.fspath(folder / "inputs.npz"), os.fspath(folder / f"{number}.npz")
            task = Task(
                form.kind, os.fspath(form.path), inputs, out, frames, seed, repeats, threads
            )
            measured = _in_own_process(task, form.name, folder / "task.json")
            with np.load(out) as outputs:
                video = outputs["video"]
            reference = (video, measured["latency_ms"]) if reference is None else reference
            try:
                gap = difference(video, reference[0])
            except ValueError as error:
                raise ValueError(
                    f"{form.name}: {error} Export it again with the same --frames."
                ) from (error)
            speed = reference[1] / measured["latency_ms"]
            rows.append(Measured(form.name, gap, _megabytes(form, run), **measured, speed=speed))
    return rows


def _in_own_process(task: Task, name: str, path: pathlib.Path) -> dict[str, float]:
    path.write_text(json.dumps(dataclasses.asdict(task)))
    root = os.fspath(pathlib.Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        [sys.executable, "-m", "kerasvid.export.measured_form", os.fspath(path)],
        capture_output=True, text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": search},
    )  # fmt: skip
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        raise ValueError(f"{name}: {lines[-1].removeprefix('error: ')}")
    return json.loads(ended.stdout.splitlines()[-1])


def _megabytes(form: Form, run: ExportedRun) -> float:
    """The size of all files of a form; of Keras, that of the weights' file."""
    path = run.weights if form.kind in (GENERATE, GRAPH) else form.path
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def as_table(rows: Sequence[Measured]) -> str:
    """The rows as a Markdown table."""
    cells = [
        (row.form, row.difference.largest, row.difference.mean, row.difference.psnr,
         row.size_mb, row.latency_ms, row.memory_mb, row.speed)
        for row in rows
    ]  # fmt: skip
    return tabulate(cells, HEADER, "pipe", floatfmt=FORMATS)
