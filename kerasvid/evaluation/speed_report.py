"""Every figure of speed and memory as tables: `kerasvid benchmark --what=all`.

Each figure is measured by a process of its own, a command of `kerasvid`, so that none sees the
graphs or the memory of another. PyTorch is measured by a program that the user names: it must take
`--peer`, `--form`, `--precision`, `--batch`, `--frames`, `--steps` and, of `rjvae`, `--channels`,
and print a JSON line with `videos_per_s`.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from tabulate import tabulate

from kerasvid.io import cause_of

FORMS = ("released", "tuned")  # of PyTorch
PRECISIONS = {"float32": "fp32", "mixed_bfloat16": "bf16"}  # ours, and the name of the peers
VIDEO_FRAMES, SIDE = 16, 64  # of the videos that memory is measured on


class MeasurementError(RuntimeError):
    """A measured command has failed; the message has its last line."""


@dataclasses.dataclass(frozen=True)
class TrainingRow:
    """A network that PyTorch has, too.

    Args:
        name: shown.
        model, dataset: of `kerasvid benchmark`.
        clips, frames: of a step.
        values: of `--set`, that make our preset `paper` the peer's network.
        peer_flags: further ones of the program that measures PyTorch, for the same network.
    """

    name: str
    model: str
    dataset: str
    clips: int
    frames: int
    values: tuple[str, ...] = ()
    peer_flags: tuple[str, ...] = ()


PEERS = (
    TrainingRow("MoCoGAN", "mocogan", "shapes", 8, 16, (
        "training.stride=1", "video_discriminator.channels=[64,128,256]",
        "video_discriminator.score=patch",
    )),
    TrainingRow("RJVAE", "rjvae", "sprites", 4, 8, (
        "encoder.dense_units=[2048]", "encoder.features=1024", "decoder.dense_units=[2048]",
    ), ("--channels", "256")),
    TrainingRow("navsynth", "navsynth", "turntable", 8, 16, ("stages=null",)),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Extent:
    """What is measured.

    Args:
        training: networks of the table of training.
        generation: models of the table of generation, with the data set of each.
        preset: of the models whose generation, start-up and memory are measured.
        counts: clips that are generated at once.
        videos: sizes of the data sets that memory is measured on.
        sides: of the frames that footage is converted to.
        converted: number of files that are drawn and converted.
        steps: measured steps, and training steps of the measurement of memory.
        kerasvid: the program `kerasvid`, as the beginning of a command.
        data_dir: of data sets.
        peers: command of the program that measures PyTorch; "" for none.
    """

    kerasvid: Sequence[str] = ("kerasvid",)
    training: Sequence[TrainingRow] = PEERS
    generation: Sequence[tuple[str, str]] = (
        ("rjvae", "sprites"),
        ("rjgan", "shapes"),
        ("dsa", "sprites"),
        ("navsynth", "turntable"),
        ("cvae", "shapes"),
    )
    preset: str = "base"
    counts: Sequence[int] = (1, 64)
    videos: Sequence[int] = (64, 256, 1024)
    sides: Sequence[int] = (64, 128)
    converted: int = 24
    steps: int = 10
    data_dir: str = "data"
    peers: str = ""


def speed_report(extent: Extent, reported: Callable[[str], None]) -> Iterator[str]:
    """The machine and the tables in Markdown, each as soon as it is measured.

    Args:
        extent: what is measured.
        reported: called with the name of each figure before it is measured.

    Raises:
        MeasurementError: a command fails.

    Example:
        >>> for part in speed_report(Extent(peers="python torch_step.py"), print):
        ...     print(part)
    """
    yield _machine()
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        parts = {
            "Training, clips a second": lambda: training_table(extent, reported),
            "Generation, milliseconds": lambda: generation_table(extent, reported),
            "Start, seconds": lambda: start_table(extent, place, reported),
            "Conversion, frames a second": lambda: conversion_table(extent, reported),
            "Peak memory, MB": lambda: memory_table(extent, place, reported),
        }
        for name, table in parts.items():
            yield f"\n## {name}\n\n{table()}"


def training_table(extent: Extent, reported: Callable[[str], None]) -> str:
    """Clips a second of our networks and of PyTorch's, in turn."""
    rows = []
    for row in extent.training:
        for ours, theirs in PRECISIONS.items():
            reported(f"training: {row.name}, {ours}")
            peers = [_peer(extent, row, form, theirs) for form in FORMS] if extent.peers else []
            values = [f"--set={setting}" for setting in row.values]
            measured = _json(
                extent, "benchmark", "--what=train", f"--model={row.model}", "--preset=paper",
                f"--dataset={row.dataset}", f"--data_dir={extent.data_dir}",
                f"--batch_size={row.clips}", f"--frames={row.frames}", f"--precision={ours}",
                f"--steps={extent.steps}", *values,
            )  # fmt: skip
            speed = measured["clips_per_second"]
            rows.append((
                f"{row.name}, {ours} ({row.clips} x {row.frames})",
                *([f"{value:.3g}" for value in peers] or [""] * len(FORMS)),
                f"{speed:.3g}", f"{measured['share_of_peak']:.0%}",
                f"{speed / peers[-1]:.2f}" if peers else "",
            ))  # fmt: skip
    head = ("", *(f"PyTorch {form}" for form in FORMS), "ours", "of the matmul peak",
            "ours / tuned")  # fmt: skip
    return tabulate(rows, head, "github", disable_numparse=True)


