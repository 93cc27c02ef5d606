"""The same noise through a model and everything that it is exported to, side by side."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from kerasvid.export import onnx, tflite
from kerasvid.export.accuracy import difference
from kerasvid.export.exported_run import ExportedRun
from kerasvid.export.measured_form import FORMS, GENERATE, GRAPH, ONNX, SAVED_MODEL, TFLITE
from kerasvid.export.sample_inputs import sample_inputs
from kerasvid.export.saved_model import save_signatures, served_signatures
from kerasvid.export.signatures import noise_signatures
from kerasvid.io import markdown_text

KINDS = {"none": "float32", "float16": "float16", "dynamic": "dynamic range", "integer": "integer"}
COLUMNS = ("form", "max", "mean", "psnr_db", "size_mb", "latency_ms", "memory_mb", "speed")
HEADERS = ("form", "max diff.", "mean diff.", "PSNR dB", "MB", "ms", "memory MB", "x generate")
FORMATS = ("", ".1e", ".1e", ".1f", ".1f", ".1f", ".0f", ".1f")


class Form(NamedTuple):
    """Something to run: its name in the table, its kind (one of `FORMS`) and its path."""

    name: str
    kind: str
    path: pathlib.Path


def make_forms(
    run: ExportedRun,
    folder: pathlib.Path,
    frames: int | None = None,
    given: Mapping[str, Sequence[str]] | None = None,
) -> list[Form]:
    """The forms to compare: Keras twice, and each exported form.

    Args:
        run: of `load_for_export`.
        folder: for the forms of the kinds that are not in `given`.
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
) -> list[dict[str, Any]]:
    """Runs every form on the same random inputs of one clip, each in a process of its own.

    Args:
        run, frames: as for `make_forms`.
        forms: of `make_forms`; the first, `generate`, is the reference.
        seed: random seed of the noise.
        repeats: number of calls; latencies are their medians.
        threads: number of threads of each form.

    Returns:
        A row for each form: `form` (its name); `max`, `mean` and `psnr_db` of the difference of
        `decode` from the eager model; `size_mb` on disk, in 10^6 bytes; `latency_ms` of one clip;
        `memory_mb`, as of `peak_memory`; `speed`, how many times quicker than `generate`.

    Raises:
        ValueError: a form cannot be run, or gives other shapes; one line with its name.

    Example:
        >>> rows = compare(run, make_forms(run, pathlib.Path("forms")))
    """
    frames = run.model.frames if frames is None else frames
    decode = noise_signatures(run.model, frames)["decode"]
    inputs: dict[str, Any] = sample_inputs(run.model, decode, 1, seed)
    rows, reference = [], None
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        np.savez(folder / "inputs.npz", **inputs)
        for number, form in enumerate(forms):
            outputs = folder / f"{number}.npz"
            measured = _in_own_process(
                folder / "task.json", form.name,
                form=form.kind, path=os.fspath(form.path), inputs=os.fspath(folder / "inputs.npz"),
                outputs=os.fspath(outputs), frames=frames, seed=seed, repeats=repeats,
                threads=threads,
            )  # fmt: skip
            with np.load(outputs) as stored:
                video = stored["video"]
            reference = reference or (video, measured["latency_ms"])
            try:
                gap = difference(video, reference[0]).as_json()
            except ValueError as error:
                message = f"{form.name}: {error} Export it again with the same --frames."
                raise ValueError(message) from error
            speed = reference[1] / measured["latency_ms"]
            path = run.weights if form.kind in (GENERATE, GRAPH) else form.path
            files = path.rglob("*") if path.is_dir() else [path]
            size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
            rows.append({"form": form.name, **gap, "size_mb": size, **measured, "speed": speed})
    return rows


def _in_own_process(file: pathlib.Path, name: str, **task: Any) -> dict[str, float]:
    file.write_text(json.dumps(task))
    root = os.fspath(pathlib.Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        [sys.executable, "-m", "kerasvid.export.measured_form", os.fspath(file)],
        capture_output=True, text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": search},
    )  # fmt: skip
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        raise ValueError(f"{name}: {lines[-1].removeprefix('error: ')}")
    return json.loads(ended.stdout.splitlines()[-1])


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `compare` as a Markdown table."""
    cells = [[row[key] for key in COLUMNS] for row in rows]
    for row in cells:
        row[0] = markdown_text(row[0])  # the path of an export
    return tabulate(cells, HEADERS, "pipe", floatfmt=FORMATS)
