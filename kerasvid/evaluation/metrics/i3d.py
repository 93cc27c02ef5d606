"""I3D, the network of the Frechet video distance.

Carreira, Zisserman: "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR
2017: Inception-v1 with every kernel inflated along time, for 400 classes of human action. This is
inference only, with the arithmetic of the public release (`InceptionI3d` of kinetics-i3d):

    unit      convolution without bias -> batch norm without scale (epsilon 1e-3) -> ReLU
    mixed     [1x1x1] | [1x1x1 -> 3x3x3] | [1x1x1 -> 3x3x3] | [max pool 3x3x3 -> 1x1x1]
    logits    average pool 2x7x7 -> 1x1x1 convolution with bias -> mean over time

Padding is SAME, that of the average pool VALID. The features are the logits before softmax,
`[B, 400]`.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

PREFIX = "RGB/inception_i3d"
CLASSES = 400
IMAGE_SIZE = 224
MIN_FRAMES = 10  # the average pool covers 2 steps of 8 frames

# Channels of the four branches: b0, b1 (a, b), b2 (a, b), b3.
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
# Windows and strides (time, space) of the max pools before a block.
POOLS = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


def _unit_shapes(divisor: int) -> Iterator[tuple[str, int, int, int]]:
    """Name, edge of the kernel, input and output channels of all 57 units, in their order."""
    stem = (("Conv3d_1a_7x7", 7, 64), ("Conv3d_2b_1x1", 1, 64), ("Conv3d_2c_3x3", 3, 192))
    inputs = 3
    for name, edge, outputs in stem:
        yield name, edge, inputs, outputs // divisor
        inputs = outputs // divisor
    for block, channels in MIXED.items():
        b0, b1a, b1b, b2a, b2b, b3 = (each // divisor for each in channels)
        # The public checkpoint has one irregular name.
        second = "Conv3d_0a_3x3" if block == "Mixed_5b" else "Conv3d_0b_3x3"
        yield f"{block}/Branch_0/Conv3d_0a_1x1", 1, inputs, b0
        yield f"{block}/Branch_1/Conv3d_0a_1x1", 1, inputs, b1a
        yield f"{block}/Branch_1/Conv3d_0b_3x3", 3, b1a, b1b
        yield f"{block}/Branch_2/Conv3d_0a_1x1", 1, inputs, b2a
        yield f"{block}/Branch_2/{second}", 3, b2a, b2b
        yield f"{block}/Branch_3/Conv3d_0b_1x1", 1, inputs, b3
        inputs = b0 + b1b + b2b + b3


class Unit3D(keras.layers.Layer):
    """Convolution, batch norm by the running moments, ReLU."""

    def __init__(self, edge: int, inputs: int, outputs: int, stride: int):
        super().__init__(dtype="float32", trainable=False)
        self.convolution = keras.layers.Conv3D(
            outputs, edge, stride, "same", "channels_last", use_bias=False, dtype="float32"
        )
        self.norm = keras.layers.BatchNormalization(scale=False, epsilon=1e-3, dtype="float32")
        self.convolution.build([None, None, None, None, inputs])
        self.norm.build([None, None, None, None, outputs])
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(self.norm(self.convolution(inputs), training=False))


class I3D(keras.Model):
    """Clips `[B, T, 224, 224, 3]` in [-1, 1] to the 400 logits of Kinetics `[B, 400]`.

    A new network has random weights and meaningless distances; `load_i3d` loads trained ones.

    Args:
        divisor: Divisor of all widths, 1, 2, 4 or 8; 1 is the public network.
        classes: Number of logits.

    Example:
        >>> features = load_i3d("i3d-kinetics-400.npz")(clips)  # [B, 400]
    """

    def __init__(self, divisor: int = 1, classes: int = CLASSES, **kwargs):
        super().__init__(dtype="float32", trainable=False, **kwargs)
        self.units = {
            name: Unit3D(edge, inputs, outputs, 2 if edge == 7 else 1)
            for name, edge, inputs, outputs in _unit_shapes(divisor)
        }
        self.logits = keras.layers.Conv3D(
            classes, 1, data_format="channels_last", dtype="float32", name="Logits"
        )
        inputs = sum(MIXED["Mixed_5c"][branch] // divisor for branch in (0, 2, 4, 5))
        self.logits.build([None, None, None, None, inputs])
        self.built = True

    def call(self, clips: tf.Tensor) -> tf.Tensor:
        """The logits.

        Raises:
            ValueError: Frames of another size, or fewer than 10.
        """
        frames, *size = clips.shape[1:]
        if tuple(size) != (IMAGE_SIZE, IMAGE_SIZE, 3) or (frames or MIN_FRAMES) < MIN_FRAMES:
            raise ValueError(
                f"Clips of the shape {tuple(clips.shape)}: I3D needs [B, T, {IMAGE_SIZE}, "
                f"{IMAGE_SIZE}, 3] with {MIN_FRAMES} frames or more."
            )
        values = clips
        for block in (*(name for name in self.units if "/" not in name), *MIXED):
            if block in POOLS:
                window, strides = POOLS[block]
                values = tf.nn.max_pool3d(values, [1, *window, 1], [1, *strides, 1], "SAME")
            values = self._mixed(block, values) if block in MIXED else self.units[block](values)
        pooled = tf.nn.avg_pool3d(values, [1, 2, 7, 7, 1], [1, 1, 1, 1, 1], "VALID")
        return tf.reduce_mean(self.logits(pooled)[:, :, 0, 0], axis=1)  # [B, 400]

    def _mixed(self, block: str, values: tf.Tensor) -> tf.Tensor:
        """The four branches side by side."""
        branches = [values] * 3 + [tf.nn.max_pool3d(values, [1, 3, 3, 3, 1], [1] * 5, "SAME")]
        for name, unit in self.units.items():
            if name.startswith(f"{block}/"):
                branch = int(name.split("/")[1].removeprefix("Branch_"))
                branches[branch] = unit(branches[branch])
        return tf.concat(branches, axis=-1)

    def variables_by_name(self) -> dict[str, keras.Variable]:
        """The variables by their names in the public checkpoint."""
        named = {}
        for name, unit in self.units.items():
            for part in ("beta", "moving_mean", "moving_variance"):
                named[f"{PREFIX}/{name}/batch_norm/{part}"] = getattr(unit.norm, part)
            named[f"{PREFIX}/{name}/conv_3d/w"] = unit.convolution.kernel
        named[f"{PREFIX}/Logits/Conv3d_0c_1x1/conv_3d/b"] = self.logits.bias
        named[f"{PREFIX}/Logits/Conv3d_0c_1x1/conv_3d/w"] = self.logits.kernel
        return named
