"""Codes of new videos at once: an encoder trained on codes that were learned without one."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasvid.layers.fitted_priors import Sealable
from kerasvid.layers.frame_networks import FrameEncoder
from kerasvid.layers.recurrent import over_frames, repeated
from kerasvid.naming import KeepsArguments


@keras.saving.register_keras_serializable(package="kerasvid")
class CodeEncoder(KeepsArguments, Sealable):
    """Guesses the codes of videos from their frames.

    Features of all frames give the codes of a whole video. Those of a frame, beside their mean,
    give the codes of that frame.

    Args:
        image_shape: `(H, W, C)`; H and W even.
        shapes: of a code by name: `(D,)` of a video, `(T, D)` of a sequence.
        channels: widths of the convolutions; each but the first halves the frame.
        units: width of the features and of the hidden layers.

    Example:
        >>> encoder = CodeEncoder((64, 64, 3), {"static": (64,), "transient": (16, 32)})
        >>> encoder(tf.zeros([2, 16, 64, 64, 3]))["transient"].shape
        TensorShape([2, 16, 32])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        shapes: Mapping[str, Sequence[int]],
        channels: Sequence[int] = (32, 64, 128),
        units: int = 256,
        **kwargs,
    ):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        self.image_shape, self.channels, self.units = tuple(image_shape), tuple(channels), units
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        patch = 4 if not any(side % 4 for side in self.image_shape[:2]) else 2
        strides = (1, *[2] * (len(self.channels) - 1))
        self.frame_encoder = FrameEncoder(
            self.channels, strides, patch=patch, features=units, dtype="float32"
        )
        self.hidden = {name: keras.layers.Dense(units, dtype="float32") for name in self.shapes}
        self.heads = {
            name: keras.layers.Dense(shape[-1], dtype="float32")
            for name, shape in self.shapes.items()
        }
        self(tf.zeros([1, 2, *self.image_shape]))  # makes the weights
        self.built = True

    def call(self, video: tf.Tensor) -> dict[str, tf.Tensor]:
        """Codes by name of `[B, T, H, W, C]` in [-1, 1]: `[B, D]`, or `[B, T, D]` of sequences."""
        features = over_frames(self.frame_encoder, video)  # [B, T, F]
        mean = tf.reduce_mean(features, axis=1)  # [B, F]
        beside = tf.concat([features, repeated(mean, video.shape[1])], axis=-1)
        codes = {}
        for name, shape in self.shapes.items():
            inputs = beside if len(shape) > 1 else mean
            codes[name] = self.heads[name](tf.nn.leaky_relu(self.hidden[name](inputs)))
        return codes

    def loss(self, video: tf.Tensor, codes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The mean squared error of the codes times their size: a scalar.

        Vectors in the unit ball have entries of about 1 / D in square.
        """
        guessed = self(video)
        errors = [
            self.shapes[name][-1] * tf.reduce_mean(tf.square(guessed[name] - code))
            for name, code in codes.items()
        ]
        return tf.add_n(errors)
