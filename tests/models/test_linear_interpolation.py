import numpy as np
import pytest

from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.visualization.nearest_clip import l2_distances


@pytest.fixture(scope="module")
def model():
    model = LinearInterpolation.from_preset("debug", image_shape=(8, 8, 3), frames=4)
    model.compile("adam", jit_compile=False)
    return model


@pytest.fixture
def videos():
    return np.random.default_rng(0).integers(0, 256, [5, 4, 8, 8, 3], dtype=np.uint8)


@pytest.mark.parametrize("frames", [2, 4, 30])
def test_every_pixel_goes_straight_from_the_first_to_the_last(model, videos, frames):
    filled = model.between(videos[:, 0], videos[:, -1], frames)
    for frame in range(frames):
        share = frame / (frames - 1)
        expected = (1 - share) * videos[:, 0].astype(float) + share * videos[:, -1]
        assert np.abs(filled[:, frame] - expected).max() <= 0.5 + 1e-3


def test_its_loss_is_the_mean_distance_to_the_true_clips_and_training_leaves_it_so(model, videos):
    filled = model(videos).numpy()
    exact = np.linspace(videos[:, 0].astype(float), videos[:, -1], 4, axis=1)
    np.testing.assert_allclose(filled, exact / 127.5 - 1.0, atol=1e-5)
    expected = np.sqrt(np.square((exact - videos) / 255).sum(axis=(1, 2, 3, 4))).mean()
    logs = model.fit(videos, batch_size=5, epochs=2, verbose=0).history
    np.testing.assert_allclose(logs["loss"], [expected] * 2, rtol=1e-5)
    figures = model.evaluate(videos, batch_size=5, verbose=0, return_dict=True)
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)
    rounded = l2_distances(model.between(videos[:, 0], videos[:, -1]), videos).mean()
    assert rounded == pytest.approx(expected, rel=1e-2)
    assert model.trainable_variables == []
