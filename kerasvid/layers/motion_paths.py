"""Motion between two frames: where every part of them is at each time, along curved paths.

A frame is divided into N cells. A cell of the first frame moves, from time s = 0 to 1, by

    s F + sum_p sin(p pi s) c_p

with the displacement F to where it is found in the last frame, and a curve c that is 0 at both ends
and depends on a latent vector, which also corrects F a little. A cell of the last frame goes its
own way back, with 1 - s for s in the first term. Both frames are then drawn at a time: each pixel
takes the displacement of the cells that are there, the important ones before the others, and the
colour of where it came from.

Coarse to fine: cells are compared all with all, so that a thing is found wherever it went;
convolutions refine what was found; a decoder of pixels may add to it (`endpoints.composed`).

Matching all positions by a softmax: Xu, Zhang, Cai, Rezatofighi, Tao, "GMFlow: Learning Optical
Flow via Global Matching", CVPR 2022. Drawing forward by importance: Niklaus, Liu, "Softmax
Splatting for Video Frame Interpolation", CVPR 2020; here whole cells are drawn, by products of
matrices, so that no graph holds a scatter. The curves and their training are this library's.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasvid.layers.recurrent import repeated
from kerasvid.naming import KeepsArguments

SPREAD = 1.5  # cells: how far a cell reaches around its centre
LARGEST_LOG_IMPORTANCE = 4.0
LEAST_IMPORTANCE = 1e-3  # of what arrives at a pixel, in the mean of displacements
# At first: the scale of the cosine of two learned keys; what the mean square of the difference of
# the colours around two cells takes from their logit, and that of their distance in cells.
SHARPNESS, LIKENESS, NEARNESS = 30.0, 10.0, 0.036
REFINEMENT, CURVE = 0.1, 0.25  # what an output of 1 stands for, as a share of a side
MISMATCH = 8.0  # pixels that a difference of 1 in colour counts as


@dataclasses.dataclass(frozen=True)
class CellPaths:
    """The paths of the N cells of one frame, in pixels, (y, x).

    Args:
        displacements: F, to the place in the other frame, `[B, N, 2]`.
        curves: c_p, `[B, N, P, 2]`.
        log_importance: `[B, N, 1]`.
        from_last: whether the cells are those of the last frame, and not of the first.
    """

    displacements: tf.Tensor
    curves: tf.Tensor
    log_importance: tf.Tensor
    from_last: bool

    def at(self, times: tf.Tensor) -> tf.Tensor:
        """How far cells have moved at times `[B, T]`, in pixels: `[B, T, N, 2]`."""
        share = (1.0 - times if self.from_last else times)[:, :, None, None]
        waves = np.pi * np.arange(1.0, self.curves.shape[2] + 1.0, dtype=np.float32)
        bent = tf.einsum("btp,bnpk->btnk", tf.sin(waves * times[:, :, None]), self.curves)
        return share * self.displacements[:, None] + bent


class Arrival(NamedTuple):
    """What of one frame arrives at each pixel at a time.

    Args:
        displacement: mean displacement of the cells that arrive, in pixels, `[B, T, H, W, 2]`.
        importance: the sum of theirs, `[B, T, H, W, 1]`, 0 where nothing arrives.
    """

    displacement: tf.Tensor
    importance: tf.Tensor


@keras.saving.register_keras_serializable(package="kerasvid")
class MotionPaths(KeepsArguments, keras.layers.Layer):
    """The paths of the cells of two frames, of which one vector chooses among possible curves.

    Args:
        image_shape: `(H, W, C)`.
        cell: side of a cell in pixels, 2 or more.
        waves: P, waves of a curve: 1 makes an arc, more may turn.
        channels: widths of the convolutions that make features of cells.
        units: width of the layers that make curves and refine displacements.

    Call: latents `[B, D]`, first and last `[B, H, W, C]` in [-1, 1] -> the `CellPaths` of both.

    Raises:
        ValueError: a number is too small or not whole, or H or W is not a multiple of `cell`.

    Example:
        >>> motion = MotionPaths((32, 32, 3), cell=4)
        >>> paths = motion(tf.zeros([2, 8]), first, last)
        >>> paths[0].displacements.shape
        TensorShape([2, 64, 2])
        >>> motion.arrivals(paths[0], times).displacement.shape  # of times [2, 5]
        TensorShape([2, 5, 32, 32, 2])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        cell: int = 4,
        waves: int = 3,
        channels: Sequence[int] = (64, 64, 64, 64),
        units: int = 128,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # places stay float32
        for name, value in {"cell": cell, "waves": waves, "units": units}.items():
            least = 2 if name == "cell" else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"motion.{name}={value!r} must be a whole number from {least}.")
        if not channels:
            raise ValueError(f"motion.channels={channels!r} must have one width or more.")
        self.image_shape, self.cell, self.waves = tuple(image_shape), cell, waves
        self.channels, self.units = tuple(channels), units
        height, width = self.image_shape[:2]
        if height % cell or width % cell:
            raise ValueError(
                f"motion.cell={cell}: frames of {height}x{width} pixels are not made of whole "
                "cells. Use a number that divides both sides."
            )
        self.grid = height // cell, width // cell

        # === Networks ===
        policy = self.dtype_policy

        def convolution(filters: int) -> keras.layers.Conv2D:
            return keras.layers.Conv2D(filters, 3, padding="same", dtype=policy)

        self.convolutions = [convolution(filters) for filters in self.channels]
        self.key_layer = keras.layers.Dense(self.channels[-1], use_bias=False, dtype=policy)
        self.latent_layers = [keras.layers.Dense(units, dtype=policy) for _ in range(2)]
        self.curve_layer = keras.layers.Dense(2 * waves, dtype="float32")
        self.refining = [convolution(units) for _ in range(2)]
        small = keras.initializers.VarianceScaling(0.01)
        self.cell_layer = keras.layers.Dense(
            4 + 2 * waves, kernel_initializer=small, dtype="float32"
        )
        scales = {"sharpness": SHARPNESS, "likeness": LIKENESS, "nearness": NEARNESS}
        self.log_sharpness, self.log_likeness, self.log_nearness = (
            self.add_weight((), keras.initializers.Constant(math.log(value)), name=f"log_{name}",
                            dtype="float32", autocast=False)
            for name, value in scales.items()
        )  # fmt: skip

    def call(
        self, latents: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> tuple[CellPaths, CellPaths]:
        count = math.prod(self.grid)
        side = tf.constant(self.image_shape[:2], tf.float32)
        features = self.features(tf.concat([first, last], axis=0))  # [2 B, N, D]
        of_first, of_last = tf.split(features, 2, axis=0)
        others = tf.concat([of_last, of_first], axis=0)
        keys = self.keys(tf.concat([first, last], axis=0), features)
        key_first, key_last = tf.split(keys, 2, axis=0)
        displacements, matches = self.found(keys, tf.concat([key_last, key_first], axis=0))
        met = tf.matmul(tf.cast(matches, others.dtype), others)  # the features of what was found

        hidden = tf.cast(latents, self.compute_dtype)
        for layer in self.latent_layers:
            hidden = tf.nn.leaky_relu(layer(hidden))  # [B, U]
        hidden = tf.concat([hidden, hidden], axis=0)
        whole = self.curve_layer(tf.cast(hidden, tf.float32))  # [2 B, 2 P]: of all that moves
        ends = tf.zeros_like(of_first[..., :1]), tf.ones_like(of_last[..., :1])
        parts = [features, met, tf.cast(displacements / side, features.dtype), tf.concat(ends, 0)]
        x = tf.concat([*parts, repeated(hidden, count)], axis=-1)
        x = tf.reshape(x, [-1, *self.grid, x.shape[-1]])
        for convolution in self.refining:
            x = tf.nn.leaky_relu(convolution(x))
        x = tf.reshape(self.cell_layer(tf.cast(x, tf.float32)), [-1, count, 4 + 2 * self.waves])
        refined, importance, share, own = tf.split(x, [2, 1, 1, 2 * self.waves], axis=-1)

        displacements += REFINEMENT * side * refined
        curves = tf.sigmoid(share) * whole[:, None] + own  # [2 B, N, 2 P]
        curves = CURVE * side * tf.reshape(curves, [-1, count, self.waves, 2])
        importance = LARGEST_LOG_IMPORTANCE * tf.tanh(importance)
        displacements, curves, importance = (
            tf.split(each, 2, axis=0) for each in (displacements, curves, importance)
        )
        return (
            CellPaths(displacements[0], curves[0], importance[0], from_last=False),
            CellPaths(displacements[1], curves[1], importance[1], from_last=True),
        )

    # === Matching ===

    def centres(self) -> np.ndarray:
        """The centres of the cells in pixels, (y, x): float32 `[N, 2]`."""
        y, x = (self.cell * (np.arange(count) + 0.5) - 0.5 for count in self.grid)
        return np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)

    def features(self, frames: tf.Tensor) -> tf.Tensor:
        """Features of the cells of frames: `[M, H, W, C] -> [M, N, D]`."""
        x = tf.nn.space_to_depth(tf.cast(frames, self.compute_dtype), self.cell)
        for convolution in self.convolutions:
            y = tf.nn.leaky_relu(convolution(x))
            x = x + y if x.shape[-1] == y.shape[-1] else y
        return tf.reshape(x, [-1, math.prod(self.grid), x.shape[-1]])

    def keys(self, frames: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """What cells are compared by: a learned key of norm 1, and the colours around.

        Colours are known before anything is learned: the mean of each cell and of its neighbours.

        Args:
            frames: `[M, H, W, C]`.
            features: of the same frames, `[M, N, D]`.

        Returns:
            float32 `[M, N, D + 9 C]`.
        """
        learned = tf.math.l2_normalize(tf.cast(self.key_layer(features), tf.float32), axis=-1)
        means = tf.nn.avg_pool2d(frames, self.cell, self.cell, "VALID")  # [M, h, w, C]
        means = tf.pad(means, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
        height, width = self.grid
        around = [means[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
        around = tf.concat(around, axis=-1)
        around = tf.reshape(around, [-1, height * width, around.shape[-1]])
        return tf.concat([learned, around], axis=-1)

    def logits(self, keys: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """How like each cell is to each cell of another frame, `[M, N, N]`."""
        size = self.channels[-1]
        cosine = tf.matmul(keys[..., :size], others[..., :size], transpose_b=True)
        around, other = keys[..., size:], others[..., size:]
        squares = [tf.reduce_mean(tf.square(each), axis=-1) for each in (around, other)]
        products = tf.matmul(around, other, transpose_b=True) / around.shape[-1]
        unlike = squares[0][:, :, None] + squares[1][:, None] - 2.0 * products
        sharp, like = (tf.exp(tf.convert_to_tensor(each))
                       for each in (self.log_sharpness, self.log_likeness))  # fmt: skip
        return sharp * cosine - like * unlike

    def found(
        self, keys: tf.Tensor, others: tf.Tensor, frames: int = 1
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the cells of a frame are in other ones.

        A cell within a thing of one colour is found all over that thing, in its own frame as well
        as in the other: the difference of the two mean places is how far the thing went.

        Args:
            keys: of the cells, `[M, N, D]`, see `keys`.
            others: of so many other `frames` for each, one after the other, `[M * frames, N, D]`.

        Returns:
            Displacements in pixels `[M * frames, N, 2]`, and how likely each cell is found in each
            of the other frame, of sum 1, `[M * frames, N, N]`.
        """
        own = self._mean_places(self._matches(keys, keys))  # [M, N, 2]
        if frames > 1:
            own, keys = tf.repeat(own, frames, axis=0), tf.repeat(keys, frames, axis=0)
        matches = self._matches(keys, others)
        return self._mean_places(matches) - own, matches

    def _matches(self, keys: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """How likely each cell of a frame is each of another one, near ones first: `[M, N, N]`."""
        centres = self.centres()
        squares = np.square((centres[:, None] - centres[None]) / self.cell).sum(axis=-1)  # [N, N]
        far = tf.exp(tf.convert_to_tensor(self.log_nearness)) * squares
        return tf.nn.softmax(self.logits(keys, others) - far, axis=-1)

    def _mean_places(self, matches: tf.Tensor) -> tf.Tensor:
        return tf.einsum("mij,jk->mik", matches, tf.constant(self.centres()))

    def curve_of(self, video: tf.Tensor) -> tf.Tensor:
        """The curve of what moves in clips, as the latent vector of a posterior can tell it.

            a_p = 2 / (T - 1) sum_t sin(p pi s_t) (d_t - s_t d_T)

        with the mean displacement d_t of the cells of the first frame to where they are found in
        frame t: each counts by how far that is, and by how it differs from what is at its place
        there. No gradient flows.

        Args:
            video: `[B, T, H, W, C]`, T at least 2.

        Returns:
            a of all P waves, in eighths of a side, `[B, 2 P]`.
        """
        frames, count = video.shape[1], math.prod(self.grid)
        shown = tf.reshape(video, [-1, *self.image_shape])  # [B T, H, W, C]
        colours = tf.reshape(self._colours(shown), [-1, frames, count, self._colours_size()])
        keys = self.keys(shown, self.features(shown))  # [B T, N, D]
        first = tf.reshape(keys, [-1, frames, count, keys.shape[-1]])[:, 0]
        found, _ = self.found(first, keys, frames)
        found = tf.reshape(found, [-1, frames, count, 2])
        weights = tf.reduce_mean(tf.abs(colours - colours[:, :1]), axis=-1)
        weights *= tf.norm(found, axis=-1)
        moved = tf.reduce_sum(weights[..., None] * found, axis=2)  # [B, T, 2]
        moved /= tf.reduce_sum(weights, axis=2)[..., None] + 1e-3
        times = np.linspace(0.0, 1.0, frames, dtype=np.float32)
        bent = moved - times[:, None] * moved[:, -1:]
        waves = np.sin(np.pi * times * np.arange(1.0, self.waves + 1.0)[:, None])  # [P, T]
        share = tf.einsum("pt,btk->bpk", tf.constant(2.0 / (frames - 1) * waves, tf.float32), bent)
        share /= 0.125 * tf.constant(self.image_shape[:2], tf.float32)
        return tf.stop_gradient(tf.reshape(share, [-1, 2 * self.waves]))

    def track_error(
        self,
        paths: Sequence[CellPaths],
        ends: Sequence[tf.Tensor],
        between: tf.Tensor,
        times: tf.Tensor,
    ) -> tf.Tensor:
        """How far paths pass by the places where cells are found in true frames, in pixels.

            sum over frames and mean over both ends and their cells of
                |moved - found| + MISMATCH |x - x_found|

        with the displacements of a path and of the match, and the colours of a cell and the mean of
        those that it is found in. A cell counts as much as it differs from what is at its place in
        the true frame; in the second term this is one half, and all cells alike the other. The
        first term moves paths to where cells are found, also where a thing is far from its place,
        and not the places; the second trains what they are found by.

        Args:
            paths: of the cells of both frames.
            ends: the two frames, `[B, H, W, C]`.
            between: true frames `[B, K, H, W, C]` at `times`, `[B, K]`.

        Returns:
            `[B]`.
        """
        frames, count = between.shape[1], math.prod(self.grid)
        shown = tf.reshape(between, [-1, *self.image_shape])  # [B K, H, W, C]
        shown_colours, shown_keys = self._colours(shown), self.keys(shown, self.features(shown))
        total = tf.zeros_like(times[:, 0])
        for end, own in zip(ends, paths, strict=True):
            colours = tf.repeat(self._colours(end), frames, axis=0)  # [B K, N, D]
            found, matches = self.found(self.keys(end, self.features(end)), shown_keys, frames)
            differs = tf.reduce_mean(tf.abs(shown_colours - colours), axis=-1)  # [B K, N]
            weights = differs / (tf.reduce_sum(differs, axis=1, keepdims=True) + 1e-3)
            goal = tf.reshape(tf.stop_gradient(found), [-1, frames, count, 2])
            missed = tf.reduce_sum(tf.square(own.at(times) - goal), axis=-1)
            missed = tf.reshape(tf.sqrt(missed + 1.0) - 1.0, [-1, count])  # smooth at 0
            unlike = tf.matmul(matches, shown_colours) - colours
            unlike = tf.reduce_mean(tf.abs(unlike), axis=-1)
            errors = weights * missed + 0.5 * (weights + 1.0 / count) * MISMATCH * unlike
            total += 0.5 * tf.reduce_sum(tf.reshape(errors, [-1, frames * count]), axis=1)
        return total

    def _colours(self, frames: tf.Tensor) -> tf.Tensor:
        """The pixels of every cell side by side: `[M, H, W, C] -> [M, N, cell * cell * C]`."""
        cells = tf.nn.space_to_depth(frames, self.cell)
        return tf.reshape(cells, [-1, math.prod(self.grid), self._colours_size()])

    def _colours_size(self) -> int:
        return self.cell**2 * self.image_shape[-1]

    # === Drawing ===

    def arrivals(self, paths: CellPaths, times: tf.Tensor) -> Arrival:
        """What arrives at each pixel at times `[B, T]`, of the cells of one frame."""
        height, width = self.image_shape[:2]
        moved = paths.at(times)  # [B, T, N, 2]
        places, reach = self.centres() + moved, SPREAD * self.cell
        down = tents(places[..., 0], height, reach)  # [B, T, N, H]
        across = tents(places[..., 1], width, reach)  # [B, T, N, W]
        importance = tf.exp(paths.log_importance)[:, None]  # [B, 1, N, 1]
        carried = importance * tf.concat([tf.ones_like(moved[..., :1]), moved], axis=-1)
        # The sum over cells of down(y) across(x) carried, as one product of matrices a frame.
        count = moved.shape[2]
        weighted = across[..., None] * carried[:, :, :, None]  # [B, T, N, W, 3]
        sums = tf.matmul(
            tf.reshape(down, [-1, count, height]),
            tf.reshape(weighted, [-1, count, 3 * width]),
            transpose_a=True,
        )
        sums = tf.reshape(sums, [-1, times.shape[1], height, width, 3])
        total = sums[..., :1]
        return Arrival(sums[..., 1:] / (total + LEAST_IMPORTANCE), total)


def tents(places: tf.Tensor, length: int, reach: float) -> tf.Tensor:
    """How near each of `length` pixels is to places `[...]`, from 1 to 0: `[..., length]`."""
    pixels = tf.range(length, dtype=tf.float32)
    return tf.nn.relu(1.0 - tf.abs(pixels - places[..., None]) / reach)
