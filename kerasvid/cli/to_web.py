"""Makes a folder with a page that runs a trained model in the browser, without a network.

kerasvid export web --run_dir=runs/rjvae-sprites --out=demo
python -m http.server --directory demo --bind 127.0.0.1 8000
"""

import functools
import os

from absl import flags, logging

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run to show.", required=True)
define.string("out", None, "Folder to make.", required=True)
define.integer("frames", None, "Frames of a clip; by default the model's.", lower_bound=1)
define.integer("clips", 6, "Number of clips in the grid.", lower_bound=1, upper_bound=24)
define.enum("directions", "leading", ["leading", "closed_form"], "What the sliders change: the "
            "directions that change the clips most, or those of SeFa, of some GANs.")  # fmt: skip
define.string(
    "runtime_dir", None, "Folder node_modules with LiteRT.js; by default it is downloaded."
)
define.bool("overwrite", False, "Replacement of an existing page.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    logging.set_verbosity(logging.ERROR)  # no lines about the making of SavedModels
    from kerasvid.export.exported_run import load_for_export
    from kerasvid.export.web.page import check_target, endpoints_of_run, facts_of_run, write_page
    from kerasvid.export.web.runtime import RuntimeUnavailable
    from kerasvid.io import atomic_folder, readable_os_errors
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, RuntimeUnavailable, *ERRORS):
        check = functools.partial(check_target, _F.out, _F.overwrite)
        check()  # before minutes of work
        run = load_for_export(_F.run_dir)
        print(f"{run.config.model} on {run.config.dataset}, weights of {run.weights}", flush=True)
        with readable_os_errors(_F.out), atomic_folder(_F.out, check) as building:
            options = _F.frames, _F.clips, _F.runtime_dir, endpoints_of_run(run), _F.directions
            page = write_page(run.model, facts_of_run(run), building, *options)
        size = os.path.getsize(os.path.join(_F.out, page["file"])) / 2**20
        print(f"{_F.out}: a page with a model of {size:.1f} MiB, {len(page['directions'])} sliders")
        print(f"Open it: python -m http.server --directory {_F.out} --bind 127.0.0.1 8000")
