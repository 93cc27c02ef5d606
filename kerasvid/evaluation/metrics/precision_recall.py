"""Precision, recall, density and coverage of generated clips, on features of both sets.

A Frechet distance mixes two questions that these separate: are generated clips like real ones
(precision, density), and are all kinds of real clips among them (recall, coverage)? Each set spans
balls around its points, whose radius is the distance to the k-th nearest other video of the same
set, which for one clip a video is the k-th nearest point:

    precision  share of generated points in a ball of a real one, k = 3
    recall     share of real points in a ball of a generated one, k = 3
    density    mean number of balls of real points around a generated one, over k, k = 5
    coverage   share of real points with a generated one in their ball, k = 5

(Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
NeurIPS 2019; Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML
2020, each with its own k.) As in the published code, a point on the surface is inside for the first
two and outside for the other two. Windows of one video, which may overlap, make no ball smaller,
and all of them count as one ball in the density.

Distances are exact and computed in blocks of rows: memory grows with N, not with its square.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from kerasvid.evaluation.metrics.intervals import (
    jackknife_groups,
    jackknife_standard_error,
    video_ranks,
)

NEAREST, DENSITY_NEAREST = 3, 5
MIN_VIDEOS = DENSITY_NEAREST + 2  # of a set: one may be left out for the std
ROWS = 256  # of a block of distances


class Score(NamedTuple):
    """A value and its std by the jackknife of groups; `None` without groups.

    The std is conservative: 1.1 to 2.3 times the true one for Gaussians of 2 to 32 dimensions.
    """

    value: float
    std: float | None


def precision_recall(
    real: np.ndarray,
    generated: np.ndarray,
    groups: int = 1,
    real_videos: np.ndarray | None = None,
    generated_videos: np.ndarray | None = None,
) -> dict[str, Score]:
    """`"precision"`, `"recall"`, `"density"` and `"coverage"` of generated features.

    Args:
        real: Features of real clips, `[N, D]`.
        generated: Features of generated clips, `[M, D]`.
        groups: Number of groups of each set for the std; 1 for no std.
        real_videos, generated_videos: The video of each clip, as in `video_ranks`.

    Raises:
        ValueError: Other axes, features that are not finite, or clips of fewer than 7 videos.

    Example:
        >>> precision_recall(features(real_clips), features(made_clips))["recall"].value
    """
    sets = []
    for name, values, videos in (
        ("real", real, real_videos),
        ("generated", generated, generated_videos),
    ):
        values = np.asarray(values, np.float64)
        if values.ndim != 2 or not np.isfinite(values).all():
            raise ValueError(f"{name} features {values.shape}: use finite values [N, D].")
        ranks = video_ranks(len(values), videos)
        if (number := len(set(ranks))) < MIN_VIDEOS:
            raise ValueError(f"{name} clips of {number} videos: use {MIN_VIDEOS} or more.")
        places = jackknife_groups(len(values), videos, groups)
        for group in set(places) if places.any() else ():
            if len(set(ranks[places != group])) <= DENSITY_NEAREST:
                raise ValueError(
                    f"{name} clips of {number} videos: too few for {groups} groups. Use more, or 1."
                )
        sets.append((values, ranks, places))
    (real, real_ranks, real_of), (generated, ranks, generated_of) = sets
    balls, wide = _radii(real, real_ranks, real_of, (NEAREST, DENSITY_NEAREST))  # [1 + K, N] each
    (made_balls,) = _radii(generated, ranks, generated_of, (NEAREST,))  # [1 + K, M]

    # Row 0 is of all clips, row g + 1 without group g of the real or of the generated clips.
    without_real = np.arange(len(balls))[:, None] - 1 != real_of  # [1 + K, N]
    without_made = np.arange(len(made_balls))[:, None] - 1 != generated_of  # [1 + K, M]
    held = np.zeros([len(balls), len(generated)], bool)  # in a ball of a real clip
    around = np.zeros([len(balls), len(generated)])  # number of balls of real clips
    recalled, covered = np.zeros([2, len(balls), len(real)], bool)
    recalled_made, covered_made = np.zeros([2, len(made_balls), len(real)], bool)
    for start in range(0, len(real), ROWS):
        rows = slice(start, start + ROWS)
        apart = cdist(real[rows], generated)  # [R, M]
        recalled[:, rows] = (apart <= made_balls[0]).any(axis=1)
        for row, kept in enumerate(without_real[:, rows]):
            held[row] |= (apart <= balls[row, rows, None])[kept].any(axis=0)
            around[row] += (apart < wide[row, rows, None])[kept].sum(axis=0)
            covered[row, rows] = apart.min(axis=1) < wide[row, rows]
        for row, kept in enumerate(without_made):
            recalled_made[row, rows] = (apart <= made_balls[row])[:, kept].any(axis=1)
            covered_made[row, rows] = apart[:, kept].min(axis=1) < wide[0, rows]
    windows = [kept.sum() / len(set(real_ranks[kept])) for kept in without_real]  # of a video
    density = around / np.array(windows)[:, None] / DENSITY_NEAREST
    found = {
        "precision": (held.mean(axis=1), _means(held[0], without_made)),
        "recall": (_means(recalled, without_real), recalled_made.mean(axis=1)),
        "density": (density.mean(axis=1), _means(density[0], without_made)),
        "coverage": (_means(covered, without_real), covered_made.mean(axis=1)),
    }
    return {name: Score(float(each[0][0]), _std(each)) for name, each in found.items()}


def _radii(
    points: np.ndarray, ranks: np.ndarray, groups: np.ndarray, orders: Sequence[int]
) -> np.ndarray:
    """The distance to the k-th nearest other video, for each k: `[k, 1 + K, N]`.

    Of the second axis, place 0 is of all points, place g + 1 without those of group g.
    """
    places, order = np.array(orders) - 1, np.argsort(ranks, kind="stable")
    starts = np.searchsorted(ranks[order], np.arange(ranks.max() + 1))  # of each video
    of_videos, left_out = groups[order][starts], groups.max() + 1 if groups.any() else 0
    radii = np.empty([len(orders), 1 + left_out, len(points)])
    for start in range(0, len(points), ROWS):
        own = ranks[start : start + ROWS]
        apart = cdist(points[start : start + ROWS], points[order])
        apart = np.minimum.reduceat(apart, starts, axis=1)  # [R, videos]
        apart[np.arange(len(own)), own] = np.inf
        for row in range(1 + left_out):
            nearest = np.partition(apart[:, of_videos != row - 1], places, axis=1)
            radii[:, row, start : start + ROWS] = nearest[:, places].T
    return radii


def _means(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The means `[1 + K]` of those values `[N]`, or `[1 + K, N]`, that each row keeps."""
    return (values * kept).sum(axis=1) / kept.sum(axis=1)


def _std(values: tuple[np.ndarray, np.ndarray]) -> float | None:
    """By the values without each group of the real, and of the generated clips."""
    left_out = [each[1:].tolist() for each in values]
    if min(map(len, left_out)) < 2:
        return None
    return jackknife_standard_error(left_out)
