"""Random inputs of a model's signatures: to compare, calibrate and warm up exported models."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.export.signatures import Signature
from kerasvid.models.base.row_noise import row_noise
from kerasvid.models.base.video_generator import VideoGenerator, as_pixels

COARSE = 4  # side of the random colours that a smooth image is made of


def sample_inputs(
    model: keras.Model, signature: Signature, batch: int = 1, seed: int = 0
) -> dict[str, np.ndarray]:
    """Inputs `[batch, ...]` by name, of the shapes, types and ranges of a signature.

    Noise is standard Gaussian. Videos are drawn by the model itself if it can. Images are smooth
    random colours, as PNG where bytes are asked for. Other numbers are uniform in their range, and
    at most 1 if it has no end.

    Args:
        model, signature: the model and its signature.
        batch: B.
        seed: random seed.

    Example:
        >>> inputs = sample_inputs(model, noise_signatures(model)["decode"], batch=1, seed=3)
    """
    noise = row_noise({n: signature.inputs[n].shape for n in signature.noise}, batch, seed)
    drawn = {n: value.numpy() for n, value in noise.items()}
    generator = np.random.default_rng([seed, batch])
    for order, (name, each) in enumerate(signature.inputs.items()):
        if name in drawn:
            continue
        if each.dtype == tf.string:
            images = as_pixels(_smooth_images(model.image_shape, batch, seed * 10 + order))
            encoded = [tf.io.encode_png(image).numpy() for image in images]
            drawn[name] = np.array(encoded, object)
        elif len(each.shape) >= 3:
            pixels = _pixels(model, each.shape, batch, seed * 10 + order)
            drawn[name] = as_pixels(pixels) if each.dtype == tf.uint8 else np.asarray(pixels)
        elif each.dtype.is_integer:
            most = 1 if each.most is None else int(each.most)
            drawn[name] = generator.integers(0, most + 1, batch, np.int64)
        else:
            drawn[name] = generator.random([batch, *each.shape], np.float32)
    return drawn


def _pixels(model: keras.Model, shape: tuple[int, ...], batch: int, seed: int):
    """float32 in [-1, 1] of videos `[T, H, W, C]` or images `[H, W, C]`."""
    if len(shape) == 3:
        return _smooth_images(shape, batch, seed)
    if isinstance(model, VideoGenerator):
        generator: Any = model
        noise = generator.sample_noise(batch, shape[0], seed)
        return generator.decode(generator.codes(noise, shape[0]))
    start, end = (_smooth_images(shape[1:], batch, 2 * seed + i) for i in range(2))
    shares = np.linspace(0.0, 1.0, shape[0], dtype=np.float32)
    return np.stack([(1 - share) * start + share * end for share in shares], 1)


def _smooth_images(shape: tuple[int, ...], batch: int, seed: int) -> np.ndarray:
    """float32 `[batch, H, W, C]` in [-1, 1]: a few random colours and what is between them."""
    generator = np.random.default_rng(seed)
    colours = generator.uniform(-1.0, 1.0, [batch, COARSE, COARSE, shape[-1]]).astype(np.float32)
    return np.clip(tf.image.resize(colours, shape[:2], "bicubic").numpy(), -1.0, 1.0)
