"""Layers for the frames between two given ones: codes of the endpoints, and timed frames.

A frame has a time s in its clip, 0 for the first and 1 for the last. A decoder of times makes clips
of any length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder
from kerasvid.layers.motion_paths import Arrival, CellPaths, MotionPaths
from kerasvid.layers.recurrent import over_frames
from kerasvid.naming import KeepsArguments

WAVES = 4  # half waves over the clip among the features of a time


def check_endpoints(frames: int) -> None:
    """Raises ValueError for clips of fewer than two frames."""
    if frames < 2:
        raise ValueError(f"frames={frames} must be at least 2: both endpoints are included.")


def frame_times(batch: tf.Tensor | int, frames: int) -> tf.Tensor:
    """The times of all frames of clips, exactly 0 and 1 at the endpoints: `[B, T]`, T >= 2."""
    check_endpoints(frames)
    row = tf.range(frames, dtype=tf.float32) / (frames - 1.0)
    return tf.repeat(row[None], batch, axis=0)


def time_features(times: tf.Tensor) -> tf.Tensor:
    """A decoder's features of times, the time and waves of it: `[...] -> [..., 1 + 2 WAVES]`."""
    angles = np.pi * tf.range(1.0, WAVES + 1.0) * times[..., None]  # [..., WAVES]
    return tf.concat([2.0 * times[..., None] - 1.0, tf.sin(angles), tf.cos(angles)], axis=-1)


