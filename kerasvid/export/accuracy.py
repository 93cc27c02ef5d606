"""Differences between the outputs of an exported model and of the model, on random inputs."""

import dataclasses
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerasvid.export.sample_inputs import sample_inputs
from kerasvid.export.signatures import Signature

FIRST_COMPARED_SEED = 10_000  # of comparisons; files are calibrated on others


@dataclasses.dataclass(frozen=True)
class Difference:
    """The largest and the mean absolute difference of two tensors, and their PSNR.

    The PSNR is in dB and infinite for equal tensors. It is `None` if they are not pixels.
    """

    largest: float
    mean: float
    psnr: float | None = None

    def __str__(self) -> str:
        text = f"max {self.largest:.2g}, mean {self.mean:.2g}"
        return text if self.psnr is None else f"{text}, PSNR {self.psnr:.1f} dB"

    def as_json(self) -> dict[str, float | None]:
        """Plain numbers; an infinite PSNR is `None`, as JSON has no infinity."""
        psnr = self.psnr if self.psnr is not None and math.isfinite(self.psnr) else None
        return {"max": self.largest, "mean": self.mean, "psnr_db": psnr}


def difference(ours: np.ndarray, reference: np.ndarray) -> Difference:
    """The difference of two tensors of one shape and type.

    Args:
        ours, reference: pixels, uint8 or float in [-1, 1], of four or more axes; or other numbers
            of fewer axes.

    Raises:
        ValueError: the shapes or types differ, or `ours` is not finite.

    Example:
        >>> difference(np.float32([0.0, 0.5]), np.float32([0.0, 0.25])).largest
        0.25
    """
    found, wanted = (f"{each.dtype} {[*each.shape]}" for each in (ours, reference))
    if found != wanted:
        raise ValueError(f"The outputs are {found}, the model's {wanted}.")
    if not np.isfinite(ours.astype(np.float64)).all():
        raise ValueError("The outputs are not finite. Use other weights or another format.")
    gap = np.abs(ours.astype(np.float64) - reference.astype(np.float64))
    peak, error = 255.0 if ours.dtype == np.uint8 else 2.0, float(np.mean(gap**2))
    psnr = (10.0 * math.log10(peak**2 / error) if error else math.inf) if ours.ndim >= 4 else None
    return Difference(float(gap.max()), float(gap.mean()), psnr)


def measured_difference(
    exported: Callable[..., dict[str, np.ndarray]],
    model: keras.Model,
    signature: Signature,
    batch: int = 1,
    draws: int = 1,
) -> dict[str, Difference]:
    """The differences, by output, of an exported signature from the model's.

    Args:
        exported: from named arrays to named arrays, such as an `OnnxModel`.
        model, signature: the model and its signature.
        batch: B of each draw.
        draws: number of random inputs.

    Raises:
        ValueError: as `difference`.

    Example:
        >>> measured_difference(OnnxModel(content), model, noise_signatures(model)["decode"])
    """
    traced, pairs = signature.traced(batch), []
    for draw in range(draws):
        inputs = sample_inputs(model, signature, batch, FIRST_COMPARED_SEED + draw)
        ours = exported(**inputs)
        theirs = traced(**{key: tf.constant(value) for key, value in inputs.items()})
        pairs.append({key: (ours[key], value.numpy()) for key, value in theirs.items()})
    return {
        key: difference(*map(np.concatenate, zip(*(each[key] for each in pairs), strict=True)))
        for key in pairs[0]
    }
