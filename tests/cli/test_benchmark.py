"""Measurements from the command line."""

import json

import numpy as np

from kerasvid.evaluation import benchmark
from kerasvid.models import registry
from kerasvid.models.rjvae import RJVAE
from kerasvid.training.config import RunConfig
from tfrecords_tools import conversion_speed


def test_a_step_looks_up_random_rows_of_a_large_table(app_here, squares, monkeypatch):
    monkeypatch.setattr(benchmark, "matmul_peak", lambda precision: 1e9)  # seconds each
    monkeypatch.setattr(benchmark, "step_operations", lambda config: 1e6)
    make, made = RunConfig.make_model, []

    def make_and_keep(config):
        made.append(make(config))
        return made[-1]

    monkeypatch.setattr(RunConfig, "make_model", make_and_keep)
    status, out, err = app_here(
        "benchmark", "--model=glo", f"--dataset={squares}", "--preset=debug", "--frames=2",
        "--precision=float32", "--steps=2", "--rows=1009",
    )  # fmt: skip
    assert (status, err) == (0, "")
    facts = json.loads(out.splitlines()[-1])
    assert facts["rows"] == {"frame": 1009}
    assert facts["code_bytes"] == facts["momentum_bytes"] == 4 * 1009 * 2 * 12
    counters = facts["optimizer_bytes"] - 2 * 4 * facts["parameters"]  # beside Adam's two moments
    assert 0 <= counters < 100

    steps, batch = benchmark.WARM_UP + 2, facts["batch_size"]
    numbers = {"index": np.zeros([batch])}
    drawn = benchmark.batches_of_random_rows(numbers, 1009, steps)
    rows = np.unique([each["index"] for each in drawn])
    assert len(rows) > 0.9 * steps * batch
    np.testing.assert_array_equal(made[-1].frame_codes.learned_rows(), rows)


def test_what_many_gpus_would_need_is_two_tables(app_here, squares, monkeypatch):
    monkeypatch.setattr(benchmark, "step_operations", lambda config: 1e9)  # seconds
    flags = ("benchmark", "--what=scaling", "--model=glo", "--preset=debug", "--frames=2")
    flags += (f"--dataset={squares}", "--steps=1", "--precision=float32")
    status, out, err = app_here(*flags, "--gpus=1,3", "--videos=2000", "--gpu_clips=10")
    assert (status, err) == (0, "")
    assert "2,000 videos of 75 frames" in out and "10 clips a step for each GPU" in out
    firsts = [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")]
    assert firsts == ["GPUs", "1", "3"] * 2
    status, _, err = app_here(*flags, "--gpus=8,none")
    message = "error: --gpus=8,none: 'none' is no number of GPUs. Use --gpus=8,64.\n"
    assert (status, err) == (1, message)


def test_a_flag_that_has_no_meaning_is_refused(app_here):
    status, _, err = app_here("benchmark", "--what=all", "--model=dsa")
    needs = "needs --what=train or generate or evaluate or data or scaling. Omit it for all.\n"
    assert (status, err) == (1, f"error: --model=dsa {needs}")


def test_rows_need_the_measurement_of_training(app_here, squares):
    status, _, err = app_here("benchmark", f"--dataset={squares}", "--what=data", "--rows=9")
    assert (status, err) == (1, "error: --rows=9 needs --what=train. Omit it for data.\n")


def test_generation_is_measured_on_more_frames_than_the_data_have(app_here, squares):
    status, out, err = app_here(
        "benchmark", "--what=generate", "--model=vgan", f"--dataset={squares}", "--preset=debug",
        "--frames=6", "--steps=1", "--precision=float32", "--batch_size=64",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["frames"] == 6


def test_presets_with_weights_are_a_table(app_here, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    model = RJVAE.from_preset("debug", frames=2)
    measured = {"reconstruction/psnr": 24.96, "frechet": 5.0, "constancy/body": 0.5}
    facts = {"data": {"name": "sprites"}, "evaluation": measured}
    model.save_to_preset(tmp_path / "rjvae_mine", facts, half=True)
    status, out, err = app_here("benchmark", "--what=presets", "--steps=1")
    assert (status, err) == (0, "")
    _, _, row = out.splitlines()
    cells = [each.strip() for each in row.strip("|").split("|")]
    assert cells[:3] == ["`rjvae_mine`", "rjvae", "sprites"]
    assert cells[3] == f"{sum(np.prod(v.shape) for v in model.trainable_variables) / 1e6:.2f} M"
    assert float(cells[5]) > 0.0 and cells[7] == "PSNR 25.0 dB, Frechet 5.00"


def test_a_conversion_is_measured_as_the_flags_say(app_here, monkeypatch):
    given = []

    def measure(*arguments):
        given.append(arguments)
        return {"ratio": 0.9}

    monkeypatch.setattr(conversion_speed, "measure_conversion", measure)
    flags = ["--source_dir=mine", "--height=32", "--width=48", "--repeats=2", "--videos=5"]
    status, out, err = app_here("benchmark", "--what=convert", *flags)
    assert (status, err) == (0, "") and given == [("mine", 32, 48, 2, 5)]
    facts = json.loads(out.splitlines()[-1])
    assert facts["what"] == "convert" and facts["ratio"] == 0.9
    assert app_here("benchmark", "--what=convert")[0] == 0 and given[1] == (None, 64, 64, 3, 24)


def test_a_conversion_without_ffmpeg_ends_in_one_line(app_here, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = app_here("benchmark", "--what=convert")
    assert status == 1 and err.startswith("error: ffmpeg: the program is not installed;")
    assert err.count("\n") == 1
