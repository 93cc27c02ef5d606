"""Discriminators of frames (D_I) and of clips (D_V), which score the whole or patch by patch."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from kerasvid.layers.compilation import compiled_by_xla
from kerasvid.layers.frame_networks import normalization_layer
from kerasvid.layers.recurrent import over_frames
from kerasvid.layers.spectral_convolution import SpectralConvolution
from kerasvid.naming import KeepsArguments

SCORES = ("patch", "full")
# Arguments of a `VideoDiscriminator` whose convolutions halve the number of frames.
HALVING_TIME = {"temporal_stride": 2, "temporal_padding": "same"}


class DiscriminatorOutput(NamedTuple):
    """The logits of a discriminator, float32: real against generated, and of categories."""

    logits: tf.Tensor  # [B, P], one a patch; P = 1 for a full score
    categories: tf.Tensor | None = None  # [B, K], means over the patches
    patch_categories: tf.Tensor | None = None  # [B, P, K]

    def projected(self, labels: tf.Tensor | None) -> tf.Tensor:
        """The logits `[B, P]` of samples of known classes: s_0 + s_(1+y), s_0 where unknown.

        The projection of Miyato, Koyama: "cGANs with Projection Discriminator", ICLR 2018: s_(1+y)
        is a linear function of the last features, another for each class.

        Args:
            labels: int `[B]`, -1 where unknown; `None` where all are.
        """
        if labels is None or self.patch_categories is None:
            return self.logits
        chosen = tf.one_hot(labels, self.patch_categories.shape[-1])  # [B, K]
        return self.logits + tf.einsum("bpk,bk->bp", self.patch_categories, chosen)


@keras.saving.register_keras_serializable(package="kerasvid")
class ImageDiscriminator(KeepsArguments, keras.layers.Layer):
    """D_I: strided convolutions over a frame, and a score.

    Args:
        channels: widths of the convolutions.
        strides: a stride for each; 2 for all where `None`.
        kernel_size: of every convolution.
        patch: side of the pixel patches that the frame is cut into first; larger ones cost less.
        score: `"patch"`: a logit at every position of one more strided convolution, or `"full"`:
            one logit for the frame.
        normalization: `"none"`, `"batch"` or `"group"`, behind every convolution but the first.
        spectral: whether every kernel is held at spectral norm 1.
        batch_std: whether the score also sees how much the features differ within the batch, see
            `with_batch_std`.
        categories: K, further logits of the category; 0 for none.

    Call: `[N, H, W, C]` in [-1, 1] -> `DiscriminatorOutput`.

    Raises:
        ValueError: `score` is unknown, or not as many channels as strides.

    Example:
        >>> discriminator = ImageDiscriminator(channels=(8, 16))
        >>> discriminator(tf.zeros([2, 32, 32, 3])).logits.shape
        TensorShape([2, 16])
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256),
        strides: Sequence[int] | None = None,
        kernel_size: int = 4,
        patch: int = 1,
        score: str = "patch",
        normalization: str = "none",
        spectral: bool = False,
        batch_std: bool = False,
        categories: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if score not in SCORES:
            raise ValueError(f"score={score!r} is unknown. Use {' or '.join(SCORES)}.")
        self.channels = tuple(channels)
        self.strides = tuple(strides) if strides is not None else (2,) * len(self.channels)
        if len(self.channels) != len(self.strides):
            raise ValueError(
                f"{len(self.channels)} channels but {len(self.strides)} strides. Use equal numbers."
            )
        self.kernel_size, self.patch, self.score = kernel_size, patch, score
        self.normalization, self.spectral, self.categories = normalization, spectral, categories
        self.batch_std = batch_std

        # === Networks ===
        policy = self.dtype_policy
        self.convolutions, self.normalizations = [], []
        for position, (width, stride) in enumerate(zip(self.channels, self.strides, strict=True)):
            self.convolutions.append(self._convolution(width, kernel_size, stride))
            # As in DCGAN the first layer has none: colours reach the score as they are.
            kind = normalization if position else "none"
            self.normalizations.append(normalization_layer(kind, width, policy))
        size = kernel_size if score == "patch" else None
        self.output_layer = self._convolution(1 + categories, size, 2)

    def _convolution(self, width: int, size: int | None, stride: int) -> SpectralConvolution:
        policy = self.dtype_policy
        return SpectralConvolution(width, size, stride, spectral=self.spectral, dtype=policy)

    def call(self, frames: tf.Tensor, training: bool = False) -> DiscriminatorOutput:
        return self.output_of(self.feature_maps(frames, training))

    def feature_maps(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The features that the score is computed from, `[N, h, w, D]`."""
        x = tf.cast(frames, self.compute_dtype)
        if self.patch > 1:
            x = tf.nn.space_to_depth(x, self.patch)
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            x = tf.nn.leaky_relu(normalization(convolution(x), training=training))
        return x

    def output_of(self, maps: tf.Tensor) -> DiscriminatorOutput:
        """The output of `call` for feature maps."""
        maps = with_batch_std(maps) if self.batch_std else maps
        return as_output(self.output_layer(maps), tf.shape(maps)[0], self.categories)


@keras.saving.register_keras_serializable(package="kerasvid")
class VideoDiscriminator(ImageDiscriminator):
    """D_V: convolutions over space and time, and a score.

    A convolution over `temporal_kernel` frames is computed as one over frames, on the channels of
    neighbouring frames side by side: the same sums, without the slower 3-D convolution.

    Args:
        channels, strides, kernel_size, patch, score, normalization, spectral, batch_std,
            categories: in space, as in `ImageDiscriminator`.
        temporal_kernel: frames that a convolution sees.
        temporal_stride: distance of two of its positions in time.
        temporal_padding: `"valid"`, as in MoCoGAN: each convolution shortens the clip by
            `temporal_kernel - 1` frames; or `"same"`: zeros before and after it.

    Call: `[B, T, H, W, C]` in [-1, 1] -> `DiscriminatorOutput`. T must be static.

    Raises:
        ValueError: as `ImageDiscriminator`, the padding is unknown, or a clip is too short.

    Example:
        >>> discriminator = VideoDiscriminator(channels=(8, 16), temporal_kernel=2)
        >>> discriminator(tf.zeros([2, 4, 32, 32, 3])).logits.shape  # 4x4 patches of one moment
        TensorShape([2, 16])
    """

    def __init__(
        self,
        *args,
        temporal_kernel: int = 4,
        temporal_stride: int = 1,
        temporal_padding: str = "valid",
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        if temporal_padding not in ("valid", "same"):
            raise ValueError(f"temporal_padding={temporal_padding!r} must be valid or same.")
        self.temporal_kernel, self.temporal_stride = temporal_kernel, temporal_stride
        self.temporal_padding = temporal_padding
        self._built_frames: int | None = None  # T of the first call

    def shortest_clip(self) -> int:
        """Frames that a clip must have at least."""
        if self.temporal_padding == "same":
            return 1
        frames = 1
        for _ in range(len(self.channels) + (self.score == "patch")):
            frames = (frames - 1) * self.temporal_stride + self.temporal_kernel
        return frames

    def check_length(self, frames: int) -> None:
        """Raises ValueError for clips that are too short, or for a full score of another length."""
        if frames < self.shortest_clip():
            raise ValueError(
                f"Clips of {frames} frames are too short: the video discriminator needs "
                f"{self.shortest_clip()}. Train on longer clips, or set a smaller temporal_kernel "
                "or fewer channels."
            )
        if self.score == "full" and self._built_frames not in (None, frames):
            raise ValueError(
                f"Clips of {frames} frames do not fit a full score of clips of "
                f"{self._built_frames}. Use clips of one length, or score='patch'."
            )

    def call(self, clips: tf.Tensor, training: bool = False) -> DiscriminatorOutput:
        self.check_length(clips.shape[1])
        self._built_frames = self._built_frames or clips.shape[1]
        x = tf.cast(clips, self.compute_dtype)
        if self.patch > 1:
            x = over_frames(lambda frames: tf.nn.space_to_depth(frames, self.patch), x)
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            x = self._over_time(convolution, x)
            x = tf.nn.leaky_relu(over_frames(normalization, x, training=training))
        x = with_batch_std(x) if self.batch_std else x
        if self.score == "patch":
            scores = self._over_time(self.output_layer, x)
        else:
            moments = tf.unstack(x, axis=1)  # the whole clip side by side, for one weight each
            scores = self.output_layer(tf.concat(moments, axis=-1))
        return as_output(scores, tf.shape(clips)[0], self.categories)

    def _over_time(self, convolution: SpectralConvolution, x: tf.Tensor) -> tf.Tensor:
        """A convolution over every K neighbouring frames side by side, `[B, T, h, w, D]`.

        Those of the K frames that are beyond the ends of the clip at every position are left out,
        with their part of the kernel.
        """
        size, stride, length = self.temporal_kernel, self.temporal_stride, x.shape[1]
        if not convolution.built:
            convolution.build([None, *x.shape[2:4], size * x.shape[4]])
        count, before = (length - size) // stride + 1, 0
        if self.temporal_padding == "same":
            count = -(-length // stride)
            before = max((count - 1) * stride + size - length, 0) // 2
        first = max(before - (count - 1) * stride, 0)  # frames of the kernel that meet the clip
        end = min(length + before, size)
        missing = [before - first, max((count - 1) * stride + end - before - length, 0)]
        if any(missing):
            x = tf.pad(x, [[0, 0], missing, *[[0, 0]] * 3])
        beside = side_by_side(x, end - first, stride, count)
        channels = first * x.shape[4], end * x.shape[4]
        return over_frames(convolution, beside, channels=channels)


def side_by_side(x: tf.Tensor, size: int, stride: int, count: int) -> tf.Tensor:
    """Every frame that `stride` divides beside the next `size - 1`, on the channels.

    Args:
        x: `[B, T, h, w, D]` with T at least (count - 1) stride + size.
        size: K, neighbouring frames.
        stride: distance of two positions in time.
        count: of positions.

    Returns:
        `[B, count, h, w, K D]`.
    """
    if size % stride:
        return tf.concat([every(stride, x, k, count) for k in range(size)], axis=-1)
    groups = count + size // stride - 1  # of `stride` frames, each of which is copied once
    x = _frames(x, 0, groups * stride)
    if stride > 1:
        height, width, channels = x.shape[2:]
        x = tf.reshape(x, [-1, groups, stride, height, width, channels])
        x = tf.reshape(
            tf.transpose(x, [0, 1, 3, 4, 2, 5]), [-1, groups, height, width, stride * channels]
        )
    return tf.concat([_frames(x, k, count) for k in range(size // stride)], axis=-1)


def _frames(x: tf.Tensor, first: int, count: int) -> tf.Tensor:
    """`x[:, first : first + count]`, with a gradient that uses all cores."""
    if first == 0 and count == x.shape[1]:
        return x
    if compiled_by_xla():  # has no second gradient of `tf.slice`, which penalties need
        return x[:, first : first + count]
    return tf.slice(x, [0, first, 0, 0, 0], [-1, count, -1, -1, -1])


def with_batch_std(features: tf.Tensor) -> tf.Tensor:
    """Features with one more channel: their mean standard deviation over the batch.

    Karras, Aila, Laine, Lehtinen: "Progressive Growing of GANs for Improved Quality, Stability, and
    Variation", ICLR 2018. A generator whose samples are alike is found out by it.

    Args:
        features: `[B, ..., D]`; B are the samples of one kind, real or generated.

    Returns:
        `[B, ..., D + 1]`; the new channel is the same everywhere.
    """
    values = tf.cast(features, tf.float32)
    deviations = tf.sqrt(tf.math.reduce_variance(values, axis=0) + 1e-8)
    mean = tf.cast(tf.reduce_mean(deviations), features.dtype)
    shape = tf.concat([tf.shape(features)[:-1], [1]], axis=0)
    channel = tf.ensure_shape(tf.fill(shape, mean), [*features.shape[:-1], 1])
    return tf.concat([features, channel], axis=-1)


def every(stride: int, x: tf.Tensor, first: int, count: int) -> tf.Tensor:
    """`x[:, first::stride]` of `count` frames, with a gradient that uses all cores.

    TensorFlow computes the gradient of a strided slice on one core.
    """
    if compiled_by_xla():  # has no second gradient of `tf.slice`, which penalties need
        return x[:, first : first + (count - 1) * stride + 1 : stride]
    length = min(count * stride, x.shape[1] - first)
    part = tf.slice(x, [0, first, 0, 0, 0], [-1, length, -1, -1, -1])
    if stride == 1:
        return part
    part = tf.pad(part, [[0, 0], [0, count * stride - length], [0, 0], [0, 0], [0, 0]])
    groups = tf.reshape(part, [-1, stride, *x.shape[2:]])  # [B * count, stride, h, w, D]
    chosen = tf.slice(groups, [0, 0, 0, 0, 0], [-1, 1, -1, -1, -1])
    return tf.reshape(chosen, [-1, count, *x.shape[2:]])


def as_output(scores: tf.Tensor, rows: tf.Tensor, categories: int) -> DiscriminatorOutput:
    """The output from that of the last convolution, `[..., 1 + K]`, patches in one axis."""
    scores = tf.reshape(tf.cast(scores, tf.float32), [rows, -1, 1 + categories])  # [B, P, 1 + K]
    if not categories:
        return DiscriminatorOutput(scores[..., 0])
    of_classes = scores[..., 1:]
    return DiscriminatorOutput(scores[..., 0], tf.reduce_mean(of_classes, axis=1), of_classes)
