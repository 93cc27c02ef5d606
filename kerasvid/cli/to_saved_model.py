"""Writes a trained model as a SavedModel, for TensorFlow Serving and any TensorFlow program.

    kerasvid export saved-model --run_dir=runs/rjvae-sprites --out=export/models/rjvae/1
    kerasvid export saved-model --run_dir=runs/cvae-shapes --out=export/models/cvae/1 --frames=30

It adds a model card (JSON and Markdown) and requests that warm a server up.
"""

from absl import flags, logging

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run to export.", required=True)
define.string("out", None, "Folder of the version: <anywhere>/<name>/<1, 2, ...>.", required=True)
define.integer("frames", None, "Frames of a clip; by default the model's.", lower_bound=1)
define.enum("weights", None, ["averaged", "trained"], "Weights to export; by default averaged ones "
            "if the run has them.")  # fmt: skip
define.bool("whole_batches", False, "Computation of all rows at once: quicker on a GPU, but the "
            "last bits of a row depend on the number of rows.")  # fmt: skip


def main(argv: list[str]) -> None:
    start_tensorflow()
    logging.set_verbosity(logging.WARNING)  # no line for every file that TensorFlow writes
    from kerasvid.export import version_folder
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.model_card import make_card, write_card
    from kerasvid.export.saved_model import save_signatures, served_signatures
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        out = version_folder.check_version_folder(_F.out)  # before minutes of work
        run = load_for_export(_F.run_dir, _F.weights)
        kind = "averaged" if run.averaged else "trained"
        source = f"{run.config.model} on {run.config.dataset}"
        print(f"{source}, {kind} weights of {run.weights}", flush=True)
        signatures = served_signatures(run.model, _F.frames, _F.whole_batches)
        name = out.resolve().parent.name
        with version_folder.new_version_folder(out) as building:
            save_signatures(signatures, building)
            write_card(make_card(run, signatures, name, _F.whole_batches), building)
            version_folder.write_warm_up(building, name, run.model, signatures)
        for key, each in signatures.items():
            print(f"  {key}: {', '.join(each.inputs)} -> {', '.join(each.outputs)}")
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
        print(f"{out}: written, {size:.1f} MB. Inspect it with\n"
              f"  saved_model_cli show --dir {out} --all")  # fmt: skip
