"""The directions of a clip's noise that change its images the most: what sliders change.

Two ways lead to them: `leading_directions` measures the images, and `closed_form_directions`
factorises the first layer of the generator: Shen, Zhou: "Closed-Form Factorization of Latent
Semantics in GANs" (SeFa), CVPR 2021.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid.export.signatures import Signature
from kerasvid.models.base.gan import FrameGAN

STEP = 0.5  # standard deviations to either side: large enough for outputs that saturate
CLIPS = 8
FRAMES = 8
CLIPS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Direction:
    """A unit vector in the space of one noise."""

    noise: str  # its name
    vector: np.ndarray  # float64 [D]; the part with the largest absolute value is positive
    share: float  # of the mean squared change by all directions, of images or of the layer, 0 to 1


def leading_directions(
    decode: Signature,
    names: Sequence[str],
    count: int = 8,
    seed: int = 0,
    given: Mapping[str, np.ndarray] | None = None,
) -> list[Direction]:
    """Directions that are orthogonal within each noise, by decreasing change of the images.

    They are the eigenvectors of the mean of J^T J over clips. J is the Jacobian of the pixels by
    the noise, from central differences.

    Args:
        decode: of `noise_signatures`.
        names: noise to look at, with one vector a clip each.
        count: most directions of all noise together.
        seed: random seed of the clips.
        given: further inputs of `decode`, `[N, ...]`; each clip takes a row.

    Returns:
        At most `count` directions; those that change nothing are left out.

    Example:
        >>> first, *rest = leading_directions(noise_signatures(model)["decode"], ["summary"])
    """
    generator, given = np.random.default_rng(seed), given or {}
    rows = {}
    for name, tensor in decode.inputs.items():
        shape = (CLIPS, *tensor.shape)
        drawn = name in decode.noise
        values = generator.standard_normal(shape) if drawn else np.resize(given[name], shape)
        rows[name] = values.astype(np.float32)
    moments = {name: _moment(decode, rows, name) for name in names}
    return _ranked(moments, count)


def closed_form_directions(model: Any, count: int = 8) -> list[Direction]:
    """Directions of the content that change the first layer of the decoder the most (SeFa).

    They are the eigenvectors of A^T A, where A is the part of that layer that takes the content. No
    clip is made: neither the rest of the generator counts, nor what motion or residuals make of the
    content before the layer, in `rjgan`, `rmocogan` and `tgan`.

    Args:
        model: a GAN whose frames' codes begin with a noise of the clip: `rjgan`, `mocogan`,
            `rmocogan`, `tgan`.
        count: most directions.

    Raises:
        ValueError: another model.

    Example:
        >>> first, *rest = closed_form_directions(RJGAN.from_preset("runs/rjgan-sprites"))
    """
    name = model.first_in_codes if isinstance(model, FrameGAN) else None
    if name is None:
        raise ValueError(
            f"{type(model).__name__}: no noise of a clip enters its decoder directly, so "
            "that it has no directions in closed form. Use leading."
        )
    size = model.noise_shapes(model.frames)[name][0]
    kernel = model.decoder.first_layer().kernel.numpy()[:size].astype(np.float64)  # A^T, [D, F]
    return _ranked({name: kernel @ kernel.T}, count)


def _ranked(moments: Mapping[str, np.ndarray], count: int) -> list[Direction]:
    """The eigenvectors of the moments `[D, D]` of each noise, by decreasing share of them all."""
    total = sum(np.trace(moment) for moment in moments.values())
    found = []
    for name, moment in moments.items():
        values, vectors = np.linalg.eigh(moment)
        for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
            if value > 1e-6 * total:
                sign = np.sign(vector[np.argmax(np.abs(vector))])
                found.append(Direction(name, sign * vector, float(value / total)))
    return sorted(found, key=lambda each: -each.share)[:count]


def _moment(decode: Signature, rows: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The mean of J^T J over the rows, `[D, D]`."""
    size = rows[name].shape[1]

    @tf.function(autograph=False)
    def some_frames(**tensors):  # at most `FRAMES`, spread over each clip, to save memory
        video = decode(**tensors)["video"]  # [B, T, H, W, C]
        times = np.linspace(0, video.shape[1] - 1, min(video.shape[1], FRAMES))
        return tf.gather(video, np.unique(times.round().astype(int)), axis=1)

    steps = STEP * np.concatenate([np.eye(size), -np.eye(size)])  # [2D, D]
    padded = -(-2 * size // CLIPS_AT_ONCE) * CLIPS_AT_ONCE
    steps = steps[np.arange(padded) % (2 * size)]
    moment = np.zeros([size, size])
    for row in range(CLIPS):
        shown = []
        for start in range(0, padded, CLIPS_AT_ONCE):
            some = steps[start : start + CLIPS_AT_ONCE]
            inputs = {n: np.repeat(v[row : row + 1], len(some), axis=0) for n, v in rows.items()}
            inputs[name] = (inputs[name] + some).astype(np.float32)
            shown.append(some_frames(**{n: tf.constant(v) for n, v in inputs.items()}).numpy())
        pixels = np.concatenate(shown)[: 2 * size].reshape(2 * size, -1)  # [2D, P]
        gradients = (pixels[:size] - pixels[size:]) / (2 * STEP)  # [D, P], rows of J^T
        moment += (gradients @ gradients.T).astype(np.float64) / CLIPS
    return moment
