"""Writes a verb of a run's model as an ONNX file, of any batch size.

python export/to_onnx.py --run_dir=runs/rjvae-sprites --out=rjvae.onnx
python export/to_onnx.py --run_dir=runs/rjvae-sprites --out=image.onnx --verb=image
"""

import os

from absl import flags

from kerasvid.command_line import one_line_errors, refuse_arguments, run_app, start_tensorflow

_F = flags.FLAGS
flags.DEFINE_string("run_dir", None, "The run to export.", required=True)
flags.DEFINE_string("out", None, "The file to write: NAME.onnx.", required=True)
flags.DEFINE_string("verb", "decode", "What the file does.")
flags.DEFINE_integer("batch", None, "Videos at once; by default any number.", lower_bound=1)
flags.DEFINE_integer("frames", None, "Length of videos; by default the model's.", lower_bound=1)
flags.DEFINE_bool("overwrite", False, "Replace the file if it is there.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from export import onnx_model, tflite
    from export.exported_run import load_for_export
    from export.new_file import new_file, refuse_existing
    from export.onnx_session import check_installed
    from export.quiet import quiet_unless_failing
    from kerasvid.runs.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        refuse_arguments(argv)
        if not _F.out.endswith(".onnx"):
            raise ValueError(f"--out={_F.out}: give a name that ends in .onnx.")
        refuse_existing(_F.out, _F.overwrite)
        check_installed()
        run = load_for_export(_F.run_dir)
        verbs, _ = tflite.held_verbs(run.model, _F.frames, [_F.verb])
        with quiet_unless_failing():
            content = onnx_model.convert(run.model, verbs[_F.verb], _F.verb, _F.batch)
            errors = onnx_model.measure_error(run.model, verbs, _F.verb, content, _F.batch or 1)
        with new_file(_F.out, _F.overwrite) as temporary:
            temporary.write_bytes(content)
        for output, error in errors.items():
            print(f"{_F.verb}: {output} differs from Keras by {error}")
        size = os.path.getsize(_F.out) / 1e6
        print(f"{_F.out}  {size:.2f} MB, opset {onnx_model.OPSET}")


if __name__ == "__main__":
    run_app(main)
