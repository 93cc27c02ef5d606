"""Measures what a run has learned, beside real clips: a table, evaluation.json and evaluation.md.

python apps/evaluate.py --run_dir=runs/dsa-sprites-lpc
python apps/evaluate.py --run_dir=runs/dsa-sprites-lpc --metrics=frechet,disentanglement --num=2048
python apps/evaluate.py --run_dir=runs/rjgan-weizmann-strips --split=train --windows=16 --num=1024
python apps/evaluate.py --run_dir=runs/navsynth-turntable --metrics=fvd --i3d_weights=i3d.npz
"""

import dataclasses
import sys

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run to measure.", required=True, flag_values=_F)
flags.DEFINE_list("metrics", None, "By default all that need no download.", flag_values=_F)
flags.DEFINE_integer(
    "num", None, "Clips of each set; by default all, 2,048 at most.", flag_values=_F
)
flags.DEFINE_string(
    "split", None, "Of the real clips; by default the held-out one.", flag_values=_F
)
flags.DEFINE_integer(
    "windows", 1, "Random windows of each real video; 1: a clip a video.", flag_values=_F
)
flags.DEFINE_integer("frames", None, "Of a clip; by default as in training.", flag_values=_F)
flags.DEFINE_integer("seed", 0, "Of the order of clips, and of what is generated.", flag_values=_F)
flags.DEFINE_integer("batch", 32, "Clips that go through the model at a time.", flag_values=_F)
flags.DEFINE_string(
    "classifier_dir",
    "classifiers",
    "Where classifiers are kept; they are trained on first use.",
    flag_values=_F,
)
flags.DEFINE_string(
    "i3d_weights", None, "For fvd: a path, or i3d-kinetics-400, which downloads.", flag_values=_F
)
flags.DEFINE_string(
    "padding", None, "For fvd of fewer than 10 frames: last, mirror or loop.", flag_values=_F
)
flags.DEFINE_string(
    "vgg_weights", None, "For motion_consistency: a path, or imagenet (downloads).", flag_values=_F
)
flags.DEFINE_string("data_dir", None, "Where data sets live, if they were moved.", flag_values=_F)
_PASSED_ON = (
    "metrics", "num", "split", "windows", "frames", "seed", "batch", "classifier_dir", "i3d_weights",
    "padding", "vgg_weights",
)  # fmt: skip


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.evaluation.evaluate import check_metrics, evaluate_run, read_evaluation
    from kerasvid.training.run_folder import ERRORS, RunFolder
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        check_metrics(_F.metrics or ())
        run = RunFolder(_F.run_dir)
        config = run.load_config()
        earlier = read_evaluation(run.path)  # refuses a damaged one before the work begins
        folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
        config = dataclasses.replace(config, data_folder=folder)
        told = False

        def keep(evaluation) -> None:
            nonlocal told
            if earlier is not None and not earlier.same_weights(evaluation) and not told:
                was = f"step {earlier.step}, {earlier.weights} weights"
                print(f"evaluation.json: replaces the values of {was}", file=sys.stderr)
                told = True
            evaluation.write(run.path)

        evaluation = evaluate_run(
            run, config, after_each=keep, **{name: _F[name].value for name in _PASSED_ON}
        )
        for name, why in evaluation.left_out.items():
            print(f"{name}: left out, {why}", file=sys.stderr)
        if not evaluation.measured:
            raise ValueError(f"{_F.run_dir}: nothing could be measured.")
        print(evaluation.heading())
        print(evaluation.table())
        print(f"{run.path / 'evaluation.json'}\n{run.path / 'evaluation.md'}")
