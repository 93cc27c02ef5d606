import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.classifiers import networks as classifier_module
from kerasvid.evaluation.classifiers.networks import ClipClassifier, FrameClassifier
from kerasvid.evaluation.metrics.fvd import ClipFeatures, frechet_video_distance
from kerasvid.layers.discriminators import ImageDiscriminator

SHAPE, HEADS = (16, 16, 3), {"action": 4, "hair": 3}
NARROW = {"channels": (4, 8), "strides": (1, 2), "features": 6}


def clips(count=3, frames=4, seed=0, shape=SHAPE):
    pixels = np.random.default_rng(seed).integers(0, 256, [count, frames, *shape])
    return pixels.astype(np.uint8)


@pytest.fixture(scope="module")
def clip_classifier():
    keras.utils.set_random_seed(1)
    return ClipClassifier(HEADS, SHAPE, frames=3, encoder=NARROW, units=5)


@pytest.fixture(scope="module")
def frame_classifier():
    keras.utils.set_random_seed(2)
    return FrameClassifier(HEADS, SHAPE, {"channels": (4, 6)})


@pytest.fixture(params=["clip", "frame"])
def either(request, clip_classifier, frame_classifier):
    return clip_classifier if request.param == "clip" else frame_classifier


def clips_for(either, count=3, seed=0):
    return clips(count, 1 if isinstance(either, FrameClassifier) else 4, seed)


@pytest.mark.parametrize(
    ("kind", "arguments"), [(ClipClassifier, {"encoder": NARROW}), (FrameClassifier, {})]
)
def test_another_data_format_of_keras_does_not_touch_them(channels_first, kind, arguments):
    classifier = kind(HEADS, (16, 24, 3), **arguments)
    (kernel, *_) = [w for w in classifier.weights if w.name == "kernel"]
    assert kernel.shape[2] % 3 == 0  # from colours, or from patches of them
    count = classifier.min_frames
    answers = classifier.probabilities(clips(2, count, shape=(16, 24, 3)))
    assert {name: each.shape for name, each in answers.items()} == {
        "action": (2, 4),
        "hair": (2, 3),
    }


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def by_numpy(cell, sequence):
    """The last output of an LSTM over `[B, T, D]`."""
    kernel, recurrent, bias = (weight.numpy() for weight in cell.weights)
    output = state = np.zeros([len(sequence), cell.units])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    for step in sequence.swapaxes(0, 1):
        entry, forget, candidate, leave = np.split(
            step @ kernel + output @ recurrent + bias, 4, axis=-1
        )
        state = sigmoid(forget) * state + sigmoid(entry) * np.tanh(candidate)
        output = sigmoid(leave) * np.tanh(state)
    return output


# === Clips ===


@pytest.mark.parametrize("frames", [3, 5])
def test_a_clip_is_classified_by_both_ends_of_a_bi_lstm_over_its_frames(clip_classifier, frames):
    shown = clips(2, frames)
    pixels = shown.reshape(-1, *SHAPE).astype(np.float32) / 127.5 - 1.0
    seen = clip_classifier.encoder(pixels).numpy().reshape(2, frames, -1)
    layer = clip_classifier.summary_layer
    ends = (
        by_numpy(layer.forward_layer.cell, seen),
        by_numpy(layer.backward_layer.cell, seen[:, ::-1]),
    )
    summary = np.concatenate(ends, axis=-1)
    features, answers = clip_classifier.features(shown), clip_classifier.probabilities(shown)
    np.testing.assert_allclose(features, summary, atol=1e-5)
    assert features.shape == (2, 10) and features.dtype == np.float32
    for name, classes in HEADS.items():
        kernel, bias = clip_classifier.head_layers[name].get_weights()
        np.testing.assert_allclose(answers[name], softmax(8 * summary @ kernel + bias), atol=1e-5)
        assert answers[name].shape == (2, classes) and answers[name].dtype == np.float32


def test_the_order_of_frames_matters_to_a_clip_classifier(clip_classifier):
    shown = clips()
    assert (
        np.abs(clip_classifier.features(shown) - clip_classifier.features(shown[:, ::-1])).max()
        > 1e-3
    )


def test_its_graph_has_no_loop(clip_classifier, assert_unrolled):
    shown = clips()
    clip_classifier.features(shown)
    (traced,) = [each for kind, each in clip_classifier._traced.items() if kind == "4 uint8"]
    assert_unrolled(traced.get_concrete_function(tf.TensorSpec(shown.shape, tf.uint8)))


# === Frames ===


def test_a_frame_is_classified_by_a_network_of_d_i_s_architecture(frame_classifier):
    shown = clips(4, 1)
    d_i = ImageDiscriminator(channels=(4, 6), patch=2, categories=7)
    pixels = tf.constant(shown[:, 0] / 127.5 - 1.0, tf.float32)
    d_i(pixels)
    d_i.set_weights(frame_classifier.get_weights())
    logits = d_i(pixels).categories.numpy()
    answers = frame_classifier.probabilities(shown[:, 0])
    np.testing.assert_allclose(answers["action"], softmax(logits[:, :4]), atol=1e-5)
    np.testing.assert_allclose(answers["hair"], softmax(logits[:, 4:]), atol=1e-5)
    maps = d_i.feature_maps(pixels).numpy()
    np.testing.assert_allclose(frame_classifier.features(shown), maps.mean(axis=(1, 2)), atol=1e-5)


