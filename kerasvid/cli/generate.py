"""Shows what a trained model has learned, as PNG, GIF and MP4.

kerasvid generate --run_dir=runs/rjvae-sprites
kerasvid generate --run_dir=runs/dsa-sprites --show=samples,swaps,nearest --count=16
kerasvid generate --run_dir=runs/mocogan-weizmann --label=walk
kerasvid generate --run_dir=runs/cvae-shapes --first=a.png --last=b.png --frames=30
kerasvid generate --preset=rjvae_sprites --out=clips.gif
"""

import dataclasses
import os
import sys
from typing import Any

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
OPTIONS = "frames", "seed", "scale", "truncation", "seconds"  # of the figures
OF_RUNS = "out_dir", "data_dir"
ENDINGS = ".gif", ".png", ".mp4"
define.string("run_dir", None, "Folder of the run to show.")
define.string("preset", None, "Model with weights in place of a run: a name that comes with the "
              "package, a folder, an address such as hf://user/repository; its samples are written "
              "to --out.")  # fmt: skip
define.string("out", None, "File of the samples of a --preset, by its ending a GIF, PNG or MP4.")
define.list("show", None, "Names of the figures: samples, reconstructions, swaps, interpolations, "
            "summary, summary_interpolations, redraws, between, nearest, inversions, walk, "
            "frames_between, exchange; by default all that the model has, except the last "
            "five.")  # fmt: skip
define.string("first", None, "File of the first image of a video, for a cvae or cgan.")
define.string("last", None, "File of the last image of a video.")
define.float("temperature", 1.0, "Scale of the noise of a video between two images; 0: the best "
             "guess.", lower_bound=0.0)  # fmt: skip
define.float("truncation", 1.0, "Standard deviation of the noise of samples, for models with a "
             "Gaussian prior; less: more typical videos.", lower_bound=0.0)  # fmt: skip
define.float("seconds", 10.0, "Length of the film of --show=walk.", lower_bound=0.1)
define.string("label", None, "Class of the samples, by its name in the data or its number, for a "
              "model trained with conditional=true; by default any.")  # fmt: skip
define.integer("count", 8, "Number of samples.", lower_bound=1)
define.integer("frames", None, "Length of samples; by default the model's.", lower_bound=1)
define.integer("seed", 0, "Random seed of the samples.")
define.string("out_dir", None, "Folder for the files; by default <run_dir>/generated.")
define.string("data_dir", None, "Folder that data sets are kept in, if they were moved.")
define.integer("scale", None, "Enlargement of a frame; by default to 64 pixels.", lower_bound=1)


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError):  # before TensorFlow is imported, which takes seconds
        images = _F.first or _F.last
        if bool(_F.run_dir) == bool(_F.preset):
            raise ValueError("Give --run_dir or --preset, one of the two.")
        if _F.preset and not _F.out:
            raise ValueError("--out is missing. Give a file, such as --out=clips.gif.")
        if wrong := [name for name in OF_RUNS if _F.preset and _F[name].present]:
            raise ValueError(f"--{wrong[0]} is of runs. Remove it, or give --run_dir.")
        if _F.preset and _F.show not in (None, ["samples"], ["walk"]):
            raise ValueError(f"--show={','.join(_F.show)}: of a preset, show samples or walk.")
        if _F.out and not _F.preset:
            raise ValueError("--out is for a --preset. Use --out_dir.")
        if _F.out and not _F.out.lower().endswith(ENDINGS):
            raise ValueError(f"--out={_F.out}: end it with {', '.join(ENDINGS)}.")
        if images and _F.show:
            raise ValueError("--show cannot be used with --first and --last. Remove it.")
        if images and not (_F.first and _F.last):
            raise ValueError(f"--{'last' if _F.first else 'first'} is missing. Give both images.")
        if images and _F["truncation"].present:
            raise ValueError("--truncation is of samples. Use --temperature with two images.")
        if _F["seconds"].present and "walk" not in (_F.show or ()):
            raise ValueError("--seconds is the length of --show=walk. Remove it, or show walk.")
        if not images and _F["temperature"].present:
            raise ValueError("--temperature needs --first and --last. Give both images.")
    start_tensorflow()
    from kerasvid.data import DatasetError, load_info
    from kerasvid.models.base.categories import with_label
    from kerasvid.models.registry import model_class
    from kerasvid.training.clips import figure_inputs, frame_rate
    from kerasvid.training.run_folder import ERRORS, RunFolder
    from kerasvid.visualization.figures import FIGURES, figures_of
    from tfrecords_tools import registry
    from tfrecords_tools.conversion import ConversionError

    with one_line_errors(ValueError, *ERRORS):
        if _F.preset:
            return _show_preset()
        run = RunFolder(_F.run_dir)
        config = run.load_config()
        if images:
            return _between_images(run, config)
        names = figures_of(model_class(config.model), _F.show)
        model, label = _load(run, config), _label(config)
        with_label(_drawn(model), label)  # refuses a class that the model does not have
        for name in {*(_F.show or ())}.difference(names):
            print(f"{name}: {config.model} does not have this figure.", file=sys.stderr)
        without_data = [name for name in names if not FIGURES[name].reads_data]
        try:
            if names != without_data:
                folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
                config = dataclasses.replace(config, data_folder=folder)
                config.check_data(load_info(folder))
        except (ConversionError, DatasetError) as error:
            if _F.show or not without_data:
                raise
            print(f"{error} Showing only {', '.join(without_data)}.", file=sys.stderr)
            names = without_data
        options = {**{name: _F[name].value for name in OPTIONS}, "label": label}
        options["fps"] = frame_rate(config)
        inputs = figure_inputs(config, model, _F.count, names != without_data, **options)
        for name in names:
            _write(FIGURES[name].draw(inputs), name, config)


