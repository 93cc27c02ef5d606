"""Evaluate a run: print a table, write evaluation.json and evaluation.md.

kerasvid evaluate --run_dir=runs/dsa-sprites-lpc
kerasvid evaluate --run_dir=runs/dsa-sprites-lpc --metrics=frechet,disentanglement --num=2048
kerasvid evaluate --run_dir=runs/rjgan-weizmann-strips --split=train --windows=16 --num=1024
kerasvid evaluate --run_dir=runs/navsynth-turntable --metrics=fvd --i3d_weights=i3d.npz
"""

import dataclasses
import sys

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "Folder of the run.", required=True, flag_values=_F)
flags.DEFINE_list(
    "metrics", None, "Names of metrics; by default all without a download.", flag_values=_F
)
flags.DEFINE_integer("num", None, "Clips of each set; by default all up to 2,048.", flag_values=_F)
flags.DEFINE_string(
    "split", None, "Split of the real clips; by default the held-out one.", flag_values=_F
)
flags.DEFINE_integer("windows", 1, "Random windows of each real video.", flag_values=_F)
flags.DEFINE_integer("frames", None, "Frames of a clip; by default as trained.", flag_values=_F)
flags.DEFINE_integer("seed", 0, "Random seed for clip order and generation.", flag_values=_F)
flags.DEFINE_integer("batch", 32, "Clips in one pass through the model.", flag_values=_F)
flags.DEFINE_string("classifier_dir", "classifiers", "Folder of classifiers.", flag_values=_F)
flags.DEFINE_string(
    "i3d_weights", None, "Path for fvd, or i3d-kinetics-400 to download.", flag_values=_F
)
flags.DEFINE_string(
    "padding", None, "Padding for fvd of short clips: last, mirror or loop.", flag_values=_F
)
flags.DEFINE_string(
    "vgg_weights", None, "Path for motion_consistency, or imagenet to download.", flag_values=_F
)
flags.DEFINE_string("data_dir", None, "Folder of data sets; by default as trained.", flag_values=_F)


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.evaluation.context import EvaluationConfig
    from kerasvid.evaluation.evaluate import check_metrics, evaluate_run
    from kerasvid.evaluation.report import read_evaluation
    from kerasvid.training.run_folder import ERRORS, RunFolder
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        check_metrics(_F.metrics)
        names = [f.name for f in dataclasses.fields(EvaluationConfig) if f.name in _F]
        evaluation_config = EvaluationConfig(**{name: _F[name].value for name in names})
        run = RunFolder(_F.run_dir)
        config = run.load_config()
        earlier = read_evaluation(run.path)  # a damaged file is an error before the work begins
        folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
        config = dataclasses.replace(config, data_folder=folder)
        evaluation = evaluate_run(
            run, evaluation_config, _F.metrics, config, after_each=lambda each: each.write(run.path)
        )
        if earlier is not None and not earlier.same_weights(evaluation):
            replaced = f"step {earlier.step}, {earlier.weights} weights"
            print(f"evaluation.json: replaced the values of {replaced}", file=sys.stderr)
        for name, why in evaluation.left_out.items():
            print(f"{name}: left out, {why}", file=sys.stderr)
        if not evaluation.measured:
            raise ValueError(f"{_F.run_dir}: no metric could be measured.")
        print(evaluation.heading())
        print(evaluation.table())
        print(f"{run.path / 'evaluation.json'}\n{run.path / 'evaluation.md'}")
