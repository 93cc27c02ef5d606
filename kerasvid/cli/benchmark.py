"""Measures the speed of input, training, generation, evaluation or conversion as a JSON line.

Of the presets with weights that come with the package it prints a table. `scaling` prints what
training on many GPUs would need: rates of this machine, and arithmetic for the others. `all` prints
tables of training, generation, start and memory; it takes 20 minutes on two cores.

kerasvid benchmark --what=train --model=rjvae --dataset=sprites --batch_size=16
kerasvid benchmark --what=data --dataset=sprites --steps=200
kerasvid benchmark --what=train --model=navsynth --dataset=turntable --rows=100000
kerasvid benchmark --what=evaluate --model=navsynth --dataset=weizmann/strips --clips=2048
kerasvid benchmark --what=convert --source_dir=my_videos
kerasvid benchmark --what=presets
kerasvid benchmark --what=scaling --model=rjvae --preset=paper --gpus=8,64,512
kerasvid benchmark --what=all --peers="python torch_step.py"
"""

import functools
import json
import os
import sys
from typing import Any

from absl import flags

from kerasvid.cli.command import (
    Define,
    jit_compile,
    one_line_errors,
    parse_assignments,
    start_tensorflow,
)

WHAT = ["data", "train", "generate", "evaluate", "convert", "presets", "scaling", "all"]
SHOWN = {  # values of an evaluation in the table of presets, by their names
    "reconstruction/psnr": "PSNR {:.1f} dB",
    "between/best_of_8": "L2 of the nearest of 8 {:.1f}",
    "frechet": "Frechet {:.2f}",
    "fvd": "FVD {:.0f}",
    "inception/label": "IS of the action {:.2f}",
}
KERASVID = (sys.executable, "-c",
            "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])")  # fmt: skip
OF_A_MODEL = ("train", "generate", "evaluate", "data", "scaling")
PARTS = {  # values of --what that a flag is for
    **dict.fromkeys(("model", "preset", "set", "dataset", "batch_size", "frames", "precision",
                     "jit_compile"), OF_A_MODEL),
    **dict.fromkeys(("gpus", "video_frames", "gpu_tflops", "gigabit", "gpu_cores", "gpu_clips",
                     "gpu_hours"), ("scaling",)),
    **dict.fromkeys(("height", "width", "repeats"), ("convert",)),
    "videos": ("convert", "scaling"),
    "clips": ("evaluate",),
    "rows": ("train",),
    "peers": ("all",),
}  # fmt: skip
FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.enum("what", "train", WHAT, "Part to measure.")
define.string("model", "rjvae", "Name of the model.")
define.string("preset", "base", "Name of the model's preset.")
define.multi_string("set", [], "Setting as key=value, as for `kerasvid train`.")
define.data()
define.integer("batch_size", None, "Videos a step; by default the preset's.", lower_bound=1)
define.integer("frames", None, "Frames of a clip; by default the preset's.", lower_bound=1)
define.device()
define.integer("steps", 20, "Steps to measure, after a warm-up.", lower_bound=1)
define.integer("clips", 2048, "Clips of each set, for --what=evaluate.", lower_bound=8)
define.list("gpus", ["8", "64", "512"], "Numbers of GPUs, for --what=scaling.")
define.integer("video_frames", 75, "Frames of a video, for --what=scaling.", lower_bound=1)
define.float("gpu_tflops", 40.0, "10^12 operations a second of a GPU, assumed for --what=scaling.",
             lower_bound=1e-3)  # fmt: skip
define.float("gigabit", 100.0, "10^9 bits a second between two GPUs, assumed for --what=scaling.",
             lower_bound=1e-3)  # fmt: skip
define.integer("gpu_cores", 16, "CPU cores for each GPU, assumed for --what=scaling.",
               lower_bound=1)  # fmt: skip
define.integer("gpu_clips", 64, "Clips of each GPU in a step, for --what=scaling.", lower_bound=1)
define.float("gpu_hours", 20_000.0, "Hours between two failures of a GPU, assumed for "
             "--what=scaling.", lower_bound=1e-3)  # fmt: skip
define.string("peers", "", "Command that measures PyTorch, for --what=all, see docs/results/speed.")
for _side in ("height", "width"):
    define.integer(
        _side, 64, f"{_side.capitalize()} of a frame, for --what=convert.", lower_bound=1
    )