def generation_table(extent: Extent, reported: Callable[[str], None]) -> str:
    """`model.generate`, or `between`, beside its graph alone."""
    rows = []
    for model, dataset in extent.generation:
        for count in extent.counts:
            reported(f"generation: {model}, {count} clips")
            measured = _json(
                extent, "benchmark", "--what=generate", f"--model={model}",
                f"--preset={extent.preset}", f"--dataset={dataset}",
                f"--data_dir={extent.data_dir}", f"--batch_size={count}",
                "--precision=float32", f"--steps={extent.steps}",
            )  # fmt: skip
            whole, graph = measured["method_ms"], measured["median_step_ms"]
            rows.append((model, count, measured["frames"], f"{whole:.0f}", f"{graph:.0f}",
                         f"{whole / graph:.2f}"))  # fmt: skip
    head = ("model", "clips", "frames", "generate", "graph", "ratio")
    return tabulate(rows, head, "github", disable_numparse=True)


def start_table(extent: Extent, place: pathlib.Path, reported: Callable[[str], None]) -> str:
    """Seconds from a command to what a person waits for."""
    reported("start: list")
    start = time.perf_counter()
    _output([*extent.kerasvid, "list"])
    rows = [("`kerasvid list`", f"{time.perf_counter() - start:.1f}")]
    for model, dataset in extent.generation:
        reported(f"start: the first training step of {model}")
        run = place / f"start-{model}"
        flags = (
            f"--model={model}", f"--preset={extent.preset}", f"--dataset={dataset}",
            f"--data_dir={extent.data_dir}", f"--run_dir={run}", "--steps=1000000", "--log_every=1",
        )  # fmt: skip
        seconds = _seconds_until(run / "metrics.csv", [*extent.kerasvid, "train", *flags])
        rows.append((f"first training step of {model}", f"{seconds:.1f}"))
    return tabulate(rows, ("", "seconds"), "github", disable_numparse=True)


def conversion_table(extent: Extent, reported: Callable[[str], None]) -> str:
    """The folder converter beside ffmpeg, on drawn H.264 files; a line where there is no ffmpeg."""
    if not shutil.which("ffmpeg"):
        return "Not measured: ffmpeg is not installed."
    rows = []
    for side in extent.sides:
        reported(f"conversion: {side}x{side}")
        size = (f"--height={side}", f"--width={side}", f"--videos={extent.converted}")
        measured = _json(extent, "benchmark", "--what=convert", *size)
        rows.append((
            f"{side}x{side}", f"{measured['converter_frames_per_second']:,.0f}",
            f"{measured['ffmpeg_frames_per_second']:,.0f}", f"{measured['ratio']:.2f}",
            f"{measured['cpu_ratio']:.2f}",
        ))  # fmt: skip
    head = ("frames", "kerasvid", "ffmpeg", "ratio", "by processor time")
    return tabulate(rows, head, "github", disable_numparse=True)


