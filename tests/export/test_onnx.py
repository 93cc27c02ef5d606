"""ONNX files do what the models do, at any batch size."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export import onnx
from kerasvid.export.accuracy import measured_difference
from kerasvid.export.runtimes import OnnxModel
from kerasvid.export.tflite import loop_free_signatures
from kerasvid.models.registry import MODELS, model_class

for package in ("tf2onnx", "onnxruntime"):
    pytest.importorskip(package, reason="pip install -e '.[onnx]'")
QUICK = ("glo",)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in MODELS]
)
def test_outputs_of_a_file_equal_the_model(name, debug_model):
    model = debug_model(name)
    signatures, _ = loop_free_signatures(model)
    for signature in signatures:
        content = onnx.convert(model, signatures[signature], signature)
        session = OnnxModel(content)
        assert set(session.inputs) <= set(signatures[signature].inputs)
        assert set(session.outputs) == set(signatures[signature].outputs)
        for batch in (1, 3):
            errors = measured_difference(session, model, signatures[signature], batch)
            for output, error in errors.items():
                allowed = 1 if signatures[signature].outputs[output].dtype == tf.uint8 else 1e-4
                assert error.largest <= allowed, (signature, output, error)


@pytest.mark.slow
def test_motion_between_two_frames_is_in_the_file(debug_model):
    model = debug_model("cvae", warping=True, motion={"channels": (8, 8), "units": 8})
    signature = loop_free_signatures(model, None, ["decode"])[0]["decode"]
    session = OnnxModel(onnx.convert(model, signature, "decode"))
    for batch in (1, 3):
        assert measured_difference(session, model, signature, batch)["video"].largest < 1e-3


def test_codes_are_looked_up_row_by_row(debug_model):
    model = debug_model("glo")
    content = onnx.convert(
        model, loop_free_signatures(model, None, ["recall"])[0]["recall"], "recall"
    )
    rows = np.array([5, 0, 5], np.int64)
    video = OnnxModel(content)(index=rows)["video"]
    assert np.abs(video.astype(int) - model.recall(index=rows)).max() <= 1
    assert np.array_equal(video[0], video[2]) and not np.array_equal(video[0], video[1])


def test_an_output_named_as_an_input_is_renamed():
    from onnx import load_from_string

    model = model_class("cvae").from_preset("debug", image_shape=(16, 16, 3), frames=4)
    signature = loop_free_signatures(model, None, ["reconstruct"])[0]["reconstruct"]
    content = onnx.convert(model, signature, "r")
    graph = load_from_string(content).graph
    assert [each.name for each in graph.output] == ["video_out"]
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert OnnxModel(content).outputs == ["video"]


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"not a file of ONNX")
    with pytest.raises(ValueError, match=r"a\.onnx: cannot be read as ONNX"):
        OnnxModel(tmp_path / "a.onnx")
