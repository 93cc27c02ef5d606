import itertools

import keras
import numpy as np
import pytest

from kerasvid.evaluation.metrics.frame_consistency import frame_consistencies
from kerasvid.evaluation.metrics.motion_consistency import VGG16Features, motion_consistency_score


def pixels(frames):
    return frames.reshape(len(frames), -1)


def in_batches(clips, size=3):
    return (clips[i : i + size] for i in range(0, len(clips), size))


def score(real, generated, features=pixels, **arguments):
    return motion_consistency_score(in_batches(real), in_batches(generated), features, **arguments)


def clips(count, frames=5, size=6, seed=0):
    shape = [count, frames, size, size, 3]
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("differences", ["signed", "absolute"])
def test_the_score_is_the_squared_distance_of_the_mean_differences(differences):
    real, generated = clips(7), clips(4, seed=1)
    means = []
    for each in (real, generated):
        total = 0.0
        for clip in each / 127.5 - 1.0:
            for before, after in itertools.pairwise(clip):
                change = (after - before).ravel()
                total = total + (np.abs(change) if differences == "absolute" else change)
        means.append(total / (len(each) * 4))
    expected = np.sum((means[0] - means[1]) ** 2)
    found = score(real, generated, differences=differences)
    assert found.squared_distance == pytest.approx(expected, rel=1e-5) and expected > 0.1
    assert found.score == pytest.approx(np.log10(expected), abs=1e-5)
    assert found.std is None


def test_equal_sets_are_at_the_bound():
    real = clips(6)
    found = score(real, real)
    assert found.squared_distance == 0.0 and found.score == -np.inf


def test_signed_changes_are_those_between_the_ends_and_absolute_ones_of_every_step():
    real = clips(5)
    within = real[:, [0, 3, 1, 2, 4]]
    assert score(real, within).squared_distance < 1e-9
    assert score(real, within, differences="absolute").squared_distance > 1e-2


@pytest.mark.parametrize("differences", ["signed", "absolute"])
def test_shuffled_frames_have_a_higher_score(moving_squares, differences):
    real, generator = moving_squares(12, 6), np.random.default_rng(0)
    shuffled = np.stack([clip[generator.permutation(6)] for clip in real])
    other = score(moving_squares(12, 6, seed=1), real, differences=differences)
    worse = score(moving_squares(12, 6, seed=1), shuffled, differences=differences)
    assert worse.score > other.score + 0.1


def test_the_order_of_later_frames_changes_mcs_but_not_fcs(moving_squares):
    real = moving_squares(6, 5)
    shuffled = real[:, [0, 3, 1, 4, 2]]
    scores = frame_consistencies(shuffled), frame_consistencies(real)
    np.testing.assert_allclose(*scores, rtol=1e-6)
    assert score(real, shuffled).squared_distance > 1e-3


def test_the_number_of_clips_of_each_set_is_exact():
    assert score(clips(9), clips(8, seed=1), clips=5) == score(clips(9)[:5], clips(8, seed=1)[:5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips": 9}, "There are 6 real clips, not 9"),
        ({"real": clips(6, frames=1)}, "have 1 frames. Use 2 frames or more"),
        ({"generated": clips(6, frames=6)}, "Use the same T"),
        ({"generated": clips(0)}, "no generated clips"),
        ({"generated": np.full([6, 5, 6, 6, 3], np.nan)}, "pixels of clip 0"),
        ({"features": lambda f: np.full([len(f), 2], np.nan)}, "Features are not finite"),
        ({"features": lambda f: f.mean(0)}, r"Use a function to \[N, \.\.\.\]"),
        ({"differences": "squared"}, "use signed or absolute"),
    ],
)
def test_wrong_arguments_are_an_error_of_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        score(**{"real": clips(6), "generated": clips(6, seed=1), **arguments})
    assert "\n" not in str(error.value)


# === VGG16 ===


@pytest.fixture(scope="module")
def vgg16():
    keras.utils.set_random_seed(0)
    return VGG16Features(weights=None)


