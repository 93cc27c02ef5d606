"""Writes signatures of a run's model into one TFLite file.

    kerasvid export tflite --run_dir=runs/rjvae-sprites --out=rjvae.tflite
    kerasvid export tflite --run_dir=runs/rjvae-sprites --out=small.tflite --quantize=dynamic
    kerasvid export tflite --run_dir=runs/rjvae-sprites --out=d.tflite --signatures=decode

OUT.json beside the file describes its inputs, its outputs and its error. The same is in the file,
for `kerasvid-play`, which makes GIFs without TensorFlow.
"""

import json
import os
from functools import partial
from typing import Any

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, quiet_unless_failing, start_tensorflow

DRAWS = 4  # random inputs of each signature that the error is measured on

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run to export.", required=True)
define.string("out", None, "File to write: NAME.tflite.", required=True)
define.enum("quantize", "none", ["none", "float16", "dynamic", "integer"], "Number format. none: "
            "float32; float16, dynamic: float16 or int8 weights; integer: all int8.")  # fmt: skip
define.bool("integer_io", False, "Inputs and outputs of int8, with --quantize=integer.")
define.integer("batch", 1, "Videos of one call, fixed in the file.", lower_bound=1)
define.integer("frames", None, "Frames of a clip; by default the model's.", lower_bound=1)
define.list("signatures", None, "Signatures of the file; by default all that need no loop.")
define.integer("seed", 0, "Random seed of the calibration of --quantize=integer.", lower_bound=0)
define.bool("overwrite", False, "Replacement of an existing file.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export import tflite
    from kerasvid.export.accuracy import measured_difference
    from kerasvid.export.exported_run import dataset_info, load_for_export
    from kerasvid.export.runtimes import LiteModel, check_installed
    from kerasvid.io import new_file, refuse_existing
    from kerasvid.training.clips import frame_rate
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        if not _F.out.endswith(".tflite"):
            raise ValueError(f"--out={_F.out}: the name must end in .tflite.")
        beside = f"{_F.out}.json"
        for path in (_F.out, beside):
            refuse_existing(path, _F.overwrite)
        check_installed("tflite")  # before the work: the file is run to check it
        run = load_for_export(_F.run_dir)
        signatures, left_out = tflite.loop_free_signatures(run.model, _F.frames, _F.signatures)
        if left_out:
            print(f"left out, as they need a loop: {', '.join(left_out)}", flush=True)
        options = (_F.quantize, _F.batch, _F.integer_io, _F.seed)
        with quiet_unless_failing(ValueError, ImportError, *ERRORS):
            content = tflite.convert(run.model, signatures, *options)
            lite = LiteModel(content)
            errors = {
                name: measured_difference(partial(lite, name), run.model, each, _F.batch, DRAWS)
                for name, each in signatures.items()
            }
        facts: dict[str, Any] = {"model": run.config.model, "dataset": run.config.dataset}
        facts["step"] = run.step
        facts |= {name: _F[name].value for name in ("quantize", "integer_io", "batch")}
        facts["frames"] = run.model.frames if _F.frames is None else _F.frames
        facts["fps"] = frame_rate(run.config)
        facts["classes"] = list(info.class_names) if (info := dataset_info(run.config)[0]) else []
        facts["signatures"] = {}
        for name, each in signatures.items():
            gaps = {output: error.as_json() for output, error in errors[name].items()}
            described = {**each.as_json(_F.batch), "noise": each.noise, "error": gaps}
            facts["signatures"][name] = described
        facts["operations"] = dict(sorted(tflite.operations(content).items()))
        with new_file(_F.out, _F.overwrite) as temporary:
            temporary.write_bytes(tflite.with_description(content, facts))
        with new_file(beside, _F.overwrite) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n")
        for name, by_output in errors.items():
            for output, error in by_output.items():
                print(f"{name}: {output} differs from Keras by {error}")
        print(f"{_F.out}  {os.path.getsize(_F.out) / 1e6:.2f} MB, {_F.quantize}\n{beside}")
