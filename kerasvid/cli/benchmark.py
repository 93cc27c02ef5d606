"""Measures the input pipeline, a training step, generation or evaluation; prints a JSON line.

python apps/benchmark.py --what=train --model=rjvae --dataset=sprites --batch_size=16
python apps/benchmark.py --what=data --dataset=sprites --steps=200
python apps/benchmark.py --what=train --model=navsynth --dataset=turntable --rows=100000
python apps/benchmark.py --what=evaluate --model=navsynth --dataset=weizmann/strips --clips=2048
"""

import functools
import json
import os

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

WHAT = ["data", "train", "generate", "evaluate"]
FLAGS = _F = flags.FlagValues()
flags.DEFINE_enum("what", "train", WHAT, "What to measure.", flag_values=_F)
flags.DEFINE_string("model", "rjvae", "Model.", flag_values=_F)
flags.DEFINE_string("dataset", "sprites", "Data set, or a folder of records.", flag_values=_F)
flags.DEFINE_string("data_dir", "data", "Where data sets live.", flag_values=_F)
flags.DEFINE_string("source_dir", None, "Raw material, for data sets that need it.", flag_values=_F)
flags.DEFINE_string("preset", "base", "debug, base or paper.", flag_values=_F)
flags.DEFINE_multi_string("set", [], "key=value, as for train.py.", flag_values=_F)
flags.DEFINE_integer("batch_size", None, "Videos a step.", lower_bound=1, flag_values=_F)
flags.DEFINE_integer("frames", None, "Frames a clip.", lower_bound=1, flag_values=_F)
flags.DEFINE_string(
    "precision", "auto", "auto, float32, mixed_bfloat16 or mixed_float16.", flag_values=_F
)
flags.DEFINE_enum(
    "jit_compile", "auto", ["auto", "true", "false"], "Compile gradients by XLA.", flag_values=_F
)
flags.DEFINE_integer(
    "steps", 20, "Steps to measure, after a warm-up.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "clips", 2048, "Clips of each set, for evaluate.", lower_bound=8, flag_values=_F
)
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
            raise ValueError(f"--rows={_F.rows} goes with --what=train alone.")
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
        measure = {
            "data": benchmark.measure_data,
            "train": functools.partial(benchmark.measure_training, rows=_F.rows),
            "generate": benchmark.measure_generation,
            "evaluate": lambda config, _: benchmark.measure_evaluation(config, _F.clips),
        }[_F.what]
        facts = {
            "what": _F.what,
            "model": _F.model,
            "preset": _F.preset,
            "dataset": _F.dataset,
            "batch_size": config.training.batch_size,
            "frames": config.frames,
            "precision": config.precision,
            "cores": os.cpu_count(),
        }
        print(json.dumps({**facts, **measure(config, _F.steps)}))
