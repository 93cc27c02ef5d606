"""The built wheel in a new environment and another folder, used as a person would."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKED = ("kerasvid", "tfrecords_tools", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
# Without PYTHONPATH: the checkout must not be found.
VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """The wheel, built from a copy of the checkout."""
    source, out = tmp_path_factory.mktemp("source") / "kerasvid", tmp_path_factory.mktemp("dist")
    source.mkdir()
    for name in PACKED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, source], check=True
    )
    return next(out.glob("kerasvid-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> pathlib.Path:
    """The folder of commands of a new environment that has the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=VARIABLES)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q"]
    subprocess.run([*pip, wheel], check=True, env=VARIABLES)
    return folder / "bin"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> pathlib.Path:
    """An empty folder, far from the checkout."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def run(environment, place):
    """Runs a program of the environment in the folder, without downloads: what it prints."""

    def call(program: str, *arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [environment / program, *arguments],
            cwd=place,
            env={
                **VARIABLES,
                "PATH": f"{environment}{os.pathsep}{os.environ['PATH']}",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return call


@pytest.fixture(scope="module")
def trained(run, place) -> str:
    """A run of a few steps on a user's own videos."""
    videos = place / "videos"
    videos.mkdir()
    generator = np.random.default_rng(0)
    for number in range(12):
        writer = cv2.VideoWriter(
            os.fspath(videos / f"{number}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 8, (16, 16)
        )
        for _ in range(10):
            writer.write(generator.integers(0, 256, [16, 16, 3], np.uint8))
        writer.release()
    run(
        "kerasvid", "data", "folder", "--source_dir=videos", "--out_dir=data/mine",
        "--height=16", "--width=16",
    )  # fmt: skip
    run("kerasvid", "data", "verify", "data/mine")
    run(
        "kerasvid", "train", "--model=rjvae", "--dataset=data/mine", "--preset=debug",
        "--steps=2", "--batch_size=2", "--run_dir=runs/mine",
    )  # fmt: skip
    return "runs/mine"


def test_the_wheel_holds_two_packages_and_their_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"kerasvid", "tfrecords_tools"}
    for needed in (
        "kerasvid/py.typed",
        "kerasvid/comparison/page/index.html",
        "kerasvid/export/web/static/index.html",
        "kerasvid/export/serving/compose.yaml",
        "kerasvid/models/weights/rjvae_sprites/model.weights.h5",
    ):
        assert needed in names


def test_the_command_lists_what_there_is(run):
    assert "rjvae" in run("kerasvid", "list")


def test_weights_of_the_package_generate_videos(run, place):
    run("kerasvid", "generate", "--preset=rjvae_sprites", "--out=clips.gif", "--count=2")
    assert (place / "clips.gif").stat().st_size > 10_000


def test_a_run_generates_videos(run, trained, place):
    run("kerasvid", "generate", f"--run_dir={trained}", "--count=2")
    assert (place / trained / "generated" / "samples.gif").exists()


def test_a_run_is_exported_as_a_saved_model_with_a_serving_configuration(run, trained, place):
    run("kerasvid", "export", "saved-model", f"--run_dir={trained}", "--out=models/mine/1")
    assert (place / "models" / "mine" / "1" / "saved_model.pb").exists()
    run("kerasvid", "export", "serving-config", "--models_dir=models")
    assert (place / "models" / "models.config").exists()


def test_a_run_is_exported_as_a_web_page(run, trained, place):
    run("python", "-m", "pip", "install", "-q", "ai-edge-litert>=2.0,<3")
    flags = (f"--run_dir={trained}", "--out=demo")
    run("kerasvid", "export", "web", *flags, KERASVID_OFFLINE="")  # LiteRT.js from npm's registry
    assert (place / "demo" / "index.html").exists()


def test_two_runs_make_a_comparison_page(run, trained, place):
    run("kerasvid", "compare", f"--runs={trained},real", "--out=study", "--pairs=2")
    assert (place / "study" / "index.html").exists()


def test_a_model_file_loads_after_importing_the_package_alone(run, trained):
    code = (
        "import kerasvid, keras; "
        f"model = keras.models.load_model('{trained}/model.keras'); "
        "print(type(model).__name__, model.generate(1).shape)"
    )
    assert run("python", "-c", code).split() == ["RJVAE", "(1,", "8,", "16,", "16,", "3)"]


def test_models_are_imported_by_name(run):
    assert "RJVAE" in run("python", "-c", "from kerasvid.models import RJVAE; print(RJVAE)")
