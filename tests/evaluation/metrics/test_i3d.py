import json

import numpy as np
import pytest

from kerasvid.evaluation.metrics.i3d import I3D, MIXED, PREFIX


def shapes_of(network):
    return {name: tuple(v.shape) for name, v in network.variables_by_name().items()}


def network_of(values, divisor=8, classes=5):
    network = I3D(divisor, classes)
    for name, variable in network.variables_by_name().items():
        variable.assign(values[name])
    return network


# === The network once more, in numpy ===


def padded(values, window, strides, fill):
    """TensorFlow's SAME: the smaller half of the padding is in front."""
    pads = [(0, 0)]
    for size, edge, stride in zip(values.shape[1:4], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + edge - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(values, [*pads, (0, 0)], constant_values=fill)


def places(values, window, strides):
    """The values under each place of the window in turn, and where in the window."""
    steps = [(s - e) // t + 1 for s, e, t in zip(values.shape[1:4], window, strides, strict=True)]
    for at in np.ndindex(*window):
        i, j, k = (
            slice(a, a + (n - 1) * t + 1, t) for a, n, t in zip(at, steps, strides, strict=True)
        )
        yield at, values[:, i, j, k]


def convolved(values, kernel, stride=1):
    window, strides = kernel.shape[:3], [stride] * 3
    values = padded(values, window, strides, 0.0)
    return sum(part @ kernel[at] for at, part in places(values, window, strides))


def max_pooled(values, window, strides):
    values = padded(values, window, strides, -np.inf)
    return np.max([part for _, part in places(values, window, strides)], axis=0)


def unit(values, weights, name, stride=1):
    of = {
        key: weights[f"{PREFIX}/{name}/{key}"].astype(np.float64)
        for key in ("conv_3d/w", *(f"batch_norm/{m}" for m in ("beta", "moving_mean")))
    }
    variance = weights[f"{PREFIX}/{name}/batch_norm/moving_variance"].astype(np.float64)
    raw = convolved(values, of["conv_3d/w"], stride) - of["batch_norm/moving_mean"]
    return np.maximum(raw / np.sqrt(variance + 1e-3) + of["batch_norm/beta"], 0.0)


def mixed(values, weights, block):
    second = "0a_3x3" if block == "Mixed_5b" else "0b_3x3"
    first = unit(values, weights, f"{block}/Branch_0/Conv3d_0a_1x1")
    branches = [first]
    for branch in (1, 2):
        inner = unit(values, weights, f"{block}/Branch_{branch}/Conv3d_0a_1x1")
        name = second if branch == 2 else "0b_3x3"
        branches.append(unit(inner, weights, f"{block}/Branch_{branch}/Conv3d_{name}"))
    pooled = max_pooled(values, (3, 3, 3), (1, 1, 1))
    branches.append(unit(pooled, weights, f"{block}/Branch_3/Conv3d_0b_1x1"))
    return np.concatenate(branches, axis=-1)


def by_numpy(clips, weights):
    values = unit(clips, weights, "Conv3d_1a_7x7", 2)
    values = max_pooled(values, (1, 3, 3), (1, 2, 2))
    values = unit(values, weights, "Conv3d_2b_1x1")
    values = unit(values, weights, "Conv3d_2c_3x3")
    values = max_pooled(values, (1, 3, 3), (1, 2, 2))
    values = mixed(mixed(values, weights, "Mixed_3b"), weights, "Mixed_3c")
    values = max_pooled(values, (3, 3, 3), (2, 2, 2))
    for letter in "bcdef":
        values = mixed(values, weights, f"Mixed_4{letter}")
    values = max_pooled(values, (2, 2, 2), (2, 2, 2))
    values = mixed(mixed(values, weights, "Mixed_5b"), weights, "Mixed_5c")
    assert values.shape[2:4] == (7, 7)
    steps = [values[:, t : t + 2].mean(axis=(1, 2, 3)) for t in range(values.shape[1] - 1)]
    logits = f"{PREFIX}/Logits/Conv3d_0c_1x1/conv_3d"
    return np.mean([s @ weights[f"{logits}/w"][0, 0, 0] + weights[f"{logits}/b"] for s in steps], 0)


@pytest.fixture(scope="module")
def values(random_i3d_values):
    return random_i3d_values()


@pytest.fixture(scope="module")
def network(values):
    return network_of(values)


# === Tests ===


def test_the_first_layer_is_a_strided_convolution_with_batch_norm(network, values):
    clips = np.random.default_rng(1).uniform(-1, 1, [2, 9, 12, 15, 3])
    found = network.units["Conv3d_1a_7x7"](clips.astype(np.float32))
    expected = unit(clips, values, "Conv3d_1a_7x7", 2)
    assert found.shape == (2, 5, 6, 8, 8) and expected.max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("block", ["Mixed_3b", "Mixed_5b"])
def test_a_mixed_block_is_four_branches_side_by_side(network, values, block):
    channels = values[f"{PREFIX}/{block}/Branch_0/Conv3d_0a_1x1/conv_3d/w"].shape[3]
    inputs = np.random.default_rng(3).normal(size=[1, 3, 5, 4, channels])
    found = network._mixed(block, inputs.astype(np.float32))
    np.testing.assert_allclose(found, mixed(inputs, values, block), atol=1e-4)


def test_the_whole_network_is_that_of_numpy(network, values):
    clips = np.random.default_rng(4).uniform(-1, 1, [1, 17, 224, 224, 3]).astype(np.float32)
    expected = by_numpy(clips.astype(np.float64), values)
    assert expected.shape == (1, 5) and np.ptp(expected) > 0.05
    np.testing.assert_allclose(network(clips), expected, atol=1e-4)


def test_another_data_format_of_keras_does_not_touch_it(channels_first, network, values):
    clips = np.random.default_rng(5).uniform(-1, 1, [1, 10, 224, 224, 3]).astype(np.float32)
    np.testing.assert_array_equal(network_of(values)(clips), network(clips))


def test_there_are_230_variables_and_57_units():
    shapes = shapes_of(I3D())
    assert len(shapes) == 230 and len(MIXED) == 9
    assert sum(np.prod(shape) for shape in shapes.values()) == 12_704_544


@pytest.mark.needs_shared
def test_the_variables_are_those_of_the_public_checkpoint(shared_data):
    listing = json.loads((shared_data / "i3d_rgb_imagenet_variables.json").read_text())
    assert {name: tuple(shape) for name, shape in listing.items()} == shapes_of(I3D())


def test_the_narrow_network_has_exactly_its_variables(network):
    assert shapes_of(network).keys() == shapes_of(I3D()).keys()
    assert len(network.variables) == 230 and not network.trainable_variables


def test_mixed_precision_elsewhere_does_not_touch_it(precision, values):
    precision("mixed_bfloat16")
    assert {str(v.dtype) for v in network_of(values).variables} == {"float32"}
    clips = np.zeros([1, 4, 8, 8, 3], np.float32)
    assert network_of(values).units["Conv3d_1a_7x7"](clips).dtype == "float32"


@pytest.mark.parametrize("shape", [(1, 9, 224, 224, 3), (1, 10, 64, 64, 3), (1, 10, 224, 224, 1)])
def test_clips_of_other_sizes_are_an_error(network, shape):
    with pytest.raises(ValueError, match=r"I3D needs \[B, T, 224, 224, 3\] with 10 frames"):
        network.call(np.zeros(shape, np.float32))
