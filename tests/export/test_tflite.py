"""TFLite files do what the models do, with built-in operations alone."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from kerasvid.export import tflite
from kerasvid.export.accuracy import measured_difference
from kerasvid.export.runtimes import LiteModel
from kerasvid.export.sample_inputs import sample_inputs
from kerasvid.layers.fitted_priors import PRIORS
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.registry import MODELS, model_class

pytest.importorskip("ai_edge_litert", reason="pip install -e '.[tflite]'")
LEAST_PSNR = {"float16": 60.0, "dynamic": 45.0, "integer": 37.0}  # dB, of pixels
LARGEST = {"float16": 2e-3, "dynamic": 0.03, "integer": 0.1}  # of codes


def errors_of(model, signatures, content):
    """The differences of a file from the model, by signature and output."""
    lite = LiteModel(content)
    return {
        name: measured_difference(functools.partial(lite, name), model, each, draws=4)
        for name, each in signatures.items()
    }


@pytest.fixture(scope="module")
def model(debug_model):
    return debug_model("rjvae")


@pytest.fixture(scope="module")
def exported(model):
    """`decode` and `image` of the model and their file."""
    signatures, _ = tflite.loop_free_signatures(model, None, ["decode", "image"])
    return signatures, tflite.convert(model, signatures)


def names_of_models():
    quick = "linear_interpolation"  # others take seconds
    return [pytest.param(n, marks=[] if n == quick else pytest.mark.slow) for n in MODELS]


@pytest.fixture(scope="module", params=names_of_models())
def every_model(request, debug_model):
    """A model, its signatures that a file can hold and the names of those left out."""
    model = debug_model(request.param)
    return model, *tflite.loop_free_signatures(model)


def test_outputs_of_a_file_equal_the_model(every_model):
    model, signatures, left = every_model
    content = tflite.convert(model, signatures)
    assert list(LiteModel(content).signatures) == sorted(signatures)
    errors = errors_of(model, signatures, content)
    assert errors["decode"]["video"].largest < 1e-4
    for signature, by_output in errors.items():
        for output, error in by_output.items():
            allowed = 1 if signatures[signature].outputs[output].dtype == tf.uint8 else 1e-4
            assert error.largest <= allowed, (signature, output, error)
    assert bool(left) == isinstance(model, LatentCodeModel)
    assert not {"WHILE", "CALL_ONCE", "READ_VARIABLE"} & set(tflite.operations(content))
    assert not [op for op in tflite.operations(content) if op.startswith("CUSTOM")]


CLASSES = [name for name in MODELS if "categories" in model_class(name).hyperparameters()]


@pytest.mark.parametrize(
    "name", [n if n == "vgan" else pytest.param(n, marks=pytest.mark.slow) for n in CLASSES]
)
def test_a_file_makes_clips_of_the_class_of_its_noise(name, debug_model):
    model = debug_model(name, categories=3)
    signatures, _ = tflite.loop_free_signatures(model, None, ["decode"])
    content = tflite.convert(model, signatures)
    decode = signatures["decode"]
    assert errors_of(model, signatures, content)["decode"]["video"].largest < 1e-4
    given = sample_inputs(model, decode, batch=1, seed=1)
    lite, shown = LiteModel(content), []
    for label in range(3):
        asked = {**given, "category": np.eye(3, dtype=np.float32)[[label]]}
        shown.append(lite("decode", **asked)["video"])
        np.testing.assert_allclose(shown[-1], decode(**asked)["video"], atol=1e-4)
    assert np.abs(shown[0] - shown[1]).max() > 1e-4 < np.abs(shown[1] - shown[2]).max()
    assert not [op for op in tflite.operations(content) if op.startswith("CUSTOM")]


@pytest.mark.slow
def test_motion_between_two_frames_is_in_the_file(debug_model):
    model = debug_model("cvae", warping=True, motion={"channels": (8, 8), "units": 8})
    signatures, _ = tflite.loop_free_signatures(model, None, ["decode", "between"])
    content = tflite.convert(model, signatures)
    assert errors_of(model, signatures, content)["decode"]["video"].largest < 1e-3
    assert not [op for op in tflite.operations(content) if op.startswith("CUSTOM")]


@pytest.mark.slow
@pytest.mark.parametrize("categories", [0, 2])
@pytest.mark.parametrize("kind", PRIORS)
def test_a_fitted_prior_is_in_the_file(kind, categories, debug_model, moving_squares):
    model = debug_model("rjvae", categories=categories)
    size = model.image_shape[0]
    videos = moving_squares(40, model.frames, size=size)
    sizes = {"mixture": {"clusters": 2}}.get(kind, {})
    batch = {"video": videos, "label": np.arange(40) % 2}
    model.fit_prior(kind, [batch], steps=2, **sizes)
    signatures, _ = tflite.loop_free_signatures(model, None, ["decode"])
    content = tflite.convert(model, signatures)
    assert errors_of(model, signatures, content)["decode"]["video"].largest < 1e-3
    assert not [op for op in tflite.operations(content) if op.startswith("CUSTOM")]


@pytest.mark.slow
@pytest.mark.parametrize("quantize", [kind for kind in tflite.QUANTIZE if kind != "none"])
def test_smaller_files_are_near_the_model(every_model, quantize):
    model, signatures, _ = every_model
    content = tflite.convert(model, signatures, quantize)
    for signature, by_output in errors_of(model, signatures, content).items():
        for output, error in by_output.items():
            near = error.largest < LARGEST[quantize]
            assert near if error.psnr is None else error.psnr > LEAST_PSNR[quantize], (
                f"{signature}: {output} differs by {error}"
            )
    if quantize == "integer":
        assert "QUANTIZE" in tflite.operations(content)


def test_inputs_and_outputs_have_the_names_and_shapes_of_the_signature(exported):
    signatures, content = exported
    runner = LiteModel(content).runner("decode")
    inputs = {n: tuple(d["shape"]) for n, d in runner.get_input_details().items()}
    assert inputs == {n: (1, *each.shape) for n, each in signatures["decode"].inputs.items()}
    assert {n: tuple(d["shape"]) for n, d in runner.get_output_details().items()} == {
        "video": (1, 4, 16, 16, 3)
    }
    with pytest.raises(ValueError, match=r"has no signature swap\. It has decode, image"):
        LiteModel(content).runner("swap")


def test_the_weights_are_stored_once_for_all_signatures(model, exported):
    signatures, content = exported
    parsed = schema.Model.GetRootAsModel(content, 0)
    stored = sum(parsed.Buffers(i).DataLength() for i in range(parsed.BuffersLength()))
    used = {
        id(v): v.shape.num_elements() for e in signatures.values() for v in e.traced(1).variables
    }
    assert 4 * sum(used.values()) * 0.9 < stored < 4 * sum(used.values()) * 1.25


def test_integer_files_can_have_int8_inputs_and_outputs(model, exported):
    signatures, _ = exported
    content = tflite.convert(model, signatures, "integer", integer_io=True)
    lite, inputs = LiteModel(content), sample_inputs(model, signatures["decode"], 1, 3)
    runner = lite.runner("decode")
    details = [*runner.get_input_details().values(), *runner.get_output_details().values()]
    assert {each["dtype"] for each in details} == {np.int8}
    video = lite("decode", **inputs)["video"]
    assert video.dtype == np.float32
    given = {name: tf.constant(value) for name, value in inputs.items()}
    expected = signatures["decode"](**given)["video"].numpy()
    assert np.abs(video - expected).mean() < 0.05 < np.abs(expected).max()
    # Pixels are as near: of 255 levels, a few.
    inputs = sample_inputs(model, signatures["image"], 1, 3)
    image = lite("image", **inputs)["image"]
    assert image.dtype == np.uint8
    given = {name: tf.constant(value) for name, value in inputs.items()}
    expected = signatures["image"].traced(1)(**given)["image"].numpy()
    assert np.abs(image.astype(int) - expected).mean() < 3


def test_a_custom_operation_is_found_and_refused():
    function = tf.function(lambda x: tf.math.igamma(x, x))
    concrete = function.get_concrete_function(tf.TensorSpec([4], tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    converter.allow_custom_ops = True
    content = converter.convert()
    assert tflite.operations(content)["CUSTOM:Igamma"] == 1
    with pytest.raises(ValueError, match="needs CUSTOM:Igamma, not built into TFLite"):
        tflite.check_built_in(content)


def test_signatures_that_need_a_loop_are_refused_by_name(model, debug_model):
    with pytest.raises(ValueError, match=r"no signature 'decod'.*decode"):
        tflite.loop_free_signatures(model, None, ["decod"])
    descending = debug_model("glo")
    with pytest.raises(ValueError, match="encode: finds codes by gradient descent"):
        tflite.loop_free_signatures(descending, None, ["encode"])
    for options, message in (
        ({"quantize": "int4"}, "Unknown quantize"),
        ({"integer_io": True}, "needs"),
    ):
        with pytest.raises(ValueError, match=message):
            tflite.convert(model, {}, **options)


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"not a file of TFLite")
    with pytest.raises(ValueError, match=r"a\.tflite: cannot be read as TFLite"):
        LiteModel(tmp_path / "a.tflite")
