"""What the encoding of frames loses and saves: their PSNR, and bytes beside those of PNG."""

import dataclasses
import math
from collections.abc import Collection, Sequence

import cv2
import numpy as np

from kerasvid.data.records import Video, video_to_example


@dataclasses.dataclass(frozen=True)
class FrameLoss:
    """What the frames of a video lost.

    Args:
        psnr: in dB, of each frame that differs from what was encoded.
        equal: number of the other frames.
        encoded_bytes, png_bytes: of the first frame, as it is encoded and as PNG.
    """

    psnr: tuple[float, ...]
    equal: int
    encoded_bytes: int
    png_bytes: int


def measure_loss(frames: np.ndarray, encoded: Sequence[bytes]) -> FrameLoss:
    """Decodes the images of a video and compares them with its frames.

    Args:
        frames: uint8 [T, H, W, C], RGB or grey.
        encoded: an image for each frame.

    Raises:
        ValueError: an image does not decode to the size of its frame.

    Example:
        >>> measure_loss(frames, [cv2.imencode(".jpeg", frame)[1] for frame in frames]).psnr
        (41.3, 40.9)
    """
    ratios = []
    for frame, image in zip(frames, encoded, strict=True):
        decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.reshape(*decoded.shape[:2], -1).shape != frame.shape:
            raise ValueError(f"An image of {len(image)} bytes is not {list(frame.shape)}.")
        if frame.shape[-1] == 3:
            decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        total = cv2.norm(frame.reshape(decoded.shape), decoded, cv2.NORM_L2SQR)
        if total:
            ratios.append(10 * math.log10(255**2 * frame.size / total))
    lossless = video_to_example(Video(frames[:1], "first")).features.feature["frames"]
    png = lossless.bytes_list.value[0]
    return FrameLoss(tuple(ratios), len(frames) - len(ratios), len(encoded[0]), len(png))


def describe_loss(losses: Collection[FrameLoss]) -> str:
    """Describes the loss of a data set in one line; the order of its videos does not matter.

    Example:
        >>> describe_loss([FrameLoss((40.0, 42.0), 0, 2000, 8000)])
        'PSNR of the frames: 41.00 dB on average, 40.00 dB at the least; 75 % fewer bytes than PNG'
    """
    ratios = [ratio for loss in losses for ratio in loss.psnr]
    equal = sum(loss.equal for loss in losses)
    saved = 1 - sum(loss.encoded_bytes for loss in losses) / sum(loss.png_bytes for loss in losses)
    size = f"{abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} bytes than PNG".replace("%", " %")
    if not ratios:
        return f"PSNR of the frames: all are equal to the originals; {size}"
    mean = math.fsum(ratios) / len(ratios)
    line = f"PSNR of the frames: {mean:.2f} dB on average, {min(ratios):.2f} dB at the least"
    return line + (f", without {equal} equal ones" if equal else "") + f"; {size}"
