"""Diversity: does a generator make new clips, and different ones?

Two questions that a Frechet distance mixes with quality:

- memorising: the distance of each sample to the nearest training clip, compared with that of
  held-out clips, which were never seen in training;
- variety: the mean distance of two samples, compared with that of two real clips. It is near 0 if
  all samples look the same.

A distance is that of `l2_distances`: the norm of the whole difference, pixels in [0, 1].
"""

from collections import deque
from collections.abc import Iterable

import numpy as np

from kerasvid.evaluation.metrics.clip_batches import as_bytes, counted_clips
from kerasvid.visualization.nearest_clip import l2_distances, nearest_clips

WINDOW = 64  # earlier samples that a sample is compared with


def novelty(
    samples: np.ndarray, held_out: np.ndarray, training_batches: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The distance of samples and of held-out clips to the nearest of all training clips.

    Training clips are streamed and read once; samples and held-out clips stay in memory.

    Args:
        samples: `[Q, T, H, W, C]`, uint8, or float in [-1, 1], which are rounded to uint8.
        held_out: Real clips `[R, T, H, W, C]` that were not used in training.
        training_batches: `[N, T, H, W, C]` each: all training clips, cut as in training. Otherwise
            a copy may be missed.

    Returns:
        float64 `[Q]`, 0 for a copy, and float64 `[R]`. The mean of the first is much smaller than
        that of the second if samples are copies.

    Raises:
        ValueError: Clips of different shapes, an empty set, held-out clips that are all training
            clips, or pixels that are not finite.

    Example:
        >>> of_samples, of_held_out = novelty(model.generate(64), held_out, batches)
        >>> of_samples.mean() / of_held_out.mean()
    """
    if not len(samples) or not len(held_out):
        raise ValueError(
            f"{len(samples)} samples and {len(held_out)} held-out clips: use one or more of each."
        )
    both = counted_clips([samples, held_out], None, "sampled or held-out")
    queries = np.concatenate([as_bytes(clips) for clips in both])
    training = (as_bytes(clips) for clips in counted_clips(training_batches, None, "training"))
    distances = l2_distances(queries, nearest_clips(queries, training)[0])
    if not distances[len(samples) :].any():
        raise ValueError("Every held-out clip is a training clip. Use clips of another split.")
    return distances[: len(samples)], distances[len(samples) :]


def variety(batches: Iterable[np.ndarray], clips: int | None = None) -> float:
    """The mean distance of two samples, which are streamed.

    Each sample is compared with the 64 samples before it: all pairs of up to 65 samples, and an
    unbiased mean of more, because samples are independent. The division into batches does not
    matter; samples must not be sorted.

    Args:
        batches: `[B, T, H, W, C]` each, uint8, or float in [-1, 1], which are rounded to uint8.
        clips: Number of samples; `None` for all.

    Raises:
        ValueError: Fewer clips than requested or than two, clips of different shapes, or pixels
            that are not finite.

    Example:
        >>> made = (model.generate(16, seed=seed) for seed in itertools.count())
        >>> variety(made, clips=624) / variety(real, clips=624)
    """
    before: deque[np.ndarray] = deque(maxlen=WINDOW)
    pairs, total = 0, 0.0
    for batch in counted_clips(batches, clips, "sampled"):
        for clip in as_bytes(batch).reshape(len(batch), -1).astype(np.float32) / 255.0:
            for other in before:
                total += float(np.sum(np.square(clip - other), dtype=np.float64)) ** 0.5
            pairs += len(before)
            before.append(clip)
    if not pairs:
        raise ValueError("One sampled clip makes no pair. Use two or more.")
    return total / pairs
