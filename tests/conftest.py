"""Fixtures that every test may use."""

import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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
def write_squares():
    """A function that writes a data set of clips 16x16x3, the first `training` to train on."""
    from kerasvid.data import DatasetInfo, Video
    from tfrecords_tools.conversion import write_dataset

    def write(folder, videos: np.ndarray, training: int, fps: float = 8.0, **told) -> str:
        info = DatasetInfo("squares", "1", 16, 16, 3, fps=fps, **told)
        splits = {"train": list(range(training)), "test": list(range(training, len(videos)))}
        load = lambda i: Video(videos[i], f"square-{i}")  # noqa: E731
        write_dataset(os.fspath(folder), info, splits, load, progress=False)
        return os.fspath(folder)

    return write


@pytest.fixture(scope="session")
def save_new_run():
    """A function that saves a run of a plan whose model has learned nothing; its folder.

    Larger weights than new ones, by `scale`, draw livelier pictures.
    """
    import keras

    from kerasvid.callbacks.checkpoints import save_model
    from kerasvid.runs.run_folder import RunFolder

    def save(plan, path: pathlib.Path, scale: float = 1.0) -> pathlib.Path:
        run = RunFolder(path)
        run.path.mkdir()
        run.begin(plan)
        keras.utils.set_random_seed(0)
        model = plan.make_model()
        plan.compile(model)
        for weight in model.trainable_weights:
            weight.assign(weight * scale)
        save_model(model, run.model)
        return run.path

    return save


@pytest.fixture(scope="session")
def run_command():
    """Runs a file's command line in this process, by its path in the checkout: the exit status.

    Its flags, of which other commands have some too, are there meanwhile alone.
    """
    import importlib.util

    from absl import flags
    from absl.testing import flagsaver

    def run(path: str, *given: str) -> int:
        before, name = set(flags.FLAGS), pathlib.Path(path).stem
        spec = importlib.util.spec_from_file_location(f"{name}_command", ROOT / path)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            with flagsaver.flagsaver():
                flags.FLAGS([f"{name}.py", *given])
                module.main([name, *(each for each in given if not each.startswith("--"))])
            return 0
        except SystemExit as end:
            return end.code or 0
        finally:
            for flag in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, flag)

    return run


@pytest.fixture(scope="module")
def browser():
    """Chromium without a head and without a network of its own; the test skips without one."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("no browser tests: chromium is not installed (apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser tests: pip install playwright"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


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
