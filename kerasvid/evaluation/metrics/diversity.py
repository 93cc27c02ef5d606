"""Whether a generator makes new clips, and different ones.

Two things that a Frechet distance does not tell apart from quality:

- memorising: the distance of each sample to the nearest training clip, beside that of held-out
  clips, which are as near as clips are that were never seen;
- variety: the mean distance of two samples, beside that of two real clips. Near 0 all samples are
  alike.

A distance is that of `l2_distance`: the norm of the whole difference, pixels in [0, 1].
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kerasvid.evaluation.metrics.clip_batches import as_bytes, checked_clips, counted_clips
from kerasvid.visualization.nearest_clip import l2_distances, nearest_clips


class Novelty(NamedTuple):
    """Distances to the nearest training clip.

    Args:
        samples: float64 `[Q]`, 0 for a copy.
        held_out: float64 `[R]`.
    """

    samples: np.ndarray
    held_out: np.ndarray

    @property
    def ratio(self) -> float:
        """Mean distance of samples over that of held-out clips; far below 1 they are copies."""
        return float(self.samples.mean() / self.held_out.mean())

    @property
    def nearer(self) -> float:
        """The share of samples nearer to training than the median held-out clip; 1/2 if alike."""
        return float(np.mean(self.samples < np.median(self.held_out)))


class Variety(NamedTuple):
    """Distances of two samples.

    Args:
        mean, std: over pairs.
        smallest: of any pair; 0 if two are the same.
        pairs: how many were looked at.
        clips: of how many samples.
    """

    mean: float
    std: float
    smallest: float
    pairs: int
    clips: int


def novelty(
    samples: np.ndarray, held_out: np.ndarray, training_batches: Iterable[np.ndarray]
) -> Novelty:
    """The distance of samples and of held-out clips to the nearest of all training clips.

    Training clips are streamed, and looked at once; samples and held-out clips are kept.

    Args:
        samples: `[Q, T, H, W, C]`, uint8, or float in [-1, 1], which are rounded to bytes.
        held_out: `[R, T, H, W, C]`, real, that were not trained on.
        training_batches: `[N, T, H, W, C]` each; all of them, and cut as they were for training,
            else a copy may be overlooked.

    Raises:
        ValueError: clips of two shapes, none of a kind, held-out ones that are all training clips,
            or pixels that are not finite.

    Example:
        >>> novelty(model.generate(64), held_out, batches).ratio
    """
    samples, held_out = checked_clips(samples, "sampled"), checked_clips(held_out, "held-out")
    if not len(samples) or not len(held_out):
        raise ValueError(
            f"{len(samples)} samples and {len(held_out)} held-out clips: give one or more of each."
        )
    if samples.shape[1:] != held_out.shape[1:]:
        raise ValueError(
            f"sampled clips of {samples.shape[1:]}, held-out ones of {held_out.shape[1:]}: both "
            "need the same T, H, W and C."
        )
    queries = np.concatenate([as_bytes(samples), as_bytes(held_out)])
    training = (as_bytes(clips) for clips in counted_clips(training_batches, None, "training"))
    distances = l2_distances(queries, nearest_clips(queries, training)[0])
    found = Novelty(distances[: len(samples)], distances[len(samples) :])
    if not found.held_out.any():
        raise ValueError("Every held-out clip is a training clip: give clips of another split.")
    return found


def variety(batches: Iterable[np.ndarray], clips: int | None = None, window: int = 64) -> Variety:
    """The mean distance of two samples, which are streamed.

    Each sample is compared to the `window` samples before it: all pairs of up to `window` + 1
    samples, and of more a mean without bias, as samples are independent of each other. How they
    are divided into batches does not matter; they must not be sorted.

    Args:
        batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1], which are rounded to bytes.
        clips: how many to look at; all where `None`.
        window: samples that are kept.

    Raises:
        ValueError: fewer clips than asked for or than two, clips of two shapes, pixels that are not
            finite, or an empty window.

    Example:
        >>> made = (model.generate(16, seed=seed) for seed in itertools.count())
        >>> variety(made, clips=624).mean / variety(real, clips=624).mean
    """
    if window < 1:
        raise ValueError(f"window={window} must be at least 1.")
    before, seen = deque(maxlen=window), 0
    pairs, total, squares, smallest = 0, 0.0, 0.0, np.inf
    for batch in counted_clips(batches, clips, "sampled"):
        for clip in as_bytes(batch).reshape(len(batch), -1).astype(np.float32) / 255.0:
            for other in before:
                squared = float(np.sum(np.square(clip - other), dtype=np.float64))
                pairs, total, squares = pairs + 1, total + squared**0.5, squares + squared
                smallest = min(smallest, squared**0.5)
            before.append(clip)
            seen += 1
    if not pairs:
        raise ValueError(f"{seen} sampled clips make no pair: give two or more.")
    mean = total / pairs
    std = max(squares / pairs - mean**2, 0.0) ** 0.5
    return Variety(mean, std, smallest, pairs, seen)
