"""Writes a trained model as a SavedModel, for TensorFlow Serving and any TensorFlow program.

python export/to_saved_model.py --run_dir=runs/rjvae-sprites --out=export/models/rjvae/1
python export/to_saved_model.py --run_dir=runs/cvae-shapes --out=export/models/cvae/1 --frames=30

Beside the model there are a model card (JSON and Markdown) and requests that warm a server up.
"""

from absl import flags, logging

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run whose model it is.", required=True, flag_values=_F)
flags.DEFINE_string("out", None, "Folder of the version, <anywhere>/<name>/<1, 2, ...>.",
                    required=True, flag_values=_F)  # fmt: skip
flags.DEFINE_integer(
    "frames", None, "Length of clips; by default the model's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_enum("weights", None, ["averaged", "trained"],
                  "By default averaged ones, if the run has them.", flag_values=_F)  # fmt: skip
flags.DEFINE_bool("whole_batches", False, "All rows at once: quicker on a GPU, but the last bits "
                  "of a row depend on the number of rows.", flag_values=_F)  # fmt: skip


def main(argv: list[str]) -> None:
    start_tensorflow()
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of every file that it writes
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.model_card import make_card, write_card
    from kerasvid.export.saved_model import (
        bytes_of,
        check_version_folder,
        new_version_folder,
        save_signatures,
        served_verbs,
        write_warm_up,
    )
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        out = check_version_folder(_F.out)  # before minutes of work
        run = load_for_export(_F.run_dir, _F.weights)
        kind = "averaged" if run.averaged else "trained"
        what = f"{run.config.model} on {run.config.dataset}"
        print(f"{what}, {kind} weights of {run.weights}", flush=True)
        verbs = served_verbs(run.model, _F.frames, _F.whole_batches)
        name = out.resolve().parent.name
        with new_version_folder(out) as building:
            save_signatures(verbs, building)
            write_card(make_card(run, verbs, name, _F.whole_batches), building)
            write_warm_up(building, name, verbs)
        for signature, verb in verbs.items():
            print(f"  {signature}: {', '.join(verb.inputs)} -> {', '.join(verb.outputs)}")
        print(f"{out}: written, {bytes_of(out) / 1e6:.1f} MB. Look at it with\n"
              f"  saved_model_cli show --dir {out} --all")  # fmt: skip
