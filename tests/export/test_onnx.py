"""ONNX files do what the models do, at any batch size."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export import onnx
from kerasvid.export.onnx_session import OnnxModel
from kerasvid.export.tflite import held_verbs
from kerasvid.models.registry import MODELS, model_class

for package in ("tf2onnx", "onnxruntime"):
    pytest.importorskip(package, reason="pip install -e '.[onnx]'")
QUICK = ("glo",)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in MODELS]
)
def test_every_verb_is_that_of_the_model(name, debug_model):
    model = debug_model(name)
    verbs, _ = held_verbs(model)
    for verb in verbs:
        content = onnx.convert(model, verbs[verb], verb)
        session = OnnxModel(content)
        assert set(session.inputs) <= set(verbs[verb].inputs)
        assert set(session.outputs) == set(verbs[verb].outputs)
        for batch in (1, 3):
            told = onnx.measure_error(model, verbs, verb, content, batch)
            for output, error in told.items():
                allowed = 1 if verbs[verb].outputs[output].dtype == tf.uint8 else 1e-4
                assert error.largest <= allowed, (verb, output, error)


def test_codes_are_looked_up_row_by_row(debug_model):
    model = debug_model("glo")
    content = onnx.convert(model, held_verbs(model, None, ["recall"])[0]["recall"], "recall")
    rows = np.array([5, 0, 5], np.int64)
    video = OnnxModel(content)(index=rows)["video"]
    assert np.abs(video.astype(int) - model.recall(index=rows)).max() <= 1
    assert np.array_equal(video[0], video[2]) and not np.array_equal(video[0], video[1])


def test_an_output_named_as_an_input_is_told_apart():
    import onnx

    model = model_class("cvae").from_preset("debug", image_shape=(16, 16, 3), frames=4)
    verb = held_verbs(model, None, ["reconstruct"])[0]["reconstruct"]
    content = onnx.convert(model, verb, "r")
    graph = onnx.load_from_string(content).graph
    assert [each.name for each in graph.output] == ["video_out"]
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert OnnxModel(content).outputs == ["video"]


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"not a file of ONNX")
    with pytest.raises(ValueError, match=r"a\.onnx: cannot be read as ONNX"):
        OnnxModel(tmp_path / "a.onnx")
