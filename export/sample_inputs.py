"""Seeded inputs of every verb, to compare what is exported and to calibrate integer files."""

import functools
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from export.verbs import Tensor, Verb
from kerasvid.models.row_noise import row_noise
from kerasvid.models.video_generator import as_pixels

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
