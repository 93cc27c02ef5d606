"""A data set of moving squares on disk, and commands as a user runs them."""

import functools
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def squares(tmp_path_factory, moving_squares, write_squares) -> str:
    """Folder of a data set of 24 + 8 clips, 6x16x16x3."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    return write_squares(folder, moving_squares(32, 6), 24)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, squares, save_new_run):
    """A finished run of a glo with new weights."""
    from kerasvid.data import load_info
    from kerasvid.training.config import make_config

    values = {"frames": 4, "training.batch_size": 4}
    config = make_config("glo", squares, squares, load_info(squares), "debug", values,
                         precision="float32", seed=0)  # fmt: skip
    return save_new_run(config, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def start_app(start_python):
    """As `start_python`, of apps/<name>.py."""
    return lambda name, *flags, **options: start_python(app_path(name), *flags, **options)


@pytest.fixture(scope="session")
def run_app(run_python):
    """As `run_python`, of apps/<name>.py."""
    return lambda name, *flags, **options: run_python(app_path(name), *flags, **options)


def app_path(name: str) -> str:
    return os.fspath(ROOT / "apps" / f"{name}.py")


@pytest.fixture
def app_here(capsys, monkeypatch, tmp_path, run_command):
    """Runs a command in this process and an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *given: str) -> tuple[int, str, str]:
        status = run_command(name, *given)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def train_here(app_here):
    """As `app_here`, of `kerasvid train`."""
    return functools.partial(app_here, "train")


@pytest.fixture(scope="session")
def training_flags(squares):
    """Flags of a short deterministic run."""
    return (
        "--model=rjvae", f"--dataset={squares}", "--preset=debug", "--set=frames=4",
        "--precision=float32", "--deterministic", "--log_every=2", "--checkpoint_every=4",
        "--sample_every=0",
    )  # fmt: skip
