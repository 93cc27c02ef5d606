"""Abilities of models beyond those of their family, as classes to inherit from.

Figures, metrics and exports ask `isinstance(model, Swappable)`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid.models.base.categories import category_of, with_label
from kerasvid.models.base.video_generator import as_pixels


class ImagePrior:
    """Makes single images from a fixed prior; of a `VideoGenerator`, whose noise it takes."""

    def generate_images(self: Any, batch: int, seed: int = 0, label: Any = None) -> np.ndarray:
        """Images uint8 `[B, H, W, C]`; image i has the noise of video i of `generate`."""
        noise = with_label(self.sample_noise(batch, 1, seed), label)
        return self.traced(self._image_pixels, noise)

    def _image_pixels(self, noise: Mapping[str, tf.Tensor]) -> np.ndarray | tf.Tensor:
        return as_pixels(self.image_of(noise))

    def image_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The image `[B, H, W, C]` in [-1, 1] of named noise."""
        raise NotImplementedError


class SummaryPrior(ImagePrior):
    """Its image of some noise is the summary frame of the video of that noise."""

    summary_noise = "summary"  # name of the noise of the summary; the rest is that of the motion


class Recombinable:
    """Makes videos of separate noise of content and of motion; of a `VideoGenerator`."""

    def recombined_noise(self, content_of: Mapping, motion_of: Mapping) -> dict[str, tf.Tensor]:
        """The noise of the content of some videos with that of the motion of others."""
        raise NotImplementedError

    def recombine(self: Any, content_of: Mapping, motion_of: Mapping) -> np.ndarray:
        """The content of some generated videos with the motion of others: uint8 `[B, T, H, W, C]`.

        Args:
            content_of, motion_of: noise of `sample_noise`, B rows each.

        Example:
            >>> one, other = model.sample_noise(4, seed=0), model.sample_noise(4, seed=1)
            >>> videos = model.recombine(content_of=one, motion_of=other)
        """
        return self.render(self.recombined_noise(content_of, motion_of))


class Encoder:
    """Finds the codes of given videos."""

    def encode(self, videos: np.ndarray | tf.Tensor) -> dict[str, tf.Tensor]:
        """Codes by name, float32 `[B, ...]`, of videos `[B, T, H, W, C]`."""
        raise NotImplementedError

    def reconstruct(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The videos through their codes: uint8 `[B, T, H, W, C]`."""
        raise NotImplementedError


class SummaryEncoder(Encoder):
    """Encodes a video to one summary, among others, which is a frame of its own."""

    def summary_frames(self, videos: np.ndarray | tf.Tensor) -> np.ndarray:
        """The summary frame of each video: uint8 `[B, H, W, C]`."""
        raise NotImplementedError


class Swappable(Encoder):
    """Combines the content of some videos with the motion of others."""

    def swap(self, content_of: np.ndarray, motion_of: np.ndarray) -> np.ndarray:
        """The content of some videos with the motion of others: uint8 `[B, T, H, W, C]`."""
        raise NotImplementedError


class LearnedCodes:
    """Has learned the codes of its training videos, in tables."""

    def recall(self, **rows: Any) -> np.ndarray:
        """Training videos from their codes: uint8 `[B, T, H, W, C]`."""
        raise NotImplementedError


class ExchangeableCodes(LearnedCodes):
    """Has learned static and transient codes apart, which can be combined anew."""

    static_by: str
    transient_by: str

    def exchange(self, identity: Any, action: Any, label: Any = None) -> np.ndarray:
        """Learned static codes with learned transient ones: uint8 `[B, T, H, W, C]`."""
        raise NotImplementedError

    def interpolate_frames(self, first: int, last: int, count: int, **rows: Any) -> np.ndarray:
        """Further frames between two frames of training videos: uint8 `[B, count, H, W, C]`."""
        raise NotImplementedError


class Conditional:
    """Makes videos of a class that is asked for, by the argument `label` of `generate`.

    Attributes:
        categories: K, the number of classes; 0 for a model that was made without.
    """

    categories: int = 0

    def category_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The class of each row of noise, int64 `[B]`, where there are classes."""
        return category_of(noise)
