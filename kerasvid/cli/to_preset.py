"""Writes a trained model as a preset that anyone can load by `from_preset`.

    kerasvid export preset --run_dir=runs/rjvae-sprites --out=rjvae_sprites
    kerasvid export preset --run_dir=runs/rjvae-sprites --out=rjvae_sprites --upload=hf://anna/rjvae_sprites

The folder has the weights, the arguments of the model, and a model card with the command of the
training, the data set and its licence, and the metrics. Check the licence before you share it.
"""

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run to export.", required=True)
define.string("out", None, "Folder of the preset; an earlier one is replaced.", required=True)
define.bool("half", False, "Weights in float16, in half of the space.")
define.bool(
    "generator_only", False, "Weights of the generator alone, without the discriminators of a GAN."
)
define.enum("weights", None, ["averaged", "trained"], "Weights to export; by default averaged ones "
            "if the run has them.")  # fmt: skip
define.string("upload", None, "Address to upload the preset to: hf://user/repository.")
define.bool("private", False, "A new repository of --upload is private.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    import pathlib

    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.preset import write_run_preset
    from kerasvid.models import upload_preset
    from kerasvid.models.base.preset_sources import check_address
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        if _F.private and not _F.upload:
            raise ValueError("--private is of --upload. Give both, or neither.")
        if _F.upload:
            check_address(_F.upload)  # before minutes of work
        run = load_for_export(_F.run_dir, _F.weights)
        write_run_preset(run, _F.out, _F.half, _F.generator_only)
        size = sum(path.stat().st_size for path in pathlib.Path(_F.out).iterdir()) / 1e6
        name = type(run.model).__name__
        print(f'{_F.out}: written, {size:.1f} MB. Load it with\n  {name}.from_preset("{_F.out}")')
        if _F.upload:
            print(f"uploaded: {upload_preset(_F.upload, _F.out, _F.private)}")
