"""Measures a run, prints a table and writes evaluation.json and evaluation.md.

kerasvid evaluate --run_dir=runs/dsa-sprites-lpc
kerasvid evaluate --run_dir=runs/dsa-sprites-lpc --metrics=frechet,disentanglement --num=2048
kerasvid evaluate --run_dir=runs/rjgan-weizmann-strips --split=train --windows=16 --num=1024
kerasvid evaluate --run_dir=runs/navsynth-turntable --metrics=fvd --num=256
"""

import dataclasses
import sys
from typing import Any

from absl import flags

from kerasvid.cli.command import Define, none_or_text, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run.", required=True)
define.list("metrics", None, "Names of metrics; by default all that can be had.")
define.integer("num", None, "Number of clips of each set; by default all, at most 2,048.")
define.string("split", None, "Split of the real clips; by default the held-out one.")
define.integer("windows", 1, "Random windows of each real video; 1 is one clip of a video.")
define.integer("frames", None, "Frames of a clip; by default as in training.")
define.integer("seed", 0, "Random seed of the order of clips and of generation.")
define.integer("batch", 32, "Clips in one pass through the model; no clip depends on it.")
define.string("classifier_dir", "classifiers", "Folder of classifiers; missing ones are trained.")
define.string(
    "i3d_weights", "auto", "Weights for fvd: a path; auto: cached or downloaded; or none."
)
define.string("padding", "mirror", "Padding for fvd of fewer than 10 frames: last, mirror, loop.")
define.string("vgg_weights", None, "Weights for motion_consistency: a path, or imagenet.")
define.string("inception_weights", None, "Weights for image_frechet: imagenet, or a path.")
define.string("strategy", "none", "Devices that share the clips: none, mirrored or mirrored:N.")
define.string("data_dir", None, "Folder of data sets; by default that of the run.")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.evaluation.context import EvaluationConfig
    from kerasvid.evaluation.evaluate import check_metrics, evaluate_run
    from kerasvid.evaluation.report import Evaluation, read_evaluation
    from kerasvid.training.devices import one_machine_strategy
    from kerasvid.training.run_folder import ERRORS, RunFolder
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        check_metrics(_F.metrics)
        strategy = one_machine_strategy(_F.strategy)
        names = [f.name for f in dataclasses.fields(EvaluationConfig) if f.name in _F]
        fields: dict[str, Any] = {name: _F[name].value for name in names}
        fields["i3d_weights"] = none_or_text(_F.i3d_weights)
        run = RunFolder(_F.run_dir)
        config = run.load_config()
        earlier = read_evaluation(run.path)  # a damaged file is an error before the work begins
        folder = registry.find_again(config.dataset, config.data_folder, _F.data_dir)
        config = dataclasses.replace(config, data_folder=folder)

        def write(evaluation: Evaluation) -> None:
            nonlocal earlier
            if earlier is not None and not earlier.same_weights(evaluation):
                replaced = f"step {earlier.step}, {earlier.weights} weights"
                print(f"evaluation.json: replaces the values of {replaced}", file=sys.stderr)
            earlier = None
            evaluation.write(run.path)

        with strategy.scope():
            evaluation = evaluate_run(run, EvaluationConfig(**fields), _F.metrics, config, write)
        for name, why in evaluation.left_out.items():
            print(f"{name}: left out, {why}", file=sys.stderr)
        if not evaluation.measured:
            raise ValueError(f"{_F.run_dir}: no metric could be measured.")
        print(evaluation.heading())
        print(evaluation.table())
        for note in evaluation.notes():
            print(f"Note: {note}", file=sys.stderr)
        print(f"{run.path / 'evaluation.json'}\n{run.path / 'evaluation.md'}")