define.integer("repeats", 3, "Conversions by kerasvid and by ffmpeg, in turns.", lower_bound=1)
define.integer(
    "videos", None, "Videos to convert, by default 24; to train on for --what=scaling, by default "
    "1,000,000.", lower_bound=1
)  # fmt: skip
define.integer("rows", None, "Rows of learned codes, looked up at random.", lower_bound=1)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.data import load_info
    from kerasvid.evaluation import benchmark, scaling, speed_report
    from kerasvid.models.registry import shipped_presets
    from kerasvid.training.config import make_config
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import conversion_speed, registry

    with one_line_errors(ValueError, speed_report.MeasurementError, *ERRORS):
        _check_flags()
        if _F.what == "all":
            data_dir = os.path.abspath(_F.data_dir)
            extent = speed_report.Extent(
                kerasvid=KERASVID, steps=_F.steps, data_dir=data_dir, peers=_F.peers
            )
            reported = functools.partial(print, file=sys.stderr, flush=True)
            for part in speed_report.speed_report(extent, reported):
                print(part, flush=True)
            return None
        if _F.what == "presets":
            return print(
                _table([benchmark.measure_preset(name, _F.steps) for name in shipped_presets()])
            )
        if _F.what == "convert":
            given = _F.source_dir, _F.height, _F.width, _F.repeats, _F.videos or 24
            found = conversion_speed.measure_conversion(*given)
            return print(json.dumps({"what": "convert", "cores": os.cpu_count(), **found}))
        values = parse_assignments(_F.set)
        if _F.frames is not None:
            values |= {"frames": _F.frames, "training.frames": _F.frames}
        folder = registry.prepare(_F.dataset, _F.data_dir, _F.source_dir)
        names = ("preset", "batch_size", "precision")
        options: dict[str, Any] = {name: _F[name].value for name in names}
        options |= {"values": values, "jit_compile": jit_compile(_F.jit_compile), "seed": 0}
        options["reads_data"] = _F.what != "generate"
        config = make_config(_F.model, _F.dataset, folder, load_info(folder), **options)
        if _F.what == "scaling":
            gpus, rates = _gpu_counts(_F.gpus), benchmark.measure_rates(config, _F.steps)
            cluster = scaling.Cluster(
                _F.gpu_tflops, _F.gigabit, _F.gpu_cores, _F.gpu_clips, _F.gpu_hours
            )
            return print(
                scaling.scaling_report(
                    rates, cluster, gpus, _F.videos or 1_000_000, _F.video_frames
                )
            )
        found = {
            "data": lambda: benchmark.measure_data(config, _F.steps),
            "train": lambda: benchmark.measure_training(config, _F.steps, _F.rows),
            "generate": lambda: benchmark.measure_generation(config, _F.steps),
            "evaluate": lambda: benchmark.measure_evaluation(config, _F.clips),
        }[_F.what]()
        facts = {name: _F[name].value for name in ("what", "model", "preset", "dataset")}
        facts |= {"batch_size": config.training.batch_size, "frames": config.frames}
        facts |= {"precision": config.precision, "cores": os.cpu_count()}
        print(json.dumps({**facts, **found}))


def _check_flags() -> None:
    """Raises a ValueError for a flag that is given, but has no meaning for --what."""
    for name, parts in PARTS.items():
        if _F[name].present and _F.what not in parts:
            raise ValueError(
                f"{_F[name].serialize()} needs --what={' or '.join(parts)}. Omit it for {_F.what}."
            )


def _gpu_counts(texts: list[str]) -> list[int]:
    """The numbers of --gpus; a ValueError says which is none."""
    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            given = ",".join(texts)
            raise ValueError(f"--gpus={given}: {text!r} is no number of GPUs. Use --gpus=8,64.")
    return [int(text) for text in texts]


def _table(measured: list[dict[str, Any]]) -> str:
    """The measured presets as a Markdown table."""
    from tabulate import tabulate

    rows = []
    for each in measured:
        metadata = each["metadata"]
        evaluation, data = metadata.get("evaluation", {}), metadata.get("data", {})
        values = [
            text.format(evaluation[name]) for name, text in SHOWN.items() if name in evaluation
        ]
        rows.append((
            f"`{each['name']}`", metadata["model"], data.get("name", ""),
            f"{each['parameters'] / 1e6:.2f} M", f"{each['gflop_per_clip']:.2f}",
            f"{each['clips_per_second']:.0f}", f"{each['megabytes']:.1f}", ", ".join(values),
        ))  # fmt: skip
    head = (
        "preset",
        "model",
        "data",
        "parameters",
        "GFLOP a clip",
        "clips a second",
        "MB",
        "values",
    )
    return tabulate(rows, head, "github", disable_numparse=True)
