"""Fits another prior to the codes of a trained model, in a copy of the run.

kerasvid fit-prior --run_dir=runs/rjvae-sprites --prior=flow_matching
kerasvid fit-prior --run_dir=runs/navsynth-turntable --prior=nearest --steps=10000

New videos of the copy are drawn from the prior. The run itself stays as it is. The kinds are
gaussian, mixture, flow, nearest and flow_matching. The data set is read to encode its training
videos; models with learned codes need none.
"""

import dataclasses

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow
from kerasvid.naming import command_line

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the finished run.", required=True)
define.string("prior", "flow_matching", "Kind of the prior.")
define.integer("steps", 4_000, "Number of updates of its network.", lower_bound=1)
define.string("out_dir", None, "Folder of the copy; by default <run_dir>-<prior>.")
define.string("data_dir", None, "Folder that data sets are kept in, if they were moved.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.data import load_info
    from kerasvid.models.base.latent_codes import LatentCodeModel
    from kerasvid.models.registry import model_class
    from kerasvid.training.config import check_prior
    from kerasvid.training.loop import copy_with_prior
    from kerasvid.training.run_folder import ERRORS, RunFolder
    from tfrecords_tools import registry

    out_dir = _F.out_dir or f"{_F.run_dir.rstrip('/')}-{_F.prior}"
    with one_line_errors(ValueError, *ERRORS):
        run = RunFolder(_F.run_dir)
        config = run.load_config()
        training = dataclasses.replace(config.training, prior=_F.prior, prior_steps=_F.steps)
        config = dataclasses.replace(config, training=training)
        info = None
        if not issubclass(model_class(config.model), LatentCodeModel):  # their codes are weights
            folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
            config = dataclasses.replace(config, data_folder=folder)
            config.check_data(info := load_info(folder))
        check_prior(config, info)
        copy_with_prior(run, RunFolder(out_dir), config)
        print(f"{out_dir}: saved {RunFolder(out_dir).model}\nNext:\n"
              f"  {command_line('generate', f'--run_dir={out_dir}')}")  # fmt: skip
