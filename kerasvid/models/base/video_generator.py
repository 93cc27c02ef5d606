"""Named presets, and the public methods of models that make videos from noise."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kerasvid.data.pixels import as_float_frames
from kerasvid.layers.compilation import Traces
from kerasvid.models.base.categories import CATEGORY, with_label
from kerasvid.models.base.inversion import best_rows, inverted_noise
from kerasvid.models.base.preset_folder import check_hyperparameters, read_preset, write_preset
from kerasvid.models.base.preset_sources import local_preset
from kerasvid.models.base.row_noise import row_noise
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.naming import constructor_arguments

INVERTED_AT_ONCE = 8  # videos, each from several starts, of which memory holds the gradients


class WithPresets:
    """Mix-in for a `keras.Model` with named hyper-parameters.

    A subclass lists them in the class attribute `PRESETS` and how each is trained in `TRAINING`.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    TRAINING: ClassVar[dict[str, TrainConfig]] = {}
    # By argument that takes a dictionary: the class whose arguments these are, or their names.
    PARTS: ClassVar[dict[str, type | tuple[str, ...]]] = {}

    EXAMPLE: ClassVar[str] = "generate(8)"  # a call that makes videos, for model cards

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, /, load_weights: bool = True, **overrides: Any):
        """A model of a preset: new, or with its trained weights.

        Args:
            preset: a key of `PRESETS`, which has no weights; or a place of a model with weights: a
                name of `shipped_presets`, a folder of `save_to_preset` or of a finished run,
                `hf://user/repository` (also `@revision`), or any address that fsspec can read, as
                `s3://bucket/folder`.
            load_weights: `False` gives the model of such a place new weights.
            **overrides: `dtype` and `name` as in Keras, and hyper-parameters of a new model.

        Raises:
            PresetError: a ValueError. The preset or a hyper-parameter is unknown; or the place
                cannot be read, was altered, or has another model.

        Example:
            >>> RJVAE.from_preset("debug", frames=4)
            >>> RJVAE.from_preset("runs/rjvae-sprites", dtype="mixed_bfloat16").generate(8)
        """
        if preset in cls.PRESETS:
            check_hyperparameters(cls, overrides)
            return cls(**{**cls.PRESETS[preset], **overrides})
        with local_preset(preset, cls.PRESETS, load_weights) as folder:
            return read_preset(folder, cls, load_weights, **overrides)

    def traced(self, method: Callable, *inputs: Any) -> Any:
        """`method(*inputs)` by a graph that is kept for inputs of these shapes; see `Traces`.

        Tensors come back as they are, pixels as numpy. Within a graph the method is called.
        """
        if not tf.executing_eagerly():
            return method(*inputs)
        if "_traces" not in self.__dict__:
            object.__setattr__(self, "_traces", Traces())  # no layer that Keras should track
        result = self._traces.call(method, inputs, self.weights)  # type: ignore[attr-defined]
        pixels = tf.is_tensor(result) and result.dtype == tf.uint8
        return result.numpy() if pixels else result

    def save_to_preset(
        self,
        folder: str | os.PathLike,
        facts: Mapping[str, Any] | None = None,
        half: bool = False,
        generator_only: bool = False,
    ) -> None:
        """Writes a folder from which `from_preset` makes this model again, with its weights.

        Args:
            folder: new, empty, or an earlier preset, which is replaced.
            facts: what the model card says beside the model, such as `{"licence": "CC0-1.0"}`.
            half: keep the weights in float16, in half of the space.
            generator_only: leave out the discriminators of a GAN, which only training needs.

        Raises:
            PresetError: other files are there, weights are not finite or too large, or there are no
                discriminators to leave out.
            OSError: the folder cannot be written.

        Example:
            >>> model.save_to_preset("rjvae_mine", {"licence": "CC0-1.0"})
            >>> upload_preset("hf://anna/rjvae_mine", "rjvae_mine")
        """
        write_preset(self, folder, facts, half, generator_only)

    @classmethod
    def hyperparameters(cls) -> dict[str, Any]:
        """The constructor's named arguments and their defaults."""
        return {name: default for name, (_, default) in constructor_arguments(cls).items()}

    @classmethod
    def shortest_clip(cls, hyperparameters: Mapping[str, Any]) -> int:
        """Frames of the shortest clips that a model of these hyper-parameters can learn from."""
        return 1

    @classmethod
    def code_keys(cls, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        """The fields of a record by which such a model looks up learned codes; by default none."""
        return frozenset()


def as_pixels(videos: tf.Tensor) -> np.ndarray | tf.Tensor:
    """uint8 of pixels in [-1, 1]: numpy, or a tensor while a graph is traced."""
    levels = tf.round((tf.clip_by_value(tf.cast(videos, tf.float32), -1.0, 1.0) + 1.0) * 127.5)
    pixels = tf.cast(levels, tf.uint8)
    return pixels.numpy() if tf.executing_eagerly() else pixels


def as_video_tensor(videos: np.ndarray | tf.Tensor, image_shape: Sequence[int]) -> tf.Tensor:
    """float32 `[B, T, H, W, C]` in [-1, 1] of videos, checked as in `as_float_frames`."""
    return as_float_frames(videos, "B, T, H, W, C", image_shape)


def check_same_batch(**videos: np.ndarray | tf.Tensor) -> None:
    """Raises ValueError where the first axes of videos, given by name, differ."""
    sizes = {name: value.shape[0] for name, value in videos.items()}
    if len(set(sizes.values())) > 1:
        listing = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"Different numbers of videos ({listing}): give as many of each.")


