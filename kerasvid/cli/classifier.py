"""Trains the classifier of a data set, or loads it, and prints how well it tells held-out clips.

python apps/classifier.py --dataset=sprites/lpc --kind=clip
python apps/classifier.py --dataset=weizmann/strips --frames=16 --min_accuracy=0.9
"""

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("dataset", "sprites", "Data set, or a folder of records.", flag_values=_F)
flags.DEFINE_string("data_dir", "data", "Where data sets live.", flag_values=_F)
flags.DEFINE_string("source_dir", None, "Raw material, for data sets that need it.", flag_values=_F)
flags.DEFINE_enum("kind", "clip", ["clip", "frame"], "What it classifiers.", flag_values=_F)
flags.DEFINE_integer(
    "frames", 8, "Frames of the clips that a clip classifier learns from.", flag_values=_F
)
flags.DEFINE_integer("stride", 1, "Distance of two frames of a clip in the video.", flag_values=_F)
flags.DEFINE_string("classifier_dir", "classifiers", "Where classifiers are kept.", flag_values=_F)
flags.DEFINE_integer(
    "steps", None, "Updates; by default as many as the kind needs.", flag_values=_F
)
flags.DEFINE_integer("seed", 0, "Of its weights and the order of videos.", flag_values=_F)
flags.DEFINE_float(
    "min_accuracy", None, "Share that every head must tell, e.g. 0.99.", 0.0, 1.0, flag_values=_F
)
flags.DEFINE_string(
    "precision", "auto", "To train in: auto, float32 or mixed_bfloat16.", flag_values=_F
)
_PASSED_ON = ("kind", "frames", "stride", "classifier_dir", "steps", "seed", "precision")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.evaluation.classifiers.store import trained_classifier
    from kerasvid.training.run_folder import ERRORS
    from tfrecords_tools import registry

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        folder = registry.prepare(_F.dataset, _F.data_dir, _F.source_dir)
        classifier = trained_classifier(folder, **{name: _F[name].value for name in _PASSED_ON})
        print(classifier.report())
        classifier.require(_F.min_accuracy)
