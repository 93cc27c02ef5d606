"""Convolutional networks over single frames: an encoder and a decoder.

With `patch=4` a 64x64 frame enters as 16x16 positions of 4x4x3 values and leaves by the inverse,
which saves the two most expensive resolutions; `patch=1` is the classical pyramid.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasvid.layers.strided_convolution import (
    SAME_PADDING,
    StridedConv2D,
    TransposedConv2D,
)
from kerasvid.naming import KeepsArguments

NORMALIZATIONS = ("none", "batch", "group")


@keras.saving.register_keras_serializable(package="kerasvid")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` over the last axis, by one operation in training.

    Keras's own takes ten, each over all pixels and in float32.
    """

    def call(self, inputs: tf.Tensor, training: bool = False, mask=None) -> tf.Tensor:
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        shape, x = tf.shape(inputs), tf.cast(inputs, self.compute_dtype)
        if len(inputs.shape) != 4:
            x = tf.reshape(x, [-1, 1, 1, inputs.shape[-1]])
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs), tf.float32) / inputs.shape[-1]
        variance *= (count - 1.0) / count  # of the batch itself, as in Keras
        for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            before = tf.convert_to_tensor(running)
            running.assign(before * self.momentum + value * (1.0 - self.momentum))
        return tf.reshape(outputs, shape)


def normalization_layer(kind: str, width: int, dtype) -> keras.layers.Layer:
    """The layer after a convolution of `width` channels: `none`, `batch` or `group` (of 8)."""
    if kind == "none":
        return keras.layers.Identity(dtype=dtype)
    if kind == "batch":
        return FusedBatchNormalization(dtype=dtype)
    if kind == "group":
        return keras.layers.GroupNormalization(groups=math.gcd(8, width), dtype=dtype)
    raise ValueError(f"normalization={kind!r} is unknown: use {', '.join(NORMALIZATIONS)}.")


def dcgan_generator(width: int, **rest: Any) -> dict[str, Any]:
    """Arguments of `FrameDecoder` for the generator of DCGAN at 64x64 pixels.

    Radford, Metz, Chintala: "Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks", ICLR 2016, with its 4x4 kernels of later code.

    Args:
        width: channels at the largest resolution; each smaller one has twice as many.
        **rest: further arguments, or others instead.
    """
    channels = (4 * width, 2 * width, width)
    sizes = {"dense_units": (), "seed_channels": 8 * width, "channels": channels}
    shape = {"upsampling": (2, 2, 2), "kernel_size": 4, "transposed": True, "patch": 2}
    return {**sizes, **shape, **rest}


def patch_encoder(channels: Sequence[int], strides: Sequence[int], features: int) -> dict[str, Any]:
    """Arguments of `FrameEncoder` for 3x3 convolutions on 4x4 patches without normalization."""
    fixed = {"kernel_size": 3, "patch": 4, "dense_units": (), "normalization": "none"}
    return {"channels": channels, "strides": strides, "features": features, **fixed}


def patch_decoder(
    dense_units: Sequence[int],
    seed_channels: int,
    channels: Sequence[int],
    upsampling: Sequence[int],
) -> dict[str, Any]:
    """Arguments of `FrameDecoder` for the way back from `patch_encoder`, by sub-pixels."""
    sizes = {"dense_units": dense_units, "seed_channels": seed_channels, "channels": channels}
    fixed = {"kernel_size": 3, "transposed": False, "patch": 4, "normalization": "none"}
    return {**sizes, "upsampling": upsampling, **fixed}


def strided_encoder(
    channels: Sequence[int], strides: Sequence[int], dense_units: Sequence[int], features: int
) -> dict[str, Any]:
    """Arguments of `FrameEncoder` for 5x5 convolutions on pixels with batch normalization."""
    fixed = {"kernel_size": 5, "patch": 1, "dense_units": dense_units, "normalization": "batch"}
    return {"channels": channels, "strides": strides, "features": features, **fixed}


def strided_decoder(*sizes: Any) -> dict[str, Any]:
    """Arguments of `FrameDecoder` for the way back from `strided_encoder`, of `patch_decoder`'s."""
    fixed = {"kernel_size": 5, "transposed": True, "patch": 1, "normalization": "batch"}
    return {**patch_decoder(*sizes), **fixed}