def straight(first: tf.Tensor, last: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """(1 - s) x_1 + s x_T, `[B, T, H, W, C]`, of frames `[B, H, W, C]` at times s `[B, T]`.

    At s = 0 and s = 1 it is exactly the endpoints.
    """
    s = times[:, :, None, None, None]  # [B, T, 1, 1, 1]
    return (1.0 - s) * first[:, None] + s * last[:, None]


def with_exact_endpoints(
    frames: tf.Tensor, first: tf.Tensor, last: tf.Tensor, times: tf.Tensor
) -> tf.Tensor:
    """Frames `[B, T, H, W, C]` that are exactly the given ones at times 0 and 1.

        g x + (1 - g) [(1 - s) x_1 + s x_T],  g = 1 - (2 s - 1)^64

    g is 0 at the endpoints, and more than 0.98 between s = 0.03 and 0.97.
    """
    power = 2.0 * times - 1.0
    for _ in range(6):
        power = tf.square(power)  # exactly 1 at both endpoints, unlike `tf.pow` on some devices
    gate = (1.0 - power)[:, :, None, None, None]
    return gate * frames + (1.0 - gate) * straight(first, last, times)


@keras.saving.register_keras_serializable(package="kerasvid")
class EndpointsEncoder(KeepsArguments, keras.layers.Layer):
    """Codes of the first and the last frame of a clip, by one network for both.

    Args:
        endpoints_dim: E, size of the code of one frame.
        encoder: arguments of `FrameEncoder`.

    Call: two `[B, H, W, C]` -> `[B, 2 E]` float32, the codes side by side.
    """

    def __init__(self, endpoints_dim: int, encoder: Mapping[str, Any] | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.endpoints_dim, self.encoder_arguments = endpoints_dim, dict(encoder or {})
        self.encoder = FrameEncoder(**self.encoder_arguments, dtype=self.dtype_policy)
        self.head = keras.layers.Dense(endpoints_dim, dtype="float32")

    def call(self, first: tf.Tensor, last: tf.Tensor, training: bool = False) -> tf.Tensor:
        both = self.encoder(tf.concat([first, last], axis=0), training=training)  # [2 B, F]
        return tf.concat(tf.split(self.head(tf.cast(both, tf.float32)), 2, axis=0), axis=-1)


@keras.saving.register_keras_serializable(package="kerasvid")
class TimedDecoder(KeepsArguments, keras.layers.Layer):
    """Frames of a clip from one latent vector and the time of each, which a layer adds.

    Args:
        image_shape: `(H, W, C)`.
        hidden_units: width of that layer.
        warping: whether frames are put together from the two endpoints (`composed`), not drawn.
        exact_endpoints: whether the frames at times 0 and 1 are exactly the given ones.
        moving_cell: side in pixels of what moves as one when warping; 1 moves single pixels.
        bounded: whether colours pass a tanh; linear ones learn better from squared errors.
        decoder: arguments of `FrameDecoder`, without `image_shape`.
        motion: arguments of `MotionPaths`, without `image_shape`, whose paths the endpoints are
            moved along when warping; `None` for none.

    Call: latents `[B, D]`, times `[B, T]`, first and last `[B, H, W, C]`, and perhaps the paths of
    `paths` -> `[B, T, H, W, C]` float32, trained towards [-1, 1].

    Raises:
        ValueError: the decoder's factors, or whole cells, do not fit the image size, or there is
            `motion` without warping.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        hidden_units: int = 512,
        warping: bool = False,
        exact_endpoints: bool = False,
        moving_cell: int = 1,
        bounded: bool = False,
        decoder: Mapping[str, Any] | None = None,
        motion: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # times and frames stay float32
        self.image_shape, self.hidden_units = tuple(image_shape), hidden_units
        self.warping, self.exact_endpoints, self.bounded = warping, exact_endpoints, bounded
        self.moving_cell, self.decoder_arguments = moving_cell, dict(decoder or {})
        policy, (height, width, colors) = self.dtype_policy, self.image_shape
        whole = isinstance(moving_cell, int) and not isinstance(moving_cell, bool)
        if not whole or moving_cell < 1 or height % moving_cell or width % moving_cell:
            raise ValueError(
                f"moving_cell={moving_cell!r} must be a whole number of pixels, 1 or more, that "
                f"divides both sides of frames of {height}x{width}."
            )
        if motion is not None and not warping:
            raise ValueError("motion moves the endpoints: set warping=True, or motion=None.")
        self.motion_arguments = None if motion is None else dict(motion)

        # === Networks ===
        self.latent_layer = keras.layers.Dense(hidden_units, dtype=policy)
        self.time_layer = keras.layers.Dense(hidden_units, use_bias=False, dtype=policy)
        raw_shape = (height, width, colors + EXTRA_CHANNELS * warping)
        self.decoder = FrameDecoder(raw_shape, **self.decoder_arguments, dtype=policy)
        self.motion: MotionPaths | None = None
        if motion is not None:
            self.motion = MotionPaths(self.image_shape, **motion, dtype=policy)

    def paths(
        self, latents: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> tuple[CellPaths, CellPaths] | None:
        """The paths of the cells of both endpoints, or `None` where there is no `motion`."""
        return None if self.motion is None else self.motion(latents, first, last)

    def call(
        self,
        latents: tf.Tensor,
        times: tf.Tensor,
        first: tf.Tensor,
        last: tf.Tensor,
        training: bool = False,
        paths: Sequence[CellPaths] | None = None,
    ) -> tf.Tensor:
        timed = self.time_layer(time_features(times))  # [B, T, units]
        hidden = tf.nn.leaky_relu(self.latent_layer(latents)[:, None] + timed)
        frames = over_frames(self.decoder, hidden, training=training)
        if self.bounded:
            colors = self.image_shape[-1]
            frames = tf.concat([tf.tanh(frames[..., :colors]), frames[..., colors:]], axis=-1)
        if self.warping:
            arrivals: list[Arrival] = []
            if self.motion is not None:
                paths = paths or self.motion(latents, first, last)
                arrivals = [self.motion.arrivals(each, times) for each in paths]
            frames = composed(frames, first, last, times, self.moving_cell, arrivals)
        return with_exact_endpoints(frames, first, last, times) if self.exact_endpoints else frames


# Beside the drawn colours: two displacements, a visibility of each end, and a cover.
EXTRA_CHANNELS = 2 + 2 + 2 + 1
# What an output of 1, about that of a fresh decoder, stands for.
REACH = 0.125  # a displacement, as a share of a side
UNCOVERED = -1.0  # the raw cover: a quarter of a pixel is drawn
MOSTLY_UNCOVERED = -4.0  # with motion: a fiftieth of a pixel is drawn
EMPTY = 0.01  # the importance of drawn colours, where nothing of the endpoints arrives
MIN_VISIBILITY = 1e-3  # one end is always seen


def warped(images: tf.Tensor, displacement: tf.Tensor) -> tf.Tensor:
    """Images whose pixel (y, x) is that at (y + dy, x + dx), bilinear, the border continued.

    Args:
        images: `[B, H, W, C]` float32.
        displacement: `[B, T, H, W, 2]` float32, (dy, dx) in pixels; each image is moved T times.

    Returns:
        `[B, T, H, W, C]`.
    """
    height, width, channels = images.shape[1:]
    frames = displacement.shape[1]
    rows, columns = tf.meshgrid(
        tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij"
    )
    down, right = tf.unstack(displacement, axis=-1)  # [B, T, H, W]
    y = tf.clip_by_value(rows + down, 0.0, height - 1.0)
    x = tf.clip_by_value(columns + right, 0.0, width - 1.0)
    top, left = tf.stop_gradient(tf.floor(y)), tf.stop_gradient(tf.floor(x))
    down, right = (y - top)[..., None], (x - left)[..., None]  # in [0, 1)

    # A pixel with its three neighbours, so that one look-up finds all four. Beyond the border they
    # never count, but the gradient of a displacement is their difference.
    padded = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]], mode="SYMMETRIC")
    quads = tf.concat(
        [padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]], axis=-1
    )
    positions = tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32)
    found = tf.gather(
        tf.reshape(quads, [-1, height * width, 4 * channels]),
        tf.reshape(positions, [-1, frames * height * width]),
        batch_dims=1,
    )
    found = tf.reshape(found, [-1, frames, height, width, 4 * channels])
    here, beside, below, across = tf.split(found, 4, axis=-1)
    upper = (1.0 - right) * here + right * beside
    lower = (1.0 - right) * below + right * across
    return (1.0 - down) * upper + down * lower


def coherent(displacement: tf.Tensor, cell: int) -> tf.Tensor:
    """Displacements `[B, T, H, W, 2]`, smoothed over cells so that things move as a whole.

    The mean of each cell stands at its centre, and is interpolated between centres. The side `cell`
    in pixels divides H and W. Single pixels would each find a place of the right colour.
    """
    if cell == 1:
        return displacement

    def smooth(fields):
        cells = tf.nn.avg_pool2d(fields, cell, cell, "VALID")
        return tf.image.resize(cells, fields.shape[1:3], "bilinear")

    return over_frames(smooth, displacement)


def composed(
    raw: tf.Tensor,
    first: tf.Tensor,
    last: tf.Tensor,
    times: tf.Tensor,
    cell: int = 1,
    arrivals: Sequence[Arrival] = (),
) -> tf.Tensor:
    """Frames from the outputs of a decoder and the two endpoints of their clip.

        x = c d + (1 - c) [(1 - s) v_1 W(x_1, s f_1) + s v_T W(x_T, (1 - s) f_T)] / norm
        norm = (1 - s) v_1 + s v_T

    with drawn colours d, a cover c, displacements f of the endpoints (W moves them; none moves at
    its own time) and their visibilities v in (0.001, 1), all pixel by pixel, as in Jiang et al.,
    "Super SloMo", CVPR 2018; the cover is this library's. An output of zero is the linear
    interpolation, a quarter of it covered by grey. No gradient flows into the endpoints.

    With the arrivals of both endpoints their displacements m replace those of an output of zero,
    and their importances w weigh, also against drawn colours where nothing arrives:

        x = c d + (1 - c) [(1 - s) v_1 w_1 W(x_1, s f_1 - m_1)
                           + s v_T w_T W(x_T, (1 - s) f_T - m_T) + EMPTY d] / norm
        norm = (1 - s) v_1 w_1 + s v_T w_T + EMPTY

    Args:
        raw: `[B, T, H, W, C + 7]` float32: d, (dy, dx) of f_1 and of f_T in eighths of a side, and
            the logits of v_1, v_T and, less 1, of c.
        first, last: `[B, H, W, C]` in [-1, 1].
        times: s of each frame, `[B, T]` in [0, 1].
        cell: of the displacements, see `coherent`.
        arrivals: of the two endpoints, or none.
    """
    colors = first.shape[-1]
    drawn, from_first, from_last, seen, cover = tf.split(raw, [colors, 2, 2, 2, 1], axis=-1)
    from_first, from_last = coherent(from_first, cell), coherent(from_last, cell)
    size = REACH * tf.constant([float(raw.shape[2]), float(raw.shape[3])])
    s = times[:, :, None, None, None]  # [B, T, 1, 1, 1]
    seen = MIN_VISIBILITY + (1.0 - MIN_VISIBILITY) * tf.sigmoid(seen)
    first, last = tf.stop_gradient(first), tf.stop_gradient(last)
    seen_first, seen_last = tf.split(seen, 2, axis=-1)
    weight_first, weight_last = (1.0 - s) * seen_first, s * seen_last
    move_first, move_last = s * size * from_first, (1.0 - s) * size * from_last
    for_drawn, uncovered = 0.0, UNCOVERED
    if arrivals:
        of_first, of_last = arrivals
        move_first, move_last = move_first - of_first.displacement, move_last - of_last.displacement
        weight_first, weight_last = (
            weight_first * of_first.importance,
            weight_last * of_last.importance,
        )
        for_drawn, uncovered = EMPTY, MOSTLY_UNCOVERED
    moved = weight_first * warped(first, move_first) + weight_last * warped(last, move_last)
    moved = (moved + for_drawn * drawn) / (weight_first + weight_last + for_drawn)
    cover = tf.sigmoid(cover + uncovered)
    return cover * drawn + (1.0 - cover) * moved
