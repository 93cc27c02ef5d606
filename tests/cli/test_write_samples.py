"""Many samples, from the command line."""

import json
import os

import cv2
import numpy as np
import pytest

from kerasvid.data import load_info, make_pipeline
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.models.rjvae import RJVAE

CLASSES = ["walk", "jump"]


@pytest.fixture(scope="module")
def model():
    return RJVAE.from_preset("debug", frames=3, categories=2, image_shape=(16, 16, 3))


@pytest.fixture(scope="module")
def preset(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "rjvae"
    facts = {"data": {"name": "people", "classes": CLASSES}, "fps": 12.0, "licence": "CC0-1.0"}
    model.save_to_preset(folder, facts)
    return f"--preset={folder}"


def records_of(folder):
    options = {"batch_size": 7, "frames": 3, "shuffle": False}
    return next(iter(make_pipeline(folder, **options).as_numpy_iterator()))


@pytest.mark.parametrize(
    "more", [["--batch_size=3"], ["--batch_size=32"], ["--batch_size=3", "--strategy=mirrored:2"]]
)
def test_records_are_the_samples_in_order(app_here, preset, model, more):
    flags = ["--records=made", "--count=7", "--seed=4", *more]
    status, out, _ = app_here("write_samples", preset, *flags)
    assert (status, out) == (0, "made: 7 videos\n")
    batch, expected = records_of("made"), model.generate(7, seed=4)
    assert np.abs(batch["video"].astype(int) - expected.astype(int)).max() <= 1
    drawn = model.sample_noise(7, seed=4)["category"].numpy().argmax(axis=-1)
    np.testing.assert_array_equal(batch["label"], drawn)
    info = load_info("made")
    assert info.class_names == tuple(CLASSES) and info.fps == 12.0 and info.licence == "CC0-1.0"
    assert info.source == "drawn by rjvae trained on people, seed 4"


def test_records_of_a_class_have_its_number(app_here, preset, model):
    assert app_here("write_samples", preset, "--records=made", "--count=7", "--label=jump")[0] == 0
    batch, expected = records_of("made"), model.generate(7, label=1)
    assert set(batch["label"]) == {1}
    assert np.abs(batch["video"].astype(int) - expected.astype(int)).max() <= 1


def test_samples_of_a_run(app_here, run_dir):
    status, out, _ = app_here("write_samples", f"--run_dir={run_dir}", "--records=a", "--count=3")
    assert (status, out) == (0, "a: 3 videos\n") and load_info("a").splits["train"].count == 3


def test_mp4_files_are_the_samples(app_here, preset, model, tmp_path):
    assert app_here("write_samples", preset, "--videos=made", "--count=5")[0] == 0
    files = sorted(path.name for path in (tmp_path / "made" / "000").iterdir())
    assert files == [f"{row:06d}.mp4" for row in range(5)]
    for row, expected in enumerate(model.generate(5)):
        reader = cv2.VideoCapture(os.fspath(tmp_path / "made" / "000" / f"{row:06d}.mp4"))
        assert reader.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and reader.get(cv2.CAP_PROP_FPS) == 12
        frame = reader.read()[1][..., ::-1]
        assert np.abs(frame.astype(int) - expected[0]).mean() < 12.0  # lossy


def test_an_interrupted_command_goes_on(app_here, preset, tmp_path):
    flags = [preset, "--videos=made", "--batch_size=2"]
    assert app_here("write_samples", *flags, "--count=4")[0] == 0
    kept, lost = (tmp_path / "made" / "000" / f"00000{row}.mp4" for row in (1, 3))
    kept.write_bytes(b"kept")
    lost.unlink()
    assert app_here("write_samples", *flags, "--count=6")[0] == 0
    assert kept.read_bytes() == b"kept" and lost.stat().st_size > 100
    assert len([*(tmp_path / "made" / "000").iterdir()]) == 6


def test_other_samples_are_not_mixed(app_here, preset, tmp_path):
    assert app_here("write_samples", preset, "--videos=made", "--count=1")[0] == 0
    settings = json.loads((tmp_path / "made" / "samples.json").read_text())
    assert settings["seed"] == 0 and len(settings["weights"]) == 64
    status, _, err = app_here("write_samples", preset, "--videos=made", "--count=1", "--seed=1")
    assert status == 1 and "made: has samples of other settings" in err and err.count("\n") == 1
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    status, _, err = app_here("write_samples", preset, "--videos=full", "--count=1")
    assert status == 1 and "full: is not empty" in err
    (tmp_path / "made" / "samples.json").write_text("{")
    status, _, err = app_here("write_samples", preset, "--videos=made", "--count=1")
    assert status == 1 and "samples.json: " in err and err.count("\n") == 1


def test_a_data_set_is_replaced_only_if_asked(app_here, preset):
    flags = [preset, "--records=made", "--count=2"]
    assert app_here("write_samples", *flags)[0] == 0
    status, _, err = app_here("write_samples", *flags)
    assert status == 1 and "made" in err and err.count("\n") == 1
    assert app_here("write_samples", *flags, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--records=a"], "Give --run_dir or --preset, one of the two."),
        (["--preset=b"], "Give --records or --videos, one of the two."),
        (["--preset=b", "--videos=a", "--overwrite"], "--overwrite is for --records."),
        (["PRESET", "--records=a", "--label=run"], "label=run: unknown class"),
    ],
)
def test_wrong_flags_are_one_line(app_here, preset, tmp_path, flags, message):
    flags = [preset if each == "PRESET" else each for each in flags]
    status, out, err = app_here("write_samples", *flags)
    assert (status, out) == (1, "") and message in err and err.count("\n") == 1
    assert not (tmp_path / "a").exists()


def test_a_model_between_two_images_is_refused(app_here, tmp_path):
    LinearInterpolation.from_preset("debug").save_to_preset(tmp_path / "linear")
    status, _, err = app_here("write_samples", "--preset=linear", "--records=a")
    assert status == 1 and "linear_interpolation makes no videos from noise alone." in err


PEAK = """
import resource, sys
from kerasvid.cli.main import main
main(["write-samples", *sys.argv[1:]])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number(run_python, preset, tmp_path):
    peaks = []
    for count in (2_000, 20_000):
        flags = preset, f"--records={tmp_path / str(count)}", f"--count={count}", "--batch_size=64"
        status, out, err = run_python("-c", PEAK, *flags)
        assert status == 0, err
        peaks.append(int(out.splitlines()[-1]) / 1024)
    assert peaks[1] < peaks[0] + 100.0, peaks
