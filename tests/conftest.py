"""Fixtures that every test may use."""

import os
import pathlib
import shutil
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERASVID_OFFLINE"] = "1"  # no test downloads, see `online`

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"
USER_CACHE = os.environ.get("KERASVID_CACHE")
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


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """A cache of the tests' own, in which nothing lies."""
    os.environ["KERASVID_CACHE"] = os.fspath(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def online(monkeypatch) -> None:
    """Lets a test download what it needs, into the cache of the user."""
    for name in ("KERASVID_OFFLINE", "KERASVID_CACHE"):
        monkeypatch.delenv(name)
    if USER_CACHE:
        monkeypatch.setenv("KERASVID_CACHE", USER_CACHE)


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


@pytest.fixture
def channels_first():
    """Sets the image data format that a user's keras.json may set; the test's end restores it."""
    import keras

    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


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

    def write(
        folder, videos: np.ndarray, training: int, fps: float = 8.0, labels=None, **fields
    ) -> str:
        info = DatasetInfo("squares", "1", 16, 16, 3, fps=fps, **fields)
        splits = {"train": list(range(training)), "test": list(range(training, len(videos)))}

        def load(i: int) -> Video:
            return Video(videos[i], f"square-{i}", label=-1 if labels is None else labels[i])

        write_dataset(os.fspath(folder), info, splits, load, progress=False)
        return os.fspath(folder)

    return write


@pytest.fixture(scope="session")
def squares(tmp_path_factory, moving_squares, write_squares) -> str:
    """Folder of a data set of 12 + 8 clips, 4x16x16x3."""
    return write_squares(tmp_path_factory.mktemp("data") / "squares", moving_squares(20, 4), 12)


@pytest.fixture(scope="session")
def classes(tmp_path_factory, moving_squares, write_squares) -> str:
    """Folder of a data set of 12 + 8 clips, 4x16x16x3, of three classes in turn."""
    folder = tmp_path_factory.mktemp("data") / "classes"
    labels = [i % 3 for i in range(20)]
    return write_squares(
        folder, moving_squares(20, 4), 12, labels=labels, class_names=("walk", "run", "rest")
    )


@pytest.fixture(scope="session")
def config_of(squares):
    """A function that makes a config of a few steps on the squares, of a model that builds fast."""

    def make(steps=6, values=None, folder=squares, model="glo", **rest):
        values = {"frames": 3, "training.batch_size": 4, **(values or {})}
        rest = {"seed": 0, "log_every": 2, "checkpoint_every": 2, "sample_every": 0, **rest}
        from kerasvid.data import load_info
        from kerasvid.training.config import make_config

        return make_config(
            model, "squares", folder, load_info(folder), "debug", values,
            precision="float32", steps=steps, **rest,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def save_new_run():
    """A function that saves a run of a config with an untrained model and returns its folder.

    Weights that are `scale` times as large make samples with more contrast.
    """
    import keras

    from kerasvid.training.callbacks.checkpoints import save_model
    from kerasvid.training.run_folder import RunFolder

    def save(config, path: pathlib.Path, scale: float = 1.0) -> pathlib.Path:
        run = RunFolder(path)
        run.path.mkdir()
        run.begin(config)
        keras.utils.set_random_seed(0)
        model = config.make_model()
        config.compile(model)
        for weight in model.trainable_weights:
            weight.assign(weight * scale)
        save_model(model, run.model, config)
        return run.path

    return save


@pytest.fixture(scope="session")
def start_python():
    """A function that starts Python with arguments and this checkout: a Popen with pipes."""

    def start(*arguments: str, **options) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.fspath(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            **options,
        )

    return start


@pytest.fixture(scope="session")
def run_python(start_python):
    """A function that runs Python to its end: (exit status, stdout, stderr)."""

    def run(*arguments: str, **options) -> tuple[int, str, str]:
        process = start_python(*arguments, **options)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    return run


@pytest.fixture(scope="session")
def run_command():
    """Runs a command of `kerasvid.cli` in this process, by the name of its module: exit status."""
    import importlib.util

    from kerasvid.cli.command import run_app

    def run(name: str, *given: str) -> int:
        path = ROOT / "kerasvid" / "cli" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"{name}_command", path)
        module = importlib.util.module_from_spec(spec)  # with flags of its own
        try:
            spec.loader.exec_module(module)
            run_app(module.main, module.FLAGS, module.__doc__, given, name == "replay")
            return 0
        except SystemExit as end:
            return end.code or 0

    return run


@pytest.fixture(scope="session")
def letters(tmp_path_factory):
    """A node_modules of the right version and wrong contents, for tests without a browser."""
    import json

    from kerasvid.export.web.runtime import PACKAGES, VERSION, WASM

    modules = tmp_path_factory.mktemp("letters")
    core, loader = (modules / name for name in PACKAGES)
    for package in (core, loader):
        (package / "dist").mkdir(parents=True)
        (package / "package.json").write_text(json.dumps({"version": VERSION}))
        (package / "dist" / "index.js").write_text('import {} from "@litertjs/wasm-utils";')
    (core / "wasm").mkdir()
    for name in WASM:
        (core / "wasm" / name).write_text(name)
    return modules


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
