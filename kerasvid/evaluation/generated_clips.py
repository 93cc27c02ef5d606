"""What a model makes, in batches of one size through one graph, as metrics take it: any number.

A model's verbs run layer by layer; a graph that is traced once makes the same clips several times
faster. Clips are checked before they become bytes, where what is not finite would turn black.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.evaluation.metrics.clip_batches import as_bytes, checked_clips
from kerasvid.evaluation.metrics.disentanglement import Recombine
from kerasvid.models.base.row_noise import noise_of_rows, noise_of_seeds


def generated_clips(
    model: keras.Model, batch: int, frames: int | None = None, seed: int = 0
) -> Iterator[np.ndarray]:
    """New clips without an end: uint8 `[B, T, H, W, C]`, clip i the row i of `model.generate`.

    Args:
        model: with `codes` and `decode`.
        batch: B of every batch; what a clip shows does not depend on it.
        frames: T; the model's own length where `None`.
        seed: any integer; clip i depends on (seed, i) alone.

    Raises:
        ValueError: the model cannot make clips of that length, or what it makes is not finite.

    Example:
        >>> real = (b["video"].numpy() for b in make_pipeline("data/sprites", "test", repeat=False))
        >>> frechet_video_distance(real, generated_clips(model, 32), features, 624, "test")
    """
    shapes = model.noise_shapes(model.frames if frames is None else frames)
    return _made(model, lambda noise: model.decode(model.codes(noise)), shapes, batch, seed)


def generated_images(model: keras.Model, batch: int, seed: int = 0) -> Iterator[np.ndarray]:
    """New images without an end as clips of one frame, image i the row i of `generate_images`.

    Args:
        model: with `image_of`, such as RJVAE, RJGAN or the image GAN.
        batch, seed: as `generated_clips`.
    """
    return _made(model, lambda n: model.image_of(n)[:, None], model.noise_shapes(1), batch, seed)


def _made(model, function: Callable, shapes: dict, batch: int, seed: int) -> Iterator[np.ndarray]:
    """Batches of the rows 0 .. B - 1, B .. 2 B - 1, ... of named noise, through a function."""
    if hasattr(model, "refresh_gaussians"):
        model.refresh_gaussians()

    @_in_a_graph
    def make(first: tf.Tensor) -> tf.Tensor:
        noise = noise_of_rows(shapes, first + tf.range(batch), seed)
        return tf.cast(function(noise), tf.float32)

    def batches() -> Iterator[np.ndarray]:
        first = 0
        while True:
            yield _pixels(make(tf.constant(first)), "generated")
            first += batch

    return batches()


def infilled_clips(
    model: keras.Model,
    batches: Iterable[np.ndarray],
    batch: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> Iterator[np.ndarray]:
    """What a model makes between the ends of real clips: uint8 of the shape of each batch.

    Args:
        model: with `infill`, such as CVAE.
        batches: uint8 `[N, T, H, W, C]` each, N at most `batch`.
        batch, seed, temperature: as `filling`.
    """
    fill, first = filling(model, batch, seed, temperature), 0
    for clips in batches:
        yield fill(clips, first)
        first += len(clips)


def filling(
    model: keras.Model, batch: int, seed: int = 0, temperature: float = 1.0
) -> Callable[[np.ndarray, int], np.ndarray]:
    """A function of clips, and of the number of the first one, to what is made between their ends.

    Args:
        model: with `infill`, such as CVAE.
        batch: clips that go through the graph at a time, at most.
        seed: the noise of clip i of a stream depends on (seed, i) alone.
        temperature: of the noise, 0 for the best guess.

    Raises:
        ValueError: what is made is not finite; when it is called.
    """

    @_in_a_graph
    def fill(clips: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        noise = noise_of_rows(model.noise_shapes(clips.shape[1]), first + tf.range(batch), seed)
        noise = {name: temperature * value for name, value in noise.items()}
        ends = as_floats(clips[:, 0]), as_floats(clips[:, -1])
        return tf.cast(model.infill(*ends, noise, clips.shape[1]), tf.float32)

    def of_clips(clips: np.ndarray, first: int) -> np.ndarray:
        return _pixels(fill(_full(clips, batch), tf.constant(first)), "filled-in")[: len(clips)]

    return of_clips


def reconstruction(model: keras.Model, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function of clips to what a model with an encoder makes of them, in one graph.

    Args:
        model: with `encode` and `decode`, or with `infer`, as those of variational families.
        batch: clips that go through the graph at a time, at most.
    """

    @_in_a_graph
    def again(clips: tf.Tensor) -> tf.Tensor:
        if hasattr(model, "decode"):
            return tf.cast(model.decode(model.encode(clips)["codes"]), tf.float32)
        shown = model.infer(as_floats(clips), None)
        return tf.cast(tf.clip_by_value(shown, -1.0, 1.0), tf.float32)

    return lambda clips: _pixels(again(_full(clips, batch)), "reconstructed")[: len(clips)]


def recall(model: keras.Model, batch: int) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """A function of batches of the pipeline to the clips of their learned codes, in one graph."""
    keys = ("index", "identity", "label")

    @_in_a_graph
    def recalled(*rows: tf.Tensor) -> tf.Tensor:
        codes = model.codes_at(dict(zip(keys, rows, strict=True)))
        return tf.cast(model.decode(model.latents_of(*codes)), tf.float32)

    def of_batch(each: Mapping[str, np.ndarray]) -> np.ndarray:
        rows = (_full(each[key], batch) for key in keys)
        return _pixels(recalled(*rows), "recalled")[: len(each["video"])]

    return of_batch


def recombination(model: keras.Model, batch: int, keep_motion: bool) -> Recombine:
    """As `redrawn_content` (`keep_motion`) or `redrawn_motion` of a model, in one graph.

    Args:
        model: with codes of content and motion apart, such as DSA.
        batch: clips that go through the graph at a time, at most.
        keep_motion: draw the content anew, or else the motion.
    """

    @_in_a_graph
    def recombine(clips: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        encoded = model.encode(clips)
        drawn = model.codes(noise_of_seeds(model.noise_shapes(clips.shape[1]), seeds))
        own, size = encoded["codes"], encoded["content"].shape[-1]
        content, motion = (drawn, own) if keep_motion else (own, drawn)
        codes = tf.concat([content[..., :size], motion[..., size:]], axis=-1)
        return tf.cast(model.decode(codes), tf.float32)

    def of_clips(clips: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        made = recombine(_full(clips, batch), _full(np.asarray(seeds, np.int64), batch))
        return _pixels(made, "recombined")[: len(clips)]

    return of_clips


def _in_a_graph(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """A function of tensors, traced once for each of their shapes."""
    graphs: dict[tuple, Callable] = {}

    def call(*tensors: tf.Tensor) -> tf.Tensor:
        specs = tuple(tf.TensorSpec(each.shape, each.dtype) for each in tensors)
        if specs not in graphs:
            graphs[specs] = tf.function(function, autograph=False).get_concrete_function(*specs)
        return graphs[specs](*tensors)

    return call


def _full(rows: np.ndarray, batch: int) -> tf.Tensor:
    """Rows of a batch of a fixed size; what is missing repeats the last, to be cut off again."""
    return tf.constant(rows[np.minimum(np.arange(batch), len(rows) - 1)])


def _pixels(clips: tf.Tensor, what: str) -> np.ndarray:
    """uint8 of clips that are finite.

    Raises:
        ValueError: some pixels are not.
    """
    return as_bytes(checked_clips(clips.numpy(), what))
