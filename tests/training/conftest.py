"""A model whose training can be computed by hand."""

import pytest
import tensorflow as tf

from kerasvid.training.step import CompiledStep


class LinearModel(CompiledStep):
    """Loss of a row: w . (x + noise_weight * noise). Its gradient does not depend on w.

    Args:
        size: T * H * W * C of the videos.
        noise_weight: of the Gaussian named "noise".
    """

    term_names = ("loss",)

    def __init__(self, size: int, noise_weight: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.size, self.noise_weight = size, noise_weight
        self.w = self.add_weight(shape=[size], initializer="zeros", dtype="float32", name="w")
        self.built = True

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"noise": (self.size,)}

    def compute_gradients(self, video, noise, iteration):
        rows = tf.reshape(video, [-1, self.size]) + self.noise_weight * noise["noise"]  # [B, D]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.linalg.matvec(rows, tf.convert_to_tensor(self.w)))
            scaled = self.scaled(loss)
        return {"loss": loss}, tape.gradient(scaled, self.trainable_variables), {}


@pytest.fixture(scope="session")
def linear_model():
    """The class `LinearModel`: called with the size of a video, and the weight of its noise."""
    return LinearModel
