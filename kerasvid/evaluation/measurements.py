"""The metrics that a run is evaluated by, by the names that they are asked for."""

from collections.abc import Callable
from typing import NamedTuple

from kerasvid.evaluation import network_measurements as network
from kerasvid.evaluation import pixel_measurements as pixel
from kerasvid.evaluation.context import EvaluationContext
from kerasvid.evaluation.report import Measured


class Metric(NamedTuple):
    """A metric.

    Args:
        measure: a context's values; their names begin with the metric's.
        unavailable_reason: why a context cannot give it, or `None`; looks at no clip.
        summary: what it tells, in a few words.
    """

    measure: Callable[[EvaluationContext], list[Measured]]
    unavailable_reason: Callable[[EvaluationContext], str | None]
    summary: str


def _never(context: EvaluationContext) -> None:
    return None


METRICS = {
    "reconstruction": Metric(
        pixel.reconstructed, pixel.no_reconstruction, "L2, PSNR and SSIM of clips from their codes"
    ),
    "between": Metric(pixel.filled_in, pixel.not_in_between, "L2 of videos between two frames"),
    "frechet": Metric(
        network.frechet,
        network.no_clip_classifier,
        "Frechet distance of a clip classifier's features",
    ),
    "fvd": Metric(network.fvd, network.no_i3d, "Frechet distance of I3D's logits"),
    "inception": Metric(
        network.inception,
        network.no_clip_classifier,
        "inception score of clips by a clip classifier",
    ),
    "image_inception": Metric(
        network.image_inception,
        network.no_images,
        "inception score of images by a frame classifier",
    ),
    "disentanglement": Metric(
        network.disentanglement, network.not_apart, "what stays when content or motion is redrawn"
    ),
    "frame_consistency": Metric(
        pixel.frame_consistency, pixel.no_motion, "FCS: how much of the first frame stays"
    ),
    "motion_consistency": Metric(
        network.motion_consistency, network.no_vgg, "MCS: whether clips change as real ones do"
    ),
    "diversity": Metric(
        pixel.diversity, _never, "how different samples are, and whether they are copies"
    ),
}
