"""MCS by a judge's feature maps, where the weights of VGG16 are not at hand."""

import numpy as np
import tensorflow as tf

from kerasvid.evaluation.classifiers.networks import FrameJudge
from kerasvid.evaluation.context import Subject, with_judge
from kerasvid.evaluation.measurements import Metric
from kerasvid.evaluation.metrics.intervals import GROUPS
from kerasvid.evaluation.metrics.motion_consistency import motion_consistency_score
from kerasvid.evaluation.network_measurements import no_clip_judge
from kerasvid.evaluation.report import LOWER, Measured


class JudgeMaps:
    """A function of frames `[N, H, W, C]` in [-1, 1] to a frame judge's last maps.

    Example:
        >>> motion_consistency_score(real, generated, JudgeMaps(judge.model), clips=500)
    """

    def __init__(self, judge: FrameJudge):
        maps = judge.discriminator.feature_maps
        self._maps = tf.function(lambda frames: maps(frames, False), reduce_retracing=True)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """float32 `[N, H / s, W / s, D]`."""
        return self._maps(tf.constant(frames, tf.float32)).numpy()


def judge_motion(subject: Subject) -> list[Measured]:
    """MCS of the maps of the frame judge, with signed changes."""
    judge, count = subject.judge("frame"), subject.count()
    found = motion_consistency_score(
        subject.real(), subject.generated(), JudgeMaps(judge.model), count, "signed", GROUPS
    )
    told = subject.making | {"of": f"{subject.making['of']} from real ones"}
    told |= with_judge(judge, {"features": "last maps of the frame judge, D_I's architecture"})
    return [
        subject.told_alone(
            "judge_motion_consistency", found.score, LOWER, count, found.deviation,
            differences="signed", **told,
        )
    ]  # fmt: skip


JUDGE_MOTION = Metric(judge_motion, no_clip_judge, "MCS by the frame judge's maps")
