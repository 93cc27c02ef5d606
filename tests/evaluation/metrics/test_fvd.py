import json

import numpy as np
import pytest

from kerasvid.evaluation.metrics import fvd
from kerasvid.evaluation.metrics.fvd import (
    I3DFeatures,
    frechet_video_distance,
    padded_in_time,
    resized,
)
from kerasvid.evaluation.metrics.i3d_weights import (
    WeightsError,
    found_weights,
    load_i3d,
    weights_digest,
)


def clips(count, frames=4, size=8, seed=0, low=0, high=256):
    shape = [count, frames, size, size, 3]
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def motion_and_colour(videos):
    """Features `[B, 4]`: how much changes from frame to frame, and the mean colour."""
    change = np.abs(np.diff(videos, axis=1)).mean(axis=(1, 2, 3, 4))
    return np.concatenate([change[:, None], videos.mean(axis=(1, 2, 3))], axis=1)


def colour(videos):
    return videos.mean(axis=(1, 2, 3))


def measure(real, generated, features=motion_and_colour, count=None, batch=7):
    parts = [[c[i : i + batch] for i in range(0, len(c), batch)] for c in (real, generated)]
    return frechet_video_distance(*parts, features, count or len(real))


def by_numpy(one, other):
    """The published formula with the root by eigenvalues of the product."""
    a, b = np.cov(one.T), np.cov(other.T)
    root = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0.0)).sum()
    return np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2.0 * root


# === The distance ===


def test_the_distance_is_the_published_formula_of_the_features():
    real, other = clips(40), clips(40, seed=1, high=120)
    expected = by_numpy(*(motion_and_colour(c / 127.5 - 1.0) for c in (real, other)))
    assert measure(real, other).distance == pytest.approx(expected, rel=1e-4) and expected > 0.5


def test_equal_sets_have_distance_0_in_any_order_and_batches():
    real = clips(30)
    order = np.random.default_rng(3).permutation(30)
    assert measure(real, real).distance == pytest.approx(0.0, abs=1e-9)
    assert measure(real, real[order], batch=4).distance == pytest.approx(0.0, abs=1e-9)


def test_a_shift_of_the_features_has_the_known_distance():
    real = clips(50, low=0, high=128)
    # 51 levels are 0.4 in [-1, 1], for each of three colours.
    assert measure(real, real + 51, colour).distance == pytest.approx(3 * 0.4**2, rel=1e-5)


def test_frames_in_another_order_are_far_for_features_that_see_motion_only(moving_squares):
    real, generator = moving_squares(40, 6), np.random.default_rng(0)
    shuffled = np.stack([clip[generator.permutation(6)] for clip in real])
    assert measure(real, shuffled, colour).distance == pytest.approx(0.0, abs=1e-9)
    assert measure(real, shuffled).distance > 1e-5
    assert measure(real, moving_squares(40, 6), motion_and_colour).distance < 1e-9


def test_bytes_and_floats_are_the_same_clips():
    real, other = clips(12), clips(12, seed=1)
    assert measure(real / 127.5 - 1.0, other).distance == pytest.approx(
        measure(real, other).distance, rel=1e-5
    )


def test_further_clips_are_not_read():
    real, other = clips(20), clips(20, seed=1)
    assert measure(real, other, count=12) == measure(real[:12], other[:12])


def test_the_result_names_its_features():
    found = measure(clips(8), clips(8, seed=1))
    assert found.distance > 0.0 and found.std is None
    assert found.features == {"features": "motion_and_colour"}


def nan_features(videos):
    return np.full([len(videos), 2], np.nan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 9}, "There are 8 real clips, not 9"),
        ({"generated": clips(7)}, "There are 7 generated clips, not 8"),
        ({"count": 1}, "Compare 2 or more real clips"),
        ({"generated": clips(8, frames=5)}, "Use the same T"),
        ({"features": nan_features}, "Features are not finite"),
        ({"features": lambda c: c}, r"Use a function to \[B, D\]"),
        ({"generated": np.full([8, 4, 8, 8, 3], np.nan)}, "generated clips: pixels of clip 0"),
    ],
)
def test_wrong_arguments_are_an_error_of_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        measure(**{"real": clips(8), "generated": clips(8, seed=1), **arguments})
    assert "\n" not in str(error.value)


# === What I3D sees ===


@pytest.mark.parametrize(
    ("padding", "order"),
    [
        ("last", [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]),
        ("mirror", [0, 1, 2, 3, 4, 5, 6, 7, 6, 5]),
        ("loop", [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]),
    ],
)
def test_short_clips_are_extended_by_the_padding(padding, order):
    short, long = clips(2, frames=8), clips(2, frames=11)
    np.testing.assert_array_equal(padded_in_time(short, 10, padding), short[:, order])
    assert padded_in_time(long, 10, padding) is long
    still = padded_in_time(clips(1, frames=1), 10, padding)
    assert still.shape[1] == 10 and (still == still[:, :1]).all()


