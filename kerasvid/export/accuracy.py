"""Differences between the outputs of an exported model and of the model, on random inputs."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid.export.signatures import Signature, Tensor
from kerasvid.models.base.row_noise import row_noise
from kerasvid.models.base.video_generator import VideoGenerator, as_pixels

FIRST_COMPARED_SEED = 10_000  # of comparisons; files are calibrated on others
COARSE = 4  # side of the random colours that a smooth image is made of


@dataclasses.dataclass(frozen=True)
class Difference:
    """The absolute difference of two tensors.

    Args:
        largest, mean: in units of the tensors.
        psnr: peak signal-to-noise ratio in dB, infinite for equal tensors; `None` if they are not
            pixels.
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
        ours, reference: images or videos, uint8 or float in [-1, 1], of four or more axes;
            or other numbers, of fewer axes, which have no PSNR.

    Raises:
        ValueError: the shapes or types differ, or `ours` is not finite.

    Example:
        >>> difference(np.float32([0.0, 0.5]), np.float32([0.0, 0.25])).largest
        0.25
    """
    if ours.shape != reference.shape or ours.dtype != reference.dtype:
        raise ValueError(f"The outputs are {ours.dtype} {[*ours.shape]}, the model's "
                         f"{reference.dtype} {[*reference.shape]}.")  # fmt: skip
    if not np.isfinite(ours.astype(np.float64)).all():
        raise ValueError("The outputs are not finite.")
    gap = np.abs(ours.astype(np.float64) - reference.astype(np.float64))
    peak, error = 255.0 if ours.dtype == np.uint8 else 2.0, float(np.mean(gap**2))
    psnr = (10.0 * math.log10(peak**2 / error) if error else math.inf) if ours.ndim >= 4 else None
    return Difference(float(gap.max()), float(gap.mean()), psnr)


class SampleInputs:
    """Draws inputs of a model's signatures: a function of (signature, seed) alone.

    Noise is standard Gaussian. Videos are the model's own if it draws them from noise, as its
    encoder knows those; images are smooth random colours. Rows and classes are any existing ones;
    fractions and temperatures lie between 0 and 1.

    Args:
        model: the model of the signatures.
        signatures: of `noise_signatures`.

    Example:
        >>> inputs = SampleInputs(model, signatures).draw("decode", batch=1, seed=3)
    """

    def __init__(self, model: keras.Model, signatures: Mapping[str, Signature]):
        self.model, self.signatures = model, signatures

    def draw(self, name: str, batch: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
        """Inputs `[batch, ...]` by name, of the shapes and types of a signature."""
        signature = self.signatures[name]
        noise = row_noise({n: signature.inputs[n].shape for n in signature.noise}, batch, seed)
        drawn = {n: value.numpy() for n, value in noise.items()}
        generator = np.random.default_rng([seed, batch])
        for order, (key, tensor) in enumerate(signature.inputs.items()):
            if key in drawn:
                continue
            if len(tensor.shape) >= 3:
                drawn[key] = self._pixels(tensor, batch, seed * 10 + order)
            elif tensor.dtype.is_integer:
                drawn[key] = generator.integers(0, tensor.most + 1, batch, np.int64)
            else:
                drawn[key] = generator.random([batch, *tensor.shape], np.float32)
        return drawn

    def _pixels(self, tensor: Tensor, batch: int, seed: int) -> np.ndarray:
        """uint8, or float32 in [-1, 1], of videos `[T, H, W, C]` or images `[H, W, C]`."""
        if len(tensor.shape) == 3:
            pixels = _smooth_images(tensor.shape, batch, seed)
        elif isinstance(self.model, VideoGenerator):
            frames = tensor.shape[0]
            pixels = self._decode(self.model.sample_noise(batch, frames, seed), frames).numpy()
        else:
            start, end = (_smooth_images(tensor.shape[1:], batch, 2 * seed + i) for i in range(2))
            shares = np.linspace(0.0, 1.0, tensor.shape[0], dtype=np.float32)
            pixels = np.stack([(1 - share) * start + share * end for share in shares], 1)
        return as_pixels(tf.constant(pixels)) if tensor.dtype == tf.uint8 else pixels

    @functools.cached_property
    def _decode(self):
        return tf.function(lambda noise, n: self.model.decode(self.model.codes(noise, n)))


def _smooth_images(shape: tuple[int, ...], batch: int, seed: int) -> np.ndarray:
    """float32 `[batch, H, W, C]` in [-1, 1]: a few random colours and what is between them."""
    generator = np.random.default_rng(seed)
    colours = generator.uniform(-1.0, 1.0, [batch, COARSE, COARSE, shape[-1]]).astype(np.float32)
    return np.clip(tf.image.resize(colours, shape[:2], "bicubic").numpy(), -1.0, 1.0)


def measured_difference(
    exported: Callable[..., dict[str, np.ndarray]],
    samples: SampleInputs,
    name: str,
    batch: int,
    draws: int = 1,
) -> dict[str, Difference]:
    """The differences, by output, of an exported signature from the model's.

    Args:
        exported: from named arrays to named arrays.
        samples: of the model and its signatures.
        name: of the signature.
        batch: B of each draw.
        draws: number of random inputs.
    """
    traced, ours, reference = samples.signatures[name].traced(batch), [], []
    for draw in range(draws):
        inputs = samples.draw(name, batch, FIRST_COMPARED_SEED + draw)
        ours.append(exported(**inputs))
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        reference.append({key: value.numpy() for key, value in traced(**tensors).items()})
    return {
        key: difference(
            *(np.concatenate([each[key] for each in all_]) for all_ in (ours, reference))
        )
        for key in reference[0]
    }
