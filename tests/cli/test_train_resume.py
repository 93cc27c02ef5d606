"""Runs that end early: killed, stopped by a signal, or without room on the disk."""

import csv
import resource
import signal
import time

import keras
import numpy as np
import pytest

# Options that the preset `base` has and `debug` has not.
BASE_OPTIONS = (
    "--set=prior_momentum=0.9", "--set=prior_couplings=2", "--set=decoded_frames=2",
    "--set=summary_weight=0.1", "--set=schedule.observation_scale=[0.1,2.0]",
    "--set=schedule.kl_residual=[3.0,1.0]", "--set=schedule.steps=30",
)  # fmt: skip
# A step takes so long that a signal arrives early, on a busy machine too.
SLOW = ("--checkpoint_every=1",)

pytestmark = pytest.mark.slow


def weights_of(path):
    model = keras.models.load_model(path)
    return [(v.path, v.numpy()) for v in [*model.weights, *model.optimizer.variables]]


def assert_equal_to_the_bit(path, expected_path):
    weights, expected = weights_of(path), weights_of(expected_path)
    assert len(weights) == len(expected) > 50
    for (name, value), (_, other) in zip(expected, weights, strict=True):
        np.testing.assert_array_equal(other, value, err_msg=name)


def wait_for(path, process, seconds=600):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, f"{path.name} did not appear"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def training_flags(training_flags):
    return (*training_flags, *BASE_OPTIONS)


@pytest.fixture(scope="module")
def uninterrupted(run_app, training_flags, tmp_path_factory):
    """Folder of a run of 40 steps, with the options of the preset `base`."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    status, _, err = run_app("train", *training_flags, "--steps=40", f"--run_dir={folder}")
    assert status == 0, err
    return folder


def test_a_run_killed_and_resumed_ends_bit_equal(
    run_app, start_app, training_flags, uninterrupted, tmp_path
):
    folder = tmp_path / "run"
    flags = (*training_flags, "--steps=40", f"--run_dir={folder}")
    process = start_app("train", *flags, *SLOW)
    wait_for(folder / "checkpoints" / "step-000004.keras", process)
    process.kill()
    process.communicate()
    assert not (folder / "model.keras").exists()
    status, out, err = run_app("train", *flags)
    assert status == 0, err
    assert "resuming at step" in out
    assert_equal_to_the_bit(folder / "model.keras", uninterrupted / "model.keras")
    rows, expected = ([{**row, "seconds": None} for row in csv.DictReader(text.splitlines())]
                      for text in ((path / "metrics.csv").read_text()
                                   for path in (folder, uninterrupted)))  # fmt: skip
    assert [int(row["step"]) for row in rows] == list(range(2, 41, 2))
    assert rows == expected


def test_sigterm_saves_a_checkpoint_and_names_the_command_to_resume(
    run_app, start_app, training_flags, uninterrupted, tmp_path
):
    folder = tmp_path / "run"
    flags = (*training_flags, f"--run_dir={folder}")
    process = start_app("train", *flags, *SLOW, "--steps=100000")
    wait_for(folder / "metrics.csv", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "Traceback" not in err
    assert "same command" in out and f"--run_dir={folder}" in out
    newest = sorted((folder / "checkpoints").glob("step-*.keras"))[-1]
    step = int(newest.stem.split("-")[1])
    assert f"stopped at step {step:,}, saved {newest}" in out
    assert step < 40, "the signal came too late to compare with the uninterrupted run"
    status, out, err = run_app("train", *flags, "--steps=40")
    assert status == 0, err
    assert f"resuming at step {step}" in out
    assert_equal_to_the_bit(folder / "model.keras", uninterrupted / "model.keras")


def test_a_full_disk_is_reported_in_one_line_and_loses_nothing(
    run_app, training_flags, uninterrupted
):
    kept = sorted((uninterrupted / "checkpoints").iterdir())
    model = (uninterrupted / "model.keras").read_bytes()

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    flags = (*training_flags, "--steps=44", f"--run_dir={uninterrupted}")
    status, _, err = run_app("train", *flags, preexec_fn=small_files_only)
    assert status == 1
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1 and "step-000044.keras: cannot be written" in lines[0]
    assert sorted((uninterrupted / "checkpoints").iterdir()) == kept
    assert (uninterrupted / "model.keras").read_bytes() == model


def test_running_again_says_that_it_is_finished(run_app, training_flags, uninterrupted):
    model = (uninterrupted / "model.keras").read_bytes()
    flags = (*training_flags, "--steps=40", f"--run_dir={uninterrupted}")
    status, out, err = run_app("train", *flags)
    assert status == 0, err
    assert "finished already" in out and "--steps" in out
    assert (uninterrupted / "model.keras").read_bytes() == model


def test_other_settings_are_refused_with_the_list(run_app, training_flags, uninterrupted):
    config = (uninterrupted / "config.json").read_bytes()
    flags = (*training_flags, "--set=latent_dim=10", "--seed=3", f"--run_dir={uninterrupted}")
    status, _, err = run_app("train", *flags, "--steps=80")
    assert status == 1 and len(err.splitlines()) == 1
    assert "latent_dim is 8, not 10; seed is 0, not 3" in err
    assert (uninterrupted / "config.json").read_bytes() == config


def test_generate_shows_the_finished_run(run_app, uninterrupted, tmp_path):
    shows = "samples,reconstructions,swaps,interpolations,summary,nearest"
    flags = (f"--run_dir={uninterrupted}", f"--show={shows}", "--count=3", "--frames=5")
    status, out, err = run_app("generate", *flags, f"--out_dir={tmp_path}")
    assert status == 0, err
    expected = {f"{name}.{end}" for name in shows.split(",") for end in ("png", "gif", "mp4")}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert "PSNR of samples to their nearest real clips" in out
