"""How far the outputs of an exported model are from those of the model itself."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Difference:
    """Of two tensors, in units of the tensors.

    Args:
        largest: absolute difference.
        mean: absolute difference.
        psnr: peak signal to noise ratio in dB, infinite for equal ones; `None` for no pixels.
    """

    largest: float
    mean: float
    psnr: float | None = None

    def __str__(self) -> str:
        told = f"max {self.largest:.2g}, mean {self.mean:.2g}"
        return told if self.psnr is None else f"{told}, PSNR {self.psnr:.1f} dB"

    def as_json(self) -> dict[str, float | None]:
        """Plain numbers; an infinite PSNR is `None`, which JSON has."""
        psnr = self.psnr if self.psnr is not None and math.isfinite(self.psnr) else None
        return {"max": self.largest, "mean": self.mean, "psnr_db": psnr}


def difference(ours: np.ndarray, reference: np.ndarray) -> Difference:
    """The difference of two tensors of one shape and type.

    Args:
        ours, reference: pictures or videos, uint8 or float in [-1, 1], of four or more axes;
            or other numbers, of fewer axes, which have no PSNR.

    Raises:
        ValueError: the shapes or types differ, or `ours` is not finite.

    Example:
        >>> difference(np.float32([0.0, 0.5]), np.float32([0.0, 0.25])).largest
        0.25
    """
    if ours.shape != reference.shape or ours.dtype != reference.dtype:
        raise ValueError(
            f"{ours.dtype} {ours.shape} and {reference.dtype} {reference.shape} cannot be compared."
        )
    if not np.isfinite(ours.astype(np.float64)).all():
        raise ValueError("what was exported gives numbers that are not finite.")
    gap = np.abs(ours.astype(np.float64) - reference.astype(np.float64))
    peak = 255.0 if ours.dtype == np.uint8 else 2.0
    error = float(np.mean(gap**2))
    psnr = (10.0 * math.log10(peak**2 / error) if error else math.inf) if ours.ndim >= 4 else None
    return Difference(float(gap.max()), float(gap.mean()), psnr)