def by_numpy(network, frames):
    """Seven convolutions with ReLU, two pools between, of the caffe preprocessing."""
    values = (frames.astype(np.float64) + 1.0) * 127.5
    values = values[..., [2, 1, 0]] - [103.939, 116.779, 123.68]
    for name in ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3"):
        block, conv = name.split("_")
        if conv == "1" and block != "1":
            n, h, w, c = values.shape
            values = values.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
        kernel, bias = (w.numpy() for w in network.get_layer(f"block{block}_conv{conv}").weights)
        wide = np.pad(values, [(0, 0), (1, 1), (1, 1), (0, 0)])
        h, w = values.shape[1:3]
        values = sum(
            wide[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3)
        )
        values = np.maximum(values + bias, 0.0)
    return values


def test_features_are_relu3_3_of_levels_less_the_means_of_imagenet(vgg16):
    frames = np.random.default_rng(0).uniform(-1, 1, [1, 32, 32, 3]).astype(np.float32)
    found, expected = vgg16(frames), by_numpy(vgg16.network, frames)
    assert found.shape == (1, 8, 8, 256) and expected.max() > 1.0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_small_frames_are_refused_and_grey_ones_are_repeated(vgg16):
    with pytest.raises(ValueError, match="frames of 32x32 or more"):
        vgg16(np.zeros([2, 16, 16, 3], np.float32))
    with pytest.raises(ValueError, match="grey or RGB"):
        vgg16(np.zeros([2, 32, 32, 2], np.float32))
    grey = np.random.default_rng(0).uniform(-1, 1, [1, 32, 32, 1]).astype(np.float32)
    np.testing.assert_allclose(vgg16(grey), vgg16(np.repeat(grey, 3, -1)), rtol=1e-5)


def test_mixed_precision_elsewhere_does_not_touch_it(precision):
    precision("mixed_bfloat16")
    features = VGG16Features(weights=None)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert features(np.zeros([1, 32, 32, 3], np.float32)).dtype == np.float32


def test_another_data_format_of_keras_does_not_touch_it(channels_first):
    features = VGG16Features(weights=None)
    assert keras.config.image_data_format() == "channels_first"
    assert features(np.zeros([1, 32, 40, 3], np.float32)).shape == (1, 8, 10, 256)


@pytest.mark.slow
def test_weights_are_read_from_a_file(tmp_path, vgg16):
    whole = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    whole.save_weights(tmp_path / "vgg16.weights.h5")
    frames = np.random.default_rng(0).uniform(-1, 1, [1, 32, 32, 3]).astype(np.float32)
    expected = by_numpy(whole, frames)
    found = VGG16Features(tmp_path / "vgg16.weights.h5")(frames)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_unreadable_weights_are_an_error_of_one_line(tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"no weights")
    for name in ("none.h5", "broken.h5"):
        with pytest.raises(ValueError, match="Use the path of vgg16_weights_tf") as error:
            VGG16Features(tmp_path / name)
        assert "\n" not in str(error.value)


def test_the_std_is_the_jackknife_of_groups_of_clips():
    real, generated = clips(7), clips(6, seed=1)
    found = score(real, generated, groups=3)
    assert found.score == pytest.approx(score(real, generated).score)
    variance = 0.0
    for number, each in enumerate((real, generated)):
        sets, left = [real, generated], []
        for group in range(3):
            sets[number] = each[np.arange(len(each)) % 3 != group]
            left.append(score(*sets).score)
        variance += 2 / 3 * np.sum((np.array(left) - np.mean(left)) ** 2)
    assert found.std == pytest.approx(variance**0.5, rel=1e-4) and variance > 0


def test_equal_sets_have_no_std():
    real = np.repeat(clips(1), 6, axis=0)
    assert score(real, real, groups=3).std is None


def test_windows_of_a_video_are_in_one_group():
    real, generated = clips(10), clips(10, seed=1)
    once = score(real, generated, groups=5)
    often = score(
        np.tile(real, (4, 1, 1, 1, 1)), np.tile(generated, (4, 1, 1, 1, 1)), groups=5,
        real_videos=np.tile(np.arange(10), 4), generated_videos=np.tile(np.arange(10), 4),
    )  # fmt: skip
    assert often == pytest.approx(once, rel=1e-4) and once.std > 0
