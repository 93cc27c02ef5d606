"""The generator in the form that a browser runs: one clip at a time, built-in operations only."""

import pathlib
import tempfile

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from export.verbs import Verb


class BrowserModelError(RuntimeError):
    """The model cannot be converted; one line."""


def browser_model(model: keras.Model, verb: Verb, name: str = "decode") -> bytes:
    """A TFLite file with one signature, of batch 1: LiteRT.js refuses a dynamic batch.

    Args:
        model: whose weights the verb reads, in float32.
        verb: of `noise_verbs`.
        name: of the signature.

    Returns:
        The bytes of the file. Inputs and outputs go by the verb's names.

    Raises:
        BrowserModelError: it needs operations that TFLite does not have.

    Example:
        >>> bytes_ = browser_model(model, noise_verbs(model)["decode"])
    """
    # The converter leaves the weights of Keras layers behind, as variables that nothing fills.
    frozen = convert_variables_to_constants_v2(verb.traced(1))
    names = [tensor.name.partition(":")[0] for tensor in frozen.inputs]

    def run(**tensors):
        outputs = tf.nest.flatten(frozen(*[tensors[each] for each in names]))
        return dict(zip(sorted(verb.outputs), outputs, strict=True))

    module = tf.Module()
    specs = {each: tensor.spec(each, 1) for each, tensor in verb.inputs.items()}
    module.run = tf.function(run, autograph=False).get_concrete_function(**specs)
    with tempfile.TemporaryDirectory() as folder:
        saved = pathlib.Path(folder, "saved")
        # Gradients of its layers may hold weights that are frozen here, and nobody asks for them.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(saved), {name: module.run}, options)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=[name])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # the converter's own type is private
            said = str(error).strip().splitlines()[:1]
            raise BrowserModelError(
                f"{type(model).__name__}: cannot be converted to TFLite's own operations "
                f"({said[0] if said else type(error).__name__})."
            ) from error
