"""What models of the frames between two given ones share: codes of the ends, frames in between.

A frame has a times s in its clip, 0 for the first and 1 for the last. A decoder that is told the
times, and nothing of the number of frames, makes clips of any length.

Frames put together from two given ones: moved, blended, and drawn over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder
from kerasvid.layers.recurrent import over_frames

WAVES = 4  # half waves over the clip that tell a times beside the times itself


def check_endpoints(frames: int) -> None:
    """Refuses clips of fewer than two frames, which have not two ends.

    Raises:
        ValueError: there are fewer.
    """
    if frames < 2:
        raise ValueError(f"frames={frames} must be at least 2: both ends are included.")


def frame_times(batch: tf.Tensor | int, frames: int) -> tf.Tensor:
    """The frame_times of all frames of clips, exactly 0 and 1 at their ends: `[B, T]`.

    Raises:
        ValueError: `frames` is less than 2.
    """
    check_endpoints(frames)
    row = tf.range(frames, dtype=tf.float32) / (frames - 1.0)
    return tf.repeat(row[None], batch, axis=0)


def place_features(times: tf.Tensor) -> tf.Tensor:
    """A times as a decoder is told it, itself and waves of it: `[...] -> [..., 1 + 2 WAVES]`."""
    angles = np.pi * tf.range(1.0, WAVES + 1.0) * times[..., None]  # [..., WAVES]
    return tf.concat([2.0 * times[..., None] - 1.0, tf.sin(angles), tf.cos(angles)], axis=-1)


def straight(first: tf.Tensor, last: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """The linear interpolation (1 - s) x_1 + s x_T.

    Args:
        first, last: `[B, H, W, C]`.
        times: s, `[B, T]`.

    Returns:
        `[B, T, H, W, C]`, with s = 0 and s = 1 exactly the ends.
    """
    s = times[:, :, None, None, None]  # [B, T, 1, 1, 1]
    return (1.0 - s) * first[:, None] + s * last[:, None]


def with_exact_ends(
    frames: tf.Tensor, first: tf.Tensor, last: tf.Tensor, times: tf.Tensor
) -> tf.Tensor:
    """Frames `[B, T, H, W, C]` that turn into the given ends at their frame_times.

        g x + (1 - g) [(1 - s) x_1 + s x_T],  g = 1 - (2 s - 1)^64

    g is 0 at the ends, and more than 0.98 between s = 0.03 and 0.97: of the frames next to the ends
    a clip of 30 keeps all, one of 100 three quarters.
    """
    power = 2.0 * times - 1.0
    for _ in range(6):
        power = tf.square(power)  # exactly 1 at both ends, unlike powers on some devices
    gate = (1.0 - power)[:, :, None, None, None]
    return gate * frames + (1.0 - gate) * straight(first, last, times)


@keras.saving.register_keras_serializable(package="kerasvid")
class EndpointsEncoder(keras.layers.Layer):
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

    def get_config(self) -> dict:
        own = {"endpoints_dim": self.endpoints_dim, "encoder": self.encoder_arguments}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasvid")
class TimedDecoder(keras.layers.Layer):
    """Frames of a clip from one latent vector, each told its times.

    The vector is multiplied once a clip and not once a frame: the layer that joins it with the
    times adds the two.

    Args:
        image_shape: `(H, W, C)`.
        hidden_units: width of that layer.
        warping: put frames together from the two ends (`composed`), or draw them alone.
        exact_endpoints: turn into the ends at their frame_times (`with_exact_ends`).
        moving_cell: side in pixels of what is moved as one when warping; 1 moves single pixels.
        bounded: draw colours through a tanh; linear ones learn better from squared errors.
        decoder: arguments of `FrameDecoder`, without `image_shape`.

    Call: latents `[B, D]`, times `[B, T]`, first and last `[B, H, W, C]` -> `[B, T, H, W, C]`
    float32, trained towards [-1, 1].

    Raises:
        ValueError: the decoder's factors, or whole cells, do not fit the image size.
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
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # frame_times and frames stay float32
        self.image_shape, self.hidden_units = tuple(image_shape), hidden_units
        self.warping, self.exact_endpoints, self.bounded = warping, exact_endpoints, bounded
        self.moving_cell = checked_cell(moving_cell, self.image_shape)
        self.decoder_arguments = dict(decoder or {})

        # === Networks ===
        policy, (height, width, colors) = self.dtype_policy, self.image_shape
        self.latent_layer = keras.layers.Dense(hidden_units, dtype=policy)
        self.place_layer = keras.layers.Dense(hidden_units, use_bias=False, dtype=policy)
        raw_shape = (height, width, colors + EXTRA_CHANNELS * warping)
        self.decoder = FrameDecoder(raw_shape, **self.decoder_arguments, dtype=policy)

    def call(
        self,
        latents: tf.Tensor,
        times: tf.Tensor,
        first: tf.Tensor,
        last: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        told = self.place_layer(place_features(times))  # [B, T, units]
        hidden = tf.nn.leaky_relu(self.latent_layer(latents)[:, None] + told)
        frames = over_frames(self.decoder, hidden, training=training)
        if self.bounded:
            colors = self.image_shape[-1]
            frames = tf.concat([tf.tanh(frames[..., :colors]), frames[..., colors:]], axis=-1)
        if self.warping:
            frames = composed(frames, first, last, times, self.moving_cell)
        return with_exact_ends(frames, first, last, times) if self.exact_endpoints else frames

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "hidden_units": self.hidden_units,
            "warping": self.warping,
            "exact_endpoints": self.exact_endpoints,
            "moving_cell": self.moving_cell,
            "bounded": self.bounded,
            "decoder": self.decoder_arguments,
        }
        return {**super().get_config(), **own}