class VideoGenerator(WithPresets):
    """Mix-in for a `keras.Model` that makes videos from named Gaussian noise.

    A subclass has `PRESETS` and `TRAINING`, the attribute `frames` (the default length), and

    - `noise_shapes(frames)`: the named Gaussians of one video, shapes without the batch axis;
    - `codes(noise, frames=None)`: a frame's latent vector each, `[B, T, D]` float32. T is `frames`,
      by default that of the noise, or `self.frames` where no noise has a frame axis;
    - `decode(codes)`: the frames `[B, T, H, W, C]` in [-1, 1], deterministic.
    """

    frames: int
    image_shape: tuple[int, ...]
    noise_shapes: Any
    codes: Any
    decode: Any
    has_gaussian_prior: Any  # of `Trainer`

    def sample_noise(self, batch: int, frames: int | None = None, seed: int = 0) -> dict:
        """Named standard Gaussians for `batch` videos.

        Row i depends on (seed, i) alone, never on the batch size.

        Args:
            batch: B, at least 1.
            frames: T; `None` for the model's own length.
            seed: any integer.

        Returns:
            float32 tensors `[B, ...]` by name.

        Raises:
            ValueError: `batch` or `frames` is less than 1.

        Example:
            >>> videos = model.render(model.sample_noise(4, seed=7))  # as generate(4, seed=7)
        """
        frames = self.frames if frames is None else frames
        if batch < 1 or frames < 1:
            raise ValueError(f"batch={batch} and frames={frames} must be at least 1.")
        return row_noise(self.noise_shapes(frames), batch, seed)

    def generate(
        self,
        batch: int,
        frames: int | None = None,
        seed: int = 0,
        truncation: float = 1.0,
        label: Any = None,
    ) -> np.ndarray:
        """New videos: uint8 `[B, T, H, W, C]`. Row i depends on (seed, i) and its label alone.

        Args:
            batch, frames, seed: as for `sample_noise`.
            truncation: as for `truncated`.
            label: the class of all videos, or of each, integers `[B]`; `None` draws the classes of
                a model that has some, each equally often. All other noise is the same.

        Raises:
            ValueError: a number is less than 1, the model makes no clips of that length, its
                prior is not Gaussian and `truncation` not 1, or it has no such class.

        Example:
            >>> videos = model.generate(8, frames=16, seed=1)  # uint8 [8, 16, H, W, C]
            >>> model.generate(2, label=[0, 3])  # a video of class 0 and one of class 3
        """
        noise = with_label(self.sample_noise(batch, frames, seed), label)
        return self.render(self.truncated(noise, truncation), frames)

    def truncated(self, noise: dict, truncation: float) -> dict:
        """Noise that is nearer to the mean: its standard deviation is `truncation`.

        Less than 1 gives more typical videos, which differ less. The noise of a category stays.

        Raises:
            ValueError: `truncation` is negative, or the prior is not Gaussian and it is not 1.
        """
        if not truncation >= 0.0:
            raise ValueError(f"truncation={truncation} must be 0 or more.")
        if truncation == 1.0:
            return noise
        if not self.has_gaussian_prior():
            raise ValueError(
                f"truncation={truncation} needs a Gaussian prior: that of this model is not. "
                "Leave it out, or fit one with --prior=gaussian."
            )
        return {n: x if n == CATEGORY else truncation * x for n, x in noise.items()}

    def render(self, noise: dict, frames: int | None = None) -> np.ndarray:
        """The videos of `sample_noise`'s noise: uint8 `[B, T, H, W, C]`; T as for `codes`."""
        return self.traced(self._rendered, noise, frames)

    def _rendered(self, noise: dict, frames: int | None) -> np.ndarray | tf.Tensor:
        return as_pixels(self.decode(self.codes(noise, frames)))

    def pixels(self, codes: tf.Tensor) -> np.ndarray:
        """The videos of latent vectors `[B, T, D]`: uint8 `[B, T, H, W, C]`."""
        return self.traced(self._pixels, codes)

    def _pixels(self, codes: tf.Tensor) -> np.ndarray | tf.Tensor:
        return as_pixels(self.decode(codes))

    def invert(
        self,
        videos: np.ndarray | tf.Tensor,
        steps: int = 150,
        rate: float = 0.1,
        starts: int = 4,
        seed: int = 0,
        weight: float = 0.02,
        label: Any = None,
    ) -> dict[str, tf.Tensor]:
        """Noise from which `render` makes videos that are like given ones.

        It is for generators without an encoder, and goes through the prior of any other. A video
        that the prior does not hold comes back as the most similar one that descent finds.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1].
            steps, rate: of Adam; see `inversion.py`.
            starts: draws of noise that each video is searched from; the best end is kept.
            seed: of the draws.
            weight: how much noise is held near 0.
            label: the class of all videos or of each, for a model with classes; by default each
                draw has one of its own.

        Returns:
            Noise as of `sample_noise`, B rows.

        Raises:
            ValueError: the videos have other axes or another frame size, their height or width is
                odd, the model makes no clips of their length, or a number is out of its range.

        Example:
            >>> noise = model.invert(videos)
            >>> again = model.render(noise)
            >>> way = model.interpolate(noise, model.sample_noise(len(videos)))
        """
        video = as_video_tensor(videos, self.image_shape)
        if steps < 0 or starts < 1 or not rate > 0.0 or not weight >= 0.0:
            raise ValueError(
                f"steps={steps}, starts={starts}, rate={rate} and weight={weight}: steps and "
                "weight must be 0 or more, starts 1 or more and rate positive."
            )
        count, frames = video.shape[:2]
        start = self.sample_noise(count * starts, frames, seed)
        if label is not None:
            label = np.repeat(np.broadcast_to(np.asarray(label), [count]), starts)
        start = with_label(start, label)
        parts = []
        for first in range(0, count, INVERTED_AT_ONCE):
            rows = slice(first * starts, (first + INVERTED_AT_ONCE) * starts)
            shown = tf.repeat(video[first : first + INVERTED_AT_ONCE], starts, axis=0)
            drawn = {name: value[rows] for name, value in start.items()}
            noise, loss = inverted_noise(self, shown, drawn, steps, rate, weight)
            parts.append(best_rows(noise, loss, starts))
        return {name: tf.concat([part[name] for part in parts], axis=0) for name in start}

    def interpolate(
        self, noise_a: dict, noise_b: dict, steps: int = 8, frames: int | None = None
    ) -> np.ndarray:
        """Videos on the way from one noise to another, spherical: as long as Gaussian noise is.

        Args:
            noise_a, noise_b: of `sample_noise`, B rows each.
            steps: videos on each way, with the first and the last; at least 2.
            frames: T, as for `codes`.

        Returns:
            uint8 `[B, steps, T, H, W, C]`.

        Raises:
            ValueError: `steps` is less than 2, or the noises are of different shapes.

        Example:
            >>> noise_a, noise_b = model.sample_noise(2, seed=0), model.sample_noise(2, seed=1)
            >>> model.interpolate(noise_a, noise_b, steps=5)  # uint8 [2, 5, T, H, W, C]
        """
        if steps < 2:
            raise ValueError(f"steps={steps} must be at least 2, for the first and the last video.")
        for name, start in noise_a.items():
            if name not in noise_b or start.shape != noise_b[name].shape:
                raise ValueError(
                    f"The noises differ in {name!r}: both need the same batch and frames."
                )
        rows = next((noise.shape[0] for noise in noise_a.values()), 1)
        fractions = np.tile(np.linspace(0.0, 1.0, steps, dtype=np.float32), rows)[:, None]
        mixed = {}
        for name in noise_a:
            start, end = (tf.repeat(each[name], steps, axis=0) for each in (noise_a, noise_b))
            mixed[name] = spherical(start, end, fractions)
        videos = self.render(mixed, frames)
        return videos.reshape(rows, steps, *videos.shape[1:])