@keras.saving.register_keras_serializable(package="kerasvid")
class FrameEncoder(KeepsArguments, keras.layers.Layer):
    """A frame's features, by strided convolutions and a dense layer.

    Args:
        channels: widths of the convolutions.
        strides: a stride for each.
        kernel_size: of every convolution with stride 1; strided ones use it rounded up to even
            where `patch > 1`, so that every input counts equally often.
        patch: side of the patches the frame is cut into first.
        dense_units: widths of hidden dense layers before the features.
        features: F, the size of the output.
        normalization: `"none"`, `"batch"` or `"group"`.

    Call: `[N, H, W, C]` float in [-1, 1] -> `[N, F]`.

    Raises:
        ValueError: not as many channels as strides; at `build`: H or W is no multiple of `patch`.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 128),
        strides: Sequence[int] = (1, 2, 2),
        kernel_size: int = 3,
        patch: int = 4,
        dense_units: Sequence[int] = (),
        features: int = 256,
        normalization: str = "none",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if len(channels) != len(strides):
            raise ValueError(f"{len(channels)} channels but {len(strides)} strides: give as many.")
        self.channels, self.strides = tuple(channels), tuple(strides)
        self.kernel_size, self.patch, self.normalization = kernel_size, patch, normalization
        self.dense_units, self.features = tuple(dense_units), features

        # === Networks ===
        policy = self.dtype_policy
        self.convolutions, self.normalizations = [], []
        for width, stride in zip(self.channels, self.strides, strict=True):
            even = stride > 1 and patch > 1
            size = kernel_size + kernel_size % 2 if even else kernel_size
            self.convolutions.append(StridedConv2D(width, size, stride, dtype=policy))
            self.normalizations.append(normalization_layer(normalization, width, policy))
        self.hidden = [keras.layers.Dense(units, dtype=policy) for units in self.dense_units]
        self.output_layer = keras.layers.Dense(features, dtype=policy)

    def build(self, frames_shape) -> None:
        """Checks the size of the frames; the first call makes the weights."""
        height, width = frames_shape[1:3]
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"Frames of {height}x{width} do not divide into patches of {self.patch}: "
                f"use sizes that are multiples of {self.patch}, or another patch."
            )

    def call(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.cast(frames, self.compute_dtype)
        if self.patch > 1:
            x = tf.nn.space_to_depth(x, self.patch)
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            x = tf.nn.leaky_relu(normalization(convolution(x), training=training))
        x = tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])  # [N, D]
        for dense in self.hidden:
            x = tf.nn.leaky_relu(dense(x))
        return tf.nn.leaky_relu(self.output_layer(x))


@keras.saving.register_keras_serializable(package="kerasvid")
class FrameDecoder(KeepsArguments, keras.layers.Layer):
    """A frame from its latent vector: G_I of the residual-vector paper.

    Dense layers make a small grid, stages of convolutions refine and enlarge it, and the last
    convolution writes `patch` x `patch` pixels at every position. The output is linear, and models
    clip what they generate: behind a tanh, a black background stops learning in the first steps.

    Args:
        image_shape: `(H, W, C)` of the frame.
        dense_units: widths of hidden dense layers before the grid.
        seed_channels: width of the grid the dense layers make.
        channels: widths of the stages.
        upsampling: a factor (1 or more) for each stage.
        kernel_size: of the stages.
        transposed: enlarge by transposed convolutions (as published) and not by sub-pixel ones.
        patch: side of the pixel patch written at each position of the last grid.
        normalization: `"none"`, `"batch"` or `"group"`.

    Call: `[N, D]` -> `[N, H, W, C]` float32, trained towards [-1, 1].

    Raises:
        ValueError: H or W is not a multiple of the product of `upsampling` and `patch`.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        dense_units: Sequence[int] = (512,),
        seed_channels: int = 64,
        channels: Sequence[int] = (128, 64, 128),
        upsampling: Sequence[int] = (1, 2, 1),
        kernel_size: int = 3,
        transposed: bool = False,
        patch: int = 4,
        normalization: str = "none",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if len(channels) != len(upsampling):
            raise ValueError(
                f"{len(channels)} channels but {len(upsampling)} upsampling factors: give as many."
            )
        self.image_shape, self.dense_units = tuple(image_shape), tuple(dense_units)
        self.seed_channels = seed_channels
        self.channels, self.upsampling = tuple(channels), tuple(upsampling)
        self.kernel_size, self.transposed = kernel_size, transposed
        self.patch, self.normalization = patch, normalization
        height, width, colors = self.image_shape
        factor = patch * math.prod(self.upsampling)
        if height % factor or width % factor:
            raise ValueError(
                f"Frames of {height}x{width} do not fit a decoder that enlarges {factor} times: "
                f"use sizes that are multiples of {factor}, or other upsampling factors."
            )
        self.grid = height // factor, width // factor

        # === Networks ===
        policy = self.dtype_policy
        self.hidden = [keras.layers.Dense(units, dtype=policy) for units in self.dense_units]
        self.seed_layer = keras.layers.Dense(math.prod(self.grid) * seed_channels, dtype=policy)
        self.seed_normalization = normalization_layer(normalization, seed_channels, policy)
        self.convolutions, self.normalizations = [], []
        for width, factor in zip(self.channels, self.upsampling, strict=True):
            self.convolutions.append(self._enlarging(width, kernel_size, factor))
            self.normalizations.append(normalization_layer(normalization, width, policy))
        # A kernel smaller than the patch would leave pixels out.
        side = max(kernel_size, patch) if transposed and patch > 1 else kernel_size
        self.output_layer = self._enlarging(colors, side, patch)

    def first_layer(self) -> keras.layers.Dense:
        """The layer that takes the latent vector."""
        return [*self.hidden, self.seed_layer][0]

    def _enlarging(self, width: int, kernel_size: int, factor: int) -> keras.layers.Layer:
        policy = self.dtype_policy
        if self.transposed and factor > 1:
            return TransposedConv2D(width, kernel_size, factor, dtype=policy)
        return keras.layers.Conv2D(width * factor**2, kernel_size, **SAME_PADDING, dtype=policy)

    def call(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.cast(latents, self.compute_dtype)
        for dense in self.hidden:
            x = tf.nn.leaky_relu(dense(x))
        x = tf.reshape(self.seed_layer(x), [-1, *self.grid, self.seed_channels])  # [N, h, w, D]
        x = tf.nn.leaky_relu(self.seed_normalization(x, training=training))
        stages = zip(self.convolutions, self.normalizations, self.upsampling, strict=True)
        for convolution, normalization, factor in stages:
            x = convolution(x)
            if factor > 1 and not self.transposed:
                x = tf.nn.depth_to_space(x, factor)
            x = tf.nn.leaky_relu(normalization(x, training=training))
        x = self.output_layer(x)
        if self.patch > 1 and not self.transposed:
            x = tf.nn.depth_to_space(x, self.patch)
        return tf.cast(x, tf.float32)
