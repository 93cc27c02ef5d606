"""MCS by a classifier's feature maps, where the weights of VGG16 are not at hand."""

import numpy as np
import tensorflow as tf

from kerasvid.evaluation.classifiers.networks import FrameClassifier
from kerasvid.evaluation.context import EvaluationContext, with_classifier
from kerasvid.evaluation.measurements import Metric
from kerasvid.evaluation.metrics.intervals import GROUPS
from kerasvid.evaluation.metrics.motion_consistency import motion_consistency_score
from kerasvid.evaluation.network_measurements import no_clip_classifier
from kerasvid.evaluation.report import LOWER, Measured


class ClassifierMaps:
    """A function of frames `[N, H, W, C]` in [-1, 1] to a frame classifier's last maps.

    Example:
        >>> motion_consistency_score(real, generated, ClassifierMaps(classifier.model), clips=500)
    """

    def __init__(self, classifier: FrameClassifier):
        maps = classifier.discriminator.feature_maps
        self._maps = tf.function(lambda frames: maps(frames, False), reduce_retracing=True)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """float32 `[N, H / s, W / s, D]`."""
        return self._maps(tf.constant(frames, tf.float32)).numpy()


def classifier_motion(context: EvaluationContext) -> list[Measured]:
    """MCS of the maps of the frame classifier, with signed changes."""
    classifier, count = context.classifier("frame"), context.count()
    found = motion_consistency_score(
        context.real(),
        context.generated(),
        ClassifierMaps(classifier.model),
        count,
        "signed",
        GROUPS,
    )
    told = context.making | {"of": f"{context.making['of']} from real ones"}
    told |= with_classifier(
        classifier, {"features": "last maps of the frame classifier, D_I's architecture"}
    )
    return [
        context.reported_alone(
            "classifier_motion_consistency", found.score, LOWER, count, found.std,
            differences="signed", **told,
        )
    ]  # fmt: skip


JUDGE_MOTION = Metric(classifier_motion, no_clip_classifier, "MCS by the frame classifier's maps")
