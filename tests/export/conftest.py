import keras
import numpy as np
import pytest

from kerasvid.models.registry import model_class


@pytest.fixture(scope="session")
def debug_model():
    """Makes a model by its name, of frames of 16x16 and with lively weights."""

    def make(name: str, **values) -> keras.Model:
        keras.utils.set_random_seed(0)
        values = {"image_shape": (16, 16, 3), "frames": 4, **values}
        model = model_class(name).from_preset("debug", **values)
        generator = np.random.default_rng(0)
        for weight in model.trainable_weights:  # new ones draw nearly grey
            noise = generator.normal(0.0, 0.1, weight.shape).astype(np.float32)
            weight.assign(weight + noise)
        return model

    return make
