"""Compares Keras, SavedModel, TFLite and ONNX on the same noise: differences, size, speed, memory.

    kerasvid export parity --run_dir=runs/rjvae-sprites --frames=16
    kerasvid export parity --run_dir=runs/rjvae-sprites --tflite=a.tflite --tflite=b.tflite

Forms that are not given are made in a temporary folder. Latencies are medians for one clip.
"""

import json
import pathlib
import tempfile
from typing import Any

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, quiet_unless_failing, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run that was exported.", required=True)
define.multi_string("saved_model", [], "SavedModel folder with the signature decode; repeatable.")
define.multi_string("tflite", [], "File of batch 1 with the signature decode; repeatable.")
define.multi_string("onnx", [], "File of the signature decode; repeatable.")
define.integer("frames", None, "Frames of the clip; by default the model's.", lower_bound=1)
define.integer("repeats", 30, "Number of calls; latencies are their medians.", lower_bound=1)
define.integer("threads", 2, "Number of threads of each form.", lower_bound=1)
define.integer("seed", 0, "Random seed of the noise.", lower_bound=0)
define.string("out", None, "JSON file to write the table to, such as parity.json.")
define.bool("overwrite", False, "Replacement of an existing file.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.parity import as_table, compare, make_forms
    from kerasvid.export.runtimes import check_installed
    from kerasvid.io import new_file, refuse_existing
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        if _F.out:
            refuse_existing(_F.out, _F.overwrite)
        for extra in ("tflite", "onnx"):
            check_installed(extra)
        run = load_for_export(_F.run_dir)
        given: Any = {kind: _F[kind].value for kind in ("saved_model", "tflite", "onnx")}
        quiet = quiet_unless_failing(ValueError, ImportError, *ERRORS)
        with tempfile.TemporaryDirectory() as folder, quiet:
            forms = make_forms(run, pathlib.Path(folder), _F.frames, given)
            rows = compare(run, forms, _F.frames, _F.seed, _F.repeats, _F.threads)
        print(as_table(rows))
        if _F.out:
            facts: dict[str, Any] = {"model": run.config.model, "dataset": run.config.dataset}
            facts["frames"] = run.model.frames if _F.frames is None else _F.frames
            facts |= {name: _F[name].value for name in ("repeats", "threads", "seed")}
            facts["forms"] = rows
            with new_file(_F.out, _F.overwrite) as temporary:
                temporary.write_text(json.dumps(facts, indent=1))
            print(_F.out)
