"""Writes the verbs of a run's model into one TFLite file, a signature each.

python export/to_tflite.py --run_dir=runs/rjvae-sprites --out=rjvae.tflite
python export/to_tflite.py --run_dir=runs/rjvae-sprites --out=small.tflite --quantize=dynamic
python export/to_tflite.py --run_dir=runs/rjvae-sprites --out=d.tflite --verbs=decode --frames=16

Beside the file, OUT.json says what it is of, its inputs and outputs, and its error.
"""

import json
import os

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run to export.", required=True, flag_values=_F)
flags.DEFINE_string("out", None, "The file to write: NAME.tflite.", required=True, flag_values=_F)
flags.DEFINE_enum(
    "quantize", "none", ["none", "float16", "dynamic", "integer"],
    "float32; weights of float16; weights of int8; weights and activations of int8.", flag_values=_F)  # fmt: skip
flags.DEFINE_bool(
    "integer_io", False, "int8 inputs and outputs, too, with --quantize=integer.", flag_values=_F
)
flags.DEFINE_integer(
    "batch", 1, "Videos at once, fixed in the file.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "frames", None, "Length of videos; by default the model's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_list(
    "verbs", None, "By default all that a file without loops can hold.", flag_values=_F
)
flags.DEFINE_integer(
    "seed", 0, "Of the noise that integers are fitted to.", lower_bound=0, flag_values=_F
)
flags.DEFINE_bool("overwrite", False, "Replace the file if it is there.", flag_values=_F)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export import tflite
    from kerasvid.export.exported_run import load_for_export, quiet_unless_failing
    from kerasvid.export.lite_model import interpreter_class
    from kerasvid.io import new_file, refuse_existing
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        refuse_arguments(argv)
        if not _F.out.endswith(".tflite"):
            raise ValueError(f"--out={_F.out}: give a name that ends in .tflite.")
        if _F.integer_io and _F.quantize != "integer":
            raise ValueError("--integer_io goes with --quantize=integer.")
        beside = f"{_F.out}.json"
        for path in (_F.out, beside):
            refuse_existing(path, _F.overwrite)
        interpreter_class()  # before the work: the file is checked by running it
        run = load_for_export(_F.run_dir)
        verbs, left = tflite.held_verbs(run.model, _F.frames, _F.verbs)
        if left:
            print(f"left out, as they descend by gradients: {', '.join(left)}", flush=True)
        options = (_F.quantize, _F.batch, _F.integer_io, _F.seed)
        with quiet_unless_failing():
            content = tflite.convert(run.model, verbs, *options)
            errors = tflite.measure_error(run.model, verbs, content, _F.batch)
        facts = {
            "model": run.config.model,
            "dataset": run.config.dataset,
            "step": run.step,
            "quantize": _F.quantize,
            "integer_io": _F.integer_io,
            "batch": _F.batch,
            "frames": run.model.frames if _F.frames is None else _F.frames,
            "verbs": {name: _described(verbs[name], errors[name], _F.batch) for name in verbs},
            "operations": dict(sorted(tflite.operations(content).items())),
        }
        with new_file(_F.out, _F.overwrite) as temporary:
            temporary.write_bytes(content)
        with new_file(beside, _F.overwrite) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n")
        for name, told in errors.items():
            for output, error in told.items():
                print(f"{name}: {output} differs from Keras by {error}")
        print(f"{_F.out}  {os.path.getsize(_F.out) / 1e6:.2f} MB, {_F.quantize}\n{beside}")


def _described(verb, errors, batch: int) -> dict:
    """Inputs, outputs and the error of a verb, as JSON holds them."""
    tensors = {
        kind: {
            name: {"shape": [batch, *each.shape], "dtype": each.dtype.name, "is": each.meaning}
            for name, each in getattr(verb, kind).items()
        }
        for kind in ("inputs", "outputs")
    }
    told = {name: error.as_json() for name, error in errors.items()}
    return {"summary": verb.summary, "noise": list(verb.noise), **tensors, "error": told}
