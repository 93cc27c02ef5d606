"""Measures the speed of input, training, generation, evaluation or conversion as a JSON line.

Of the presets with weights that come with the package it prints a table.

kerasvid benchmark --what=train --model=rjvae --dataset=sprites --batch_size=16
kerasvid benchmark --what=data --dataset=sprites --steps=200
kerasvid benchmark --what=train --model=navsynth --dataset=turntable --rows=100000
kerasvid benchmark --what=evaluate --model=navsynth --dataset=weizmann/strips --clips=2048
kerasvid benchmark --what=convert --source_dir=my_videos
kerasvid benchmark --what=presets
"""

import json
import os
from typing import Any

from absl import flags

from kerasvid.cli.command import (
    Define,
    jit_compile,
    one_line_errors,
    parse_assignments,
    start_tensorflow,
)

WHAT = ["data", "train", "generate", "evaluate", "convert", "presets"]
SHOWN = {  # values of an evaluation in the table of presets, by their names
    "reconstruction/psnr": "PSNR {:.1f} dB",
    "between/best_of_8": "L2 of the nearest of 8 {:.1f}",
    "frechet": "Frechet {:.2f}",
    "fvd": "FVD {:.0f}",
    "inception/label": "IS of the action {:.2f}",
}
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
for _side in ("height", "width"):
    define.integer(
        _side, 64, f"{_side.capitalize()} of a frame, for --what=convert.", lower_bound=1
    )
define.integer("repeats", 3, "Conversions by kerasvid and by ffmpeg, in turns.", lower_bound=1)
define.integer(
    "videos", 24, "Videos to convert, drawn unless --source_dir is given.", lower_bound=1
)
define.integer("rows", None, "Rows of learned codes, looked up at random.", lower_bound=1)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.data import load_info
    from kerasvid.evaluation import benchmark
    from kerasvid.models.registry import shipped_presets
    from kerasvid.training.config import make_config
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import conversion_speed, registry

    with one_line_errors(ValueError, *ERRORS):
        if _F.rows is not None and _F.what != "train":
            raise ValueError(f"--rows={_F.rows} needs --what=train. Omit it for {_F.what}.")
        if _F.what == "presets":
            return print(
                _table([benchmark.measure_preset(name, _F.steps) for name in shipped_presets()])
            )
        if _F.what == "convert":
            given = _F.source_dir, _F.height, _F.width, _F.repeats, _F.videos
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
