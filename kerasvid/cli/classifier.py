"""Trains the classifier of a data set, or loads it, and prints its accuracy on held-out clips.

kerasvid classifier --dataset=sprites/lpc --kind=clip
kerasvid classifier --dataset=weizmann/strips --frames=16 --min_accuracy=0.9
"""

from typing import Any

from absl import flags

from kerasvid.cli.command import PRECISIONS, Define, one_line_errors, start_tensorflow

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.data()
define.enum("kind", "clip", ["clip", "frame"], "Input of the classifier.")
define.integer("frames", 8, "Frames of the training clips; a frame classifier has one.")
define.integer("stride", 1, "Distance of two frames of a clip in the video.")
define.string("classifier_dir", "classifiers", "Folder of classifiers.")
define.integer("steps", None, "Number of updates; by default that of the kind.")
define.integer("seed", 0, "Random seed of weights and data order.")
define.float("min_accuracy", None, "Required accuracy of every head, e.g. 0.99.", 0.0, 1.0)
define.enum("precision", "auto", PRECISIONS, "Number format of the training.")
_OPTIONS = ("kind", "frames", "stride", "classifier_dir", "steps", "seed", "precision")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.evaluation.classifiers.store import trained_classifier
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        folder = registry.prepare(_F.dataset, _F.data_dir, _F.source_dir)
        options: dict[str, Any] = {name: _F[name].value for name in _OPTIONS}
        classifier = trained_classifier(folder, **options)
        print(classifier.text())
        classifier.require(_F.min_accuracy)
