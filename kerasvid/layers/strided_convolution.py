"""Strided and transposed convolutions without the zeros between pixels.

The gradient of a strided convolution by its input, or a transposed convolution, is by definition a
convolution over pixels with `stride - 1` zeros between them. XLA on a CPU multiplies those zeros,
`stride`^2 times the work. The same sums are a convolution of stride 1 that reads, or writes,
`stride` x `stride` pixels at every position (Shi et al., "Is the deconvolution layer the same as a
convolutional layer?", 2016), as computed here under XLA. Without XLA, and on a GPU, TensorFlow's
own kernels are quicker, except for the few channels of an image on a CPU.

`tf.custom_gradient` is not used: TensorFlow keeps what it traces until the process ends.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasvid.layers.compilation import compiled_by_xla

# Explicit arguments of every convolution: the user's `keras.json` may have another data format.
SAME_PADDING = {"padding": "same", "data_format": "channels_last"}
FEW_CHANNELS = 8  # up to which a kernel library's blocks are mostly empty


def strided_convolution(inputs: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """As `tf.nn.conv2d(inputs, kernel, stride, "SAME")`, with a quicker gradient.

    Args:
        inputs: `[N, H, W, C]`, H and W static.
        kernel: `[K, L, C, O]`.
        stride: of both axes.

    Returns:
        `[N, ceil(H / stride), ceil(W / stride), O]`.

    Example:
        >>> strided_convolution(tf.ones([1, 8, 8, 3]), tf.ones([4, 4, 3, 5]), 2).shape
        TensorShape([1, 4, 4, 5])
    """
    if stride == 1 or _own_kernels_are_quicker(kernel):
        return tf.nn.conv2d(inputs, kernel, stride, "SAME")
    return _gathered(inputs, kernel, stride)


def transposed_convolution(inputs: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """As `tf.nn.conv2d_transpose` with "SAME" padding to `stride` times the size, but quicker.

    Arguments as for `strided_convolution`, with a kernel `[K, L, O, C]`; returns
    `[N, stride H, stride W, O]`.
    """
    height, width = stride * inputs.shape[1], stride * inputs.shape[2]
    if stride == 1 or _own_kernels_are_quicker(kernel):
        shape = [tf.shape(inputs)[0], height, width, kernel.shape[2]]
        return tf.nn.conv2d_transpose(inputs, kernel, shape, stride, "SAME")
    return _spread(inputs, kernel, stride, (height, width))


def _gathered(inputs: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """The strided convolution as one of stride 1 over blocks of `stride` x `stride` pixels."""
    sides, (channels, outputs) = kernel.shape[:2], kernel.shape[2:]
    reach = [-(-side // stride) for side in sides]  # blocks of pixels under one position
    borders = []
    for count, side, length in zip(reach, sides, inputs.shape[1:3], strict=True):
        positions = -(-length // stride)
        top = _missing(length, positions, side, stride)
        borders.append([top, (positions - 1 + count) * stride - length - top])
    blocks = tf.nn.space_to_depth(tf.pad(inputs, [[0, 0], *borders, [0, 0]]), stride)
    kernel = _in_blocks(kernel, reach, stride)
    kernel = tf.transpose(kernel, [0, 2, 1, 3, 4, 5])
    kernel = tf.reshape(kernel, [*reach, stride**2 * channels, outputs])
    return tf.nn.conv2d(blocks, kernel, 1, "VALID")


def _spread(outputs: tf.Tensor, kernel: tf.Tensor, stride: int, size: Sequence[int]) -> tf.Tensor:
    """The transposed convolution onto `size`: each output position adds its kernel's pixels."""
    sides, (pixels, channels) = kernel.shape[:2], kernel.shape[2:]
    reach = [-(-side // stride) for side in sides]  # blocks of pixels that one position touches
    blocks = _in_blocks(kernel, reach, stride)
    blocks = tf.transpose(blocks, [0, 2, 5, 1, 3, 4])[::-1, ::-1]
    blocks = tf.reshape(blocks, [*reach, channels, stride**2 * pixels])
    borders = [[count - 1] * 2 for count in reach]
    spread = tf.nn.conv2d(tf.pad(outputs, [[0, 0], *borders, [0, 0]]), blocks, 1, "VALID")
    spread = tf.nn.depth_to_space(spread, stride)
    top, left = (
        _missing(length, count, side, stride)
        for count, side, length in zip(outputs.shape[1:3], sides, size, strict=True)
    )
    if compiled_by_xla():  # has no second gradient of `tf.slice`
        return spread[:, top : top + size[0], left : left + size[1]]
    # The gradient of a strided slice uses one core.
    return tf.slice(spread, [0, top, left, 0], [-1, *size, -1])


def _in_blocks(kernel: tf.Tensor, reach: Sequence[int], stride: int) -> tf.Tensor:
    """A kernel `[K, L, A, B]`, with zeros to whole blocks: `[k, stride, l, stride, A, B]`."""
    sides = kernel.shape[:2]
    missing = [[0, stride * count - side] for count, side in zip(reach, sides, strict=True)]
    kernel = tf.pad(kernel, [*missing, [0, 0], [0, 0]])
    return tf.reshape(kernel, [reach[0], stride, reach[1], stride, *kernel.shape[2:]])


def _missing(length: int, positions: int, side: int, stride: int) -> int:
    """How far the padding of a strided convolution reaches beyond the first border."""
    return max((positions - 1) * stride + side - length, 0) // 2


def _own_kernels_are_quicker(kernel: tf.Tensor) -> bool:
    """Of TensorFlow, for spreading onto the kernel's wide side, `[K, L, wide, narrow]`."""
    if tf.config.list_physical_devices("GPU"):
        return True
    return not compiled_by_xla() and kernel.shape[2] > FEW_CHANNELS


class _SamePadding(keras.layers.Layer):
    """Refuses those of Keras's arguments that both layers do not compute."""

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs):
        super().__init__(filters, kernel_size, strides, **{**SAME_PADDING, **kwargs})
        plain = {**SAME_PADDING, "dilation_rate": (1, 1)}
        for name, value in {**plain, "groups": 1}.items():
            if getattr(self, name, value) != value:
                raise ValueError(f"{name}={getattr(self, name)!r} is not supported. Use {value!r}.")
        if len(set(self.strides)) > 1:
            raise ValueError(f"strides={self.strides}: give one number for both axes.")


@keras.saving.register_keras_serializable(package="kerasvid")
class StridedConv2D(_SamePadding, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with "same" padding by `strided_convolution`.

    Args:
        filters, kernel_size, strides, **kwargs: as in Keras; `strides` is one number.

    Raises:
        ValueError: another padding, a dilation, groups, or channels first.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return strided_convolution(inputs, tf.convert_to_tensor(kernel), self.strides[0])


@keras.saving.register_keras_serializable(package="kerasvid")
class TransposedConv2D(_SamePadding, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` likewise, by `transposed_convolution`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel)
        outputs = transposed_convolution(inputs, kernel, self.strides[0])
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)