def _show_preset() -> None:
    """Writes samples of a model with weights, or videos between --first and --last, to --out."""
    from kerasvid.models.base.categories import class_number, with_label
    from kerasvid.models.base.in_between import InBetween
    from kerasvid.models.base.preset_folder import description_of, read_metadata, read_preset
    from kerasvid.models.base.preset_sources import local_preset
    from kerasvid.visualization.figures import FigureInputs, between_images, samples, walk
    from tfrecords_tools.media import read_frame
    from tfrecords_tools.registry import drawn_clips

    with local_preset(_F.preset) as folder:
        known = description_of(read_metadata(folder))
        model = read_preset(folder)
    label = None if _F.label is None else class_number(_F.label, known.classes)
    options: dict[str, Any] = {**{name: _F[name].value for name in OPTIONS}, "label": label}
    if isinstance(model, InBetween):
        del options["truncation"], options["seconds"]
        if _F.first:
            first, last = (read_frame(path, *model.image_shape) for path in (_F.first, _F.last))
        elif (drawn := drawn_clips(known.data, 1, model.frames, model.image_shape)) is not None:
            first, last = drawn[0, 0], drawn[0, -1]
        else:
            raise ValueError(f"{_F.preset}: it makes videos between two images. Give --first and "
                             "--last.")  # fmt: skip
        options |= {"count": _F["count"].value, "temperature": _F.temperature}
        figure = between_images(model, first, last, **options)
    elif _F.first:
        raise ValueError(f"--first: {_F.preset} makes no video between two images. Remove it.")
    else:
        with_label(_drawn(model), label)  # refuses a class that the model does not have
        options["count"] = _F["count"].value
        options["fps"] = known.fps
        draw = walk if _F.show == ["walk"] else samples
        figure = draw(FigureInputs(model, **options))
    figure.write_one(_F.out, known.fps)
    print("\n".join(filter(None, [_F.out, figure.remark])))


def _between_images(run, config) -> None:
    """Videos between the images --first and --last."""
    from kerasvid.models.base.in_between import InBetween
    from kerasvid.models.registry import model_class
    from kerasvid.visualization.figures import between_images
    from tfrecords_tools.media import read_frame

    if not issubclass(model_class(config.model), InBetween):
        raise ValueError(f"--first: {config.model} makes no video between two images. Use a run of "
                         "cvae or cgan.")  # fmt: skip
    shape = config.hyperparameters["image_shape"]
    first, last = (read_frame(path, *shape) for path in (_F.first, _F.last))
    names = ("count", "frames", "seed", "temperature", "scale")
    options: dict[str, Any] = {**{name: _F[name].value for name in names}, "label": _label(config)}
    _write(between_images(_load(run, config), first, last, **options), "between_images", config)


def _label(config) -> int | None:
    """The number of the class --label, which may be a name of the run's data."""
    from kerasvid.data import DatasetError, load_info
    from kerasvid.models.base.categories import class_number
    from tfrecords_tools import registry
    from tfrecords_tools.conversion import ConversionError

    if _F.label is None:
        return None
    try:
        folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
        names = load_info(folder).class_names
    except (ConversionError, DatasetError):
        if not _F.label.isdecimal():
            raise
        names = ()  # a number needs no data
    return class_number(_F.label, names)


def _drawn(model) -> dict:
    """Noise of one video."""
    from kerasvid.models.base.video_generator import VideoGenerator

    return model.sample_noise(1) if isinstance(model, VideoGenerator) else model.between_noise(1)


def _load(run, config):
    model, source = run.load_model()
    print(f"{config.model} on {config.dataset}, weights of {source}", flush=True)
    return model


def _write(figure, name: str, config) -> None:
    from kerasvid.training.clips import frame_rate

    out_dir = _F.out_dir or os.path.join(_F.run_dir, "generated")
    paths = figure.write(out_dir, name, frame_rate(config))
    print("\n".join(map(str, [*paths, *filter(None, [figure.remark])])))
