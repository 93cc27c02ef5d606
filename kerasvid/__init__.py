"""Latent-variable video generators in Keras 3 on TensorFlow.

`import kerasvid` loads neither Keras nor TensorFlow. It lets `keras.saving.load_model` find the
models of this library, whichever of Keras and kerasvid is imported first.
"""

from kerasvid.models.registry import register_when_keras_is_imported

__version__ = "0.1.0"

register_when_keras_is_imported()