def checked_cell(cell: int, image_shape: Sequence[int]) -> int:
    """The side of what is moved as one.

    Raises:
        ValueError: it is no whole number of pixels, or the frames are not made of whole cells.
    """
    height, width = image_shape[:2]
    if isinstance(cell, bool) or not isinstance(cell, int) or cell < 1:
        raise ValueError(f"moving_cell={cell!r} must be a whole number of pixels, 1 or more.")
    if height % cell or width % cell:
        raise ValueError(
            f"moving_cell={cell} does not divide frames of {height}x{width}: use a divisor of both."
        )
    return cell


# Beside the colours that are drawn: two displacements, a visibility of each end, and a cover.
EXTRA_CHANNELS = 2 + 2 + 2 + 1
# What outputs of a fresh decoder, about 1, stand for; all three learn at similar rates then.
REACH = 0.125  # a displacement, as a share of a side
UNCOVERED = -1.0  # the raw cover: a quarter of a pixel is drawn
LEAST_SEEN = 1e-3  # visibility, so that one end is always seen


def warped(images: tf.Tensor, displacement: tf.Tensor) -> tf.Tensor:
    """Images of which pixel (y, x) shows what lies at (y + dy, x + dx).

    Between pixels it is bilinear; beyond the border lies the border itself.

    Args:
        images: `[B, H, W, C]` float32.
        displacement: `[B, T, H, W, 2]` float32, (dy, dx) in pixels; each image is moved T times.

    Returns:
        `[B, T, H, W, C]`.

    Example:
        >>> right = tf.broadcast_to([0.0, -3.0], [1, 1, 8, 8, 2])  # shows what lay 3 pixels left
        >>> warped(images, right)[:, 0, :, 3:]  # images[:, :, :-3]
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
    # never count, but the slope of a displacement is their difference.
    padded = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]], mode="SYMMETRIC")
    quads = tf.concat(
        [padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]], axis=-1
    )
    frame_times = tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32)
    found = tf.gather(
        tf.reshape(quads, [-1, height * width, 4 * channels]),
        tf.reshape(frame_times, [-1, frames * height * width]),
        batch_dims=1,
    )
    found = tf.reshape(found, [-1, frames, height, width, 4 * channels])
    here, beside, below, across = tf.split(found, 4, axis=-1)
    upper = (1.0 - right) * here + right * beside
    lower = (1.0 - right) * below + right * across
    return (1.0 - down) * upper + down * lower


def coherent(displacement: tf.Tensor, cell: int) -> tf.Tensor:
    """Displacements that change smoothly from cell to cell, so that things move as a whole.

    The mean of each cell stands at its centre; between centres it is bilinear. Where every pixel
    moves by itself, each finds some times of the right colour, and things dissolve on their way.

    Args:
        displacement: `[B, T, H, W, 2]`.
        cell: side in pixels, a divisor of H and of W; 1 leaves them as they are.

    Returns:
        The same shape.
    """
    if cell == 1:
        return displacement
    frames, height, width = displacement.shape[1:4]
    cells = tf.nn.avg_pool2d(tf.reshape(displacement, [-1, height, width, 2]), cell, cell, "VALID")
    smooth = tf.image.resize(cells, [height, width], "bilinear")
    return tf.reshape(smooth, [-1, frames, height, width, 2])


def composed(
    raw: tf.Tensor, first: tf.Tensor, last: tf.Tensor, times: tf.Tensor, cell: int = 1
) -> tf.Tensor:
    """Frames from what a decoder says of them and the two ends of their clip.

        x = c d + (1 - c) [(1 - s) v_1 W(x_1, s f_1) + s v_T W(x_T, (1 - s) f_T)] / norm
        norm = (1 - s) v_1 + s v_T

    with colours d that are drawn, a cover c, displacements f of the ends (W moves them; no end
    moves in its own times) and their visibilities v in (0.001, 1), all pixel by pixel, as in Jiang
    et al., "Super SloMo", CVPR 2018; the cover is this library's. An output of zero is the linear
    interpolation of the ends, a quarter of it covered by grey. The ends are given: no gradient
    flows back into them.

    Args:
        raw: `[B, T, H, W, C + 7]` float32: d, (dy, dx) of f_1 and of f_T in eighths of a side, and
            the logits of v_1, v_T and, less 1, of c.
        first, last: `[B, H, W, C]` in [-1, 1].
        times: s of each frame, `[B, T]` in [0, 1].
        cell: of the displacements, see `coherent`.

    Returns:
        `[B, T, H, W, C]`.
    """
    colors = first.shape[-1]
    drawn, from_first, from_last, seen, cover = tf.split(raw, [colors, 2, 2, 2, 1], axis=-1)
    from_first, from_last = coherent(from_first, cell), coherent(from_last, cell)
    size = REACH * tf.constant([float(raw.shape[2]), float(raw.shape[3])])
    s = times[:, :, None, None, None]  # [B, T, 1, 1, 1]
    seen = LEAST_SEEN + (1.0 - LEAST_SEEN) * tf.sigmoid(seen)
    first, last = tf.stop_gradient(first), tf.stop_gradient(last)
    seen_first, seen_last = tf.split(seen, 2, axis=-1)
    weight_first, weight_last = (1.0 - s) * seen_first, s * seen_last
    moved = weight_first * warped(first, s * size * from_first)
    moved += weight_last * warped(last, (1.0 - s) * size * from_last)
    moved /= weight_first + weight_last
    cover = tf.sigmoid(cover + UNCOVERED)
    return cover * drawn + (1.0 - cover) * moved