def test_a_frame_classifier_takes_frames_and_clips_of_one_frame(frame_classifier):
    shown = clips(5, 1)
    expected = frame_classifier.probabilities(shown[:, 0])["hair"]
    np.testing.assert_array_equal(frame_classifier.probabilities(shown)["hair"], expected)
    with pytest.raises(ValueError, match="Clips of 4 frames: this classifier needs one frame"):
        frame_classifier.probabilities(clips(5))


# === Both ===


def test_bytes_and_floats_are_the_same_clips(either):
    shown = clips_for(either)
    floats = either.probabilities(shown / 127.5 - 1.0)["action"]
    np.testing.assert_allclose(floats, either.probabilities(shown)["action"], atol=1e-6)


def test_the_number_of_clips_in_one_pass_does_not_matter(either, monkeypatch):
    shown = clips_for(either, 7)
    together = either.features(shown)
    monkeypatch.setattr(classifier_module, "TOGETHER", 3)
    np.testing.assert_allclose(either.features(shown), together, atol=1e-5)
    assert len([kind for kind in either._traced if "uint8" in kind]) <= 3  # not one a batch size


def test_a_classifier_is_saved_whole(either, tmp_path):
    either.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(either.get_config())
    assert loaded.weights_digest() == either.weights_digest()
    shown = clips_for(either)
    for name, values in either.probabilities(shown).items():
        np.testing.assert_array_equal(loaded.probabilities(shown)[name], values)
    weight = loaded.weights[-1]
    weight.assign(weight.numpy() + 1e-4)
    assert loaded.weights_digest() != either.weights_digest()


def test_a_classifier_learns_by_fit_with_rows_of_unknown_labels_left_out(either):
    twin = type(either).from_config(either.get_config())
    twin.set_weights(either.get_weights())
    loss = {n: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for n in HEADS}
    twin.compile("sgd", loss)
    shown = clips(4, 3 if "frames" in either.get_config() else 1)
    labels = {"action": np.arange(4), "hair": np.zeros(4, int)}
    unknown = {"action": np.float32([1, 1, 0, 1]), "hair": np.float32([0, 1, 1, 1])}
    expected = sum(
        -np.log(each[np.arange(4), labels[name]]) @ unknown[name] / 4
        for name, each in twin.probabilities(shown).items()
    )
    batches = tf.data.Dataset.from_tensors((shown, labels, unknown))
    history = twin.fit(batches, shuffle=False, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_features_serve_a_frechet_distance(either):
    class Features(ClipFeatures):
        protocol = staticmethod(either.protocol)

        def __call__(self, shown):
            return either.features(shown)

    real, other = clips_for(either, 12), clips_for(either, 12, seed=1) // 2
    same = frechet_video_distance([real], [real], Features(), 12)
    far = frechet_video_distance([real], [other], Features(), 12)
    assert same.distance == pytest.approx(0.0, abs=1e-9) and far.distance > 1e-4
    assert far.features["size"] == either.features(real).shape[1]


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (clips(shape=(16, 12, 3)), "Frames of 16x12x3: this classifier needs frames of 16x16x3"),
        (clips(shape=(16, 16, 1)), "Frames of 16x16x1"),
        (
            np.full([2, 4, *SHAPE], np.nan),
            "classified clips: pixels of clip 0 of a batch are not finite",
        ),
        (np.full([2, 4, *SHAPE], 255.0), r"not in \[-1, 1\]"),
        (np.zeros([2, 4, *SHAPE], int), "Use uint8"),
        (clips(0), "no clips to classify"),
    ],
)
def test_wrong_clips_are_an_error_of_one_line(either, shown, message):
    with pytest.raises(ValueError, match=message) as error:
        either.probabilities(shown)
    assert "\n" not in str(error.value)


def test_clips_shorter_than_those_it_was_trained_on_are_refused(clip_classifier):
    with pytest.raises(ValueError, match=r"Clips of 2 frames.* needs 3 or more"):
        clip_classifier.features(clips(frames=2))


@pytest.mark.parametrize("heads", [{}, {"action": 1}])
@pytest.mark.parametrize("kind", [ClipClassifier, FrameClassifier])
def test_a_classifier_needs_classes(kind, heads):
    with pytest.raises(ValueError, match="use one or more, each of 2 classes or more"):
        kind(heads, SHAPE)


def test_frames_of_odd_sizes_are_not_cut_into_patches():
    narrow = ClipClassifier({"label": 2}, (10, 15, 3), 2, {"channels": (4,), "strides": (2,)}, 4)
    assert narrow.encoder.patch == 1
    assert narrow.probabilities(clips(2, 2, shape=(10, 15, 3)))["label"].shape == (2, 2)
