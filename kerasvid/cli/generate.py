"""Shows what a trained model has learned, as PNG grids, GIF and MP4.

python apps/generate.py --run_dir=runs/rjvae-sprites
python apps/generate.py --run_dir=runs/dsa-sprites --show=samples,swaps,nearest --count=16
python apps/generate.py --run_dir=runs/cvae-shapes --first=a.png --last=b.png --frames=30
"""

import dataclasses
import os
import sys

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run to show.", required=True, flag_values=_F)
flags.DEFINE_list(
    "show", None, "By default all that the model can, but nearest, frames_between.", flag_values=_F
)
flags.DEFINE_string(
    "first", None, "Picture to begin with, for models of what is in between.", flag_values=_F
)
flags.DEFINE_string("last", None, "Picture to end with.", flag_values=_F)
flags.DEFINE_float(
    "temperature", 1.0, "Of videos between two pictures; 0: the best guess.", 0.0, flag_values=_F
)
flags.DEFINE_integer("count", 8, "Samples.", lower_bound=1, flag_values=_F)
flags.DEFINE_integer(
    "frames", None, "Length of samples; by default the model's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer("seed", 0, "Of the samples.", flag_values=_F)
flags.DEFINE_string("out_dir", None, "By default <run_dir>/generated.", flag_values=_F)
flags.DEFINE_string("data_dir", None, "Where data sets live, if they were moved.", flag_values=_F)
flags.DEFINE_integer("scale", None, "Enlargement of a frame.", lower_bound=1, flag_values=_F)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.training.clips import make_request
    from kerasvid.training.run_folder import ERRORS, RunFolder
    from kerasvid.visualization.figures import BY_DEFAULT, EXHIBITS, can_show, check_names
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        check_names(_F.show or ())
        ends = _F.first or _F.last
        if ends and _F.show:
            raise ValueError("--show: leave it out with --first and --last.")
        if not ends and _F["temperature"].present:
            raise ValueError("--temperature needs --first and --last.")
        run = RunFolder(_F.run_dir)
        config = run.load_config()
        if ends:
            return _fill_in(run, config)
        model = _load(run, config)
        names = [name for name in _F.show or BY_DEFAULT if can_show(model, name)]
        for name in {*(_F.show or ())}.difference(names):
            print(f"{name}: {config.model} cannot show this", file=sys.stderr)
        drawn = [name for name in names if not EXHIBITS[name].of_clips]
        try:
            if names != drawn:
                folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
                config = dataclasses.replace(config, data_folder=folder)
        except registry.ConversionError as error:
            if _F.show or not drawn:
                raise
            print(f"{error} Without it: {', '.join(drawn)}.", file=sys.stderr)
            names = drawn
        options = {name: _F[name].value for name in ("frames", "seed", "scale")}
        request = make_request(config, model, _F.count, names != drawn, **options)
        for name in names:
            _write(EXHIBITS[name].show(request), name, config)


def _fill_in(run, config) -> None:
    """Videos between the pictures --first and --last."""
    from kerasvid.models.registry import model_class
    from kerasvid.visualization.figures import between_pictures
    from tfrecords_tools.media import read_frame

    for name in ("first", "last"):
        if not _F[name].value:
            raise ValueError(f"--{name} is missing: give both pictures to go between.")
    if not hasattr(model_class(config.model), "between"):
        raise ValueError(
            f"--first: {config.model} makes no video between two pictures; a cvae does."
        )
    ends = [read_frame(p, *config.hyperparameters["image_shape"]) for p in (_F.first, _F.last)]
    options = {n: _F[n].value for n in ("count", "frames", "seed", "temperature", "scale")}
    _write(between_pictures(_load(run, config), *ends, **options), "between_pictures", config)


def _load(run, config):
    model, source = run.load_model()
    print(f"{config.model} on {config.dataset}, weights of {source}", flush=True)
    return model


def _write(exhibit, name: str, config) -> None:
    from kerasvid.training.clips import frame_rate

    out_dir = _F.out_dir or os.path.join(_F.run_dir, "generated")
    paths = exhibit.write(out_dir, name, frame_rate(config))
    print("\n".join(map(str, [*paths, *filter(None, [exhibit.remark])])))
