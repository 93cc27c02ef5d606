"""Measure the speed of the input pipeline, training, generation or evaluation; print a JSON line.

kerasvid benchmark --what=train --model=rjvae --dataset=sprites --batch_size=16
kerasvid benchmark --what=data --dataset=sprites --steps=200
kerasvid benchmark --what=train --model=navsynth --dataset=turntable --rows=100000
kerasvid benchmark --what=evaluate --model=navsynth --dataset=weizmann/strips --clips=2048
"""

import json
import os

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

WHAT = ["data", "train", "generate", "evaluate"]
FLAGS = _F = flags.FlagValues()
flags.DEFINE_enum("what", "train", WHAT, "Measured part.", flag_values=_F)
flags.DEFINE_string("model", "rjvae", "Name of the model.", flag_values=_F)
flags.DEFINE_string("dataset", "sprites", "Name, or folder of records.", flag_values=_F)
flags.DEFINE_string("data_dir", "data", "Folder of data sets.", flag_values=_F)
flags.DEFINE_string("source_dir", None, "Folder of raw media, if needed.", flag_values=_F)
flags.DEFINE_string("preset", "base", "Name of the preset, e.g. debug or paper.", flag_values=_F)
flags.DEFINE_multi_string("set", [], "Setting key=value, as for train.", flag_values=_F)
flags.DEFINE_integer("batch_size", None, "Videos of a step.", lower_bound=1, flag_values=_F)
flags.DEFINE_integer("frames", None, "Frames of a clip.", lower_bound=1, flag_values=_F)
flags.DEFINE_string(
    "precision", "auto", "auto, float32, mixed_bfloat16 or mixed_float16.", flag_values=_F
)
flags.DEFINE_enum(
    "jit_compile", "auto", ["auto", "true", "false"], "Compilation by XLA.", flag_values=_F
)
flags.DEFINE_integer("steps", 20, "Measured steps.", lower_bound=1, flag_values=_F)
flags.DEFINE_integer("clips", 2048, "Clips of each set, for evaluate.", 8, flag_values=_F)
flags.DEFINE_integer(
    "rows", None, "Rows of learned codes, looked up at random.", lower_bound=1, flag_values=_F
)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.data import load_info
    from kerasvid.evaluation import benchmark
    from kerasvid.training.config import make_config, parse_assignments
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        if _F.rows is not None and _F.what != "train":
            raise ValueError(f"--rows={_F.rows} needs --what=train. Omit it for {_F.what}.")
        values = parse_assignments(_F.set)
        if _F.frames is not None:
            values |= {"frames": _F.frames, "training.frames": _F.frames}
        folder = registry.prepare(_F.dataset, _F.data_dir, _F.source_dir)
        config = make_config(
            _F.model,
            _F.dataset,
            folder,
            load_info(folder),
            preset=_F.preset,
            values=values,
            batch_size=_F.batch_size,
            precision=_F.precision,
            jit_compile={"true": True, "false": False}.get(_F.jit_compile, "auto"),
            seed=0,
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
