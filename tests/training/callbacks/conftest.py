"""A model with one weight whose steps are counted and that generates videos."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.video_generator import VideoGenerator


@keras.saving.register_keras_serializable("tests")
class Counter(VideoGenerator, keras.Model):
    """Its weight goes down by the mean of the batch at each step of plain descent."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.w = self.add_weight(shape=[3], initializer="zeros", name="w")
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "mean")]
        self.built = True

    def train_step(self, data):
        mean = tf.reduce_mean(data)
        self.optimizer.apply([tf.fill([3], mean)], self.trainable_variables)
        return self.tracked(mean)

    def test_step(self, data):
        return self.tracked(tf.reduce_sum(tf.convert_to_tensor(self.w)))

    def tracked(self, value):
        for tracker in self.trackers:
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def generate(self, batch, frames=None, seed=0):
        level = int(abs(float(self.w.numpy()[0])) * 10) % 256
        return np.full([batch, frames or 2, 8, 8, 3], level, np.uint8)


@pytest.fixture
def counter():
    """A function that makes a compiled model, by default with plain gradient descent."""

    def make(optimizer=None):
        model = Counter()
        model.compile(optimizer or keras.optimizers.SGD(1.0))
        return model

    return make


@pytest.fixture
def fit():
    """Trains with batches whose pixels all have the given values, one value a step."""

    def run(model, values, callbacks):
        videos = np.ones([len(values), 2, 8, 8, 3], "float32")
        videos *= np.reshape(np.asarray(values, "float32"), [-1, 1, 1, 1, 1])
        data = tf.data.Dataset.from_tensor_slices(videos).batch(1)
        model.fit(data, verbose=0, shuffle=False, callbacks=callbacks)
        return model

    return run
