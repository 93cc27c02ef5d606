"""The methods of models that make the video between a first and a last frame."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.data.pixels import as_float_frames
from kerasvid.layers.endpoints import check_endpoints
from kerasvid.models.base.categories import CATEGORY, with_label
from kerasvid.models.base.row_noise import row_noise
from kerasvid.models.base.video_generator import (
    WithPresets,
    as_pixels,
    check_same_batch,
)


class InBetween(WithPresets):
    """Mix-in for a `Trainer` of the video between two given frames; it has no `generate`.

    A subclass has `PRESETS` and `TRAINING`, the attributes `image_shape` and `frames` (the default
    length), and the methods `noise_shapes` and `infill`.
    """

    EXAMPLE = "between(first, last)  # images [B, H, W, C]"
    image_shape: tuple[int, ...]
    frames: int
    evaluation_names: tuple[str, ...] = ("l2",)
    noise_shapes: Any
    video_of: Any  # of `Trainer`, as `tracked`
    tracked: Any
    has_gaussian_prior: Any
    batch_of: Any
    category_in: Any

    @classmethod
    def shortest_clip(cls, hyperparameters: Mapping[str, Any]) -> int:
        return 3 if hyperparameters.get("exact_endpoints") else 2

    def infill(
        self, first: tf.Tensor, last: tf.Tensor, noise: Mapping[str, tf.Tensor], frames: int
    ) -> tf.Tensor:
        """The clips between frames, deterministic; also within a graph.

        Args:
            first, last: `[B, H, W, C]` float32 in [-1, 1].
            noise: of `between_noise`, `[B, ...]` by name; zeros for a best guess.
            frames: T, at least 2, both endpoints included.

        Returns:
            `[B, T, H, W, C]` float32 in [-1, 1].
        """
        raise NotImplementedError

    def test_step(self, data) -> dict:
        """The terms of the family, and the L2 distance of clips without noise to the true ones."""
        logs, video = super().test_step(data), self.video_of(data)  # type: ignore[misc]  # of Keras
        batch, frames = tf.shape(video)[0], video.shape[1]
        noise = {n: tf.zeros([batch, *shape]) for n, shape in self.noise_shapes(frames).items()}
        if CATEGORY in noise:
            noise[CATEGORY] = self.category_in(self.batch_of(data))
        shown = self.infill(video[:, 0], video[:, -1], noise, frames)
        return {**logs, **self.tracked({"l2": tf.reduce_mean(losses.l2_distance(video, shown))})}

    def between_noise(self, batch: int, frames: int | None = None, seed: int = 0) -> dict:
        """Named standard Gaussians for `batch` videos; row i depends on (seed, i) alone.

        Args:
            batch: B, at least 1.
            frames: T; `None` for the model's own length.
            seed: any integer.

        Raises:
            ValueError: `batch` is less than 1 or `frames` less than 2.
        """
        frames = self.frames if frames is None else frames
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1.")
        check_endpoints(frames)
        return row_noise(self.noise_shapes(frames), batch, seed)

    def at_temperature(self, noise: Mapping[str, tf.Tensor], temperature: float) -> dict:
        """Noise with that standard deviation; refused where a fitted prior is not Gaussian."""
        if temperature != 1.0 and not self.has_gaussian_prior():
            raise ValueError(
                f"temperature={temperature} needs a Gaussian prior: that of this model is not. Use "
                "temperature=1, or fit one with --prior=gaussian."
            )
        return {n: x if n == CATEGORY else temperature * x for n, x in noise.items()}

    def between(
        self,
        first: np.ndarray | tf.Tensor,
        last: np.ndarray | tf.Tensor,
        frames: int | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        label: Any = None,
    ) -> np.ndarray:
        """Videos that begin and end with given frames.

        Args:
            first: `[B, H, W, C]`, uint8 or float in [-1, 1].
            last: the same shape.
            frames: T, both endpoints included, at least 2; `None` for the model's own length.
            seed: row i depends on (seed, i) and on its own frames alone.
            temperature: standard deviation of the noise; 0 for a best guess, where a model is
                trained to have one.
            label: the class of all videos, or of each, integers `[B]`; `None` draws the classes of
                a model that has some, each equally often.

        Returns:
            uint8 `[B, T, H, W, C]`.

        Raises:
            ValueError: other axes or frame sizes, different numbers of endpoints, T below 2, a
                negative temperature, or one other than 1 where a fitted prior is not Gaussian, or
                a class that the model does not have.

        Example:
            >>> filled = model.between(videos[:, 0], videos[:, -1], frames=30, seed=1)
        """
        if not temperature >= 0.0:
            raise ValueError(f"temperature={temperature} must be 0 or more.")
        frames = self.frames if frames is None else frames
        first = as_float_frames(first, "B, H, W, C", self.image_shape, "first")
        last = as_float_frames(last, "B, H, W, C", self.image_shape, "last")
        check_same_batch(first=first, last=last)
        noise = with_label(self.between_noise(first.shape[0], frames, seed), label)
        noise = self.at_temperature(noise, temperature)
        return self.traced(self._filled, first, last, noise, frames)

    def _filled(self, first: tf.Tensor, last: tf.Tensor, noise: dict, frames: int) -> Any:
        return as_pixels(self.infill(first, last, noise, frames))