def memory_table(extent: Extent, place: pathlib.Path, reported: Callable[[str], None]) -> str:
    """The peak of the resident memory of commands by the number of videos."""
    peaks: dict[str, list[str]] = {}
    for count in extent.videos:
        source, data, run = (place / f"{name}-{count}" for name in ("videos", "data", "run"))
        draw_videos(source, count)
        where = f"--data_dir={extent.data_dir}"
        train = ("train", "--model=rjvae", f"--preset={extent.preset}", f"--run_dir={run}")
        commands = {
            "convert": ("data", "folder", f"--source_dir={source}", f"--out_dir={data}",
                        "--height=64", "--width=64"),
            "train": (*train, f"--dataset={data}", f"--steps={extent.steps}", "--sample_every=0"),
            "generate": ("write-samples", f"--run_dir={run}", f"--count={count}",
                         f"--records={place / f'samples-{count}'}"),
            "evaluate": ("benchmark", "--what=evaluate", "--model=rjvae", where,
                         f"--preset={extent.preset}", f"--dataset={data}", f"--clips={count}"),
        }  # fmt: skip
        for name, command in commands.items():
            reported(f"memory: {name}, {count} videos")
            peaks.setdefault(name, []).append(f"{_peak([*extent.kerasvid, *command]):,.0f}")
    rows = [(name, *values) for name, values in peaks.items()]
    head = ("", *(f"{count:,} videos" for count in extent.videos))
    return tabulate(rows, head, "github", disable_numparse=True)


def draw_videos(folder: pathlib.Path, count: int) -> None:
    """Writes so many AVI files of 16 frames, 64x64, with a shape that moves over grain."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    code = cv2.VideoWriter.fourcc(*"MJPG")
    for number in range(count):
        writer = cv2.VideoWriter(f"{folder}/{number:06}.avi", code, 25.0, (SIDE, SIDE))
        x, y, dx, dy = (int(value) for value in generator.integers(0, 4, 4) + (16, 16, 0, 0))
        for step in range(VIDEO_FRAMES):
            frame = generator.integers(0, 40, (SIDE, SIDE, 3), np.uint8)
            cv2.circle(frame, (x + dx * step, y + dy * step), 8, (60, 120, 240), -1)
            writer.write(frame)
        writer.release()


# === Processes ===


def _json(extent: Extent, *command: str) -> dict[str, Any]:
    """The JSON line that a command of `kerasvid` prints last."""
    return json.loads(_output([*extent.kerasvid, *command]).splitlines()[-1])


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise MeasurementError(_failure(command, done.stderr or done.stdout))
    return done.stdout


def _failure(command: Iterable[str], text: str) -> str:
    last = (text.strip().splitlines() or ["no reason given"])[-1]
    return f"{shlex.join(command)}: has failed ({last[:300]})."


def _peer(extent: Extent, row: TrainingRow, form: str, precision: str) -> float:
    """Clips a second of PyTorch."""
    flags = ("--peer", row.model, "--form", form, "--precision", precision, "--batch",
             str(row.clips), "--frames", str(row.frames), "--steps", str(extent.steps))  # fmt: skip
    command = [*shlex.split(extent.peers), *flags, *row.peer_flags]
    try:
        return float(json.loads(_output(command).splitlines()[-1])["videos_per_s"])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise MeasurementError(
            f"--peers={extent.peers}: its last line is no JSON object with videos_per_s "
            f'({cause_of(error)}). Let it print {{"videos_per_s": 3.8}} at the end.'
        ) from error


# A child begins with the peak of the process that starts it, so a small one starts the command.
_STARTER = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def _peak(command: Sequence[str]) -> float:
    """The peak resident memory of a command in MB, or of the largest process that it starts."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _STARTER, *command],
            stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            printed, _ = process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            log.seek(0)
            raise MeasurementError(_failure(command, log.read().decode(errors="replace")))
    return int(printed) * (1 if sys.platform == "darwin" else 1024) / 1e6


def _seconds_until(path: pathlib.Path, command: Sequence[str]) -> float:
    """Seconds from the start of a command until a file has two lines; then it is stopped."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while not path.exists() or path.read_text().count("\n") < 2:
                if process.poll() is not None:
                    log.seek(0)
                    raise MeasurementError(_failure(command, log.read().decode(errors="replace")))
                time.sleep(0.02)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


def _machine() -> str:
    """The processor and the versions, in one line."""
    from importlib.metadata import version

    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = (
            line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        )
        name = next(models, name).partition(": ")[2] or name
    versions = ", ".join(f"{each} {version(each)}" for each in ("tensorflow", "keras", "numpy"))
    return f"{name}, {os.cpu_count()} cores; {versions}."
