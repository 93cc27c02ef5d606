"""Fixtures that every test may use."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Gives the process two CPU devices, before any test module makes TensorFlow start."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of sample data beside the checkout; the test skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no sample data at {SHARED.name} beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def strategy_of():
    """A function of the number of replicas, 1 or 2, to a distribution strategy."""
    import tensorflow as tf

    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return lambda replicas: mirrored if replicas == 2 else tf.distribute.get_strategy()


@pytest.fixture
def precision():
    """A function that sets the global dtype policy; the test's end puts the old one back."""
    import keras

    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def moving_squares():
    """A function that draws small videos: a coloured square that moves right on dark ground."""

    def draw(batch: int, frames: int, size: int = 16, seed: int = 0) -> np.ndarray:
        generator = np.random.default_rng(seed)
        videos = np.full([batch, frames, size, size, 3], 20, np.uint8)  # [B, T, H, W, C]
        for row in range(batch):
            color = generator.integers(80, 256, 3)
            top, left = generator.integers(0, size // 2, 2)
            for frame in range(frames):
                start = left + frame
                videos[row, frame, top : top + size // 4, start : start + size // 4] = color
        return videos

    return draw


@pytest.fixture(scope="session")
def operations_of():
    """A function from a concrete function to the types of all operations in its graph."""

    def collect(concrete) -> set[str]:
        graph = concrete.graph.as_graph_def()
        nodes = list(graph.node)
        for function in graph.library.function:
            nodes.extend(function.node_def)
        return {node.op for node in nodes}

    return collect


@pytest.fixture(scope="session")
def assert_unrolled(operations_of):
    """A function that fails where a graph holds a loop, a TensorList or a cuDNN operation."""

    def check(concrete) -> None:
        looping = ("While", "StatelessWhile", "TensorList", "CudnnRNN")
        found = [op for op in operations_of(concrete) if op.startswith(looping)]
        assert not found, f"not unrolled: {sorted(found)}"

    return check
