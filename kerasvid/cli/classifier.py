"""Train or load the classifier of a data set, and print its accuracy on held-out clips.

kerasvid classifier --dataset=sprites/lpc --kind=clip
kerasvid classifier --dataset=weizmann/strips --frames=16 --min_accuracy=0.9
"""

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("dataset", "sprites", "Name, or folder of records.", flag_values=_F)
flags.DEFINE_string("data_dir", "data", "Folder of data sets.", flag_values=_F)
flags.DEFINE_string("source_dir", None, "Folder of raw media, if needed.", flag_values=_F)
flags.DEFINE_enum("kind", "clip", ["clip", "frame"], "Input of the classifier.", flag_values=_F)
flags.DEFINE_integer("frames", 8, "Frames of a training clip.", flag_values=_F)
flags.DEFINE_integer("stride", 1, "Distance of two frames of a clip.", flag_values=_F)
flags.DEFINE_string("classifier_dir", "classifiers", "Folder of classifiers.", flag_values=_F)
flags.DEFINE_integer("steps", None, "Training steps; by default those of the kind.", flag_values=_F)
flags.DEFINE_integer("seed", 0, "Random seed for weights and order of videos.", flag_values=_F)
flags.DEFINE_float(
    "min_accuracy", None, "Required accuracy of every head, e.g. 0.99.", 0.0, 1.0, flag_values=_F
)
flags.DEFINE_string(
    "precision", "auto", "Training precision: auto, float32 or mixed_bfloat16.", flag_values=_F
)
_OPTIONS = ("kind", "frames", "stride", "classifier_dir", "steps", "seed", "precision")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.evaluation.classifiers.store import trained_classifier
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        folder = registry.prepare(_F.dataset, _F.data_dir, _F.source_dir)
        classifier = trained_classifier(folder, **{name: _F[name].value for name in _OPTIONS})
        print(classifier.text())
        classifier.require(_F.min_accuracy)
