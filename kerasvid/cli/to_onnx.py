"""Writes a signature of a run's model as an ONNX file, of any batch size.

kerasvid export onnx --run_dir=runs/rjvae-sprites --out=rjvae.onnx
kerasvid export onnx --run_dir=runs/rjvae-sprites --out=image.onnx --signature=image
"""

import os

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, quiet_unless_failing, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run to export.", required=True)
define.string("out", None, "File to write: NAME.onnx.", required=True)
define.string("signature", "decode", "Signature of the file: decode, interpolate, image, ...")
define.integer("batch", None, "Videos of one call; by default any number.", lower_bound=1)
define.integer("frames", None, "Frames of a clip; by default the model's.", lower_bound=1)
define.bool("overwrite", False, "Replacement of an existing file.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.export import onnx, tflite
    from kerasvid.export.accuracy import measured_difference
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.runtimes import OnnxModel, check_installed
    from kerasvid.io import new_file, refuse_existing
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, ImportError, *ERRORS):
        if not _F.out.endswith(".onnx"):
            raise ValueError(f"--out={_F.out}: the name must end in .onnx.")
        refuse_existing(_F.out, _F.overwrite)
        check_installed("onnx")
        run, name = load_for_export(_F.run_dir), _F.signature
        signatures, _ = tflite.loop_free_signatures(run.model, _F.frames, [name])
        with quiet_unless_failing(ValueError, ImportError, *ERRORS):
            content = onnx.convert(run.model, signatures[name], name, _F.batch)
            call, signature = OnnxModel(content), signatures[name]
            errors = measured_difference(call, run.model, signature, _F.batch or 1)
        with new_file(_F.out, _F.overwrite) as temporary:
            temporary.write_bytes(content)
        for output, error in errors.items():
            print(f"{name}: {output} differs from Keras by {error}")
        print(f"{_F.out}  {os.path.getsize(_F.out) / 1e6:.2f} MB, opset {onnx.OPSET}")
