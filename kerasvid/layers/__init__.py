"""Blocks used by two or more models. They need the TensorFlow backend of Keras."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"kerasvid needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}. Set "
        "KERAS_BACKEND=tensorflow before Keras is imported."
    )
