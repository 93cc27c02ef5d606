"""What models of the frames between two given ones share: codes of the ends, frames in between.

A frame has a place s in its clip, 0 for the first and 1 for the last. A decoder that is told the
place, and nothing of the number of frames, makes clips of any length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.layers.frame_networks import FrameDecoder, FrameEncoder
from kerasvid.layers.recurrent import over_frames
from kerasvid.layers.warping import EXTRA_CHANNELS, composed

WAVES = 4  # half waves over the clip that tell a place beside the place itself


def check_ends(frames: int) -> None:
    """Refuses clips of fewer than two frames, which have not two ends.

    Raises:
        ValueError: there are fewer.
    """
    if frames < 2:
        raise ValueError(f"frames={frames} must be at least 2: both ends are included.")


def places(batch: tf.Tensor | int, frames: int) -> tf.Tensor:
    """The places of all frames of clips, exactly 0 and 1 at their ends: `[B, T]`.

    Raises:
        ValueError: `frames` is less than 2.
    """
    check_ends(frames)
    row = tf.range(frames, dtype=tf.float32) / (frames - 1.0)
    return tf.repeat(row[None], batch, axis=0)


def place_features(place: tf.Tensor) -> tf.Tensor:
    """A place as a decoder is told it, itself and waves of it: `[...] -> [..., 1 + 2 WAVES]`."""
    angles = np.pi * tf.range(1.0, WAVES + 1.0) * place[..., None]  # [..., WAVES]
    return tf.concat([2.0 * place[..., None] - 1.0, tf.sin(angles), tf.cos(angles)], axis=-1)


def straight(first: tf.Tensor, last: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The linear interpolation (1 - s) x_1 + s x_T.

    Args:
        first, last: `[B, H, W, C]`.
        place: s, `[B, T]`.

    Returns:
        `[B, T, H, W, C]`, with s = 0 and s = 1 exactly the ends.
    """
    s = place[:, :, None, None, None]  # [B, T, 1, 1, 1]
    return (1.0 - s) * first[:, None] + s * last[:, None]


def with_exact_ends(
    frames: tf.Tensor, first: tf.Tensor, last: tf.Tensor, place: tf.Tensor
) -> tf.Tensor:
    """Frames `[B, T, H, W, C]` that turn into the given ends at their places.

        g x + (1 - g) [(1 - s) x_1 + s x_T],  g = 1 - (2 s - 1)^64

    g is 0 at the ends, and more than 0.98 between s = 0.03 and 0.97: of the frames next to the ends
    a clip of 30 keeps all, one of 100 three quarters.
    """
    power = 2.0 * place - 1.0
    for _ in range(6):
        power = tf.square(power)  # exactly 1 at both ends, unlike powers on some devices
    gate = (1.0 - power)[:, :, None, None, None]
    return gate * frames + (1.0 - gate) * straight(first, last, place)


@keras.saving.register_keras_serializable(package="kerasvid")
class EndsEncoder(keras.layers.Layer):
    """Codes of the first and the last frame of a clip, by one network for both.

    Args:
        ends_dim: E, size of the code of one frame.
        encoder: arguments of `FrameEncoder`.

    Call: two `[B, H, W, C]` -> `[B, 2 E]` float32, the codes side by side.
    """

    def __init__(self, ends_dim: int, encoder: Mapping[str, Any] | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.ends_dim, self.encoder_arguments = ends_dim, dict(encoder or {})
        self.encoder = FrameEncoder(**self.encoder_arguments, dtype=self.dtype_policy)
        self.head = keras.layers.Dense(ends_dim, dtype="float32")

    def call(self, first: tf.Tensor, last: tf.Tensor, training: bool = False) -> tf.Tensor:
        both = self.encoder(tf.concat([first, last], axis=0), training=training)  # [2 B, F]
        return tf.concat(tf.split(self.head(tf.cast(both, tf.float32)), 2, axis=0), axis=-1)

    def get_config(self) -> dict:
        own = {"ends_dim": self.ends_dim, "encoder": self.encoder_arguments}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasvid")
class PlacedDecoder(keras.layers.Layer):
    """Frames of a clip from one latent vector, each told its place.

    The vector is multiplied once a clip and not once a frame: the layer that joins it with the
    place adds the two.

    Args:
        image_shape: `(H, W, C)`.
        hidden_units: width of that layer.
        warping: put frames together from the two ends (`composed`), or draw them alone.
        exact_ends: turn into the ends at their places (`with_exact_ends`).
        moving_cell: side in pixels of what is moved as one when warping; 1 moves single pixels.
        bounded: draw colours through a tanh; linear ones learn better from squared errors.
        decoder: arguments of `FrameDecoder`, without `image_shape`.

    Call: latents `[B, D]`, place `[B, T]`, first and last `[B, H, W, C]` -> `[B, T, H, W, C]`
    float32, trained towards [-1, 1].

    Raises:
        ValueError: the decoder's factors, or whole cells, do not fit the image size.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        hidden_units: int = 512,
        warping: bool = False,
        exact_ends: bool = False,
        moving_cell: int = 1,
        bounded: bool = False,
        decoder: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # places and frames stay float32
        self.image_shape, self.hidden_units = tuple(image_shape), hidden_units
        self.warping, self.exact_ends, self.bounded = warping, exact_ends, bounded
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
        place: tf.Tensor,
        first: tf.Tensor,
        last: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        told = self.place_layer(place_features(place))  # [B, T, units]
        hidden = tf.nn.leaky_relu(self.latent_layer(latents)[:, None] + told)
        frames = over_frames(self.decoder, hidden, training=training)
        if self.bounded:
            colors = self.image_shape[-1]
            frames = tf.concat([tf.tanh(frames[..., :colors]), frames[..., colors:]], axis=-1)
        if self.warping:
            frames = composed(frames, first, last, place, self.moving_cell)
        return with_exact_ends(frames, first, last, place) if self.exact_ends else frames

    def get_config(self) -> dict:
        own = {
            "image_shape": self.image_shape,
            "hidden_units": self.hidden_units,
            "warping": self.warping,
            "exact_ends": self.exact_ends,
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
