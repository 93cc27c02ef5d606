"""Writes a verb of a run's model as an ONNX file, of any batch size.

python export/to_onnx.py --run_dir=runs/rjvae-sprites --out=rjvae.onnx
python export/to_onnx.py --run_dir=runs/rjvae-sprites --out=image.onnx --verb=image
"""

import os

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run to export.", required=True, flag_values=_F)
flags.DEFINE_string("out", None, "The file to write: NAME.onnx.", required=True, flag_values=_F)
flags.DEFINE_string("verb", "decode", "What the file does.", flag_values=_F)
flags.DEFINE_integer(
    "batch", None, "Videos at once; by default any number.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "frames", None, "Length of videos; by default the model's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_bool("overwrite", False, "Replace the file if it is there.", flag_values=_F)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export import onnx, tflite
    from kerasvid.export.exported_run import load_for_export, quiet_unless_failing
    from kerasvid.export.onnx_session import check_installed
    from kerasvid.io import new_file, refuse_existing
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        refuse_arguments(argv)
        if not _F.out.endswith(".onnx"):
            raise ValueError(f"--out={_F.out}: give a name that ends in .onnx.")
        refuse_existing(_F.out, _F.overwrite)
        check_installed()
        run = load_for_export(_F.run_dir)
        verbs, _ = tflite.held_verbs(run.model, _F.frames, [_F.verb])
        with quiet_unless_failing():
            content = onnx.convert(run.model, verbs[_F.verb], _F.verb, _F.batch)
            errors = onnx.measure_error(run.model, verbs, _F.verb, content, _F.batch or 1)
        with new_file(_F.out, _F.overwrite) as temporary:
            temporary.write_bytes(content)
        for output, error in errors.items():
            print(f"{_F.verb}: {output} differs from Keras by {error}")
        size = os.path.getsize(_F.out) / 1e6
        print(f"{_F.out}  {size:.2f} MB, opset {onnx.OPSET}")
