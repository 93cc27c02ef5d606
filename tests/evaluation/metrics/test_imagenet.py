import keras
import numpy as np
import pytest

from kerasvid.evaluation.metrics.clip_batches import random_frames
from kerasvid.evaluation.metrics.fvd import resized
from kerasvid.evaluation.metrics.imagenet import InceptionFeatures


def clips(count, frames=4, size=12, seed=0):
    shape = [count, frames, size, size, 3]
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)


def test_the_frame_of_a_clip_does_not_depend_on_the_batch():
    videos = clips(30)
    found = random_frames(videos)
    alone = np.concatenate([random_frames(videos[i : i + 1]) for i in range(30)])
    np.testing.assert_array_equal(found, alone)
    chosen = [[(frame[0] == each).all() for each in clip].index(True)
              for frame, clip in zip(found, videos, strict=True)]  # fmt: skip
    assert set(chosen) == {0, 1, 2, 3}
    assert random_frames(found) is found


@pytest.mark.slow
def test_features_are_the_pooled_ones_of_a_resized_frame(tmp_path):
    keras.utils.set_random_seed(0)
    whole = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    path = tmp_path / "notop.weights.h5"
    whole.save_weights(path)
    features, videos = InceptionFeatures(path), clips(3)
    expected = whole(resized(random_frames(videos), 299)[:, 0], training=False)
    np.testing.assert_allclose(features(videos), expected, rtol=1e-3, atol=1e-5)
    facts = features.protocol(4)
    assert (facts["size"], facts["of"]) == (2048, "a random one of 4 frames")
    with pytest.raises(ValueError, match="use grey or RGB"):
        features(clips(1)[..., :2])


def test_unreadable_weights_are_an_error_of_one_line(tmp_path):
    with pytest.raises(
        ValueError, match=r"no weights of InceptionV3 .* inception_v3_weigh"
    ) as error:
        InceptionFeatures(tmp_path / "none.h5")
    assert "\n" not in str(error.value)
