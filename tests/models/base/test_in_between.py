"""What holds for every model of the video between a first and a last frame."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.models.registry import MODELS, model_class
from kerasvid.visualization.nearest_clip import l2_distances

SMALL = {"image_shape": (16, 16, 3), "frames": 4}
BETWEEN = [name for name in MODELS if issubclass(model_class(name), InBetween)]
OPTIONS = {"warping": True, "exact_endpoints": True}
# Models as they come, and those that have options with all of them.
VARIANTS = {
    **{name: (name, {}) for name in BETWEEN},
    **{
        f"{name}-exact": (name, OPTIONS)
        for name in BETWEEN
        if set(OPTIONS) <= set(model_class(name).hyperparameters())
    },
}
EXACT = [name for name in VARIANTS if "exact" in name or name == "linear_interpolation"]
SLOW = ("cvae", "cgan-exact")  # the other of the two has their code, too


@pytest.fixture(
    params=[pytest.param(v, marks=pytest.mark.slow) if v in SLOW else v for v in VARIANTS],
    scope="module",
)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def model(variant):
    """A model whose outputs are livelier than those of an untrained one."""
    name, own = VARIANTS[variant]
    model = model_class(name).from_preset("debug", **{**SMALL, **own})
    model.set_weights([2.0 * weight for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def endpoints():
    """The first and the last frames of seven videos, uint8 `[7, 16, 16, 3]`."""
    return np.random.default_rng(0).integers(0, 256, [2, 7, 16, 16, 3], dtype=np.uint8)


def test_the_three_systems_of_the_poster_are_among_them():
    assert {"cvae", "cgan", "linear_interpolation"} <= set(BETWEEN)
    assert not any(issubclass(model_class(name), VideoGenerator) for name in BETWEEN)


@pytest.mark.parametrize("frames", [None, 2, 5, 30])
def test_there_are_bytes_of_any_length_between_two_frames(variant, model, endpoints, frames):
    videos = model.between(*endpoints, frames, seed=1)
    assert videos.shape == (7, frames or 4, 16, 16, 3) and videos.dtype == np.uint8
    if variant in EXACT:
        np.testing.assert_array_equal(videos[:, 0], endpoints[0])
        np.testing.assert_array_equal(videos[:, -1], endpoints[1])


def test_clips_depend_on_the_seed_and_not_at_temperature_0(model, endpoints):
    videos = model.between(*endpoints, seed=1)
    np.testing.assert_array_equal(videos, model.between(*endpoints, seed=1))
    guesses = [model.between(*endpoints, seed=seed, temperature=0.0) for seed in (1, 2)]
    np.testing.assert_array_equal(*guesses)
    if model.noise_shapes(4):
        assert (videos != model.between(*endpoints, seed=2)).any()
        assert (videos != guesses[0]).any()


def test_a_row_depends_on_its_number_and_its_own_endpoints_alone(model, endpoints):
    videos = model.between(*endpoints, seed=5).astype(int)
    others = endpoints.copy()
    others[:, 1:] = 255 - others[:, 1:]
    for part in (model.between(*endpoints[:, :2], seed=5), model.between(*others, seed=5)[:1]):
        difference = np.abs(part.astype(int) - videos[: len(part)])
        # Sums of products are ordered by the batch: a pixel at a rounding edge may move one level.
        assert difference.max() <= 1 and (difference > 0).mean() < 0.001
    if model.noise_shapes(4):
        same = np.repeat(endpoints[:, :1], 3, axis=1)
        assert len(np.unique(model.between(*same), axis=0)) == 3


def test_clips_depend_on_both_endpoints(model, endpoints):
    videos = model.between(*endpoints).astype(int)
    for changed in ((255 - endpoints[0], endpoints[1]), (endpoints[0], 255 - endpoints[1])):
        assert (np.abs(model.between(*changed) - videos)[:, 1:-1].max(axis=(1, 2, 3, 4)) > 0).all()


def test_floats_from_minus_1_to_1_are_taken_as_bytes_are(model, endpoints):
    floats = endpoints.astype("float32") / 127.5 - 1.0
    difference = model.between(*floats).astype(int) - model.between(*endpoints)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda a, b: (a[0], b), r"first: frames need the axes \[B, H, W, C\], not the shape"),
        (
            lambda a, b: (a, b[:, :8]),
            r"last: frames are \(8, 16, 3\), but the model takes \(16, 16, 3\)",
        ),
        (lambda a, b: (a[:2], b), r"\(first 2, last 7\): give as many of each"),
        (lambda a, b: (a[:0], b[:0]), "batch=0 must be at least 1"),
        (lambda a, b: (a, b, 1), "frames=1 must be at least 2"),
        (lambda a, b: (a, b, 4, 0, -0.5), "temperature=-0.5 must be 0 or more"),
    ],
)
def test_endpoints_that_do_not_fit_are_refused_in_one_line(model, endpoints, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        model.between(*arguments(*endpoints))
    assert "\n" not in str(error.value)


def test_clips_are_filled_as_one_graph_of_any_batch_without_loops(
    model, endpoints, assert_unrolled
):
    noise = {n: tf.TensorSpec([None, *shape]) for n, shape in model.noise_shapes(3).items()}
    frame = tf.TensorSpec([None, 16, 16, 3])
    graph = tf.function(lambda *given: model.infill(*given, 3)).get_concrete_function(
        frame, frame, noise
    )
    assert_unrolled(graph)
    assert graph.structured_outputs.shape.as_list() == [None, 3, 16, 16, 3]
    drawn = model.between_noise(2, 3, seed=4)
    floats = [tf.constant(end[:2] / 127.5 - 1.0, tf.float32) for end in endpoints]
    filled = graph(*floats, drawn)
    assert float(tf.reduce_max(tf.abs(filled))) <= 1.0
    levels = np.round((filled.numpy() + 1.0) * 127.5).astype(int)
    assert np.abs(levels - model.between(*endpoints[:, :2], 3, seed=4)).max() <= 1


@pytest.mark.parametrize("name", BETWEEN)
def test_clips_of_one_frame_are_refused_in_one_line(name, endpoints):
    with pytest.raises(ValueError, match="frames=1 must be at least 2"):
        model_class(name).from_preset("debug", image_shape=(16, 16, 3), frames=1)


@pytest.mark.slow
def test_filling_compiles_and_gives_the_same_clips(model, endpoints):
    floats = [tf.constant(end / 127.5 - 1.0, tf.float32) for end in endpoints]
    noise = model.between_noise(7, 5, seed=1)
    compiled = tf.function(lambda *given: model.infill(*given, 5), jit_compile=True)
    np.testing.assert_allclose(compiled(*floats, noise), model.infill(*floats, noise, 5), atol=1e-4)


def test_an_evaluation_reports_the_distance_of_the_clips_without_noise(variant, model):
    videos = np.random.default_rng(1).integers(0, 256, [6, 4, 16, 16, 3], dtype=np.uint8)
    model.compile("sgd", jit_compile=False)
    logs = model.evaluate(videos, batch_size=3, verbose=0, return_dict=True)
    filled = model.between(videos[:, 0], videos[:, -1], temperature=0.0)
    expected = l2_distances(filled, videos).mean()
    key = "loss" if variant == "linear_interpolation" else "l2"
    np.testing.assert_allclose(logs[key], expected, rtol=1e-2)  # bytes are rounded