def test_mirroring_goes_back_and_forth_as_often_as_it_must():
    three = clips(1, frames=3)
    order = [0, 1, 2, 1, 0, 1, 2, 1, 0, 1]
    np.testing.assert_array_equal(padded_in_time(three, 10, "mirror"), three[:, order])


def bilinear(image, size, half):
    """At every place, by the four pixels around it, `[size, size, C]`."""
    edge, out = image.shape[0], np.zeros([size, size, image.shape[-1]])
    for i in range(size):
        for j in range(size):
            y, x = ((i + 0.5) * edge / size - 0.5, (j + 0.5) * edge / size - 0.5) if half else (
                i * edge / size, j * edge / size)  # fmt: skip
            y, x = max(y, 0.0), max(x, 0.0)
            top, left = int(y), int(x)
            below, right = min(top + 1, edge - 1), min(left + 1, edge - 1)
            a, b = y - top, x - left
            upper = (1 - b) * image[top, left] + b * image[top, right]
            lower = (1 - b) * image[below, left] + b * image[below, right]
            out[i, j] = (1 - a) * upper + a * lower
    return out


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("size", [13, 3])
def test_frames_are_resized_bilinearly_without_a_crop(half, size):
    videos = np.random.default_rng(0).uniform(-1, 1, [1, 2, 6, 6, 3]).astype(np.float32)
    found = resized(videos, size, half).numpy()
    for frame in range(2):
        expected = bilinear(videos[0, frame], size, half)
        np.testing.assert_allclose(found[0, frame], expected, atol=1e-5)


def test_grey_clips_are_repeated_three_times():
    grey = np.random.default_rng(0).uniform(-1, 1, [1, 2, 6, 6, 1]).astype(np.float32)
    np.testing.assert_array_equal(resized(grey, 9), resized(np.repeat(grey, 3, -1), 9))


@pytest.fixture(scope="module")
def narrow(narrow_i3d_file):
    return load_i3d(narrow_i3d_file, divisor=8, classes=5)


def test_features_are_the_logits_of_the_resized_clips(narrow, monkeypatch):
    monkeypatch.setattr(fvd, "TOGETHER", 2)
    videos = clips(3, frames=10).astype(np.float32) / 127.5 - 1.0
    found = I3DFeatures(narrow)(videos)
    expected = narrow(resized(videos, 224))
    assert found.shape == (3, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    whole = I3DFeatures(narrow, centres="whole")(videos)
    assert np.abs(whole - found).max() > 1e-4


def test_a_distance_by_i3d_reports_the_weights_and_every_choice(narrow, random_i3d_values):
    real, other = clips(4, frames=8), clips(4, frames=8, seed=1, high=60)
    found = measure(real, other, I3DFeatures(narrow, padding="mirror"))
    assert found.distance > 0.0 and measure(real, real, I3DFeatures(narrow, "loop")).distance < 1e-9
    protocol = json.loads(json.dumps(found.features))
    assert protocol == {
        "features": "I3D of Kinetics-400, logits before softmax",
        "weights": weights_digest(random_i3d_values()),
        "resize": "bilinear to 224x224, no anti-aliasing, no crop",
        "centres": "half",
        "size": 5,
        "padding": "mirror",
        "seen_frames": 10,
        "range": "[-1, 1]",
    }


def test_short_clips_without_a_padding_are_an_error(narrow):
    with pytest.raises(ValueError, match=r"8 frames: I3D needs 10. Use longer clips or a padding"):
        measure(clips(2, frames=8), clips(2, frames=8), I3DFeatures(narrow))


def test_unknown_options_are_errors(narrow):
    with pytest.raises(ValueError, match="use last, mirror, loop or None"):
        I3DFeatures(narrow, padding="reflect")
    with pytest.raises(ValueError, match="use half or whole"):
        I3DFeatures(narrow, centres="corner")
    with pytest.raises(ValueError, match="use grey or RGB"):
        I3DFeatures(narrow)(np.zeros([1, 10, 8, 8, 4], np.float32))


@pytest.mark.slow
def test_black_is_as_far_from_white_as_public_implementations_have_it(online):
    try:
        path = found_weights()
    except WeightsError as error:
        pytest.skip(f"the weights of I3D cannot be had here: {error}")
    black = np.zeros([8, 30, 64, 64, 3], np.uint8)
    found = measure(black, black + 255, I3DFeatures(path))
    # 151.39 by the hub module in TensorFlow 1, 151.26 by its conversion to PyTorch.
    assert found.distance == pytest.approx(151.39, abs=0.01)
