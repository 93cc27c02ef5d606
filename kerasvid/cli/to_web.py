"""Makes a folder with a page that runs a trained model in the browser, without a network.

python export/to_web.py --run_dir=runs/rjvae-sprites --out=demo
python -m http.server --directory demo --bind 127.0.0.1 8000
"""

import os
import shutil

from absl import flags, logging

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run to show.", required=True, flag_values=_F)
flags.DEFINE_string("out", None, "Folder to make.", required=True, flag_values=_F)
flags.DEFINE_integer(
    "frames", None, "Length of a clip; by default the model's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer("clips", 6, "In the grid.", lower_bound=1, upper_bound=24, flag_values=_F)
flags.DEFINE_string(
    "runtime_dir", None, "A node_modules with LiteRT.js; by default npm fetches it.", flag_values=_F
)
flags.DEFINE_bool(
    "overwrite", False, "Replace such a folder that is already there.", flag_values=_F
)


def main(argv: list[str]) -> None:
    start_tensorflow()
    logging.set_verbosity(logging.ERROR)  # SavedModels tell of their making
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.web.page import check_target, write_page
    from kerasvid.export.web.runtime import RuntimeUnavailable
    from kerasvid.io import replace_folder
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, RuntimeUnavailable, *ERRORS):
        refuse_arguments(argv)
        out = os.path.abspath(_F.out)
        check_target(out, _F.overwrite)
        run = load_for_export(_F.run_dir)
        print(f"{run.config.model} on {run.config.dataset}, weights of {run.weights}", flush=True)
        building = f"{out}.partial-{os.getpid()}"
        try:
            os.makedirs(building)
            page = write_page(run, building, _F.frames, _F.clips, _F.runtime_dir)
            check_target(out, _F.overwrite)
            replace_folder(building, out)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        size = os.path.getsize(os.path.join(out, page["file"])) / 2**20
        print(f"{_F.out}: a page with a model of {size:.1f} MiB, {len(page['directions'])} sliders")
        print(f"see it: python -m http.server --directory {_F.out} --bind 127.0.0.1 8000")
