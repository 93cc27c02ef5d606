"""The same noise through Keras, SavedModel, TFLite and ONNX: differences, sizes, speed, memory.

python export/check_parity.py --run_dir=runs/rjvae-sprites --frames=16
python export/check_parity.py --run_dir=runs/rjvae-sprites --tflite=a.tflite --tflite=b.tflite

What is not given is made in a temporary folder. Latencies are medians of one clip.
"""

import json
import pathlib
import tempfile

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run that was exported.", required=True, flag_values=_F)
flags.DEFINE_multi_string(
    "saved_model", [], "Folders of SavedModels with a signature `decode`.", flag_values=_F
)
flags.DEFINE_multi_string("tflite", [], "Files of batch 1 with the verb `decode`.", flag_values=_F)
flags.DEFINE_multi_string("onnx", [], "Files of the verb `decode`.", flag_values=_F)
flags.DEFINE_integer(
    "frames", None, "Length of the clip; by default the model's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "repeats", 30, "That a latency is the median of.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer("threads", 2, "Of each form.", lower_bound=1, flag_values=_F)
flags.DEFINE_integer("seed", 0, "Of the noise.", lower_bound=0, flag_values=_F)
flags.DEFINE_string("out", None, "Write the table as JSON, too: parity.json.", flag_values=_F)
flags.DEFINE_bool("overwrite", False, "Replace that file if it is there.", flag_values=_F)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export.exported_run import load_for_export, quiet_unless_failing
    from kerasvid.export.lite_model import interpreter_class
    from kerasvid.export.onnx_session import check_installed
    from kerasvid.export.parity import as_table, compare, make_forms
    from kerasvid.io import new_file, refuse_existing
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        refuse_arguments(argv)
        if _F.out:
            refuse_existing(_F.out, _F.overwrite)
        interpreter_class()
        check_installed()
        run = load_for_export(_F.run_dir)
        given = {kind: _F[kind].value for kind in ("saved_model", "tflite", "onnx")}
        with tempfile.TemporaryDirectory() as folder, quiet_unless_failing():
            forms = make_forms(run, pathlib.Path(folder), _F.frames, given)
            rows = compare(run, forms, _F.frames, _F.seed, _F.repeats, _F.threads)
        print(as_table(rows))
        frames = run.model.frames if _F.frames is None else _F.frames
        facts = {"model": run.config.model, "dataset": run.config.dataset, "frames": frames}
        if _F.out:
            measured = {"repeats": _F.repeats, "threads": _F.threads, "seed": _F.seed}
            forms = [row.as_json() for row in rows]
            with new_file(_F.out, _F.overwrite) as temporary:
                temporary.write_text(json.dumps({**facts, **measured, "forms": forms}, indent=1))
            print(_F.out)
