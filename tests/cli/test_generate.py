"""Figures of a run and videos between two images, from the command line."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.data import load_info
from kerasvid.models.base.preset_folder import read_metadata
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.models.rjvae import RJVAE
from kerasvid.training.callbacks.checkpoints import save_model
from kerasvid.training.config import make_config
from kerasvid.training.devices import make_strategy
from kerasvid.training.loop import train
from kerasvid.training.run_folder import RunFolder

FILES = ("png", "gif", "mp4")


@pytest.fixture(scope="module")
def run(squares, tmp_path_factory):
    """A run of the linear interpolation, which needs no training."""
    values = {"frames": 4, "training.batch_size": 4}
    options = {"precision": "float32", "seed": 0}
    info = load_info(squares)
    config = make_config(
        "linear_interpolation", "squares", squares, info, "debug", values, **options
    )
    run = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    with run.lock():
        run.begin(config)
        assert train(config, run, make_strategy("none")).step == 1
    return run


@pytest.fixture
def images(tmp_path):
    """Flags of a red image twice as wide as high and of a blue one of the size of a frame."""
    red, blue = np.zeros([32, 64, 3], np.uint8), np.zeros([16, 16, 3], np.uint8)
    red[:, 16:48, 2], blue[..., 0] = 200, 100  # OpenCV writes BGR; the red is in the middle
    cv2.imwrite(str(tmp_path / "a.png"), red)
    cv2.imwrite(str(tmp_path / "b.png"), blue)
    return "--first=a.png", "--last=b.png"


def test_a_run_has_the_figures_of_its_model(app_here, run):
    status, out, err = app_here("generate", f"--run_dir={run.path}", "--count=3")
    assert (status, err) == (0, "")
    assert {path.name for path in (run.path / "generated").iterdir()} == {
        f"between.{e}" for e in FILES
    }
    line = out.splitlines()[-1]
    assert line.startswith(
        "L2 distance over 100 windows of 8 held-out clips: linear interpolation "
    )
    assert (run.samples / "step-000001.png").exists()
    numbers = line.partition("interpolation ")[2].split("; model ")
    assert f"{numbers[0]}, 0 nearer" == numbers[1]

    status, out, err = app_here("generate", f"--run_dir={run.path}", "--show=samples")
    assert (status, err) == (0, "samples: linear_interpolation does not have this figure.\n")


def test_figures_of_other_data_than_that_of_the_run_are_refused(
    app_here, run, tmp_path, moving_squares, write_squares
):
    other = RunFolder(shutil.copytree(run.path, tmp_path / "other"))
    folder = write_squares(tmp_path / "squares", moving_squares(32, 6, seed=1), 24)
    other.config_path.write_text(
        dataclasses.replace(run.load_config(), data_folder=folder).to_json()
    )
    for command, flag in (("generate", "--show=between"), ("evaluate", "--metrics=between")):
        status, _, err = app_here(command, f"--run_dir={other.path}", flag)
        assert status == 1 and len(err.splitlines()) == 1
        assert err.startswith(f"error: {folder}: not the data set that the run was trained on")


def test_figures_from_noise_need_no_data(app_here, run, tmp_path):
    config = dataclasses.replace(
        run.load_config(),
        model="rjvae",
        data_folder="gone/squares",
        hyperparameters={**RJVAE.PRESETS["debug"], "image_shape": (16, 16, 3), "frames": 2},
    )
    other = RunFolder(tmp_path / "other")
    other.path.mkdir()
    other.begin(config)
    model = config.make_model()
    config.compile(model)
    save_model(model, other.model, config)
    status, _, err = app_here("generate", f"--run_dir={other.path}", "--count=2")
    assert status == 0 and len(err.splitlines()) == 1
    assert "does not contain the data set gone/squares" in err
    assert "Showing only samples, interpolations, summary, summary_interpolations." in err
    written = {path.stem for path in (other.path / "generated").iterdir()}
    assert written == {"samples", "interpolations", "summary", "summary_interpolations"}
    status, _, err = app_here("generate", f"--run_dir={other.path}", "--show=swaps")
    assert status == 1 and "--data_dir" in err
    status, _, err = app_here("generate", f"--run_dir={other.path}", "--show=summary")
    assert (status, err) == (0, "")


@pytest.fixture(scope="module")
def labelled(classes, save_new_run, tmp_path_factory):
    """A run of an untrained rjvae of the classes walk, run and rest."""
    values = {"frames": 4, "training.batch_size": 4, "conditional": True}
    config = make_config("rjvae", "classes", classes, load_info(classes), "debug", values,
                         precision="float32", seed=0)  # fmt: skip
    return save_new_run(config, tmp_path_factory.mktemp("runs") / "labelled")


def test_samples_are_of_the_class_that_is_named(app_here, labelled, tmp_path, monkeypatch):
    asked = []
    generate = RJVAE.generate

    def noted(self, *arguments):
        asked.append(arguments[4])
        return generate(self, *arguments)

    monkeypatch.setattr(RJVAE, "generate", noted)
    show = f"--run_dir={labelled}", "--show=samples", "--count=2", f"--out_dir={tmp_path}"
    for label in ("run", "1"):
        assert app_here("generate", *show, f"--label={label}")[0] == 0
    assert app_here("generate", *show)[0] == 0
    assert asked == [1, 1, None]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("wlak", "label=wlak: unknown class; did you mean 'walk'? Known: rest, run, walk."),
        ("3", "label=3: unknown class; Known: rest, run, walk."),
    ],
)
def test_an_unknown_class_is_refused_in_one_line(app_here, labelled, label, message):
    status, _, err = app_here("generate", f"--run_dir={labelled}", f"--label={label}")
    assert status == 1 and err.splitlines()[-1].endswith(message)


def test_a_class_is_refused_where_the_model_has_none(app_here, run):
    status, _, err = app_here("generate", f"--run_dir={run.path}", "--label=0")
    assert status == 1
    assert "label=0: the model makes no videos of a class that is asked for" in err.splitlines()[-1]


def test_videos_go_from_one_image_to_another_cropped_at_the_center(app_here, run, images):
    flags = (f"--run_dir={run.path}", "--frames=5", "--count=2", "--scale=1", "--out_dir=out")
    status, out, err = app_here("generate", *flags, *images)
    assert (status, err) == (0, "")
    written = [f"out/between_images.{ending}" for ending in FILES]
    assert out.splitlines()[-3:] == written
    grid = cv2.imread(written[0])[..., ::-1]
    assert grid.shape == (2 * 18 + 2, 5 * 18 + 2, 3)
    middles = grid[10::18, 10::18]  # [2, 5, 3]
    expected = np.round([[200 * (1 - s), 0, 100 * s] for s in np.linspace(0, 1, 5)])
    np.testing.assert_array_equal(middles, [expected] * 2)
    assert (grid[2:18, 2:18] == [200, 0, 0]).all()  # nothing of the black sides is left
    capture = cv2.VideoCapture(written[2])
    assert capture.isOpened() and capture.get(cv2.CAP_PROP_FRAME_COUNT) % 5 == 0


def test_wrong_images_raise_one_line(app_here, run, images, tmp_path):
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    for flags, message in (
        (["--first=a.png"], "--last is missing. Give both images."),
        (["--last=b.png"], "--first is missing"),
        (["--first=none.png", "--last=b.png"], "none.png: cannot be read (No such file"),
        (["--first=a.png", "--last=torn.png"], "torn.png: "),
        ([*images, "--frames=1"], "frames=1 must be at least 2"),
        ([*images, "--show=between"], "--show cannot be used with --first and --last."),
        (["--temperature=0"], "--temperature needs --first and --last"),
        (["--run_dir=nowhere", *images], "nowhere: there is no run"),
    ):
        status, _, err = app_here("generate", f"--run_dir={run.path}", "--out_dir=out", *flags)
        assert status == 1 and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
        assert not (tmp_path / "out").exists()


def test_a_model_that_makes_no_video_between_images_is_refused(app_here, run, images, tmp_path):
    other = RunFolder(tmp_path / "other")
    other.path.mkdir()
    other.begin(dataclasses.replace(run.load_config(), model="rjvae"))
    status, _, err = app_here("generate", f"--run_dir={other.path}", *images)
    assert status == 1 and len(err.splitlines()) == 1
    assert "rjvae makes no video between two images" in err


# === Presets with weights ===


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """The folder of a preset of an untrained model of two classes."""
    folder = tmp_path_factory.mktemp("presets") / "rjvae"
    model = RJVAE.from_preset("debug", frames=4, categories=2)
    model.save_to_preset(folder, {"data": {"classes": ["walk", "jump"]}, "fps": 12.0})
    return folder


@pytest.mark.parametrize("name", ["clips.gif", "clips.PNG", "clips.mp4"])
def test_samples_of_a_preset_are_one_file(app_here, preset, tmp_path, name):
    flags = [f"--preset={preset}", f"--out={name}", "--count=2", "--label=jump"]
    assert app_here("generate", *flags) == (0, f"{name}\n", "")
    assert (tmp_path / name).stat().st_size > 100


def test_a_film_of_a_preset_has_its_length(app_here, preset, tmp_path):
    flags = [f"--preset={preset}", "--out=w.gif", "--count=2", "--show=walk", "--seconds=3"]
    assert app_here("generate", *flags)[0] == 0
    with Image.open(tmp_path / "w.gif") as film:
        assert film.n_frames == 36  # 9 times 4 frames, 12 a second


def test_a_preset_of_two_images_needs_them(app_here, images, tmp_path):
    LinearInterpolation.from_preset("debug").save_to_preset(tmp_path / "linear")
    status, _, err = app_here("generate", "--preset=linear", "--out=a.gif")
    assert status == 1 and "Give --first and --last." in err
    assert app_here("generate", "--preset=linear", "--out=a.gif", *images)[0] == 0
    assert (tmp_path / "a.gif").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give --run_dir or --preset, one of the two."),
        (["--run_dir=a", "--preset=b", "--out=c.gif"], "Give --run_dir or --preset"),
        (["--preset=b"], "--out is missing. Give a file, such as --out=clips.gif."),
        (["--preset=b", "--out=c.avi"], "--out=c.avi: end it with .gif, .png, .mp4."),
        (["--preset=b", "--out=c.gif", "--show=swaps"], "of a preset, show samples or walk."),
        (["--preset=b", "--out=c.gif", "--out_dir=d"], "--out_dir is of runs. Remove it"),
        (["--preset=b", "--out=c.gif", "--seconds=3"], "--seconds is the length of --show=walk."),
        (["--run_dir=a", "--out=c.gif"], "--out is for a --preset. Use --out_dir."),
        (["--preset=rjvae_sprite", "--out=c.gif"], "There is no preset 'rjvae_sprite'"),
        (["--preset=hf://anna", "--out=c.gif"], "give hf://user/repository"),
    ],
)
def test_flags_that_do_not_fit_a_preset_are_one_line(app_here, flags, message):
    status, out, err = app_here("generate", *flags)
    assert (status, out) == (1, "") and err.startswith("error: ") and message in err
    assert err.count("\n") == 1


def test_a_run_is_no_preset(app_here, run):
    status, _, err = app_here("generate", f"--preset={run.path}", "--out=c.gif")
    assert status == 1 and "a run, not a preset. Use --run_dir" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "facts", [{"data": ["x"]}, {"fps": "x"}, {"fps": -1.0}, {"data": {"classes": [3]}, "fps": None}]
)
def test_wrong_facts_of_a_stranger_count_as_unknown(app_here, tmp_path, facts):
    RJVAE.from_preset("debug", frames=3).save_to_preset(tmp_path / "odd", facts)
    assert app_here("generate", "--preset=odd", "--out=c.gif", "--count=1") == (0, "c.gif\n", "")
    with Image.open(tmp_path / "c.gif") as film:
        assert film.info["duration"] in (120, 125, 130)  # 8 frames a second


def test_an_exported_preset_plays_at_the_rate_of_its_clips(
    app_here, squares, tmp_path, save_new_run
):
    values = {"frames": 3, "training.batch_size": 4, "training.stride": 2}
    info = load_info(squares)
    config = make_config("rjvae", "squares", squares, info, "debug", values,
                         precision="float32", seed=0)  # fmt: skip
    run_dir = save_new_run(config, tmp_path / "run")
    assert app_here("to_preset", f"--run_dir={run_dir}", "--out=made")[0] == 0
    rate = (info.fps if info.fps > 0 else 8.0) / 2
    assert read_metadata(tmp_path / "made")["fps"] == rate


def test_wrong_inputs_of_a_preset_are_one_line(app_here, preset, images):
    for flags, message in (
        (["--label=run"], "label=run: unknown class"),
        (images, "makes no video between two images"),
        (["--frames=0"], "frames"),
    ):
        status, out, err = app_here("generate", f"--preset={preset}", "--out=c.gif", *flags)
        assert status != 0 and out == "" and message in err
