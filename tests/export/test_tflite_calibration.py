"""Ranges of integer files are those of the tensors themselves."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export.tflite import every_tensor_kept

pytest.importorskip("ai_edge_litert", reason="pip install -e '.[tflite]'")


@pytest.fixture(scope="module")
def content():
    """(x + 1) * 100 in integers, rounded, of x in [-1, 1]."""

    class Scaled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 64], tf.float32, "x")])
        def scaled(self, x):
            return {"y": tf.round((x + 1.0) * 100.0)}  # no output is written over: one more

    module = Scaled()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.scaled.get_concrete_function()], module
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: [[given(seed)] for seed in range(8)]
    with every_tensor_kept():
        return converter.convert()


def given(seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).uniform(-1.0, 1.0, [1, 64]).astype(np.float32)
    x[0, :2] = -1.0, 1.0
    return x


def test_an_overwritten_tensor_keeps_its_own_range(content):
    from ai_edge_litert.interpreter import Interpreter

    lite = Interpreter(model_content=content)
    lite.allocate_tensors()
    scales = sorted(
        each["quantization_parameters"]["scales"][0]
        for each in lite.get_tensor_details()
        if list(each["shape"]) == [1, 64] and each["dtype"] == np.int8
    )
    # Of x and of x + 1, which are 2 wide, and of what comes out, 200 wide; in 255 steps.
    np.testing.assert_allclose(scales, [2 / 255, 2 / 255, 200 / 255], rtol=1e-3)


def test_a_calibrated_file_has_only_its_own_outputs(content):
    from ai_edge_litert.interpreter import Interpreter

    lite = Interpreter(model_content=content)
    lite.allocate_tensors()
    assert len(lite.get_output_details()) == 1
    x = given(100)
    lite.set_tensor(lite.get_input_details()[0]["index"], x)
    lite.invoke()
    y = lite.get_tensor(lite.get_output_details()[0]["index"])
    # Half a step of each tensor, times what it is multiplied by, and the rounding.
    assert np.abs(y - (x + 1.0) * 100.0).max() < 100 * 2 / 255 + 200 / 255 + 0.5
