"""Shows what a trained model has learned, as PNG grids, GIF and MP4.

python apps/generate.py --run_dir=runs/rjvae-sprites
python apps/generate.py --run_dir=runs/dsa-sprites --show=samples,swaps,nearest --count=16
"""

import os
import sys

from absl import app, flags

from kerasvid.command_line import one_line_errors, refuse_arguments, start_tensorflow

_F = flags.FLAGS
flags.DEFINE_string("run_dir", None, "The run to show.", required=True)
flags.DEFINE_list(
    "show",
    "samples,reconstructions,swaps,interpolations,summary",
    "Any of samples, reconstructions, swaps, interpolations, summary, nearest, frames_between.",
)
flags.DEFINE_integer("count", 8, "Samples.", lower_bound=1)
flags.DEFINE_integer("frames", None, "Length of samples; by default the model's.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Of the samples.")
flags.DEFINE_string("out_dir", None, "By default <run_dir>/generated.")
flags.DEFINE_string("data_dir", None, "Where data sets live, if they were moved.")
flags.DEFINE_integer("scale", None, "Enlargement of a frame.", lower_bound=1)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.callbacks.exhibits import EXHIBITS, Request, can_show
    from kerasvid.data import load_info
    from kerasvid.naming import nearest_names
    from kerasvid.runs.evaluation_data import pictured_batch
    from kerasvid.runs.training_run import ERRORS, RunFolder

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        for name in _F.show:
            if name not in EXHIBITS:
                raise ValueError(f"--show={name}: {nearest_names(name, EXHIBITS)}.")
        run = RunFolder(_F.run_dir)
        plan = _with_data(run.plan())
        model, source = run.load_model()
        print(f"{plan.model} on {plan.dataset}, weights of {source}", flush=True)
        pictured = pictured_batch(plan, max(2, _F.count))
        request = Request(
            model,
            pictured["video"],
            _F.count,
            _F.frames,
            _F.seed,
            _F.scale,
            lambda frames: _real_clips(plan, frames),
            pictured,
        )
        fps = load_info(plan.data_folder).fps
        for name in _F.show:
            if not can_show(model, name):
                print(f"{name}: {plan.model} cannot show this", file=sys.stderr)
                continue
            exhibit = EXHIBITS[name][0](request)
            out_dir = _F.out_dir or os.path.join(_F.run_dir, "generated")
            paths = exhibit.write(out_dir, name, fps if fps > 0 else 8.0)
            print("\n".join(map(str, [*paths, exhibit.remark] if exhibit.remark else paths)))


def _with_data(plan):
    """The plan with the folder where its data set lies now."""
    import dataclasses

    from tfrecords_tools import registry
    from tfrecords_tools.conversion import ConversionError

    if _F.data_dir is None and os.path.isdir(plan.data_folder):
        return plan
    data_dir = _F.data_dir or os.path.dirname(plan.data_folder)
    try:
        folder = registry.prepare(plan.dataset, data_dir)
    except ConversionError as error:  # it may ask for flags of train.py
        raise ValueError(
            f"{data_dir}: {plan.dataset} is not there; give --data_dir, the folder that holds it."
        ) from error
    return dataclasses.replace(plan, data_folder=folder)


def _real_clips(plan, frames: int):
    """Batches of every real clip, from the start of each video."""
    from kerasvid.data import load_info, make_pipeline

    for split in load_info(plan.data_folder).splits:
        batches = make_pipeline(
            plan.data_folder, split, 256, frames, plan.recipe.stride, pick="start",
            repeat=False, shuffle=False, drop_remainder=False,
        )  # fmt: skip
        for batch in batches:
            yield batch["video"].numpy()


if __name__ == "__main__":
    app.run(main)
