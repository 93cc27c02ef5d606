"""Noise from which a generator makes given videos, found by descent.

    min over z of  mean_t pyramid_loss(x_t, G(z)_t) + w |z|^2 / D

by Adam from several draws of z, of which the best one is kept for each video. The second term holds
z near the draws that the generator knows. Networks do not change. The `project.py` of StyleGAN-V
minimises a perceptual distance instead, by a network that is not at hand here. The Laplacian
pyramid of Bojanowski et al., "Optimizing the Latent Space of Generative Networks", ICML 2018,
compares coarse and fine structure alike.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.models.base.categories import CATEGORY

MOST_LEVELS = 4  # of the pyramid
DECAYS, EPSILON = (0.9, 0.99), 1e-8  # of Adam


def inverted_noise(
    model: Any,
    video: tf.Tensor,
    start: Mapping[str, tf.Tensor],
    steps: int,
    rate: float,
    weight: float,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """The noise that descent leads to, and how far its videos are from the given ones.

    Args:
        model: a `VideoGenerator`.
        video: float32 `[N, T, H, W, C]` in [-1, 1].
        start: named noise of N rows; the rate falls to 0 by a cosine. Classes stay.
        steps: of Adam, 0 or more.
        rate: of the first step.
        weight: w.

    Returns:
        Noise as `start`, and the loss without the second term, `[N]`.
    """
    levels = pyramid_levels(*video.shape[2:4])
    frames = video.shape[1]
    moving = [name for name in start if name != CATEGORY]

    def distance(noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        made = model.decode(model.codes(noise, frames))
        by_frame = losses.pyramid_loss(video, tf.cast(made, tf.float32), levels)  # [N, T]
        return tf.reduce_mean(by_frame, axis=1)

    @tf.function(autograph=False)
    def descend(start: dict, steps: tf.Tensor, rate: tf.Tensor):
        def update(step, noise, first, second):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(noise)
                squares = [losses.per_row(tf.square(noise[name])) for name in moving]
                loss = tf.reduce_sum(distance({**start, **noise}) + weight * tf.add_n(squares))
            gradients = tape.gradient(loss, noise, unconnected_gradients="zero")
            one, two = DECAYS
            first = {n: one * first[n] + (1.0 - one) * g for n, g in gradients.items()}
            second = {n: two * second[n] + (1.0 - two) * g * g for n, g in gradients.items()}
            now = rate * 0.5 * (1.0 + tf.cos(np.pi * (step - 1.0) / steps))
            root = {n: tf.sqrt(each / (1.0 - two**step)) for n, each in second.items()}
            mean = {n: each / (1.0 - one**step) for n, each in first.items()}
            moved = {n: x - now * mean[n] / (root[n] + EPSILON) for n, x in noise.items()}
            return step + 1.0, moved, first, second

        noise = {name: start[name] for name in moving}
        zeros = {name: tf.zeros_like(value) for name, value in noise.items()}
        state = (tf.constant(1.0), noise, zeros, dict(zeros))
        found = tf.while_loop(lambda step, *_: step <= steps, update, state)[1]
        found = {**start, **found}
        return found, distance(found)

    # Traced anew each time: the model may have another prior than before.
    given = dict(start), tf.constant(float(steps)), tf.constant(float(rate))
    return descend.get_concrete_function(*given)(*given)


def pyramid_levels(height: int, width: int) -> int:
    """The most bands of a pyramid of frames of some size, at most four.

    Raises:
        ValueError: a side is odd.
    """
    levels = MOST_LEVELS
    while levels > 1 and (height % 2**levels or width % 2**levels):
        levels -= 1
    losses.check_levels(height, width, levels)
    return levels


def best_rows(noise: Mapping[str, tf.Tensor], loss: tf.Tensor, starts: int) -> dict[str, tf.Tensor]:
    """Of `[B * starts, ...]` rows, those of one video in succession, the one of the least loss."""
    by_video = tf.reshape(loss, [-1, starts])
    rows = tf.argmin(by_video, axis=1, output_type=tf.int32)
    rows += starts * tf.range(tf.shape(by_video)[0])
    return {name: tf.gather(value, rows) for name, value in noise.items()}
