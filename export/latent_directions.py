"""The directions of a clip's noise that change its pictures the most: what sliders move."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from export.verbs import Verb

STEP = 0.5  # deviations to either side: wide enough to see through what saturates
SEEDS = 8
FRAMES = 8
CLIPS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Direction:
    """A unit vector in the space of one noise.

    Args:
        noise: its name.
        vector: float64 `[D]`; the largest of its parts is positive.
        share: of the mean squared change of the pictures by all noise that was looked at, 0 to 1.
    """

    noise: str
    vector: np.ndarray
    share: float


def leading_directions(
    decode: Verb,
    names: Sequence[str],
    count: int = 8,
    seed: int = 0,
    given: Mapping[str, np.ndarray] | None = None,
) -> list[Direction]:
    """Directions that are orthogonal within each noise, the one that changes the most first.

    They are the eigenvectors of the mean of J^T J over clips, J being the Jacobian of the pixels by
    the noise, from central differences.

    Args:
        decode: of `noise_verbs`.
        names: of the noise to look at, one vector a clip each.
        count: how many directions at most, of all noise together.
        seed: of the clips.
        given: further inputs of `decode`, `[N, ...]`, of which each clip takes a row.

    Returns:
        At most `count` directions; those that change nothing are left out.

    Example:
        >>> first, *rest = leading_directions(noise_verbs(model)["decode"], ["summary"])
    """
    rows = _rows(decode, seed, given or {})
    moments = {name: _moment(decode, rows, name) for name in names}
    total = sum(np.trace(moment) for moment in moments.values())
    found = []
    for name, moment in moments.items():
        values, vectors = np.linalg.eigh(moment)
        for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
            if value > 1e-6 * total:
                sign = np.sign(vector[np.argmax(np.abs(vector))])
                found.append(Direction(name, sign * vector, float(value / total)))
    return sorted(found, key=lambda each: -each.share)[:count]


def _rows(decode: Verb, seed: int, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of `SEEDS` clips, `[SEEDS, ...]` by name."""
    generator = np.random.default_rng(seed)
    rows = {}
    for name, tensor in decode.inputs.items():
        if name in decode.noise:
            rows[name] = generator.standard_normal((SEEDS, *tensor.shape)).astype(np.float32)
        else:
            rows[name] = np.resize(given[name], (SEEDS, *tensor.shape)).astype(np.float32)
    return rows


def _moment(decode: Verb, rows: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The mean of J^T J over the rows, `[D, D]`."""
    size = rows[name].shape[1]
    run = tf.function(lambda **tensors: _some_frames(decode(**tensors)["video"]), autograph=False)
    steps = STEP * np.concatenate([np.eye(size), -np.eye(size)])  # [2D, D]
    steps = steps[np.arange(-(-2 * size // CLIPS_AT_ONCE) * CLIPS_AT_ONCE) % (2 * size)]
    moment = np.zeros([size, size])
    for row in range(SEEDS):
        shown = []
        for start in range(0, len(steps), CLIPS_AT_ONCE):
            some = steps[start : start + CLIPS_AT_ONCE]
            inputs = {n: np.repeat(v[row : row + 1], len(some), axis=0) for n, v in rows.items()}
            inputs[name] = (inputs[name] + some).astype(np.float32)
            shown.append(run(**{n: tf.constant(v) for n, v in inputs.items()}).numpy())
        pixels = np.concatenate(shown)[: 2 * size].reshape(2 * size, -1)  # [2D, P]
        slopes = (pixels[:size] - pixels[size:]) / (2 * STEP)  # [D, P], rows of J^T
        moment += (slopes @ slopes.T).astype(np.float64) / SEEDS
    return moment


def _some_frames(video: tf.Tensor) -> tf.Tensor:
    """At most `FRAMES` frames `[B, T, H, W, C]`, spread over the clip, lest memory runs out."""
    frames = video.shape[1]
    chosen = np.unique(np.linspace(0, frames - 1, min(frames, FRAMES)).round().astype(int))
    return tf.gather(video, chosen, axis=1)
