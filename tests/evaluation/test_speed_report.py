"""Tables of speed and memory, measured by commands in processes of their own."""

import dataclasses
import os
import pathlib
import shutil
import sys

import cv2
import numpy as np
import pytest

from kerasvid.evaluation import speed_report
from kerasvid.evaluation.speed_report import (
    Extent,
    MeasurementError,
    TrainingRow,
    draw_videos,
    training_table,
)
from kerasvid.models.registry import model_class
from kerasvid.training.config import apply_overrides

ROOT = pathlib.Path(__file__).parents[2]
PEER = """
import json, sys
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert flags["--peer"] == "rjvae" and flags["--batch"] == "4" and flags["--frames"] == "8"
assert flags["--channels"] == "256"
speed = {"released": 2.0, "tuned": 4.0}[flags["--form"]]
speed *= {"fp32": 1.0, "bf16": 2.0}[flags["--precision"]]
print("warming up")
print(json.dumps({"videos_per_s": speed}))
"""
KERASVID = (
    sys.executable,
    "-c",
    "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])",
)
ROW = TrainingRow("RJVAE", "rjvae", "sprites", 4, 8, peer_flags=("--channels", "256"))


@pytest.fixture
def peer(tmp_path):
    """A command that says how fast PyTorch is."""
    path = tmp_path / "peer.py"
    path.write_text(PEER)
    return f"{sys.executable} {path}"


@pytest.fixture
def ours(monkeypatch):
    """Commands of `kerasvid` that were run; each is measured at 6 clips a second."""
    commands = []

    def measured(extent, *command):
        commands.append(command)
        return {"clips_per_second": 6.0, "share_of_peak": 0.5}

    monkeypatch.setattr(speed_report, "_json", measured)
    return commands


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()][2:]


def test_training_stands_beside_what_a_program_says_of_pytorch(peer, ours):
    reported = []
    table = training_table(Extent(training=[ROW], peers=peer), reported.append)
    assert cells(table) == [
        ["RJVAE, float32 (4 x 8)", "2", "4", "6", "50%", "1.50"],
        ["RJVAE, mixed_bfloat16 (4 x 8)", "4", "8", "6", "50%", "0.75"],
    ]
    assert reported == ["training: RJVAE, float32", "training: RJVAE, mixed_bfloat16"]
    assert "--preset=paper" in ours[0] and "--precision=mixed_bfloat16" in ours[1]


def test_without_a_program_the_columns_of_pytorch_are_empty(ours):
    (row, _) = cells(training_table(Extent(training=[ROW]), lambda _: None))
    assert row[1:] == ["", "", "6", "50%", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit('no torch')", r"has failed \(no torch\)"),
        ("print('{}')", r"is no JSON object with videos_per_s .* Let it print"),
        ("print('fast')", "is no JSON object with videos_per_s"),
        ("", "is no JSON object with videos_per_s"),
    ],
)
def test_a_program_that_does_not_measure_is_one_line(text, message, tmp_path, ours):
    path = tmp_path / "peer.py"
    path.write_text(text)
    extent = Extent(training=[ROW], peers=f"{sys.executable} {path}")
    with pytest.raises(MeasurementError, match=message) as error:
        training_table(extent, lambda _: None)
    assert "\n" not in str(error.value)


def test_clips_of_the_models_that_are_measured_fit_their_data():
    lengths = {"sprites": 8, "turntable": 16, "shapes": 32}
    for model, dataset in Extent().generation:
        hyperparameters, _ = apply_overrides(model_class(model), "base", {})
        assert hyperparameters["frames"] <= lengths[dataset], model
    for row in Extent().training:
        assert row.frames <= lengths[row.dataset], row.name


def test_drawn_videos_have_sixteen_frames(tmp_path):
    draw_videos(tmp_path / "videos", 2)
    names = sorted(os.listdir(tmp_path / "videos"))
    assert names == ["000000.avi", "000001.avi"]
    capture = cv2.VideoCapture(str(tmp_path / "videos" / names[1]))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == 16 and frames[0].shape == (64, 64, 3)
    assert abs(frames[0].astype(int) - frames[-1]).max() > 100  # the shape has moved


def test_the_peak_is_that_of_the_command_and_not_of_this_process(tmp_path):
    held = np.ones(60_000_000)  # 480 MB
    little = speed_report._peak([sys.executable, "-S", "-c", "pass"])
    much = speed_report._peak([sys.executable, "-S", "-c", "b'x' * 200_000_000"])
    assert held.nbytes / 1e6 > 400 and little < 100 and 200 < much < 400


def test_a_command_that_fails_is_named(tmp_path):
    with pytest.raises(MeasurementError, match=r"-c 'raise SystemExit.*has failed \(no disk\)\."):
        speed_report._peak([sys.executable, "-c", "raise SystemExit('no disk')"])


@pytest.mark.slow
def test_all_tables_are_measured_by_commands(tmp_path, monkeypatch, moving_squares, write_squares):
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    squares = write_squares(tmp_path / "squares", moving_squares(20, 16), 12)
    extent = Extent(
        kerasvid=KERASVID,
        training=[dataclasses.replace(ROW, dataset=squares, clips=2, frames=2)],
        generation=[("cvae", squares)],
        preset="debug",
        counts=(3,),
        videos=(20,),
        sides=(16,),
        converted=1,
        steps=1,
        data_dir=os.fspath(tmp_path),
    )
    monkeypatch.setattr(speed_report, "PRECISIONS", {"float32": "fp32"})
    machine, *tables = speed_report.speed_report(extent, lambda _: None)
    assert "cores" in machine
    assert [each.splitlines()[1] for each in tables] == [
        "## Training, clips a second", "## Generation, milliseconds", "## Start, seconds",
        "## Conversion, frames a second", "## Peak memory, MB",
    ]  # fmt: skip
    parts = [cells(each.split("\n\n")[1]) for each in tables[1:]]
    generation, start, conversion, memory = parts
    assert [row[:3] for row in generation] == [["cvae", "3", "16"]]
    assert [row[0] for row in start][1:] == ["first training step of cvae"]
    assert [row[0] for row in conversion] == (["16x16"] if shutil.which("ffmpeg") else [])
    assert [row[0] for row in memory] == ["convert", "train", "generate", "evaluate"]
    assert all(float(row[1].replace(",", "")) > 100 for row in memory)
