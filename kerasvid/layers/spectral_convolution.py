"""A convolution whose kernel can be held at spectral norm 1."""

import keras
import tensorflow as tf

from kerasvid.layers.compilation import compiled_by_xla
from kerasvid.layers.strided_convolution import strided_convolution
from kerasvid.naming import KeepsArguments

SMALLEST_NORM = 1e-6  # below it vectors are not normalised, see `tf.math.l2_normalize`


@keras.saving.register_keras_serializable(package="kerasvid")
class SpectralConvolution(KeepsArguments, keras.layers.Layer):
    """A convolution over frames, or one weight for every input, with spectral normalisation.

    Miyato, Kataoka, Koyama, Yoshida: "Spectral Normalization for Generative Adversarial Networks",
    ICLR 2018. The kernel, as a matrix W of outputs by inputs, is divided by sigma = u^T W v, where
    u and v approach its first singular vectors by one power step a training step.

    The power step is a method and not part of the call, because it changes a weight: all replicas
    must do so alike, once a training step, however often the layer is called (`iterate_spectra`).
    A new layer needs several of them first: with a random u, sigma is an underestimate.

    Args:
        filters: O, channels of the output.
        kernel_size: side of the kernel; `None` for one as large as the input, hence one position.
        stride: of the kernel.
        spectral: whether the kernel is normalised.

    Call: `[N, H, W, C]` -> `[N, H', W', O]`, zeros beyond the borders. `channels`, a pair (first,
    behind the last), says which of the kernel's input channels the input has; the others are zero.

    Raises:
        ValueError: with `kernel_size=None`, the input has another size than the first one.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | None,
        stride: int = 1,
        spectral: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size
        self.stride, self.spectral = stride, spectral

    def build(self, inputs_shape) -> None:
        height, width, channels = inputs_shape[1:]
        sides = (height, width) if self.kernel_size is None else (self.kernel_size,) * 2
        self.kernel = self.add_weight(
            (*sides, channels, self.filters), "glorot_uniform", autocast=False, name="kernel"
        )
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        if self.spectral:
            self.singular = self.add_weight(
                (self.filters,), "random_normal", trainable=False, autocast=False, name="singular"
            )
        self.built = True

    def _power_iteration(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The kernel as a matrix `[inputs, O]`, and unit vectors v `[inputs, 1]` and u `[O, 1]`."""
        matrix = tf.reshape(tf.convert_to_tensor(self.kernel), [-1, self.filters])
        u = tf.math.l2_normalize(tf.convert_to_tensor(self.singular)[:, None])
        v = tf.math.l2_normalize(tf.matmul(matrix, u))
        return matrix, tf.stop_gradient(v), u

    def normalized_kernel(self) -> tf.Tensor:
        """The kernel in use, float32; one of zeros stays so."""
        kernel = tf.convert_to_tensor(self.kernel)
        if not self.spectral:
            return kernel
        matrix, v, u = self._power_iteration()
        return kernel / tf.maximum(tf.reduce_sum(v * tf.matmul(matrix, u)), SMALLEST_NORM)

    def iterate(self) -> None:
        """One power step; nothing without spectral normalisation, or if not `trainable`."""
        if self.spectral and self.trainable:
            matrix, v, u = self._power_iteration()
            moved = tf.matmul(matrix, v, transpose_a=True)
            # A kernel of zeros has no direction.
            u = tf.where(tf.norm(moved) > SMALLEST_NORM, tf.math.l2_normalize(moved), u)
            self.singular.assign(u[:, 0])

    def call(self, inputs: tf.Tensor, channels: tuple[int, int] | None = None) -> tf.Tensor:
        kernel = tf.cast(self.normalized_kernel(), self.compute_dtype)
        if channels not in (None, (0, kernel.shape[2])):
            first, end = channels
            if compiled_by_xla():  # has no second gradient of `tf.slice`
                kernel = kernel[:, :, first:end]
            else:  # the gradient of a strided slice uses one core
                kernel = tf.slice(kernel, [0, 0, first, 0], [-1, -1, end - first, -1])
        bias = tf.cast(self.bias, self.compute_dtype)
        inputs = tf.cast(inputs, self.compute_dtype)
        if self.kernel_size is not None:
            return strided_convolution(inputs, kernel, self.stride) + bias
        if tuple(inputs.shape[1:]) != tuple(kernel.shape[:-1]):
            raise ValueError(
                f"The input has the shape {tuple(inputs.shape[1:])}, the kernel "
                f"{tuple(kernel.shape[:-1])}. Use inputs of one size, or set a kernel_size."
            )
        flat = tf.reshape(inputs, [-1, kernel.shape[0] * kernel.shape[1] * kernel.shape[2]])
        scores = tf.matmul(flat, tf.reshape(kernel, [-1, self.filters])) + bias
        return scores[:, None, None]  # [N, 1, 1, O]


def iterate_spectra(layer: keras.layers.Layer, times: int = 1) -> None:
    """Power steps of every normalised convolution within a layer or model."""
    for each in layer._flatten_layers():
        if isinstance(each, SpectralConvolution):
            for _ in range(times):
                each.iterate()