class LimitedLength:
    """Mix-in for a model whose clips have at most `frames` frames, the native length.

    A shorter clip is the beginning of a longer one.
    """

    frames: int

    def clip_length(self, frames: int | None) -> int:
        """`frames`, or the native length where `None`; refuses longer clips."""
        if frames is not None and frames > self.frames:
            raise ValueError(
                f"frames={frames}: this model makes clips of at most {self.frames} frames. Ask for "
                f"{self.frames} or fewer, or train a model with frames={frames}."
            )
        return self.frames if frames is None else frames


def spherical(start: tf.Tensor, end: tf.Tensor, fraction: float | tf.Tensor) -> tf.Tensor:
    """Spherical interpolation row by row; `fraction` 0 gives `start`, 1 gives `end`.

    Args:
        start, end: `[B, ...]`, of the same shape.
        fraction: a number, or float32 `[B, 1]`.
    """
    shape = tf.shape(start)
    a = tf.reshape(start, [shape[0], -1])  # [B, D]
    b = tf.reshape(end, [shape[0], -1])
    one, other = tf.math.l2_normalize(a, -1), tf.math.l2_normalize(b, -1)
    # Of the chords: the arc cosine is inaccurate for near vectors, and no operation of TFLite.
    chords = [tf.norm(each, axis=-1, keepdims=True) for each in (one - other, one + other)]
    angle = 2.0 * tf.atan2(*chords)  # [B, 1]
    sine = tf.sin(angle)
    # Quotients first: at both ends they are exactly 1 and 0.
    safe = tf.maximum(sine, 1e-6)
    weight_a, weight_b = tf.sin((1.0 - fraction) * angle) / safe, tf.sin(fraction * angle) / safe
    straight = (1.0 - fraction) * a + fraction * b
    return tf.reshape(tf.where(sine > 1e-4, weight_a * a + weight_b * b, straight), shape)
