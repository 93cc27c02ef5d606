"""Streams of a model's clips for metrics, in batches of one size through one graph.

Clips are checked before they become uint8, where NaN would turn black. Within the scope of a
strategy of several devices these share the clips of a batch, see `over_devices`; the model must
have been loaded in this scope.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.evaluation.metrics.clip_batches import as_bytes, checked_clips
from kerasvid.evaluation.metrics.disentanglement import Recombine
from kerasvid.models.base.categories import CATEGORY, class_count, with_label
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.base.row_noise import noise_of_rows, noise_of_seeds
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.training.devices import over_devices


def generated_clips(
    model: Any, batch: int, frames: int | None = None, seed: int = 0
) -> Iterator[np.ndarray]:
    """An endless stream of new clips uint8 `[B, T, H, W, C]`: clip i is row i of `model.generate`.

    Args:
        model: A `VideoGenerator`.
        batch: B of every batch. No clip depends on it.
        frames, seed: As in `generate`.

    Raises:
        ValueError: The model cannot make clips of that length, or they are not finite.

    Example:
        >>> real = (b["video"].numpy() for b in config.clips("test"))
        >>> frechet_video_distance(real, generated_clips(model, 32), features, 624)
    """
    frames = model.frames if frames is None else frames
    shapes = model.noise_shapes(frames)
    return _stream(model, lambda n: model.decode(model.codes(n, frames)), shapes, batch, seed)


def clips_of_labels(
    model: Any, batch: int, frames: int | None = None, seed: int = 0
) -> Iterator[np.ndarray]:
    """An endless stream of new clips of every class in turn: clip i is of class i mod K.

    As in `generated_clips`, clip i is row i of `model.generate` with this label.
    """
    frames = model.frames if frames is None else frames
    count = class_count(model)

    def render(noise: dict, rows: tf.Tensor) -> tf.Tensor:
        asked = {**noise, CATEGORY: tf.one_hot(rows % count, count)}
        return model.decode(model.codes(asked, frames))

    return _stream(model, render, model.noise_shapes(frames), batch, seed, with_rows=True)


def clips_of_rows(
    model: Any,
    batch: int,
    frames: int | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    label: int | None = None,
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """A function of a row i to the clips i to i + B - 1 of `model.generate`, and their classes.

    Any thread may call it.

    Args:
        model: A `VideoGenerator`.
        batch: B. No clip depends on it.
        frames, seed, truncation, label: As in `generate`.

    Returns:
        A function that returns uint8 `[B, T, H, W, C]` and int `[B]`, -1 for a model without
        classes.

    Raises:
        ValueError: As in `generate`.

    Example:
        >>> videos, labels = clips_of_rows(model, 32, seed=1)(64)  # clips 64 to 95
    """
    if isinstance(model, LatentCodeModel):
        model.refresh_priors()
    frames = model.frames if frames is None else frames
    shapes = model.noise_shapes(frames)

    def made(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        noise = model.truncated(with_label(noise_of_rows(shapes, rows, seed), label), truncation)
        labels = -tf.ones_like(rows)
        if CATEGORY in noise:
            labels = tf.argmax(noise[CATEGORY], axis=-1, output_type=tf.int32)
        return model.decode(model.codes(noise, frames)), labels

    graph = over_devices(made)
    begun = graph(_rows(0, batch))  # refuses what cannot be generated

    def clips(first: int) -> tuple[np.ndarray, np.ndarray]:
        videos, labels = graph(_rows(first, batch)) if first else begun
        return _pixels(videos, "generated", batch), labels.numpy()

    return clips


def generated_images(model: Any, batch: int, seed: int = 0) -> Iterator[np.ndarray]:
    """An endless stream of images of an `ImagePrior`, as clips of one frame."""
    return _stream(model, lambda n: model.image_of(n)[:, None], model.noise_shapes(1), batch, seed)


def recombined_clips(
    model: Any, batch: int, frames: int, content_seed: int, motion_seed: int
) -> Iterator[np.ndarray]:
    """An endless stream of clips of a `Recombinable`, with the content of a seed.

    Clip i has the content of clip i of `content_seed` and the motion of clip i of `motion_seed`.
    """

    def render(content_of: dict, motion_of: dict) -> tf.Tensor:
        noise = model.recombined_noise(content_of, motion_of)
        return model.decode(model.codes(noise, frames))

    return _stream(model, render, model.noise_shapes(frames), batch, content_seed, motion_seed)


def _stream(
    model: Any, render: Callable, shapes: dict, batch: int, *seeds: int, with_rows: bool = False
) -> Iterator[np.ndarray]:
    """Batches of the rows 0 .. B - 1, B .. 2 B - 1, ... of named noises, through a function.

    `with_rows` gives the function the numbers of the rows, int32 `[B]`, too.
    """
    if isinstance(model, LatentCodeModel):
        model.refresh_priors()

    def of_rows(rows: tf.Tensor) -> tf.Tensor:
        noises = [noise_of_rows(shapes, rows, seed) for seed in seeds]
        return render(*noises, *([rows] if with_rows else []))

    make = over_devices(of_rows)
    firsts = itertools.count(0, batch)
    return (_pixels(make(_rows(first, batch)), "generated", batch) for first in firsts)


def _rows(first: int, count: int) -> tf.Tensor:
    return tf.range(first, first + count, dtype=tf.int32)


def infilling(
    model: Any,
    batch: int,
    seed: int = 0,
    temperature: float = 1.0,
    labels: np.ndarray | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of consecutive batches of real clips to clips between their endpoints.

    Args:
        model: An `InBetween`.
        batch: Largest number of clips in one call.
        seed: The noise of clip i of all batches depends on (seed, i) alone.
        temperature: Factor of the noise; 0 for the video of no noise.
        labels: The class of each clip of all batches, int `[N]`, for a model with classes; -1 and
            by default drawn.
    """

    def fill(clips: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        noise = noise_of_rows(model.noise_shapes(clips.shape[1]), rows, seed)
        noise = model.at_temperature(noise, temperature)
        if labels is not None and CATEGORY in noise:
            own = tf.gather(tf.constant(labels, tf.int64), rows)
            drawn = noise[CATEGORY]
            asked = tf.one_hot(own, drawn.shape[-1])
            noise = {**noise, CATEGORY: tf.where(own[:, None] < 0, drawn, asked)}
        return model.infill(as_floats(clips[:, 0]), as_floats(clips[:, -1]), noise, clips.shape[1])

    run, seen = _in_batches(fill, batch, "infilled"), 0

    def infill_next(clips: np.ndarray) -> np.ndarray:
        nonlocal seen
        first, seen = seen, seen + len(clips)
        return run(clips, np.arange(first, seen, dtype=np.int32))

    return infill_next


def reconstruction(model: Any, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function of at most `batch` clips to their reconstructions by an `Encoder`."""
    from_codes = isinstance(model, VideoGenerator)

    def reconstruct(clips: tf.Tensor) -> tf.Tensor:
        if from_codes:
            return model.decode(model.encode(clips)["codes"])
        return tf.clip_by_value(model.infer(as_floats(clips), None), -1.0, 1.0)

    return _in_batches(reconstruct, batch, "reconstructed")


def recall(model: Any, batch: int) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """A function of batches of the pipeline to the clips of their learned codes."""
    keys = ("index", "identity", "label")

    def recalled(*rows: tf.Tensor) -> tf.Tensor:
        codes = model.codes_at(dict(zip(keys, rows, strict=True)))
        return model.decode(model.latents_of(*codes))

    run = _in_batches(recalled, batch, "recalled")
    return lambda each: run(*(each[key] for key in keys))


def recombination(model: Any, batch: int, keep_motion: bool) -> Recombine:
    """A function of clips and seeds to clips with their content or motion drawn anew.

    Args:
        model: A model whose `encode` returns `"content"` `[B, D]`, `"motion"` `[B, T, E]` and
            `"codes"` `[B, T, D + E]` of the two, such as DSA.
        batch: Largest number of clips in one call.
        keep_motion: Keep the motion and draw the content; otherwise the reverse.
    """

    def recombine(clips: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        encoded, frames = model.encode(clips), clips.shape[1]
        drawn = model.codes(noise_of_seeds(model.noise_shapes(frames), seeds), frames)
        own, size = encoded["codes"], encoded["content"].shape[-1]
        content, motion = (drawn, own) if keep_motion else (own, drawn)
        return model.decode(tf.concat([content[..., :size], motion[..., size:]], axis=-1))

    return _in_batches(recombine, batch, "recombined")


def _in_batches(function: Callable, batch: int, what: str) -> Callable[..., np.ndarray]:
    """A function of at most `batch` rows of arrays, which runs as one graph of `batch` rows."""
    graph = over_devices(function)

    def run(*arrays: np.ndarray) -> np.ndarray:
        count = len(arrays[0])
        rows = np.minimum(np.arange(batch), count - 1)  # missing rows repeat the last one
        return _pixels(graph(*(tf.constant(each[rows]) for each in arrays)), what, count)

    return run


def _pixels(clips: tf.Tensor, what: str, count: int) -> np.ndarray:
    """uint8 of the first clips, after a check that all are finite."""
    return as_bytes(checked_clips(tf.cast(clips, tf.float32).numpy(), what))[:count]
