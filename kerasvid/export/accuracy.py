"""How far the outputs of an exported model are from those of the model itself.

Seeded inputs of every verb, to compare what is exported and to calibrate integer files.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid.export.signatures import Tensor, Verb
from kerasvid.models.base.row_noise import row_noise
from kerasvid.models.base.video_generator import as_pixels


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


FIRST_COMPARED_SEED = 10_000  # of comparisons; none that a file was calibrated on
COARSE = 4  # side of the random colours that a smooth picture is made of


class SampleInputs:
    """Draws inputs of a model's verbs: a function of (verb, seed) alone.

    Chance is standard Gaussian. Videos are the model's own where it draws them from noise, as they
    are what its encoder knows; pictures are smooth random colours. Rows and classes are any of
    those that there are; fractions and temperatures are between 0 and 1.

    Args:
        model: whose verbs they are.
        verbs: of `noise_verbs`.

    Example:
        >>> inputs = SampleInputs(model, verbs).draw("decode", batch=1, seed=3)
    """

    def __init__(self, model: keras.Model, verbs: Mapping[str, Verb]):
        self.model, self.verbs = model, verbs

    def draw(self, name: str, batch: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
        """Inputs `[batch, ...]` by name, of the shapes and types that the verb states."""
        verb = self.verbs[name]
        noise = row_noise({n: verb.inputs[n].shape for n in verb.noise}, batch, seed)
        drawn = {n: value.numpy() for n, value in noise.items()}
        generator = np.random.default_rng([seed, batch])
        for order, (key, tensor) in enumerate(verb.inputs.items()):
            if key in drawn:
                continue
            if len(tensor.shape) >= 3:
                drawn[key] = self._pixels(tensor, batch, seed * 10 + order)
            elif tensor.dtype.is_integer:
                drawn[key] = generator.integers(0, self._rows(name, key), batch, np.int64)
            else:
                drawn[key] = generator.random([batch, *tensor.shape], np.float32)
        return drawn

    def _rows(self, verb: str, key: str) -> int:
        """How many rows of learned codes, or classes, an input chooses from."""
        if key == "label" and getattr(self.model, "conditional", False):
            return self.model.classes
        if verb == "exchange":
            key = {"identity": self.model.static_by, "action": self.model.transient_by}.get(
                key, key
            )
        return self.model.rows_by(key)

    def _pixels(self, tensor: Tensor, batch: int, seed: int) -> np.ndarray:
        """uint8, or float32 in [-1, 1], of videos `[T, H, W, C]` or pictures `[H, W, C]`."""
        if len(tensor.shape) == 4 and hasattr(self.model, "sample_noise"):
            videos = self._own_videos(batch, tensor.shape[0], seed)
        elif len(tensor.shape) == 4:
            ends = [_smooth_pictures(tensor.shape[1:], batch, 2 * seed + i) for i in range(2)]
            shares = np.linspace(0.0, 1.0, tensor.shape[0], dtype=np.float32)
            videos = np.stack([(1 - s) * ends[0] + s * ends[1] for s in shares], 1)
        else:
            videos = _smooth_pictures(tensor.shape, batch, seed)
        return as_pixels(tf.constant(videos)) if tensor.dtype == tf.uint8 else videos

    @functools.cached_property
    def _decode(self):
        return tf.function(lambda noise: self.model.decode(self.model.codes(noise)))

    def _own_videos(self, batch: int, frames: int, seed: int) -> np.ndarray:
        return self._decode(self.model.sample_noise(batch, frames, seed)).numpy()


def _smooth_pictures(shape: tuple[int, ...], batch: int, seed: int) -> np.ndarray:
    """float32 `[batch, H, W, C]` in [-1, 1]: random colours that pass into each other."""
    generator = np.random.default_rng(seed)
    colours = generator.uniform(-1.0, 1.0, [batch, COARSE, COARSE, shape[-1]]).astype(np.float32)
    return np.clip(tf.image.resize(colours, shape[:2], "bicubic").numpy(), -1.0, 1.0)
